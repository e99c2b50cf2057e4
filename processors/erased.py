"""What comes about a user who is erased: ignored by name, never kept.

A user id is one person's for ever, so nothing that comes under it begins a new life: no old enforcement comes back with
an amendment, and no appeal opens a case. While reversals still run, what they rest on is folded as ever.
"""

from processors.context import Context
from processors.dossier import Dossier, Erasing, Stage
from processors.outbox import line
from processors.reasons import AckIgnored, Erasure, ReviewRefusal
from processors.refusal import refuse
from schemas.records import (
    AppealSubmitted,
    AppealWithdrawn,
    DirectiveAcked,
    DirectiveResolved,
    EnforcementAmended,
    EnforcementIssued,
    EnforcementLifted,
    InputRecord,
    LegalHoldPlaced,
    LegalHoldReleased,
    RemedyOrdered,
    ReversalRetried,
    SubjectErasureRequested,
    TimerFired,
    UserProfileUpdated,
)
from schemas.vocabulary import CaseEventKind, RefusalReason

Ignored = (
    AppealSubmitted | AppealWithdrawn | EnforcementIssued | EnforcementAmended | EnforcementLifted | UserProfileUpdated
)
_AS_EVER = (SubjectErasureRequested, LegalHoldPlaced, LegalHoldReleased, TimerFired, RemedyOrdered)
"""Their handlers know of erasures; a remedy looks for an enforcement, and leaves no trace where there is none."""
_FOR_REVERSALS = (
    *(EnforcementIssued, EnforcementAmended, EnforcementLifted),  # what stands says what must hold after a directive
    *(DirectiveAcked, ReversalRetried, DirectiveResolved),
)


def answered(dossier: Dossier, event: InputRecord | TimerFired | RemedyOrdered, ctx: Context) -> bool:
    """Answer what comes about a user of whom nothing, or only running reversals, is left; False: it is not such."""
    erasing = dossier.erasing
    if erasing is None or not erasing.begun or isinstance(event, _AS_EVER):
        return False
    if erasing.stage is Stage.BEGUN and isinstance(event, _FOR_REVERSALS):
        return False
    if isinstance(event, AppealSubmitted):
        _answer_appeal(dossier, event, erasing, ctx)
    elif isinstance(event, Ignored):
        _ignore(dossier, event, ctx)
    elif isinstance(event, DirectiveAcked):
        saw = {"reversal_id": event.reversal_id, "directive_id": event.directive_id, "system": event.system}
        line(dossier, ctx, CaseEventKind.ACK_IGNORED, event.event_id, reason=AckIgnored.SUBJECT_ERASED, saw=saw)
    else:
        saw = {"event": type(event).__name__}
        kind, reason = CaseEventKind.REVIEW_REJECTED, ReviewRefusal.SUBJECT_ERASED
        line(dossier, ctx, kind, event.event_id, actor=event.actor, reason=reason, saw=saw)
    return True


def _answer_appeal(dossier: Dossier, appeal: AppealSubmitted, erasing: Erasing, ctx: Context) -> None:
    """One that was made after the erasure is refused, once. An older one was taken back with all the others."""
    if appeal.submitted_at <= erasing.at:
        _ignore(dossier, appeal, ctx)
    elif appeal.appeal_id not in dossier.answered:
        dossier.counts.appeals += 1
        saw = {"erased": str(erasing.at)}
        refuse(dossier, appeal, ctx, appeal.event_id, RefusalReason.NO_ENFORCEMENT_ON_FILE, saw)


def _ignore(dossier: Dossier, event: Ignored, ctx: Context) -> None:
    appeal_id = event.appeal_id if isinstance(event, AppealSubmitted | AppealWithdrawn) else None
    enforcement_id = None if isinstance(event, AppealWithdrawn | UserProfileUpdated) else event.enforcement_id
    line(
        dossier,
        ctx,
        CaseEventKind.INPUT_IGNORED,
        event.event_id,
        appeal_id=appeal_id,
        enforcement_id=enforcement_id,
        reason=Erasure.SUBJECT_ERASED,
        saw={"event": type(event).__name__},
    )
