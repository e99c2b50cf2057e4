"""Every appeal is answered at once and ends in exactly one way."""

import pytest

from processors.growth import MAX_NOTES, MAX_PARKED
from processors.refusal import REDRESS_OF_REFUSAL
from schemas.records import AppealSubmitted, EnforcementId, UserId
from schemas.vocabulary import (
    Action,
    AppealFlag,
    AppealGround,
    Band,
    CaseEventKind,
    EffectKind,
    NoticeKind,
    Outcome,
    Redress,
    RefusalReason,
)
from tests.unit.builders import (
    DAY,
    HOUR,
    MINUTE,
    T0,
    Life,
    a_lift,
    a_withdrawal,
    after,
    an_amendment,
    an_appeal,
    an_effect,
    an_enforcement,
    case_of,
    decided,
    euros,
    some_evidence,
)


def refusals(life: Life) -> list[tuple[str | None, str | None]]:
    return [(line.appeal_id, line.reason) for line in life.lines(CaseEventKind.APPEAL_REFUSED)]


def assert_refused(life: Life, appeal_id: str, reason: RefusalReason) -> None:
    assert (appeal_id, reason) in refusals(life)
    notice = next(n for n in life.notices() if n.appeal_id == appeal_id and n.refusal is not None)
    assert notice.refusal is reason
    assert notice.redress == REDRESS_OF_REFUSAL[reason]
    assert notice.template == f"appeal.refused.{reason}"


def test_appeal_on_file_opens_a_case_and_is_acknowledged_at_once() -> None:
    life = after(an_enforcement(), an_appeal())
    assert life.kinds() == [CaseEventKind.CASE_OPENED]
    [case] = life.published()
    [notice] = life.notices()
    assert case.case_id == case_of("a-1")
    assert case.version == 1
    assert notice.kind is NoticeKind.ACKNOWLEDGED
    assert notice.decide_by == min(case.promised_at, case.due_at)
    assert life.on_pods() == {(f"cases.{case.pod}", case.case_id): case}


def test_case_excludes_the_original_decider_and_carries_both_sides_evidence() -> None:
    life = after(
        an_enforcement(decided_by="r-9", evidence=[some_evidence("x-1")]),
        an_appeal(evidence=[some_evidence("x-2"), some_evidence("x-1")]),
    )
    [case] = life.published()
    assert case.excluded_reviewers == ["r-9"]
    assert [item.evidence_id for item in case.evidence] == ["x-1", "x-2"]


def test_stranger_without_mandate_is_not_the_subject() -> None:
    life = after(an_enforcement(), an_appeal(appellant_id=UserId("somebody")))
    assert_refused(life, "a-1", RefusalReason.NOT_THE_SUBJECT)
    assert not life.published()


def test_stranger_with_mandate_may_appeal() -> None:
    life = after(an_enforcement(), an_appeal(appellant_id=UserId("lawyer"), mandate_ref="s3://mandate"))
    assert life.kinds() == [CaseEventKind.CASE_OPENED]


def test_appeal_that_says_nothing_is_insufficient() -> None:
    life = after(an_enforcement(), an_appeal(statement_ref=None, grounds=[], evidence=[]))
    assert_refused(life, "a-1", RefusalReason.INSUFFICIENT_INFORMATION)


@pytest.mark.parametrize(
    "said",
    [
        {"statement_ref": "s3://x", "grounds": [], "evidence": []},
        {"statement_ref": None, "grounds": [AppealGround.OTHER], "evidence": []},
        {"statement_ref": None, "grounds": [], "evidence": [some_evidence()]},
    ],
)
def test_any_one_of_text_ground_and_evidence_is_sufficient(said: dict[str, object]) -> None:
    assert after(an_enforcement(), an_appeal(**said)).kinds() == [CaseEventKind.CASE_OPENED]


def test_enforcement_that_cannot_be_appealed_is_refused() -> None:
    life = after(an_enforcement(appealable=False), an_appeal())
    assert_refused(life, "a-1", RefusalReason.NOT_APPEALABLE)


@pytest.mark.parametrize(("days", "kind"), [(184, CaseEventKind.CASE_OPENED), (185, CaseEventKind.APPEAL_REFUSED)])
def test_window_is_184_days_from_notice(days: int, kind: CaseEventKind) -> None:
    assert after(an_enforcement(), an_appeal(at=T0 + days * DAY)).kinds() == [kind]


def test_appeal_after_the_window_is_untimely() -> None:
    assert_refused(after(an_enforcement(), an_appeal(at=T0 + 200 * DAY)), "a-1", RefusalReason.UNTIMELY)


