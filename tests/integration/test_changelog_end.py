"""Where a changelog ends once its cleaner has been at work, on a real Kafka (docs/complaints.md)."""

from __future__ import annotations

import time

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from topology.partition_reader import PartitionReader

GUARD_S = 60.0
EAGER_BROKER = {
    "log.cleaner.backoff.ms": "100",
    "producer.id.expiration.ms": "500",
    "producer.id.expiration.check.interval.ms": "100",
}
EAGER_TOPIC = {
    "cleanup.policy": "compact",
    "max.compaction.lag.ms": "100",
    "min.cleanable.dirty.ratio": "0.001",
    "delete.retention.ms": "1",
    "segment.ms": "100",
}


@pytest.mark.rule(4)
def test_a_cleaned_changelog_is_read_to_its_end_though_control_records_are_gone(kafka_server):
    """A reader that waits for the message before the end, or counts messages, never gets there."""
    client = {"bootstrap.servers": kafka_server(settings=EAGER_BROKER).bootstrap, "log_level": 0}
    admin = AdminClient(client)
    admin.create_topics([NewTopic("changelog", 1, 1, config=EAGER_TOPIC)])["changelog"].result()
    producer = Producer(client | {"transactional.id": "worker"})
    producer.init_transactions(30)
    with PartitionReader(client, name="restore") as reader:
        end, deadline = 0, time.monotonic() + GUARD_S
        while True:
            producer.begin_transaction()
            producer.produce("changelog", b"state", b"user")
            producer.commit_transaction(30)
            end += 2  # a state, and the control record after it
            time.sleep(0.2)  # a new segment: the cleaner leaves the newest one alone
            bounds = reader.bounds("changelog", [0])
            assert bounds[0][1] == end
            offsets = [message.offset() for message in reader.between("changelog", bounds)]
            assert offsets[-1] == end - 2
            if offsets[0] >= 4:  # twice something was taken, so also what marked the first
                return
            assert time.monotonic() < deadline, f"the cleaner has left {offsets}"
