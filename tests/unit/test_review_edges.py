"""Corners of review that random histories have led into."""

from processors import ids
from schemas.records import EnforcementId, ReviewerId
from schemas.vocabulary import Action, AppealFlag, CaseEventKind, CaseState, Category, EvidenceKind, Outcome
from tests.unit.builders import (
    DAY,
    HOUR,
    MINUTE,
    T0,
    Life,
    a_claim,
    a_decision,
    a_rulebook,
    an_amendment,
    an_appeal,
    an_enforcement,
)

T1 = T0 + HOUR + MINUTE

_ASKS = {
    "name": "identity",
    "needs": [{"kinds": ["identity_document"], "supplier": "appellant", "outcomes": ["upheld"], "ask": True}],
}


def opened(*, evidence: list | None = None, **sections) -> Life:
    """A case of now, under a rulebook without standards, second looks and rules but those given."""
    book = a_rulebook(**{"second_review": None, "evidence": evidence or [], "automation": [], **sections})
    life = Life(rulebook=book)
    life.send(an_enforcement(action=Action.FEATURE_RESTRICTION))
    life.send(an_appeal())
    return life


def test_line_that_asks_at_intake_tells_that_the_case_waits() -> None:
    life = opened(evidence=[_ASKS])
    line = life.lines()[-1]
    assert line.kind is CaseEventKind.EVIDENCE_REQUESTED
    assert line.state is life.published()[-1].state is CaseState.AWAITING_EVIDENCE
