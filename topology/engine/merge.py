"""In which order the records of co-partitioned topics are folded: by event time, each topic's own order kept."""

from __future__ import annotations

from collections import deque

from confluent_kafka import Message

Taken = tuple[int, int, int, Message]
"""(time of its turn UTC ms, index of the input topic, offset, message)."""


class Merge:
    """The records of one partition that wait for their turn: the earliest head first, ties by topic.

    A record is given out only when every input topic either has one waiting or has been read to its end, as with
    Kafka Streams' `max.task.idle.ms` (KIP-353, KIP-695). So an appeal is not judged before its enforcement just
    because a backlog of one topic came in first, and two runs over the same topics fold in the same order.
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

    def missing(self) -> list[int]:
        """The topics that records wait for: neither waiting nor known to be read to their end."""
        if not self:
            return []
        return [t for t, queue in enumerate(self._queues) if not queue and not self._at_end[t]]

    def waiting(self, topic: int) -> int:
        """Records of the topic not yet given out."""
        return len(self._queues[topic])

    def __bool__(self) -> bool:
        """Is any record waiting?"""
        return any(self._queues)

    def take(self, limit: int, *, patient: bool = True) -> list[Taken]:
        """Up to `limit` records in order.

        Args:
            limit: at most so many.
            patient: stop at a topic that is neither waiting nor read to its end; else pass over it.
        """
        queues = self._queues
        if patient and not all(queue or end for queue, end in zip(queues, self._at_end, strict=True)):
            return []
        full = [queue for queue in queues if queue]
        if len(full) == 1:
            # The others are at their end, or are passed over: this one's own order is the order.
            queue = full[0]
            return [queue.popleft() for _ in range(min(limit, len(queue)))]
        taken: list[Taken] = []
        while len(taken) < limit and full:
            # Tuples compare by time, then topic; no two heads have the same topic.
            best = min(full, key=_turn)
            taken.append(best.popleft())
            if not best:
                if patient and not self._at_end[taken[-1][1]]:
                    break
                full.remove(best)
        return taken

    def put_back(self, records: list[Taken]) -> None:
        """Return records that were taken but not folded."""
        for record in reversed(records):
            self._queues[record[1]].appendleft(record)


def _turn(queue: deque[Taken]) -> tuple[int, int]:
    head = queue[0]
    return head[0], head[1]
