"""Answers of enforcement systems: once applied is applied, and what cannot be applied goes to people."""

from processors import ids
from processors.context import Context
from processors.dossier import Dossier
from processors.errors import UnknownSymbolError
from processors.money import too_fine
from processors.outbox import line
from processors.reasons import AckIgnored, Stall
from processors.saga import applied
from processors.stalls import stall
from processors.undoing import OPEN, Order, Reversal
from schemas.records import DirectiveAcked
from schemas.vocabulary import AckStatus, CaseEventKind, DirectiveState

_SYSTEMS_WORDS = 4_000  # characters of a system's words that are kept for people


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
    elif item.stage is DirectiveState.APPLIED:
        _ignore(dossier, event, ctx, AckIgnored.ALREADY_APPLIED)
    elif item.stage is DirectiveState.SUPERSEDED:
        item.last_ack = event.event_id
        _ignore(dossier, event, ctx, AckIgnored.SUPERSEDED)
    else:
        item.last_ack = event.event_id
        item.detail = None if event.detail is None else event.detail[:_SYSTEMS_WORDS]
        _take(dossier, running, item, event, ctx)


def _take(dossier: Dossier, running: Reversal, item: Order, event: DirectiveAcked, ctx: Context) -> None:
    reversal_id = event.reversal_id
    match event.status:
        case AckStatus.APPLIED | AckStatus.ALREADY_APPLIED:
            mismatch = _mismatch(item, event)
            if mismatch is not None:
                item.stage = DirectiveState.FAILED_PERMANENT
                _ack_line(dossier, running, event, ctx, CaseEventKind.DIRECTIVE_FAILED, mismatch)
                stall(dossier, reversal_id, running, ctx, event.event_id, Stall.MONEY_MISMATCH)
                return
            _ack_line(dossier, running, event, ctx, CaseEventKind.DIRECTIVE_APPLIED, event.status)
            applied(dossier, reversal_id, item, ctx, event.event_id)
        case AckStatus.FAILED_RETRYABLE:  # the timer that waits for the answer sends it again
            if item.stage in OPEN:
                item.stage = DirectiveState.FAILED_RETRYABLE
            _ack_line(dossier, running, event, ctx, CaseEventKind.DIRECTIVE_FAILED, event.status)
        case AckStatus.FAILED_PERMANENT:
            item.stage = DirectiveState.FAILED_PERMANENT
            _ack_line(dossier, running, event, ctx, CaseEventKind.DIRECTIVE_FAILED, event.status)
            stall(dossier, reversal_id, running, ctx, event.event_id, Stall.FAILED_PERMANENT)
        case AckStatus.UNKNOWN:
            raise UnknownSymbolError(f"ack {event.event_id}: the status is not known to this version")


def _mismatch(item: Order, event: DirectiveAcked) -> str | None:
    """Why the money that a system says it moved is not what it was asked to move; none if it is, or it does not say."""
    moved = event.amount
    if moved is None:
        return None
    if too_fine(moved):
        return AckIgnored.TOO_MANY_DIGITS
    if item.amount is None or moved.currency == item.amount.currency:
        asked = 0 if item.amount is None else item.amount.value
        return None if moved.value == asked else AckIgnored.WRONG_AMOUNT
    return AckIgnored.WRONG_CURRENCY


def _why_not_running(dossier: Dossier, reversal_id: str) -> AckIgnored:
    on_file = any(e.reversal_id == reversal_id for e in dossier.enforcements.values())
    confirmed = on_file or any(
        decided.confirmed and ids.reversal_id(case_id) == reversal_id for case_id, decided in dossier.decided.items()
    )
    return AckIgnored.ALREADY_CONFIRMED if confirmed else AckIgnored.UNKNOWN_REVERSAL


def _ack_line(
    dossier: Dossier, running: Reversal, event: DirectiveAcked, ctx: Context, kind: CaseEventKind, reason: str
) -> None:
    line(
        dossier,
        ctx,
        kind,
        event.event_id,
        appeal_id=running.appeal_id,
        case_id=running.case_id,
        enforcement_id=running.enforcement_id,
        reason=reason,
        saw=_answer(event),
    )


def _ignore(dossier: Dossier, event: DirectiveAcked, ctx: Context, reason: AckIgnored) -> None:
    line(dossier, ctx, CaseEventKind.ACK_IGNORED, event.event_id, reason=reason, saw=_answer(event))


def _answer(event: DirectiveAcked) -> dict[str, str]:
    saw = {"reversal_id": event.reversal_id, "directive_id": event.directive_id, "system": event.system}
    if event.amount is not None:
        saw["amount"] = f"{event.amount.value} {event.amount.currency}"
    return saw
