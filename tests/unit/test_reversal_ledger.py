"""The ledger balances: whatever lies on the topics, in whatever order, once or twice; and what does not is named."""

import subprocess
import sys
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.records import (
    CaseEvent,
    CaseId,
    Directive,
    DirectiveAcked,
    Effect,
    EnforcementAmended,
    EnforcementId,
    EnforcementIssued,
    EnforcementLifted,
    Millis,
    Money,
    Record,
    ReversalOrdered,
    Target,
    UserId,
)
from schemas.vocabulary import (
    AckStatus,
    Action,
    CaseEventKind,
    EffectKind,
    Operation,
    Outcome,
    TargetKind,
)
from tests.unit.builders import DAY, T0, a_lift, an_amendment, an_effect, an_enforcement
from topology.reversals.ledger import Account, Books, FaultKind, Ledger, Sums

Topic = list[Record]
BY_HAND = {CaseEventKind.DIRECTIVE_RESOLVED, CaseEventKind.REVERSAL_RETRIED}
TARGET = Target(kind=TargetKind.PAYOUT, id="po-1")


def money(value: str | Decimal, currency: str = "EUR") -> Money:
    return Money(value=Decimal(value), currency=currency)


def taken(value: str | Decimal | None, effect_id: str = "ef-1", currency: str = "EUR", **change: Any) -> Effect:
    amount = None if value is None else money(value, currency)
    return an_effect(EffectKind.MONEY_TAKEN, effect_id=effect_id, amount=amount, **change)


def a_fee(*effects: Effect, **change: Any) -> EnforcementIssued:
    return an_enforcement(action=Action.FEE, effects=list(effects), **change)


def an_order(*directives: tuple[str, str, Money | None], **change: Any) -> ReversalOrdered:
    """`directives` as (directive id, effect id, amount)."""
    base = {
        "reversal_id": "r-1",
        "user_id": UserId("u-1"),
        "case_id": CaseId("c-1"),
        "enforcement_id": EnforcementId("e-1"),
        "enforcement_version": 1,
        "ordered_at": Millis(T0 + DAY),
        "attempt": 1,
        "outcome": Outcome.OVERTURNED,
        "strikes_expunged": 0,
        "directives": [
            Directive(
                directive_id=directive_id,
                system="payments",
                operation=Operation.REPAY,
                target=TARGET,
                effect_id=effect_id,
                amount=amount,
                idempotency_key=directive_id,
            )
            for directive_id, effect_id, amount in directives
        ],
    }
    return ReversalOrdered(**{**base, **change})


def a_line(directive_id: str, kind: CaseEventKind = CaseEventKind.DIRECTIVE_APPLIED, seq: int = 1) -> CaseEvent:
    return CaseEvent(
        event_id=f"line-{directive_id}-{kind}",
        user_id=UserId("u-1"),
        seq=seq,
        occurred_at=Millis(T0 + DAY),
        kind=kind,
        cause_id=f"ack-{directive_id}",
        saw={"reversal_id": "r-1", "directives" if kind in BY_HAND else "directive_id": directive_id},
        rulebook_digest="d",
    )


def an_answer(directive_id: str, amount: Money | None, event_id: str = "ack-1") -> DirectiveAcked:
    return DirectiveAcked(
        event_id=event_id,
        user_id=UserId("u-1"),
        reversal_id="r-1",
        directive_id=directive_id,
        system="payments",
        status=AckStatus.APPLIED,
        occurred_at=Millis(T0 + DAY),
        amount=amount,
    )


def booked(*records: Record) -> Ledger:
    books = Books()
    for record in records:
        books.add(record)
    return books.balance()


def only_line(ledger: Ledger) -> Sums:
    [sums] = ledger.accounts.values()
    return sums


def told(ledger: Ledger) -> list[tuple[FaultKind, str | None, tuple[str, ...], Decimal]]:
    return [(f.kind, f.effect_id, f.directive_ids, f.amount) for f in ledger.faults]


# --- what is booked where ---------------------------------------------------------------------------------------


def test_money_goes_from_taken_over_ordered_to_confirmed() -> None:
    ordered = booked(a_fee(taken("10.00")), an_order(("d-1", "ef-1", money("4.00"))))
    assert only_line(ordered) == Sums(Decimal(10), Decimal(0), Decimal(4), Decimal(0))
    assert (only_line(ordered).to_come, only_line(ordered).kept) == (Decimal(4), Decimal(6))
    confirmed = booked(a_fee(taken("10.00")), an_order(("d-1", "ef-1", money("4.00"))), a_line("d-1"))
    assert (only_line(confirmed).confirmed, only_line(confirmed).to_come) == (Decimal(4), Decimal(0))
    assert not ordered.faults
    assert not confirmed.faults


