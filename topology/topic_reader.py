"""Reads whole topics, committed records only, up to where they ended when asked: for commands, outside the group."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self

from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from topology.cluster import Cluster
from topology.engine.clients import BrokerOffsets, changelog_reader
from topology.engine.errors import Misconfigured
from topology.topics import Register

BROKER_S = 30.0
"""One question to the broker."""
PATIENCE_S = 150.0
"""Without any news: more than a transaction may stay open (`RECOURSE_COMMIT_S` is 60 by default)."""


class TopicReader:
    """One consumer, used for one topic after the other. A context manager."""

    def __init__(self, kafka: Mapping[str, Any], register: Register, *, name: str) -> None:
        """`name` is only what the broker's logs call it; nothing is committed under it.

        Raises:
            Misconfigured: no broker answers.
        """
        self._register = register
        self._found = Cluster(kafka, register).partitions()
        self._offsets = BrokerOffsets(kafka)
        self._consumer = changelog_reader(kafka, group=name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def read(self, topic: str, partitions: Iterable[int] | None = None) -> Iterator[Message]:
        """All committed records, each partition in its order, to the *uncommitted* end as of now.

        The last stable offset can hide a transaction that has committed (KAFKA-10167): what another topic shows of a
        transaction, this one shows too if it is read after the other.

        Args:
            topic: by its name in the register.
            partitions: only these; all by default.

        Raises:
            Misconfigured: the topic is missing, or a transaction in it does not end.
        """
        name = self._register.on_cluster(topic)
        if name not in self._found:
            raise Misconfigured(f"topic {name} is missing. Run `recourse create-topics`.")
        numbers = list(range(self._found[name]) if partitions is None else partitions)
        bounds = self._offsets.bounds(name, numbers, BROKER_S)
        ends = {number: end for number, (start, end) in bounds.items() if start < end}
        self._consumer.assign([TopicPartition(name, number, bounds[number][0]) for number in ends])
        yield from self._to(name, ends)

    def starts(self, topic: str) -> dict[int, int]:
        """Offset of the oldest record that each partition still has."""
        name = self._register.on_cluster(topic)
        bounds = self._offsets.bounds(name, list(range(self._found[name])), BROKER_S)
        return {number: start for number, (start, _) in bounds.items()}

    def _to(self, name: str, ends: dict[int, int]) -> Iterator[Message]:
        heard = time.monotonic()
        while ends:
            for message in self._consumer.consume(1_000, timeout=0.1):
                number, offset = message.partition() or 0, message.offset() or 0
                error = message.error()
                if message.topic() != name or number not in ends:
                    continue
                heard = time.monotonic()
                if error is None:
                    if offset < ends[number]:
                        yield message
                    reached = offset + 1
                elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - librdkafka's own code
                    reached = offset
                elif error.retriable():
                    continue
                else:
                    raise KafkaException(error)
                if reached >= ends[number]:
                    del ends[number]
            if time.monotonic() - heard > PATIENCE_S:
                raise Misconfigured(
                    f"{name}: nothing comes from partitions {sorted(ends)}, and they have not been read to their ends. "
                    "Is a transaction open there, of a worker that hangs? It ends with its time-out; then try again."
                )
