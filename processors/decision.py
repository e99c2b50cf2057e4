"""A final decision: what it was, who made it on what, and what follows from it."""

from typing import NamedTuple

from processors import ids
from processors.closing import close, joined, saw_of
from processors.context import Context
from processors.dossier import Dossier, Tally
from processors.growth import MAX_BARRED, MAX_TALLIES, keep_newest
from processors.lesser import told
from processors.lifecycle import Move
from processors.on_file import Enforcement, FiledLesser
from processors.open_case import OpenCase
from processors.outbox import closed_line
from processors.remand import remand
from processors.reversal import Because, reverse
from schemas.records import ReviewerId
from schemas.vocabulary import CaseOrigin, DismissalReason, Outcome, ReversalCause

_ON_THE_MERITS = frozenset({Outcome.UPHELD, Outcome.UPHELD_GROUND_CHANGED, Outcome.OVERTURNED, Outcome.MODIFIED})
"""Outcomes that say whether the enforcement was right; only these count for or against its detector."""

_FINAL = frozenset({Outcome.UPHELD, Outcome.UPHELD_GROUND_CHANGED, Outcome.MODIFIED})
"""Outcomes after which this version of the enforcement stands as it is: it cannot be appealed against again."""


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
    lesser: FiledLesser | None = None
    """What is left of the enforcement; with outcome ``modified``."""
    guidance_ref: str | None = None
    """What the enforcing side must look at again; with outcome ``remanded``."""


def decide(dossier: Dossier, case: OpenCase, e: Enforcement, ctx: Context, verdict: Verdict, move: Move) -> None:
    """Close the case by a decision, which the caller has found valid."""
    # Whoever did not agree with somebody is excluded from the case, and has judged the enforcement too.
    for person in (*case.excluded, verdict.actor, verdict.second):
        if move is Move.DECIDE and person is not None and person not in e.barred:
            e.barred = [*e.barred, person][-MAX_BARRED:]
    outcome = verdict.outcome
    _count(dossier, case, e, outcome, by_people=move is Move.DECIDE)
    saw = saw_of(case, e) | _how(verdict)
    if outcome in _FINAL and case.origin is CaseOrigin.APPEAL:
        e.upheld_version = e.version
    close(
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
    if outcome in (Outcome.OVERTURNED, Outcome.MODIFIED):
        because = Because(
            ReversalCause.DECISION,
            ids.reversal_id(case.case_id),
            lesser=verdict.lesser,
            case_id=case.case_id,
            appeal_id=case.appeal_id,
            language=case.language,
        )
        reverse(dossier, case.enforcement_id, because, ctx, verdict.event_id)
        return
    if outcome is Outcome.REMANDED and verdict.guidance_ref is not None and verdict.reasons_ref is not None:
        remand(dossier, case, e, ctx, verdict.event_id, verdict.reasons_ref, verdict.guidance_ref)
    closed_line(dossier, ctx, verdict.event_id, case)


def _how(verdict: Verdict) -> dict[str, str]:
    """Who decided, how, and on what."""
    saw = {
        "reviewer": verdict.actor,
        "how": verdict.how,
        "decision_policy_version": verdict.policy_version,
        "cited_evidence": joined(verdict.cited),
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
        saw["because"] = joined(verdict.because)
    if verdict.substituted_policy is not None:
        saw["substituted_policy"] = verdict.substituted_policy
    if verdict.lesser is not None:
        saw |= told(verdict.lesser)
    if verdict.guidance_ref is not None:
        saw["guidance_ref"] = verdict.guidance_ref
    return saw


def _count(dossier: Dossier, case: OpenCase, e: Enforcement, outcome: Outcome, *, by_people: bool) -> None:
    """Count it for the user, and for the detector if people judged: a rule must not raise what the rule rests on.

    Who got a milder measure was right to appeal; the detector was right all the same that something was wrong. What
    is sent back is not judged yet, and a case without an appeal says nothing of the user as an appellant.
    """
    overturned = outcome is Outcome.OVERTURNED
    if case.origin is not CaseOrigin.APPEAL or outcome is Outcome.REMANDED:
        pass
    elif overturned or outcome is Outcome.MODIFIED:
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
