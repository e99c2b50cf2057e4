"""Undoing an enforcement for good: recompute, do not undo; ask each system until it has answered.

A directive names the state that must hold afterwards, by the enforcements that survive. So a directive that is sent
again keeps its id and key but looks at the survivors afresh: an account banned since must not be freed by a
repetition. Money is booked as returned when it is ordered, once, whatever systems answer.
"""

from processors import ids
from processors.context import Context
from processors.dossier import Dossier, Immunity, Order, Reversal
from processors.errors import UnknownSymbolError
from processors.growth import MAX_IMMUNITIES
from processors.on_file import Enforcement, Sum
from processors.open_case import OpenCase
from processors.outbox import RESOLUTIONS, closed_line, line, money, notice
from processors.reasons import AckIgnored, Resend, Stall
from processors.remains import MONEY_EFFECTS, money_due, strikes_left, survivors
from processors.tables import Tables
from schemas.records import Directive, DirectiveAcked, Millis, ReversalConfirmed, ReversalOrdered, Survivor, Target
from schemas.vocabulary import AckStatus, CaseEventKind, EffectKind, NoticeKind, Operation, Outcome

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


def order(dossier: Dossier, case: OpenCase, e: Enforcement, ctx: Context, cause: str) -> None:
    """Order the reversal of the enforcement's newest version, because of a decided case."""
    reversal_id = ids.reversal_id(case.case_id)
    running = Reversal(
        case_id=case.case_id,
        appeal_id=case.appeal_id,
        enforcement_id=case.enforcement_id,
        version=e.version,
        target_kind=e.target_kind,
        target_id=e.target_id,
        content_hash=e.content_hash,
        ordered_at=Millis(ctx.now),
        language=case.language,
        strikes=strikes_left(e),
        orders=_orders(reversal_id, e),
    )
    e.reversed_version = e.version
    immunity = Immunity(e.target_id, e.content_hash, e.policy)
    dossier.immunities = [*(i for i in dossier.immunities if i != immunity), immunity][-MAX_IMMUNITIES:]
    dossier.reversals[reversal_id] = running
    _send(dossier, reversal_id, running, ctx, cause)
    if all(item.done for item in running.orders):  # a warning has no effects: said, and thereby done
        _confirm(dossier, reversal_id, running, ctx, cause)


def on_acked(dossier: Dossier, event: DirectiveAcked, ctx: Context) -> None:
    """A system's answer: once applied is applied, and what cannot be applied goes to people."""
    running = dossier.reversals.get(event.reversal_id)
    if running is None:
        _ignore(dossier, event, ctx, _why_not_running(dossier, event.reversal_id))
        return
    item = next((o for o in running.orders if o.directive_id == event.directive_id), None)
    if item is None:
        _ignore(dossier, event, ctx, AckIgnored.UNKNOWN_DIRECTIVE)
    elif item.last_ack == event.event_id:
        return  # the same answer, delivered twice
    elif item.system != event.system:
        _ignore(dossier, event, ctx, AckIgnored.WRONG_SYSTEM)
    elif item.done:
        _ignore(dossier, event, ctx, AckIgnored.ALREADY_APPLIED)
    else:
        item.last_ack = event.event_id
        _take(dossier, running, item, event, ctx)


def retry(dossier: Dossier, reversal_id: str, ctx: Context, cause: str) -> None:
    """The wait for answers is over: send what is open again, or give it to people."""
    running = dossier.reversals[reversal_id]
    running.retry_at = None
    if not any(not o.done and not o.failed for o in running.orders):
        return
    if running.attempt >= len(ctx.rulebook.tables.retry_waits_ms):
        _stall(dossier, reversal_id, running, ctx, cause, Stall.OUT_OF_TRIES)
        return
    running.attempt += 1
    _send(dossier, reversal_id, running, ctx, cause)


def _orders(reversal_id: str, e: Enforcement) -> list[Order]:
    due = money_due(e)
    orders: dict[str, Order] = {}
    for effect in e.effects:
        effect_id = effect.effect_id
        if effect_id in orders:
            continue
        amount = due.get(effect_id) if effect.kind in MONEY_EFFECTS else None
        if amount is None and effect.kind in MONEY_EFFECTS and (effect.amount or e.amount):
            continue  # all of it has gone back already
        if effect.kind is EffectKind.MONEY_TAKEN and amount is None:
            continue  # nobody ever said how much
        if effect.kind is EffectKind.STRIKES and e.strikes and not strikes_left(e):
            continue
        orders[effect_id] = Order(
            ids.directive_id(reversal_id, effect_id),
            effect.system,
            OPERATIONS[effect.kind],
            effect_id,
            effect.params,
            amount,
        )
        if amount is not None:
            earlier = e.returned.get(effect_id)
            e.returned[effect_id] = amount if earlier is None else Sum(earlier.value + amount.value, amount.currency)
    return list(orders.values())


