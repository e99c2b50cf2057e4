"""What a handler may see and do besides its state: emit, spend, index, count, and what a sweep's timer adds to that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from topology.engine.allowance import Allowances
from topology.engine.carried import Carried
from topology.engine.state import RESERVED

NOBODY: Mapping[str, Any] = {}
"""Whom an event has found that is no sweep's timer."""


class Effects:
    """What the running event asked for besides outputs: it happens if the event is folded, else it is forgotten."""

    __slots__ = ("counts", "index", "timed", "told")

    def __init__(self) -> None:
        self.index: dict[bytes, bool] = {}
        """Terms put into the index (True) or taken out: the last word on each counts."""
        self.counts: list[tuple[str, float, tuple[tuple[str, str], ...]]] = []
        """(name, by, labels)."""
        self.timed: list[str] = []
        """Metrics."""
        self.told: list[tuple[str, Any]] = []
        """(key, event), in order."""


class FoldContext:
    """What a handler may see and do besides its state. Reused for every event; keep no reference to it."""

    __slots__ = ("allowances", "carried", "effects", "emitted", "found", "now", "owners", "published")

    def __init__(self) -> None:
        self.now = 0
        self.allowances = Allowances(None, partition=0, partitions=1)
        """The running partition's; outside the engine, a context has each allowance to itself."""
        self.emitted: list[tuple[str, str, Any]] = []
        self.effects: Effects | None = None
        """None until the running event asks for any: nearly all never do, and pay one look at this."""
        self.carried: Carried | None = None
        """What the running record's headers say; none for a timer's event, and nearly always none."""
        self.published = 0
        """UTC ms at which the running record was published; 0 for a timer's event. For `timed` alone: no decision may
        rest on it."""
        self.found: tuple[bytes, ...] = ()
        """For the timer of a state that the application's `scan` answers for: the terms found. Else empty."""
        self.owners: Mapping[str, Any] = NOBODY
        """By key, the states (None: there is none) of the owners of what was found; see `peek`."""

    def emit(self, topic: str, key: str, record: Any) -> None:  # noqa: ANN401 - the application's own type
        """Publish `record` (None: a tombstone) under `key` on a topic of the application."""
        self.emitted.append((topic, key, record))

    def spend(self, name: str, limit: int) -> bool:
        """Take one unit of the allowance `name` for the UTC day of `now`; False when none is left.

        `limit` is for the whole installation and day. Each partition has a fixed share of it, so that its events
        alone decide the answer, and the sum never exceeds the limit; a partition with little to do leaves some of
        its share unused. Names come from a small set: all that were spent on a day are written whenever one is.
        """
        return self.allowances.spend(name, limit, self.now)

    def index(self, term: bytes) -> None:
        """Put a term into the partition's index, where sweeps find it from the next event on.

        A term is about one state, its owner's (`FoldApp.owner`), and is to be in the index exactly while
        `FoldApp.indexed` names it for that state: what is not named is not there any more after a rebuild.

        Raises:
            ValueError: the term is empty or begins with NUL.
        """
        self._asked().index[_checked(term)] = True

    def unindex(self, term: bytes) -> None:
        """Take a term out of the partition's index; one that is not there may be taken out too.

        Raises:
            ValueError: the term is empty or begins with NUL.
        """
        self._asked().index[_checked(term)] = False

    def count(self, name: str, by: float = 1, **labels: str) -> None:
        """Add to a counter of `topology.metrics` once the event is committed; never for one that was rolled back.

        A worker that ends between a commit and the end of its batch loses the counts of that batch, as it loses
        its own.
        """
        self._asked().counts.append((name, by, tuple(sorted(labels.items()))))

    def timed(self, name: str) -> None:
        """Add to a histogram of `topology.metrics` the seconds from the record's publishing to the event's commit.

        Nothing if it is no record's event.
        """
        if self.published:
            self._asked().timed.append(name)

    @property
    def trace(self) -> str:
        """The trace that the running record came in, as a state may keep it; empty: none."""
        carried = self.carried
        return "" if carried is None or carried.trace is None else carried.trace.text()

    def peek(self, key: str) -> Any:  # noqa: ANN401 - the application's own type
        """The state of the owner of a found term as folded so far, to look at and not to change; None: there is none.

        Raises:
            AssertionError: nothing was found of this key, a defect.
        """
        self._check(key, "looked at")
        return self.owners[key]

    def tell(self, key: str, event: Any) -> None:  # noqa: ANN401 - the application's own type
        """Have `event` folded into the state of the owner of a found term, right after the running event.

        It is an event like any other, with the same `now`, but finds nobody itself. If it raises, that state is
        left as it was, a dead letter says so, and the next one is told.

        Raises:
            AssertionError: nothing was found of this key, a defect.
        """
        self._check(key, "told")
        self._asked().told.append((key, event))

    def _check(self, key: str, done: str) -> None:
        if key not in self.owners:
            raise AssertionError(f"{key!r} is {done}, but owns none of the {len(self.found)} terms found")

    def _asked(self) -> Effects:
        if self.effects is None:
            self.effects = Effects()
        return self.effects


def _checked(term: bytes) -> bytes:
    if not term or term.startswith(RESERVED):
        raise ValueError(f"{term!r} is no term: empty, or begins with NUL")
    return term
