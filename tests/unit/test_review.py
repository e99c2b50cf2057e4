"""The first valid review event wins; every other one is one line with its reason and changes nothing."""

from collections.abc import Callable
from typing import Any

import pytest

from processors.arbiter import MAX_SKEW_MS
from processors.deciding import REVIEWERS_OUTCOMES
from processors.errors import UnknownSymbolError
from processors.open_case import OpenCase
from processors.reasons import ReviewRefusal
from processors.rulebook import Rulebook
from schemas.records import CaseClaimed, DecisionProposed, InputRecord, Lesser
from schemas.vocabulary import (
    Action,
    CaseEventKind,
    CaseState,
    EffectKind,
    EvidenceKind,
    EvidenceSupplier,
    NoticeKind,
    Outcome,
    Redress,
    ReferralReason,
)
from tests.unit.builders import (
    HOUR,
    MINUTE,
    PACKAGED_SECTIONS,
    RULEBOOK,
    T0,
    Life,
    a_claim,
    a_confirmation,
    a_decision,
    a_hold,
    a_referral,
    a_release,
    a_resolution,
    a_resume,
    a_retry,
    a_return,
    a_rulebook,
    a_supply,
    a_withdrawal,
    after,
    all_but_the_audit,
    an_ack,
    an_appeal,
    an_effect,
    an_enforcement,
    an_erasure,
    an_evidence_request,
    decided,
    some_evidence,
)
from tests.unit.lives import BLIND, T1, claimed, life_in, looked_at, opened


def assert_rejected(life: Life, event: InputRecord, reason: ReviewRefusal) -> None:
    """One line with the reason, and the dossier as it was but for the line's number."""
    before = all_but_the_audit(life.dossier)
    [emission] = life.send(event)
    line = life.lines()[-1]
    assert emission.topic == "case.events"
    assert (line.kind, line.reason, line.cause_id) == (CaseEventKind.REVIEW_REJECTED, reason, event.event_id)
    assert all_but_the_audit(life.dossier) == before


def with_people(**people: list[str]) -> Rulebook:
    """A rulebook in which these pods (``_`` for ``-``) list who works there; one person decides."""
    listed = {name.replace("_", "-"): names for name, names in people.items()}
    pods = [{**pod, "reviewers": listed.get(pod["name"])} for pod in PACKAGED_SECTIONS["pods"]]
    return a_rulebook(pods=pods, second_review=None, evidence=[], automation=[])


LISTED = with_people(intellectual_property=["r-1", "r-2"], legal=["r-9"], payments=["r-9", "r-3"])
NEEDS_A_NOTICE = a_rulebook(
    second_review=None, automation=[], evidence=[{"name": "s", "needs": [{"kinds": ["notice"]}]}]
)


def used_up() -> Life:
    """Claimed again after it has waited as long as all its waiting may last."""
    life = claimed()
    life.send(a_hold(T1 + 1))
    life.wait_until(T1 + 1 + 14 * 24 * HOUR)
    life.send(a_claim(life.now, version=life.version()))
    return life


def confirmed() -> Life:
    """Overturned, and undone."""
    life = decided()
    life.send(an_ack(life.orders()[0]))
    return life


def half_done() -> Life:
    """Overturned; one of two systems has answered."""
    life = decided(effects=[an_effect(EffectKind.ACCOUNT_STATUS), an_effect(EffectKind.STRIKES)])
    life.send(an_ack(life.orders()[0]))
    return life


def looked_at_after_remand() -> Life:
    """Sent back, not answered in time, and claimed at the lead pod."""
    life = claimed()
    life.send(a_decision(T1, Outcome.REMANDED, guidance_ref="s3://guidance/2"))
    life.wait_until(life.now + RULEBOOK.tables.remand_ms)
    case = next(iter(life.dossier.cases.values()))
    life.send(CaseClaimed(**_about(life, case), event_id="claim-again"))
    return life


