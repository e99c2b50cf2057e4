"""The end of a case: one outcome, one line, a tombstone, a notice, and the short form that is kept."""

from hashlib import sha256
from typing import NamedTuple

from processors import reversal
from processors.context import Context
from processors.dossier import Dossier, Tally
from processors.growth import MAX_BARRED, MAX_DECIDED, MAX_TALLIES, keep_newest
from processors.lifecycle import Move, go
from processors.on_file import Enforcement
from processors.open_case import Decided, OpenCase
from processors.outbox import REDRESS_OF_DECISION, case_line, closed_line, notice
from processors.publishing import withdraw
from processors.reasons import Change, Moot
from processors.remains import something_remains, stands
from schemas.records import ReviewerId
from schemas.vocabulary import CaseEventKind, DismissalReason, NoticeKind, Outcome, Redress

_LONGEST_SAW = 4_000  # characters; a value of `saw` may have 4,096


_ON_THE_MERITS = frozenset({Outcome.UPHELD, Outcome.UPHELD_GROUND_CHANGED, Outcome.OVERTURNED})
"""Outcomes that say whether the enforcement was right; only these count for or against its detector."""


class Verdict(NamedTuple):
    """A final decision: what, by whom, and on what."""

    event_id: str
    outcome: Outcome
    actor: ReviewerId
    """The first reviewer, or the rule."""
    second: ReviewerId | None
    how: str
    """``alone``, ``confirmed``, ``decided_alike`` (two people), ``lead`` or ``rule``."""
    reasons_ref: str | None
    policy_version: str
    cited: list[str]
    dismissal: DismissalReason | None
    substituted_policy: str | None
    because: list[str]
    """Triggers of the second look, or the rule."""
    second_reasons_ref: str | None = None
    """What the second reviewer wrote, if anything of their own."""


def decide(dossier: Dossier, case: OpenCase, e: Enforcement, ctx: Context, verdict: Verdict, move: Move) -> None:
    """Close the case by a decision, which the caller has found valid."""
    # Whoever did not agree with somebody is excluded from the case, and has judged the enforcement too.
    for person in (*case.excluded, verdict.actor, verdict.second):
        if move is Move.DECIDE and person is not None and person not in e.barred:
            e.barred = [*e.barred, person][-MAX_BARRED:]
    outcome = verdict.outcome
    _count(dossier, e, outcome, by_people=move is Move.DECIDE)
    saw = _saw(case, e) | _how(verdict)
    if outcome in (Outcome.UPHELD, Outcome.UPHELD_GROUND_CHANGED):
        e.upheld_version = e.version
    _close(
        dossier,
        case,
        e,
        ctx,
        verdict.event_id,
        move,
        outcome=outcome,
        actor=verdict.actor,
        reason=verdict.dismissal,
        reasons_ref=verdict.reasons_ref,
        saw=saw,
        last_review=verdict.event_id,
    )
    if outcome is Outcome.OVERTURNED:
        reversal.order(dossier, case, e, ctx, verdict.event_id)
    else:
        closed_line(dossier, ctx, verdict.event_id, case)


def close_withdrawn(dossier: Dossier, case: OpenCase, ctx: Context, cause: str) -> None:
    """Close the case because the appellant took the appeal back."""
    e = dossier.enforcements[case.enforcement_id]
    dossier.counts.withdrawn += 1
    _close(dossier, case, e, ctx, cause, Move.END, outcome=Outcome.WITHDRAWN, saw=_saw(case, e))
    closed_line(dossier, ctx, cause, case)


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
    _close(dossier, case, e, ctx, cause, Move.END, outcome=Outcome.MOOT, reason=reason, saw=_saw(case, e))
    closed_line(dossier, ctx, cause, case)


def _close(
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
        f"case.decided.{outcome}",
        line_id,
        case=case,
        enforcement=e,
        outcome=outcome,
        reasons_ref=reasons_ref,
        reasons=[] if reason is None else [reason],
        redress=list(_REDRESS.get(outcome, REDRESS_OF_DECISION)),
    )


_NOT_JUDGED = [Redress.APPEAL_AGAIN, *REDRESS_OF_DECISION]
_REDRESS = {Outcome.DISMISSED: _NOT_JUDGED, Outcome.WITHDRAWN: _NOT_JUDGED}
"""What is left after each outcome, where it is more than after every decision."""


def _how(verdict: Verdict) -> dict[str, str]:
    """Who decided, how, and on what."""
    saw = {
        "reviewer": verdict.actor,
        "how": verdict.how,
        "decision_policy_version": verdict.policy_version,
        "cited_evidence": _joined(verdict.cited),
    }
    if verdict.reasons_ref is not None:
        saw["reasons_ref"] = verdict.reasons_ref
    if verdict.second is not None:
        saw["first_reviewer"] = verdict.actor
        saw["second_reviewer"] = verdict.second
        saw["agreed"] = "true"
    if verdict.second_reasons_ref is not None:
        saw["second_reasons_ref"] = verdict.second_reasons_ref
    if verdict.because:
        saw["because"] = _joined(verdict.because)
    if verdict.substituted_policy is not None:
        saw["substituted_policy"] = verdict.substituted_policy
    return saw


def _count(dossier: Dossier, e: Enforcement, outcome: Outcome, *, by_people: bool) -> None:
    """Count it for the user, and for the detector if people judged: a rule must not raise what the rule rests on."""
    overturned = outcome is Outcome.OVERTURNED
    if overturned:
        dossier.counts.overturned += 1
    elif outcome is Outcome.DISMISSED:
        dossier.counts.refused += 1
    else:
        dossier.counts.upheld += 1
    if by_people and e.detector is not None and outcome in _ON_THE_MERITS:
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
    if case.standard:
        saw["standard"] = case.standard
    if case.waived:
        saw["waived_evidence"] = _joined([*case.waived])
    if case.paused_ms:
        saw["paused_ms"] = str(case.paused_ms)
    return saw


def _joined(names: list[str] | list[ReviewerId]) -> str:
    text = ",".join(names)
    if len(text) <= _LONGEST_SAW:
        return text
    return f"{len(names)} names, sha256 {sha256(text.encode()).hexdigest()}"
