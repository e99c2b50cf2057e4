"""Decisions: proposed by whoever holds the case, looked at by a second person where the rulebook says so, then final.

The second reviewer is another person, and neither is the original decider. They confirm, give the proposal back with
guidance, or decide otherwise; if the two do not agree, the lead pod decides for good. In a blind review the second
reviewer decides without seeing the first decision, and two equal decisions are one.
"""

from processors.arbiter import Ruling, accept, current, not_allowed, reject
from processors.closing import joined
from processors.context import Context
from processors.decision import Verdict, decide
from processors.dossier import Dossier
from processors.errors import UnknownSymbolError
from processors.lesser import filed, not_lesser, told
from processors.lifecycle import Move, go
from processors.open_case import OpenCase, Proposed
from processors.reasons import Dispute, ReviewRefusal
from processors.review import move_to
from processors.review_tables import ReviewTables
from processors.rulebook_parts import REVIEWERS_OUTCOMES
from processors.second_review import drawn_blind, triggers
from processors.standards import missing
from schemas.records import DecisionConfirmed, DecisionProposed, DecisionReturned, Millis
from schemas.vocabulary import CaseEventKind, CaseOrigin, CaseState, DismissalReason, Outcome


def on_proposed(dossier: Dossier, event: DecisionProposed, ctx: Context) -> None:
    """A first decision, a second one beside it, or the lead's last word."""
    if event.outcome is Outcome.UNKNOWN or event.dismissal is DismissalReason.UNKNOWN:
        raise UnknownSymbolError(f"decision {event.event_id}: outcome or dismissal is not known to this version")
    case = current(dossier, event, ctx)
    if case is None:
        return
    tables = ctx.rulebook.tables
    ruling = not_allowed(case, event.actor, Move.DECIDE, tables.review) or _not_sound(
        dossier, case, event, tables.review
    )
    if ruling is not None:
        reject(dossier, event, ctx, ruling, case)
        return
    e = dossier.enforcements[case.enforcement_id]
    decision = Proposed(
        event.event_id,
        event.actor,
        event.outcome,
        Millis(ctx.now),
        event.reasons_ref,
        event.policy_version,
        list(event.cited_evidence),
        event.dismissal,
        event.substituted_policy,
        None if event.lesser is None else filed(event.lesser),
        event.guidance_ref,
    )
    first = case.proposal
    if first is not None:
        if _same(first, decision):
            _decide(dossier, case, ctx, decision, first, "decided_alike")
        else:
            _dispute(dossier, case, event, ctx, first, Dispute.DIFFERENT_OUTCOMES)
    elif case.disputed:
        _decide(dossier, case, ctx, decision, None, "lead")
    elif because := triggers(dossier, case, e, decision, ctx.now, tables):
        _propose(dossier, case, event, ctx, decision, because)
    else:
        _decide(dossier, case, ctx, decision, None, "alone")


def on_confirmed(dossier: Dossier, event: DecisionConfirmed, ctx: Context) -> None:
    """The second reviewer agrees: the case is decided as proposed."""
    case = current(dossier, event, ctx)
    if case is None:
        return
    ruling = _not_second(case, event, ctx.rulebook.tables.review)
    first = case.proposal
    if ruling is not None or first is None:
        reject(dossier, event, ctx, ruling or Ruling(ReviewRefusal.WRONG_STATE), case)
        return
    second = Proposed(
        event.event_id,
        event.actor,
        first.outcome,
        Millis(ctx.now),
        event.reasons_ref or first.reasons_ref,
        first.policy_version,
        first.cited,
        first.dismissal,
        first.substituted_policy,
        first.lesser,
        first.guidance_ref,
    )
    _decide(dossier, case, ctx, second, first, "confirmed")


def on_returned(dossier: Dossier, event: DecisionReturned, ctx: Context) -> None:
    """The second reviewer gives the proposal back with guidance; the first may think again, or another person."""
    case = current(dossier, event, ctx)
    if case is None:
        return
    tables = ctx.rulebook.tables.review
    ruling = _not_second(case, event, tables)
    first = case.proposal
    if ruling is not None or first is None:
        reject(dossier, event, ctx, ruling or Ruling(ReviewRefusal.WRONG_STATE), case)
        return
    case.guidance_ref = event.guidance_ref
    case.returns += 1
    if case.returns > tables.returns:
        _dispute(dossier, case, event, ctx, first, Dispute.RETURNED_TOO_OFTEN)
        return
    because = joined(case.triggers)
    forget_proposal(case)
    go(case, Move.RETURN)
    saw = _both(dossier, case, first) | {"second_reviewer": event.actor, "agreed": "false", "because": because}
    saw |= {"guidance_ref": event.guidance_ref, "returns": str(case.returns)}
    accept(dossier, event, ctx, case, CaseEventKind.DECISION_RETURNED, saw=saw)


def forget_proposal(case: OpenCase) -> None:
    """There is no proposed decision any more, and nobody is looking at one."""
    case.lease = None
    case.proposal = None
    case.triggers = []
    case.second_since = Millis(0)
    case.blind = False


def _propose(
    dossier: Dossier, case: OpenCase, event: DecisionProposed, ctx: Context, decision: Proposed, because: list[str]
) -> None:
    """The decision waits for a second person; whoever made it lets go."""
    case.lease = None
    case.proposal = decision
    case.triggers = because
    case.second_since = Millis(ctx.now)
    case.blind = drawn_blind(case, ctx.rulebook.tables)
    go(case, Move.PROPOSE)
    saw = _both(dossier, case, decision) | {"because": ",".join(because), "blind": str(case.blind).lower()}
    accept(dossier, event, ctx, case, CaseEventKind.DECISION_PROPOSED, saw=saw)


