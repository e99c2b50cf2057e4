"""In which order the records of co-partitioned topics are folded: by event time, each topic's own order kept."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from confluent_kafka import Message

Taken = tuple[int, int, int, Message]
"""(timestamp UTC ms, index of the input topic, offset, message)."""


def by_time(records: list[Taken]) -> list[Taken]:
    """Merge what one batch holds of one partition: earliest head first, ties by topic; never within a topic.

    A record that is older than one before it in its topic keeps its place behind it.
    """
    first = records[0][1]
    if all(record[1] == first for record in records):
        return records
    highest: dict[int, int] = {}
    keyed: list[tuple[int, int, int, Taken]] = []
    for record in records:
        topic = record[1]
        seen = max(record[0], highest.get(topic, 0))
        highest[topic] = seen
        keyed.append((seen, topic, record[2], record))
    keyed.sort(key=lambda item: item[:3])
    return [item[3] for item in keyed]


class StreamMerge:
    """The same order over whole topics, whatever the batches: for `clock: stream`.

    A record is given out only when every input topic either has a record waiting or has been read to its end, as
    with Kafka Streams' `max.task.idle.ms` (KIP-353). So two runs over the same topics fold in the same order.
    """

    __slots__ = ("_at_end", "_queues")

    def __init__(self, topics: int) -> None:
        self._queues: list[deque[Taken]] = [deque() for _ in range(topics)]
        self._at_end = [False] * topics

    @property
    def topics(self) -> int:
        """How many topics are merged."""
        return len(self._queues)

    def add(self, record: Taken) -> None:
        """A record arrived."""
        self._queues[record[1]].append(record)
        self._at_end[record[1]] = False

    def reached_end(self, topic: int) -> None:
        """The topic has no more records for now."""
        self._at_end[topic] = True

    def waiting(self, topic: int) -> int:
        """Records of the topic not yet given out."""
        return len(self._queues[topic])

    def take(self, limit: int, order: Callable[[Taken], int]) -> list[Taken]:
        """Up to `limit` records in order; `order` gives the time to merge by."""
        queues = self._queues
        taken: list[Taken] = []
        while len(taken) < limit:
            best: tuple[int, int] | None = None
            for topic, queue in enumerate(queues):
                if queue:
                    head = (order(queue[0]), topic)
                    if best is None or head < best:
                        best = head
                elif not self._at_end[topic]:
                    return taken
            if best is None:
                return taken
            taken.append(queues[best[1]].popleft())
        return taken

    def put_back(self, records: list[Taken]) -> None:
        """Return records that were taken but not folded."""
        for record in reversed(records):
            self._queues[record[1]].appendleft(record)
