"""Intake: every appeal is answered at once and ends in exactly one way.

An independent checker can count it from ``case.events``. For each `appeal_id` there is exactly one line of
``CaseOpened``, ``AppealRefused`` or ``AppealWithdrawnUnopened``, before which there may be one ``AppealParked``; an
appeal with only ``AppealParked`` is still waiting. A duplicate is ``AppealRefused`` with the reason ``duplicate``,
after which ``StatementAdded`` says that its text is on the open case. The same `appeal_id` delivered again is no
second appeal: it leaves no line. Each ``CaseOpened`` is followed by exactly one ``CaseDecided`` in the end.

Intrinsic faults (wrong appellant, nothing said, an appeal to an appeal) are refused before the enforcement is looked
for, so that the answer does not depend on which topic was read first. Whether an enforcement was over is judged by the
time of submission, for the same reason.
"""

from processors import ids
from processors.closing import close_withdrawn
from processors.context import Context
from processors.dossier import Dossier, Parked
from processors.growth import MAX_EARLY, MAX_PARKED, past_appeal
from processors.on_file import Enforcement
from processors.opening import add_to_case, open_case
from processors.outbox import line, notice
from processors.reasons import Parking, ReviewRefusal
from processors.refusal import refuse, withdraw_unopened
from processors.remains import something_remains, was_over
from processors.traces import remember
from schemas.records import AppealId, AppealSubmitted, AppealWithdrawn, CaseId, EnforcementId, Millis
from schemas.vocabulary import CaseEventKind, NoticeKind, Outcome, RefusalReason


def on_submitted(dossier: Dossier, appeal: AppealSubmitted, ctx: Context) -> None:
    """Take an appeal in: a case, a refusal, or a wait for its enforcement."""
    appeal_id = appeal.appeal_id
    case_id = ids.case_id(appeal_id)
    if _known(dossier, appeal_id, case_id):
        return
    dossier.counts.appeals += 1
    remember(dossier, case_id, ctx)
    cause = appeal.event_id
    if appeal_id in dossier.early_withdrawals:
        dossier.early_withdrawals.remove(appeal_id)
        withdraw_unopened(dossier, appeal, ctx, cause)
        return
    reason = _intrinsic_fault(dossier, appeal)
    if reason is not None:
        refuse(dossier, appeal, ctx, cause, reason)
        return
    e = dossier.enforcements.get(appeal.enforcement_id)
    if e is None or (appeal.enforcement_version or 0) > e.version:
        _park(dossier, appeal, ctx)
        return
    _judge(dossier, appeal, case_id, e, ctx, cause)


def on_withdrawn(dossier: Dossier, event: AppealWithdrawn, ctx: Context) -> None:
    """Take an appeal back, wherever it is; once answered it stays answered, and the attempt is recorded."""
    appeal_id = event.appeal_id
    case_id = ids.case_id(appeal_id)
    case = dossier.cases.get(case_id)
    if case is not None:
        close_withdrawn(dossier, case, ctx, event.event_id)
        return
    for parked in dossier.parked:
        if parked.appeal.appeal_id == appeal_id:
            dossier.parked.remove(parked)
            withdraw_unopened(dossier, parked.appeal, ctx, event.event_id)
            return
    decided = dossier.decided.get(case_id)
    if decided is None and appeal_id not in dossier.answered:
        if appeal_id not in dossier.early_withdrawals:
            dossier.early_withdrawals = [*dossier.early_withdrawals, appeal_id][-MAX_EARLY:]
        return
    if decided.outcome is Outcome.WITHDRAWN if decided is not None else dossier.answered[appeal_id]:
        return  # taken back already
    line(
        dossier,
        ctx,
        CaseEventKind.REVIEW_REJECTED,
        event.event_id,
        appeal_id=appeal_id,
        case_id=None if decided is None else case_id,
        reason=ReviewRefusal.WITHDRAWAL_TOO_LATE,
    )


def join_parked(dossier: Dossier, enforcement_id: EnforcementId, ctx: Context, cause: str) -> None:
    """An enforcement, or a new version of it, has come: judge the appeals that waited for it, oldest first."""
    if not dossier.parked:
        return
    e = dossier.enforcements[enforcement_id]
    ready = [
        p.appeal
        for p in dossier.parked
        if p.appeal.enforcement_id == enforcement_id and (p.appeal.enforcement_version or 0) <= e.version
    ]
    for appeal in ready:
        _unpark(dossier, appeal.appeal_id)
        _judge(dossier, appeal, ids.case_id(appeal.appeal_id), e, ctx, cause)


