"""How the decision logic speaks: audit lines, notices, and cases on their pod's topic.

Lines and notices carry `ctx.now`, when the engine did it; what caused them has its own time in its own record.
"""

from processors import ids
from processors.chain import seal
from processors.context import Context
from processors.dossier import Dossier, OpenCase
from processors.on_file import Enforcement, Exhibit, Sum
from schemas.records import (
    AppealId,
    AppellantNotice,
    Case,
    CaseEvent,
    CaseId,
    Claim,
    Component,
    Detector,
    EnforcementId,
    EnforcementSummary,
    EventId,
    Evidence,
    Millis,
    Money,
    ReviewerId,
    Routing,
    Statement,
    Target,
)
from schemas.vocabulary import CaseEventKind, NoticeKind, Outcome, Redress, RefusalReason

CASE_EVENTS = "case.events"
NOTICES = "appellant.notices"
RESOLUTIONS = "resolution.events"
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
) -> EventId:
    """One line of the audit about something that is not, or not any more, an open case."""
    return _write(dossier, ctx, kind, cause, None, appeal_id, case_id, enforcement_id, actor, None, reason, saw)


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
        dossier, ctx, kind, cause, case, about, case.case_id, case.enforcement_id, actor, outcome, reason, saw
    )


def _write(
    dossier: Dossier,
    ctx: Context,
    kind: CaseEventKind,
    cause: str,
    case: OpenCase | None,
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
        state=None if case is None else case.state,
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


def notice(
    dossier: Dossier,
    ctx: Context,
    kind: NoticeKind,
    template: str,
    line_id: EventId,
    *,
    language: str,
    appeal_id: AppealId | None = None,
    case_id: CaseId | None = None,
    enforcement_id: EnforcementId | None = None,
    refusal: RefusalReason | None = None,
    outcome: Outcome | None = None,
    reasons_ref: str | None = None,
    decide_by: Millis | None = None,
    redress: list[Redress] | None = None,
) -> None:
    """Tell the user what the line `line_id` records."""
    user_id = dossier.user_id
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
    )
    ctx.emit(NOTICES, user_id, record)


def publish(dossier: Dossier, ctx: Context, case: OpenCase, enforcement: Enforcement) -> None:
    """The newest full case on its pod's topic."""
    lease = case.lease
    record = Case(
        case_id=case.case_id,
        version=case.version,
        user_id=dossier.user_id,
        appeal_id=case.appeal_id,
        state=case.state,
        pod=case.pod,
        band=case.band,
        score=case.score,
        components=[
            Component(name=p.name, value=p.value, weight=p.weight, contribution=p.contribution, because=p.because)
            for p in case.parts
        ],
        rank_at=case.rank_at,
        submitted_at=case.submitted_at,
        opened_at=case.opened_at,
        due_at=case.due_at,
        promised_at=case.promised_at,
        language=case.language,
        region=case.region,
        grounds=list(case.grounds),  # copies: the record must not change with the dossier
        flags=list(case.flags),
        statements=[
            Statement(appeal_id=n.appeal_id, submitted_at=n.submitted_at, ref=n.ref, sha256=n.sha256)
            for n in case.notes
        ],
        evidence=[_evidence(exhibit) for exhibit in case.evidence],
        enforcement=_summary(case.enforcement_id, enforcement),
        enforcement_changed=case.changed,
        excluded_reviewers=list(case.excluded),
        claim=None if lease is None else Claim(reviewer=lease.reviewer, since=lease.since, until=lease.until),
        routing=Routing(rule=case.rule, pod=case.pod, because=case.because),
        rulebook_digest=case.digest,
    )
    ctx.emit(CASES + case.pod, case.case_id, record)


def withdraw(ctx: Context, case: OpenCase) -> None:
    """The tombstone that takes a case off its pod's topic."""
    ctx.emit(CASES + case.pod, case.case_id, None)


def money(amount: Sum | None) -> Money | None:
    """An amount on file as the record that travels."""
    return None if amount is None else Money(value=amount.value, currency=amount.currency)


def _evidence(exhibit: Exhibit) -> Evidence:
    return Evidence(evidence_id=exhibit.evidence_id, kind=exhibit.kind, ref=exhibit.ref, sha256=exhibit.sha256)


def _summary(enforcement_id: EnforcementId, e: Enforcement) -> EnforcementSummary:
    return EnforcementSummary(
        enforcement_id=enforcement_id,
        version=e.version,
        issued_at=e.issued_at,
        policy=e.policy,
        policy_version=e.policy_version,
        action=e.action,
        ends_at=e.ends_at,
        target=Target(kind=e.target_kind, id=e.target_id, content_hash=e.content_hash),
        ground=e.ground,
        category=e.category,
        automation=e.automation,
        detector=None if e.detector is None else Detector(name=e.detector, version=e.detector_version),
        statement_of_reasons_id=e.statement_of_reasons_id,
        facts_ref=e.facts_ref,
        amount=money(e.amount),
        strikes=e.strikes,
    )
