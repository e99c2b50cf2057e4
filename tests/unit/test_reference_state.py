"""The reference enforcement system: what it obeys, what it refuses, and what it keeps though nobody sees it."""

from decimal import Decimal

import pytest

from schemas.records import Lesser, Millis
from schemas.vocabulary import AckStatus, Action, EffectKind, Operation, TargetKind
from tests.unit.builders import DAY, HOUR, T0, USER, a_lift, an_amendment
from tests.unit.reference_orders import ACCOUNT, a_directive, a_measure, a_restriction, an_order, money
from topology.demo.systems import Answer, SystemsState
from topology.demo.systems.view import View

STATUS = EffectKind.ACCOUNT_STATUS
HELD = EffectKind.PAYOUT_STATUS
TAKEN = EffectKind.MONEY_TAKEN
ACCOUNT_STATUS = ("account", USER, "account_status")
SUSPENSION = a_measure("e-1", Action.SUSPENSION, STATUS, EffectKind.STRIKES, ends_at=Millis(T0 + 7 * DAY), strikes=2)
BAN = a_measure("e-2", Action.BAN, STATUS)


def systems(*events) -> SystemsState:
    state = SystemsState()
    for event in events:
        state.hear(event, T0)
    return state


def restricting(state: SystemsState, at: int = T0) -> dict:
    return state.view(USER, at).restrictions


def obey(state: SystemsState, e, directive, at: int = T0, **order) -> Answer:
    return state.obey(directive, an_order(e, directive, **order), at)


def test_restriction_ends_by_itself_and_strikes_stay():
    state = systems(SUSPENSION)
    assert restricting(state) == {ACCOUNT_STATUS: {("suspension", "", T0 + 7 * DAY)}}
    assert state.view(USER, T0 + 7 * DAY) == View(strikes={("sys-strikes", "e-1"): 2})


def test_what_something_harder_covers_does_not_show_and_shows_again_when_that_is_lifted():
    state = systems(SUSPENSION, BAN)
    assert restricting(state) == {ACCOUNT_STATUS: {("ban", "", 0)}}
    state.hear(a_lift(T0 + HOUR, "e-2"), T0 + HOUR)
    assert restricting(state) == {ACCOUNT_STATUS: {("suspension", "", T0 + 7 * DAY)}}


def test_restore_sets_exactly_what_it_says_and_keeps_what_that_covers():
    other = a_measure("e-3", Action.INTERIM_SUSPENSION, STATUS, scope=["DE"])
    state = systems(SUSPENSION, BAN, other)
    answer = obey(state, other, a_directive(other, STATUS, state=[a_restriction(BAN)]))
    assert answer == Answer(AckStatus.APPLIED)
    assert restricting(state) == {ACCOUNT_STATUS: {("ban", "", 0)}}
    state.hear(a_lift(T0 + HOUR, "e-2"), T0 + HOUR)
    assert restricting(state) == {ACCOUNT_STATUS: {("suspension", "", T0 + 7 * DAY)}}


def test_restore_takes_away_what_it_does_not_name():
    state = systems(SUSPENSION, BAN)
    obey(state, BAN, a_directive(BAN, STATUS, state=[]))
    assert restricting(state) == {}


def test_older_restore_changes_nothing():
    state = systems(SUSPENSION, BAN)
    obey(state, BAN, a_directive(BAN, STATUS, 7, state=[a_restriction(SUSPENSION)]))
    answer = obey(state, SUSPENSION, a_directive(SUSPENSION, STATUS, 5, state=[]))
    assert answer.status is AckStatus.ALREADY_APPLIED
    assert restricting(state) == {ACCOUNT_STATUS: {("suspension", "", T0 + 7 * DAY)}}


def test_older_restore_still_says_what_became_of_its_own_measure():
    state = systems(SUSPENSION, BAN)
    obey(state, BAN, a_directive(BAN, STATUS, 7, key="other", state=[a_restriction(BAN)]))
    obey(state, SUSPENSION, a_directive(SUSPENSION, STATUS, 5, state=[a_restriction(BAN)]))
    state.hear(a_lift(T0 + HOUR, "e-2"), T0 + HOUR)
    assert restricting(state) == {}


