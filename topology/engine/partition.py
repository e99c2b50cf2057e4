"""The life of a partition in a worker, as a table of moves, and what the worker keeps about it."""

from __future__ import annotations

from enum import Enum

from topology.engine.allowance import Allowances
from topology.engine.merge import Merge
from topology.engine.state import Cache
from topology.engine.timers import Timers


class Status(Enum):
    """Where a partition stands. Only an `ACTIVE` one is folded."""

    ASSIGNED = "assigned"
    """Ours, paused; nothing is known yet, and whatever was cached is forgotten."""
    RESTORING = "restoring"
    """The store is being brought up to the changelog's high watermark (rule 4)."""
    ACTIVE = "active"
    """Caught up: its events are folded."""


MOVES: dict[Status, frozenset[Status]] = {
    Status.ASSIGNED: frozenset({Status.RESTORING, Status.ASSIGNED}),
    Status.RESTORING: frozenset({Status.ACTIVE, Status.ASSIGNED}),
    Status.ACTIVE: frozenset({Status.ASSIGNED}),
}


class Partition:
    """One partition of all inputs, with its state."""

    __slots__ = (
        "allowances",
        "cache",
        "clock_ms",
        "committed",
        "ends",
        "merge",
        "newest",
        "next_due",
        "number",
        "partition_count",
        "paused_inputs",
        "positions",
        "quiet_since",
        "status",
        "timers",
        "waiting_since",
    )

    def __init__(self, number: int, inputs: int, cached_states: int, cached_bytes: int) -> None:
        self.number = number
        self.status = Status.ASSIGNED
        self.cache = Cache(cached_states, cached_bytes)
        self.timers = Timers()
        self.partition_count = 0
        """How many partitions share an allowance."""
        self.allowances: Allowances | None = None
        """What its events have spent; None until the first batch reads it."""
        self.clock_ms = 0
        """Highest event time folded; kept in the metadata of the committed offsets, so it survives a restart."""
        self.positions: dict[int, int] = {}
        """Next offset to fold, by index of the input topic."""
        self.committed: dict[int, int] = {}
        """The same, committed; outlives what is forgotten, as it only tells how far behind we are."""
        self.ends: dict[int, int] = {}
        """Where the inputs ended when the partition came."""
        self.newest: dict[int, int] = {}
        """When the newest record folded was published (UTC ms), by index of the input."""
        self.next_due: int | None = None
        """UTC ms of the earliest timer when the newest batch was planned by the wall clock."""
        self.merge = Merge(inputs)
        self.paused_inputs: set[int] = set()
        """Inputs that wait because enough of them is buffered."""
        self.quiet_since = 0.0
        """Since when there has been nothing else to read, while they waited."""
        self.waiting_since: float | None = None
        """Since when records have been waiting for a slower input (monotonic seconds)."""

    def move(self, status: Status) -> None:
        """Change the status by the table; anything else is a defect of the engine."""
        if status not in MOVES[self.status]:
            raise AssertionError(f"partition {self.number} cannot go from {self.status} to {status}")
        self.status = status

    def forget(self) -> None:
        """Back to `ASSIGNED`: what is in memory may not be what was committed (rules 1, 3 and 5)."""
        self.move(Status.ASSIGNED)
        self.cache.clear()
        self.timers = Timers()
        self.allowances = None
        self.merge = Merge(len(self.merge.lanes))
        self.positions = {}
        self.next_due = None
        self.paused_inputs = set()
        self.waiting_since = None
