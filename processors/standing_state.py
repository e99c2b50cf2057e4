"""The state that must hold after a directive: the union of the enforcements that survive and bear on its effect.

Overturning one of two suspensions must not free the account. So a directive does not say what to take back but what
must be true afterwards, whatever happened in between: which restriction holds where, and until when.
"""

from collections.abc import Iterable

from processors.on_file import Enforcement
from processors.remains import Standing
from processors.undoing import Held
from schemas.vocabulary import Action, EffectKind, TargetKind

_LADDER = {action: place for place, action in enumerate(Action)}
"""Mildest to hardest, as the vocabulary lists them."""

_ACCOUNT = {Action.SUSPENSION, Action.INTERIM_SUSPENSION, Action.BAN}
_SELLING = {*_ACCOUNT, Action.SELLING_REVOKED}
_CONTENT = {Action.CONTENT_LABEL, Action.REDUCED_DISCOVERABILITY, Action.CONTENT_REMOVAL}

BEARS_ON: dict[EffectKind, frozenset[Action]] = {
    EffectKind.ACCOUNT_STATUS: frozenset(_ACCOUNT),
    EffectKind.SELLING_STATUS: frozenset(_SELLING),
    EffectKind.FEATURE_STATUS: frozenset({*_SELLING, Action.FEATURE_RESTRICTION}),
    EffectKind.LIVESTREAM_STATUS: frozenset({*_SELLING, Action.FEATURE_RESTRICTION, Action.LIVESTREAM_ENDED}),
    EffectKind.VISIBILITY: frozenset({*_ACCOUNT, *_CONTENT} - {Action.CONTENT_LABEL}),
    EffectKind.CONTENT_STATUS: frozenset(_CONTENT),
    EffectKind.LABEL: frozenset({Action.CONTENT_LABEL, Action.CONTENT_REMOVAL}),
    EffectKind.PAYOUT_STATUS: frozenset({Action.PAYOUT_HOLD, Action.PAYOUT_LOSS}),
    EffectKind.COMMISSION_RATE: frozenset({Action.COMMISSION_INCREASE}),
    EffectKind.MONEY_TAKEN: frozenset(),
    EffectKind.STRIKES: frozenset(),
}
"""Which actions bear on an effect of each kind, whatever their own effects; total but for ``UNKNOWN``."""

_NO_STATE = frozenset({EffectKind.MONEY_TAKEN, EffectKind.STRIKES})
"""Undone by amounts and numbers of their own enforcement."""


def state_for(standing: Standing, effect: EffectKind, kind: TargetKind, target_id: str) -> list[Held]:
    """What must hold for this kind of effect on this target, hardest first.

    What something harder covers is listed too: it must hold again once that is gone.
    """
    if effect in _NO_STATE:
        return []
    held = [
        Held(force.action, territory, force.ends_at, enforcement_id)
        for enforcement_id, e in standing.survivors(kind, target_id)
        if _bears(e, (force := e.force).action, effect)
        for territory in (force.scope or [None])
    ]
    held.sort(key=lambda h: (-_LADDER[h.action], h.territory or "", -(h.ends_at or 1 << 62), h.enforcement_id))
    return held


def still_holds(told: Iterable[Held], at: int) -> list[Held]:
    """Of a state that was told, what has not run out by itself."""
    return [held for held in told if held.ends_at is None or held.ends_at > at]


def milder(action: Action, than: Action) -> bool:
    """Whether an action lies lower on the ladder."""
    return _LADDER[action] < _LADDER[than]


def _bears(e: Enforcement, action: Action, effect: EffectKind) -> bool:
    if action in BEARS_ON[effect]:
        return True
    return e.lesser is None and any(filed.kind is effect for filed in e.effects)
