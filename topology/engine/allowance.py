"""What all events of a partition spend from: its share of allowances that the whole installation has for a day."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from topology.engine.ports import Write
from topology.engine.state import DUE_BYTES, RESERVED, wrap

KEY = RESERVED + b"allowances"
"""Where changelog and store keep a partition's counts, as `wrap({"day": days since 1970, "spent": {name: units}})`."""

DAY_MS = 86_400_000


def share(limit: int, partition: int, partitions: int) -> int:
    """What one partition may spend of `limit`; the shares of all partitions add up to it, so nobody has to ask."""
    return limit // partitions + (partition < limit % partitions)


class Allowances:
    """The counts of one partition: changed event by event, written with the dossiers of the batch.

    They run ahead of what is durable, as the cache does: the next batch is folded on what this one spent, and
    whatever fails drops both (`Partition.forget`).
    """

    __slots__ = ("_again", "_held", "_kept", "_written", "answers", "partition", "partitions")

    def __init__(self, raw: bytes | None, *, partition: int, partitions: int) -> None:
        """`raw` is the record in the store, None when nothing was ever spent."""
        self.partition = partition
        """Whose it is."""
        self.partitions = partitions
        """How many there are."""
        self._held = _decode(raw)
        """(day, units spent by name), with what the running event has spent. Never changed in place."""
        self._kept = self._held
        """The same before the running event."""
        self._written = self._held
        """The same as the batches so far have written it."""
        self._again: Iterator[bool] | None = None
        self.answers: tuple[bool, ...] = ()
        """What the running event was told so far; empty between events."""

    def spend(self, name: str, limit: int, now: int) -> bool:
        """See `FoldContext.spend`."""
        if self._again is not None:
            return next(self._again)
        day, spent = self._held
        # A day that is over stays over, even for an event that is told to be late: its counts are gone.
        today = max(now // DAY_MS, day)
        if today > day:
            spent = {}
        used = spent.get(name, 0)
        granted = used < share(limit, self.partition, self.partitions)
        if granted:
            self._held = (today, {**spent, name: used + 1})
        self.answers += (granted,)
        return granted

    def keep(self) -> None:
        """The running event has been folded."""
        self._kept = self._held
        self.answers = ()

    def give_back(self) -> None:
        """The running event has raised: nothing of what it spent is spent (rule 7)."""
        self._held = self._kept
        self.answers = ()

    def repeat(self, answers: tuple[bool, ...] | None) -> None:
        """Answer as the first time and spend nothing, until this is called with None: an event is folded again."""
        self._again = None if answers is None else iter(answers)

    def writes(self) -> list[Write]:
        """The record of the counts if this batch has changed them."""
        if self._kept is self._written:
            return []
        self._written = self._kept
        day, spent = self._kept
        return [(KEY, _encode(day, spent), None)]


def redistributed(records: Iterable[bytes | None], partitions: int) -> list[bytes | None]:
    """The records of partitions whose users are about to move to `partitions` others.

    What was spent is shared out as a limit is. A share never grows when what is shared out shrinks, so whatever the
    limit is, no partition begins with more spent than its share as long as the sum was within the limit; and then
    exactly as much can still be spent as before. Only the newest day counts: no partition can go back before it.

    Args:
        records: as changelog and store have them, one of each partition; None where nothing was ever spent.
        partitions: how many there will be.
    """
    known = [_decode(raw) for raw in records]
    day = max((day for day, _ in known), default=0)
    total = sum((Counter(spent) for at, spent in known if at == day), Counter[str]())
    if not day:
        return [None] * partitions
    return [
        _encode(day, {name: part for name, units in total.items() if (part := share(units, number, partitions))})
        for number in range(partitions)
    ]


def _encode(day: int, spent: Mapping[str, int]) -> bytes:
    return wrap(None, json.dumps({"day": day, "spent": spent}, sort_keys=True).encode())


def _decode(raw: bytes | None) -> tuple[int, Mapping[str, int]]:
    if raw is None:
        return 0, {}
    record = json.loads(raw[DUE_BYTES:])
    return record["day"], record["spent"]
