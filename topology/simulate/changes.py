"""How one appeal fares differently under two rulebooks, each difference with what explains it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from enum import StrEnum

import msgspec

from schemas.records import Case, Component
from topology.simulate.fates import Answer, Fate, triggers_of

HOUR_MS = 3_600_000
OPEN = "open"
MET = "met"
MISSED = "missed"
NO_CASE = "no case"


class Kind(StrEnum):
    """What differs."""

    ANSWER = "answer"
    """Another answer of intake: a case, or a refusal and its reason."""
    BAND = "band"
    SCORE = "score"
    POD = "pod"
    RULE = "rule"
    """The routing rule that chose the pod."""
    RANK = "rank_at"
    PROMISED = "promised_at"
    DUE = "due_at"
    LATER_TRIAGE = "later triage"
    """Opened alike, ranked or routed differently afterwards."""
    SECOND_REVIEW = "second review"
    AUTOMATIC = "automatic decision"
    DEADLINE = "deadline"
    PROMISE = "promise"
    OUTCOME = "outcome"
    OTHER = "other"
    """Something else that was written about it: resent orders, texts of notices, times of lines."""


class Change(msgspec.Struct, frozen=True):
    """One difference."""

    kind: Kind
    user_id: str
    appeal_id: str
    case_id: str | None
    old: str
    new: str
    size: int
    """How far apart, to put the largest first: points, or milliseconds; 0 where there is no measure."""
    because: tuple[str, ...]
    """What explains it, as far as the cases themselves do."""


def changes(old: Fate, new: Fate) -> list[Change]:
    """All differences between two fates of the same appeal; none if everything written about it is the same."""
    found = list(_found(old, new))
    if not found and old.trace.mark != new.trace.mark:
        found.append(_change(Kind.OTHER, old, new, "", "", because=_kinds(old, new)))
    return found


def answer_of(fate: Fate) -> str:
    """In one word, for tables."""
    return f"{fate.answer}: {fate.refusal}" if fate.answer is Answer.REFUSED else str(fate.answer)


def outcome_of(fate: Fate) -> str:
    """The outcome of the case, or where it stood when the record ended."""
    if fate.outcome is not None:
        return str(fate.outcome)
    return NO_CASE if fate.first is None else f"{OPEN} ({fate.state})"


def deadline_of(fate: Fate) -> str:
    """Was the regulatory due time kept?"""
    if fate.last is None:
        return NO_CASE
    return _kept(fate, fate.last.due_at, missed=fate.deadline_missed)


def promise_of(fate: Fate) -> str:
    """Was the handling time of the band kept, time in which the work clock stood still left out?"""
    if fate.last is None:
        return NO_CASE
    case = fate.last
    running = fate.decided_at is None and case.pause is not None
    if running:
        return MISSED if fate.promise_missed else OPEN
    return _kept(fate, case.promised_at + case.paused_ms, missed=fate.promise_missed)


def decided_by(fate: Fate) -> str:
    """Who ended the case: a rule, a consequence of another decision, or neither."""
    if fate.by_consequence:
        return "as a consequence"
    return "by a rule" if fate.by_rule else "withheld" if fate.withheld else "not by a rule"


def moment(at_ms: int) -> str:
    """UTC, to the minute."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")


def _kept(fate: Fate, until: int, *, missed: bool) -> str:
    end = fate.seen_until if fate.decided_at is None else fate.decided_at
    if missed or end > until:
        return MISSED
    return OPEN if fate.decided_at is None else MET


def _found(old: Fate, new: Fate) -> Iterator[Change]:
    if answer_of(old) != answer_of(new):
        yield _change(Kind.ANSWER, old, new, answer_of(old), answer_of(new))
    if old.first is not None and new.first is not None:
        yield from _triage(old, new, old.first, new.first)
        yield from _course(old, new)


def _triage(old: Fate, new: Fate, was: Case, now: Case) -> Iterator[Change]:
    parts = tuple(_parts(was, now))
    routes = tuple(_routes(was, now))
    for kind, read, tell, because in _LOOKS:
        before, after = read(was), read(now)
        if before != after:
            why = routes if because == "route" else parts
            size = abs(after - before) if isinstance(before, int) and isinstance(after, int) else 0
            yield _change(kind, old, new, tell(before), tell(after), size, why)
    if old.last is not None and new.last is not None and _placed(was) == _placed(now):
        before, after = _placed(old.last), _placed(new.last)
        if before != after:
            why = (*_parts(old.last, new.last), *_routes(old.last, new.last))
            yield _change(Kind.LATER_TRIAGE, old, new, _place(old.last), _place(new.last), 0, why)


