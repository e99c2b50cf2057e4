"""A wrongful enforcement is really undone: recomputed, exact to the cent, and asked for until it is done."""

from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.directives import OPERATIONS
from processors.errors import UnknownSymbolError
from processors.ids import uuid5
from schemas.records import EnforcementId, InputRecord, Money, ReversalOrdered, Target
from schemas.vocabulary import AckStatus, Action, CaseEventKind, EffectKind, NoticeKind, Operation, Outcome, TargetKind
from tests.unit.builders import (
    DAY,
    HOUR,
    MINUTE,
    RULEBOOK,
    T0,
    Life,
    a_claim,
    a_decision,
    a_lift,
    after,
    an_ack,
    an_amendment,
    an_appeal,
    an_effect,
    an_enforcement,
    decided,
    euros,
)

TAKEN = EffectKind.MONEY_TAKEN
HELD = EffectKind.PAYOUT_STATUS
LISTING = Target(kind=TargetKind.LISTING, id="l-1")
TRIES = len(RULEBOOK.tables.retry_waits_ms)


def other(enforcement_id: str, **change: Any) -> InputRecord:
    return an_enforcement(enforcement_id=EnforcementId(enforcement_id), **change)


def order_of(life: Life) -> ReversalOrdered:
    return life.orders()[-1]


def surviving(life: Life) -> list[str]:
    return [s.enforcement_id for s in order_of(life).directives[0].surviving]


def repaid(life: Life) -> list[str]:
    return [str(d.amount.value) for o in life.orders() for d in o.directives if d.amount is not None]


def appeal_again(life: Life, number: int, at: int) -> None:
    """Another appeal, claimed by another reviewer and overturned."""
    life.send(an_appeal(appeal_id=f"again-{number}", at=at))
    life.send(a_claim(at, actor=f"q-{number}", appeal_id=f"again-{number}"))
    life.send(a_decision(at, actor=f"q-{number}", appeal_id=f"again-{number}"))


def test_each_effect_gets_one_directive_to_its_system() -> None:
    effects = [an_effect(kind) for kind in EffectKind if kind not in (EffectKind.UNKNOWN, TAKEN)]
    life = decided(effects=[*effects, an_effect(TAKEN, amount=euros("3"))], strikes=1)
    directives = order_of(life).directives
    assert [d.effect_id for d in directives] == [e.effect_id for e in [*effects, an_effect(TAKEN)]]
    assert [d.operation for d in directives] == [OPERATIONS[e.kind] for e in [*effects, an_effect(TAKEN)]]
    assert [d.system for d in directives] == [e.system for e in [*effects, an_effect(TAKEN)]]
    assert order_of(life).strikes_expunged == 1


def test_every_kind_of_effect_has_an_operation() -> None:
    assert set(OPERATIONS) == set(EffectKind) - {EffectKind.UNKNOWN}
    assert Operation.UNKNOWN not in OPERATIONS.values()


def test_overturning_one_of_two_suspensions_keeps_the_other() -> None:
    life = decided(Outcome.OVERTURNED, other("e-2", ends_at=T0 + 30 * DAY, scope=["EU"]))
    [survivor] = order_of(life).directives[0].surviving
    assert (survivor.enforcement_id, survivor.action) == ("e-2", Action.SUSPENSION)
    assert (survivor.ends_at, survivor.scope) == (T0 + 30 * DAY, ["EU"])


@pytest.mark.parametrize(
    "gone", [[a_lift(at=T0 + 1, enforcement_id="e-2")], [an_amendment(at=T0 + 1, enforcement_id="e-2", ends_at=T0 + 2)]]
)
def test_lifted_and_ended_enforcements_do_not_survive(gone: list[InputRecord]) -> None:
    assert surviving(decided(Outcome.OVERTURNED, other("e-2"), *gone)) == []


def test_account_wide_restrictions_survive_on_everything_but_a_warning_does_not() -> None:
    life = decided(
        Outcome.OVERTURNED,
        other("e-ban", action=Action.BAN),
        other("e-warning", action=Action.WARNING),
        other("e-elsewhere", target=Target(kind=TargetKind.LISTING, id="l-2")),
        other("e-here", target=LISTING, action=Action.REDUCED_DISCOVERABILITY),
        target=LISTING,
        action=Action.CONTENT_REMOVAL,
    )
    assert surviving(life) == ["e-ban", "e-here"]


def test_overturned_enforcements_do_not_survive_each_other() -> None:
    life = decided(Outcome.OVERTURNED, other("e-2"))
    assert surviving(life) == ["e-2"]
    life.send(an_appeal(appeal_id="a-2", enforcement_id=EnforcementId("e-2"), at=T0 + 2 * HOUR + 2 * MINUTE))
    life.send(a_claim(T0 + 2 * HOUR + 2 * MINUTE, appeal_id="a-2", actor="r-2"))
    life.send(a_decision(T0 + 2 * HOUR + 2 * MINUTE, appeal_id="a-2", actor="r-2"))
    assert surviving(life) == []