def test_measure_that_was_put_elsewhere_is_looked_up_there():
    listing = a_measure(
        "e-4", Action.CONTENT_REMOVAL, EffectKind.VISIBILITY, target=ACCOUNT.__class__(kind=TargetKind.LISTING, id="l")
    )
    state = systems(listing, BAN)
    obey(state, listing, a_directive(listing, EffectKind.VISIBILITY, state=[a_restriction(BAN)]))
    assert restricting(state) == {ACCOUNT_STATUS: {("ban", "", 0)}}


def test_modified_leaves_the_milder_form():
    lesser = Lesser(action=Action.SUSPENSION, ends_at=Millis(T0 + DAY))
    state = systems(BAN)
    left = a_restriction(BAN, action=Action.SUSPENSION, ends_at=Millis(T0 + DAY))
    obey(state, BAN, a_directive(BAN, STATUS, state=[left]), lesser=lesser)
    assert restricting(state) == {ACCOUNT_STATUS: {("suspension", "", T0 + DAY)}}


def test_same_key_is_obeyed_once():
    fee = a_measure("e-5", Action.FEE, TAKEN, taken=money("10.00"))
    state = systems(fee)
    directive = a_directive(fee, TAKEN, amount=money("4.00"))
    assert obey(state, fee, directive) == Answer(AckStatus.APPLIED, amount=money("4.00"))
    assert obey(state, fee, directive) == Answer(AckStatus.ALREADY_APPLIED, amount=money("4.00"))
    assert state.view(USER, T0).money == {("e-5", "EUR"): Decimal("6.00")}


@pytest.mark.parametrize(
    ("amount", "word"),
    [(money("10.01"), "left"), (money("4.00", "USD"), "USD"), (money("0.00"), "no amount"), (None, "no amount")],
)
def test_money_that_was_never_taken_is_refused(amount, word):
    fee = a_measure("e-5", Action.FEE, TAKEN, taken=money("10.00"))
    state = systems(fee)
    answer = obey(state, fee, a_directive(fee, TAKEN, amount=amount))
    assert answer.status is AckStatus.FAILED_PERMANENT
    assert word in (answer.detail or "")
    assert state.view(USER, T0).money == {("e-5", "EUR"): Decimal("10.00")}


def test_second_payment_under_another_key_is_refused():
    fee = a_measure("e-5", Action.FEE, TAKEN, taken=money("10.00"))
    state = systems(fee)
    obey(state, fee, a_directive(fee, TAKEN, amount=money("10.00"), key="k-1"))
    answer = obey(state, fee, a_directive(fee, TAKEN, amount=money("10.00"), key="k-2"))
    assert answer.status is AckStatus.FAILED_PERMANENT
    assert state.totals() == {"EUR": (Decimal("10.00"), Decimal("10.00"))}


def test_hold_pays_out_when_it_ends_and_a_later_release_finds_that_done():
    hold = a_measure("e-6", Action.PAYOUT_HOLD, HELD, taken=money("70.00"), ends_at=Millis(T0 + DAY))
    state = systems(hold)
    assert state.view(USER, T0 + DAY - 1).money == {("e-6", "EUR"): Decimal("70.00")}
    assert state.view(USER, T0 + DAY) == View()
    answer = obey(state, hold, a_directive(hold, HELD, amount=money("70.00")), at=T0 + DAY)
    assert answer == Answer(AckStatus.APPLIED, amount=money("70.00"))
    assert state.totals() == {"EUR": (Decimal("70.00"), Decimal("70.00"))}


def test_lift_pays_out_a_hold_and_returns_of_taken_money_what_it_says():
    hold = a_measure("e-6", Action.PAYOUT_HOLD, HELD, taken=money("70.00"))
    fee = a_measure("e-5", Action.FEE, TAKEN, taken=money("10.00"), strikes=1)
    state = systems(hold, fee)
    state.hear(a_lift(T0 + HOUR, "e-6"), T0 + HOUR)
    state.hear(a_lift(T0 + HOUR, "e-5", amount_returned=money("3.00")), T0 + HOUR)
    state.hear(a_lift(T0 + HOUR, "e-5", amount_returned=money("3.00")), T0 + HOUR)
    assert state.view(USER, T0 + HOUR).money == {("e-5", "EUR"): Decimal("7.00")}


