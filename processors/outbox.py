"""How the decision logic speaks: audit lines, notices, and cases on their pod's topic.

Lines and notices carry `ctx.now`, when the engine did it; what caused them has its own time in its own record.
"""

from processors import ids
from processors.context import Context
from processors.dossier import Dossier
from processors.on_file import Enforcement, FiledLesser, Sum
from processors.open_case import OpenCase
from processors.undoing import Reversal
from schemas.chain import seal
from schemas.records import (
    AppealId,
    AppellantNotice,
    CaseEvent,
    CaseId,
    EnforcementId,
    EventId,
    Lesser,
    Millis,
    Money,
    ReviewerId,
)
from schemas.vocabulary import (
    CaseEventKind,
    CaseState,
    EvidenceKind,
    NoticeKind,
    Outcome,
    Redress,
    RefusalReason,
)

CASE_EVENTS = "case.events"
NOTICES = "appellant.notices"
UNDETERMINED = "und"
"""The language of a user of whom none is known (BCP 47)."""
UNKNOWN_REGION = "unknown"
"""The region of a user whose profile has not come yet."""
RESOLUTIONS = "resolution.events"
STALLED = "reversals.stalled"
KEYS = "subject.keys"
CASES = "cases."
"""Prefix of the pods' topics."""

REDRESS_OF_DECISION = [Redress.OUT_OF_COURT_SETTLEMENT, Redress.COURT]
"""What every decision tells the user is left (DSA Art. 20(5), 21)."""


def line(
    dossier: Dossier,
    ctx: Context,
    kind: CaseEventKind,
    cause: str,
    *,
    appeal_id: AppealId | None = None,
    case_id: CaseId | None = None,
    enforcement_id: EnforcementId | None = None,
    actor: ReviewerId | None = None,
    reason: str | None = None,
    saw: dict[str, str] | None = None,
    state: CaseState | None = None,
    outcome: Outcome | None = None,
) -> EventId:
    """One line of the audit about something that is not, or not any more, an open case."""
    return _write(
        dossier, ctx, kind, cause, None, state, appeal_id, case_id, enforcement_id, actor, outcome, reason, saw
    )


def case_line(
    dossier: Dossier,
    ctx: Context,
    kind: CaseEventKind,
    cause: str,
    case: OpenCase,
    *,
    appeal_id: AppealId | None = None,
    actor: ReviewerId | None = None,
    outcome: Outcome | None = None,
    reason: str | None = None,
    saw: dict[str, str] | None = None,
) -> EventId:
    """One line of the audit about an open case, as it is after the change."""
    about = appeal_id or case.appeal_id
    return _write(
        dossier,
        ctx,
        kind,
        cause,
        case,
        case.state,
        about,
        case.case_id,
        case.enforcement_id,
        actor,
        outcome,
        reason,
        saw,
    )


def _write(
    dossier: Dossier,
    ctx: Context,
    kind: CaseEventKind,
    cause: str,
    case: OpenCase | None,
    state: CaseState | None,
    appeal_id: AppealId | None,
    case_id: CaseId | None,
    enforcement_id: EnforcementId | None,
    actor: ReviewerId | None,
    outcome: Outcome | None,
    reason: str | None,
    saw: dict[str, str] | None,
) -> EventId:
    """Number, chain and emit a line. Every line goes through here; by position, as keywords cost on the hot path."""
    dossier.seq = seq = dossier.seq + 1
    user_id = dossier.user_id
    event_id = ids.event_id(user_id, cause, kind, seq)
    event = CaseEvent(
        event_id=event_id,
        user_id=user_id,
        seq=seq,
        case_id=case_id,
        appeal_id=appeal_id,
        enforcement_id=enforcement_id,
        occurred_at=Millis(ctx.now),
        kind=kind,
        cause_id=cause,
        actor=actor,
        case_version=None if case is None else case.version,
        state=state,
        pod=None if case is None else case.pod,
        band=None if case is None else case.band,
        score=None if case is None else case.score,
        outcome=outcome,
        reason=reason,
        saw=saw or {},
        rulebook_digest=ctx.rulebook.digest,
        folded=dossier.folded,
        prev_hash=dossier.head.hex() or None,
    )
    dossier.head = seal(event)
    ctx.emit(CASE_EVENTS, user_id, event)
    return event_id


def closed_line(dossier: Dossier, ctx: Context, cause: str, of: OpenCase | Reversal) -> None:
    """The case is decided and nothing of it is left to do, or its reversal is confirmed."""
    line(
        dossier,
        ctx,
        CaseEventKind.CASE_CLOSED,
        cause,
        case_id=of.case_id,
        appeal_id=of.appeal_id,
        enforcement_id=of.enforcement_id,
        state=CaseState.CLOSED,
    )


def notice(
    dossier: Dossier,
    ctx: Context,
    kind: NoticeKind,
    template: str,
    line_id: EventId,
    *,
    case: OpenCase | None = None,
    enforcement: Enforcement | None = None,
    language: str = "",
    appeal_id: AppealId | None = None,
    case_id: CaseId | None = None,
    enforcement_id: EnforcementId | None = None,
    refusal: RefusalReason | None = None,
    outcome: Outcome | None = None,
    reasons: list[str] | None = None,
    reasons_ref: str | None = None,
    decide_by: Millis | None = None,
    redress: list[Redress] | None = None,
    evidence_kinds: list[EvidenceKind] | None = None,
    evidence_due_at: Millis | None = None,
) -> None:
    """Tell the user what the line `line_id` records; `case` fills in what it knows."""
    user_id = dossier.user_id
    if case is not None:
        language, appeal_id, case_id, enforcement_id = (
            case.language, case.appeal_id, case.case_id, case.enforcement_id,
        )  # fmt: skip
    e = enforcement
    if e is None and enforcement_id is not None:
        e = dossier.enforcements.get(enforcement_id)
    whole = None if e is None or e.filed else e
    record = AppellantNotice(
        notice_id=ids.notice_id(line_id),
        user_id=user_id,
        kind=kind,
        occurred_at=Millis(ctx.now),
        language=language,
        template=template,
        appeal_id=appeal_id,
        case_id=case_id,
        enforcement_id=enforcement_id,
        refusal=refusal,
        outcome=outcome,
        reasons_ref=reasons_ref,
        decide_by=decide_by,
        redress=redress or [],
        policy=None if whole is None else whole.policy,
        policy_version=None if whole is None else whole.policy_version,
        action=None if e is None else e.action,
        statement_of_reasons_id=None if whole is None else whole.statement_of_reasons_id,
        reasons=reasons or [],
        evidence_kinds=evidence_kinds or [],
        evidence_due_at=evidence_due_at,
    )
    ctx.emit(NOTICES, user_id, record)


def money(amount: Sum | None) -> Money | None:
    """An amount on file as the record that travels."""
    return None if amount is None else Money(value=amount.value, currency=amount.currency)


def lesser_record(lesser: FiledLesser) -> Lesser:
    """What is left of an enforcement as the record that travels."""
    return Lesser(
        action=lesser.action,
        ends_at=lesser.ends_at,
        scope=list(lesser.scope),
        amount=money(lesser.amount),
        strikes=lesser.strikes,
    )
