"""What each system is asked to make true: one directive for each effect of an enforcement.

A directive names the state that must hold afterwards, so it can be sent again at any time. Money and strikes are the
exception in form only: they are absolute too, but about nothing else than their own effect.
"""

from processors import ids
from processors.dossier import Dossier
from processors.errors import UnknownSymbolError
from processors.money import MONEY_EFFECTS, book, money_due
from processors.on_file import Enforcement, FiledEffect, FiledLesser, Sum
from processors.outbox import money
from processors.remains import Standing, strikes_left, survivors
from processors.standing_state import state_for
from processors.undoing import Held, Order, Reversal
from schemas.records import Directive, Restriction, Survivor, Target
from schemas.vocabulary import DirectiveState, EffectKind, Operation

OPERATIONS = {
    EffectKind.ACCOUNT_STATUS: Operation.RESTORE,
    EffectKind.SELLING_STATUS: Operation.RESTORE,
    EffectKind.FEATURE_STATUS: Operation.RESTORE,
    EffectKind.VISIBILITY: Operation.RESTORE,
    EffectKind.CONTENT_STATUS: Operation.RESTORE,
    EffectKind.LIVESTREAM_STATUS: Operation.RESTORE,
    EffectKind.COMMISSION_RATE: Operation.RESTORE,
    EffectKind.LABEL: Operation.RESTORE,
    EffectKind.PAYOUT_STATUS: Operation.RELEASE,
    EffectKind.MONEY_TAKEN: Operation.REPAY,
    EffectKind.STRIKES: Operation.EXPUNGE,
}
"""What undoes each kind of effect; total but for ``UNKNOWN``, which no enforcement on file has."""


def plan(reversal_id: str, e: Enforcement, lesser: FiledLesser | None) -> list[Order]:
    """The directives that a reversal needs; the money that they move is booked as returned, once, whatever is answered.

    Args:
        reversal_id: the reversal.
        e: what is reversed; nothing of this reversal is booked on it yet.
        lesser: what is left of it; none: nothing is.
    """
    due = money_due(e, None if lesser is None else lesser.amount)
    orders: dict[str, Order] = {}
    for effect in e.effects:
        if effect.effect_id in orders:
            continue
        order = _order(reversal_id, e, effect, due.get(effect.effect_id), lesser)
        if order is None:
            continue
        orders[effect.effect_id] = order
        if order.amount is not None:
            book(e, effect.effect_id, order.amount)
    return list(orders.values())


def effect_kind(e: Enforcement | None, order: Order) -> EffectKind:
    """The kind of the order's effect; what was stored before orders knew it is found on the enforcement."""
    if order.kind is not EffectKind.UNKNOWN or e is None:
        return order.kind
    return next((effect.kind for effect in e.effects if effect.effect_id == order.effect_id), EffectKind.UNKNOWN)


def state_now(dossier: Dossier, running: Reversal, order: Order, standing: Standing) -> list[Held]:
    """What must hold after this directive, as things stand."""
    kind = effect_kind(dossier.enforcements.get(running.enforcement_id), order)
    if kind is EffectKind.UNKNOWN:
        raise UnknownSymbolError(f"directive {order.directive_id}: the kind of effect {order.effect_id} is not known")
    return state_for(standing, kind, running.target_kind, running.target_id)


def record_of(running: Reversal, order: Order, standing: list[Survivor], revision: int) -> Directive:
    """The directive as it travels."""
    return Directive(
        directive_id=order.directive_id,
        system=order.system,
        operation=order.operation,
        target=Target(kind=running.target_kind, id=running.target_id, content_hash=running.content_hash),
        effect_id=order.effect_id,
        params=dict(order.params),
        amount=money(order.amount),
        surviving=standing,
        idempotency_key=order.directive_id,
        state=[
            Restriction(
                action=held.action,
                territory=held.territory,
                ends_at=held.ends_at,
                enforcement_id=held.enforcement_id,
            )
            for held in order.told
        ],
        strikes_kept=order.strikes_kept,
        deadline=running.deadline,
        revision=revision,
        supersedes=order.supersedes,
    )


def standing_records(dossier: Dossier, running: Reversal, at: int) -> list[Survivor]:
    """Everything that stands on the target, or reaches it, whatever kind of effect it bears on."""
    return [
        Survivor(enforcement_id=key, action=(force := e.force).action, ends_at=force.ends_at, scope=list(force.scope))
        for key, e in survivors(dossier, running.target_kind, running.target_id, at)
    ]


def _order(
    reversal_id: str, e: Enforcement, effect: FiledEffect, amount: Sum | None, lesser: FiledLesser | None
) -> Order | None:
    """The directive that undoes the effect as far as it is to be undone; none if nothing of it is."""
    operation = OPERATIONS[effect.kind]
    strikes_kept: int | None = None
    if effect.kind in MONEY_EFFECTS and amount is None:
        if effect.kind is EffectKind.MONEY_TAKEN:
            return None  # nobody ever said how much, it has gone back already, or it stays
        if lesser is not None or effect.amount or e.amount:
            operation = Operation.RESTORE  # the hold changes or ends, and no money leaves it any more
    if effect.kind is EffectKind.STRIKES:
        strikes_kept = 0 if lesser is None else lesser.strikes
        if e.strikes and strikes_left(e) <= strikes_kept:
            return None
    return Order(
        ids.directive_id(reversal_id, effect.effect_id),
        effect.system,
        operation,
        effect.effect_id,
        effect.params,
        amount if effect.kind in MONEY_EFFECTS else None,
        DirectiveState.ORDERED,
        kind=effect.kind,
        strikes_kept=strikes_kept,
    )
