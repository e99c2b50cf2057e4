"""What rested on an overturned enforcement falls with it, by rule; whatever no rule decides is for people."""

from typing import Any

import pytest

from processors.growth import MAX_CASCADE_DEPTH, MAX_CONSEQUENCES
from processors.reasons import Change, Consequence
from schemas.records import EnforcementId, InputRecord, ReversalOrdered
from schemas.vocabulary import (
    Action,
    CaseEventKind,
    CaseOrigin,
    CaseState,
    NoticeKind,
    Outcome,
    RefusalReason,
    ReversalCause,
)
from tests.unit.builders import (
    DAY,
    HOUR,
    MINUTE,
    T0,
    Life,
    a_claim,
    a_decision,
    a_rulebook,
    after,
    an_ack,
    an_amendment,
    an_appeal,
    an_effect,
    an_enforcement,
    decided,
)

ALONE = a_rulebook(second_review=None, evidence=[], automation=[])
"""One person decides."""


def strike(n: int, **change: Any) -> InputRecord:
    return an_enforcement(
        T0 + n, enforcement_id=EnforcementId(f"s-{n}"), action=Action.WARNING, effects=[], strikes=1, **change
    )


def caused(enforcement_id: str, by: str, action: Action = Action.BAN, at: int = T0 + 10, **change: Any) -> InputRecord:
    return an_enforcement(
        at, enforcement_id=EnforcementId(enforcement_id), caused_by=EnforcementId(by), action=action, **change
    )


def overturned(*history: InputRecord, which: str = "s-1") -> Life:
    """After this history, the appeal against one enforcement was overturned."""
    life = after(*history, rulebook=ALONE)
    life.send(an_appeal(T0 + HOUR, enforcement_id=EnforcementId(which)))
    life.send(a_claim(T0 + HOUR + MINUTE))
    life.send(a_decision(T0 + HOUR + MINUTE))
    return life


def judged(life: Life) -> list[tuple[str, str]]:
    return [(line.enforcement_id, line.reason) for line in life.lines(CaseEventKind.CONSEQUENCE_JUDGED)]  # type: ignore[misc]


def orders(life: Life) -> dict[str, ReversalOrdered]:
    return {order.enforcement_id: order for order in life.orders()}


def test_ban_on_the_third_strike_falls_when_the_third_strike_is_overturned() -> None:
    life = overturned(strike(1), strike(2), strike(3), caused("ban", "s-3"), which="s-3")
    assert judged(life) == [("ban", Consequence.LIFTED)]
    order = orders(life)["ban"]
    assert (order.cause, order.caused_by) == (ReversalCause.CASCADE, orders(life)["s-3"].reversal_id)
    assert order.case_id == order.reversal_id
    life.send(an_ack(order))
    assert [c.enforcement_id for c in life.confirmations()] == ["s-3", "ban"]
    assert [(n.kind, n.enforcement_id) for n in life.notices()][-2:] == [
        (NoticeKind.REVERSAL_CONFIRMED, "s-3"),
        (NoticeKind.REVERSAL_CONFIRMED, "ban"),
    ]
    assert [n.template for n in life.notices(NoticeKind.REVERSED)] == ["reversal.ordered.cascade"]


def test_ban_on_the_third_strike_falls_when_the_first_strike_is_overturned() -> None:
    life = overturned(strike(1), strike(2), strike(3), caused("ban", "s-3"), which="s-1")
    assert judged(life) == [("ban", Consequence.LIFTED)]


def test_ban_that_other_strikes_still_reach_is_for_people() -> None:
    life = overturned(strike(1), strike(2), strike(3), strike(4), caused("ban", "s-4"), which="s-4")
    assert judged(life) == [("ban", Consequence.STILL_REACHED)]
    assert list(orders(life)) == ["s-4"]
    [case] = life.dossier.cases.values()
    assert (case.enforcement_id, case.origin, case.state) == ("ban", CaseOrigin.CASCADE, CaseState.QUEUED)
    assert life.on_pods()[f"cases.{case.pod}", case.case_id].origin is CaseOrigin.CASCADE
    assert [n.template for n in life.notices(NoticeKind.REEXAMINED)] == ["case.reexamined.cascade"]


