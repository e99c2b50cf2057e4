"""A reversal ends only when the wrong is undone: superseded, stalled, resolved by hand, confirmed once."""

from decimal import Decimal
from typing import Any

import pytest

from processors.fold import decode_dossier, encode_dossier
from processors.reasons import AckIgnored, ReviewRefusal, Stall
from schemas.records import (
    Directive,
    EnforcementId,
    InputRecord,
    Millis,
    Money,
    ReversalOrdered,
    ReversalStalled,
    Target,
)
from schemas.vocabulary import (
    AckStatus,
    Action,
    CaseEventKind,
    DirectiveState,
    EffectKind,
    Operation,
    Outcome,
    TargetKind,
)
from tests.unit.builders import (
    DAY,
    HOUR,
    MINUTE,
    PACKAGED_SECTIONS,
    RULEBOOK,
    T0,
    Life,
    a_claim,
    a_decision,
    a_lift,
    a_resolution,
    a_retry,
    a_rulebook,
    after,
    an_ack,
    an_amendment,
    an_appeal,
    an_effect,
    an_enforcement,
    decided,
    euros,
)

LATER = T0 + 2 * HOUR + 2 * MINUTE
"""A minute after the decision, before anything is sent again."""
HELD = EffectKind.PAYOUT_STATUS
TRIES = len(RULEBOOK.tables.retry_waits_ms)


def another(enforcement_id: str = "e-2", at: int = T0, **change: Any) -> InputRecord:
    return an_enforcement(at, enforcement_id=EnforcementId(enforcement_id), **change)


def state_of(directive: Directive) -> list[tuple[Action, str | None, int | None]]:
    return [(held.action, held.territory, held.ends_at) for held in directive.state]


def first(life: Life) -> Directive:
    return life.orders()[0].directives[0]


def last(life: Life) -> Directive:
    return life.orders()[-1].directives[0]


def queue(life: Life) -> dict[str, ReversalStalled]:
    """What a reader of the operations pod's topic sees now."""
    seen: dict[str, ReversalStalled] = {}
    for emission in life.out:
        if emission.topic == "reversals.stalled":
            if isinstance(emission.record, ReversalStalled):
                seen[emission.key] = emission.record
            else:
                del seen[emission.key]
    return seen


def stalled(status: AckStatus = AckStatus.FAILED_PERMANENT, **enforcement: Any) -> Life:
    life = decided(**enforcement)
    life.send(an_ack(life.orders()[0], status=status, detail="no such account"))
    return life


# --- the state that must hold -----------------------------------------------------------------------------------


def test_state_is_the_union_of_what_survives_with_territories_and_ends_hardest_first() -> None:
    end = Millis(T0 + 30 * DAY)
    life = decided(
        Outcome.OVERTURNED,
        another("e-2", ends_at=end, scope=["DE", "AT"]),
        another("e-3", action=Action.BAN, scope=["FR"]),
        another("e-4", action=Action.WARNING, effects=[]),
        another("e-5", action=Action.PAYOUT_HOLD, effects=[]),
    )
    assert state_of(first(life)) == [
        (Action.BAN, "FR", None),
        (Action.SUSPENSION, "AT", end),
        (Action.SUSPENSION, "DE", end),
    ]
    assert {held.enforcement_id for held in first(life).state} == {"e-2", "e-3"}


def test_what_a_harder_enforcement_covers_is_told_too_as_it_must_hold_again_without_it() -> None:
    life = decided(Outcome.OVERTURNED, another("e-2"), another("e-3", action=Action.BAN))
    assert [held.action for held in first(life).state] == [Action.BAN, Action.SUSPENSION]


def test_enforcement_bears_on_an_effect_of_its_own_kind_whatever_its_action() -> None:
    unusual = another("e-2", action=Action.FEE, effects=[an_effect(EffectKind.ACCOUNT_STATUS)])
    assert [held.action for held in first(decided(Outcome.OVERTURNED, unusual)).state] == [Action.FEE]


