"""What of an enforcement still stands at a moment, and what a reversal of it would still have to restore.

A lift or an end takes the restriction away, but not the strike on the record nor money that was taken: while these
count, an appeal still has an object.
"""

from collections.abc import Iterator
from decimal import Decimal

from processors.dossier import Dossier
from processors.on_file import Enforcement, FiledEffect, Sum
from schemas.records import EnforcementId
from schemas.vocabulary import Action, EffectKind, TargetKind

MONEY_EFFECTS = frozenset({EffectKind.MONEY_TAKEN, EffectKind.PAYOUT_STATUS})
"""Effects whose undoing moves money: back from taken, or out of a hold."""

_TAKING = frozenset({Action.FEE, Action.PAYOUT_LOSS, Action.COMMISSION_INCREASE})
_REACH_BEYOND_TARGET = frozenset(
    {
        Action.REDUCED_DISCOVERABILITY,
        Action.FEATURE_RESTRICTION,
        Action.PAYOUT_HOLD,
        Action.SUSPENSION,
        Action.INTERIM_SUSPENSION,
        Action.SELLING_REVOKED,
        Action.BAN,
    }
)
"""Actions that, taken against an account, bear on everything the account has."""


def stands(e: Enforcement, at: int) -> bool:
    """Whether its restriction is in force at this moment."""
    return e.lift is None and e.reversed_version < e.version and (e.ends_at is None or e.ends_at > at)


def was_over(e: Enforcement, at: int) -> bool:
    """Whether the user could know at this moment that it was over: lifted, ended or overturned by then."""
    if e.reversed_version >= e.version:
        return True
    return (e.lift is not None and e.lift.at <= at) or (e.ends_at is not None and e.ends_at <= at)


def strikes_left(e: Enforcement) -> int:
    """Strikes that are still on the record because of it."""
    expunged = e.reversed_version >= e.version or (e.lift is not None and e.lift.strikes_expunged)
    return 0 if expunged else e.strikes


def something_remains(e: Enforcement) -> bool:
    """Whether overturning it would still restore something, its restriction aside."""
    if e.reversed_version >= e.version:
        return False
    if e.strikes and not (e.lift is not None and e.lift.strikes_expunged):
        return True
    taken = [effect for effect in e.effects if effect.kind is EffectKind.MONEY_TAKEN]
    if not taken:
        return e.action in _TAKING and e.amount is not None and e.amount.value > _given_back(e, e.amount.currency)
    due = money_due(e)
    return any(effect.effect_id in due for effect in taken)


def money_due(e: Enforcement) -> dict[str, Sum]:
    """By effect, what must still go back: never more than was taken, never what has gone back already.

    The enforcement's own amount is a lid on the sum of its effects, as far as the currency is the same; what the
    enforcing side returned, or an earlier reversal ordered back, comes off first.
    """
    due: dict[str, Sum] = {}
    paid: dict[str, Decimal] = (
        {} if e.lift is None or e.lift.returned is None else {e.lift.returned.currency: e.lift.returned.value}
    )
    lid = None
    if e.amount is not None:
        lid = max(Decimal(0), e.amount.value - _given_back(e, e.amount.currency))
    for effect in _money_effects(e):
        taken = effect.amount or e.amount
        if taken is None:
            continue
        left = taken.value
        earlier = e.returned.get(effect.effect_id)
        if earlier is not None:  # in another currency the two cannot be compared: rather nothing than twice
            left = left - earlier.value if earlier.currency == taken.currency else Decimal(0)
        settled = min(max(left, Decimal(0)), paid.get(taken.currency, Decimal(0)))
        if settled:
            paid[taken.currency] -= settled
            left -= settled
        if lid is not None and e.amount is not None and e.amount.currency == taken.currency:
            left = min(left, lid)
            lid -= max(left, Decimal(0))
        if left > 0:
            due[effect.effect_id] = Sum(left, taken.currency)
    return due


def survivors(
    dossier: Dossier, but: EnforcementId, kind: TargetKind, target_id: str, at: int
) -> Iterator[tuple[EnforcementId, Enforcement]]:
    """The user's other enforcements that still stand on this target, or on the account in a way that reaches it."""
    for enforcement_id, e in dossier.enforcements.items():
        same = e.target_kind is kind and e.target_id == target_id
        reaching = e.target_kind is TargetKind.ACCOUNT and e.action in _REACH_BEYOND_TARGET
        if enforcement_id != but and (same or reaching) and stands(e, at):
            yield enforcement_id, e


def _money_effects(e: Enforcement) -> Iterator[FiledEffect]:
    seen: set[str] = set()
    for effect in e.effects:
        if effect.kind in MONEY_EFFECTS and effect.effect_id not in seen:
            seen.add(effect.effect_id)
            yield effect


def _given_back(e: Enforcement, currency: str) -> Decimal:
    """What of this version's effects went back already, by the enforcing side or by a reversal."""
    now = {effect.effect_id for effect in e.effects}
    total = sum((s.value for key, s in e.returned.items() if key in now and s.currency == currency), Decimal(0))
    if e.lift is not None and e.lift.returned is not None and e.lift.returned.currency == currency:
        total += e.lift.returned.value
    return total
