"""The end of a case: one outcome, one line, a tombstone, a notice, and the short form that is kept."""

from collections.abc import Mapping
from hashlib import sha256

from processors.context import Context
from processors.dossier import Dossier
from processors.growth import MAX_DECIDED, keep_newest
from processors.lifecycle import Move, go
from processors.on_file import Enforcement
from processors.open_case import Decided, OpenCase
from processors.outbox import REDRESS_OF_DECISION, case_line, closed_line, notice
from processors.publishing import withdraw
from processors.reasons import Change, Erasure, Moot, Reversed
from processors.remains import something_remains, stands
from schemas.records import ReviewerId
from schemas.vocabulary import CaseEventKind, CaseOrigin, NoticeKind, Outcome, Redress

_LONGEST_SAW = 4_000  # characters; a value of `saw` may have 4,096


def close_withdrawn(
    dossier: Dossier,
    case: OpenCase,
    ctx: Context,
    cause: str,
    *,
    reason: str | None = None,
    actor: ReviewerId | None = None,
) -> None:
    """Close the case because the appellant took the appeal back, or wants to be erased."""
    e = dossier.enforcements[case.enforcement_id]
    dossier.counts.withdrawn += case.origin is CaseOrigin.APPEAL
    saw = saw_of(case, e)
    close(dossier, case, e, ctx, cause, Move.END, outcome=Outcome.WITHDRAWN, saw=saw, reason=reason, actor=actor)
    closed_line(dossier, ctx, cause, case)


def close_reversed(
    dossier: Dossier,
    case: OpenCase,
    e: Enforcement,
    ctx: Context,
    cause: str,
    how: Reversed,
    told: Mapping[str, str] | None = None,
) -> None:
    """Close the case as overturned, because what it is about is reversed for another reason; the caller reverses it.

    `told` is what the line says besides.
    """
    saw = {**saw_of(case, e), **(told or {})}
    close(dossier, case, e, ctx, cause, Move.REVERSE, outcome=Outcome.OVERTURNED, reason=how, saw=saw)


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
    dossier.counts.moot += case.origin is CaseOrigin.APPEAL
    reason = Moot.LIFTED if lifted else Moot.EXPIRED
    close(dossier, case, e, ctx, cause, Move.END, outcome=Outcome.MOOT, reason=reason, saw=saw_of(case, e))
    closed_line(dossier, ctx, cause, case)


def close(
    dossier: Dossier,
    case: OpenCase,
    e: Enforcement,
    ctx: Context,
    cause: str,
    move: Move,
    *,
    outcome: Outcome,
    saw: dict[str, str],
    actor: ReviewerId | None = None,
    reason: str | None = None,
    reasons_ref: str | None = None,
    last_review: str = "",
) -> None:
    """One outcome, one line, a tombstone, a notice, and the short form that is kept."""
    case.version += 1
    case.lease = None
    go(case, move)
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
        "case.erased" if reason == Erasure.ERASURE else f"case.decided.{outcome}",
        line_id,
        case=case,
        enforcement=e,
        outcome=outcome,
        reasons_ref=reasons_ref,
        reasons=[] if reason is None else [reason],
        redress=list(REDRESS_OF_DECISION if reason == Erasure.ERASURE else _REDRESS.get(outcome, REDRESS_OF_DECISION)),
    )


_NOT_JUDGED = [Redress.APPEAL_AGAIN, *REDRESS_OF_DECISION]
_REDRESS = {Outcome.DISMISSED: _NOT_JUDGED, Outcome.WITHDRAWN: _NOT_JUDGED}
"""What is left after each outcome, where it is more than after every decision."""


def saw_of(case: OpenCase, e: Enforcement) -> dict[str, str]:
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
        "issued_at": str(e.issued_at),
    }
    if e.detector is not None:
        saw["detector"] = e.detector
        saw["detector_version"] = e.detector_version
    if e.decided_by is not None:
        saw["decided_by"] = e.decided_by
    if case.origin is not CaseOrigin.APPEAL:
        saw["origin"] = case.origin.value
    if case.excluded:
        saw["excluded_reviewers"] = joined(case.excluded)
    if case.standard:
        saw["standard"] = case.standard
    if case.waived:
        saw["waived_evidence"] = joined([*case.waived])
    if case.paused_ms:
        saw["paused_ms"] = str(case.paused_ms)
    return saw


def joined(names: list[str] | list[ReviewerId]) -> str:
    """Names as a value of `saw`; too many are named by their number and their hash."""
    text = ",".join(names)
    if len(text) <= _LONGEST_SAW:
        return text
    return f"{len(names)} names, sha256 {sha256(text.encode()).hexdigest()}"
