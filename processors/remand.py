"""Sent back to the enforcing side with guidance: it must amend or lift its enforcement in time, or people decide.

The enforcement stands meanwhile. A new version or a lifting answers the remand, and a new version can be appealed
against as any other. If nothing comes, the lead pod decides, and cannot send it back once more.
"""

from processors import ids
from processors.context import Context
from processors.dossier import Dossier
from processors.internal_case import look_again
from processors.on_file import Enforcement
from processors.open_case import OpenCase
from processors.outbox import RESOLUTIONS, line
from processors.reasons import RemandAnswer
from processors.remains import something_remains, stands
from processors.undoing import Remand
from schemas.records import EnforcementId, EnforcementRemanded, Millis
from schemas.vocabulary import CaseEventKind, CaseOrigin


def remand(
    dossier: Dossier, case: OpenCase, e: Enforcement, ctx: Context, cause: str, reasons_ref: str, guidance_ref: str
) -> None:
    """Send an enforcement back, because of a decided case."""
    answer_by = Millis(ctx.now + ctx.rulebook.tables.remand_ms)
    dossier.remands[case.enforcement_id] = Remand(case.case_id, case.appeal_id, e.version, answer_by)
    line(
        dossier,
        ctx,
        CaseEventKind.ENFORCEMENT_REMANDED,
        cause,
        appeal_id=case.appeal_id,
        case_id=case.case_id,
        enforcement_id=case.enforcement_id,
        saw={"guidance_ref": guidance_ref, "answer_by": str(answer_by), "enforcement_version": str(e.version)},
    )
    record = EnforcementRemanded(
        remand_id=ids.remand_id(case.case_id),
        user_id=dossier.user_id,
        case_id=case.case_id,
        enforcement_id=case.enforcement_id,
        enforcement_version=e.version,
        reasons_ref=reasons_ref,
        guidance_ref=guidance_ref,
        remanded_at=Millis(ctx.now),
        answer_by=answer_by,
    )
    ctx.emit(RESOLUTIONS, dossier.user_id, record)


def answered(dossier: Dossier, enforcement_id: EnforcementId, answer: RemandAnswer, ctx: Context, cause: str) -> None:
    """The enforcing side has done something about an enforcement; if it was asked to, say so."""
    sent_back = dossier.remands.pop(enforcement_id, None)
    if sent_back is not None:
        _line(dossier, enforcement_id, sent_back, CaseEventKind.REMAND_ANSWERED, answer, ctx, cause)


def overdue(dossier: Dossier, enforcement_id: EnforcementId, ctx: Context, cause: str) -> None:
    """No answer has come: the lead pod decides, unless nothing is left to decide about."""
    sent_back = dossier.remands.pop(enforcement_id)
    _line(dossier, enforcement_id, sent_back, CaseEventKind.REMAND_OVERDUE, None, ctx, cause)
    e = dossier.enforcements.get(enforcement_id)
    if e is not None and (stands(e, ctx.now) or something_remains(e)):
        lead = ctx.rulebook.tables.review.lead_pod
        look_again(dossier, enforcement_id, e, CaseOrigin.REMAND, sent_back.case_id, ctx, cause, pod=lead)


def _line(
    dossier: Dossier,
    enforcement_id: EnforcementId,
    sent_back: Remand,
    kind: CaseEventKind,
    reason: str | None,
    ctx: Context,
    cause: str,
) -> None:
    line(
        dossier,
        ctx,
        kind,
        cause,
        appeal_id=sent_back.appeal_id,
        case_id=sent_back.case_id,
        enforcement_id=enforcement_id,
        reason=reason,
        saw={"enforcement_version": str(sent_back.version)},
    )
