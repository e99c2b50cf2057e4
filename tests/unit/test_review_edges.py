"""Corners of review that random histories have led into."""

from schemas.records import ReviewerId
from schemas.vocabulary import Action, AppealFlag, CaseEventKind, CaseState, Category, Outcome
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


def test_promise_that_the_lead_pods_hours_put_in_the_past_is_missed_at_once() -> None:
    """The engine sets a user's timers aside if one that fired leaves another behind."""
    off = {"zone": "Europe/Berlin", "week": {"mon": ["09:00-09:30"]}}
    routing = [{"name": "rest", "pod": "general"}]
    life = opened(pods=[{"name": "general", "hours": off}, {"name": "lead"}], routing=routing, overrides=[])
    life.wait_until(life.case().due_at)  # checks that nothing is left due
    assert CaseEventKind.CASE_ESCALATED in life.kinds()
    assert life.kinds()[-1] is CaseEventKind.PROMISE_MISSED


def test_engine_that_is_late_does_not_stop_the_work_clock_beyond_the_cap() -> None:
    life = opened(evidence=[_ASKS])
    life.wait_until(T0 + 25 * DAY)
    assert life.published()[-1].paused_ms == 7 * DAY


def disputed(**sections) -> Life:
    """r-1 and r-2 do not agree."""
    life = opened(second_review={"share": 1}, **sections)
    life.send(a_claim(T1, "r-1", 1))
    life.send(a_decision(T1, Outcome.UPHELD, "r-1", 2))
    life.send(a_claim(T1, "r-2", 3))
    life.send(a_decision(T1, Outcome.OVERTURNED, "r-2", 4))
    assert life.kinds()[-1] is CaseEventKind.DECISION_DISPUTED
    return life


def test_new_version_of_the_enforcement_does_not_let_the_disputants_back_in() -> None:
    life = disputed()
    life.send(an_amendment(T1 + 1, action=Action.FEATURE_RESTRICTION, decided_by=ReviewerId("r-7")))
    assert life.published()[-1].excluded_reviewers == ["r-1", "r-2", "r-7"]


def test_new_charge_does_not_take_a_disputed_case_from_the_lead_pod() -> None:
    life = disputed()
    life.send(an_amendment(T1 + 1, category=Category.STATEMENT_CATEGORY_PROTECTION_OF_MINORS))
    case = life.published()[-1]
    assert (case.pod, case.band, case.routing.rule) == ("lead", "P0", "disputed decision")


def test_new_charge_does_not_take_an_overdue_case_from_the_lead_pod() -> None:
    life = opened()
    life.wait_until(life.case().due_at)
    life.send(an_amendment(life.now, action=Action.FEE))
    assert [pod for pod, _ in life.on_pods()] == ["cases.lead"]


def test_further_text_with_a_flag_costs_the_case_neither_band_nor_place() -> None:
    life = opened(vulnerability={"minor": 0})
    life.wait_until(life.case().warn_at)
    before = life.published()[-1]
    life.send(an_appeal(life.now, "a-2", flags=[AppealFlag.MINOR]))
    assert life.kinds()[-1] is CaseEventKind.STATEMENT_ADDED
    after = life.published()[-1]
    assert after.version > before.version
    assert (after.band, after.rank_at) <= (before.band, before.rank_at)


def late_version(decided_by: str | None):
    return an_enforcement(T0, 1, action=Action.FEATURE_RESTRICTION, decided_by=decided_by and ReviewerId(decided_by))


def amended_first(**sections) -> Life:
    """The second version of the enforcement has come before the first."""
    life = Life(rulebook=a_rulebook(**{"second_review": None, "evidence": [], "automation": [], **sections}))
    life.send(an_amendment(T0 + HOUR, action=Action.FEATURE_RESTRICTION))
    life.send(an_appeal(T0 + HOUR + 1))
    return life


def test_case_whose_enforcement_has_stood_for_longer_than_known_is_published_anew_and_keeps_its_claim() -> None:
    """Within a version nothing but band and rank changes, so that a tool that has this version has it all."""
    life = amended_first()
    life.send(a_claim(T1, "r-1", 1))
    before = life.published()[-1]
    life.send(late_version(None))
    case = life.published()[-1]
    assert (case.version, case.state, case.claim) == (before.version + 1, CaseState.CLAIMED, before.claim)
    assert case.enforcement.issued_at < before.enforcement.issued_at
    assert (life.lines()[-1].kind, life.lines()[-1].reason) == (CaseEventKind.ENFORCEMENT_CHANGED, "issued_earlier")
    life.send(late_version(None))
    assert len(life.published()) == case.version


def test_decider_of_a_version_that_comes_late_loses_the_claim_on_the_case() -> None:
    life = amended_first()
    life.send(a_claim(T1, "r-1", 1))
    life.send(late_version("r-1"))
    case = life.published()[-1]
    assert (case.version, case.claim, case.state) == (3, None, CaseState.QUEUED)
    assert case.excluded_reviewers == ["r-1"]
    life.send(late_version("r-1"))
    assert len(life.published()) == case.version


def test_proposal_of_the_decider_of_a_version_that_comes_late_is_dropped() -> None:
    life = amended_first(second_review={"share": 1})
    life.send(a_claim(T1, "r-1", 1))
    life.send(a_decision(T1, Outcome.UPHELD, "r-1", 2))
    life.send(late_version("r-1"))
    case = life.published()[-1]
    assert (case.proposal, case.state, case.excluded_reviewers) == (None, CaseState.QUEUED, ["r-1"])