def appealed_while_sent_back() -> Life:
    """Sent back, appealed against again before the enforcing side has answered, and claimed."""
    life = claimed()
    life.send(a_decision(T1, Outcome.REMANDED, guidance_ref="s3://guidance/2"))
    life.send(an_appeal(life.now + MINUTE, appeal_id="a-2"))
    life.send(CaseClaimed(**_about(life, life.case("a-2")), event_id="claim-again"))
    return life


def forgotten() -> Life:
    """A user who was erased once everything that was wrong had been undone."""
    life = confirmed()
    life.send(an_erasure(life.now))
    return life


def a_second_remand(life: Life) -> InputRecord:
    case = next(iter(life.dossier.cases.values()))
    return DecisionProposed(
        **_about(life, case),
        event_id="remand-again",
        outcome=Outcome.REMANDED,
        reasons_ref="s3://reasons/2",
        policy_version="2025-03",
        guidance_ref="s3://guidance/3",
    )


def _about(life: Life, case: OpenCase) -> dict[str, Any]:
    return {
        "user_id": life.dossier.user_id,
        "case_id": case.case_id,
        "actor": "r-7",
        "expected_version": case.version,
        "occurred_at": life.now,
    }


REJECTED: dict[ReviewRefusal, list[tuple[Callable[[], Life], Callable[[Life], InputRecord]]]] = {
    ReviewRefusal.UNKNOWN_CASE: [(opened, lambda _: a_claim(T1, appeal_id="?"))],
    ReviewRefusal.CASE_CLOSED: [(decided, lambda life: a_claim(life.now, version=3))],
    ReviewRefusal.STALE_VERSION: [(opened, lambda _: a_claim(T1, version=9))],
    ReviewRefusal.REVIEWER_EXCLUDED: [
        (opened, lambda _: a_claim(T1, actor="r-9")),
        (lambda: life_in(CaseState.ON_HOLD), lambda _: a_resume(T1 + HOUR, actor="r-9")),
        (lambda: life_in(CaseState.SECOND_REVIEW), lambda _: a_claim(T1 + HOUR, version=3)),
    ],
    ReviewRefusal.ALREADY_CLAIMED: [
        (claimed, lambda _: a_claim(T1 + 1, actor="r-2", version=2)),
        (looked_at, lambda life: a_claim(life.now, actor="r-3", version=4)),
    ],
    ReviewRefusal.NOT_CLAIMED: [
        (opened, lambda _, make=make: make(T1, version=1))  # type: ignore[misc]
        for make in (a_release, a_decision, a_hold, a_referral, an_evidence_request)
    ],
    ReviewRefusal.NOT_THE_HOLDER: [
        (claimed, lambda _, make=make: make(T1, actor="r-2"))  # type: ignore[misc]
        for make in (a_release, a_decision, a_hold, a_referral, an_evidence_request)
    ],
    ReviewRefusal.OUTCOME_NOT_SUPPORTED: [(claimed, lambda _: a_decision(T1, Outcome.MOOT))],
    ReviewRefusal.EVIDENCE_UNKNOWN: [(claimed, lambda _: a_decision(T1, cited=["x-1", "x-404"]))],
    ReviewRefusal.EVIDENCE_MISSING: [
        (lambda: claimed(NEEDS_A_NOTICE), lambda _: a_decision(T1, Outcome.UPHELD, cited=["x-1"])),
    ],
    ReviewRefusal.REASON_MISSING: [
        (claimed, lambda _: a_decision(T1, Outcome.DISMISSED)),
        (claimed, lambda _: a_decision(T1, Outcome.UPHELD_GROUND_CHANGED)),
        (claimed, lambda _: a_decision(T1, Outcome.MODIFIED)),
        (claimed, lambda _: a_decision(T1, Outcome.REMANDED)),
    ],
    ReviewRefusal.NOT_LESSER: [
        (claimed, lambda _: a_decision(T1, Outcome.MODIFIED, lesser=Lesser(action=Action.BAN))),
    ],
    ReviewRefusal.REMANDED_ALREADY: [
        (looked_at_after_remand, a_second_remand),
        (appealed_while_sent_back, a_second_remand),
    ],
    ReviewRefusal.UNKNOWN_REVERSAL: [
        (decided, lambda life: a_retry(life.orders()[0], life.now, reversal_id="?")),
        (decided, lambda life: a_resolution(life.orders()[0], life.now, reversal_id="?")),
    ],
    ReviewRefusal.REVERSAL_CONFIRMED: [
        (confirmed, lambda life: a_retry(life.orders()[0], life.now)),
        (confirmed, lambda life: a_resolution(life.orders()[0], life.now)),
    ],
    ReviewRefusal.UNKNOWN_DIRECTIVE: [
        (decided, lambda life: a_retry(life.orders()[0], life.now, directive_id="?")),
        (decided, lambda life: a_resolution(life.orders()[0], life.now, directive_id="?")),
    ],
    ReviewRefusal.DIRECTIVE_SETTLED: [
        (half_done, lambda life: a_resolution(life.orders()[0], life.now)),
    ],
    ReviewRefusal.WRONG_STATE: [
        (lambda: life_in(CaseState.ON_HOLD), lambda _: a_claim(T1 + HOUR, version=3)),
        (claimed, lambda _: a_resume(T1, version=2)),
        (claimed, lambda _: a_confirmation(T1, actor="r-1", version=2)),
        (claimed, lambda _: a_return(T1, actor="r-1", version=2)),
        (looked_at, lambda life: a_hold(life.now, actor="r-2", version=4)),
    ],
    ReviewRefusal.BEFORE_THE_APPEAL: [(opened, lambda _: a_claim(T0 + HOUR - MAX_SKEW_MS - 1))],
    ReviewRefusal.UNKNOWN_REVIEWER: [
        (lambda: opened(LISTED), lambda _: a_claim(T1, actor="r-3")),
        (
            lambda: opened(LISTED),
            lambda _: a_supply(
                T1,
                some_evidence("y-1"),
                actor="r-3",
                version=1,
                supplier=EvidenceSupplier.SPECIALIST,
            ),
        ),
    ],
    ReviewRefusal.UNKNOWN_POD: [(claimed, lambda _: a_referral(T1, "leagl"))],
    ReviewRefusal.SAME_POD: [(claimed, lambda _: a_referral(T1, "intellectual-property"))],
    ReviewRefusal.NOBODY_INDEPENDENT: [(lambda: claimed(LISTED), lambda _: a_referral(T1, "legal"))],
    ReviewRefusal.NOTHING_ASKED: [(claimed, lambda _: an_evidence_request(T1, kinds=[]))],
    ReviewRefusal.NOTHING_NEW: [
        (claimed, lambda _: a_supply(T1, some_evidence("x-1", EvidenceKind.VIDEO))),
        (claimed, lambda _: a_supply(T1)),
    ],
    ReviewRefusal.DUE_IN_THE_PAST: [
        (claimed, lambda _: an_evidence_request(T1, due_at=T1)),
        (claimed, lambda _: a_hold(T1, until=T1)),
    ],
    ReviewRefusal.PAUSE_USED_UP: [
        (used_up, lambda life: a_hold(life.now, version=life.version())),
        (used_up, lambda life: an_evidence_request(life.now, version=life.version())),
    ],
    ReviewRefusal.BLIND_REVIEW: [
        (lambda: looked_at(BLIND), lambda life: a_confirmation(life.now)),
        (lambda: looked_at(BLIND), lambda life: a_return(life.now)),
    ],
    ReviewRefusal.SUBJECT_ERASED: [
        (forgotten, lambda life: a_claim(life.now)),
        (forgotten, lambda life: a_retry(life.orders()[0], life.now)),
    ],
    ReviewRefusal.WITHDRAWAL_TOO_LATE: [(decided, lambda life: a_withdrawal(at=life.now))],
}
"""How each refusal comes about."""


