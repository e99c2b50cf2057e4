"""In which order the records of co-partitioned topics are folded: by event time, each topic's own order kept."""

from __future__ import annotations

from collections import deque

from confluent_kafka import Message

Taken = tuple[int, int, int, "bytes | None", Message]
"""(time of its turn UTC ms, index of the input topic, offset, key, message)."""


class Lane:
    """What has come of one input topic's partition and waits for its turn."""

    __slots__ = ("at_end", "next_offset", "queue", "topic")

    def __init__(self, topic: int) -> None:
        self.topic = topic
        self.queue: deque[Taken] = deque()
        self.at_end = False
        """Read to its end: nothing needs to wait for it."""
        self.next_offset = 0
        """What comes from before this has been seen already."""


class Merge:
    """The records of one partition that wait for their turn: the earliest head first, ties by topic.

    A record is given out only when every input topic either has one waiting or has been read to its end, as with
    Kafka Streams' `max.task.idle.ms` (KIP-353, KIP-695). So an appeal is not judged before its enforcement just
    because a backlog of one topic came in first, and two runs over the same topics fold in the same order.
    """

    __slots__ = ("lanes",)

    def __init__(self, topics: int) -> None:
        self.lanes = [Lane(topic) for topic in range(topics)]

    def __bool__(self) -> bool:
        """Is any record waiting?"""
        return any(lane.queue for lane in self.lanes)

    def take(self, limit: int, *, patient: bool = True) -> list[Taken]:
        """Up to `limit` records in order.

        Args:
            limit: at most so many.
            patient: stop at a topic that is neither waiting nor read to its end; else pass over it.
        """
        if patient and self.missing():
            return []
        full = [lane for lane in self.lanes if lane.queue]
        if len(full) == 1:
            # The others are at their end, or are passed over: this one's own order is the order.
            queue = full[0].queue
            return [queue.popleft() for _ in range(min(limit, len(queue)))]
        taken: list[Taken] = []
        while len(taken) < limit and full:
            best = min(full, key=_turn)
            taken.append(best.queue.popleft())
            if not best.queue:
                if patient and not best.at_end:
                    break
                full.remove(best)
        return taken

    def missing(self) -> list[Lane]:
        """The topics that records wait for: neither waiting nor known to be read to their end."""
        if not self:
            return []
        return [lane for lane in self.lanes if not lane.queue and not lane.at_end]

    def put_back(self, records: list[Taken]) -> None:
        """Return records that were taken but not folded."""
        for record in reversed(records):
            self.lanes[record[1]].queue.appendleft(record)


def _turn(lane: Lane) -> tuple[int, int]:
    """By time, ties by topic."""
    head = lane.queue[0]
    return head[0], head[1]
