"""What one record adds to which counts: a function of the record alone, so that reading it again gives the same.

Of a case's end it is one of the lines before it too (`of_end`): those that the shard keeps of an open case.
"""

from __future__ import annotations

from enum import IntEnum
from math import log2
from typing import NamedTuple

from processors.insights.open_cases import OpenCase
from processors.insights.slices import LOAD, MISFIRE, NONE, slice_key
from processors.second_review import BLIND, QUALITY
from schemas.records import CaseEvent, EnforcementIssued
from schemas.vocabulary import CaseEventKind, Dimension, Outcome


class Measure(IntEnum):
    """What is counted. The numbers are kept in state, so they never change."""

    DECIDED = 0
    OVERTURNED = 1
    MODIFIED = 2
    COMPARED = 3
    AGREED = 4
    COMPARED_QUALITY = 5
    AGREED_QUALITY = 6
    COMPARED_BLIND = 7
    AGREED_BLIND = 8
    ARRIVED = 9
    ENDED = 10
    ISSUED = 11
    APPEALED = 12
    PROMISE_MET = 13
    PROMISE_MISSED = 14
    DEADLINE_MET = 15
    DEADLINE_MISSED = 16


TIMES = 100
"""From here on, a measure is a bin of seconds to decision: bin b holds [2^(b/4), 2^((b+1)/4))."""
BINS_A_DOUBLING = 4
LAST_BIN = 150

PEOPLE = frozenset({"alone", "confirmed", "decided_alike", "lead"})
"""How a case is decided by people (`processors/deciding.py`); what a rule grants must not raise what the rule rests on,
and what a remedy closes has been judged by nobody."""
MERITS = frozenset({Outcome.UPHELD, Outcome.UPHELD_GROUND_CHANGED, Outcome.OVERTURNED, Outcome.MODIFIED})
"""Outcomes that say whether the enforcement was right, as in `processors/decision.py`."""

_MOVED = frozenset({
    CaseEventKind.CASE_REROUTED,
    CaseEventKind.CASE_REFERRED,
    CaseEventKind.CASE_ESCALATED,
    CaseEventKind.DECISION_DISPUTED,
})  # fmt: skip
"""Lines that name the pod before as `from`."""

Counted = tuple[tuple[int, int], ...]


class Fact(NamedTuple):
    """Something to count: where, when and what."""

    key: str
    at: int
    counts: Counted


def time_bin(seconds: float) -> int:
    """The measure of a time to decision."""
    return TIMES + min(LAST_BIN, int(BINS_A_DOUBLING * log2(max(seconds, 1.0))))


def of_enforcement(event: EnforcementIssued) -> list[Fact]:
    """An enforcement of a detector: what its appeals are counted against."""
    if event.detector is None:
        return []
    key = slice_key(MISFIRE, event.detector.name, event.detector.version, event.policy)
    return [Fact(key, event.issued_at, ((Measure.ISSUED, 1),))]


def of_line(line: CaseEvent) -> list[Fact]:
    """A line of the audit; most kinds add nothing."""
    match line.kind:
        case CaseEventKind.CASE_OPENED | CaseEventKind.INTERNAL_CASE_OPENED:
            return [*_came(line), *_struck(line, ((Measure.APPEALED, 1),))]
        case CaseEventKind.CASE_DECIDED:
            return [*_ended(line), *_judged(line), *_compared(line, agreed=True)]
        case CaseEventKind.DECISION_RETURNED | CaseEventKind.DECISION_DISPUTED:
            return [*_compared(line, agreed=False), *(_came(line) if line.kind in _MOVED else [])]
        case kind if kind in _MOVED:
            return _came(line)
        case _:
            return []


def _came(line: CaseEvent) -> list[Fact]:
    if line.pod is None or line.band is None or line.saw.get("from") == line.pod:
        return []
    return [Fact(slice_key(LOAD, line.pod, line.band), line.occurred_at, ((Measure.ARRIVED, 1),))]


def _ended(line: CaseEvent) -> list[Fact]:
    if line.pod is None or line.band is None:
        return []
    return [Fact(slice_key(LOAD, line.pod, line.band), line.occurred_at, ((Measure.ENDED, 1),))]