def test_directive_sent_again_looks_at_the_survivors_afresh() -> None:
    life = decided()
    assert surviving(life) == []
    life.send(other("e-ban", at=T0 + 2 * HOUR + 2 * MINUTE, action=Action.BAN))
    life.wait_until(T0 + DAY)
    assert surviving(life) == ["e-ban"]


def test_money_goes_back_exactly() -> None:
    life = decided(effects=[an_effect(TAKEN, amount=euros("1234567890123.45"))])
    amount = order_of(life).directives[0].amount
    assert amount == Money(value=Decimal("1234567890123.45"), currency="EUR")


def test_amount_of_the_enforcement_stands_in_for_an_effect_without_one() -> None:
    assert repaid(decided(action=Action.FEE, amount=euros("12.50"), effects=[an_effect(TAKEN)])) == ["12.50"]


def test_never_more_goes_back_than_the_enforcement_took() -> None:
    effects = [an_effect(TAKEN, effect_id=f"m-{n}", amount=euros("60")) for n in range(3)]
    assert repaid(decided(amount=euros("100"), effects=effects)) == ["60", "40"]


def test_same_effect_listed_twice_goes_back_once() -> None:
    assert repaid(decided(effects=[an_effect(TAKEN, amount=euros("60"))] * 2)) == ["60"]


def test_what_the_lift_returned_is_not_paid_again() -> None:
    effects = [an_effect(TAKEN, effect_id=f"m-{n}", amount=euros("60")) for n in range(2)]
    life = after(an_enforcement(amount=euros("120"), effects=effects), an_appeal())
    life.send(a_lift(at=T0 + HOUR + 1, amount_returned=euros("70")))
    life.send(a_claim(T0 + HOUR + 2))
    life.send(a_decision(T0 + HOUR + 3))
    assert repaid(life) == ["50"]


def test_lift_delivered_twice_returns_its_amount_once() -> None:
    life = after(an_enforcement(effects=[an_effect(TAKEN, amount=euros("60"))]), an_appeal())
    for at in (1, 2):
        life.send(a_lift(at=T0 + HOUR + at, amount_returned=euros("20")))
    life.send(a_claim(T0 + HOUR + 3))
    life.send(a_decision(T0 + HOUR + 4))
    assert repaid(life) == ["40"]


def test_new_version_of_an_overturned_enforcement_does_not_pay_again() -> None:
    effects = [an_effect(TAKEN, amount=euros("60"))]
    life = decided(effects=effects)
    life.send(an_amendment(at=T0 + 3 * HOUR, effects=[*effects, an_effect(TAKEN, effect_id="new", amount=euros("5"))]))
    appeal_again(life, 1, T0 + 4 * HOUR)
    assert [d.effect_id for d in order_of(life).directives] == ["new"]
    assert repaid(life)[-1] == "5"


def test_new_version_that_takes_more_pays_the_difference() -> None:
    life = decided(effects=[an_effect(TAKEN, amount=euros("60"))])
    life.send(an_amendment(at=T0 + 3 * HOUR, effects=[an_effect(TAKEN, amount=euros("85"))]))
    appeal_again(life, 1, T0 + 4 * HOUR)
    assert repaid(life)[-1] == "25"


def test_amount_returned_by_a_lift_stays_returned_when_the_enforcement_stands_again() -> None:
    effects = [an_effect(TAKEN, amount=euros("60"))]
    life = after(an_enforcement(effects=effects), a_lift(at=T0 + 1, amount_returned=euros("60")))
    life.send(an_amendment(at=T0 + 2, effects=effects))
    life.send(an_appeal())
    life.send(a_claim(T0 + HOUR))
    life.send(a_decision(T0 + HOUR))
    assert repaid(life) == []


MONEY = st.decimals(0, 1_000, places=2).map(lambda value: euros(str(value)))


