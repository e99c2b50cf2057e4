"""Reads partitions of topics between two offsets, committed records only: for commands, outside the group."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from topology.engine.clients import BrokerOffsets, changelog_reader
from topology.engine.errors import Misconfigured

Bounds = Mapping[int, tuple[int, int]]
"""By partition: the first offset, and the one after the last."""

BROKER_S = 30.0
"""One question to the broker."""
PATIENCE_S = 150.0
"""Without any news: more than a transaction may stay open (`RECOURSE_COMMIT_S` is 60 by default)."""
_AGAIN_S = 0.1
POLL_S = 0.02
"""One call waits as long for more; short, as most topics of a command are read in one or two."""
_NOT_YET = (
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError.FENCED_LEADER_EPOCH,
    KafkaError.UNKNOWN_LEADER_EPOCH,
    KafkaError.REQUEST_TIMED_OUT,
    KafkaError._TRANSPORT,  # noqa: SLF001 - librdkafka's own code
    KafkaError._TIMED_OUT,  # noqa: SLF001
)
"""What is heard of a topic that was made just now, and of a broker that starts: before it leads the partitions, under
another leader epoch than the client knows, or not at all."""


class PartitionReader:
    """One consumer, used for one topic after the other; topics by their names on the cluster. A context manager."""

    def __init__(self, kafka: Mapping[str, Any], *, name: str) -> None:
        """`name` is only what the broker's logs call it; nothing is committed under it."""
        self._offsets = BrokerOffsets(kafka)
        self._consumer = changelog_reader(kafka, group=name)
        self._heard = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def bounds(self, topic: str, numbers: Sequence[int]) -> dict[int, tuple[int, int]]:
        """Start and *uncommitted* end of each partition (KAFKA-10167).

        Asked again for a while if the broker cannot tell yet.

        Raises:
            Misconfigured: it still cannot.
        """
        deadline = time.monotonic() + BROKER_S
        while True:
            try:
                return self._offsets.bounds(topic, numbers, BROKER_S)
            except KafkaException as exc:
                if exc.args[0].code() not in _NOT_YET:
                    raise
                if time.monotonic() > deadline:
                    raise Misconfigured(f"no broker tells where {topic} begins and ends: {exc.args[0].str()}") from exc
            time.sleep(_AGAIN_S)

    def between(self, topic: str, bounds: Bounds) -> Iterator[Message]:
        """All records between the bounds, each partition in its order.

        Raises:
            Misconfigured: a transaction among them does not end.
        """
        left = self.begin(topic, bounds)
        while left:
            yield from self.some(topic, left)

    def begin(self, topic: str, bounds: Bounds) -> dict[int, int]:
        """Point the consumer there; by partition that has anything, the offset after the last."""
        left = {number: end for number, (start, end) in bounds.items() if start < end}
        if left:
            # Assigned without knowing the leaders, librdkafka waits out a second before it asks for them.
            self._consumer.list_topics(topic, timeout=BROKER_S)
        self._consumer.assign([TopicPartition(topic, number, bounds[number][0]) for number in left])
        self._heard = time.monotonic()
        return left

    def some(self, topic: str, left: dict[int, int]) -> Iterator[Message]:
        """What one call brings; partitions that have been read to their ends are taken out of `left`.

        Raises:
            Misconfigured: nothing has come for longer than a transaction may stay open.
        """
        for message in self._consumer.consume(1_000, timeout=POLL_S):
            number, offset = message.partition() or 0, message.offset() or 0
            error = message.error()
            if message.topic() != topic or number not in left:
                continue
            self._heard = time.monotonic()
            if error is None:
                if offset < left[number]:
                    yield message
                reached = offset + 1
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - librdkafka's own code
                # Control records take offsets but are never delivered: only this event tells where we really are.
                reached = offset
            elif error.retriable():
                continue
            else:
                raise KafkaException(error)
            if reached >= left[number]:
                del left[number]
        if left and time.monotonic() - self._heard > PATIENCE_S:
            raise Misconfigured(
                f"{topic}: nothing comes from partitions {sorted(left)}, and they have not been read to their ends. "
                "Is a transaction open there, of a worker that hangs? It ends with its time-out; then try again."
            )