def test_earlier_appeal_until_never_shortens_six_months() -> None:
    life = after(an_enforcement(appeal_until=T0 + DAY), an_appeal(at=T0 + 180 * DAY))
    assert life.kinds() == [CaseEventKind.CASE_OPENED]


def test_later_appeal_until_extends_the_window() -> None:
    life = after(an_enforcement(appeal_until=T0 + 400 * DAY), an_appeal(at=T0 + 300 * DAY))
    assert life.kinds() == [CaseEventKind.CASE_OPENED]


def test_new_version_starts_the_window_again() -> None:
    life = after(an_enforcement(), an_amendment(at=T0 + 100 * DAY), an_appeal(at=T0 + 250 * DAY))
    assert life.kinds() == [CaseEventKind.CASE_OPENED]


def test_second_appeal_is_a_duplicate_whose_text_is_added_to_the_open_case() -> None:
    life = after(
        an_enforcement(),
        an_appeal(),
        an_appeal(appeal_id="a-2", at=T0 + 2 * HOUR, evidence=[some_evidence("x-5")], grounds=[AppealGround.OTHER]),
    )
    assert life.kinds() == [
        CaseEventKind.CASE_OPENED,
        CaseEventKind.APPEAL_REFUSED,
        CaseEventKind.STATEMENT_ADDED,
    ]
    assert_refused(life, "a-2", RefusalReason.DUPLICATE)
    assert life.notices()[-1].kind is NoticeKind.STATEMENT_ADDED
    assert life.notices()[-1].case_id == case_of("a-1")
    case = life.published()[-1]
    assert case.version == 2
    assert [s.appeal_id for s in case.statements] == ["a-1", "a-2"]
    assert [x.evidence_id for x in case.evidence] == ["x-5"]
    assert case.grounds == [AppealGround.FACTS_WRONG, AppealGround.OTHER]
    assert life.dossier.counts.refused == 0


def test_legal_order_in_a_second_text_sends_the_case_to_triage_again() -> None:
    life = after(an_enforcement(), an_appeal(), an_appeal(appeal_id="a-2", flags=[AppealFlag.LEGAL_ORDER]))
    assert life.case().band is Band.P0
    assert life.case().pod == "legal"
    assert [key[0] for key in life.on_pods()] == ["cases.legal"]


def test_texts_on_one_case_are_bounded_and_still_answered() -> None:
    life = after(an_enforcement(), an_appeal())
    for number in range(MAX_NOTES + 5):
        life.send(an_appeal(appeal_id=f"more-{number}"))
    assert len(life.published()[-1].statements) == MAX_NOTES
    assert len(refusals(life)) == MAX_NOTES + 5
    assert life.notices()[-1].kind is NoticeKind.REFUSED


def test_same_appeal_delivered_twice_leaves_no_second_line() -> None:
    appeal = an_appeal()
    life = after(an_enforcement(), appeal)
    assert life.send(appeal) == []


def test_refused_appeal_delivered_twice_leaves_no_second_line() -> None:
    appeal = an_appeal(appellant_id=UserId("somebody"))
    life = after(an_enforcement(), appeal)
    assert life.send(appeal) == []


def test_decided_appeal_delivered_twice_leaves_no_second_line() -> None:
    appeal = an_appeal()
    life = decided(Outcome.UPHELD)
    assert life.send(appeal) == []


def test_appeal_against_a_decision_that_upheld_is_an_appeal_to_an_appeal() -> None:
    life = decided(Outcome.UPHELD)
    life.send(an_appeal(appeal_id="a-2", at=T0 + DAY))
    assert_refused(life, "a-2", RefusalReason.APPEAL_TO_APPEAL)


def test_new_version_after_an_upheld_one_may_be_appealed() -> None:
    life = decided(Outcome.UPHELD)
    life.send(an_amendment(at=T0 + DAY))
    life.send(an_appeal(appeal_id="old", at=T0 + 2 * DAY, enforcement_version=1))
    life.send(an_appeal(appeal_id="new", at=T0 + 2 * DAY))
    assert_refused(life, "old", RefusalReason.APPEAL_TO_APPEAL)
    assert life.case("new").excluded == ["r-1"]


@pytest.mark.parametrize("named", ["a-1", case_of("a-1")])
@pytest.mark.parametrize("state", ["parked", "open", "decided"])
def test_appeal_that_names_an_appeal_or_case_is_refused_whatever_its_state(named: str, state: str) -> None:
    lives = {
        "parked": after(an_appeal()),
        "open": after(an_enforcement(), an_appeal()),
        "decided": decided(Outcome.UPHELD),
    }
    life = lives[state]
    life.send(an_appeal(appeal_id="a-2", enforcement_id=EnforcementId(named)))
    assert_refused(life, "a-2", RefusalReason.APPEAL_TO_APPEAL)


