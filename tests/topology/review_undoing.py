"""Reversals as an outsider sees them: what was ordered, answered, superseded and stalled, by lines and orders alone."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from enum import StrEnum

from schemas.records import (
    CaseEvent,
    Directive,
    EnforcementAmended,
    EnforcementIssued,
    EnforcementLifted,
    EnforcementRemanded,
    ImmunityGranted,
    LegalHoldPlaced,
    LegalHoldReleased,
    Record,
    ReversalConfirmed,
    ReversalOrdered,
    ReversalStalled,
    SubjectErasureRequested,
    UserProfileUpdated,
)
from schemas.vocabulary import CaseEventKind, EffectKind, Operation, Outcome
from tests.topology.review_standing import Filed, Lifted, Standing, lesser_of

Kind = CaseEventKind
_ENFORCEMENT = (
    *(EnforcementIssued, EnforcementAmended, EnforcementLifted, UserProfileUpdated),
    *(SubjectErasureRequested, LegalHoldPlaced, LegalHoldReleased),
)
"""What comes on the topic of enforcements."""


class Stage(StrEnum):
    """How far a directive is."""

    SENT = "sent"
    FAILED = "failed"
    """For good: people are needed."""
    APPLIED = "applied"
    SUPERSEDED = "superseded"


@dataclass
class Undoing:
    """One reversal."""

    first: ReversalOrdered
    kinds: dict[str, EffectKind]
    """Of the effects that it undoes."""
    at: int
    told: dict[str, Directive] = field(default_factory=dict)
    stage: dict[str, Stage] = field(default_factory=dict)
    successor: dict[str, str] = field(default_factory=dict)
    attempt: int = 0
    stalled: str | None = None
    """Why people are needed."""
    confirmed: bool = False

    def newest(self, effect_id: str) -> Directive:
        """The directive that says what must hold about an effect: the one that was told last."""
        about = [d for d in self.told.values() if d.effect_id == effect_id]
        return max(about, key=lambda d: (d.revision, d.operation is Operation.RESTORE))

    @property
    def unsettled(self) -> set[str]:
        return {key for key, stage in self.stage.items() if stage in (Stage.SENT, Stage.FAILED)}


@dataclass
class SentBack:
    """A remand that is open."""

    line: CaseEvent
    answer_by: int
    version: int
    lift: Lifted | None
    """What the enforcing side had taken back by then."""


def same_reversal(one: CaseEvent, other: CaseEvent) -> bool:
    """Whether two lines are about the same reversal."""
    return one.saw.get("reversal_id") == other.saw.get("reversal_id")


class Undone:
    """What is known of all reversals, remands and immunities, and of what stands."""

    def __init__(self) -> None:
        self.standing: defaultdict[str, Standing] = defaultdict(Standing)
        self.reversals: dict[str, Undoing] = {}
        self.orders: dict[tuple[str, int], ReversalOrdered] = {}
        self.confirmed: dict[str, list[ReversalConfirmed]] = defaultdict(list)
        self.stalls: list[ReversalStalled] = []
        self.queue: dict[str, ReversalStalled] = {}
        """The operations pod's topic, read from its beginning."""
        self.immunities: dict[str, ImmunityGranted] = {}
        self.remands: dict[str, EnforcementRemanded] = {}
        """By case."""
        self.open_remands: dict[str, SentBack] = {}
        """By the case that was remanded."""
        self.overturned: dict[tuple[str, int], str] = {}
        """By enforcement and version: the reversal."""
        self.revision: defaultdict[str, int] = defaultdict(int)
        self.judged: set[tuple[str, int]] = set()
        """Enforcements and versions that were judged again because their cause was overturned."""
        self.breached: set[str] = set()
        """Enforcements that strike what is immune."""
        self.now = 0
        """When the newest input was written, UTC ms."""
        self._inputs: defaultdict[str, list[Record]] = defaultdict(list)
        self._folded: defaultdict[str, int] = defaultdict(int)

    def take_input(self, record: Record, at: int) -> None:
        """Each delivery of an input, in the order of writing, with its time (UTC ms)."""
        self.now = max(self.now, at)
        if isinstance(record, _ENFORCEMENT):
            self._inputs[record.user_id].append(record)

    def take_output(self, record: Record) -> None:
        """A record of `resolution.events`."""
        match record:
            case ReversalOrdered():
                self.orders[record.reversal_id, record.attempt] = record
            case ReversalConfirmed():
                self.confirmed[record.reversal_id].append(record)
            case ReversalStalled():
                self.stalls.append(record)
            case ImmunityGranted():
                self.immunities[record.reversal_id] = record
            case EnforcementRemanded():
                self.remands[record.case_id] = record
            case _:
                raise AssertionError(f"{type(record).__name__} is not an output that is read here")

    def take_stalled(self, key: str, record: Record | None) -> None:
        """A record of `reversals.stalled`, or a tombstone."""
        if record is None:
            del self.queue[key]
        else:
            assert isinstance(record, ReversalStalled)
            self.queue[key] = record

    def advance(self, user: str, folded: int | None = None) -> Standing:
        """The user's enforcements after so many inputs about them; none: after all that were written."""
        inputs, standing = self._inputs[user], self.standing[user]
        until = len(inputs) if folded is None else folded
        for record in inputs[self._folded[user] : until]:
            standing.take(record)
        self._folded[user] = max(until, self._folded[user])
        return standing

    def filed(self, line: CaseEvent) -> Filed:
        """The enforcement that a line is about."""
        return self.standing[line.user_id].files[str(line.enforcement_id)]

    def before(self, line: CaseEvent, ahead: list[CaseEvent]) -> None:
        """Bring the standing to where it was when this line was written; `ahead`: the lines of the same cause."""
        self.advance(line.user_id, line.folded[0] if line.folded else 0)
        if line.kind is Kind.CASE_DECIDED and line.outcome is Outcome.OVERTURNED:
            self._fall(line)
        elif line.kind is Kind.CASE_DECIDED and line.outcome is Outcome.MODIFIED:
            self.filed(line).modify(lesser_of(line))
        elif line.kind is Kind.CONSEQUENCE_JUDGED and line.reason == "lifted":
            self._fall(line)
        elif line.kind is Kind.REVERSAL_ORDERED and line.saw["attempt"] == "1":
            # What falls with it is counted as reversed before anything is sent.
            falling = {line.saw["reversal_id"]}
            for later in ahead:
                lifted = later.kind is Kind.CONSEQUENCE_JUDGED and later.reason == "lifted"
                if lifted and later.saw["caused_by"] in falling:
                    falling.add(later.saw["reversal_id"])
                    self._fall(later)

    def _fall(self, line: CaseEvent) -> None:
        self.filed(line).overturn()

    def of(self, line: CaseEvent) -> Undoing | None:
        """The reversal that a line is about."""
        return self.reversals.get(line.saw.get("reversal_id", ""))

    def take_line(self, line: CaseEvent) -> None:
        """After it was checked."""
        undoing = self.of(line)
        if line.kind is Kind.REVERSAL_ORDERED:
            self._ordered(line)
        elif undoing is not None:
            _happen(undoing, line)
        match line.kind:
            case Kind.ENFORCEMENT_REMANDED:
                filed, answer_by = self.filed(line), int(line.saw["answer_by"])
                self.open_remands[str(line.case_id)] = SentBack(line, answer_by, filed.now.version, filed.lift)
            case Kind.REMAND_ANSWERED | Kind.REMAND_OVERDUE:
                self.open_remands.pop(str(line.case_id), None)
            case Kind.CONSEQUENCE_JUDGED:
                self.judged.add((str(line.enforcement_id), self.filed(line).now.version))
            case Kind.ERASURE_BEGUN | Kind.SUBJECT_ERASED:  # nobody is waited for any more
                theirs = [key for key, one in self.open_remands.items() if one.line.user_id == line.user_id]
                for key in theirs:
                    del self.open_remands[key]
            case Kind.IMMUNITY_BREACHED:
                self.breached.add(str(line.enforcement_id))
            case _:
                pass

    def _ordered(self, line: CaseEvent) -> None:
        order = self.orders[line.saw["reversal_id"], int(line.saw["attempt"])]
        undoing = self.reversals.get(order.reversal_id)
        if undoing is None:
            filed = self.filed(line)
            kinds = {effect.effect_id: effect.kind for effect in filed.effects().values()}
            undoing = self.reversals[order.reversal_id] = Undoing(order, kinds, line.occurred_at)
            if order.outcome is Outcome.OVERTURNED:
                self.overturned[order.enforcement_id, order.enforcement_version] = order.reversal_id
            for directive in order.directives:
                if directive.amount is not None:
                    back = filed.returned.get(directive.effect_id, 0)
                    filed.returned[directive.effect_id] = directive.amount.value + back
        undoing.attempt = order.attempt
        for directive in order.directives:
            undoing.told[directive.directive_id] = directive
            undoing.stage[directive.directive_id] = Stage.SENT
            self.revision[line.user_id] = directive.revision