def _course(old: Fate, new: Fate) -> Iterator[Change]:
    """What happened after the opening."""
    before, after = triggers_of(old), triggers_of(new)
    if before != after:
        yield _change(Kind.SECOND_REVIEW, old, new, _listed(before), _listed(after))
    for kind, told in (
        (Kind.AUTOMATIC, decided_by),
        (Kind.DEADLINE, deadline_of),
        (Kind.PROMISE, promise_of),
        (Kind.OUTCOME, outcome_of),
    ):
        if told(old) != told(new):
            yield _change(kind, old, new, told(old), told(new), because=tuple(_times(kind, old, new)))


def _change(
    kind: Kind, old: Fate, new: Fate, before: str, after: str, size: int = 0, because: tuple[str, ...] = ()
) -> Change:
    case = new.last or old.last
    case_id = None if case is None else case.case_id
    return Change(kind, new.user_id, new.appeal_id, case_id, before, after, size, because)


Look = tuple[Kind, Callable[[Case], "str | int"], Callable[["str | int"], str], str]
"""What of an opened case is compared, how it is told, and what explains it."""


def _at(value: str | int) -> str:
    return moment(int(value))


_LOOKS: tuple[Look, ...] = (
    (Kind.BAND, lambda c: str(c.band), str, "parts"),
    (Kind.SCORE, lambda c: c.score, str, "parts"),
    (Kind.POD, lambda c: c.pod, str, "route"),
    (Kind.RULE, lambda c: c.routing.rule, str, "route"),
    (Kind.RANK, lambda c: c.rank_at, _at, "parts"),
    (Kind.PROMISED, lambda c: c.promised_at, _at, "parts"),
    (Kind.DUE, lambda c: c.due_at, _at, "parts"),
)


def _parts(was: Case, now: Case) -> Iterator[str]:
    """The components of the score that differ, side by side; bands if the score does not explain them."""
    before, after = ({part.name: part for part in case.components} for case in (was, now))
    for name in [*before, *(name for name in after if name not in before)]:
        one, other = before.get(name), after.get(name)
        if one != other:
            yield f"{name} {_part(one)} -> {_part(other)}"
    if was.band != now.band or was.score != now.score:
        yield f"score {was.score} in {was.band} -> {now.score} in {now.band}"


def _part(part: Component | None) -> str:
    if part is None:
        return "(none)"
    return f"{part.contribution:g} (weight {part.weight:g}, value {part.value:g}: {part.because})"


def _routes(was: Case, now: Case) -> Iterator[str]:
    if was.routing != now.routing:
        yield f"rule {was.routing.rule} ({was.routing.because}) -> {now.routing.rule} ({now.routing.because})"


def _placed(case: Case) -> tuple[object, ...]:
    return (case.band, case.score, case.pod, case.routing.rule, case.rank_at, case.promised_at, case.due_at)


def _place(case: Case) -> str:
    return f"{case.band} {case.score} {case.pod}"


def _times(kind: Kind, old: Fate, new: Fate) -> Iterator[str]:
    for name, fate in (("old", old), ("new", new)):
        case = fate.last
        if case is None:
            continue
        ended = (
            f"{OPEN} at {moment(fate.seen_until)}" if fate.decided_at is None else f"ended {moment(fate.decided_at)}"
        )
        if kind is Kind.DEADLINE:
            yield f"{name}: due {moment(case.due_at)}, {ended}"
        elif kind is Kind.PROMISE:
            yield f"{name}: promised {moment(case.promised_at)} ({case.band}), {ended}"
        else:
            yield f"{name}: {ended}"


def _kinds(old: Fate, new: Fate) -> tuple[str, ...]:
    before, after = old.trace.kinds, new.trace.kinds
    names = sorted({*before, *after})
    counts = [
        f"{name} {before.get(name, 0)} -> {after.get(name, 0)}" for name in names if before.get(name) != after.get(name)
    ]
    return tuple(counts) or ("the same kinds of records, with other contents",)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"