def test_every_refusal_is_shown_here() -> None:
    assert set(REJECTED) == set(ReviewRefusal)


@pytest.mark.parametrize(("reason", "number"), [(r, n) for r, shown in REJECTED.items() for n in range(len(shown))])
def test_refused_event_is_one_line_with_its_reason_and_changes_nothing(reason: ReviewRefusal, number: int) -> None:
    before, event = REJECTED[reason][number]
    life = before()
    assert_rejected(life, event(life), reason)


def test_refusal_says_what_was_sent() -> None:
    life = claimed()
    life.send(a_referral(T1, "leagl"))
    line = life.lines()[-1]
    assert (line.saw["event"], line.saw["expected_version"]) == ("CaseReferred", "2")
    assert line.saw["detail"].startswith("the pods are general, intellectual-property")
    assert (line.actor, line.state, line.case_version) == ("r-1", CaseState.CLAIMED, 2)


def test_clock_that_is_a_little_behind_is_believed() -> None:
    life = opened()
    life.send(a_claim(T0 + HOUR - MAX_SKEW_MS))
    assert life.kinds()[-1] is CaseEventKind.CASE_CLAIMED


# --- referrals --------------------------------------------------------------------------------------------------


def test_referred_case_leaves_its_pod_keeps_its_rank_and_its_promise() -> None:
    life = claimed()
    before = life.on_pods().popitem()[1]
    sent = life.send(a_referral(T1 + 1, "legal", note_ref="s3://note/3"))
    assert [(e.topic, e.record is None) for e in sent if e.topic.startswith("cases.")] == [
        ("cases.intellectual-property", True),
        ("cases.legal", False),
    ]
    [((topic, _), case)] = life.on_pods().items()
    assert (topic, case.state, case.claim, case.version) == ("cases.legal", CaseState.QUEUED, None, 3)
    assert (case.rank_at, case.promised_at, case.due_at) == (before.rank_at, before.promised_at, before.due_at)
    assert (case.routing.rule, case.routing.because) == ("referral", "referred by r-1: legal")
    line = life.lines()[-1]
    assert (line.kind, line.reason, line.pod) == (CaseEventKind.CASE_REFERRED, ReferralReason.LEGAL, "legal")
    assert line.saw == {"from": "intellectual-property", "note_ref": "s3://note/3"}


