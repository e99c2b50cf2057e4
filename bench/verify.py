"""Reads a topic as its users would, to the end: `read_committed`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from topology.engine.clients import changelog_reader


def committed(kafka: dict[str, Any], topic: str) -> Iterator[Message]:
    """All committed records of a topic."""
    reader = changelog_reader(kafka, group="bench-verify")
    try:
        partitions = len(reader.list_topics(topic, timeout=10).topics[topic].partitions)
        reader.assign([TopicPartition(topic, p, 0) for p in range(partitions)])
        ended: set[int] = set()
        while len(ended) < partitions:
            for message in reader.consume(10_000, timeout=1.0):
                error = message.error()
                if error is None:
                    yield message
                elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - librdkafka's own code
                    ended.add(message.partition() or 0)
                else:
                    raise KafkaException(error)
    finally:
        reader.close()
