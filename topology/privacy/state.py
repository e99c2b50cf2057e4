"""What the audit says of a user's privacy: holds, and how far an erasure is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from processors.reasons import Erasure
from schemas.records import CaseEvent
from schemas.vocabulary import CaseEventKind

ABOUT = frozenset(
    {
        CaseEventKind.ERASURE_HELD,
        CaseEventKind.ERASURE_BEGUN,
        CaseEventKind.SUBJECT_ERASED,
        CaseEventKind.ERASURE_REPEATED,
        CaseEventKind.LEGAL_HOLD_PLACED,
        CaseEventKind.LEGAL_HOLD_RELEASED,
    }
)
"""Lines about it."""
CHANGED_NOTHING = frozenset(
    {
        Erasure.HELD_ALREADY,
        Erasure.BEGUN_ALREADY,
        Erasure.ERASED_ALREADY,
        Erasure.RELEASED_ALREADY,
        Erasure.UNKNOWN_HOLD,
    }
)
"""Reasons of lines that say that nothing came of a request."""
_STAGES = {
    CaseEventKind.ERASURE_HELD: "waits for legal holds",
    CaseEventKind.ERASURE_BEGUN: "begun: running reversals are carried to their end",
    CaseEventKind.SUBJECT_ERASED: "erased",
}


@dataclass
class Privacy:
    """One user's."""

    holds: dict[str, CaseEvent] = field(default_factory=dict[str, CaseEvent])
    """In force, by id, with the line that placed each."""
    erasure: CaseEvent | None = None
    """The line that says how far it is; None: nobody has asked."""

    @property
    def stage(self) -> str:
        """In words."""
        return "not asked for" if self.erasure is None else _STAGES[self.erasure.kind]


def privacy_of(lines: Iterable[CaseEvent]) -> Privacy:
    """The state after these lines of one user."""
    found = Privacy()
    for line in lines:
        if line.kind in _STAGES:
            found.erasure = line
            if line.kind is not CaseEventKind.ERASURE_HELD:
                found.holds = {}
        elif line.kind is CaseEventKind.LEGAL_HOLD_PLACED and line.reason is None:
            found.holds[line.saw["hold_id"]] = line
        elif line.kind is CaseEventKind.LEGAL_HOLD_RELEASED and line.reason is None:
            found.holds.pop(line.saw["hold_id"], None)
    return found
