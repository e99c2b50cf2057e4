"""Money that enforcement took or held: exact, by effect, never given back twice and never more than was taken.

Every amount stays with the effect that took it, in its own currency; nothing is ever converted.
"""

from collections.abc import Iterator
from decimal import Decimal

from processors.errors import ImpossibleInputError
from processors.on_file import Enforcement, FiledEffect, Sum
from schemas.records import Money
from schemas.vocabulary import Action, EffectKind

MONEY_EFFECTS = frozenset({EffectKind.MONEY_TAKEN, EffectKind.PAYOUT_STATUS})
"""Effects whose undoing moves money: back from taken, or out of a hold."""
MONEY_ACTIONS = frozenset({Action.FEE, Action.PAYOUT_LOSS, Action.COMMISSION_INCREASE, Action.PAYOUT_HOLD})
"""Actions that can keep money taken or held."""

_DIGITS = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND"), 0),
    **dict.fromkeys(("VUV", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
}
"""Digits after the point where they are not two (ISO 4217, list one)."""


def digits(currency: str) -> int:
    """How many digits after the point an amount in this currency can have (ISO 4217)."""
    return _DIGITS.get(currency, 2)


def too_fine(amount: Sum | Money) -> bool:
    """Whether nobody could pay it: it has more digits after the point than its currency."""
    value = amount.value
    return value != value.quantize(Decimal(1).scaleb(-digits(amount.currency)))


def check(amount: Money | None, where: str) -> Sum | None:
    """The amount as it is filed.

    Raises:
        ImpossibleInputError: it is negative, or finer than its currency.
    """
    if amount is None:
        return None
    if amount.value < 0:
        raise ImpossibleInputError(f"{where}: negative amount {amount.value}")
    if too_fine(amount):
        most = digits(amount.currency)
        raise ImpossibleInputError(f"{where}: {amount.value} {amount.currency} has more than {most} digits")
    return Sum(amount.value, amount.currency)


def money_due(e: Enforcement, kept: Sum | None = None) -> dict[str, Sum]:
    """By effect, what must still go back: never more than was taken, never what has gone back already.

    The enforcement's own amount is a lid on the sum of its effects, as far as the currency is the same; what the
    enforcing side returned, or an earlier reversal ordered back, comes off first. What is `kept` comes off last.
    """
    return _less(_taken_still(e), kept)


def taken_still(e: Enforcement) -> dict[str, Decimal]:
    """By currency, what is still taken or held because of it."""
    total: dict[str, Decimal] = {}
    for amount in _taken_still(e).values():
        total[amount.currency] = total.get(amount.currency, Decimal(0)) + amount.value
    return total


def book(e: Enforcement, effect_id: str, amount: Sum) -> None:
    """Note that this much of the effect was ordered back: it is never ordered again."""
    earlier = e.returned.get(effect_id)
    e.returned[effect_id] = amount if earlier is None else Sum(earlier.value + amount.value, amount.currency)


def given_back(e: Enforcement, currency: str) -> Decimal:
    """What of this version's effects went back already, by the enforcing side or by a reversal."""
    now = {effect.effect_id for effect in e.effects}
    total = sum((s.value for key, s in e.returned.items() if key in now and s.currency == currency), Decimal(0))
    if e.lift is not None and e.lift.returned is not None and e.lift.returned.currency == currency:
        total += e.lift.returned.value
    return total


def _less(due: dict[str, Sum], kept: Sum | None) -> dict[str, Sum]:
    """What is due without what stays: that comes off the effects of its currency, the last ones first."""
    if kept is None:
        return due
    stays = kept.value
    left: dict[str, Sum] = {}
    for effect_id, amount in reversed(due.items()):
        back = amount.value
        if amount.currency == kept.currency:
            held = min(back, stays)
            stays -= held
            back -= held
        if back > 0:
            left[effect_id] = Sum(back, amount.currency)
    return {effect_id: left[effect_id] for effect_id in due if effect_id in left}


def _taken_still(e: Enforcement) -> dict[str, Sum]:
    due: dict[str, Sum] = {}
    paid: dict[str, Decimal] = (
        {} if e.lift is None or e.lift.returned is None else {e.lift.returned.currency: e.lift.returned.value}
    )
    lid = None
    if e.amount is not None:
        lid = max(Decimal(0), e.amount.value - given_back(e, e.amount.currency))
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


def _money_effects(e: Enforcement) -> Iterator[FiledEffect]:
    seen: set[str] = set()
    for effect in e.effects:
        if effect.kind in MONEY_EFFECTS and effect.effect_id not in seen:
            seen.add(effect.effect_id)
            yield effect
