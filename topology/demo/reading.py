"""How the simulated world reads: committed records of whole topics, by assignment, outside any group."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from schemas.codec import Codec
from schemas.errors import DecodeError
from schemas.records import Record
from topology.topics import Register, Role


@dataclass(frozen=True)
class Arrived:
    """One committed record. `record` is none for a tombstone, a dead letter and bytes that are no record."""

    topic: str
    partition: int
    offset: int
    key: str
    record: Record | None
    headers: dict[str, bytes]


class Reader:
    """Reads topics from their beginning with `read_committed`, as any consumer of the contract must."""

    def __init__(
        self, kafka: dict[str, Any], register: Register, codec: Codec, topics: Iterable[str], *, name: str
    ) -> None:
        self._codec = codec
        self._names = {register.on_cluster(topic): topic for topic in topics}
        self._register = register
        self._consumer = Consumer(
            {
                **kafka,
                "group.id": name,  # only a name: nothing is committed under it
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 100,
                "log_level": 2,
            }
        )
        metadata = self._consumer.list_topics(timeout=15).topics
        places = [(name, p) for name in self._names for p in metadata[name].partitions]
        self._consumer.assign([TopicPartition(topic, partition, 0) for topic, partition in places])
        self._behind = set(places)

    @property
    def at_end(self) -> bool:
        """Was every partition read to its end, last time it was heard of?"""
        return not self._behind

    def take(self, timeout_s: float, limit: int = 500) -> list[Arrived]:
        """What has come, waiting up to `timeout_s` for the first."""
        arrived: list[Arrived] = []
        for message in self._consumer.consume(limit, timeout_s):
            place = (message.topic() or "", message.partition() or 0)
            error = message.error()
            if error is None:
                self._behind.add(place)
                arrived.append(self._arrived(message))
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - librdkafka's own code
                self._behind.discard(place)
            elif not error.retriable():
                raise KafkaException(error)
        return arrived

    def close(self) -> None:
        """Let go of the connections."""
        self._consumer.close()

    def _arrived(self, message: Message) -> Arrived:
        topic = self._names[message.topic() or ""]
        value = message.value()
        entry = self._register.by_name[topic]
        record: Record | None = None
        if value is not None and entry.role is not Role.DEAD_LETTERS:
            try:
                record = self._codec.decode(value, entry.allowed)
            except DecodeError:
                record = None  # its own fault, and the engine's to judge
        headers = {str(name): bytes(found or b"") for name, found in message.headers() or []}  # type: ignore[arg-type]
        return Arrived(
            topic=topic,
            partition=message.partition() or 0,
            offset=message.offset() or 0,
            key=(message.key() or b"").decode(errors="replace"),
            record=record,
            headers=headers,
        )