def _send(dossier: Dossier, reversal_id: str, running: Reversal, ctx: Context, cause: str) -> None:
    standing = [
        Survivor(enforcement_id=key, action=e.action, ends_at=e.ends_at, scope=list(e.scope))
        for key, e in survivors(dossier, running.enforcement_id, running.target_kind, running.target_id, ctx.now)
    ]
    target = Target(kind=running.target_kind, id=running.target_id, content_hash=running.content_hash)
    record = ReversalOrdered(
        reversal_id=reversal_id,
        user_id=dossier.user_id,
        case_id=running.case_id,
        enforcement_id=running.enforcement_id,
        enforcement_version=running.version,
        ordered_at=running.ordered_at,
        attempt=running.attempt,
        outcome=Outcome.OVERTURNED,
        strikes_expunged=running.strikes,
        directives=[
            Directive(
                directive_id=o.directive_id,
                system=o.system,
                operation=o.operation,
                target=target,
                effect_id=o.effect_id,
                params=dict(o.params),
                amount=money(o.amount),
                surviving=standing,
                idempotency_key=o.directive_id,
            )
            for o in running.orders
            if not o.done and not o.failed
        ],
    )
    line(
        dossier,
        ctx,
        CaseEventKind.REVERSAL_ORDERED,
        cause,
        appeal_id=running.appeal_id,
        case_id=running.case_id,
        enforcement_id=running.enforcement_id,
        reason=None if running.attempt == 1 else Resend.RESENT,
        saw={
            "reversal_id": reversal_id,
            "attempt": str(running.attempt),
            "directives": str(len(record.directives)),
            "surviving": str(len(standing)),
        },
    )
    ctx.emit(RESOLUTIONS, dossier.user_id, record)
    if record.directives:
        running.retry_at = Millis(ctx.now + _wait_ms(reversal_id, running.attempt, ctx.rulebook.tables))


def _wait_ms(reversal_id: str, attempt: int, tables: Tables) -> int:
    """The back-off, spread by up to the jitter so that one outage is not followed by one thundering herd."""
    waits = tables.retry_waits_ms
    wait = waits[min(attempt, len(waits)) - 1]
    return wait + int(wait * tables.retry_jitter * ids.fraction(reversal_id, attempt))


def _take(dossier: Dossier, running: Reversal, item: Order, event: DirectiveAcked, ctx: Context) -> None:
    match event.status:
        case AckStatus.APPLIED | AckStatus.ALREADY_APPLIED:
            item.done = True
            _ack_line(dossier, running, event, ctx, CaseEventKind.DIRECTIVE_APPLIED)
            if all(o.done for o in running.orders):
                _confirm(dossier, event.reversal_id, running, ctx, event.event_id)
        case AckStatus.FAILED_RETRYABLE:  # the timer that waits for the answer sends it again
            _ack_line(dossier, running, event, ctx, CaseEventKind.DIRECTIVE_FAILED)
        case AckStatus.FAILED_PERMANENT:
            item.failed = True
            _ack_line(dossier, running, event, ctx, CaseEventKind.DIRECTIVE_FAILED)
            _stall(dossier, event.reversal_id, running, ctx, event.event_id, Stall.FAILED_PERMANENT)
        case AckStatus.UNKNOWN:
            raise UnknownSymbolError(f"ack {event.event_id}: the status is not known to this version")


def _stall(dossier: Dossier, reversal_id: str, running: Reversal, ctx: Context, cause: str, reason: Stall) -> None:
    """Say once that people are needed; an `applied` that comes later still counts."""
    if running.stalled:
        return
    running.stalled = True
    waiting = [o.directive_id for o in running.orders if not o.done]
    line(
        dossier,
        ctx,
        CaseEventKind.REVERSAL_STALLED,
        cause,
        appeal_id=running.appeal_id,
        case_id=running.case_id,
        enforcement_id=running.enforcement_id,
        reason=reason,
        saw={"reversal_id": reversal_id, "attempt": str(running.attempt), "open_directives": str(len(waiting))},
    )


def _confirm(dossier: Dossier, reversal_id: str, running: Reversal, ctx: Context, cause: str) -> None:
    """Every directive is applied: only now is the user told that it is done."""
    del dossier.reversals[reversal_id]
    decided = dossier.decided.get(running.case_id)
    if decided is not None:
        dossier.decided[running.case_id] = type(decided)(
            decided.appeal_id, decided.outcome, decided.version, decided.last_review, confirmed=True
        )
    record = ReversalConfirmed(
        reversal_id=reversal_id,
        user_id=dossier.user_id,
        case_id=running.case_id,
        enforcement_id=running.enforcement_id,
        confirmed_at=Millis(ctx.now),
        directive_ids=[o.directive_id for o in running.orders],
    )
    line_id = line(
        dossier,
        ctx,
        CaseEventKind.REVERSAL_CONFIRMED,
        cause,
        appeal_id=running.appeal_id,
        case_id=running.case_id,
        enforcement_id=running.enforcement_id,
        saw={"reversal_id": reversal_id, "attempt": str(running.attempt)},
    )
    ctx.emit(RESOLUTIONS, dossier.user_id, record)
    closed_line(dossier, ctx, cause, running)
    notice(
        dossier,
        ctx,
        NoticeKind.REVERSAL_CONFIRMED,
        "reversal.confirmed",
        line_id,
        language=running.language,
        appeal_id=running.appeal_id,
        case_id=running.case_id,
        enforcement_id=running.enforcement_id,
    )


def _why_not_running(dossier: Dossier, reversal_id: str) -> AckIgnored:
    confirmed = any(
        decided.confirmed and ids.reversal_id(case_id) == reversal_id for case_id, decided in dossier.decided.items()
    )
    return AckIgnored.ALREADY_CONFIRMED if confirmed else AckIgnored.UNKNOWN_REVERSAL


def _ack_line(dossier: Dossier, running: Reversal, event: DirectiveAcked, ctx: Context, kind: CaseEventKind) -> None:
    line(
        dossier,
        ctx,
        kind,
        event.event_id,
        appeal_id=running.appeal_id,
        case_id=running.case_id,
        enforcement_id=running.enforcement_id,
        reason=event.status,
        saw=_answer(event),
    )


def _ignore(dossier: Dossier, event: DirectiveAcked, ctx: Context, reason: AckIgnored) -> None:
    line(dossier, ctx, CaseEventKind.ACK_IGNORED, event.event_id, reason=reason, saw=_answer(event))


def _answer(event: DirectiveAcked) -> dict[str, str]:
    return {"reversal_id": event.reversal_id, "directive_id": event.directive_id, "system": event.system}
