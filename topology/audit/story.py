"""What of a user's audit is the life of one case, and what came of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from processors import ids
from schemas.records import Case, CaseEvent, CaseId, ReversalConfirmed, ReversalOrdered
from schemas.vocabulary import CaseEventKind


@dataclass(frozen=True)
class Story:
    """One case, or an appeal that became none."""

    user_id: str
    lines: list[CaseEvent]
    """What happened, in order."""
    reversals: list[ReversalOrdered | ReversalConfirmed] = field(
        default_factory=list[ReversalOrdered | ReversalConfirmed]
    )
    case: Case | None = None
    """As it stands, while it is open."""

    @property
    def case_ids(self) -> list[str]:
        """The case; none if it is about an appeal that became none."""
        return _in_order(line.case_id for line in self.lines)

    @property
    def appeal_ids(self) -> list[str]:
        """The appeal that opened it, and those that were added to it."""
        return _in_order(line.appeal_id for line in self.lines)

    @property
    def enforcement_ids(self) -> list[str]:
        """What it is about."""
        return _in_order(line.enforcement_id for line in self.lines)

    @property
    def pods(self) -> list[str]:
        """Where it was, the last one first."""
        return _in_order(line.pod for line in reversed(self.lines))

    def answers(self) -> dict[str, CaseEvent]:
        """Directive to the newest line about what its system answered."""
        answered = (CaseEventKind.DIRECTIVE_APPLIED, CaseEventKind.DIRECTIVE_FAILED)
        return {line.saw["directive_id"]: line for line in self.lines if line.kind in answered}


def lines_about(wanted: str, lines: Sequence[CaseEvent]) -> list[CaseEvent]:
    """Of all lines of a user, those in the life of this case, or of the case that this appeal opened or was added to.

    An appeal's lines before there was a case belong to it; so do answers of systems to its reversal.
    """
    named = [line for line in lines if wanted in (line.case_id, line.appeal_id)]
    cases = {line.case_id for line in named if line.case_id is not None}
    appeals = {line.appeal_id for line in lines if line.case_id in cases} | {line.appeal_id for line in named}
    reversals = {ids.reversal_id(CaseId(case_id)) for case_id in cases}
    return [
        line
        for line in lines
        if line.case_id in cases
        or (line.case_id is None and line.appeal_id is not None and line.appeal_id in appeals)
        or line.saw.get("reversal_id") in reversals
    ]


def _in_order(found: Iterable[str | None]) -> list[str]:
    return list(dict.fromkeys(one for one in found if one is not None))
