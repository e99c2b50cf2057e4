"""What operators do with a reversal that is stuck: have it sent again, or vouch that it is true by other means."""

from processors.context import Context
from processors.dossier import Dossier
from processors.outbox import line
from processors.reasons import ReviewRefusal
from processors.saga import applied, send_again
from processors.undoing import UNSETTLED, Order, Reversal
from schemas.records import DirectiveResolved, OperatorEvent, ReversalRetried
from schemas.vocabulary import CaseEventKind


def on_retried(dossier: Dossier, event: ReversalRetried, ctx: Context) -> None:
    """Send what is open again, with fresh tries; what failed for good is open again."""
    running = _running(dossier, event, ctx)
    if running is None:
        return
    orders = [o for o in running.orders if o.stage in UNSETTLED]
    if event.directive_id is not None:
        item = _settleable(dossier, running, event, event.directive_id, ctx)
        if item is None:
            return
        orders = [item]
    running.last_command = event.event_id
    _line(dossier, running, event, ctx, CaseEventKind.REVERSAL_RETRIED, orders)
    send_again(dossier, event.reversal_id, orders, ctx, event.event_id)


def on_resolved(dossier: Dossier, event: DirectiveResolved, ctx: Context) -> None:
    """Take the operator's word that what the directive asks for is true."""
    running = _running(dossier, event, ctx)
    if running is None:
        return
    item = _settleable(dossier, running, event, event.directive_id, ctx)
    if item is None:
        return
    running.last_command = event.event_id
    _line(dossier, running, event, ctx, CaseEventKind.DIRECTIVE_RESOLVED, [item])
    applied(dossier, event.reversal_id, item, ctx, event.event_id)


def _running(dossier: Dossier, event: OperatorEvent, ctx: Context) -> Reversal | None:
    """The reversal that the command is about; None: it has been answered, or was taken already."""
    running = dossier.reversals.get(event.reversal_id)
    if running is None:
        known = any(e.reversal_id == event.reversal_id for e in dossier.enforcements.values())
        reason = ReviewRefusal.REVERSAL_CONFIRMED if known else ReviewRefusal.UNKNOWN_REVERSAL
        _reject(dossier, event, ctx, reason)
        return None
    return None if running.last_command == event.event_id else running


def _settleable(
    dossier: Dossier, running: Reversal, event: OperatorEvent, directive_id: str, ctx: Context
) -> Order | None:
    item = next((o for o in running.orders if o.directive_id == directive_id), None)
    if item is None:
        _reject(dossier, event, ctx, ReviewRefusal.UNKNOWN_DIRECTIVE)
    elif item.stage not in UNSETTLED:
        _reject(dossier, event, ctx, ReviewRefusal.DIRECTIVE_SETTLED)
        return None
    return item


def _line(
    dossier: Dossier, running: Reversal, event: OperatorEvent, ctx: Context, kind: CaseEventKind, orders: list[Order]
) -> None:
    saw = {
        "reversal_id": event.reversal_id,
        "why": event.reason,
        "directives": ",".join(o.directive_id for o in orders)[:4_000],
    }
    line(
        dossier,
        ctx,
        kind,
        event.event_id,
        appeal_id=running.appeal_id,
        case_id=running.case_id,
        enforcement_id=running.enforcement_id,
        actor=event.actor,
        saw=saw,
    )


def _reject(dossier: Dossier, event: OperatorEvent, ctx: Context, reason: ReviewRefusal) -> None:
    saw = {"event": type(event).__name__, "reversal_id": event.reversal_id}
    if event.directive_id is not None:
        saw["directive_id"] = event.directive_id
    kind = CaseEventKind.REVIEW_REJECTED
    line(dossier, ctx, kind, event.event_id, actor=event.actor, reason=reason, saw=saw)
