"""The balance of a replay: what went in, what came out, by year, and whether the two agree.

An appeal and all that became of it count in the year in which it arrived, so that each year's line comes out even.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from topology.replay.outcome import Outcomes
from topology.replay.plan import Plan

EXAMPLES = 3


class Line(msgspec.Struct):
    """One year, or all of them."""

    enforcements: int = 0
    lifted: int = 0
    """Enforcements that the enforcing side took back, appealed or not."""
    appeals: int = 0
    """Distinct ids."""
    cases: int = 0
    refused: dict[str, int] = {}
    """By reason."""
    parked: int = 0
    """Still waiting for their enforcement when the file ended."""
    withdrawn: int = 0
    """Taken back before there was a case."""
    decided: dict[str, int] = {}
    """Cases by outcome."""
    open: int = 0
    """Cases without a decision when the file ended."""
    joined_after_parking: int = 0
    """Cases whose appeal came before its enforcement."""
    dead_letters: int = 0


class Dropped(msgspec.Struct):
    """Rows, or users named in rows, that made no record."""

    year: int
    kind: str
    reason: str
    count: int


class Balance(msgspec.Struct):
    """A replay in numbers."""

    file: str
    mapping: str
    rows: dict[str, int]
    """By kind."""
    rows_skipped: list[Dropped]
    users_unmatched: list[Dropped]
    rows_out_of_order: int
    records: dict[str, int]
    """By type, as sent."""
    years: dict[str, Line]
    total: Line
    processed: bool
    """Were the records folded too? Otherwise only what goes in is known."""
    reviews_rejected: dict[str, int]
    dead_letters: dict[str, int]
    """By reason."""
    digest: str
    """Of all outputs; equal for equal results."""
    faults: list[str]

    @property
    def even(self) -> bool:
        """Does everything that went in come out exactly once?"""
        return not self.faults


def balance(plan: Plan, outcomes: Outcomes | None) -> Balance:
    """Count; without outcomes, only what goes in."""
    years = {year: Line() for year in sorted({year for year, _ in plan.records})}
    for (year, kind), count in plan.records.items():
        line = years[year]
        if kind == "EnforcementIssued":
            line.enforcements += count
        elif kind == "EnforcementLifted":
            line.lifted += count
    for year in plan.appeals.values():
        years[year].appeals += 1
    found = outcomes or Outcomes()
    for appeal_id, year in plan.appeals.items():
        _add(years[year], appeal_id, found)
    for (year, _), count in found.dead_letters.items():
        years.setdefault(year, Line()).dead_letters += count
    total = _total(years.values())
    records: dict[str, int] = {}
    for (_, kind), count in sorted(plan.records.items()):
        records[kind] = records.get(kind, 0) + count
    dead: dict[str, int] = {}
    for (_, reason), count in sorted(found.dead_letters.items()):
        dead[reason] = dead.get(reason, 0) + count
    tally = plan.tally
    return Balance(
        file=plan.path.name,
        mapping=plan.mapping.name,
        rows=dict(sorted(tally.rows.items())),
        rows_skipped=[Dropped(*key, count) for key, count in sorted(tally.skipped.items())],
        users_unmatched=[Dropped(*key, count) for key, count in sorted(tally.unmatched.items())],
        rows_out_of_order=tally.out_of_order,
        records=records,
        years={str(year): line for year, line in sorted(years.items())},
        total=total,
        processed=outcomes is not None,
        reviews_rejected=dict(sorted(found.reviews_rejected.items())),
        dead_letters=dead,
        digest=found.digest,
        faults=[] if outcomes is None else list(_faults(plan, outcomes, total)),
    )


def _add(line: Line, appeal_id: str, found: Outcomes) -> None:
    opened = found.opened[appeal_id]
    reasons = found.refused.get(appeal_id, [])
    decisions = found.decided.get(appeal_id, [])
    line.cases += opened
    line.withdrawn += found.withdrawn[appeal_id]
    line.open += max(0, opened - len(decisions))
    if appeal_id in found.parked:
        line.parked += not found.ends(appeal_id)
        line.joined_after_parking += bool(opened)
    for counts, names in ((line.refused, reasons), (line.decided, decisions)):
        for name in names:
            counts[name] = counts.get(name, 0) + 1


def _total(lines: Iterable[Line]) -> Line:
    total = Line()
    for line in lines:
        for name in Line.__struct_fields__:
            value = getattr(line, name)
            if isinstance(value, int):
                setattr(total, name, getattr(total, name) + value)
            else:
                sums: dict[str, int] = getattr(total, name)
                for key, count in value.items():
                    sums[key] = sums.get(key, 0) + count
    return total


def _faults(plan: Plan, outcomes: Outcomes, total: Line) -> Iterable[str]:
    """Whatever keeps the balance from being even, appeal by appeal and in sum."""
    sent = plan.appeals
    lost = [a for a in sent if not outcomes.ends(a) and a not in outcomes.parked]
    twice = [a for a in sent if outcomes.ends(a) > 1]
    foreign = sorted(outcomes.seen - sent.keys())
    decided = {a: len(found) for a, found in outcomes.decided.items()}
    wrongly = sorted(a for a, count in decided.items() if count > outcomes.opened[a])
    for name, found in (
        ("left no trace in the audit", lost),
        ("ended more than once", twice),
        ("are in the audit, but not in the file", foreign),
        ("were decided more often than opened", wrongly),
    ):
        if found:
            yield f"{len(found)} appeals {name}, e.g. {', '.join(found[:EXAMPLES])}"
    out = total.cases + sum(total.refused.values()) + total.parked + total.withdrawn
    if total.appeals != out:
        yield (
            f"{total.appeals} appeals went in, {out} came out: {total.cases} cases, {sum(total.refused.values())} "
            f"refused, {total.parked} parked, {total.withdrawn} withdrawn; {total.dead_letters} dead letters"
        )
