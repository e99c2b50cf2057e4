"""Reversals that need people: what went wrong, on the topic of the operations pod until nobody is needed any more."""

from processors.context import Context
from processors.dossier import Dossier
from processors.outbox import RESOLUTIONS, STALLED, line, money
from processors.reasons import Stall
from processors.undoing import UNSETTLED, Reversal
from schemas.records import CaseId, EventId, Millis, OpenDirective, ReversalStalled
from schemas.vocabulary import CaseEventKind, ReversalCause


def reversal_line(
    dossier: Dossier,
    reversal_id: str,
    running: Reversal,
    ctx: Context,
    kind: CaseEventKind,
    cause: str,
    reason: str | None,
    saw: dict[str, str],
) -> EventId:
    """One line of the audit about a reversal, with what it belongs to."""
    saw = {"reversal_id": reversal_id, **saw}
    if running.cause is not ReversalCause.DECISION:
        saw["cause"] = running.cause.value
    if running.caused_by is not None:
        saw["caused_by"] = running.caused_by
    if running.remedy_id is not None:
        saw["remedy_id"] = running.remedy_id
    return line(
        dossier,
        ctx,
        kind,
        cause,
        appeal_id=running.appeal_id,
        case_id=running.case_id,
        enforcement_id=running.enforcement_id,
        reason=reason,
        saw=saw,
    )


def stall(dossier: Dossier, reversal_id: str, running: Reversal, ctx: Context, cause: str, reason: Stall) -> None:
    """Say that people are needed; an `applied` that comes later still counts."""
    if not running.stalled:
        running.stalled = reason.value
        running.stalled_at = Millis(ctx.now)
        open_now = [o for o in running.orders if o.stage in UNSETTLED]
        saw = {"attempt": str(running.attempt), "open_directives": str(len(open_now))}
        reversal_line(dossier, reversal_id, running, ctx, CaseEventKind.REVERSAL_STALLED, cause, reason, saw)
        ctx.emit(RESOLUTIONS, dossier.user_id, _stalled_record(dossier, reversal_id, running))
        ctx.count("reversals_stalled_total", reason=reason.value)
    tell_operators(dossier, reversal_id, running, ctx)


def tell_operators(dossier: Dossier, reversal_id: str, running: Reversal, ctx: Context) -> None:
    """The newest state on the operations pod's topic."""
    ctx.emit(STALLED, reversal_id, _stalled_record(dossier, reversal_id, running))


def not_stalled(running: Reversal, ctx: Context, reversal_id: str) -> None:
    """Nobody is needed any more: off the operations pod's topic."""
    if running.stalled:
        running.stalled = False
        running.stalled_at = None
        ctx.emit(STALLED, reversal_id, None)


def _stalled_record(dossier: Dossier, reversal_id: str, running: Reversal) -> ReversalStalled:
    reason = running.stalled if isinstance(running.stalled, str) else Stall.UNKNOWN.value
    return ReversalStalled(
        reversal_id=reversal_id,
        user_id=dossier.user_id,
        case_id=running.case_id or CaseId(reversal_id),
        enforcement_id=running.enforcement_id,
        reason=reason,
        stalled_at=running.stalled_at or running.ordered_at,
        attempt=running.attempt,
        directives=[
            OpenDirective(
                directive_id=o.directive_id,
                system=o.system,
                operation=o.operation,
                effect_id=o.effect_id,
                state=o.stage,
                amount=money(o.amount),
                detail=o.detail,
            )
            for o in running.orders
            if o.stage in UNSETTLED
        ],
        remedy_id=running.remedy_id,
    )