def _dispute(
    dossier: Dossier,
    case: OpenCase,
    event: DecisionProposed | DecisionReturned,
    ctx: Context,
    first: Proposed,
    why: Dispute,
) -> None:
    """Two people do not agree: a third one, at the lead pod, decides for good."""
    lead = ctx.rulebook.tables.review.lead_pod
    saw = _both(dossier, case, first) | {"second_reviewer": event.actor, "agreed": "false", "from": case.pod}
    saw["because"] = joined(case.triggers)
    if isinstance(event, DecisionProposed):
        saw["second_outcome"] = event.outcome.value
    case.excluded = [*case.excluded, *(who for who in (first.reviewer, event.actor) if who not in case.excluded)]
    case.disputed = True
    forget_proposal(case)
    go(case, Move.DISPUTE)
    if lead is not None and lead != case.pod:
        move_to(case, lead, "disputed decision", f"{why}: {first.reviewer} and {event.actor}", ctx)
    accept(dossier, event, ctx, case, CaseEventKind.DECISION_DISPUTED, reason=why, saw=saw)


def _decide(dossier: Dossier, case: OpenCase, ctx: Context, last: Proposed, first: Proposed | None, how: str) -> None:
    """The case ends: as `last` says, and with two people behind it if there was a `first`."""
    verdict = Verdict(
        event_id=last.event_id,
        outcome=last.outcome,
        actor=last.reviewer if first is None else first.reviewer,
        second=None if first is None else last.reviewer,
        how=how,
        reasons_ref=last.reasons_ref if first is None else first.reasons_ref,
        policy_version=last.policy_version,
        cited=last.cited if first is None else list(dict.fromkeys([*first.cited, *last.cited])),
        dismissal=last.dismissal,
        substituted_policy=last.substituted_policy,
        because=list(case.triggers),
        second_reasons_ref=None if first is None or last.reasons_ref == first.reasons_ref else last.reasons_ref,
        lesser=last.lesser,
        guidance_ref=last.guidance_ref,
    )
    decide(dossier, case, dossier.enforcements[case.enforcement_id], ctx, verdict, Move.DECIDE)


def _not_sound(dossier: Dossier, case: OpenCase, event: DecisionProposed, tables: ReviewTables) -> Ruling | None:
    """Why no case may be decided like this."""
    if event.outcome not in REVIEWERS_OUTCOMES:
        return Ruling(ReviewRefusal.OUTCOME_NOT_SUPPORTED, event.outcome)
    if event.outcome is Outcome.DISMISSED and event.dismissal is None:
        return Ruling(ReviewRefusal.REASON_MISSING, "dismissal")
    if event.outcome is Outcome.UPHELD_GROUND_CHANGED and event.substituted_policy is None:
        return Ruling(ReviewRefusal.REASON_MISSING, "substituted_policy")
    fault = _not_whole(dossier, case, event)
    if fault is not None:
        return fault
    unknown = set(event.cited_evidence).difference(exhibit.evidence_id for exhibit in case.evidence)
    if unknown:
        return Ruling(ReviewRefusal.EVIDENCE_UNKNOWN, ",".join(sorted(unknown))[:4_000])
    lacking = missing(case, event.outcome, event.cited_evidence, tables)
    return Ruling(ReviewRefusal.EVIDENCE_MISSING, lacking[:4_000]) if lacking else None


def _not_whole(dossier: Dossier, case: OpenCase, event: DecisionProposed) -> Ruling | None:
    """What a modification or a remand lacks, or where it goes too far."""
    if event.outcome is Outcome.MODIFIED:
        if event.lesser is None:
            return Ruling(ReviewRefusal.REASON_MISSING, "lesser")
        fault = not_lesser(filed(event.lesser), dossier.enforcements[case.enforcement_id])
        return None if fault is None else Ruling(ReviewRefusal.NOT_LESSER, fault[:4_000])
    if event.outcome is Outcome.REMANDED:
        if event.guidance_ref is None:
            return Ruling(ReviewRefusal.REASON_MISSING, "guidance_ref")
        if case.origin is CaseOrigin.REMAND or case.enforcement_id in dossier.remands:
            return Ruling(ReviewRefusal.REMANDED_ALREADY)
    return None


def _not_second(case: OpenCase, event: DecisionConfirmed | DecisionReturned, tables: ReviewTables) -> Ruling | None:
    if case.state is not CaseState.SECOND_REVIEW:
        return Ruling(ReviewRefusal.WRONG_STATE, case.state)
    ruling = not_allowed(case, event.actor, Move.DECIDE, tables)
    return Ruling(ReviewRefusal.BLIND_REVIEW) if ruling is None and case.blind else ruling


def _same(first: Proposed, second: Proposed) -> bool:
    return (first.outcome, first.dismissal, first.substituted_policy, first.lesser) == (
        second.outcome,
        second.dismissal,
        second.substituted_policy,
        second.lesser,
    )


def _both(dossier: Dossier, case: OpenCase, first: Proposed) -> dict[str, str]:
    """What agreement is counted by: reviewer, policy, outcome."""
    e = dossier.enforcements[case.enforcement_id]
    return {
        "first_reviewer": first.reviewer,
        "first_outcome": first.outcome.value,
        "policy": e.policy,
        "action": e.action.value,
        "language": case.language,
        "region": case.region,
        **({} if first.lesser is None else told(first.lesser)),
    }