def test_each_effect_is_told_only_what_bears_on_it() -> None:
    effects = [an_effect(EffectKind.ACCOUNT_STATUS), an_effect(EffectKind.COMMISSION_RATE), an_effect(HELD)]
    life = decided(
        Outcome.OVERTURNED,
        another("e-2", effects=[]),
        another("e-3", action=Action.COMMISSION_INCREASE, effects=[]),
        another("e-4", action=Action.PAYOUT_HOLD, effects=[]),
        effects=effects,
    )
    actions = [[held.action for held in directive.state] for directive in life.orders()[0].directives]
    assert actions == [[Action.SUSPENSION], [Action.COMMISSION_INCREASE], [Action.PAYOUT_HOLD]]


def test_order_tells_its_deadline_its_cause_and_the_strikes_that_are_left() -> None:
    life = decided(Outcome.OVERTURNED, another("e-2", strikes=2), strikes=1)
    order = life.orders()[0]
    assert (order.strikes_expunged, order.strikes_left, order.cause) == (1, 2, "decision")
    assert first(life).deadline == life.now + RULEBOOK.tables.answer_ms


# --- superseded -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "event", "state"),
    [
        ([], another("e-2", at=LATER), [Action.SUSPENSION]),
        ([another("e-2")], a_lift(LATER, "e-2"), []),
        (
            [another("e-2")],
            an_amendment(LATER, enforcement_id=EnforcementId("e-2"), action=Action.BAN),
            [Action.BAN],
        ),
    ],
    ids=["issued", "lifted", "amended"],
)
def test_open_directive_is_superseded_when_what_survives_changes(
    before: list[InputRecord], event: InputRecord, state: list[Action]
) -> None:
    life = decided(Outcome.OVERTURNED, *before)
    old = first(life)
    life.send(event)
    new = last(life)
    assert len(life.orders()) == 2
    assert [held.action for held in new.state] == state
    assert new.supersedes == old.directive_id
    assert new.directive_id == new.idempotency_key != old.directive_id
    assert new.revision > old.revision
    [line] = life.lines(CaseEventKind.DIRECTIVE_SUPERSEDED)
    assert (line.saw["directive_id"], line.saw["by"]) == (old.directive_id, new.directive_id)


def test_answer_to_a_superseded_directive_changes_nothing_and_the_new_one_is_waited_for() -> None:
    life = decided()
    life.send(another("e-2", at=LATER))
    life.send(an_ack(life.orders()[0]))
    assert life.lines()[-1].reason == AckIgnored.SUPERSEDED
    assert life.confirmations() == []
    life.send(an_ack(life.orders()[1]))
    [confirmed] = life.confirmations()
    assert confirmed.directive_ids == [last(life).directive_id]


def test_what_says_the_same_is_not_superseded() -> None:
    life = decided(Outcome.OVERTURNED, another("e-2", ends_at=Millis(LATER - 1)))
    life.send(another("e-3", at=LATER, action=Action.WARNING, effects=[]))  # e-2 has ended by then, by itself
    life.send(another("e-4", at=LATER, target=Target(kind=TargetKind.LISTING, id="l-9")))
    assert len(life.orders()) == 1


def test_directive_that_is_applied_is_not_sent_again_when_things_change() -> None:
    life = decided(effects=[an_effect(), an_effect(EffectKind.STRIKES)], strikes=1)
    life.send(an_ack(life.orders()[0]))
    life.send(another("e-2", at=LATER))
    assert len(life.orders()) == 1


def test_money_and_strikes_are_never_superseded_and_what_must_hold_goes_beside_the_release() -> None:
    effects = [an_effect(HELD, amount=euros("5")), an_effect(EffectKind.STRIKES)]
    life = decided(effects=effects, strikes=1, action=Action.PAYOUT_HOLD)
    life.send(another("e-2", at=LATER, action=Action.PAYOUT_HOLD))
    assert life.lines(CaseEventKind.DIRECTIVE_SUPERSEDED) == []
    [beside] = life.orders()[-1].directives
    assert (beside.operation, beside.amount, beside.supersedes) == (Operation.RESTORE, None, None)
    assert [held.enforcement_id for held in beside.state] == ["e-2"]
    life.wait_until(life.dossier.due or 0)
    again = {d.directive_id: d for d in life.orders()[-1].directives}
    release = first(life)
    assert (again[release.directive_id].state, again[release.directive_id].amount) == (beside.state, euros("5"))
    assert again.keys() == {beside.directive_id, *(d.directive_id for d in life.orders()[0].directives)}
    for directive_id in again:
        life.send(an_ack(life.orders()[-1], list(again).index(directive_id)))
    assert len(life.confirmations()) == 1


