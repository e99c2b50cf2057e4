"""Appeals that never become a case: refused with a reason and what is left to do, or taken back before."""

from processors.context import Context
from processors.dossier import Dossier
from processors.growth import MAX_ANSWERED, keep_newest
from processors.outbox import REDRESS_OF_DECISION, line, notice
from schemas.records import AppealId, AppealSubmitted
from schemas.vocabulary import CaseEventKind, NoticeKind, Outcome, Redress, RefusalReason

REDRESS_OF_REFUSAL = {
    RefusalReason.NO_ENFORCEMENT_ON_FILE: [Redress.APPEAL_AGAIN, *REDRESS_OF_DECISION],
    RefusalReason.NOT_THE_SUBJECT: [Redress.APPEAL_AGAIN],
    RefusalReason.NOT_APPEALABLE: REDRESS_OF_DECISION,
    RefusalReason.UNTIMELY: REDRESS_OF_DECISION,
    RefusalReason.DUPLICATE: [Redress.OPEN_CASE],
    RefusalReason.APPEAL_TO_APPEAL: REDRESS_OF_DECISION,
    RefusalReason.INSUFFICIENT_INFORMATION: [Redress.APPEAL_AGAIN],
    RefusalReason.ALREADY_REVERSED: [Redress.COURT],
}
"""What the user can still do after each refusal; total but for ``UNKNOWN``."""

_BLAMELESS = frozenset({RefusalReason.DUPLICATE, RefusalReason.NO_ENFORCEMENT_ON_FILE})
"""Refusals that say nothing against the appellant, so they do not count against their standing."""


def refuse(
    dossier: Dossier,
    appeal: AppealSubmitted,
    ctx: Context,
    cause: str,
    reason: RefusalReason,
    saw: dict[str, str] | None = None,
    *,
    kind: NoticeKind = NoticeKind.REFUSED,
) -> None:
    """Refuse an appeal, with the reason and what the user can still do."""
    _answer(dossier, appeal.appeal_id, withdrawn=False)
    if reason not in _BLAMELESS:
        dossier.counts.refused += 1
    line_id = line(
        dossier,
        ctx,
        CaseEventKind.APPEAL_REFUSED,
        cause,
        appeal_id=appeal.appeal_id,
        enforcement_id=appeal.enforcement_id,
        reason=reason,
        saw=saw,
    )
    e = dossier.enforcements.get(appeal.enforcement_id)
    notice(
        dossier,
        ctx,
        kind,
        f"appeal.refused.{reason}",
        line_id,
        language=appeal.language,
        appeal_id=appeal.appeal_id,
        case_id=e.case_id if e is not None and reason is RefusalReason.DUPLICATE else None,
        enforcement_id=appeal.enforcement_id,
        refusal=reason,
        redress=REDRESS_OF_REFUSAL[reason],
    )


def withdraw_unopened(
    dossier: Dossier, appeal: AppealSubmitted, ctx: Context, cause: str, reason: str | None = None
) -> None:
    """The appellant took the appeal back before there was a case, or, with that reason, is erased."""
    _answer(dossier, appeal.appeal_id, withdrawn=True)
    dossier.counts.withdrawn += 1
    line_id = line(
        dossier,
        ctx,
        CaseEventKind.APPEAL_WITHDRAWN_UNOPENED,
        cause,
        appeal_id=appeal.appeal_id,
        enforcement_id=appeal.enforcement_id,
        reason=reason,
    )
    notice(
        dossier,
        ctx,
        NoticeKind.DECIDED,
        "appeal.withdrawn" if reason is None else "appeal.erased",
        line_id,
        language=appeal.language,
        appeal_id=appeal.appeal_id,
        enforcement_id=appeal.enforcement_id,
        outcome=Outcome.WITHDRAWN,
        reasons=[] if reason is None else [reason],
        redress=[*([Redress.APPEAL_AGAIN] if reason is None else []), *REDRESS_OF_DECISION],
    )


def _answer(dossier: Dossier, appeal_id: AppealId, *, withdrawn: bool) -> None:
    dossier.answered[appeal_id] = withdrawn
    keep_newest(dossier.answered, MAX_ANSWERED)