def test_lifted_enforcement_is_already_reversed() -> None:
    life = after(an_enforcement(), a_lift(at=T0 + 1), an_appeal())
    assert_refused(life, "a-1", RefusalReason.ALREADY_REVERSED)


@pytest.mark.parametrize(
    "left",
    [
        {"strikes": 1},
        {"effects": [an_effect(EffectKind.MONEY_TAKEN, amount=euros("9.99"))]},
        {"action": Action.FEE, "effects": [], "amount": euros("5")},
    ],
)
def test_lifted_enforcement_with_a_strike_or_money_left_still_opens_a_case(left: dict[str, object]) -> None:
    life = after(an_enforcement(**left), a_lift(at=T0 + 1), an_appeal())
    assert life.kinds() == [CaseEventKind.CASE_OPENED]


@pytest.mark.parametrize(
    ("left", "given"),
    [
        ({"strikes": 1}, {"strikes_expunged": True}),
        (
            {"effects": [an_effect(EffectKind.MONEY_TAKEN, amount=euros("9.99"))]},
            {"amount_returned": euros("9.99")},
        ),
        ({"action": Action.FEE, "effects": [], "amount": euros("5")}, {"amount_returned": euros("5.00")}),
    ],
)
def test_lift_that_gave_everything_back_is_already_reversed(left: dict[str, object], given: dict[str, object]) -> None:
    life = after(an_enforcement(**left), a_lift(at=T0 + 1, **given), an_appeal())
    assert_refused(life, "a-1", RefusalReason.ALREADY_REVERSED)


def test_overturned_enforcement_is_already_reversed() -> None:
    life = decided(Outcome.OVERTURNED)
    life.send(an_appeal(appeal_id="a-2", at=T0 + DAY))
    assert_refused(life, "a-2", RefusalReason.ALREADY_REVERSED)


def test_appeal_after_the_suspension_ended_is_already_reversed() -> None:
    life = after(an_enforcement(ends_at=T0 + DAY), an_appeal(at=T0 + 2 * DAY))
    assert_refused(life, "a-1", RefusalReason.ALREADY_REVERSED)


def test_appeal_before_its_enforcement_is_parked_then_joined() -> None:
    life = after(an_appeal(at=T0))
    assert life.kinds() == [CaseEventKind.APPEAL_PARKED]
    assert life.notices()[0].kind is NoticeKind.ACKNOWLEDGED
    life.send(an_enforcement(at=T0 - DAY), at=T0 + DAY)
    assert life.kinds() == [CaseEventKind.APPEAL_PARKED, CaseEventKind.CASE_OPENED]
    assert life.dossier.parked == []


def test_appeal_of_a_version_not_seen_yet_waits_for_that_version() -> None:
    life = after(an_enforcement(), an_appeal(enforcement_version=2))
    assert life.kinds() == [CaseEventKind.APPEAL_PARKED]
    life.send(an_amendment())
    assert life.kinds()[-1] is CaseEventKind.CASE_OPENED
    assert life.published()[-1].enforcement.version == 2
    assert not life.published()[-1].enforcement_changed


def test_parked_appeal_goes_on_waiting_while_only_an_older_version_comes() -> None:
    life = after(an_appeal(at=T0, enforcement_version=2), an_enforcement())
    assert life.kinds() == [CaseEventKind.APPEAL_PARKED]
    life.send(an_amendment())
    assert life.kinds() == [CaseEventKind.APPEAL_PARKED, CaseEventKind.CASE_OPENED]


def test_appeal_of_an_older_version_opens_on_the_newest_and_says_so() -> None:
    life = after(an_enforcement(), an_amendment(at=T0 + 1), an_appeal(enforcement_version=1))
    assert life.published()[0].enforcement_changed


def test_parked_appeal_is_refused_after_the_parking_time() -> None:
    life = after(an_appeal(at=T0))
    assert life.wait_until(T0 + 7 * DAY - 1) == []
    life.wait_until(T0 + 7 * DAY)
    assert_refused(life, "a-1", RefusalReason.NO_ENFORCEMENT_ON_FILE)
    assert life.dossier.counts.refused == 0
    assert life.dossier.due is None
    life.send(an_enforcement(at=T0, enforcement_id="e-1"))
    assert life.kinds()[-1] is CaseEventKind.APPEAL_REFUSED