def test_what_an_operator_vouches_for_is_confirmed_and_what_failed_is_not() -> None:
    records = [a_fee(taken("10.00")), an_order(("d-1", "ef-1", money("4.00")))]
    resolved = booked(*records, a_line("d-1", CaseEventKind.DIRECTIVE_RESOLVED))
    failed = booked(*records, a_line("d-1", CaseEventKind.DIRECTIVE_FAILED))
    assert only_line(resolved).confirmed == Decimal(4)
    assert only_line(failed).confirmed == Decimal(0)


def test_what_the_enforcing_side_gave_back_covers_what_no_directive_does() -> None:
    ledger = booked(
        a_fee(taken("10.00"), taken("5.00", "ef-2")),
        an_order(("d-1", "ef-1", money("10.00"))),
        a_lift(amount_returned=money("5.00")),
    )
    assert ledger.accounts[Account("u-1", "e-1", "ef-2", "EUR")].given_back == Decimal(5)
    assert ledger.totals() == {"EUR": Sums(Decimal(15), Decimal(5), Decimal(10))}
    assert not ledger.faults


def test_newest_version_says_what_is_taken() -> None:
    assert only_line(booked(a_fee(taken("10.00")), an_amendment(effects=[taken("6.00")]))).taken == Decimal(6)


def test_first_of_a_version_counts_as_for_the_engine() -> None:
    assert only_line(booked(a_fee(taken("10.00")), a_fee(taken("99.00")))).taken == Decimal(10)


def test_version_that_a_reversal_names_still_counts() -> None:
    ledger = booked(
        a_fee(taken("10.00")), an_order(("d-1", "ef-1", money("10.00"))), an_amendment(effects=[taken("6.00")])
    )
    assert only_line(ledger).taken == Decimal(10)
    assert not ledger.faults


def test_version_that_a_lift_with_money_came_upon_still_counts() -> None:
    ledger = booked(
        a_fee(taken("10.00")),
        a_lift(T0 + 1, amount_returned=money("10.00")),
        an_amendment(T0 + 2, effects=[taken("6.00")]),
    )
    assert only_line(ledger).taken == Decimal(10)
    assert not ledger.faults


def test_lifts_of_one_version_repeat_each_other() -> None:
    ledger = booked(
        a_fee(taken("10.00")),
        a_lift(amount_returned=money("4.00"), event_id="l-1"),
        a_lift(amount_returned=money("10.00"), event_id="l-2"),
    )
    assert only_line(ledger).given_back == Decimal(10)


def test_enforcements_own_amount_is_a_lid_on_its_effects() -> None:
    ledger = booked(a_fee(taken("10.00"), taken(None, "ef-2"), amount=money("12.00")))
    assert [sums.taken for sums in ledger.accounts.values()] == [Decimal(10), Decimal(2)]


def test_fee_without_effects_is_taken_as_a_whole() -> None:
    ledger = booked(a_fee(amount=money("3.00")), a_lift(amount_returned=money("1.00")))
    assert ledger.accounts == {Account("u-1", "e-1", "", "EUR"): Sums(Decimal(3), Decimal(1))}


def test_redelivered_order_is_one_order() -> None:
    order = an_order(("d-1", "ef-1", money("10.00")))
    again = an_order(("d-1", "ef-1", money("10.00")), attempt=2)
    assert only_line(booked(a_fee(taken("10.00")), order, again)).ordered == Decimal(10)


# --- what does not balance --------------------------------------------------------------------------------------


def test_two_directives_for_the_same_money_are_named() -> None:
    ledger = booked(
        a_fee(taken("10.00")),
        an_order(("d-1", "ef-1", money("10.00"))),
        an_order(("d-2", "ef-1", money("10.00")), reversal_id="r-2"),
    )
    assert told(ledger) == [(FaultKind.MORE_THAN_TAKEN, "ef-1", ("d-1", "d-2"), Decimal(10))]
    assert only_line(ledger).kept == Decimal(0)