def of_end(line: CaseEvent, case: OpenCase | None) -> list[Fact]:
    """The end of a case that was open until this line: whether it came in the promised and the regulatory time.

    The line alone does not say; the lines before it have, of which `case` is made.
    """
    if line.kind is not CaseEventKind.CASE_DECIDED or case is None or line.pod is None or line.band is None:
        return []
    deadline = Measure.DEADLINE_MISSED if case.deadline_missed else Measure.DEADLINE_MET
    # An older version kept one flag for both; the promise is the shorter one.
    late = case.promise_missed or (case.overdue and not case.deadline_missed)
    promise = Measure.PROMISE_MISSED if late else Measure.PROMISE_MET
    return [Fact(slice_key(LOAD, line.pod, line.band), line.occurred_at, ((promise, 1), (deadline, 1)))]


def _struck(line: CaseEvent, counts: Counted) -> list[Fact]:
    """By when the enforcement was issued, which is when its detector was right or wrong."""
    saw = line.saw
    issued_at = saw.get("issued_at")
    if "detector" not in saw or issued_at is None or "origin" in saw:
        return []
    key = slice_key(MISFIRE, saw["detector"], saw.get("detector_version", NONE), saw.get("policy", NONE))
    return [Fact(key, int(issued_at), counts)]


def _judged(line: CaseEvent) -> list[Fact]:
    """A decision of people on the merits of an appeal."""
    saw = line.saw
    if saw.get("how") not in PEOPLE or line.outcome not in MERITS or "origin" in saw:
        return []
    overturned, modified = line.outcome is Outcome.OVERTURNED, line.outcome is Outcome.MODIFIED
    counts: Counted = (
        (Measure.DECIDED, 1),
        *(((Measure.OVERTURNED, 1),) if overturned else ()),
        *(((Measure.MODIFIED, 1),) if modified else ()),
    )
    took = ((time_bin((line.occurred_at - int(saw["submitted_at"])) / 1_000), 1),) if "submitted_at" in saw else ()
    return [
        *(
            Fact(key, line.occurred_at, (*counts, *took) if timed else counts)
            for key, timed in _slices(saw)
        ),
        *_struck(line, counts),
    ]  # fmt: skip


def _slices(saw: dict[str, str]) -> list[tuple[str, bool]]:
    """Every slice that a decision counts in, and whether the time that it took is looked at there."""
    policy, detector = saw.get("policy", NONE), saw.get("detector")
    version, automation = saw.get("detector_version", NONE), saw.get("automation", NONE)
    whole = slice_key(Dimension.DETECTOR, policy, detector or NONE, version, automation)
    found = [(slice_key(Dimension.OVERALL), True), (whole, False), (slice_key(Dimension.POLICY, policy), False)]
    if detector is not None:
        found.append((slice_key(Dimension.DETECTOR_VERSION, detector, version), False))
    for dimension, name, timed in _NAMED:
        if value := saw.get(name):
            found.append((slice_key(dimension, value), timed))
    return found


_NAMED = (
    (Dimension.DECIDER, "decided_by", False),
    (Dimension.REVIEWER, "reviewer", False),
    (Dimension.LANGUAGE, "language", True),
    (Dimension.REGION, "region", True),
)
_COMPARED_BY = (
    (Dimension.POLICY, "policy"),
    (Dimension.REVIEWER, "first_reviewer"),
    (Dimension.LANGUAGE, "language"),
    (Dimension.REGION, "region"),
)


def _compared(line: CaseEvent, *, agreed: bool) -> list[Fact]:
    """A first decision that a second person has looked at."""
    saw = line.saw
    if "second_reviewer" not in saw or "first_reviewer" not in saw:
        return []
    because = saw.get("because", "").split(",")
    counts: list[tuple[int, int]] = [(Measure.COMPARED, 1)]
    counts += [(Measure.COMPARED_QUALITY, 1)] if QUALITY in because else []
    counts += [(Measure.COMPARED_BLIND, 1)] if BLIND in because else []
    if agreed:
        counts += [(measure + 1, 1) for measure, _ in counts]
    keys = [slice_key(Dimension.OVERALL)]
    keys += [slice_key(dimension, saw[name]) for dimension, name in _COMPARED_BY if saw.get(name)]
    return [Fact(key, line.occurred_at, tuple(counts)) for key in keys]
