"""The first requests of a producer to a partition, with the real client and broker (docs/complaints.md)."""

from __future__ import annotations

import time
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from tests.faults.proxy import HOST, Proxies
from tests.faults.rig import broker_behind
from tests.faults.slow_disk import SlowDisk
from topology.engine.clients import IN_TURN

GUARD_S = 60.0
_HELD_S = 0.3
"""How long each piece is under way, so that a second request follows before the first is answered."""


@pytest.fixture(scope="module")
def proxy(tmp_path_factory):
    """The way to a broker that runs."""
    folder = tmp_path_factory.mktemp("first-requests")
    with Proxies() as proxies, SlowDisk(folder / "disk") as disk:
        proxy = proxies.open(kafka=True)
        with broker_behind([proxy], folder / "kafka", disk):
            yield proxy


@pytest.mark.rule(5)
@pytest.mark.parametrize("transactional", [False, True], ids=["idempotent", "transactional"])
@pytest.mark.parametrize(
    ("options", "kept"), [({}, [b"second"]), (IN_TURN, [b"first", b"second"])], ids=["several", "in turn"]
)
def test_a_first_request_that_is_refused_is_lost_if_the_next_is_under_way(proxy, app_id, options, kept, transactional):
    """The first case shows why producers send in turn: if a broker refuses the second one day, this test says so."""
    told: dict[bytes | None, KafkaError | None] = {}

    def note(error: KafkaError | None, message: Message) -> None:
        told[message.value()] = error

    proxy.reset()
    client: dict[str, Any] = {"bootstrap.servers": f"{HOST}:{proxy.port}", "log_level": 0}
    topic, other = f"{app_id}.in", f"{app_id}.other"
    admin = AdminClient(client)
    for made in admin.create_topics([NewTopic(name, 1, 1) for name in (topic, other)]).values():
        made.result(GUARD_S)
    promise = {"transactional.id": app_id} if transactional else {"enable.idempotence": True}
    producer = Producer(options | promise | client | {"linger.ms": 0})
    if transactional:
        producer.init_transactions(GUARD_S)
        producer.begin_transaction()
    producer.list_topics(topic, timeout=GUARD_S)
    producer.produce(other, b"so that it has its id")
    assert producer.flush(GUARD_S) == 0

    proxy.astray, proxy.delay_s = topic, _HELD_S
    producer.produce(topic, b"first", partition=0, on_delivery=note)
    deadline = time.monotonic() + GUARD_S
    while proxy.astray:
        assert time.monotonic() < deadline, "it sends nothing"
        producer.poll(0.01)
    producer.produce(topic, b"second", partition=0, on_delivery=note)
    assert producer.flush(GUARD_S) == 0
    if transactional:
        producer.commit_transaction(GUARD_S)

    proxy.reset()
    assert told == {b"first": None, b"second": None}, "the client believes that both were taken"
    reader = Consumer(client | {"group.id": "reader", "isolation.level": "read_committed"})
    reader.assign([TopicPartition(topic, 0, 0)])
    assert [message.value() for message in reader.consume(len(kept), GUARD_S)] == kept
    reader.close()