@given(
    versions=st.lists(
        st.tuples(
            st.lists(st.tuples(st.sampled_from([TAKEN, HELD]), st.sampled_from("abc"), MONEY), max_size=4),
            st.one_of(st.none(), MONEY),
            st.one_of(st.none(), MONEY),
        ),
        min_size=1,
        max_size=4,
    )
)
@settings(max_examples=120, deadline=None)
def test_over_all_versions_no_effect_gets_back_more_than_it_ever_took(versions: list[Any]) -> None:
    life = Life()
    most: dict[str, Decimal] = {}
    back: dict[str, Decimal] = {}
    for number, (taken, lid, returned) in enumerate(versions, start=1):
        at = T0 + number * DAY
        effects = [an_effect(kind, effect_id=key, amount=amount) for kind, key, amount in taken]
        first: dict[str, Money] = {}
        for effect in effects:
            if effect.amount is not None:
                first.setdefault(effect.effect_id, effect.amount)
        for key, amount in first.items():
            most[key] = max(most.get(key, Decimal(0)), amount.value)
        make = an_enforcement if number == 1 else an_amendment
        life.send(make(at=at, version=number, effects=effects, amount=lid, strikes=1))
        life.send(an_appeal(appeal_id=f"v-{number}", at=at + 1))
        if returned is not None:
            life.send(a_lift(at=at + 2, amount_returned=returned))
        life.send(a_claim(at + 3, actor=f"q-{number}", appeal_id=f"v-{number}"))
        before = len(life.orders())
        life.send(a_decision(at + 4, actor=f"q-{number}", appeal_id=f"v-{number}"))
        for order in life.orders()[before : before + 1]:
            paid = {d.effect_id: d.amount.value for d in order.directives if d.amount is not None}
            assert lid is None or sum(paid.values()) <= lid.value
            assert all(value > 0 for value in paid.values())
            for key, value in paid.items():
                back[key] = back.get(key, Decimal(0)) + value
    assert all(back[key] <= most[key] for key in back)


def test_strikes_that_the_lift_expunged_are_not_expunged_again() -> None:
    life = after(
        an_enforcement(strikes=2, effects=[an_effect(EffectKind.STRIKES), an_effect(TAKEN, amount=euros("1"))]),
        an_appeal(),
        a_lift(at=T0 + HOUR + 1, strikes_expunged=True),
    )
    life.send(a_claim(T0 + HOUR + 2))
    life.send(a_decision(T0 + HOUR + 3))
    assert order_of(life).strikes_expunged == 0
    assert [d.effect_id for d in order_of(life).directives] == ["ef-money_taken"]


def test_mild_action_without_effects_is_confirmed_at_once() -> None:
    life = decided(action=Action.WARNING, effects=[], strikes=1)
    assert (order_of(life).directives, order_of(life).strikes_expunged) == ([], 1)
    assert len(life.confirmations()) == 1
    assert life.kinds()[-4:] == [
        CaseEventKind.REVERSAL_ORDERED,
        CaseEventKind.IMMUNITY_GRANTED,
        CaseEventKind.REVERSAL_CONFIRMED,
        CaseEventKind.CASE_CLOSED,
    ]
    assert life.dossier.reversals == {}
    assert life.dossier.due is None


def test_upheld_decision_orders_nothing() -> None:
    assert decided(Outcome.UPHELD).orders() == []


def test_ids_and_keys_derive_from_reversal_and_effect() -> None:
    life = decided()
    [directive] = order_of(life).directives
    assert directive.directive_id == uuid5(f"directive\x1f{order_of(life).reversal_id}\x1fef-account_status")
    assert directive.idempotency_key == directive.directive_id


@pytest.mark.parametrize("status", [AckStatus.APPLIED, AckStatus.ALREADY_APPLIED])
def test_reversal_is_confirmed_only_when_every_directive_is_applied(status: AckStatus) -> None:
    life = decided(effects=[an_effect(), an_effect(EffectKind.VISIBILITY)])
    life.send(an_ack(order_of(life), 0, status))
    assert life.confirmations() == []
    assert life.notices(NoticeKind.REVERSAL_CONFIRMED) == []
    life.send(an_ack(order_of(life), 1, status))
    [confirmed] = life.confirmations()
    assert confirmed.directive_ids == [d.directive_id for d in order_of(life).directives]
    assert len(life.notices(NoticeKind.REVERSAL_CONFIRMED)) == 1
    assert life.dossier.reversals == {}
    assert life.dossier.due is None


def test_unanswered_directive_is_sent_again_with_the_same_key_and_growing_waits() -> None:
    life = decided()
    sent_at: list[int] = [life.now]
    while life.dossier.due is not None:
        life.wait_until(life.dossier.due)
        sent_at.append(life.now)
    orders = life.orders()
    assert [order.attempt for order in orders] == list(range(1, TRIES + 1))
    assert len({order.directives[0].idempotency_key for order in orders}) == 1
    assert len({order.ordered_at for order in orders}) == 1
    waits = [later - sooner for sooner, later in pairwise(sent_at)]
    for wait, base in zip(waits, RULEBOOK.tables.retry_waits_ms, strict=True):
        assert base <= wait <= base * 1.2
    assert len(life.lines(CaseEventKind.REVERSAL_STALLED)) == 1
    assert life.lines()[-1].reason == "out_of_tries"