def test_ban_that_does_not_name_the_overturned_strike_and_is_still_reached_is_left_alone() -> None:
    life = overturned(strike(1), strike(2), strike(3), strike(4), caused("ban", "s-4"), which="s-1")
    assert judged(life) == []


def test_consequence_without_a_threshold_is_for_people() -> None:
    life = overturned(strike(1), caused("hold", "s-1", Action.PAYOUT_HOLD))
    assert judged(life) == [("hold", Consequence.NO_RULE)]
    assert [case.enforcement_id for case in life.dossier.cases.values()] == ["hold"]


def test_strikes_that_lapsed_before_the_ban_did_not_count_for_it() -> None:
    long_ago = [
        an_enforcement(T0 - 400 * DAY + n, enforcement_id=EnforcementId(f"old-{n}"), effects=[], strikes=1)
        for n in range(3)
    ]
    life = overturned(*long_ago, strike(4), caused("ban", "s-4"), which="s-4")
    assert judged(life) == [("ban", Consequence.LIFTED)]


def test_strike_after_the_ban_does_not_keep_it() -> None:
    life = overturned(strike(1), strike(2), strike(3), caused("ban", "s-3"), strike(20), which="s-3")
    assert judged(life) == [("ban", Consequence.LIFTED)]


def test_chain_of_consequences_is_followed_and_each_has_a_line_of_its_own() -> None:
    life = overturned(
        strike(1),
        strike(2),
        caused("suspension", "s-2", Action.SUSPENSION, strikes=1),
        caused("ban", "suspension", at=T0 + 20),
        which="s-2",
    )
    assert judged(life) == [("suspension", Consequence.LIFTED), ("ban", Consequence.LIFTED)]
    assert {orders(life)[each].caused_by for each in ("suspension", "ban")} == {orders(life)["s-2"].reversal_id}


def test_consequence_of_a_consequence_names_the_one_that_it_follows_from() -> None:
    life = overturned(
        an_enforcement(T0, enforcement_id=EnforcementId("root"), action=Action.WARNING),
        caused("suspension", "root", Action.SUSPENSION),
        caused("ban", "suspension", at=T0 + 20),
        which="root",
    )
    assert orders(life)["ban"].caused_by == orders(life)["suspension"].reversal_id
    assert orders(life)["suspension"].caused_by == orders(life)["root"].reversal_id


def test_what_falls_together_does_not_survive_each_other() -> None:
    life = overturned(
        strike(1, target=an_enforcement().target), strike(2), strike(3), caused("ban", "s-3"), which="s-3"
    )
    assert [d.state for order in life.orders() for d in order.directives] == [[]]


def test_circle_of_causes_ends() -> None:
    life = overturned(
        caused("a", "b", Action.SUSPENSION, strikes=1), caused("b", "a", Action.SUSPENSION, strikes=1), which="a"
    )
    assert judged(life) == [("b", Consequence.LIFTED)]
    assert len(life.orders()) == 2


def test_chain_that_is_too_deep_is_handed_to_people() -> None:
    root = an_enforcement(T0, enforcement_id=EnforcementId("root"), action=Action.WARNING)
    chain = [
        caused(f"c-{n}", f"c-{n - 1}" if n else "root", at=T0 + 10 + n, effects=[])
        for n in range(MAX_CASCADE_DEPTH + 3)
    ]
    life = overturned(root, *chain, which="root")
    verdicts = [verdict for _, verdict in judged(life)]
    assert verdicts == [Consequence.LIFTED] * MAX_CASCADE_DEPTH + [Consequence.TOO_DEEP]
    assert [case.enforcement_id for case in life.dossier.cases.values()] == [f"c-{MAX_CASCADE_DEPTH}"]


