"""The truth about a user: what is overturned counts as never done, what is modified as done more mildly, once."""

from decimal import Decimal

import pytest

from schemas.records import EnforcementId, Lesser, Millis
from schemas.vocabulary import Action, EffectKind, Outcome
from tests.unit.builders import DAY, HOUR, T0, USER, a_lift, an_amendment
from tests.unit.reference_orders import a_directive, a_measure, an_order, money
from topology.demo.systems import Verdict, truth, verdicts_of, woven
from topology.demo.systems.restrictions import Held, plain
from topology.demo.systems.view import View

STATUS = EffectKind.ACCOUNT_STATUS
PLACE = ("account", USER, "account_status")
BAN = a_measure("e-2", Action.BAN, STATUS, EffectKind.STRIKES, strikes=3)
FEE = a_measure("e-5", Action.FEE, EffectKind.MONEY_TAKEN, taken=money("10.00"))


def again(e, at: int, version: int = 2, **change):
    about = {"enforcement_id": e.enforcement_id, "action": e.action, "target": e.target, "effects": e.effects}
    return an_amendment(at, version, **{**about, "strikes": e.strikes, **change})


def test_overturned_was_never_done_and_its_next_version_stands():
    overturned = Verdict(BAN.enforcement_id, 1, T0 + HOUR)
    assert truth([BAN, overturned], T0 + HOUR) == View()
    stands = truth([BAN, overturned, again(BAN, T0 + 2 * HOUR)], T0 + 2 * HOUR)
    assert stands == View({PLACE: frozenset({("ban", "", 0)})}, {}, {("sys-strikes", "e-2"): 3})


def test_verdict_about_an_earlier_version_says_nothing_about_the_next():
    assert truth([BAN, again(BAN, T0 + HOUR), Verdict(BAN.enforcement_id, 1, T0 + HOUR)], T0 + HOUR).strikes


def test_modified_is_the_milder_form_where_that_reaches_and_nothing_elsewhere():
    lesser = Lesser(action=Action.SELLING_REVOKED, strikes=1)
    found = truth([BAN, Verdict(BAN.enforcement_id, 1, T0, lesser)], T0)
    assert found == View(strikes={("sys-strikes", "e-2"): 1})  # an account whose sale is revoked is open


def test_what_stays_of_the_money_is_what_the_decision_says_less_what_a_lift_returns():
    lesser = Lesser(action=Action.FEE, amount=money("4.00"))
    history = [FEE, Verdict(FEE.enforcement_id, 1, T0, lesser)]
    assert truth(history, T0).money == {("e-5", "EUR"): Decimal("4.00")}
    history.append(a_lift(T0 + HOUR, "e-5", amount_returned=money("1.50")))
    assert truth(history, T0 + HOUR).money == {("e-5", "EUR"): Decimal("2.50")}


def test_money_that_was_given_back_is_not_taken_again_by_the_same_effect():
    history = [FEE, Verdict(FEE.enforcement_id, 1, T0), again(FEE, T0 + HOUR)]
    assert truth(history, T0 + HOUR).money == {}


def test_lift_of_what_nobody_has_heard_of_yet_holds_for_what_comes():
    assert truth([a_lift(T0, "e-2"), BAN], T0) == View(strikes={("sys-strikes", "e-2"): 3})


def test_orders_that_are_sent_again_are_one_verdict_and_the_first_counts():
    lesser = Lesser(action=Action.SUSPENSION)
    order = an_order(BAN, a_directive(BAN, STATUS), lesser=lesser)
    later = an_order(BAN, attempt=2, outcome=Outcome.MODIFIED)  # the engine has a newer version, and knows no lesser
    assert verdicts_of([order, later]) == [Verdict(BAN.enforcement_id, 1, T0, lesser)]


def test_verdict_comes_after_its_version_and_before_the_next_whatever_the_times():
    second = again(BAN, T0 + HOUR)
    early, late = Verdict(BAN.enforcement_id, 2, T0), Verdict(BAN.enforcement_id, 1, T0 + DAY)
    assert woven([BAN, second], [early, late]) == [BAN, late, second, early]


@pytest.mark.parametrize(
    ("other", "shows"),
    [
        (Held(Action.SUSPENSION, None, T0 + DAY, EnforcementId("e")), False),
        (Held(Action.SUSPENSION, "DE", T0 + HOUR, EnforcementId("e")), False),
        (Held(Action.SUSPENSION, "DE", T0 + 2 * DAY, EnforcementId("e")), True),
        (Held(Action.SUSPENSION, None, None, EnforcementId("e")), True),
        (Held(Action.BAN, "DE", None, EnforcementId("e")), True),
        (Held(Action.BAN, "DE", T0, EnforcementId("e")), False),
    ],
)
def test_something_harder_covers_what_it_outlasts_where_it_holds(other, shows):
    interim = Held(Action.INTERIM_SUSPENSION, None, T0 + DAY, EnforcementId("f"))
    told = plain([interim, other], T0)
    assert ("interim_suspension", "", T0 + DAY) in told
    assert (len(told) == 2) == shows
    assert plain([interim], Millis(T0 + DAY)) == frozenset()
