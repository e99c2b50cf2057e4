"""What enforcing systems say, late, twice and in any order."""

from decimal import Decimal

import pytest

from processors.errors import ImpossibleInputError, ProcessorError, UnknownSymbolError
from schemas.records import InputRecord, Target
from schemas.vocabulary import (
    Action,
    AppealFlag,
    CaseEventKind,
    CaseState,
    Category,
    EffectKind,
    Ground,
    NoticeKind,
    Outcome,
    TargetKind,
)
from tests.unit.builders import (
    DAY,
    HOUR,
    T0,
    a_claim,
    a_lift,
    a_profile,
    after,
    all_but_the_audit,
    an_amendment,
    an_appeal,
    an_effect,
    an_enforcement,
    euros,
    some_evidence,
)


@pytest.mark.parametrize(
    "again", [an_enforcement(), an_amendment(), a_lift(), a_profile(), an_enforcement(version=2, at=T0 + HOUR)]
)
def test_enforcement_event_delivered_twice_changes_nothing(again: InputRecord) -> None:
    life = after(an_enforcement(strikes=1), an_appeal(), again)
    before = all_but_the_audit(life.dossier)
    assert life.send(again) == []
    assert all_but_the_audit(life.dossier) == before


def test_older_version_after_a_newer_one_is_ignored_but_tells_when_and_why_it_began() -> None:
    life = after(an_amendment(policy="new"), an_enforcement(policy="old", caused_by="e-0"))
    e = life.dossier.enforcements["e-1"]
    assert (e.version, e.policy, e.issued_at, e.caused_by) == (2, "new", T0, "e-0")


def test_amendment_tells_the_open_case_and_keeps_claim_and_rank() -> None:
    life = after(an_enforcement(), an_appeal(), a_claim(T0 + HOUR))
    before = life.case().rank_at
    life.send(an_amendment(at=T0 + HOUR + 1, ends_at=T0 + 9 * DAY, evidence=[some_evidence("new")]))
    case = life.published()[-1]
    assert case.enforcement_changed
    assert case.state is CaseState.CLAIMED
    assert (case.rank_at, case.enforcement.version, case.version) == (before, 2, 3)
    assert [x.evidence_id for x in case.evidence] == ["new"]
    assert life.lines()[-1].kind is CaseEventKind.ENFORCEMENT_CHANGED
    assert life.lines()[-1].reason == "amended"
    assert life.notices()[-1].kind is NoticeKind.ENFORCEMENT_CHANGED


@pytest.mark.parametrize(
    "change",
    [
        {"ground": Ground.DECISION_GROUND_ILLEGAL_CONTENT},
        {"policy": "spam"},
        {"category": Category.STATEMENT_CATEGORY_SELF_HARM},
        {"action": Action.BAN},
    ],
)
def test_changed_charge_sends_the_case_back_to_triage_and_drops_the_claim(change: dict[str, object]) -> None:
    life = after(an_enforcement(), an_appeal(), a_claim(T0 + HOUR))
    life.send(an_amendment(at=T0 + HOUR + 1, **change))
    case = life.published()[-1]
    assert case.claim is None
    assert case.state is CaseState.QUEUED
    changed = life.lines(CaseEventKind.ENFORCEMENT_CHANGED)[0]
    assert changed.reason == "charge_changed"
    assert changed.saw["claim_dropped"] == "r-1"
    assert case.due_at == life.published()[0].due_at


def test_changed_charge_reroutes_and_the_old_pod_gets_a_tombstone() -> None:
    life = after(an_enforcement(policy="spam"), an_appeal())
    assert [topic for topic, _ in life.on_pods()] == ["cases.accounts"]
    life.send(an_amendment(category=Category.STATEMENT_CATEGORY_INTELLECTUAL_PROPERTY_INFRINGEMENTS))
    assert [topic for topic, _ in life.on_pods()] == ["cases.intellectual-property"]
    rerouted = life.lines(CaseEventKind.CASE_REROUTED)[0]
    assert rerouted.saw["from"] == "accounts"
    assert rerouted.pod == "intellectual-property"


def test_changed_charge_rescores() -> None:
    life = after(an_enforcement(action=Action.WARNING), an_appeal())
    before = life.case().score
    life.send(an_amendment(action=Action.BAN))
    assert life.case().score > before
    assert life.case().rank_at < life.published()[0].rank_at


def test_reviewer_who_amended_loses_the_claim_and_is_excluded() -> None:
    life = after(an_enforcement(), an_appeal(), a_claim(T0 + HOUR))
    life.send(an_amendment(at=T0 + HOUR + 1, decided_by="r-1"))
    assert life.case().lease is None
    assert life.case().excluded == ["r-1"]


def test_lift_makes_an_open_case_moot_when_nothing_remains() -> None:
    life = after(an_enforcement(), an_appeal(), a_lift())
    assert life.lines(CaseEventKind.CASE_DECIDED)[-1].outcome is Outcome.MOOT
    assert life.lines(CaseEventKind.CASE_DECIDED)[-1].reason == "lifted"
    assert life.on_pods() == {}
    assert life.orders() == []


