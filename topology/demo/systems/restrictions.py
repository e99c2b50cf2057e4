"""What restricts a target, and when two lists of restrictions are the same: where what is harder covers what is milder.

Nothing here is taken from the engine: it is the enforcing side's own idea of what holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from schemas.records import EnforcementId, Lesser, Millis
from schemas.vocabulary import Action, EffectKind

LADDER = {action: step for step, action in enumerate(Action)}
"""Mildest to hardest, in the order of the vocabulary."""

MONEY_KINDS = frozenset({EffectKind.MONEY_TAKEN, EffectKind.PAYOUT_STATUS})
"""Effects that take or hold money."""
STATUS_KINDS = frozenset(EffectKind) - {EffectKind.UNKNOWN, EffectKind.MONEY_TAKEN, EffectKind.STRIKES}
"""Effects that restrict something for as long as they hold."""

_WHOLE_ACCOUNT = {Action.SUSPENSION, Action.INTERIM_SUSPENSION, Action.BAN}
_RESTRICTING: dict[EffectKind, set[Action]] = {
    EffectKind.ACCOUNT_STATUS: _WHOLE_ACCOUNT,
    EffectKind.SELLING_STATUS: {*_WHOLE_ACCOUNT, Action.SELLING_REVOKED},
    EffectKind.FEATURE_STATUS: {*_WHOLE_ACCOUNT, Action.SELLING_REVOKED, Action.FEATURE_RESTRICTION},
    EffectKind.LIVESTREAM_STATUS: {
        *_WHOLE_ACCOUNT,
        Action.SELLING_REVOKED,
        Action.FEATURE_RESTRICTION,
        Action.LIVESTREAM_ENDED,
    },
    EffectKind.VISIBILITY: {*_WHOLE_ACCOUNT, Action.REDUCED_DISCOVERABILITY, Action.CONTENT_REMOVAL},
    EffectKind.CONTENT_STATUS: {Action.CONTENT_LABEL, Action.REDUCED_DISCOVERABILITY, Action.CONTENT_REMOVAL},
    EffectKind.LABEL: {Action.CONTENT_LABEL, Action.CONTENT_REMOVAL},
    EffectKind.PAYOUT_STATUS: {Action.PAYOUT_HOLD, Action.PAYOUT_LOSS},
    EffectKind.COMMISSION_RATE: {Action.COMMISSION_INCREASE},
}


@dataclass(frozen=True)
class Held:
    """One restriction in force, and whose it is."""

    action: Action
    territory: str | None
    """None: everywhere."""
    ends_at: int | None
    """UTC ms; none: until it is taken back."""
    enforcement_id: EnforcementId

    def over(self, at: int) -> bool:
        """Has it run out by this moment?"""
        return self.ends_at is not None and self.ends_at <= at

    def covers(self, other: Held) -> bool:
        """Does this one alone make the other one say nothing new?"""
        where = self.territory is None or self.territory == other.territory
        as_long = self.ends_at is None or (other.ends_at is not None and self.ends_at >= other.ends_at)
        return where and as_long and LADDER[self.action] >= LADDER[other.action]


Told = tuple[str, str, int]
"""A restriction without its owner, comparable and sortable: action, territory or ``""``, end or 0."""


def put(action: Action, scope: Sequence[str], ends_at: Millis | None, enforcement_id: EnforcementId) -> frozenset[Held]:
    """The restrictions that a measure puts on each thing that it restricts: one for each territory."""
    return frozenset(Held(action, territory, ends_at, enforcement_id) for territory in (scope or [None]))


def left_by(lesser: Lesser, kind: EffectKind, enforcement_id: EnforcementId) -> frozenset[Held]:
    """What is left on this kind of effect when a measure was modified: the milder action may not touch it at all."""
    if lesser.action not in _RESTRICTING.get(kind, ()):
        return frozenset()
    return put(lesser.action, lesser.scope, lesser.ends_at, enforcement_id)


def plain(held: Iterable[Held], at: int) -> frozenset[Told]:
    """What really restricts at this moment: nothing that is over, nothing that something harder covers."""
    now = {h for h in held if not h.over(at)}
    told = {(h.action.value, h.territory or "", h.ends_at or 0): h for h in now}
    return frozenset(
        key for key, h in told.items() if not any(other.covers(h) for name, other in told.items() if name != key)
    )
