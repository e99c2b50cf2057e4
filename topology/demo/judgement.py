"""What a simulated specialist says about a case: the review events that any reviewer tool would write.

First reviewers uphold only what the standard of evidence lets them; where the enforcing side has shown too little they
ask for it, and where nothing comes the appellant wins. Second reviewers mostly agree, sometimes give guidance, and now
and then decide otherwise, so that the lead pod has something to do.
"""

from __future__ import annotations

from random import Random
from typing import Any

from schemas.records import (
    Case,
    CaseClaimed,
    CaseReleased,
    DecisionConfirmed,
    DecisionProposed,
    DecisionReturned,
    EvidenceRequested,
    Millis,
    ReviewerId,
    ReviewEvent,
)
from schemas.vocabulary import CaseOrigin, CaseState, EvidenceSupplier, Outcome
from topology.demo import rates
from topology.demo.clock import now_ms
from topology.demo.milder import lesser

_DISAGREES = 0.06
_RETURNS = 0.05
_MOST_CITED = 50


class Judgement:
    """Makes the events; what is decided is drawn from the case's id, so that the same case is judged alike."""

    def __init__(self) -> None:
        self._made = 0

    def claim(self, who: ReviewerId, case: Case) -> ReviewEvent:
        """Take the case, or the second look at it."""
        return CaseClaimed(**self._about(who, case))

    def release(self, who: ReviewerId, case: Case) -> ReviewEvent:
        """Hand it back."""
        return CaseReleased(**self._about(who, case), reason="end of shift")

    def finish(self, who: ReviewerId, case: Case) -> ReviewEvent:
        """What the holder of the claim does with the case in the end."""
        if case.state is CaseState.SECOND_REVIEW:
            return self._second(who, case)
        outcome = self._outcome(case)
        if outcome is Outcome.UPHELD:
            lacking = [need for need in case.standard if outcome in need.outcomes and not (need.met or need.waived)]
            asked_before = case.paused_ms > 0
            if lacking and not asked_before:
                need = lacking[0]
                return EvidenceRequested(
                    **self._about(who, case),
                    kinds=list(need.kinds),
                    supplier=need.supplier or EvidenceSupplier.ENFORCEMENT,
                    note_ref=f"notes/{case.case_id}",
                )
            if lacking:
                outcome = Outcome.OVERTURNED  # what could not be shown does not count against the user
        return self._decide(who, case, outcome)

    def _second(self, who: ReviewerId, case: Case) -> ReviewEvent:
        rng = Random(f"{case.case_id} {who} {case.version}")
        if case.proposal is None:  # blind: judge it as if nobody had
            return self._decide(who, case, self._outcome(case))
        if rng.random() < _DISAGREES:
            other = Outcome.OVERTURNED if case.proposal.outcome is Outcome.UPHELD else Outcome.UPHELD
            if other is Outcome.OVERTURNED or all(need.met or need.waived for need in case.standard):
                return self._decide(who, case, other)
        if rng.random() < _RETURNS:
            return DecisionReturned(**self._about(who, case), guidance_ref=f"guidance/{case.case_id}")
        return DecisionConfirmed(**self._about(who, case))

    def _outcome(self, case: Case) -> Outcome:
        rng = Random(case.case_id)
        share = rates.reversal_share(case.enforcement.action, case.enforcement.detector)
        if rng.random() < share:
            milder = rng.random() < rates.MODIFIED_SHARE and lesser(case) is not None
            return Outcome.MODIFIED if milder else Outcome.OVERTURNED
        if rng.random() < rates.REMANDED_SHARE and case.origin is not CaseOrigin.REMAND:
            return Outcome.REMANDED
        return Outcome.UPHELD

    def _decide(self, who: ReviewerId, case: Case, outcome: Outcome) -> DecisionProposed:
        return DecisionProposed(
            **self._about(who, case),
            outcome=outcome,
            reasons_ref=f"reasons/{case.case_id}",
            policy_version=case.enforcement.policy_version,
            cited_evidence=[item.evidence_id for item in case.evidence[:_MOST_CITED]],
            lesser=lesser(case) if outcome is Outcome.MODIFIED else None,
            guidance_ref=f"guidance/{case.case_id}" if outcome is Outcome.REMANDED else None,
        )

    def _about(self, who: ReviewerId, case: Case) -> dict[str, Any]:
        self._made += 1
        return {
            "event_id": f"review-{self._made}",
            "user_id": case.user_id,
            "case_id": case.case_id,
            "actor": who,
            "expected_version": case.version,
            "occurred_at": Millis(now_ms()),
        }
