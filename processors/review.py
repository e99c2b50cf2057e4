"""Review: a claim is a lease, a decision is the holder's, the first valid event wins.

The engine is the arbiter. An event that is stale or forbidden becomes one ``ReviewRejected`` line and changes nothing
else; an event that was accepted and is delivered again is silent. A claim is no promise that the regulatory clock
stops: only a decision ends a case.
"""

from processors.closing import decide
from processors.context import Context
from processors.dossier import Dossier, Lease, OpenCase
from processors.errors import UnknownSymbolError
from processors.outbox import case_line, line, publish
from processors.reasons import ReviewRefusal
from schemas.records import CaseClaimed, CaseReleased, DecisionProposed, Millis
from schemas.vocabulary import CaseEventKind, CaseState, Outcome

REVIEWERS_OUTCOMES = frozenset({Outcome.UPHELD, Outcome.OVERTURNED})
"""Outcomes that a reviewer can propose; ``withdrawn`` and ``moot`` come about by events."""

Reviewed = CaseClaimed | CaseReleased | DecisionProposed


def on_claimed(dossier: Dossier, event: CaseClaimed, ctx: Context) -> None:
    """Give, or renew, the lease on a case."""
    case = _current(dossier, event, ctx)
    if case is None:
        return
    lease = case.lease
    if event.actor in case.excluded:
        _reject(dossier, event, ctx, ReviewRefusal.REVIEWER_EXCLUDED, case)
        return
    if lease is not None and lease.reviewer != event.actor:
        _reject(dossier, event, ctx, ReviewRefusal.ALREADY_CLAIMED, case)
        return
    now = Millis(ctx.now)
    until = Millis(now + ctx.rulebook.tables.lease_ms)
    case.lease = Lease(event.actor, now if lease is None else lease.since, until)
    case.state = CaseState.CLAIMED
    kind = CaseEventKind.CASE_CLAIMED if lease is None else CaseEventKind.CLAIM_RENEWED
    _accept(dossier, event, ctx, case, kind, {"until": str(until)})


def on_released(dossier: Dossier, event: CaseReleased, ctx: Context) -> None:
    """Take the case back from its holder; its `rank_at` is what it always was."""
    case = _current(dossier, event, ctx)
    if case is None:
        return
    refusal = _not_holder(case, event)
    if refusal is not None:
        _reject(dossier, event, ctx, refusal, case)
        return
    case.lease = None
    case.state = CaseState.QUEUED
    _accept(dossier, event, ctx, case, CaseEventKind.CASE_RELEASED, {})


def on_proposed(dossier: Dossier, event: DecisionProposed, ctx: Context) -> None:
    """Close the case as its holder decides."""
    if event.outcome is Outcome.UNKNOWN:
        raise UnknownSymbolError(f"decision {event.event_id}: the outcome is not known to this version")
    case = _current(dossier, event, ctx)
    if case is None:
        return
    refusal = _not_holder(case, event)
    if refusal is None and event.actor in case.excluded:
        refusal = ReviewRefusal.REVIEWER_EXCLUDED
    if refusal is None and event.outcome not in REVIEWERS_OUTCOMES:
        refusal = ReviewRefusal.OUTCOME_NOT_SUPPORTED
    if refusal is None and not {x.evidence_id for x in case.evidence}.issuperset(event.cited_evidence):
        refusal = ReviewRefusal.EVIDENCE_UNKNOWN
    if refusal is not None:
        _reject(dossier, event, ctx, refusal, case)
        return
    decide(dossier, case, dossier.enforcements[case.enforcement_id], ctx, event)


def expire_claim(dossier: Dossier, case: OpenCase, ctx: Context, cause: str) -> None:
    """The lease has ended without a decision: the case is anybody's again, at its old rank."""
    lease = case.lease
    case.lease = None
    case.state = CaseState.QUEUED
    case.version += 1
    actor = None if lease is None else lease.reviewer
    case_line(dossier, ctx, CaseEventKind.CLAIM_EXPIRED, cause, case, actor=actor)
    publish(dossier, ctx, case, dossier.enforcements[case.enforcement_id])


def _current(dossier: Dossier, event: Reviewed, ctx: Context) -> OpenCase | None:
    """The open case that the event is about and up to date with; otherwise the event has been answered."""
    case = dossier.cases.get(event.case_id)
    if case is None:
        decided = dossier.decided.get(event.case_id)
        if decided is None:
            _reject(dossier, event, ctx, ReviewRefusal.UNKNOWN_CASE, None)
        elif decided.last_review != event.event_id:
            _reject(dossier, event, ctx, ReviewRefusal.CASE_CLOSED, None)
        return None
    if case.last_review == event.event_id:
        return None
    if event.expected_version != case.version:
        _reject(dossier, event, ctx, ReviewRefusal.STALE_VERSION, case)
        return None
    return case


def _not_holder(case: OpenCase, event: Reviewed) -> ReviewRefusal | None:
    if case.lease is None:
        return ReviewRefusal.NOT_CLAIMED
    return None if case.lease.reviewer == event.actor else ReviewRefusal.NOT_THE_HOLDER


def _accept(
    dossier: Dossier, event: Reviewed, ctx: Context, case: OpenCase, kind: CaseEventKind, saw: dict[str, str]
) -> None:
    case.version += 1
    case.last_review = event.event_id
    case_line(dossier, ctx, kind, event.event_id, case, actor=event.actor, saw=saw)
    publish(dossier, ctx, case, dossier.enforcements[case.enforcement_id])


def _reject(dossier: Dossier, event: Reviewed, ctx: Context, reason: ReviewRefusal, case: OpenCase | None) -> None:
    saw = {"event": type(event).__name__, "expected_version": str(event.expected_version)}
    kind = CaseEventKind.REVIEW_REJECTED
    if case is None:
        line(dossier, ctx, kind, event.event_id, case_id=event.case_id, actor=event.actor, reason=reason, saw=saw)
    else:
        case_line(dossier, ctx, kind, event.event_id, case, actor=event.actor, reason=reason, saw=saw)