def test_case_is_referred_where_one_independent_person_is_left() -> None:
    life = claimed(LISTED)
    life.send(a_referral(T1, "payments"))
    assert life.case().pod == "payments"
    life.send(a_claim(T1 + 1, actor="r-9", version=3))
    assert life.lines()[-1].reason == "reviewer_excluded"
    life.send(a_claim(T1 + 1, actor="r-3", version=3))
    assert life.case().lease is not None


def test_referred_case_is_judged_by_who_works_at_the_new_pod() -> None:
    life = claimed(LISTED)
    life.send(a_referral(T1, "payments"))
    assert_rejected(life, a_claim(T1 + 1, actor="r-1", version=3), ReviewRefusal.UNKNOWN_REVIEWER)


def test_holder_who_left_the_pod_decides_nothing_but_may_let_go() -> None:
    life = claimed()
    life.rulebook = with_people(intellectual_property=["r-2"])
    assert_rejected(life, a_decision(T1 + 1), ReviewRefusal.UNKNOWN_REVIEWER)
    life.send(a_release(T1 + 1))
    assert (life.case().state, life.case().lease) == (CaseState.QUEUED, None)


def test_excluded_holder_may_let_go() -> None:
    life = claimed()
    life.case().excluded.append("r-1")  # type: ignore[arg-type]
    life.send(a_release(T1 + 1))
    assert life.case().lease is None


# --- claims -----------------------------------------------------------------------------------------------------