def test_what_must_hold_beside_a_release_is_superseded_as_any_and_told_anew_once_it_is_applied() -> None:
    life = decided(effects=[an_effect(HELD, amount=euros("5"))], action=Action.PAYOUT_HOLD)
    life.send(another("e-2", at=LATER, action=Action.PAYOUT_HOLD))
    life.send(a_lift(LATER + 1, "e-2"))
    assert (last(life).state, last(life).supersedes) == ([], life.orders()[1].directives[0].directive_id)
    life.send(an_ack(life.orders()[-1]))
    life.send(another("e-3", at=LATER + 2, action=Action.PAYOUT_HOLD))
    assert [held.enforcement_id for held in last(life).state] == ["e-3"]
    assert len(life.dossier.reversals) == 1


def test_release_that_failed_and_is_applied_late_is_followed_by_what_must_hold_now() -> None:
    life = decided(effects=[an_effect(HELD, amount=euros("5"))], action=Action.PAYOUT_HOLD)
    life.send(an_ack(life.orders()[0], status=AckStatus.FAILED_PERMANENT))
    life.send(another("e-2", at=LATER, action=Action.PAYOUT_HOLD))
    assert len(life.orders()) == 1
    life.send(an_ack(life.orders()[0], amount=euros("5")))
    assert life.confirmations() == []
    assert [(d.operation, [h.enforcement_id for h in d.state]) for d in life.orders()[-1].directives] == [
        (Operation.RESTORE, ["e-2"])
    ]
    life.send(an_ack(life.orders()[-1]))
    assert len(life.confirmations()) == 1
    assert queue(life) == {}


def test_hold_whose_money_has_all_gone_back_still_ends() -> None:
    back = a_lift(T0 + 1, amount_returned=euros("5"))
    hold = {"effects": [an_effect(HELD, amount=euros("5"))], "action": Action.PAYOUT_HOLD, "strikes": 1}
    life = after(an_enforcement(**hold), an_appeal(), back)
    life.send(a_claim(LATER))
    life.send(a_decision(LATER))
    assert [(d.operation, d.amount, d.state) for d in life.orders()[0].directives] == [(Operation.RESTORE, None, [])]


def test_superseded_many_times_the_reversal_stays_bounded() -> None:
    life = decided()
    for n in range(50):
        life.send(another(f"e-{n + 2}", at=LATER + n))
    [running] = life.dossier.reversals.values()
    assert len(running.orders) <= 33
    assert [o.stage for o in running.orders][-1] is DirectiveState.SENT
    life.send(an_ack(life.orders()[-1]))
    assert len(life.confirmations()) == 1


def test_two_reversals_on_one_target_end_with_it_free() -> None:
    life = decided(Outcome.OVERTURNED, another("e-2"))
    assert [held.enforcement_id for held in first(life).state] == ["e-2"]
    overturn(life, "e-2", "a-2")
    by_reversal = {order.reversal_id: order for order in life.orders()}
    assert [state_of(order.directives[0]) for order in by_reversal.values()] == [[], []]
    for order in by_reversal.values():
        life.send(an_ack(order))
    assert len(life.confirmations()) == 2


def overturn(life: Life, enforcement_id: str, appeal_id: str) -> ReversalOrdered:
    """A further appeal, claimed and overturned by somebody who has had nothing to do with it."""
    at = life.now + MINUTE
    life.send(an_appeal(at, appeal_id=appeal_id, enforcement_id=EnforcementId(enforcement_id)))
    life.send(a_claim(at, actor=f"q-{appeal_id}", appeal_id=appeal_id))
    life.send(a_decision(at, actor=f"q-{appeal_id}", appeal_id=appeal_id))
    return life.orders()[-1]


# --- stalled, retried, resolved ---------------------------------------------------------------------------------


