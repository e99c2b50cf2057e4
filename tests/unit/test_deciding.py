"""A second person looks at what the rulebook marks; two who do not agree leave it to the lead pod."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from processors import ids, second_review
from processors.errors import UnknownSymbolError
from processors.open_case import OpenCase
from processors.rulebook import Rulebook
from schemas.records import AppealId, CaseId
from schemas.vocabulary import (
    Action,
    AppealFlag,
    CaseEventKind,
    CaseState,
    DismissalReason,
    Ground,
    NoticeKind,
    Outcome,
    Redress,
    SellerTier,
)
from tests.unit.builders import (
    DAY,
    HOUR,
    MINUTE,
    RULEBOOK,
    T0,
    Life,
    a_claim,
    a_confirmation,
    a_decision,
    a_hold,
    a_profile,
    a_referral,
    a_release,
    a_return,
    a_rulebook,
    after,
    an_amendment,
    an_appeal,
    an_enforcement,
    an_evidence_request,
    case_of,
    euros,
    some_evidence,
)
from tests.unit.lives import BLIND, LOOKED_AT, T1, claimed, looked_at, proposed, with_second

T2 = T1 + 3 * MINUTE
"""When the second reviewer of `looked_at` does something."""


# --- what triggers a second look --------------------------------------------------------------------------------


def triggered(
    rulebook: Rulebook,
    outcome: Outcome = Outcome.UPHELD,
    *,
    profile: dict[str, Any] | None = None,
    flags: list[AppealFlag] | None = None,
    wrongfulness: float | None = None,
    **enforcement: Any,
) -> list[str]:
    """The triggers that a decision of ``r-1`` meets under this rulebook."""
    before = [] if profile is None else [a_profile(**profile)]
    life = after(*before, an_enforcement(**enforcement), an_appeal(flags=flags or []), rulebook=rulebook)
    if wrongfulness is not None:
        expect_overturns(life.case(), wrongfulness)
    life.send(a_claim(T1, version=life.version()))
    life.send(a_decision(T1 + MINUTE, outcome, version=life.version()))
    if not life.case_count():
        assert "because" not in life.lines(CaseEventKind.CASE_DECIDED)[0].saw
        return []
    case = life.case()
    assert case.state is CaseState.SECOND_REVIEW
    line = life.lines()[-1]
    assert (line.kind, line.saw["because"]) == (CaseEventKind.DECISION_PROPOSED, ",".join(case.triggers))
    return case.triggers


def expect_overturns(case: OpenCase, value: float) -> None:
    parts = [*case.parts]
    position = next(i for i, part in enumerate(parts) if part.name == "wrongfulness")
    parts[position] = type(parts[position])("wrongfulness", value, 0.2, 0.0, "set by the test")
    case.parts = parts


def test_without_a_policy_or_with_none_that_holds_one_person_decides() -> None:
    assert triggered(RULEBOOK) == []
    assert triggered(with_second(severity_at_least=1.0, share=0.0)) == []
    assert triggered(with_second(flags=[])) == []


@pytest.mark.parametrize(("action", "names"), [(Action.BAN, ["severity"]), (Action.SUSPENSION, [])])
def test_hard_actions_trigger(action: Action, names: list[str]) -> None:
    assert triggered(with_second(severity_at_least=0.9), action=action) == names


@pytest.mark.parametrize(("amount", "names"), [("1000.00", ["amount"]), ("999.99", [])])
def test_large_amounts_trigger(amount: str, names: list[str]) -> None:
    book = with_second(amount_at_least=1000)
    assert triggered(book, action=Action.PAYOUT_HOLD, amount=euros(amount)) == names


AGAINST = with_second(against_prior={"overturn_below": 0.1, "uphold_above": 0.8})


@pytest.mark.parametrize(
    ("expected", "outcome", "names"),
    [
        (0.05, Outcome.OVERTURNED, ["against_prior"]),
        (0.05, Outcome.UPHELD, []),
        (0.1, Outcome.OVERTURNED, []),
        (0.9, Outcome.UPHELD, ["against_prior"]),
        (0.9, Outcome.OVERTURNED, []),
        (0.8, Outcome.UPHELD, []),
    ],
)
def test_decisions_against_what_is_strongly_expected_trigger(
    expected: float, outcome: Outcome, names: list[str]
) -> None:
    assert triggered(AGAINST, outcome, wrongfulness=expected) == names


PROFILES = with_second(
    high_profile={"reach_at_least": 250_000, "lifetime_value_at_least": 100_000, "tiers": ["top_seller"]}
)


@pytest.mark.parametrize(
    ("profile", "names"),
    [
        ({"reach": 250_000}, ["high_profile"]),
        ({"reach": 249_999}, []),
        ({"lifetime_value": euros("100000")}, ["high_profile"]),
        ({"seller_tier": SellerTier.TOP_SELLER}, ["high_profile"]),
        (None, []),
    ],
)
def test_users_of_whom_many_will_hear_trigger(profile: dict[str, Any] | None, names: list[str]) -> None:
    assert triggered(PROFILES, profile=profile) == names


def test_new_reviewer_triggers_until_the_day_that_the_rulebook_names() -> None:
    today = datetime.fromtimestamp(T1 / 1000, UTC).date()
    later, before = date.fromordinal(today.toordinal() + 1), today
    assert triggered(with_second(new_reviewers={"r-1": later})) == ["new_reviewer"]
    assert triggered(with_second(new_reviewers={"r-1": before})) == []
    assert triggered(with_second(new_reviewers={"r-2": later})) == []


def test_flag_triggers() -> None:
    book = with_second(flags=["minor"])
    assert triggered(book, flags=[AppealFlag.MINOR]) == ["flag"]
    assert triggered(book, flags=[AppealFlag.PERSONAL_SAFETY]) == []


def test_shares_of_all_and_of_none_trigger() -> None:
    assert triggered(with_second(share=1.0)) == ["quality_sample"]
    assert triggered(with_second(blind_share=1.0)) == ["blind_sample"]


def test_all_that_hold_are_named() -> None:
    book = with_second(severity_at_least=0.9, share=1.0, flags=["minor"])
    found = triggered(book, flags=[AppealFlag.MINOR], action=Action.BAN)
    assert found == ["severity", "flag", "quality_sample"]


def test_case_of_a_version_that_explained_less_triggers_nothing_by_it() -> None:
    life = claimed(AGAINST)
    life.case().parts = life.case().parts[:1]
    life.send(a_decision(T1 + 1))
    assert life.case_count() == 0


def drawn(share: float, seed: str = "a") -> tuple[set[str], set[str]]:
    """Cases that are drawn for quality and for a blind review, of 2,000."""
    book = with_second(share=share, blind_share=share)
    life = proposed(with_second(share=1.0))
    decision = life.case().proposal
    assert decision is not None
    case, e = life.case(), life.dossier.enforcements["e-1"]
    quality: set[str] = set()
    blind: set[str] = set()
    for n in range(2_000):
        case.case_id = CaseId(ids.case_id(AppealId(f"{seed}-{n}")))
        names = second_review.triggers(life.dossier, case, e, decision, T1, book.tables)
        quality |= {case.case_id} if second_review.QUALITY in names else set()
        blind |= {case.case_id} if second_review.BLIND in names else set()
        assert (case.case_id in blind) is second_review.drawn_blind(case, book.tables)
    return quality, blind


@pytest.mark.parametrize("share", [0.05, 0.3])
def test_share_is_drawn_by_the_cases_id_alike_on_every_run_and_near_the_share(share: float) -> None:
    quality, blind = drawn(share)
    assert (quality, blind) == drawn(share)
    for found in (quality, blind):
        assert abs(len(found) - 2_000 * share) < 4 * (2_000 * share * (1 - share)) ** 0.5
    assert quality != blind, "two draws, not one"


def test_who_was_drawn_for_a_small_share_is_drawn_for_a_larger_one() -> None:
    assert drawn(0.05)[0] < drawn(0.3)[0]


# --- the proposal -----------------------------------------------------------------------------------------------


def test_proposal_waits_for_a_second_person_at_its_old_rank() -> None:
    life = proposed()
    first, case = life.published()[0], life.on_pods().popitem()[1]
    assert (case.state, case.claim, case.version, case.rank_at) == (CaseState.SECOND_REVIEW, None, 3, first.rank_at)
    assert case.proposal is not None
    assert (case.proposal.reviewer, case.proposal.outcome, case.proposal.cited_evidence) == (
        "r-1",
        Outcome.UPHELD,
        ["x-1"],
    )
    assert case.second_review is not None
    assert (case.second_review.because, case.second_review.since) == (["quality_sample"], T1 + MINUTE)
    assert case.excluded_reviewers == ["r-9", "r-1"]
    [line] = life.lines(CaseEventKind.DECISION_PROPOSED)
    assert (line.actor, line.outcome, line.saw["first_outcome"], line.saw["blind"]) == ("r-1", None, "upheld", "false")
    assert not life.notices(NoticeKind.DECIDED), "nothing is decided yet"


def test_decision_proposed_twice_by_the_same_event_is_silent() -> None:
    life = claimed(LOOKED_AT)
    event = a_decision(T1 + MINUTE)
    assert life.send(event)
    assert life.send(event) == []


@pytest.mark.parametrize("who", ["r-1", "r-9"])
def test_neither_the_proposer_nor_the_original_decider_is_the_second(who: str) -> None:
    life = proposed()
    life.send(a_claim(T1 + 2 * MINUTE, actor=who, version=3))
    assert life.lines()[-1].reason == "reviewer_excluded"
    for event in (a_confirmation, a_return):
        life.send(event(T1 + 2 * MINUTE, actor=who, version=3))
        assert life.lines()[-1].reason == "not_claimed"
        held = looked_at()
        held.send(event(T2, actor=who))
        assert held.lines()[-1].reason == "not_the_holder"


def test_second_reviewer_who_became_excluded_neither_confirms_nor_returns_nor_decides() -> None:
    for event in (a_confirmation(T2), a_return(T2), a_decision(T2, Outcome.UPHELD, actor="r-2", version=4)):
        life = looked_at()
        life.case().excluded.append("r-2")  # type: ignore[arg-type]
        life.send(event)
        assert life.lines()[-1].reason == "reviewer_excluded"


@pytest.mark.parametrize(
    "event",
    [
        a_hold(T2, actor="r-2", version=4),
        an_evidence_request(T2, actor="r-2", version=4),
        a_referral(T2, actor="r-2", version=4),
    ],
)
def test_second_look_neither_waits_nor_wanders(event: Any) -> None:
    life = looked_at()
    life.send(event)
    assert life.lines()[-1].reason == "wrong_state"


def test_first_reviewers_confirm_and_return_nothing() -> None:
    for event in (a_confirmation(T1 + 1, actor="r-1", version=2), a_return(T1 + 1, actor="r-1", version=2)):
        life = claimed(LOOKED_AT)
        life.send(event)
        assert (life.lines()[-1].reason, life.lines()[-1].saw["detail"]) == ("wrong_state", "claimed")


def test_end_of_the_second_reviewers_lease_leaves_the_proposal_for_the_next() -> None:
    life = looked_at()
    life.wait_until(T1 + 2 * MINUTE + 30 * MINUTE)
    assert (life.kinds()[-1], life.lines()[-1].actor) == (CaseEventKind.CLAIM_EXPIRED, "r-2")
    case = life.on_pods().popitem()[1]
    assert (case.state, case.claim) == (CaseState.SECOND_REVIEW, None)
    assert case.proposal is not None
    life.send(a_claim(life.now, actor="r-3", version=5))
    life.send(a_confirmation(life.now, actor="r-3", version=6))
    assert life.case_count() == 0


def test_second_reviewer_may_hand_the_look_back() -> None:
    life = looked_at()
    life.send(a_release(T2, actor="r-2", version=4))
    assert (life.case().state, life.case().lease) == (CaseState.SECOND_REVIEW, None)
    assert life.case().proposal is not None


# --- confirmed --------------------------------------------------------------------------------------------------


def test_confirmed_decision_is_the_first_reviewers_with_both_behind_it() -> None:
    life = looked_at()
    life.send(a_confirmation(T2, reasons_ref="s3://reasons/2"))
    [line] = life.lines(CaseEventKind.CASE_DECIDED)
    assert (line.outcome, line.actor, line.cause_id) == (Outcome.UPHELD, "r-1", life.lines()[-1].cause_id)
    saw = line.saw
    assert (saw["first_reviewer"], saw["second_reviewer"], saw["agreed"], saw["policy"]) == (
        "r-1",
        "r-2",
        "true",
        "counterfeit",
    )
    assert (saw["how"], saw["because"], saw["cited_evidence"]) == ("confirmed", "quality_sample", "x-1")
    assert (saw["reasons_ref"], saw["second_reasons_ref"]) == ("s3://reasons/1", "s3://reasons/2")
    [notice] = life.notices(NoticeKind.DECIDED)
    assert notice.reasons_ref == "s3://reasons/1"
    assert life.on_pods() == {}


def test_confirmed_overturn_is_reversed_once() -> None:
    life = looked_at(outcome=Outcome.OVERTURNED)
    assert life.orders() == []
    life.send(a_confirmation(T2))
    assert len(life.orders()) == 1
    event = a_confirmation(T2)
    life = looked_at(outcome=Outcome.OVERTURNED)
    assert life.send(event)
    assert life.send(event) == []


def test_both_are_barred_from_a_later_case_on_the_same_enforcement() -> None:
    life = looked_at()
    life.send(a_confirmation(T2))
    assert life.dossier.enforcements["e-1"].barred == ["r-9", "r-1", "r-2"]


@pytest.mark.parametrize("outcome", [Outcome.DISMISSED, Outcome.UPHELD_GROUND_CHANGED])
def test_outcome_with_its_reason_survives_confirmation(outcome: Outcome) -> None:
    life = claimed(LOOKED_AT)
    change = {"dismissal": DismissalReason.ABUSIVE, "substituted_policy": "fakes"}
    life.send(a_decision(T1 + MINUTE, outcome, **change))
    life.send(a_claim(T1 + MINUTE, actor="r-2", version=3))
    life.send(a_confirmation(T2))
    [line] = life.lines(CaseEventKind.CASE_DECIDED)
    assert (line.outcome, line.reason) == (outcome, "abusive")
    assert line.saw["substituted_policy"] == "fakes"


# --- returned ---------------------------------------------------------------------------------------------------


def returned(rulebook: Rulebook = LOOKED_AT) -> Life:
    life = looked_at(rulebook)
    life.send(a_return(T2))
    return life


def test_returned_proposal_is_gone_and_the_guidance_is_on_the_case() -> None:
    life = returned()
    case = life.on_pods().popitem()[1]
    assert (case.state, case.claim, case.proposal, case.second_review) == (CaseState.QUEUED, None, None, None)
    assert case.guidance_ref == "s3://guidance/1"
    assert case.excluded_reviewers == ["r-9"]
    assert case.rank_at == life.published()[0].rank_at
    [line] = life.lines(CaseEventKind.DECISION_RETURNED)
    assert (line.actor, line.saw["guidance_ref"], line.saw["returns"]) == ("r-2", "s3://guidance/1", "1")
    assert (line.saw["first_reviewer"], line.saw["second_reviewer"], line.saw["agreed"], line.saw["policy"]) == (
        "r-1",
        "r-2",
        "false",
        "counterfeit",
    )
    assert not life.notices(NoticeKind.DECIDED)


@pytest.mark.parametrize("who", ["r-1", "r-3"])
def test_first_reviewer_may_think_again_or_another_person(who: str) -> None:
    life = returned()
    life.send(a_claim(T2 + 1, actor=who, version=5))
    life.send(a_decision(T2 + 2, Outcome.OVERTURNED, actor=who, version=6))
    assert life.case().state is CaseState.SECOND_REVIEW
    life.send(a_claim(T2 + 3, actor="r-2", version=7))
    life.send(a_confirmation(T2 + 4, version=8))
    [line] = life.lines(CaseEventKind.CASE_DECIDED)
    assert (line.outcome, line.actor, line.saw["second_reviewer"]) == (Outcome.OVERTURNED, who, "r-2")


def test_proposal_that_is_returned_too_often_goes_to_the_lead_pod() -> None:
    life = looked_at()
    for n in range(3):
        assert life.case().pod == "intellectual-property"
        life.send(a_return(T2 + 10 * n, version=life.version(), guidance_ref=f"s3://guidance/{n}"))
        if n < 2:
            life.send(a_claim(T2 + 10 * n + 1, version=life.version()))
            life.send(a_decision(T2 + 10 * n + 2, Outcome.UPHELD, version=life.version()))
            life.send(a_claim(T2 + 10 * n + 3, actor="r-2", version=life.version()))
    line = life.lines()[-1]
    assert (line.kind, line.reason, line.pod) == (CaseEventKind.DECISION_DISPUTED, "returned_too_often", "lead")
    assert life.case().guidance_ref == "s3://guidance/2"
    assert len(life.lines(CaseEventKind.DECISION_RETURNED)) == 2


# --- decided otherwise ------------------------------------------------------------------------------------------


def disputed(rulebook: Rulebook = LOOKED_AT) -> Life:
    life = looked_at(rulebook)
    life.send(a_decision(T2, Outcome.OVERTURNED, actor="r-2", version=4))
    return life


def test_two_who_do_not_agree_leave_it_to_the_lead_pod() -> None:
    life = disputed()
    [((topic, _), case)] = life.on_pods().items()
    assert (topic, case.state, case.proposal, case.claim) == ("cases.lead", CaseState.QUEUED, None, None)
    assert case.routing.because == "different_outcomes: r-1 and r-2"
    assert case.excluded_reviewers == ["r-9", "r-1", "r-2"]
    [line] = life.lines(CaseEventKind.DECISION_DISPUTED)
    assert (line.actor, line.reason) == ("r-2", "different_outcomes")
    saw = line.saw
    assert (saw["first_outcome"], saw["second_outcome"], saw["agreed"], saw["from"]) == (
        "upheld",
        "overturned",
        "false",
        "intellectual-property",
    )
    assert (saw["first_reviewer"], saw["second_reviewer"], saw["policy"]) == ("r-1", "r-2", "counterfeit")


@pytest.mark.parametrize("who", ["r-1", "r-2", "r-9"])
def test_lead_is_neither_of_the_two_nor_the_original_decider(who: str) -> None:
    life = disputed()
    life.send(a_claim(T2 + 1, actor=who, version=5))
    assert life.lines()[-1].reason == "reviewer_excluded"


def test_leads_decision_is_final() -> None:
    life = disputed()
    life.send(a_claim(T2 + 1, actor="r-3", version=5))
    life.send(a_decision(T2 + 2, Outcome.UPHELD, actor="r-3", version=6))
    [line] = life.lines(CaseEventKind.CASE_DECIDED)
    assert (line.actor, line.saw["how"], line.pod) == ("r-3", "lead", "lead")
    assert "second_reviewer" not in line.saw
    assert life.case_count() == 0


def test_all_who_judged_a_disputed_case_are_barred_from_a_later_one() -> None:
    life = disputed()
    life.send(a_claim(T2 + 1, actor="r-3", version=5))
    life.send(a_decision(T2 + 2, Outcome.UPHELD, actor="r-3", version=6))
    assert life.dossier.enforcements["e-1"].barred == ["r-9", "r-1", "r-2", "r-3"]
    life.send(an_amendment(at=T2 + HOUR))
    life.send(an_appeal(at=T2 + 2 * HOUR, appeal_id="a-2"))
    assert life.case("a-2").excluded == ["r-9", "r-1", "r-2", "r-3"]


def test_amendment_does_not_let_the_two_back_in() -> None:
    life = disputed()
    life.send(an_amendment(at=T2 + 1, decided_by="r-8"))
    assert life.case().excluded == ["r-9", "r-1", "r-2", "r-8"]
    life.send(an_amendment(at=T2 + 2, version=3, ground=Ground.DECISION_GROUND_ILLEGAL_CONTENT))
    assert (life.case().pod, life.case().excluded) == ("lead", ["r-9", "r-1", "r-2", "r-8"])


def test_without_a_lead_pod_somebody_else_of_the_same_pod_decides() -> None:
    book = a_rulebook(
        review={"lease": "30min", "deadline": "28d"}, second_review={"share": 1.0}, evidence=[], automation=[]
    )
    life = disputed(book)
    assert {topic for topic, _ in life.on_pods()} == {"cases.intellectual-property"}
    life.send(a_claim(T2 + 1, actor="r-3", version=5))
    life.send(a_decision(T2 + 2, Outcome.UPHELD, actor="r-3", version=6))
    assert life.lines(CaseEventKind.CASE_DECIDED)[0].saw["how"] == "lead"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"outcome": Outcome.DISMISSED, "dismissal": DismissalReason.ABUSIVE}, {"dismissal": "out_of_scope"}),
        ({"outcome": Outcome.UPHELD_GROUND_CHANGED, "substituted_policy": "a"}, {"substituted_policy": "b"}),
    ],
)
def test_same_outcome_for_another_reason_is_another_decision(first: dict[str, Any], second: dict[str, Any]) -> None:
    life = claimed(LOOKED_AT)
    life.send(a_decision(T1 + MINUTE, **first))
    life.send(a_claim(T1 + MINUTE, actor="r-2", version=3))
    life.send(a_decision(T2, actor="r-2", version=4, **{**first, **second}))
    assert life.kinds()[-1] is CaseEventKind.DECISION_DISPUTED


def test_second_reviewer_is_held_to_the_same_soundness() -> None:
    life = looked_at()
    life.send(a_decision(T2, Outcome.OVERTURNED, actor="r-2", version=4, cited=["x-404"]))
    assert life.lines()[-1].reason == "evidence_unknown"
    assert life.case().state is CaseState.SECOND_REVIEW


# --- blind ------------------------------------------------------------------------------------------------------


def test_blind_review_shows_nothing_of_the_first_decision() -> None:
    book = with_second(
        blind_share=1.0, against_prior={"overturn_below": 0.0, "uphold_above": 0.0}, severity_at_least=0.1
    )
    life = looked_at(book)
    assert life.case().triggers == ["severity", "against_prior", "blind_sample"]
    for case in list(life.on_pods().values()):
        assert case.proposal is None
        assert case.second_review is not None
        assert case.second_review.blind
        # That it was against the prior would tell, with the score's parts, what was decided.
        assert case.second_review.because == ["severity", "blind_sample"]
        assert "r-1" in case.excluded_reviewers
    assert life.lines(CaseEventKind.DECISION_PROPOSED)[0].saw["blind"] == "true"


def test_blind_reviewer_has_nothing_to_confirm_or_return() -> None:
    for event in (a_confirmation(T2), a_return(T2)):
        life = looked_at(BLIND)
        life.send(event)
        assert life.lines()[-1].reason == "blind_review"


def test_two_equal_decisions_are_one() -> None:
    life = looked_at(BLIND)
    change = {"reasons_ref": "s3://reasons/2", "cited": []}
    life.send(a_decision(T2, Outcome.UPHELD, actor="r-2", version=4, **change))
    [line] = life.lines(CaseEventKind.CASE_DECIDED)
    assert (line.outcome, line.actor, line.saw["how"]) == (Outcome.UPHELD, "r-1", "decided_alike")
    assert (line.saw["first_reviewer"], line.saw["second_reviewer"], line.saw["agreed"]) == ("r-1", "r-2", "true")
    assert (line.saw["reasons_ref"], line.saw["second_reasons_ref"]) == ("s3://reasons/1", "s3://reasons/2")
    assert line.saw["cited_evidence"] == "x-1"


def test_two_different_blind_decisions_go_to_the_lead_pod() -> None:
    life = disputed(BLIND)
    assert life.case().pod == "lead"
    assert not life.case().blind
    assert life.on_pods().popitem()[1].second_review is None


# --- what comes in between --------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", [{}, {"ground": Ground.DECISION_GROUND_ILLEGAL_CONTENT}])
def test_amendment_drops_the_proposal_as_it_was_about_another_version(change: dict[str, Any]) -> None:
    life = looked_at()
    proposal = life.case().proposal
    assert proposal is not None
    life.send(an_amendment(at=T2, **change))
    case = life.on_pods().popitem()[1]
    assert (case.state, case.claim, case.proposal, case.second_review) == (CaseState.QUEUED, None, None, None)
    [line] = life.lines(CaseEventKind.ENFORCEMENT_CHANGED)
    assert (line.saw["proposal_dropped"], line.saw["claim_dropped"]) == (proposal.event_id, "r-2")
    life.send(a_confirmation(T2 + 1, version=life.version()))
    assert life.lines()[-1].reason == "wrong_state"
    life.send(a_claim(T2 + 2, version=life.version()))
    assert life.case().lease is not None, "the first reviewer may judge the new version"


def test_flag_that_moves_the_case_takes_the_proposal_along() -> None:
    life = looked_at()
    life.send(an_appeal(at=T2, appeal_id="a-2", flags=[AppealFlag.LEGAL_ORDER]))
    [((topic, _), case)] = life.on_pods().items()
    assert (topic, case.state, case.claim) == ("cases.legal", CaseState.SECOND_REVIEW, None)
    assert case.proposal is not None


# --- soundness of any decision ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcome", "change", "lacks"),
    [
        (Outcome.DISMISSED, {}, "dismissal"),
        (Outcome.UPHELD_GROUND_CHANGED, {}, "substituted_policy"),
    ],
)
def test_outcome_that_needs_a_reason_is_nothing_without_it(
    outcome: Outcome, change: dict[str, Any], lacks: str
) -> None:
    life = claimed()
    life.send(a_decision(T1 + 1, outcome, **change))
    assert (life.lines()[-1].reason, life.lines()[-1].saw["detail"]) == ("reason_missing", lacks)


def test_dismissal_for_a_reason_of_a_newer_version_is_a_dead_letter() -> None:
    with pytest.raises(UnknownSymbolError):
        claimed().send(a_decision(T1 + 1, Outcome.DISMISSED, dismissal=DismissalReason.UNKNOWN))


def test_dismissed_appeal_may_be_made_again_and_says_why() -> None:
    life = claimed()
    life.send(a_decision(T1 + 1, Outcome.DISMISSED, dismissal=DismissalReason.UNINTELLIGIBLE))
    [notice] = life.notices(NoticeKind.DECIDED)
    assert (notice.template, notice.reasons) == ("case.decided.dismissed", ["unintelligible"])
    assert notice.redress[0] is Redress.APPEAL_AGAIN
    life.send(an_appeal(at=T0 + DAY, appeal_id="a-2"))
    assert life.case_count() == 1


def test_dismissal_says_nothing_about_the_detector() -> None:
    life = claimed()
    life.send(a_decision(T1 + 1, Outcome.DISMISSED, dismissal=DismissalReason.ABUSIVE))
    assert life.dossier.tallies == {}
    assert life.dossier.counts.refused == 1


def test_cited_evidence_that_came_later_counts() -> None:
    life = claimed()
    life.send(an_appeal(at=T1 + 1, appeal_id="a-2", evidence=[some_evidence("y-1")]))
    life.send(a_decision(T1 + 2, Outcome.UPHELD, version=life.version(), cited=["y-1"]))
    assert case_of() not in life.dossier.cases
