"""What the screen knows: read from the output topics, like any other reader of the contract.

The balance at the end does not use a figure of this module.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from dataclasses import dataclass, field

from schemas.records import Case, CaseEvent, MisfireSuspected, ReversalConfirmed, ReversalOrdered
from schemas.vocabulary import CaseEventKind, MisfireKind
from topology.demo.actors import Actor
from topology.demo.outbox import Outbox
from topology.demo.reading import Arrived, Reader
from topology.demo.specialists import CASES
from topology.engine import deadletter

DEAD_LETTERS = ".dlq"
MISFIRES = "misfire.alerts"

_LATENCIES = 5_000
_NEWEST = 8


@dataclass
class Letter:
    """A dead letter, as its headers tell it."""

    origin: str
    reason: str
    text: str


@dataclass(frozen=True)
class Misfire:
    """An alert, and when it was read."""

    alert: MisfireSuspected
    at_s: float
    """By the monotonic clock."""

    def __str__(self) -> str:
        alert = self.alert
        what = "appealed against" if alert.kind is MisfireKind.APPEAL_RATE else "overturned"
        return (
            f"{alert.detector.name} {alert.detector.version}: {alert.rate:.0%} of {alert.n:,} {what}, "
            f"expected at most {alert.baseline:.0%}"
        )


@dataclass
class Totals:
    """Counts since the start. Written by the view's thread only."""

    opened: int = 0
    lines: Counter[CaseEventKind] = field(default_factory=Counter[CaseEventKind])
    refused: Counter[str] = field(default_factory=Counter[str])
    rejected: Counter[str] = field(default_factory=Counter[str])
    outcomes: Counter[str] = field(default_factory=Counter[str])
    decided_by_pod: Counter[str] = field(default_factory=Counter[str])
    resent: int = 0
    reversals: set[str] = field(default_factory=set[str])
    confirmed: set[str] = field(default_factory=set[str])
    directives: set[str] = field(default_factory=set[str])
    letters: Counter[str] = field(default_factory=Counter[str])
    misfires: dict[str, Misfire] = field(default_factory=dict[str, "Misfire"])
    """By alert: what the insights suspect."""


class View(Actor):
    """Reads the outputs and keeps what the screen shows."""

    def __init__(self, reader: Reader, outbox: Outbox) -> None:
        super().__init__(reader, name="demo-view")
        self._outbox = outbox
        self.totals = Totals()
        self.open: dict[tuple[str, str], Case] = {}
        """Open cases by pod and id."""
        self.newest: deque[Case] = deque(maxlen=_NEWEST)
        self.letter: Letter | None = None
        self._latencies_ms: deque[tuple[float, float]] = deque(maxlen=_LATENCIES)
        self._seen: set[str] = set()

    def receive(self, arrived: Arrived) -> None:
        """Count one output record."""
        match arrived.record:
            case CaseEvent() as line:
                self._line(line)
            case Case() as case:
                self._case(arrived.topic.removeprefix(CASES), case)
            case ReversalOrdered() as order:
                self.totals.reversals.add(order.reversal_id)
                self.totals.directives |= {directive.directive_id for directive in order.directives}
                self.totals.resent += order.attempt > 1
            case MisfireSuspected() as alert:
                self.totals.misfires.setdefault(alert.alert_id, Misfire(alert, time.monotonic()))
            case ReversalConfirmed() as confirmed:
                self.totals.confirmed.add(confirmed.reversal_id)
            case _ if arrived.topic.startswith(CASES):
                self.open.pop((arrived.topic.removeprefix(CASES), arrived.key), None)
            case _ if arrived.topic.endswith(DEAD_LETTERS):
                self._letter(arrived.headers)
            case _:
                pass

    def latency_ms(self, last_s: float = 10.0) -> tuple[float, float] | None:
        """Median and 99th percentile of the last seconds: appeal handed to the producer to case read from its pod.

        Appeals that came before their enforcement wait for it, and are left out.
        """
        since = time.monotonic() - last_s
        recent = sorted(ms for at, ms in list(self._latencies_ms) if at >= since)
        if not recent:
            return None
        return recent[len(recent) // 2], recent[min(len(recent) - 1, int(len(recent) * 0.99))]

    def _line(self, line: CaseEvent) -> None:
        totals = self.totals
        totals.lines[line.kind] += 1
        match line.kind:
            case CaseEventKind.APPEAL_PARKED if line.appeal_id is not None:
                self._seen.add(line.appeal_id)
            case CaseEventKind.APPEAL_REFUSED:
                totals.refused[line.reason or "?"] += 1
            case CaseEventKind.REVIEW_REJECTED:
                totals.rejected[line.reason or "?"] += 1
            case CaseEventKind.CASE_DECIDED:
                totals.outcomes[line.outcome or "?"] += 1
                totals.decided_by_pod[line.pod or "?"] += 1
            case CaseEventKind.CASE_OPENED:
                totals.opened += 1
            case _:
                pass

    def _case(self, pod: str, case: Case) -> None:
        self.open[pod, case.case_id] = case
        if case.version > 1:
            return
        self.newest.append(case)
        sent_s = self._outbox.appealed_s.get(case.appeal_id)
        if sent_s is not None and case.appeal_id not in self._seen:
            self._seen.add(case.appeal_id)
            now = time.monotonic()
            self._latencies_ms.append((now, (now - sent_s) * 1000))

    def _letter(self, headers: dict[str, bytes]) -> None:
        told = {name: value.decode(errors="replace") for name, value in headers.items()}
        where = f"{told.get(deadletter.TOPIC)}[{told.get(deadletter.PARTITION)}]@{told.get(deadletter.OFFSET)}"
        reason = told.get(deadletter.REASON, "?")
        self.totals.letters[reason] += 1
        self.letter = Letter(where, reason, told.get(deadletter.MESSAGE, ""))
