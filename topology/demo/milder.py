"""What a specialist leaves of a measure that was too hard: a milder one, or less of the same."""

from __future__ import annotations

from decimal import Decimal

from schemas.records import Case, EnforcementSummary, Lesser, Millis, Money
from schemas.vocabulary import Action
from topology.demo import measures

_LEFT: dict[Action, Action] = {
    Action.REDUCED_DISCOVERABILITY: Action.REDUCED_DISCOVERABILITY,
    Action.CONTENT_LABEL: Action.WARNING,
    Action.CONTENT_REMOVAL: Action.CONTENT_LABEL,
    Action.LIVESTREAM_ENDED: Action.WARNING,
    Action.FEATURE_RESTRICTION: Action.FEATURE_RESTRICTION,
    Action.COMMISSION_INCREASE: Action.COMMISSION_INCREASE,
    Action.FEE: Action.FEE,
    Action.PAYOUT_HOLD: Action.PAYOUT_HOLD,
    Action.PAYOUT_LOSS: Action.FEE,
    Action.SUSPENSION: Action.SUSPENSION,
    Action.INTERIM_SUSPENSION: Action.SUSPENSION,
    Action.SELLING_REVOKED: Action.FEATURE_RESTRICTION,
    Action.BAN: Action.SUSPENSION,
}
_AT_ONCE = frozenset({Action.WARNING, Action.FEE})
"""Done and over: no sooner end and no smaller place makes them milder."""
_DAYS = 14
"""How long something lasts that lasted for ever."""


def lesser(case: Case) -> Lesser | None:
    """What is left; none if there is nothing milder. The same for the same case, whoever looks at it."""
    e = case.enforcement
    action = _LEFT.get(e.action)
    if action is None:
        return None
    scope = measures.scope(e.enforcement_id)
    once = action in _AT_ONCE
    return Lesser(
        action=action,
        ends_at=e.ends_at if once else _sooner(e),
        scope=scope if once else scope[:1],
        amount=_half(e.amount) if action in (Action.FEE, Action.PAYOUT_HOLD) else None,
        strikes=e.strikes // 2,
    )


def _sooner(e: EnforcementSummary) -> Millis:
    """Half of the time that it was to last."""
    if e.ends_at is None:
        return Millis(e.issued_at + _DAYS * measures.DAY_MS)
    return Millis(e.issued_at + (e.ends_at - e.issued_at) // 2)


def _half(amount: Money | None) -> Money | None:
    if amount is None:
        return None
    half = (amount.value / 2).quantize(Decimal("0.01"), rounding="ROUND_DOWN")
    return Money(value=half, currency=amount.currency) if half else None
