"""What else stands against a user, and what an enforcement did, from `enforcement.events` and `resolution.events`.

This is for people to look at before they decide. What a reversal makes true is the engine's to say, in its directives.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from desk.keyed_log import Kept
from schemas import Codec, DecodeError, Record
from schemas.records import (
    Effect,
    EnforcementAmended,
    EnforcementIssued,
    EnforcementLifted,
    EnforcementSummary,
    Lesser,
    Money,
    ReversalConfirmed,
    ReversalOrdered,
    ReversalStalled,
)
from schemas.vocabulary import Action, EffectKind, Operation, Outcome, TargetKind

_OPERATIONS: Final[dict[EffectKind, Operation]] = {
    EffectKind.PAYOUT_STATUS: Operation.RELEASE,
    EffectKind.MONEY_TAKEN: Operation.REPAY,
    EffectKind.STRIKES: Operation.EXPUNGE,
}
"""What undoes an effect (docs/reversal.md); every other kind is restored."""
_REACHES_ALL: Final = frozenset({Action.SUSPENSION, Action.INTERIM_SUSPENSION, Action.SELLING_REVOKED, Action.BAN})


@dataclass(slots=True)
class Known:
    """An enforcement as far as it is known."""

    newest: EnforcementIssued | EnforcementAmended
    lifted: bool = False
    reversed: bool = False
    lesser: Lesser | None = None
    """What a modification left of it."""

    def stands(self, at: int) -> bool:
        """Whether it is in force."""
        ends = self.newest.ends_at if self.lesser is None else self.lesser.ends_at
        return not self.lifted and not self.reversed and (ends is None or ends > at)


@dataclass(frozen=True, slots=True)
class Undone:
    """What becomes of one effect if the enforcement is overturned."""

    effect: Effect
    operation: Operation
    amount: Money | None
    kept: list[Known] = field(default_factory=list[Known])
    """Other enforcements that go on restricting the same target."""


@dataclass(slots=True)
class Reversal:
    """How far the reversal of a case is."""

    ordered: ReversalOrdered
    confirmed: ReversalConfirmed | None = None
    stalled: ReversalStalled | None = None


class Standing:
    """One user's enforcements and reversals."""

    def __init__(self, codec: Codec, allowed: tuple[frozenset[type[Record]], frozenset[type[Record]]]) -> None:
        self._codec = codec
        self._allowed = allowed
        self.enforcements: dict[str, Known] = {}
        self.reversals: dict[str, Reversal] = {}
        """By case."""

    def fold(self, enforcements: Iterable[Kept], resolutions: Iterable[Kept]) -> None:
        """Take in what the two topics have of the user."""
        for record in self._decoded(enforcements, self._allowed[0]):
            self._enforced(record)
        for record in self._decoded(resolutions, self._allowed[1]):
            self._resolved(record)

    def others(self, but: str, at: int) -> list[Known]:
        """What else is in force, hardest first."""
        ladder = list(Action)
        found = [each for key, each in self.enforcements.items() if key != but and each.stands(at)]
        return sorted(found, key=lambda each: (-ladder.index(each.newest.action), -_issued_at(each.newest)))

    def undone(self, summary: EnforcementSummary, at: int) -> list[Undone]:
        """What overturning would undo, effect by effect; empty if the enforcement's effects are not known."""
        known = self.enforcements.get(summary.enforcement_id)
        if known is None:
            return []
        others = [each for each in self.others(summary.enforcement_id, at) if _bears_on(each, known)]
        return [
            Undone(
                effect,
                _OPERATIONS.get(effect.kind, Operation.RESTORE),
                effect.amount if effect.kind in (EffectKind.MONEY_TAKEN, EffectKind.PAYOUT_STATUS) else None,
                [] if effect.kind in (EffectKind.MONEY_TAKEN, EffectKind.STRIKES) else others,
            )
            for effect in known.newest.effects
        ]

    def _decoded(self, kept: Iterable[Kept], allowed: frozenset[type[Record]]) -> Iterable[Record]:
        for each in kept:
            try:
                yield self._codec.decode(each.value, allowed)
            except DecodeError:
                continue  # a dead letter of the engine's: it counts for nothing there either

    def _enforced(self, record: Record) -> None:
        match record:
            case EnforcementIssued() | EnforcementAmended():
                known = self.enforcements.get(record.enforcement_id)
                if known is None:
                    self.enforcements[record.enforcement_id] = Known(record)
                elif record.version > known.newest.version:
                    known.newest = record
            case EnforcementLifted() if record.enforcement_id in self.enforcements:
                self.enforcements[record.enforcement_id].lifted = True
            case _:
                pass

    def _resolved(self, record: Record) -> None:
        match record:
            case ReversalOrdered():
                self.reversals.setdefault(record.case_id, Reversal(record)).ordered = record
                known = self.enforcements.get(record.enforcement_id)
                if known is not None and record.outcome is Outcome.MODIFIED:
                    known.lesser = record.lesser
                elif known is not None:
                    known.reversed = True
            case ReversalConfirmed() if record.case_id in self.reversals:
                self.reversals[record.case_id].confirmed = record
                self.reversals[record.case_id].stalled = None
            case ReversalStalled() if record.case_id in self.reversals:
                self.reversals[record.case_id].stalled = record
            case _:
                pass


def _issued_at(record: EnforcementIssued | EnforcementAmended) -> int:
    return record.issued_at if isinstance(record, EnforcementIssued) else record.occurred_at


def _bears_on(other: Known, known: Known) -> bool:
    """Whether the other goes on restricting what this one hit: the same target, or the whole account."""
    target, hit = other.newest.target, known.newest.target
    if (target.kind, target.id) == (hit.kind, hit.id):
        return True
    return target.kind is TargetKind.ACCOUNT and other.newest.action in _REACHES_ALL