def test_claim_is_a_lease_with_an_end() -> None:
    case = claimed().published()[-1]
    assert case.claim is not None
    assert (case.claim.reviewer, case.claim.since, case.claim.until) == ("r-1", T1, T1 + 30 * MINUTE)
    assert (case.state, case.version) == (CaseState.CLAIMED, 2)


def test_holder_renews_by_claiming_again() -> None:
    life = claimed()
    life.send(a_claim(T1 + MINUTE, version=2))
    claim = life.published()[-1].claim
    assert claim is not None
    assert (claim.since, claim.until) == (T1, T1 + 31 * MINUTE)
    assert life.kinds()[-1] is CaseEventKind.CLAIM_RENEWED


def test_lease_ends_by_itself_and_the_case_keeps_its_rank() -> None:
    life = claimed()
    life.wait_until(T1 + 30 * MINUTE)
    first, last = life.published()[0], life.published()[-1]
    assert life.kinds()[-1] is CaseEventKind.CLAIM_EXPIRED
    assert (last.claim, last.state, last.rank_at) == (None, CaseState.QUEUED, first.rank_at)


def test_released_case_keeps_its_rank() -> None:
    life = claimed()
    life.send(a_release(T1 + 1))
    first, last = life.published()[0], life.published()[-1]
    assert (last.claim, last.state, last.rank_at, last.version) == (None, CaseState.QUEUED, first.rank_at, 3)


def test_second_reviewer_is_turned_away() -> None:
    assert_rejected(claimed(), a_claim(T1 + 1, actor="r-2", version=2), ReviewRefusal.ALREADY_CLAIMED)


def test_of_two_reviewers_who_saw_the_same_version_the_first_wins() -> None:
    assert_rejected(claimed(), a_claim(T1 + 1, actor="r-2", version=1), ReviewRefusal.STALE_VERSION)


def test_original_decider_may_not_claim() -> None:
    assert_rejected(opened(), a_claim(T1, actor="r-9"), ReviewRefusal.REVIEWER_EXCLUDED)


def test_reviewer_of_an_earlier_case_may_not_claim_the_next() -> None:
    life = decided(Outcome.UPHELD)
    life.dossier.enforcements["e-1"].upheld_version = 0
    life.send(an_appeal(appeal_id="a-2", at=T0 + 3 * HOUR))
    assert_rejected(life, a_claim(T0 + 3 * HOUR, appeal_id="a-2"), ReviewRefusal.REVIEWER_EXCLUDED)


def test_stale_version_is_rejected_for_every_review_event() -> None:
    for event in (a_claim(T1, version=9), a_release(T1, version=9), a_decision(T1, version=9)):
        assert_rejected(claimed(), event, ReviewRefusal.STALE_VERSION)


def test_unknown_case_is_rejected_for_every_review_event() -> None:
    for event in (a_claim(T1, appeal_id="?"), a_release(T1, appeal_id="?"), a_decision(T1, appeal_id="?")):
        assert_rejected(opened(), event, ReviewRefusal.UNKNOWN_CASE)


def test_closed_case_is_rejected_for_every_review_event() -> None:
    for event in (a_claim(T1, version=2), a_release(T1), a_decision(T1)):
        life = opened()
        life.send(a_withdrawal(at=T1))
        assert_rejected(life, event, ReviewRefusal.CASE_CLOSED)


def test_release_and_decision_need_a_claim() -> None:
    for event in (a_release(T1, version=1), a_decision(T1, version=1)):
        assert_rejected(opened(), event, ReviewRefusal.NOT_CLAIMED)


def test_release_and_decision_are_the_holders() -> None:
    for event in (a_release(T1, actor="r-2"), a_decision(T1, actor="r-2")):
        assert_rejected(claimed(), event, ReviewRefusal.NOT_THE_HOLDER)


def test_holder_who_became_excluded_may_not_decide() -> None:
    life = claimed()
    life.case().excluded.append("r-1")
    assert_rejected(life, a_decision(T1 + 1), ReviewRefusal.REVIEWER_EXCLUDED)


