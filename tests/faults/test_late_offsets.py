"""Offsets of an aborted transaction that the broker gets late, with the real client and broker (docs/complaints.md)."""

from __future__ import annotations

import socket
import time

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from tests.faults.proxy import HOST, Proxies
from tests.faults.rig import broker_behind
from tests.faults.slow_disk import SlowDisk
from tests.faults.wire import Api

GUARD_S = 60.0


@pytest.mark.rule(5)
@pytest.mark.parametrize(("goes_on", "committed"), [(True, 7), (False, -1001)], ids=["goes on", "is replaced"])
def test_what_an_aborted_transaction_left_under_way_counts_if_its_producer_goes_on(tmp_path, goes_on, committed):
    """The first case shows what the engine must not do: if a broker refuses it one day, this test says so."""
    with Proxies() as proxies, SlowDisk(tmp_path / "disk") as disk:
        proxy = proxies.open(kafka=True)
        with broker_behind([proxy], tmp_path / "kafka", disk) as broker:
            client = {"bootstrap.servers": broker.bootstrap, "log_level": 0}
            admin = AdminClient(client)
            for made in admin.create_topics([NewTopic("in", 2, 1), NewTopic("out", 1, 1)]).values():
                made.result(GUARD_S)
            options = {"bootstrap.servers": f"{HOST}:{proxy.port}", "transactional.id": "worker", "log_level": 0}
            member = Consumer(client | {"group.id": "group", "isolation.level": "read_committed"})
            member.subscribe(["in"])
            deadline = time.monotonic() + GUARD_S
            while len(member.assignment()) < 2:
                assert time.monotonic() < deadline, "the group does not form"
                member.poll(0.1)
            producer = Producer(options | {"socket.timeout.ms": 1_000})
            producer.init_transactions(GUARD_S)

            producer.begin_transaction()
            producer.produce("out", b"aborted")
            assert producer.flush(GUARD_S) == 0
            proxy.keep = Api.TXN_OFFSET_COMMIT
            with pytest.raises(KafkaException):
                producer.send_offsets_to_transaction(
                    [TopicPartition("in", 0, 7)], member.consumer_group_metadata(), 1.0
                )
            proxy.keep = None
            producer.abort_transaction(GUARD_S)

            if not goes_on:
                producer = Producer(options)
                producer.init_transactions(GUARD_S)
            producer.begin_transaction()
            producer.produce("out", b"the next one")
            producer.send_offsets_to_transaction(
                [TopicPartition("in", 1, 3)], member.consumer_group_metadata(), GUARD_S
            )
            with socket.create_connection((HOST, int(broker.bootstrap.rpartition(":")[2]))) as under_way:
                under_way.sendall(proxy.kept[0])
                under_way.settimeout(GUARD_S)
                assert under_way.recv(4_096), "the broker has answered it"
            producer.commit_transaction(GUARD_S)

            places = [TopicPartition("in", number) for number in (0, 1)]
            assert [place.offset for place in member.committed(places, timeout=GUARD_S)] == [committed, 3]
            member.close()