def test_stalled_reversal_is_on_the_operations_pods_topic_until_it_is_confirmed() -> None:
    life = stalled()
    [record] = queue(life).values()
    assert (record.reason, record.stalled_at) == (Stall.FAILED_PERMANENT, life.now)
    [item] = record.directives
    assert (item.state, item.detail, item.system) == (
        DirectiveState.FAILED_PERMANENT,
        "no such account",
        "sys-account_status",
    )
    assert life.counted["reversals_stalled_total", "failed_permanent"] == 1
    life.send(an_ack(life.orders()[0]))
    assert queue(life) == {}
    assert len(life.confirmations()) == 1


def test_reversal_stalls_at_its_deadline_whatever_tries_are_left() -> None:
    impatient = a_rulebook(
        second_review=None, evidence=[], automation=[], reversal=PACKAGED_SECTIONS["reversal"] | {"deadline": "5h"}
    )
    life = after(an_enforcement(), an_appeal(), a_claim(T0 + 2 * HOUR), rulebook=impatient)
    life.send(a_decision(T0 + 2 * HOUR + MINUTE))
    deadline = first(life).deadline or 0
    while life.dossier.due is not None and not queue(life):
        life.wait_until(life.dossier.due)
    assert life.now == deadline
    [record] = queue(life).values()
    assert record.reason == Stall.DEADLINE
    assert record.attempt < PACKAGED_SECTIONS["reversal"]["tries"]
    assert record.directives[0].state is DirectiveState.SENT


def test_queue_of_a_stalled_reversal_names_the_directive_that_took_anothers_place() -> None:
    life = decided(effects=[an_effect(), an_effect(EffectKind.LABEL)])
    life.send(an_ack(life.orders()[0], 1, AckStatus.FAILED_PERMANENT))
    life.send(another("e-2", at=LATER))
    [record] = queue(life).values()
    assert {d.directive_id for d in record.directives} == {
        last(life).directive_id,
        life.orders()[0].directives[1].directive_id,
    }
    assert last(life).supersedes == first(life).directive_id


def test_operator_has_a_stalled_reversal_sent_again_under_the_same_key_with_fresh_tries() -> None:
    life = stalled()
    life.send(a_retry(life.orders()[0], LATER))
    again = last(life)
    assert (again.directive_id, again.idempotency_key) == (first(life).directive_id, first(life).idempotency_key)
    assert queue(life) == {}
    [line] = life.lines(CaseEventKind.REVERSAL_RETRIED)
    assert (line.actor, line.saw["why"]) == ("ops-1", "the system is back")
    sent = len(life.orders())
    while life.dossier.due is not None:
        life.wait_until(life.dossier.due)
    assert len(life.orders()) - sent == TRIES - 1
    assert [r.reason for r in queue(life).values()] == [Stall.OUT_OF_TRIES]


def test_retry_of_one_directive_leaves_the_other_failed() -> None:
    life = decided(effects=[an_effect(), an_effect(EffectKind.LABEL)])
    for position in (0, 1):
        life.send(an_ack(life.orders()[0], position, AckStatus.FAILED_PERMANENT))
    one = life.orders()[0].directives[1].directive_id
    life.send(a_retry(life.orders()[0], LATER, directive_id=one))
    assert [d.directive_id for d in life.orders()[-1].directives] == [one]
    [record] = queue(life).values()
    assert {d.state for d in record.directives} == {DirectiveState.SENT, DirectiveState.FAILED_PERMANENT}


def test_retry_looks_at_what_survives_afresh() -> None:
    life = stalled()
    life.send(another("e-2", at=LATER))
    life.send(a_retry(life.orders()[0], LATER + 1))
    assert [held.enforcement_id for held in last(life).state] == ["e-2"]
    assert last(life).supersedes == first(life).directive_id


