"""The ledger: each statement of reasons that was complained about or undone, and what came of it.

The DSA Transparency Database has no field for what became of a statement; this is the link that it lacks.
"""

from __future__ import annotations

from dataclasses import dataclass

from topology.report.complaint import Complaint, Result
from topology.report.figures import Figures, Undone
from topology.report.times import moment

COLUMNS = (
    "statement_of_reasons_id",
    "enforcement_id",
    "enforcement_version",
    "action",
    "appeal_id",
    "submitted_at",
    "case_id",
    "result",
    "outcome",
    "decided_by",
    "decided_at",
    "undone_at",
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line; texts, empty where there is nothing to say. No user is named."""

    statement_of_reasons_id: str
    enforcement_id: str
    enforcement_version: str
    action: str
    appeal_id: str
    submitted_at: str
    case_id: str
    result: str
    outcome: str
    decided_by: str
    decided_at: str
    undone_at: str
    """When the systems had confirmed that it is undone."""


def entries(figures: Figures) -> list[Entry]:
    """By time of submission, or of reversal where nobody complained."""
    found = [(one.submitted_at, one.appeal_id, _of_complaint(one)) for one in figures.complaints]
    found += [(one.ordered_at, one.reversal_id, _of_undone(one)) for one in figures.undone]
    return [entry for _, _, entry in sorted(found, key=lambda item: item[:2])]


def _of_complaint(one: Complaint) -> Entry:
    measure, ending = one.measure, one.ending
    return Entry(
        statement_of_reasons_id="" if measure is None else measure.statement_of_reasons_id,
        enforcement_id=one.enforcement_id,
        enforcement_version="" if measure is None else str(measure.version),
        action="" if measure is None else measure.action.value,
        appeal_id=one.appeal_id,
        submitted_at=moment(one.submitted_at),
        case_id=ending.case_id or "",
        result=ending.result.value,
        outcome=ending.why,
        decided_by=ending.decider.value,
        decided_at=moment(ending.at),
        undone_at=moment(one.confirmed_at),
    )


def _of_undone(one: Undone) -> Entry:
    measure = one.measure
    return Entry(
        statement_of_reasons_id="" if measure is None else measure.statement_of_reasons_id,
        enforcement_id=one.enforcement_id,
        enforcement_version="" if measure is None else str(measure.version),
        action="" if measure is None else measure.action.value,
        appeal_id="",
        submitted_at="",
        case_id="",
        result=Result.REVERSED.value,
        outcome="overturned:without_complaint",
        decided_by=one.decider.value,
        decided_at=moment(one.ordered_at),
        undone_at=moment(one.confirmed_at),
    )