def test_money_given_back_after_it_was_ordered_back_is_named() -> None:
    ledger = booked(
        a_fee(taken("10.00")), an_order(("d-1", "ef-1", money("10.00"))), a_lift(amount_returned=money("10.00"))
    )
    assert told(ledger) == [(FaultKind.MORE_THAN_TAKEN, None, ("d-1",), Decimal(10))]


def test_other_currency_than_taken_is_named() -> None:
    ledger = booked(a_fee(taken("10.00")), an_order(("d-1", "ef-1", money("10.00", "USD"))))
    assert told(ledger) == [(FaultKind.OTHER_CURRENCY, "ef-1", ("d-1",), Decimal(10))]
    assert "EUR, not in USD" in ledger.faults[0].text


def test_directive_of_an_enforcement_that_took_nothing_is_named() -> None:
    ledger = booked(an_order(("d-1", "ef-1", money("0.01"))))
    assert told(ledger) == [(FaultKind.MORE_THAN_TAKEN, "ef-1", ("d-1",), Decimal("0.01"))]


def test_directive_with_two_amounts_is_named_and_the_larger_counts() -> None:
    ledger = booked(
        a_fee(taken("10.00")),
        an_order(("d-1", "ef-1", money("4.00"))),
        an_order(("d-1", "ef-1", money("5.00")), attempt=2),
    )
    assert told(ledger) == [(FaultKind.TWO_AMOUNTS, "ef-1", ("d-1",), Decimal(1))]
    assert only_line(ledger).ordered == Decimal(5)


def test_system_that_moved_another_amount_is_named_until_that_is_put_right() -> None:
    records = [a_fee(taken("10.00")), an_order(("d-1", "ef-1", money("10.00"))), an_answer("d-1", money("9.00"))]
    assert told(booked(*records)) == [(FaultKind.MOVED_OTHERWISE, "ef-1", ("d-1",), Decimal(9))]
    assert not booked(*records, a_line("d-1", CaseEventKind.DIRECTIVE_RESOLVED)).faults
    assert not booked(*records[:2], an_answer("d-1", money("10.0"))).faults


def test_amounts_stay_exact_whatever_their_size() -> None:
    many = [a_fee(taken("99999999999999.9999"), user_id=UserId(f"u-{n}")) for n in range(1_000)]
    tiny = a_fee(taken("0.0001"), user_id=UserId("u-tiny"))
    assert booked(*many, tiny).totals()["EUR"].taken == Decimal("99999999999999999.9000") + Decimal("0.0001")


# --- whatever lies on the topics ---------------------------------------------------------------------------------

cents = st.integers(1, 5_000).map(lambda n: Decimal(n) / 100)
currencies = st.sampled_from(["EUR", "GBP"])
EFFECTS = ["ef-1", "ef-2"]


@st.composite
def enforcements(draw: st.DrawFn, enforcement_id: str, user_id: str) -> Topic:
    """Versions and lifts of one enforcement, in the order of the topic."""
    who: dict[str, Any] = {"enforcement_id": EnforcementId(enforcement_id), "user_id": UserId(user_id)}
    found: Topic = []
    for version in range(1, draw(st.integers(1, 3)) + 1):
        effects = [taken(draw(st.none() | cents), e, draw(currencies)) for e in EFFECTS if draw(st.booleans())]
        amount = draw(st.none() | st.builds(money, cents, currencies))
        content = {**who, "effects": effects, "amount": amount, "action": Action.FEE, "version": version}
        found.append(an_enforcement(T0, **content) if version == 1 else an_amendment(T0 + version * 100, **content))
        if draw(st.booleans()):
            back = draw(st.none() | st.builds(money, cents, currencies))
            found.append(a_lift(T0 + version * 100 + draw(st.integers(-150, 99)), amount_returned=back, **who))
    return found


@st.composite
def any_topics(draw: st.DrawFn) -> list[Topic]:
    """Whatever could lie on the four topics, sense or not."""
    issued: Topic = []
    orders: Topic = []
    lines: Topic = []
    answers: Topic = []
    for n in range(draw(st.integers(1, 3))):
        enforcement_id, user_id = f"e-{n}", f"u-{n % 2}"
        issued += draw(enforcements(enforcement_id, user_id))
        for number in range(draw(st.integers(0, 4))):
            directive_id = f"d-{n}-{draw(st.integers(0, 2))}"
            amount = draw(st.none() | st.builds(money, cents, currencies))
            who: dict[str, Any] = {"enforcement_id": EnforcementId(enforcement_id), "user_id": UserId(user_id)}
            effect_id = draw(st.sampled_from(EFFECTS))
            orders.append(an_order((directive_id, effect_id, amount), enforcement_version=number % 3 + 1, **who))
            if draw(st.booleans()):
                lines.append(a_line(directive_id, draw(st.sampled_from(list(CaseEventKind)))))
            if draw(st.booleans()):
                answers.append(an_answer(directive_id, draw(st.none() | st.builds(money, cents, currencies))))
    return [issued, orders, lines, answers]