@pytest.mark.parametrize("make", [an_ack, a_resolution])
def test_what_failed_and_is_applied_late_is_made_true_again_if_what_survives_has_changed(make: Any) -> None:
    life = stalled()
    life.send(another("e-2", at=LATER))
    life.send(an_ack(life.orders()[0]) if make is an_ack else a_resolution(life.orders()[0], LATER + 1))
    assert life.confirmations() == []
    assert last(life).supersedes == first(life).directive_id
    assert [held.enforcement_id for held in last(life).state] == ["e-2"]
    assert queue(life) == {}
    life.send(an_ack(life.orders()[-1]))
    [confirmed] = life.confirmations()
    assert confirmed.directive_ids == [last(life).directive_id]


def test_operator_vouches_for_a_directive_and_the_user_is_told_that_it_is_done() -> None:
    life = stalled()
    life.send(a_resolution(life.orders()[0], LATER))
    [line] = life.lines(CaseEventKind.DIRECTIVE_RESOLVED)
    assert (line.actor, line.saw["why"]) == ("ops-1", "done by hand, ticket 7")
    assert len(life.confirmations()) == 1
    assert queue(life) == {}
    assert [n.template for n in life.notices()][-1] == "reversal.confirmed"


@pytest.mark.parametrize("make", [a_retry, a_resolution])
def test_command_that_is_delivered_again_is_silent_while_the_reversal_runs(make: Any) -> None:
    life = decided(effects=[an_effect(), an_effect(EffectKind.LABEL)])
    event = make(life.orders()[0], LATER)
    life.send(event)
    assert life.send(event) == []


def test_resolving_what_is_settled_is_refused_by_name() -> None:
    life = decided(effects=[an_effect(), an_effect(EffectKind.LABEL)])
    life.send(an_ack(life.orders()[0]))
    life.send(a_resolution(life.orders()[0], LATER))
    assert life.lines()[-1].reason == ReviewRefusal.DIRECTIVE_SETTLED


# --- what systems say of money ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (Money(value=Decimal("4.99"), currency="EUR"), AckIgnored.WRONG_AMOUNT),
        (Money(value=Decimal("5.00"), currency="USD"), AckIgnored.WRONG_CURRENCY),
        (Money(value=Decimal("5.001"), currency="EUR"), AckIgnored.TOO_MANY_DIGITS),
        (Money(value=Decimal("5.5"), currency="JPY"), AckIgnored.TOO_MANY_DIGITS),
    ],
)
def test_system_that_moved_other_money_than_it_was_told_to_is_not_believed(said: Money, reason: str) -> None:
    life = decided(effects=[an_effect(HELD, amount=euros("5.00"))], action=Action.PAYOUT_HOLD)
    life.send(an_ack(life.orders()[0], amount=said))
    assert life.lines(CaseEventKind.DIRECTIVE_FAILED)[-1].reason == reason
    assert [r.reason for r in queue(life).values()] == [Stall.MONEY_MISMATCH]
    assert life.confirmations() == []


def test_system_that_says_the_right_amount_is_believed_however_it_is_written() -> None:
    life = decided(effects=[an_effect(HELD, amount=euros("5.00"))], action=Action.PAYOUT_HOLD)
    life.send(an_ack(life.orders()[0], amount=euros("5")))
    assert len(life.confirmations()) == 1


def test_money_for_a_directive_that_moves_none_is_a_mismatch() -> None:
    life = decided()
    life.send(an_ack(life.orders()[0], amount=euros("5")))
    assert life.lines(CaseEventKind.DIRECTIVE_FAILED)[-1].reason == AckIgnored.WRONG_AMOUNT


def test_answer_to_a_confirmed_reversal_is_told_from_one_that_never_was() -> None:
    life = decided()
    life.send(an_ack(life.orders()[0]))
    life.send(an_ack(life.orders()[0]))
    assert life.lines()[-1].reason == AckIgnored.ALREADY_CONFIRMED
    life.send(an_ack(life.orders()[0], reversal_id="somebody else's"))
    assert life.lines()[-1].reason == AckIgnored.UNKNOWN_REVERSAL


def test_running_saga_goes_on_after_it_was_stored() -> None:
    life = stalled()
    life.send(another("e-2", at=LATER))
    life.dossier = decode_dossier(encode_dossier(life.dossier))
    life.send(a_retry(life.orders()[0], LATER + 1))
    life.send(an_ack(life.orders()[-1]))
    assert len(life.confirmations()) == 1
