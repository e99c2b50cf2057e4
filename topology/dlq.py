"""`recourse dlq`: what lies in the dead-letter topics, and why."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from topology.cluster import Cluster
from topology.engine import deadletter
from topology.engine.clients import changelog_reader
from topology.engine.errors import Misconfigured
from topology.settings import Settings
from topology.topics import Register, Role, load_register


@dataclass(frozen=True)
class DeadLetter:
    """One record that could not be judged."""

    topic: str
    partition: int
    offset: int
    at: datetime
    key: bytes | None
    value: bytes | None
    headers: dict[str, bytes]

    @property
    def reason(self) -> str:
        """The closed-list code."""
        return self.headers.get(deadletter.REASON, b"unknown").decode()

    @property
    def message(self) -> str:
        """What was wrong, in words."""
        return self.headers.get(deadletter.MESSAGE, b"").decode()

    @property
    def origin(self) -> str:
        """`topic[partition]@offset` where the record came from."""
        part = {
            name: self.headers.get(name, b"?").decode()
            for name in (deadletter.TOPIC, deadletter.PARTITION, deadletter.OFFSET)
        }
        return f"{part[deadletter.TOPIC]}[{part[deadletter.PARTITION]}]@{part[deadletter.OFFSET]}"


def dead_letters(settings: Settings, only: str | None = None) -> Iterator[DeadLetter]:
    """All committed dead letters, topic by topic, partition by partition.

    Args:
        settings: where.
        only: name of an input topic; none means all.

    Raises:
        Misconfigured: no such topic, or no broker.
    """
    register = load_register(settings.topic_prefix)
    cluster = Cluster(settings.kafka_config(), register)
    found = cluster.partitions()
    reader = changelog_reader(settings.kafka_config(), group=f"{settings.group}-dlq")
    try:
        for name in _queues(register, only):
            topic = register.on_cluster(name)
            if topic not in found:
                raise Misconfigured(f"topic {topic} is missing. Run `recourse create-topics`.")
            yield from _read(reader, topic, found[topic])
    finally:
        reader.close()


def _queues(register: Register, only: str | None) -> list[str]:
    queues = [t.name for t in register.topics if t.role is Role.DEAD_LETTERS]
    if only is None:
        return queues
    wanted = only if only.endswith(".dlq") else f"{only}.dlq"
    if wanted not in queues:
        raise Misconfigured(f"no dead-letter topic {wanted}; there are {', '.join(queues)}")
    return [wanted]


def _read(reader: Consumer, topic: str, partitions: int) -> Iterator[DeadLetter]:
    reader.assign([TopicPartition(topic, p, 0) for p in range(partitions)])
    ended: set[int] = set()
    while len(ended) < partitions:
        for message in reader.consume(500, timeout=0.1):
            error = message.error()
            if error is None:
                yield _letter(message)
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - librdkafka's own code
                ended.add(message.partition() or 0)
            elif not error.retriable():
                raise KafkaException(error)


def _letter(message: Message) -> DeadLetter:
    return DeadLetter(
        topic=message.topic() or "",
        partition=message.partition() or 0,
        offset=message.offset() or 0,
        at=datetime.fromtimestamp(message.timestamp()[1] / 1000, UTC),
        key=message.key(),
        value=message.value(),
        headers={str(name): bytes(value or b"") for name, value in message.headers() or []},  # type: ignore[arg-type]
    )


def parse_where(where: str) -> tuple[str, int, int]:
    """`topic[partition]@offset` in parts.

    Raises:
        Misconfigured: it is not written so.
    """
    match = re.fullmatch(r"([\w.-]+)\[(\d+)\]@(\d+)", where)
    if match is None:
        raise Misconfigured(f"{where!r} is no place of a dead letter; write topic[partition]@offset")
    return match[1], int(match[2]), int(match[3])
