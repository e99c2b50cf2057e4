"""What an outsider knows of a user's erasure: who asked, what holds it up, how far it is; by records and lines."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum

from schemas.records import (
    AppealSubmitted,
    CaseEvent,
    LegalHoldPlaced,
    LegalHoldReleased,
    Record,
    SubjectErasureRequested,
)
from schemas.vocabulary import CaseEventKind

Kind = CaseEventKind


class Stage(StrEnum):
    """How far an erasure is."""

    HELD = "held_already"
    """By a legal hold. Each value is what another request is told."""
    BEGUN = "begun_already"
    """A reversal runs and is carried to its end."""
    DONE = "erased_already"


class Forgetting:
    """The erasure of one user."""

    def __init__(self) -> None:
        self.stage: Stage | None = None
        """None: nobody has asked, as far as the lines tell."""
        self.asked: dict[str, SubjectErasureRequested] = {}
        """All requests that were written, answered or not."""
        self.at = 0
        """When what was there was forgotten, UTC ms: appeals from before are ignored, later ones refused."""
        self.holds: set[str] = set()
        """Legal holds that the lines say were placed and not released."""
        self.released: set[str] = set()
        self.written: set[str] = set()
        """The same two by the records alone."""
        self.written_off: set[str] = set()
        self.parked: set[str] = set()
        """Appeals that wait for their enforcement."""
        self.ignored: Counter[str] = Counter()
        """Appeals that were ignored, as they were from before."""
        self.late: Counter[str] = Counter()
        """Inputs that were written when all was forgotten: deliveries, by event."""
        self.told: Counter[str] = Counter()
        """Lines about what came when all was forgotten, by what caused them."""
        self.settled = False
        """All was forgotten when the engine last came to rest."""

    @property
    def begun(self) -> bool:
        """Whether the user is erased, but for what running reversals need."""
        return self.stage in (Stage.BEGUN, Stage.DONE)

    @property
    def done(self) -> bool:
        return self.stage is Stage.DONE

    def take_input(self, record: Record) -> None:
        """Each delivery of an input about the user, in the order of writing."""
        match record:
            case SubjectErasureRequested():
                self.asked.setdefault(record.event_id, record)
            case LegalHoldPlaced() if record.hold_id not in self.written_off:
                self.written.add(record.hold_id)
            case LegalHoldReleased() if record.hold_id in self.written:
                self.written.remove(record.hold_id)
                self.written_off.add(record.hold_id)
            case _:
                pass
        if self.settled:
            self.late[record.event_id] += 1  # type: ignore[attr-defined]

    def take_line(self, line: CaseEvent, record: Record | None) -> None:
        """A line about the user, after it was checked, and the input that caused it, if one did."""
        if self.settled:
            self.told[line.cause_id] += 1
        match line.kind:
            case Kind.LEGAL_HOLD_PLACED if line.reason is None:
                self.holds.add(line.saw["hold_id"])
            case Kind.LEGAL_HOLD_RELEASED if line.reason is None:
                self.holds.remove(line.saw["hold_id"])
                self.released.add(line.saw["hold_id"])
            case Kind.ERASURE_HELD:
                self.stage = Stage.HELD
            case Kind.ERASURE_BEGUN | Kind.SUBJECT_ERASED:
                self._forget(line)
            case Kind.ERASURE_REPEATED if self.begun:
                self.at = line.occurred_at
            case Kind.APPEAL_PARKED:
                self.parked.add(str(line.appeal_id))
            case Kind.CASE_OPENED | Kind.APPEAL_REFUSED | Kind.APPEAL_WITHDRAWN_UNOPENED:
                self.parked.discard(str(line.appeal_id))
            case Kind.INPUT_IGNORED if isinstance(record, AppealSubmitted):
                self.ignored[record.appeal_id] += 1
            case _:
                pass

    def _forget(self, line: CaseEvent) -> None:
        if self.stage is not Stage.BEGUN:
            self.at = line.occurred_at
        self.stage = Stage.BEGUN if line.kind is Kind.ERASURE_BEGUN else Stage.DONE
        self.holds.clear()
        self.released.clear()

    def rest(self) -> None:
        """The engine has folded all that was written."""
        self.settled = self.done
