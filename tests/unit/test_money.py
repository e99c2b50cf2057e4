"""Money is exact to the digit of its currency: never given back twice, never more than was taken, nothing converted."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.errors import ImpossibleInputError
from processors.lesser import not_lesser
from processors.money import digits, money_due, taken_still
from processors.on_file import FiledLesser, Sum
from processors.reasons import Change
from schemas.records import EnforcementId, Lesser, Millis, Money
from schemas.vocabulary import Action, CaseEventKind, EffectKind, Operation, Outcome
from tests.unit.builders import (
    DAY,
    HOUR,
    MINUTE,
    T0,
    Life,
    a_claim,
    a_decision,
    a_lift,
    a_rulebook,
    after,
    an_appeal,
    an_effect,
    an_enforcement,
    euros,
)

TAKEN, HELD, STRIKES = EffectKind.MONEY_TAKEN, EffectKind.PAYOUT_STATUS, EffectKind.STRIKES
ALONE = a_rulebook(second_review=None, evidence=[], automation=[])
E_1 = EnforcementId("e-1")


def money(value: str, currency: str = "EUR") -> Money:
    return Money(value=Decimal(value), currency=currency)


def modified(lesser: Lesser, *later: Any, **enforcement: Any) -> Life:
    """The appeal was decided as `modified` to this."""
    life = after(an_enforcement(**enforcement), an_appeal(), *later, rulebook=ALONE)
    life.send(a_claim(T0 + HOUR + MINUTE))
    life.send(a_decision(T0 + HOUR + MINUTE, Outcome.MODIFIED, lesser=lesser))
    return life


def moved(life: Life) -> dict[str, str]:
    """By effect, what the orders move, summed."""
    totals: dict[str, Decimal] = {}
    keys: set[str] = set()
    for order in life.orders():
        for directive in order.directives:
            if directive.amount is not None and directive.idempotency_key not in keys:
                keys.add(directive.idempotency_key)
                totals[directive.effect_id] = totals.get(directive.effect_id, Decimal(0)) + directive.amount.value
    return {effect_id: str(value) for effect_id, value in totals.items()}


def two_fees(**change: Any) -> dict[str, Any]:
    effects = [
        an_effect(TAKEN, effect_id="f-1", amount=euros("30.00")),
        an_effect(TAKEN, effect_id="f-2", amount=euros("12.50")),
    ]
    return {"action": Action.PAYOUT_LOSS, "effects": effects, **change}


# --- digits -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("currency", "most"), [("EUR", 2), ("JPY", 0), ("KWD", 3), ("CLF", 4), ("XYZ", 2)])
def test_currency_has_the_digits_of_iso_4217(currency: str, most: int) -> None:
    assert digits(currency) == most


@pytest.mark.parametrize(
    "enforcement",
    [
        {"amount": money("1.005")},
        {"amount": money("0.5", "JPY")},
        {"effects": [an_effect(TAKEN, amount=money("1.0001"))]},
        {"effects": [an_effect(TAKEN, amount=money("-1"))]},
        {"amount": money("-0.01")},
    ],
)
def test_enforcement_with_an_amount_that_nobody_could_have_taken_is_not_filed(enforcement: dict[str, Any]) -> None:
    with pytest.raises(ImpossibleInputError):
        after(an_enforcement(**enforcement))


@pytest.mark.parametrize("amount", [money("1.0050", "KWD"), money("7", "JPY"), money("7.0000", "JPY"), money("0")])
def test_amount_is_judged_by_its_value_not_by_how_it_is_written(amount: Money) -> None:
    assert after(an_enforcement(amount=amount)).dossier.enforcements[E_1].amount == Sum(amount.value, amount.currency)


# --- partial repayment ------------------------------------------------------------------------------------------


def test_modified_gives_back_what_does_not_stay_the_last_effect_keeping_first() -> None:
    life = modified(Lesser(action=Action.FEE, amount=euros("20.00")), **two_fees())
    assert moved(life) == {"f-1": "22.50"}
    life = modified(Lesser(action=Action.FEE, amount=euros("5.00")), **two_fees())
    assert moved(life) == {"f-1": "30.00", "f-2": "7.50"}


def test_modified_without_an_amount_gives_all_of_it_back() -> None:
    assert moved(modified(Lesser(action=Action.WARNING), **two_fees())) == {"f-1": "30.00", "f-2": "12.50"}


def test_what_the_enforcing_side_returned_comes_off_before_what_stays() -> None:
    life = modified(
        Lesser(action=Action.FEE, amount=euros("20.00")),
        a_lift(T0 + HOUR, amount_returned=euros("12.50"), strikes_expunged=False),
        **two_fees(strikes=1),
    )
    assert moved(life) == {"f-1": "10.00"}


def test_other_currencies_than_what_stays_go_back_whole() -> None:
    effects = [
        an_effect(TAKEN, effect_id="f-1", amount=euros("30.00")),
        an_effect(TAKEN, effect_id="f-2", amount=money("9", "USD")),
    ]
    life = modified(Lesser(action=Action.FEE, amount=euros("30.00")), action=Action.PAYOUT_LOSS, effects=effects)
    assert moved(life) == {"f-2": "9"}


def test_hold_that_is_shortened_moves_no_money_but_its_end() -> None:
    end = Millis(T0 + 5 * DAY)
    life = modified(
        Lesser(action=Action.PAYOUT_HOLD, amount=euros("30.00"), ends_at=end),
        action=Action.PAYOUT_HOLD,
        ends_at=Millis(T0 + 30 * DAY),
        effects=[an_effect(HELD, amount=euros("30.00"))],
    )
    [directive] = life.orders()[0].directives
    assert (directive.operation, directive.amount) == (Operation.RESTORE, None)
    assert [(held.action, held.ends_at) for held in directive.state] == [(Action.PAYOUT_HOLD, end)]


def test_modified_then_overturned_by_a_later_version_gives_back_the_rest_and_no_more() -> None:
    life = modified(Lesser(action=Action.FEE, amount=euros("20.00")), **two_fees())
    e = life.dossier.enforcements[E_1]
    assert {key: str(s.value) for key, s in money_due(e).items()} == {"f-1": "7.50", "f-2": "12.50"}
    assert taken_still(e) == {"EUR": Decimal("20.00")}


# --- what a decision may leave ----------------------------------------------------------------------------------


def test_modified_keeps_the_lesser_action_in_force_and_on_the_record() -> None:
    end = Millis(T0 + 9 * DAY)
    life = modified(
        Lesser(action=Action.FEATURE_RESTRICTION, ends_at=end, scope=["DE"], strikes=1),
        action=Action.BAN,
        effects=[an_effect(), an_effect(EffectKind.FEATURE_STATUS), an_effect(STRIKES)],
        strikes=3,
    )
    order = life.orders()[0]
    account, feature, strikes = order.directives
    assert (order.outcome, order.strikes_expunged, order.strikes_left) == (Outcome.MODIFIED, 2, 1)
    assert order.lesser == Lesser(action=Action.FEATURE_RESTRICTION, ends_at=end, scope=["DE"], strikes=1)
    assert account.state == []
    assert [(held.action, held.territory, held.ends_at) for held in feature.state] == [
        (Action.FEATURE_RESTRICTION, "DE", end)
    ]
    assert (strikes.operation, strikes.strikes_kept) == (Operation.EXPUNGE, 1)


def test_modified_enforcement_survives_in_its_lesser_form_for_others() -> None:
    life = modified(Lesser(action=Action.SUSPENSION, ends_at=Millis(T0 + 9 * DAY)), action=Action.BAN)
    life.send(an_enforcement(T0, enforcement_id=EnforcementId("e-2")))
    life.send(an_appeal(life.now, appeal_id="a-2", enforcement_id=EnforcementId("e-2")))
    life.send(a_claim(life.now, actor="r-2", appeal_id="a-2"))
    life.send(a_decision(life.now, actor="r-2", appeal_id="a-2"))
    assert [(held.action, held.ends_at) for held in life.orders()[-1].directives[0].state] == [
        (Action.SUSPENSION, T0 + 9 * DAY)
    ]


def test_modified_is_final_for_its_version_and_counts_for_the_user_but_not_against_the_detector() -> None:
    life = modified(Lesser(action=Action.WARNING))
    assert (life.dossier.counts.overturned, life.dossier.tallies["fake-finder"].overturned) == (1, 0)
    assert life.dossier.immunities == []
    life.send(an_appeal(life.now, appeal_id="a-2"))
    assert life.lines()[-1].reason == "appeal_to_appeal"


@pytest.mark.parametrize(
    ("lesser", "fault"),
    [
        (FiledLesser(Action.BAN, None, [], None, 0), "ban is not milder than suspension"),
        (FiledLesser(Action.SUSPENSION, Millis(T0 + 10 * DAY), ["DE"], Sum(Decimal(30), "EUR"), 2), "not less"),
        (FiledLesser(Action.SUSPENSION, None, ["DE"], None, 0), "ends later"),
        (FiledLesser(Action.SUSPENSION, Millis(T0 + 11 * DAY), ["DE"], None, 0), "ends later"),
        (FiledLesser(Action.CONTENT_LABEL, Millis(T0 + DAY), [], None, 0), "reaches beyond DE"),
        (FiledLesser(Action.CONTENT_LABEL, Millis(T0 + DAY), ["DE", "AT"], None, 0), "reaches beyond DE"),
        (FiledLesser(Action.WARNING, None, [], None, 3), "leaves 3 strikes of 2"),
        (FiledLesser(Action.WARNING, None, [], Sum(Decimal(1), "EUR"), 0), "warning keeps no money"),
        (FiledLesser(Action.FEE, None, [], Sum(Decimal(31), "EUR"), 0), "only 30.00 EUR"),
        (FiledLesser(Action.FEE, None, [], Sum(Decimal(1), "USD"), 0), "in USD"),
        (FiledLesser(Action.FEE, None, [], Sum(Decimal("0.005"), "EUR"), 0), "no amount that can be paid"),
        (FiledLesser(Action.WARNING, None, [], None, 2), None),
        (FiledLesser(Action.SUSPENSION, Millis(T0 + 9 * DAY), ["DE"], None, 2), None),
        (FiledLesser(Action.SUSPENSION, Millis(T0 + 10 * DAY), ["DE"], None, 2), None),
        (FiledLesser(Action.FEE, None, [], Sum(Decimal(30), "EUR"), 2), None),
    ],
)
def test_what_a_decision_leaves_is_milder_and_in_no_respect_harder(lesser: FiledLesser, fault: str | None) -> None:
    e = after(
        an_enforcement(
            ends_at=Millis(T0 + 10 * DAY),
            scope=["DE"],
            strikes=2,
            effects=[an_effect(), an_effect(TAKEN, amount=euros("30.00"))],
        )
    ).dossier.enforcements[E_1]
    found = not_lesser(lesser, e)
    assert (found is None) if fault is None else fault in (found or "")


# --- the enforcing side's word ----------------------------------------------------------------------------------


def test_return_in_a_currency_in_which_nothing_was_taken_is_said_and_counts_for_nothing() -> None:
    life = after(an_enforcement(**two_fees(strikes=1)), a_lift(T0 + HOUR, amount_returned=money("5", "USD")))
    [line] = life.lines(CaseEventKind.ENFORCEMENT_CHANGED)
    assert line.reason == Change.RETURNED_IN_ANOTHER_CURRENCY
    assert taken_still(life.dossier.enforcements[E_1]) == {"EUR": Decimal("42.50")}


# --- always -----------------------------------------------------------------------------------------------------

cents = st.integers(0, 5_000).map(lambda n: Decimal(n) / 100)


@given(
    taken=st.lists(st.tuples(cents, st.sampled_from(["EUR", "USD"])), max_size=4),
    lid=st.none() | cents,
    returned=st.none() | st.tuples(cents, st.sampled_from(["EUR", "USD"])),
    kept=st.none() | cents,
)
def test_what_goes_back_and_what_stays_never_exceed_what_was_taken(
    taken: list[tuple[Decimal, str]],
    lid: Decimal | None,
    returned: tuple[Decimal, str] | None,
    kept: Decimal | None,
) -> None:
    effects = [
        an_effect(TAKEN, effect_id=f"f-{n}", amount=Money(value=value, currency=currency))
        for n, (value, currency) in enumerate(taken)
    ]
    life = after(
        an_enforcement(effects=effects, amount=None if lid is None else Money(value=lid, currency="EUR"), strikes=1)
    )
    if returned is not None:
        life.send(a_lift(T0 + HOUR, amount_returned=Money(value=returned[0], currency=returned[1])))
    e = life.dossier.enforcements[E_1]
    stays = None if kept is None else Sum(kept, "EUR")
    due = money_due(e, stays)
    for currency in ("EUR", "USD"):
        all_taken = sum((value for value, c in taken if c == currency), Decimal(0))
        bound = all_taken if lid is None or currency != "EUR" else min(all_taken, lid)
        bound -= min(bound, returned[0] if returned is not None and returned[1] == currency else Decimal(0))
        back = sum((s.value for s in due.values() if s.currency == currency), Decimal(0))
        whole = taken_still(e).get(currency, Decimal(0))
        assert whole <= bound or (lid is not None and whole <= all_taken)
        assert back == whole - (min(kept, whole) if kept is not None and currency == "EUR" else 0)
        assert all(s.value > 0 for s in due.values())
