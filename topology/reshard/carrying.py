"""Carries a topic's records from its partitions of before to those of then, and knows how far that is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from confluent_kafka import Message

from topology.reshard.carrier import Carrier, Moment, Row, copied
from topology.reshard.merging import Reader
from topology.reshard.seals import GroupOffsets, Place, positions
from topology.reshard.sides import Move
from topology.topics import Topic

MOST_RECORDS = 5_000
"""Of one transaction: little to do again after a failure, and few transactions all the same."""
MOST_BYTES = 16_000_000

Change = Callable[[Message, Row], Row | None]
"""The record as it was, and as it would be copied; what becomes of it, None if it is left out."""
Follow = Callable[[Sequence[Row], Sequence[int]], Iterable[Row]]
"""What else is written in the transaction of these rows, whose offsets are known."""


@dataclass
class Carrying:
    """What all steps of one move share."""

    move: Move
    reader: Reader
    carrier: Carrier
    progress: GroupOffsets

    def reached(self, topic: Topic) -> dict[int, int]:
        """How far this topic has been carried: the next offset of each partition of before."""
        on_cluster, count = self.move.old.on_cluster(topic), self.move.old.count(topic)
        known = self.progress.committed((on_cluster, number) for number in range(count))
        starts = self.reader.bounds(on_cluster, count)
        return {
            number: known[on_cluster, number].offset if (on_cluster, number) in known else start
            for number, (start, _) in starts.items()
        }

    def carry(
        self,
        moment: Moment,
        topic: Topic,
        until: Mapping[int, int],
        *,
        change: Change | None = None,
        follow: Follow | None = None,
    ) -> int:
        """Carry on to these offsets, in the order of time.

        Args:
            moment: which step this is.
            topic: which topic.
            until: by partition of before.
            change: what becomes of a record other than a copy.
            follow: see `Follow`.

        Returns:
            How many records were written now.

        Raises:
            Misconfigured: a read or a write failed; what is committed stays.
        """
        move = self.move
        old, new = move.old.on_cluster(topic), move.new.on_cluster(topic)
        reached = self.reached(topic)
        bounds = {number: (start, until[number]) for number, start in reached.items() if start < until[number]}
        rows: list[Row] = []
        count = size = 0
        for message in self.reader.merged(old, bounds):
            number = message.partition() or 0
            copy = copied(message, new, move.placed(topic, message.key(), number))
            row = copy if change is None else change(message, copy)
            if row is not None:
                rows.append(row)
                size += len(row.value or b"") + len(row.key or b"")
            reached[number] = (message.offset() or 0) + 1
            if len(rows) >= MOST_RECORDS or size >= MOST_BYTES:
                count += self._commit(moment, rows, {(old, p): at for p, at in reached.items()}, follow)
                rows, size = [], 0
        if bounds:
            # Behind the last record lie control records, at most.
            ends = {(old, number): max(reached[number], until[number]) for number in reached}
            count += self._commit(moment, rows, ends, follow)
        return count

    def _commit(self, moment: Moment, rows: Sequence[Row], reached: Mapping[Place, int], follow: Follow | None) -> int:
        def after(lie: list[int]) -> Iterable[Row]:
            return () if follow is None else follow(rows, lie)

        self.carrier.commit(moment, rows, [(self.progress.proof(), positions(reached))], after if follow else None)
        return len(rows)