def _happen(undoing: Undoing, line: CaseEvent) -> None:
    """What a line says of a running reversal."""
    key = line.saw.get("directive_id", "")
    match line.kind:
        case Kind.DIRECTIVE_SUPERSEDED:
            late = undoing.stage[key] is Stage.APPLIED
            undoing.stage[key] = Stage.SUPERSEDED
            if late and Stage.FAILED not in undoing.stage.values():
                undoing.stalled = None  # it was applied at last, and only needs doing again
            undoing.successor[key] = line.saw["by"]
        case Kind.DIRECTIVE_APPLIED:
            undoing.stage[key] = Stage.APPLIED
        case Kind.DIRECTIVE_RESOLVED:
            undoing.stage[line.saw["directives"]] = Stage.APPLIED
        case Kind.DIRECTIVE_FAILED if line.reason != "failed_retryable":
            undoing.stage[key] = Stage.FAILED
        case Kind.REVERSAL_RETRIED:
            undoing.stage |= dict.fromkeys(line.saw["directives"].split(","), Stage.SENT)
            if Stage.FAILED not in undoing.stage.values():
                undoing.stalled = None
        case Kind.REVERSAL_STALLED:
            undoing.stalled = line.reason
        case Kind.REVERSAL_CONFIRMED:
            undoing.confirmed, undoing.stalled = True, None
        case _:
            pass