def test_more_consequences_than_are_followed_are_handed_to_people() -> None:
    root = an_enforcement(T0, enforcement_id=EnforcementId("root"), action=Action.WARNING)
    many = [caused(f"c-{n}", "root", at=T0 + 10 + n, effects=[]) for n in range(MAX_CONSEQUENCES + 3)]
    life = overturned(root, *many, which="root")
    verdicts = [verdict for _, verdict in judged(life)]
    assert verdicts == [Consequence.LIFTED] * MAX_CONSEQUENCES + [Consequence.TOO_DEEP] * 3
    assert len(life.dossier.cases) == 3


def test_open_case_on_what_falls_is_closed_as_overturned_and_its_reversal_is_the_cases() -> None:
    life = after(strike(1), strike(2), strike(3), caused("ban", "s-3"), rulebook=ALONE)
    life.send(an_appeal(T0 + HOUR, appeal_id="a-ban", enforcement_id=EnforcementId("ban")))
    ban_case = life.case("a-ban").case_id
    life.send(an_appeal(T0 + HOUR, enforcement_id=EnforcementId("s-3")))
    life.send(a_claim(T0 + HOUR))
    life.send(a_decision(T0 + HOUR))
    assert life.dossier.cases == {}
    decision = next(line for line in life.lines(CaseEventKind.CASE_DECIDED) if line.case_id == ban_case)
    assert (decision.outcome, decision.reason) == (Outcome.OVERTURNED, "consequence")
    assert orders(life)["ban"].case_id == ban_case
    assert life.notices(NoticeKind.REVERSED) == []
    life.send(an_ack(orders(life)["ban"]))
    assert life.kinds()[-1] is CaseEventKind.CASE_CLOSED


def test_open_case_on_what_people_must_look_at_hears_of_it() -> None:
    life = after(strike(1), caused("hold", "s-1", Action.PAYOUT_HOLD), rulebook=ALONE)
    life.send(an_appeal(T0 + HOUR, appeal_id="a-hold", enforcement_id=EnforcementId("hold")))
    version = life.version("a-hold")
    life.send(an_appeal(T0 + HOUR, enforcement_id=EnforcementId("s-1")))
    life.send(a_claim(T0 + HOUR))
    life.send(a_decision(T0 + HOUR))
    assert life.version("a-hold") == version + 1
    assert life.lines(CaseEventKind.ENFORCEMENT_CHANGED)[-1].reason == Change.CAUSE_OVERTURNED
    assert len(life.dossier.cases) == 1


def test_what_is_lifted_and_leaves_nothing_has_no_consequence() -> None:
    from tests.unit.builders import a_lift  # noqa: PLC0415

    life = overturned(strike(1), strike(2), strike(3), caused("ban", "s-3"), a_lift(T0 + 30, "ban"), which="s-3")
    assert judged(life) == []


def test_consequence_that_comes_after_its_cause_was_overturned_is_judged_at_once() -> None:
    life = overturned(strike(1), strike(2), strike(3), which="s-3")
    life.send(caused("ban", "s-3", at=life.now + MINUTE))
    assert judged(life) == [("ban", Consequence.LIFTED)]
    assert orders(life)["ban"].caused_by == orders(life)["s-3"].reversal_id


@pytest.mark.parametrize("ban_first", [True, False])
def test_ban_that_only_strikes_reach_which_fall_as_well_falls_with_them(ban_first: bool) -> None:  # noqa: FBT001
    ban = caused("ban", "s-1", at=T0 + 20)
    suspension = caused("suspension", "s-1", Action.SUSPENSION, strikes=2)
    both = [ban, suspension] if ban_first else [suspension, ban]
    life = overturned(strike(1), strike(2), *both)
    assert judged(life) == [("suspension", Consequence.LIFTED), ("ban", Consequence.LIFTED)]
    assert orders(life)["ban"].caused_by == orders(life)["suspension"].reversal_id
    assert life.dossier.cases == {}


