"""What of a user's audit is the life of one case, and what came of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from processors import ids
from schemas.records import Case, CaseEvent, CaseId, ReversalConfirmed, ReversalOrdered
from schemas.vocabulary import CaseEventKind
from topology.reversals.life import ReversalLife, lives


@dataclass(frozen=True)
class Story:
    """One case, or an appeal that became none."""

    user_id: str
    lines: list[CaseEvent]
    """What happened, in order; also to what followed from it."""
    reversals: list[ReversalOrdered | ReversalConfirmed] = field(
        default_factory=list[ReversalOrdered | ReversalConfirmed]
    )
    case: Case | None = None
    """As it stands, while it is open."""

    @property
    def case_ids(self) -> list[str]:
        """The case; none if it is about an appeal that became none."""
        return _in_order(line.case_id for line in self._own())

    @property
    def appeal_ids(self) -> list[str]:
        """The appeal that opened it, and those that were added to it."""
        return _in_order(line.appeal_id for line in self._own())

    @property
    def enforcement_ids(self) -> list[str]:
        """What it is about."""
        return _in_order(line.enforcement_id for line in self._own())

    @property
    def pods(self) -> list[str]:
        """Where it was, the last one first."""
        return _in_order(line.pod for line in reversed(self._own()))

    @property
    def reversed_for(self) -> set[str]:
        """The cases that reversals of this story name; one without a case names itself."""
        followed = {line.saw["reversal_id"] for line in self.lines if "reversal_id" in line.saw}
        return followed | {line.case_id for line in self.lines if line.case_id is not None}

    def lives(self) -> list[ReversalLife]:
        """Each reversal through its life: the case's own, and those that followed from it."""
        return list(lives(self.reversals, self.lines).values())

    def consequences(self) -> list[tuple[CaseEvent, str]]:
        """Each line about an enforcement that rested on an overturned one, and what it led to, in words."""
        return [(line, self._led_to(line)) for line in self.lines if line.kind is CaseEventKind.CONSEQUENCE_JUDGED]

    def _led_to(self, judged: CaseEvent) -> str:
        reversal_id = judged.saw.get("reversal_id")
        if reversal_id is not None:
            return f"reversal {reversal_id}"
        for line in self.lines:
            same = line.enforcement_id == judged.enforcement_id and line.case_id is not None
            if same and _because(line) == judged.saw.get("caused_by"):
                opened = line.kind is CaseEventKind.INTERNAL_CASE_OPENED
                return f"{'internal case' if opened else 'open case'} {line.case_id} with {line.pod}"
        return "people look at it"

    def _own(self) -> list[CaseEvent]:
        """The lines about the case itself, not about what followed from it."""
        ordered = {line.saw.get("reversal_id") for line in self.lines if line.kind is CaseEventKind.REVERSAL_ORDERED}
        judged = [line for line in self.lines if line.kind is CaseEventKind.CONSEQUENCE_JUDGED]
        followed = {line.saw.get("reversal_id") for line in judged if line.saw.get("caused_by") in ordered} - {None}
        known = (ordered | {line.case_id for line in self.lines}) - {None}
        return [
            line
            for line in self.lines
            if line.kind is not CaseEventKind.CONSEQUENCE_JUDGED
            and line.kind is not CaseEventKind.IMMUNITY_BREACHED
            and line.saw.get("reversal_id") not in followed
            and _because(line) not in known
        ]


def lines_about(wanted: str, lines: Sequence[CaseEvent]) -> list[CaseEvent]:
    """Of all lines of a user, those in the life of this case, or of the case that this appeal opened or was added to.

    An appeal's lines before there was a case belong to it; so do answers of systems to its reversal, and what followed
    from that: consequences with their own reversals, and the opening of the cases in which people look at them.
    """
    named = [line for line in lines if wanted in (line.case_id, line.appeal_id)]
    cases = {line.case_id for line in named if line.case_id is not None}
    appeals = {line.appeal_id for line in lines if line.case_id in cases} | {line.appeal_id for line in named}
    reversals = {ids.reversal_id(CaseId(case_id)) for case_id in cases}
    for line in lines:  # a consequence is judged after what it follows from was ordered: one pass is enough
        if line.kind is CaseEventKind.CONSEQUENCE_JUDGED and line.saw.get("caused_by") in reversals:
            reversals.add(line.saw.get("reversal_id", ""))
    reversals.discard("")
    return [
        line
        for line in lines
        if line.case_id in cases
        or (line.case_id is None and line.appeal_id is not None and line.appeal_id in appeals)
        or line.saw.get("reversal_id") in reversals
        or _because(line) in reversals | cases
    ]


def _because(line: CaseEvent) -> str | None:
    """The reversal, or the remanded case, that this line follows from; none of most lines."""
    followers = (
        CaseEventKind.CONSEQUENCE_JUDGED,
        CaseEventKind.INTERNAL_CASE_OPENED,
        CaseEventKind.ENFORCEMENT_CHANGED,
    )
    if line.kind not in followers:
        return None
    return line.saw.get("because") or line.saw.get("caused_by")


def _in_order(found: Iterable[str | None]) -> list[str]:
    return list(dict.fromkeys(one for one in found if one is not None))
