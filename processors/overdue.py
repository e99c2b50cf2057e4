"""What happens as a case's time runs out: its band rises, the breach is counted, the lead pod takes over."""

from processors import clocks
from processors.context import Context
from processors.dossier import Dossier
from processors.lifecycle import Move, go
from processors.open_case import OpenCase
from processors.outbox import REDRESS_OF_DECISION, case_line, notice
from processors.publishing import publish
from processors.reasons import Clock
from processors.review import move_to
from schemas.vocabulary import CaseEventKind, CaseState, NoticeKind


def warn_of_promise(dossier: Dossier, case: OpenCase, ctx: Context, cause: str) -> None:
    """Most of the promised time is used up."""
    case.warned = True
    _raise(dossier, case, ctx, cause, Clock.WORK, case.promised_at)


def warn_of_deadline(dossier: Dossier, case: OpenCase, ctx: Context, cause: str) -> None:
    """Most of the regulatory time is used up."""
    case.due_warned = True
    _raise(dossier, case, ctx, cause, Clock.REGULATORY, case.due_at)


def miss_promise(dossier: Dossier, case: OpenCase, ctx: Context, cause: str) -> None:
    """The handling time that was promised is over: counted, once."""
    case.promise_missed = True
    saw = {"promised_at": str(case.promised_at), "paused_ms": str(case.paused_ms)}
    case_line(dossier, ctx, CaseEventKind.PROMISE_MISSED, cause, case, saw=saw)


def miss_deadline(dossier: Dossier, case: OpenCase, ctx: Context, cause: str) -> None:
    """The regulatory time is over: counted, told to the user, and the lead pod takes the case."""
    case.overdue = True
    case_line(dossier, ctx, CaseEventKind.DEADLINE_MISSED, cause, case, saw={"due_at": str(case.due_at)})
    lead = ctx.rulebook.tables.review.lead_pod
    was, holder = case.pod, case.lease
    case.escalated = True
    waits = case.state is CaseState.AWAITING_EVIDENCE
    go(case, Move.ESCALATE)
    if waits:
        clocks.run_on(case, min(ctx.now, case.due_at), ctx.rulebook.tables.review)
    case.lease = None
    if lead is not None and lead != was:
        move_to(case, lead, "overdue", f"due at {case.due_at}", ctx)
    case.version += 1
    saw = {"from": was}
    if holder is not None:
        saw["claim_dropped"] = holder.reviewer
    line_id = case_line(dossier, ctx, CaseEventKind.CASE_ESCALATED, cause, case, saw=saw)
    publish(dossier, ctx, case, dossier.enforcements[case.enforcement_id])
    notice(dossier, ctx, NoticeKind.DELAYED, "case.delayed", line_id, case=case, redress=REDRESS_OF_DECISION)


def _raise(dossier: Dossier, case: OpenCase, ctx: Context, cause: str, clock: Clock, limit: int) -> None:
    was = case.band
    if not clocks.raise_band(case, limit, ctx.rulebook.tables):
        return
    # The version stays: nothing that a reviewer judges by has changed, and whoever is at work must not be turned away.
    saw = {"from": was.value, "rank_at": str(case.rank_at)}
    case_line(dossier, ctx, CaseEventKind.BAND_RAISED, cause, case, reason=clock, saw=saw)
    publish(dossier, ctx, case, dossier.enforcements[case.enforcement_id])