def test_cause_that_is_heard_of_after_both_were_overturned_undoes_nothing_twice() -> None:
    life = overturned(an_amendment(T0, enforcement_id=EnforcementId("ban"), action=Action.BAN), strike(1), which="ban")
    life.send(an_appeal(life.now, appeal_id="a-s", enforcement_id=EnforcementId("s-1")))
    life.send(a_claim(life.now, actor="r-2", appeal_id="a-s"))
    life.send(a_decision(life.now, actor="r-2", appeal_id="a-s"))
    life.send(caused("ban", "s-1"))
    assert judged(life) == []
    assert [order.enforcement_id for order in life.orders()] == ["ban", "s-1"]


def test_new_version_of_what_fell_is_judged_again_and_undone_under_keys_of_its_own() -> None:
    life = overturned(strike(1), strike(2), strike(3), caused("ban", "s-3"), which="s-3")
    old = orders(life)["ban"]
    life.send(an_amendment(life.now + MINUTE, enforcement_id=EnforcementId("ban"), action=Action.BAN))
    assert judged(life) == [("ban", Consequence.LIFTED)] * 2
    new = orders(life)["ban"]
    assert (new.attempt, new.enforcement_version) == (1, 2)
    assert new.reversal_id != old.reversal_id
    assert new.directives[0].idempotency_key != old.directives[0].idempotency_key
    for order in (old, new):
        life.send(an_ack(order))
    assert [c.reversal_id for c in life.confirmations()][1:] == [old.reversal_id, new.reversal_id]


def test_modified_strike_makes_what_rested_on_its_number_fall_but_bothers_nobody_with_the_rest() -> None:
    from schemas.records import Lesser  # noqa: PLC0415

    life = after(
        strike(1),
        strike(2),
        an_enforcement(T0 + 3, strikes=1),
        caused("ban", "e-1"),
        caused("hold", "e-1", Action.PAYOUT_HOLD),
        rulebook=ALONE,
    )
    life.send(an_appeal(T0 + HOUR))
    life.send(a_claim(T0 + HOUR))
    life.send(a_decision(T0 + HOUR, Outcome.MODIFIED, lesser=Lesser(action=Action.WARNING)))
    assert judged(life) == [("ban", Consequence.LIFTED)]


# --- internal cases ---------------------------------------------------------------------------------------------


def internal(outcome: Outcome) -> Life:
    """A consequence that people looked at, and what they decided."""
    life = overturned(strike(1), caused("hold", "s-1", Action.PAYOUT_HOLD, effects=[an_effect()]))
    [case] = life.dossier.cases.values()
    life.send(_about(a_claim(life.now, actor="r-5", version=case.version), case.case_id))
    life.send(_about(a_decision(life.now, outcome, actor="r-5", version=case.version), case.case_id))
    return life


def _about(event: Any, case_id: str) -> Any:
    import msgspec  # noqa: PLC0415

    return msgspec.structs.replace(event, case_id=case_id)


def test_internal_case_is_decided_as_any_and_its_reversal_is_ordinary() -> None:
    life = internal(Outcome.OVERTURNED)
    assert orders(life)["hold"].cause is ReversalCause.DECISION
    assert life.dossier.cases == {}


def test_what_an_internal_case_upholds_can_still_be_appealed_against_and_says_nothing_of_the_user() -> None:
    life = internal(Outcome.UPHELD)
    counts = life.dossier.counts
    assert (counts.upheld, counts.overturned, counts.appeals) == (0, 1, 1)
    life.send(an_appeal(life.now, appeal_id="a-hold", enforcement_id=EnforcementId("hold")))
    assert life.case("a-hold").enforcement_id == "hold"


def test_appeal_against_what_has_an_internal_case_adds_its_text_there() -> None:
    life = overturned(strike(1), caused("hold", "s-1", Action.PAYOUT_HOLD))
    life.send(an_appeal(life.now, appeal_id="a-hold", enforcement_id=EnforcementId("hold")))
    assert life.notices()[-1].refusal is RefusalReason.DUPLICATE
    [case] = life.dossier.cases.values()
    assert [note.appeal_id for note in case.notes] == ["a-hold"]


@pytest.mark.parametrize("strikes", [0, 1])
def test_overturned_enforcement_without_consequences_has_none(strikes: int) -> None:
    assert judged(decided(strikes=strikes)) == []
