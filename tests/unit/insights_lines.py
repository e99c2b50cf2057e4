"""Lines and enforcements as insights read them, and a count of a whole topic to compare with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from processors.insights.cells import WINDOWS
from processors.insights.facts import Fact, Measure, of_enforcement, of_line
from processors.insights.slices import LOAD, slice_key
from schemas.records import CaseEvent, CaseId, Detector, EnforcementId, EnforcementIssued, Millis, UserId
from schemas.vocabulary import Band, CaseEventKind, CaseState, Outcome
from tests.unit.builders import HOUR, T0, an_enforcement

Event = CaseEvent | EnforcementIssued
_STATES = {
    CaseEventKind.CASE_OPENED: CaseState.QUEUED,
    CaseEventKind.CASE_CLAIMED: CaseState.CLAIMED,
    CaseEventKind.CASE_HELD: CaseState.ON_HOLD,
    CaseEventKind.CASE_DECIDED: CaseState.DECIDED,
}


def a_line(kind: CaseEventKind, at: int = T0, case: str = "c-1", **change: Any) -> CaseEvent:
    saw = {"policy": "fees", "detector": "d", "detector_version": "1", "issued_at": str(at - HOUR)}
    return CaseEvent(
        **{
            "event_id": f"{case}-{kind}-{at}",
            "user_id": UserId("u-1"),
            "seq": 1,
            "case_id": CaseId(case),
            "enforcement_id": EnforcementId("e-1"),
            "occurred_at": Millis(at),
            "kind": kind,
            "cause_id": "x",
            "state": _STATES.get(kind, CaseState.QUEUED),
            "pod": "general",
            "band": Band.P2,
            "rulebook_digest": "r",
            **change,
            "saw": saw | change.get("saw", {}),
        }
    )


def a_decided(at: int = T0, case: str = "c-1", outcome: Outcome = Outcome.UPHELD, **change: Any) -> CaseEvent:
    saw = {
        "how": "alone",
        "reviewer": "r-1",
        "automation": "AUTOMATED_DECISION_FULLY",
        "language": "de",
        "region": "DE",
        "submitted_at": str(at - 2 * HOUR),
    }
    saw |= change.pop("saw", {})
    return a_line(CaseEventKind.CASE_DECIDED, at, case, outcome=outcome, saw=saw, **change)


def issued(at: int = T0, number: int = 1, version: str = "1", **change: Any) -> EnforcementIssued:
    return an_enforcement(
        at, **{"event_id": f"issued-{number}-{at}", "detector": Detector(name="d", version=version), **change}
    )


def time_of(event: Event) -> int:
    return event.occurred_at if isinstance(event, CaseEvent) else event.issued_at


def batch_count(events: Iterable[Event], now: int, *, index: int) -> dict[str, dict[int, int]]:
    """What the window that `now` lies in counts, by slice, by going through all events once, each event_id once."""
    window = WINDOWS[index]
    end = window.end(now)
    begin = end - window.seconds * 1_000
    counts: dict[str, Counter[int]] = {}
    met: set[str] = set()
    missed: dict[str, set[CaseEventKind]] = {}
    for event in events:
        if event.event_id in met:
            continue
        met.add(event.event_id)
        facts = of_line(event) if isinstance(event, CaseEvent) else of_enforcement(event)
        if isinstance(event, CaseEvent) and event.case_id is not None:
            facts += _in_time(event, missed.setdefault(event.case_id, set()))
        for fact in facts:
            if begin <= fact.at < end:
                counts.setdefault(fact.key, Counter()).update(dict(fact.counts))
    return {key: dict(found) for key, found in counts.items()}


PROMISE, DEADLINE = (Measure.PROMISE_MET, Measure.PROMISE_MISSED), (Measure.DEADLINE_MET, Measure.DEADLINE_MISSED)


def _in_time(line: CaseEvent, missed: set[CaseEventKind]) -> list[Fact]:
    """Of a case's end, whether each of its times had passed, by the lines before it."""
    if line.kind is not CaseEventKind.CASE_DECIDED:
        missed.add(line.kind)
        return []
    if not missed:
        return []
    promise = PROMISE[CaseEventKind.PROMISE_MISSED in missed]
    deadline = DEADLINE[CaseEventKind.DEADLINE_MISSED in missed]
    return [Fact(slice_key(LOAD, line.pod or "", line.band or ""), line.occurred_at, ((promise, 1), (deadline, 1)))]