@st.composite
def woven(draw: st.DrawFn, topics: list[Topic]) -> Topic:
    """One order in which a reader can meet the records: each topic's own is kept, some come twice."""
    left = [list(topic) for topic in topics if topic]
    found: Topic = []
    while left:
        topic = draw(st.sampled_from(left))
        found.append(topic.pop(0))
        left = [one for one in left if one]
        if draw(st.booleans()):
            found.append(draw(st.sampled_from(found)))
    return found


def lines_of(ledger: Ledger) -> Iterable[Sums]:
    yield from ledger.accounts.values()
    yield from ledger.by_user().values()
    yield from ledger.totals().values()


@given(any_topics())
def test_every_line_balances_and_nothing_is_negative(topics: list[Topic]) -> None:
    ledger = booked(*(record for topic in topics for record in topic))
    for sums in lines_of(ledger):
        assert sums.taken + sums.too_much == sums.given_back + sums.ordered + sums.kept
        assert sums.ordered == sums.confirmed + sums.to_come
        parts = (sums.taken, sums.given_back, sums.ordered, sums.confirmed, sums.too_much, sums.kept, sums.to_come)
        assert min(parts) >= 0
    assert bool(ledger.faults) >= any(sums.too_much for sums in ledger.accounts.values())


@given(any_topics())
def test_users_add_up_to_the_totals_and_nothing_ordered_or_given_back_is_lost(topics: list[Topic]) -> None:
    ledger = booked(*(record for topic in topics for record in topic))
    for currency, total in ledger.totals().items():
        found = Sums()
        for (_, of), sums in ledger.by_user().items():
            found = found.plus(sums) if of == currency else found
        assert found == total
    amounts: dict[str, Money] = {}
    for record in topics[1]:
        assert isinstance(record, ReversalOrdered)
        for d in record.directives:
            if d.amount is not None:
                known = amounts.get(d.directive_id, d.amount)
                amounts[d.directive_id] = max(known, d.amount, key=lambda m: (m.value, m.currency))
    assert sum(t.ordered for t in ledger.totals().values()) == sum(m.value for m in amounts.values())


@given(st.data())
def test_order_across_topics_and_duplicates_do_not_matter(data: st.DataObject) -> None:
    topics = data.draw(any_topics())
    straight = booked(*(record for topic in topics for record in topic))
    assert booked(*data.draw(woven(topics))) == straight


@given(st.data())
def test_who_never_orders_more_back_than_is_left_is_told_nothing(data: st.DataObject) -> None:
    issued = data.draw(enforcements("e-1", "u-1"))
    newest = max((r for r in issued if not isinstance(r, EnforcementLifted)), key=lambda r: r.version)  # type: ignore[attr-defined]
    assert isinstance(newest, EnforcementIssued | EnforcementAmended)
    before = booked(newest)
    orders: Topic = []
    for n, (account, sums) in enumerate(before.accounts.items()):
        share = data.draw(st.integers(0, 100)) * sums.taken / 100
        directive = (f"d-{n}", account.effect_id or "ef-9", money(share, account.currency))
        orders.append(an_order(directive, enforcement_version=newest.version))
    assert not booked(newest, *orders).faults


def test_ledger_does_not_rest_on_the_decision_logic() -> None:
    code = "import sys, topology.reversals.ledger; print([m for m in sys.modules if m.startswith('processors')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(("chosen", "left"), [({"user_id": "u-2"}, 1), ({"currency": "EUR"}, 1), ({}, 2)])
def test_ledger_of_one_user_or_currency_has_no_other_line(chosen: dict[str, str], left: int) -> None:
    orders = [an_order(("d-1", "ef-1", money("2.00"))), an_order(("d-2", "ef-1", money("2.00", "GBP")), user_id="u-2")]
    ledger = booked(*orders).only(**chosen)
    assert (len(ledger.accounts), len(ledger.faults)) == (left, left)
