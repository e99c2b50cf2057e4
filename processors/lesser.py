"""What a decision may leave of an enforcement: something milder, and in no respect harder than what is in force."""

from processors.money import MONEY_ACTIONS, taken_still, too_fine
from processors.on_file import Enforcement, FiledLesser, Sum
from processors.remains import strikes_left
from processors.standing_state import milder
from schemas.records import Lesser
from schemas.vocabulary import Action

_AT_ONCE = frozenset({Action.WARNING, Action.FEE, Action.PAYOUT_LOSS, Action.LIVESTREAM_ENDED})
"""Actions that are done and over: an end or a territory says nothing about them."""


def filed(lesser: Lesser) -> FiledLesser:
    """As it is kept."""
    amount = lesser.amount
    return FiledLesser(
        lesser.action,
        lesser.ends_at,
        list(lesser.scope),
        None if amount is None else Sum(amount.value, amount.currency),
        lesser.strikes,
    )


def not_lesser(lesser: FiledLesser, e: Enforcement) -> str | None:
    """In which respect it is not milder, or cannot be; none if it is a sound modification."""
    force = e.force
    if lesser.action is not force.action and not milder(lesser.action, force.action):
        return f"{lesser.action} is not milder than {force.action}"
    if lesser.action not in _AT_ONCE:
        if force.ends_at is not None and (lesser.ends_at is None or lesser.ends_at > force.ends_at):
            return f"it ends later than {force.ends_at}"
        if force.scope and (not lesser.scope or not set(lesser.scope) <= set(force.scope)):
            return f"it reaches beyond {','.join(force.scope)}"
    if lesser.strikes > strikes_left(e):
        return f"it leaves {lesser.strikes} strikes of {strikes_left(e)}"
    return _money_fault(lesser, e) or (None if _something_less(lesser, force, e) else "it is not less in any respect")


def told(lesser: FiledLesser) -> dict[str, str]:
    """For the audit."""
    saw = {"lesser_action": lesser.action.value, "lesser_strikes": str(lesser.strikes)}
    if lesser.ends_at is not None:
        saw["lesser_ends_at"] = str(lesser.ends_at)
    if lesser.scope:
        saw["lesser_scope"] = ",".join(lesser.scope)[:4_000]
    if lesser.amount is not None:
        saw["lesser_amount"] = f"{lesser.amount.value} {lesser.amount.currency}"
    return saw


def _money_fault(lesser: FiledLesser, e: Enforcement) -> str | None:
    kept = lesser.amount
    if kept is None:
        return None
    if lesser.action not in MONEY_ACTIONS and lesser.action is not e.force.action:
        return f"{lesser.action} keeps no money"
    if too_fine(kept) or kept.value < 0:
        return f"{kept.value} {kept.currency} is no amount that can be paid"
    taken = taken_still(e)
    if kept.currency not in taken:
        return f"no money is taken or held in {kept.currency}"
    if kept.value > taken[kept.currency]:
        return f"only {taken[kept.currency]} {kept.currency} are taken or held"
    return None


def _something_less(lesser: FiledLesser, force: FiledLesser, e: Enforcement) -> bool:
    if lesser.action is not force.action or lesser.strikes < strikes_left(e):
        return True
    if lesser.action not in _AT_ONCE and (lesser.ends_at != force.ends_at or set(lesser.scope) != set(force.scope)):
        return True
    taken = taken_still(e)
    kept = lesser.amount
    return any(value > (kept.value if kept is not None and kept.currency == key else 0) for key, value in taken.items())