def test_waits_of_different_reversals_are_spread() -> None:
    waits: set[int] = set()
    for number in range(20):
        life = after(an_enforcement(), an_appeal(appeal_id=f"a-{number}"))
        life.send(a_claim(T0 + 2 * HOUR, appeal_id=f"a-{number}"))
        life.send(a_decision(T0 + 2 * HOUR, appeal_id=f"a-{number}"))
        assert life.dossier.due is not None
        waits.add(life.dossier.due - life.now)
    assert len(waits) > 15


def test_only_open_directives_are_sent_again() -> None:
    life = decided(effects=[an_effect(), an_effect(EffectKind.VISIBILITY)])
    life.send(an_ack(order_of(life), 0))
    life.wait_until(T0 + DAY)
    assert [d.effect_id for d in order_of(life).directives] == ["ef-visibility"]
    assert life.lines()[-1].reason == "resent"


def test_retryable_failure_is_sent_again_by_the_timer() -> None:
    life = decided()
    life.send(an_ack(order_of(life), status=AckStatus.FAILED_RETRYABLE))
    assert life.kinds()[-1] is CaseEventKind.DIRECTIVE_FAILED
    life.wait_until(T0 + DAY)
    assert order_of(life).attempt == 2
    life.send(an_ack(order_of(life)))
    assert len(life.confirmations()) == 1


def test_permanent_failure_stalls_once_and_a_later_success_still_confirms() -> None:
    life = decided(effects=[an_effect(), an_effect(EffectKind.VISIBILITY)])
    for position in (0, 1):
        life.send(an_ack(order_of(life), position, AckStatus.FAILED_PERMANENT))
    assert len(life.lines(CaseEventKind.REVERSAL_STALLED)) == 1
    assert life.lines(CaseEventKind.REVERSAL_STALLED)[0].reason == "failed_permanent"
    assert life.wait_until(T0 + 30 * DAY) == []
    for position in (0, 1):
        life.send(an_ack(life.orders()[0], position))
    assert len(life.confirmations()) == 1


def test_stalled_reversal_goes_on_asking_for_its_other_directives() -> None:
    life = decided(effects=[an_effect(), an_effect(EffectKind.VISIBILITY)])
    life.send(an_ack(order_of(life), 0, AckStatus.FAILED_PERMANENT))
    life.wait_until(T0 + DAY)
    assert [d.effect_id for d in order_of(life).directives] == ["ef-visibility"]


def ignored(life: Life, ack: InputRecord) -> str | None:
    before = dict(life.dossier.reversals)
    [emission] = life.send(ack)
    assert life.lines()[-1].kind is CaseEventKind.ACK_IGNORED
    assert emission.record == life.lines()[-1]
    assert life.dossier.reversals == before
    return life.lines()[-1].reason


def test_strange_answers_are_ignored_with_their_reason() -> None:
    life = decided(effects=[an_effect(), an_effect(EffectKind.VISIBILITY)])
    order = order_of(life)
    assert ignored(life, an_ack(order, reversal_id="?")) == "unknown_reversal"
    assert ignored(life, an_ack(order, directive_id="?")) == "unknown_directive"
    assert ignored(life, an_ack(order, system="another")) == "wrong_system"
    life.send(an_ack(order))
    assert ignored(life, an_ack(order)) == "already_applied"
    life.send(an_ack(order, 1))
    assert ignored(life, an_ack(order, 1)) == "already_confirmed"


def test_failure_after_success_does_not_undo_it() -> None:
    life = decided(effects=[an_effect(), an_effect(EffectKind.VISIBILITY)])
    life.send(an_ack(order_of(life)))
    assert ignored(life, an_ack(order_of(life), status=AckStatus.FAILED_PERMANENT)) == "already_applied"


@pytest.mark.parametrize("status", [AckStatus.APPLIED, AckStatus.FAILED_RETRYABLE, AckStatus.FAILED_PERMANENT])
def test_answer_delivered_twice_is_silent(status: AckStatus) -> None:
    life = decided(effects=[an_effect(), an_effect(EffectKind.VISIBILITY)])
    ack = an_ack(order_of(life), status=status)
    life.send(ack)
    assert life.send(ack) == []


def test_status_of_a_newer_version_is_a_dead_letter() -> None:
    life = decided()
    with pytest.raises(UnknownSymbolError):
        life.send(an_ack(order_of(life), status=AckStatus.UNKNOWN))


def test_overturn_counts_for_the_users_standing() -> None:
    life = decided()
    assert (life.dossier.counts.overturned, life.dossier.counts.opened) == (1, 1)
    assert decided(Outcome.UPHELD).dossier.counts.upheld == 1
