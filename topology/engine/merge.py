"""In which order the records of co-partitioned topics are folded: by event time, each topic's own order kept."""

from __future__ import annotations

from collections import deque
from heapq import heapify, heappop, heapreplace

from confluent_kafka import Message

Taken = tuple[int, int, int, "bytes | None", Message]
"""(time of its turn UTC ms, index of the input topic, offset, key of its state, message)."""


class Lane:
    """What has come of one input topic's partition and waits for its turn."""

    __slots__ = ("asked_for", "at_end", "ended_at", "gaps", "next_offset", "prefix", "queue", "taken", "topic")

    def __init__(self, topic: int) -> None:
        self.topic = topic
        self.queue: deque[Taken] = deque()
        self.at_end = False
        """Read to its end: nothing needs to wait for it."""
        self.ended_at = 0
        """Where its end was when it was told last."""
        self.prefix = b""
        """See `FoldApp.prefixes`."""
        self.next_offset = 0
        """What comes from before this has been seen already."""
        self.asked_for = -1
        """The offset before a gap that the client was told to look for once more; the newest such."""
        self.gaps = 0
        """So many were gaps indeed."""
        self.taken: deque[Taken] = deque()
        """The first record of each batch on its way that has any of this lane, oldest first."""

    @property
    def oldest(self) -> Taken | None:
        """The first record that is here and not committed; may be asked for from another thread."""
        for waiting in (self.taken, self.queue):
            try:
                return waiting[0]
            except IndexError:
                continue
        return None


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
        # A head is its record, which begins with time and topic: no two are compared beyond these.
        heads = [lane.queue[0] for lane in full]
        heapify(heads)
        while heads and len(taken) < limit:
            record = heads[0]
            taken.append(record)
            lane = self.lanes[record[1]]
            lane.queue.popleft()
            if lane.queue:
                heapreplace(heads, lane.queue[0])
            elif patient and not lane.at_end:
                break
            else:
                heappop(heads)
        return taken

    def heads(self) -> list[tuple[Lane, Taken]]:
        """The first record of each lane that has any."""
        return [(lane, lane.queue[0]) for lane in self.lanes if lane.queue]

    def missing(self) -> list[Lane]:
        """The topics that records wait for: neither waiting nor known to be read to their end."""
        if not self:
            return []
        return [lane for lane in self.lanes if not lane.queue and not lane.at_end]

    def put_back(self, records: list[Taken]) -> None:
        """Return records that were taken but not folded."""
        for record in reversed(records):
            self.lanes[record[1]].queue.appendleft(record)
