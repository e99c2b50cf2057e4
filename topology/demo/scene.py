"""What there is to show at one moment, gathered from the simulated world; how it looks is the screen's business."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from schemas.records import Case
from topology.demo.outbox import Outbox
from topology.demo.systems import EnforcementSystems
from topology.demo.traffic import Plan
from topology.demo.view import View

_RATE_OVER_S = 3.0
_HISTORY_S = 40
_CASE_STAYS_S = 3.0
"""Long enough to read why a case is where it is."""


@dataclass
class Scene:
    """Everything that a screen may show. Used by the main thread only."""

    plan: Plan
    outbox: Outbox
    view: View
    systems: EnforcementSystems
    folder: Path
    servers: str
    workers: int
    specialists: int
    desk: str = ""
    """Where somebody can take part; empty: nowhere."""
    phase: str = "starting"
    unread: int = 0
    began_s: float = field(default_factory=time.monotonic)
    _samples: deque[tuple[float, int]] = field(default_factory=lambda: deque[tuple[float, int]](maxlen=400))
    _case: Case | None = None
    _case_since_s: float = 0.0

    @property
    def elapsed_s(self) -> float:
        """Since the first record."""
        return time.monotonic() - self.began_s

    def sample(self) -> None:
        """Take note of how much has been sent; called a few times a second."""
        self._samples.append((time.monotonic(), self.outbox.ledger.records))

    def rate(self) -> float:
        """Records a second into the inputs, over the last seconds."""
        if len(self._samples) < 2:  # noqa: PLR2004
            return 0.0
        now_s, now = self._samples[-1]
        then_s, then = next((sample for sample in self._samples if sample[0] >= now_s - _RATE_OVER_S), self._samples[0])
        return (now - then) / (now_s - then_s) if now_s > then_s else 0.0

    def history(self) -> list[float]:
        """Records a second, second by second, oldest first."""
        if not self._samples:
            return []
        last_s = self._samples[-1][0]
        ends: dict[int, int] = {}
        for at_s, count in self._samples:
            ends[int(last_s - at_s)] = count
        ages = sorted(ends, reverse=True)[-_HISTORY_S:]
        return [float(max(0, ends[age] - ends[older])) for older, age in pairwise(ages)]

    def case(self) -> Case | None:
        """A case to explain: the newest, but not another one before it could be read."""
        now = time.monotonic()
        if self.view.newest and now - self._case_since_s >= _CASE_STAYS_S:
            self._case, self._case_since_s = self.view.newest[-1], now
        return self._case

    def queue(self) -> dict[str, dict[str, int]]:
        """Open cases by pod and band; `claimed` counts those that somebody has."""
        table: dict[str, dict[str, int]] = {}
        for (pod, _), case in self.view.open.copy().items():
            row = table.setdefault(pod, {})
            row[case.band] = row.get(case.band, 0) + 1
            if case.claim is not None:
                row["claimed"] = row.get("claimed", 0) + 1
        return table