def refuse_parked(dossier: Dossier, parked: Parked, ctx: Context, cause: str) -> None:
    """The parking time is over and the enforcement has not come."""
    _unpark(dossier, parked.appeal.appeal_id)
    saw = {"parking": Parking.TIME_OVER.value}
    refuse(dossier, parked.appeal, ctx, cause, RefusalReason.NO_ENFORCEMENT_ON_FILE, saw)


def _known(dossier: Dossier, appeal_id: AppealId, case_id: CaseId) -> bool:
    return (
        case_id in dossier.cases
        or case_id in dossier.decided
        or appeal_id in dossier.answered
        or any(p.appeal.appeal_id == appeal_id for p in dossier.parked)
    )


def _intrinsic_fault(dossier: Dossier, appeal: AppealSubmitted) -> RefusalReason | None:
    if appeal.appellant_id != dossier.user_id and appeal.mandate_ref is None:
        return RefusalReason.NOT_THE_SUBJECT
    said = appeal.statement_ref is not None or appeal.statement_sealed is not None
    if not said and not appeal.grounds and not appeal.evidence:
        return RefusalReason.INSUFFICIENT_INFORMATION
    if appeal.enforcement_id not in dossier.enforcements and _names_an_appeal(dossier, appeal.enforcement_id):
        return RefusalReason.APPEAL_TO_APPEAL
    return None


def _names_an_appeal(dossier: Dossier, named: str) -> bool:
    if named in dossier.cases or named in dossier.decided or named in dossier.answered:
        return True
    appeals = [
        *(case.appeal_id for case in dossier.cases.values()),
        *(decided.appeal_id for decided in dossier.decided.values()),
    ]
    waiting = [p.appeal.appeal_id for p in dossier.parked]
    return named in appeals or named in waiting or any(named == ids.case_id(appeal_id) for appeal_id in waiting)


def _judge(
    dossier: Dossier, appeal: AppealSubmitted, case_id: CaseId, e: Enforcement, ctx: Context, cause: str
) -> None:
    """The enforcement is on file: refuse for a reason that it gives, add to its open case, or open one."""
    reason = _fault(appeal, e, ctx)
    if reason is not None:
        refuse(dossier, appeal, ctx, cause, reason, {"enforcement_version": str(e.version)})
    elif e.case_id is not None:
        add_to_case(dossier, dossier.cases[e.case_id], appeal, e, ctx, cause)
    else:
        open_case(dossier, appeal, case_id, e, ctx, cause)


def _fault(appeal: AppealSubmitted, e: Enforcement, ctx: Context) -> RefusalReason | None:
    if not e.appealable:
        return RefusalReason.NOT_APPEALABLE
    if e.filed or past_appeal(e, appeal.submitted_at, ctx.rulebook.tables.window_ms):
        return RefusalReason.UNTIMELY
    if e.case_id is not None:
        return None
    if e.upheld_version >= (appeal.enforcement_version or e.version):
        return RefusalReason.APPEAL_TO_APPEAL
    if e.moot or (was_over(e, appeal.submitted_at) and not something_remains(e)):
        return RefusalReason.ALREADY_REVERSED
    return None


def _park(dossier: Dossier, appeal: AppealSubmitted, ctx: Context) -> None:
    if len(dossier.parked) >= MAX_PARKED:
        saw = {"parking": Parking.FULL.value}
        refuse(dossier, appeal, ctx, appeal.event_id, RefusalReason.NO_ENFORCEMENT_ON_FILE, saw)
        return
    until = Millis(ctx.now + ctx.rulebook.tables.parking_ms)
    dossier.parked.append(Parked(until, appeal))
    line_id = line(
        dossier,
        ctx,
        CaseEventKind.APPEAL_PARKED,
        appeal.event_id,
        appeal_id=appeal.appeal_id,
        enforcement_id=appeal.enforcement_id,
        saw={"until": str(until)},
    )
    notice(
        dossier,
        ctx,
        NoticeKind.ACKNOWLEDGED,
        "appeal.received",
        line_id,
        language=appeal.language,
        appeal_id=appeal.appeal_id,
        enforcement_id=appeal.enforcement_id,
        decide_by=Millis(appeal.submitted_at + ctx.rulebook.tables.review.deadline_ms),
    )


def _unpark(dossier: Dossier, appeal_id: AppealId) -> None:
    dossier.parked = [p for p in dossier.parked if p.appeal.appeal_id != appeal_id]
