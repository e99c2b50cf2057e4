"""Lives that tests of review share: a case in each state, and decisions that a second person must look at."""

from typing import Any

from processors.rulebook import Rulebook
from schemas.vocabulary import CaseState, Outcome
from tests.unit.builders import (
    HOUR,
    MINUTE,
    RULEBOOK,
    T0,
    Life,
    a_claim,
    a_decision,
    a_hold,
    a_rulebook,
    after,
    an_appeal,
    an_enforcement,
    an_evidence_request,
    some_evidence,
)

T1 = T0 + HOUR + MINUTE
"""A minute after the appeal ``a-1`` of these lives came."""

OPEN_STATES = (
    CaseState.QUEUED,
    CaseState.CLAIMED,
    CaseState.AWAITING_EVIDENCE,
    CaseState.ON_HOLD,
    CaseState.SECOND_REVIEW,
)


def with_second(*, evidence: Any = (), automation: Any = (), **policy: Any) -> Rulebook:
    """A rulebook with this policy of second review; without any, every decision is looked at, none of them blind."""
    return a_rulebook(second_review=policy or {"share": 1.0}, evidence=list(evidence), automation=list(automation))


LOOKED_AT = with_second()
BLIND = with_second(blind_share=1.0)


def opened(rulebook: Rulebook = RULEBOOK, **enforcement: Any) -> Life:
    """Queued at its pod; ``r-9`` decided the enforcement, and ``x-1`` is its evidence."""
    content = {"decided_by": "r-9", "evidence": [some_evidence("x-1")], **enforcement}
    return after(an_enforcement(**content), an_appeal(), rulebook=rulebook)


def claimed(rulebook: Rulebook = RULEBOOK, **enforcement: Any) -> Life:
    """Claimed by ``r-1``."""
    life = opened(rulebook, **enforcement)
    life.send(a_claim(T1, version=life.version()))
    return life


def proposed(rulebook: Rulebook = LOOKED_AT, outcome: Outcome = Outcome.UPHELD, **enforcement: Any) -> Life:
    """``r-1`` proposed a decision at `T1` + 1 min, and nobody looks at it yet: version 3."""
    life = claimed(rulebook, **enforcement)
    life.send(a_decision(T1 + MINUTE, outcome, version=life.version(), cited=["x-1"]))
    return life


def looked_at(rulebook: Rulebook = LOOKED_AT, outcome: Outcome = Outcome.UPHELD, **enforcement: Any) -> Life:
    """``r-2`` has claimed the second look at the proposal of ``r-1``: version 4."""
    life = proposed(rulebook, outcome, **enforcement)
    life.send(a_claim(T1 + 2 * MINUTE, actor="r-2", version=life.version()))
    return life


def life_in(state: CaseState, **enforcement: Any) -> Life:
    """A life whose one case is in this open state."""
    life = {
        CaseState.QUEUED: opened,
        CaseState.CLAIMED: claimed,
        CaseState.AWAITING_EVIDENCE: claimed,
        CaseState.ON_HOLD: claimed,
        CaseState.SECOND_REVIEW: proposed,
    }[state](LOOKED_AT, **enforcement)
    if state is CaseState.AWAITING_EVIDENCE:
        life.send(an_evidence_request(T1 + MINUTE))
    elif state is CaseState.ON_HOLD:
        life.send(a_hold(T1 + MINUTE))
    assert life.case().state is state
    return life