def test_lift_with_a_strike_left_keeps_the_case_open_until_the_strike_goes_too() -> None:
    life = after(an_enforcement(strikes=2), an_appeal(), a_lift())
    assert life.lines()[-1].kind is CaseEventKind.ENFORCEMENT_CHANGED
    assert life.lines()[-1].reason == "lifted_with_remains"
    assert life.on_pods()
    life.send(a_lift(at=T0 + 3 * HOUR, strikes_expunged=True))
    assert life.lines(CaseEventKind.CASE_DECIDED)[-1].outcome is Outcome.MOOT


def test_lift_of_a_hold_releases_it_so_no_money_remains() -> None:
    hold = an_effect(EffectKind.PAYOUT_STATUS, amount=euros("100"))
    life = after(an_enforcement(action=Action.PAYOUT_HOLD, effects=[hold]), an_appeal(), a_lift())
    assert life.lines(CaseEventKind.CASE_DECIDED)[-1].outcome is Outcome.MOOT


def test_partly_returned_money_still_counts() -> None:
    taken = an_effect(EffectKind.MONEY_TAKEN, amount=euros("100"))
    life = after(an_enforcement(action=Action.FEE, effects=[taken]), an_appeal())
    life.send(a_lift(amount_returned=euros("99.99")))
    assert life.lines()[-1].reason == "lifted_with_remains"


def test_lift_before_its_enforcement_is_not_lost() -> None:
    life = after(a_lift(at=T0 - 1), an_enforcement(), an_appeal())
    assert life.kinds() == [CaseEventKind.APPEAL_REFUSED]
    assert life.dossier.early_lifts == {}


def test_lifts_without_enforcement_are_bounded() -> None:
    life = after(*(a_lift(enforcement_id=f"e-{n}") for n in range(100)))
    assert len(life.dossier.early_lifts) == 32


def test_amendment_after_a_lift_lets_the_enforcement_stand_again() -> None:
    life = after(an_enforcement(), a_lift(at=T0 + 1), an_amendment(), an_appeal(at=T0 + 2 * HOUR))
    assert life.kinds() == [CaseEventKind.CASE_OPENED]


def test_lift_from_before_the_amendment_changes_nothing() -> None:
    life = after(an_enforcement(), an_amendment(), a_lift(at=T0 + 1), an_appeal(at=T0 + 2 * HOUR))
    assert life.kinds() == [CaseEventKind.CASE_OPENED]


def test_end_of_a_suspension_makes_the_open_case_moot() -> None:
    life = after(an_enforcement(ends_at=T0 + DAY), an_appeal())
    assert life.wait_until(T0 + DAY - 1) == []
    life.wait_until(T0 + DAY)
    [line] = life.lines(CaseEventKind.CASE_DECIDED)
    assert (line.outcome, line.reason) == (Outcome.MOOT, "expired")


def test_end_of_a_suspension_with_a_strike_left_keeps_the_case_open() -> None:
    life = after(an_enforcement(ends_at=T0 + DAY, strikes=1), an_appeal())
    life.wait_until(T0 + DAY)
    assert life.lines()[-1].reason == "expired_with_remains"
    assert life.wait_until(T0 + 2 * DAY) == []


def test_amendment_that_moves_the_end_moves_the_timer() -> None:
    life = after(an_enforcement(ends_at=T0 + DAY), an_appeal(), an_amendment(ends_at=T0 + 5 * DAY))
    assert life.wait_until(T0 + 2 * DAY) == []
    life.wait_until(T0 + 5 * DAY)
    assert life.lines(CaseEventKind.CASE_DECIDED)[-1].outcome is Outcome.MOOT


def test_older_profile_is_ignored() -> None:
    life = after(a_profile(at=T0 + 1, region="FR"), a_profile(at=T0, region="DE"))
    assert life.dossier.profile is not None
    assert life.dossier.profile.region == "FR"


@pytest.mark.parametrize(
    ("event", "error"),
    [
        (an_enforcement(action=Action.UNKNOWN), UnknownSymbolError),
        (an_enforcement(target=Target(kind=TargetKind.UNKNOWN, id="x")), UnknownSymbolError),
        (an_enforcement(effects=[an_effect(EffectKind.UNKNOWN)]), UnknownSymbolError),
        (an_enforcement(amount=euros("-1")), ImpossibleInputError),
        (an_enforcement(effects=[an_effect(EffectKind.FEATURE_STATUS, amount=euros("-0.01"))]), ImpossibleInputError),
        (an_enforcement(user_id="somebody-else"), ImpossibleInputError),
    ],
)
def test_what_no_decision_can_rest_on_is_a_dead_letter(event: InputRecord, error: type[ProcessorError]) -> None:
    with pytest.raises(error):
        after(event)


def test_unknown_symbols_that_decide_nothing_are_carried_on() -> None:
    life = after(
        an_enforcement(category=Category.UNKNOWN, ground=Ground.UNKNOWN), an_appeal(flags=[AppealFlag.UNKNOWN])
    )
    assert life.kinds() == [CaseEventKind.CASE_OPENED]


def test_amounts_stay_exact_in_the_dossier() -> None:
    life = after(an_enforcement(amount=euros("12345678901234.56")))
    amount = life.dossier.enforcements["e-1"].amount
    assert amount is not None
    assert amount.value == Decimal("12345678901234.56")