def test_decision_after_the_lease_has_ended_is_rejected_even_if_no_timer_fired() -> None:
    life = claimed()
    life.send(a_decision(T1 + 30 * MINUTE))
    assert [line.kind for line in life.lines()[-2:]] == [CaseEventKind.CLAIM_EXPIRED, CaseEventKind.REVIEW_REJECTED]
    assert life.lines()[-1].reason == ReviewRefusal.STALE_VERSION


def test_cited_evidence_must_be_on_the_case() -> None:
    assert_rejected(claimed(), a_decision(T1, cited=["x-1", "x-404"]), ReviewRefusal.EVIDENCE_UNKNOWN)
    life = claimed()
    life.send(a_decision(T1, cited=["x-1"]))
    assert life.kinds().count(CaseEventKind.CASE_DECIDED) == 1


@pytest.mark.parametrize("outcome", [o for o in Outcome if o not in REVIEWERS_OUTCOMES and o is not Outcome.UNKNOWN])
def test_outcomes_that_no_reviewer_decides_are_rejected(outcome: Outcome) -> None:
    assert_rejected(claimed(), a_decision(T1, outcome), ReviewRefusal.OUTCOME_NOT_SUPPORTED)


def test_outcome_of_a_newer_version_is_a_dead_letter() -> None:
    with pytest.raises(UnknownSymbolError):
        claimed().send(a_decision(T1, Outcome.UNKNOWN))


@pytest.mark.parametrize("outcome", [Outcome.UPHELD, Outcome.OVERTURNED])
def test_decision_closes_the_case_with_everything_it_saw(outcome: Outcome) -> None:
    life = claimed()
    life.send(a_decision(T1 + 1, outcome, cited=["x-1"]))
    [line] = life.lines(CaseEventKind.CASE_DECIDED)
    assert (line.outcome, line.actor, line.state, line.case_version) == (outcome, "r-1", CaseState.DECIDED, 3)
    assert line.rulebook_digest == RULEBOOK.digest
    assert line.saw["triage_digest"] == RULEBOOK.digest
    assert line.saw["enforcement_version"] == "1"
    assert line.saw["cited_evidence"] == "x-1"
    assert line.saw["reviewer"] == "r-1"
    assert line.saw["decision_policy_version"] == "2025-03"
    assert line.saw["score"] == str(line.score)
    assert line.saw["detector"] == "fake-finder"
    assert line.saw["excluded_reviewers"] == "r-9"
    assert life.on_pods() == {}
    assert life.case_count() == 0


def test_notice_of_a_decision_has_reasons_and_redress() -> None:
    [notice] = decided(Outcome.UPHELD).notices(NoticeKind.DECIDED)
    assert notice.outcome is Outcome.UPHELD
    assert notice.reasons_ref == "s3://reasons/1"
    assert notice.redress == [Redress.OUT_OF_COURT_SETTLEMENT, Redress.COURT]


@pytest.mark.parametrize("make", [a_claim, a_release, a_decision])
def test_accepted_review_event_delivered_again_is_silent(make: object) -> None:
    life = opened() if make is a_claim else claimed()
    event = make(T1 + 1)  # type: ignore[operator]
    assert life.send(event)
    assert life.send(event) == []


def test_very_long_list_of_citations_still_fits_the_line() -> None:
    names = [f"evidence-with-a-long-name-{n:04}" for n in range(100)]
    life = after(an_enforcement(evidence=[some_evidence(n) for n in names]))
    life.send(an_appeal(evidence=[some_evidence("y" * 200 + str(n)) for n in range(100)]))
    life.send(a_claim(T1))
    everything = [x.evidence_id for x in life.case().evidence]
    assert len(everything) == 200
    life.send(a_decision(T1, cited=everything))
    cited = life.lines(CaseEventKind.CASE_DECIDED)[0].saw["cited_evidence"]
    assert cited.startswith("200 names, sha256 ")