def test_two_parked_appeals_join_in_order_and_the_second_is_a_duplicate() -> None:
    life = after(an_appeal(at=T0), an_appeal(at=T0 + 1, appeal_id="a-2"), an_enforcement(at=T0 + 2))
    assert [line.appeal_id for line in life.lines(CaseEventKind.CASE_OPENED)] == ["a-1"]
    assert_refused(life, "a-2", RefusalReason.DUPLICATE)


def test_parking_place_is_bounded_and_overflow_is_refused() -> None:
    life = after(*(an_appeal(appeal_id=f"a-{n}", at=T0 + n) for n in range(MAX_PARKED + 1)))
    assert len(life.dossier.parked) == MAX_PARKED
    assert_refused(life, f"a-{MAX_PARKED}", RefusalReason.NO_ENFORCEMENT_ON_FILE)
    assert life.lines()[-1].saw == {"parking": "parking_full"}


def test_appeal_sent_before_a_lift_but_read_after_it_ends_as_it_would_have_in_order() -> None:
    in_order = after(an_enforcement(), an_appeal(at=T0 + 1), a_lift(at=T0 + 2))
    late = after(an_enforcement(), a_lift(at=T0 + 2), an_appeal(at=T0 + 1))
    for life in (in_order, late):
        assert life.kinds() == [CaseEventKind.CASE_OPENED, CaseEventKind.CASE_DECIDED, CaseEventKind.CASE_CLOSED]
        assert life.lines()[1].outcome is Outcome.MOOT


def test_second_appeal_after_a_moot_case_is_refused_though_it_was_sent_before_the_lift() -> None:
    life = after(an_enforcement(), an_appeal(at=T0 + 1), a_lift(at=T0 + 3), an_appeal(appeal_id="a-2", at=T0 + 2))
    assert_refused(life, "a-2", RefusalReason.ALREADY_REVERSED)


def test_withdrawal_closes_the_open_case() -> None:
    life = after(an_enforcement(), an_appeal(), a_withdrawal())
    assert life.lines()[-2].outcome is Outcome.WITHDRAWN
    assert life.on_pods() == {}
    assert life.notices()[-1].outcome is Outcome.WITHDRAWN
    assert life.dossier.due is None


def test_user_may_appeal_again_after_withdrawing() -> None:
    life = after(an_enforcement(), an_appeal(), a_withdrawal(), an_appeal(appeal_id="a-2", at=T0 + DAY))
    assert life.kinds()[-1] is CaseEventKind.CASE_OPENED


def test_withdrawal_of_a_parked_appeal_leaves_it_unopened() -> None:
    life = after(an_appeal(at=T0), a_withdrawal(at=T0 + 1), an_enforcement(at=T0 + 2))
    assert life.kinds() == [CaseEventKind.APPEAL_PARKED, CaseEventKind.APPEAL_WITHDRAWN_UNOPENED]
    assert Redress.APPEAL_AGAIN in life.notices()[-1].redress


def test_withdrawal_before_its_appeal_is_remembered() -> None:
    life = after(an_enforcement(), a_withdrawal(at=T0), an_appeal())
    assert life.kinds() == [CaseEventKind.APPEAL_WITHDRAWN_UNOPENED]
    assert life.dossier.early_withdrawals == []


def test_remembered_withdrawals_are_bounded() -> None:
    life = after(*(a_withdrawal(appeal_id=f"a-{n}") for n in range(100)))
    assert len(life.dossier.early_withdrawals) == 32
    assert life.out == []


@pytest.mark.parametrize("outcome", [Outcome.UPHELD, Outcome.OVERTURNED])
def test_withdrawal_after_the_decision_is_too_late_and_recorded(outcome: Outcome) -> None:
    life = decided(outcome)
    [emission] = life.send(a_withdrawal(at=T0 + 2 * HOUR + 2 * MINUTE))
    assert emission.record == life.lines()[-1]
    assert life.lines()[-1].reason == "withdrawal_too_late"


def test_withdrawal_of_a_refused_appeal_is_too_late_and_recorded() -> None:
    life = after(an_appeal(appellant_id=UserId("x")), a_withdrawal())
    assert life.lines()[-1].reason == "withdrawal_too_late"


@pytest.mark.parametrize(
    "before", [[an_enforcement(), an_appeal()], [an_appeal(at=T0)], [a_withdrawal(), an_appeal()], []]
)
def test_withdrawal_delivered_twice_is_silent(before: list[AppealSubmitted]) -> None:
    withdrawal = a_withdrawal()
    assert after(*before, withdrawal).send(withdrawal) == []