def test_new_version_takes_only_what_was_not_given_back():
    fee = a_measure("e-5", Action.FEE, TAKEN, taken=money("10.00"))
    state = systems(fee)
    obey(state, fee, a_directive(fee, TAKEN, amount=money("4.00")))
    again = {"enforcement_id": "e-5", "action": Action.FEE, "effects": fee.effects, "target": fee.target}
    state.hear(an_amendment(T0 + HOUR, 2, **again), T0 + HOUR)
    assert state.view(USER, T0).money == {("e-5", "EUR"): Decimal("6.00")}


def test_expunging_keeps_exactly_so_many_and_never_adds_any():
    state = systems(SUSPENSION)
    assert obey(state, SUSPENSION, a_directive(SUSPENSION, EffectKind.STRIKES, strikes_kept=1)) == Answer(
        AckStatus.APPLIED
    )
    assert state.view(USER, T0).strikes == {("sys-strikes", "e-1"): 1}
    more = a_directive(SUSPENSION, EffectKind.STRIKES, 2, strikes_kept=2)
    assert obey(state, SUSPENSION, more).status is AckStatus.ALREADY_APPLIED
    assert state.view(USER, T0).strikes == {("sys-strikes", "e-1"): 1}


def test_strikes_of_a_later_version_are_not_expunged_for_an_earlier_one():
    state = systems(SUSPENSION)
    later = an_amendment(
        T0 + HOUR, 2, enforcement_id="e-1", effects=SUSPENSION.effects, target=SUSPENSION.target, strikes=1
    )
    state.hear(later, T0 + HOUR)
    answer = obey(state, SUSPENSION, a_directive(SUSPENSION, EffectKind.STRIKES, strikes_kept=0))
    assert answer.status is AckStatus.ALREADY_APPLIED
    assert state.view(USER, T0).strikes == {("sys-strikes", "e-1"): 1}


@pytest.mark.parametrize(
    "change",
    [
        {"effect_id": "e-1-other"},
        {"target": ACCOUNT.__class__(kind=TargetKind.LISTING, id="l-1")},
        {"system": "elsewhere"},
        {"operation": Operation.REPAY},
    ],
)
def test_what_is_unknown_is_refused_and_nothing_changes(change):
    state = systems(SUSPENSION)
    before = state.view(USER, T0)
    answer = obey(state, SUSPENSION, a_directive(SUSPENSION, STATUS, **change))
    assert answer.status is AckStatus.FAILED_PERMANENT
    assert answer.detail
    assert state.view(USER, T0) == before


def test_what_was_refused_may_be_tried_again_and_people_settle_what_is_left():
    fee = a_measure("e-5", Action.FEE, TAKEN, taken=money("10.00"))
    state = systems(fee)
    state.hear(a_lift(T0 + HOUR, "e-5", amount_returned=money("3.00")), T0 + HOUR)
    directive = a_directive(fee, TAKEN, amount=money("10.00"))
    assert obey(state, fee, directive).status is AckStatus.FAILED_PERMANENT
    state.settle(directive, an_order(fee, directive), T0)
    assert state.view(USER, T0).money == {}
    assert state.totals() == {"EUR": (Decimal("10.00"), Decimal("10.00"))}
    assert obey(state, fee, directive).status is AckStatus.ALREADY_APPLIED


def test_later_judgement_of_a_hidden_measure_is_not_undone_by_an_earlier_one():
    state = systems(SUSPENSION, BAN)
    covered = [a_restriction(BAN)]
    obey(state, SUSPENSION, a_directive(SUSPENSION, STATUS, 9, state=covered))
    milder = Lesser(action=Action.SUSPENSION, ends_at=Millis(T0 + DAY))
    obey(state, SUSPENSION, a_directive(SUSPENSION, STATUS, 3, state=covered), lesser=milder)
    obey(state, BAN, a_directive(BAN, STATUS, 12, key="b", state=covered))
    state.hear(a_lift(T0 + HOUR, "e-2"), T0 + HOUR)
    assert restricting(state) == {}
