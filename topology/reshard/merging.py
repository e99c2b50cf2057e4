"""Reads partitions of one topic between two offsets: as they come, or as one stream in the order of time.

A user's records must be folded in the order of time also next to those of other users: by the stream clock, a record
that comes after much younger ones is late. So what comes from several partitions into one is merged by timestamp, each
partition keeping its own order. The same records between the same offsets always give the same stream.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, Self

from confluent_kafka import KafkaException, Message, TopicPartition

from topology.engine.definition import EngineConfig
from topology.engine.errors import Misconfigured
from topology.partition_reader import Bounds, PartitionReader

WAITING = 40_000
"""Records that may wait for those of other partitions, over all partitions."""


class Merger(PartitionReader):
    """A reader that merges too."""

    def merged(self, topic: str, bounds: Bounds) -> Iterator[Message]:
        """All records between the bounds: of the partitions' next records, always the oldest."""
        left = self.begin(topic, bounds)
        lanes: dict[int, deque[Message]] = {number: deque() for number in left}
        heads: list[tuple[int, int]] = []
        paused: set[int] = set()
        enough = max(100, WAITING // max(1, len(left)))
        while True:
            while any(not lanes[number] for number in left):
                for message in self.some(topic, left):
                    number = message.partition() or 0
                    lanes[number].append(message)
                    if len(lanes[number]) == 1:
                        heapq.heappush(heads, (_turn(message), number))
                full = [n for n in left if n not in paused and len(lanes[n]) >= enough]
                self._consumer.pause([TopicPartition(topic, number) for number in full])
                paused.update(full)
            if not heads:
                return
            _, number = heapq.heappop(heads)
            lane = lanes[number]
            yield lane.popleft()
            if lane:
                heapq.heappush(heads, (_turn(lane[0]), number))
            if number in paused and len(lane) <= enough // 2:
                paused.discard(number)
                self._consumer.resume([TopicPartition(topic, number)])


class Reader:
    """What a move reads with: whatever goes wrong is told as what to do. A context manager."""

    def __init__(self, kafka: Mapping[str, Any], *, name: str) -> None:
        """`name` is only what the broker's logs call it."""
        self._merger = Merger({**kafka, "log_level": 2}, name=name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._merger.__exit__()

    def bounds(self, topic: str, partitions: int) -> dict[int, tuple[int, int]]:
        """Where each partition starts, and its *uncommitted* end.

        Raises:
            Misconfigured: the broker does not tell.
        """
        try:
            return self._merger.bounds(topic, list(range(partitions)))
        except KafkaException as exc:
            raise Misconfigured(f"{topic}: the broker does not tell where it ends: {exc.args[0].str()}") from exc

    def read(self, topic: str, bounds: Bounds) -> Iterator[Message]:
        """All records between the bounds, each partition in its order.

        Raises:
            Misconfigured: a transaction among them does not end, or the broker does not give them.
        """
        return _told(topic, self._merger.between(topic, bounds))

    def merged(self, topic: str, bounds: Bounds) -> Iterator[Message]:
        """The same as one stream in the order of time.

        Raises:
            Misconfigured: see `read`.
        """
        return _told(topic, self._merger.merged(topic, bounds))


def _told(topic: str, messages: Iterator[Message]) -> Iterator[Message]:
    try:
        yield from messages
    except KafkaException as exc:
        raise Misconfigured(f"{topic} cannot be read: {exc.args[0].str()}. The same command again goes on") from exc


def _turn(message: Message) -> int:
    """When the engine would give the record its turn: one with an implausible time goes first."""
    timestamp = message.timestamp()[1]
    return timestamp if EngineConfig.earliest_ms <= timestamp < EngineConfig.latest_ms else 0
