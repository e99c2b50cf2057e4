"""The end of a case: one outcome, one line, a tombstone, a notice, and the short form that is kept."""

from hashlib import sha256

from processors import reversal
from processors.context import Context
from processors.dossier import Decided, Dossier, OpenCase, Tally
from processors.growth import MAX_BARRED, MAX_DECIDED, MAX_TALLIES, keep_newest
from processors.on_file import Enforcement
from processors.outbox import REDRESS_OF_DECISION, case_line, notice, withdraw
from processors.reasons import Change, Moot
from processors.remains import something_remains, stands
from schemas.records import DecisionProposed, ReviewerId
from schemas.vocabulary import CaseEventKind, CaseState, NoticeKind, Outcome

_LONGEST_SAW = 4_000  # characters; a value of `saw` may have 4,096


def decide(dossier: Dossier, case: OpenCase, e: Enforcement, ctx: Context, decision: DecisionProposed) -> None:
    """Close the case by a reviewer's decision, which the caller has found valid."""
    if decision.actor not in e.barred:
        e.barred = [*e.barred, decision.actor][-MAX_BARRED:]
    overturned = decision.outcome is Outcome.OVERTURNED
    _count(dossier, e, overturned=overturned)
    saw = _saw(case, e)
    saw["reviewer"] = decision.actor
    saw["decision_policy_version"] = decision.policy_version
    saw["reasons_ref"] = decision.reasons_ref
    saw["cited_evidence"] = _joined(decision.cited_evidence)
    if not overturned:
        e.upheld_version = e.version
    _close(
        dossier,
        case,
        e,
        ctx,
        decision.event_id,
        outcome=decision.outcome,
        actor=decision.actor,
        reasons_ref=decision.reasons_ref,
        saw=saw,
        last_review=decision.event_id,
    )
    if overturned:
        reversal.order(dossier, case, e, ctx, decision.event_id)


def close_withdrawn(dossier: Dossier, case: OpenCase, ctx: Context, cause: str) -> None:
    """Close the case because the appellant took the appeal back."""
    e = dossier.enforcements[case.enforcement_id]
    dossier.counts.withdrawn += 1
    _close(dossier, case, e, ctx, cause, outcome=Outcome.WITHDRAWN, saw=_saw(case, e))


def settle(dossier: Dossier, case: OpenCase, e: Enforcement, ctx: Context, cause: str) -> None:
    """After a lift or an end: the case is moot, unless a strike or money still counts."""
    if stands(e, ctx.now):
        return
    lifted = e.lift is not None
    case.expires_at = None
    if something_remains(e):
        change = Change.LIFTED_WITH_REMAINS if lifted else Change.EXPIRED_WITH_REMAINS
        case_line(dossier, ctx, CaseEventKind.ENFORCEMENT_CHANGED, cause, case, reason=change)
        return
    e.moot = True
    dossier.counts.moot += 1
    reason = Moot.LIFTED if lifted else Moot.EXPIRED
    _close(dossier, case, e, ctx, cause, outcome=Outcome.MOOT, reason=reason, saw=_saw(case, e))


def _close(
    dossier: Dossier,
    case: OpenCase,
    e: Enforcement,
    ctx: Context,
    cause: str,
    *,
    outcome: Outcome,
    saw: dict[str, str],
    actor: ReviewerId | None = None,
    reason: str | None = None,
    reasons_ref: str | None = None,
    last_review: str = "",
) -> None:
    case.version += 1
    case.state = CaseState.DECIDED
    case.lease = None
    e.case_id = None
    del dossier.cases[case.case_id]
    dossier.decided[case.case_id] = Decided(case.appeal_id, outcome, case.version, last_review)
    keep_newest(dossier.decided, MAX_DECIDED)
    line_id = case_line(
        dossier, ctx, CaseEventKind.CASE_DECIDED, cause, case, actor=actor, outcome=outcome, reason=reason, saw=saw
    )
    withdraw(ctx, case)
    notice(
        dossier,
        ctx,
        NoticeKind.DECIDED,
        f"case.decided.{outcome}",
        line_id,
        language=case.language,
        appeal_id=case.appeal_id,
        case_id=case.case_id,
        enforcement_id=case.enforcement_id,
        outcome=outcome,
        reasons_ref=reasons_ref,
        redress=REDRESS_OF_DECISION,
    )


def _count(dossier: Dossier, e: Enforcement, *, overturned: bool) -> None:
    if overturned:
        dossier.counts.overturned += 1
    else:
        dossier.counts.upheld += 1
    if e.detector is not None:
        tally = dossier.tallies.setdefault(e.detector, Tally())
        tally.decided += 1
        tally.overturned += overturned
        keep_newest(dossier.tallies, MAX_TALLIES)


def _saw(case: OpenCase, e: Enforcement) -> dict[str, str]:
    """What the decision rested on, and what overturns are counted by: decider, detector, policy, language, region."""
    saw = {
        "enforcement_version": str(e.version),
        "policy": e.policy,
        "policy_version": e.policy_version,
        "action": e.action.value,
        "category": e.category.value,
        "automation": e.automation.value,
        "language": case.language,
        "region": case.region,
        "score": str(case.score),
        "rule": case.rule,
        "triage_digest": case.digest,
        "statement_of_reasons_id": e.statement_of_reasons_id,
        "opened_at": str(case.opened_at),
        "submitted_at": str(case.submitted_at),
    }
    if e.detector is not None:
        saw["detector"] = e.detector
        saw["detector_version"] = e.detector_version
    if case.excluded:
        saw["excluded_reviewers"] = _joined(case.excluded)
    return saw


def _joined(names: list[str] | list[ReviewerId]) -> str:
    text = ",".join(names)
    if len(text) <= _LONGEST_SAW:
        return text
    return f"{len(names)} names, sha256 {sha256(text.encode()).hexdigest()}"
