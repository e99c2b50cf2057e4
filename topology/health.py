"""Is the process alive, and does it do its work? What `/livez` and `/readyz` answer."""

from __future__ import annotations

from collections import Counter
from typing import Any

from topology.engine.loop import Worker
from topology.engine.partition import Status
from topology.engine.ports import Clock


class Health:
    """Of one worker, from before it is built until the process ends. Any thread may ask.

    Args:
        longest_s: no round of the loop takes longer, nor does a start (`EngineConfig.longest_step_s`).
        clock: of the process.
    """

    def __init__(self, longest_s: float, clock: Clock) -> None:
        self._longest_s = longest_s
        self._clock = clock
        self._began_at = clock.monotonic()
        self.worker: Worker[Any] | None = None
        """Set once it is built."""

    def live(self) -> str | None:
        """None while the loop moves; else a restart is the remedy, as a round that long hangs."""
        worker = self.worker
        silent_s = self._clock.monotonic() - self._began_at if worker is None else worker.silent_s
        if silent_s <= self._longest_s:
            return None
        what = "the start has taken" if worker is None else "the loop has not moved for"
        return f"{what} {silent_s:.0f} s; more than {self._longest_s:.0f} s cannot be waiting for somebody"

    def ready(self) -> str | None:
        """None while partitions are held and every one of them is caught up with its changelog."""
        if self.worker is None:
            return "starting"
        statuses = Counter(self.worker.partitions.values())
        if not statuses:
            return "no partitions are assigned"
        if missing := statuses.total() - statuses[Status.ACTIVE]:
            return f"{missing} of {statuses.total()} partitions are being restored"
        return None
