"""The life of a reversal as operators read it, and what they may tell it."""

import io
import re
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from rich.console import Console

from schemas.records import (
    CaseEvent,
    CaseId,
    Directive,
    DirectiveAcked,
    EnforcementId,
    ImmunityGranted,
    Lesser,
    Millis,
    Money,
    OpenDirective,
    Restriction,
    ReversalConfirmed,
    ReversalOrdered,
    ReversalRetried,
    ReversalStalled,
    ReviewerId,
    Target,
    UserId,
)
from schemas.vocabulary import (
    AckStatus,
    Action,
    CaseEventKind,
    DirectiveState,
    Operation,
    Outcome,
    ReversalCause,
    TargetKind,
)
from topology.engine.errors import Misconfigured
from topology.reversals import orders, words
from topology.reversals.life import ReversalLife, lives
from topology.reversals.show import show_life, show_list

T0 = 1_760_000_000_000
Kind = CaseEventKind
ACCOUNT = Target(kind=TargetKind.ACCOUNT, id="u-1")
IN_GERMANY = Restriction(
    action=Action.SUSPENSION, territory="DE", ends_at=Millis(T0), enforcement_id=EnforcementId("e-2")
)


def a_directive(directive_id: str = "d-1", **change: Any) -> Directive:
    base = {
        "directive_id": directive_id,
        "system": "accounts",
        "operation": Operation.RESTORE,
        "target": ACCOUNT,
        "effect_id": "ef-1",
        "idempotency_key": directive_id,
        "revision": 3,
    }
    return Directive(**{**base, **change})


def an_order(*directives: Directive, attempt: int = 1, **change: Any) -> ReversalOrdered:
    base = {
        "reversal_id": "r-1",
        "user_id": UserId("u-1"),
        "case_id": CaseId("c-1"),
        "enforcement_id": EnforcementId("e-1"),
        "enforcement_version": 1,
        "ordered_at": Millis(T0),
        "attempt": attempt,
        "outcome": Outcome.OVERTURNED,
        "strikes_expunged": 0,
        "directives": list(directives),
    }
    return ReversalOrdered(**{**base, **change})


def a_line(kind: CaseEventKind, cause: str = "x", at: int = T0, **change: Any) -> CaseEvent:
    saw = {"reversal_id": "r-1", **change.pop("saw", {})}
    base = {"event_id": f"l-{cause}-{kind}", "user_id": UserId("u-1"), "seq": 1, "rulebook_digest": "d"}
    return CaseEvent(**{**base, "occurred_at": Millis(at), "kind": kind, "cause_id": cause, "saw": saw, **change})


def an_ack(event_id: str, status: AckStatus, **change: Any) -> DirectiveAcked:
    base = {"event_id": event_id, "user_id": UserId("u-1"), "reversal_id": "r-1", "directive_id": "d-1"}
    return DirectiveAcked(**{**base, "system": "accounts", "status": status, "occurred_at": Millis(T0), **change})


def sent_line(attempt: int) -> CaseEvent:
    return a_line(Kind.REVERSAL_ORDERED, f"cause-{attempt}", saw={"attempt": str(attempt)})


def failed_line(cause: str = "ack-1", reason: str = "failed_permanent", **saw: str) -> CaseEvent:
    return a_line(Kind.DIRECTIVE_FAILED, cause, reason=reason, saw={"directive_id": "d-1", **saw})


STALL = ReversalStalled(
    reversal_id="r-1",
    user_id=UserId("u-1"),
    case_id=CaseId("c-1"),
    enforcement_id=EnforcementId("e-1"),
    reason="failed_permanent",
    stalled_at=Millis(T0 + 5_000),
    attempt=1,
    directives=[
        OpenDirective(
            directive_id="d-1",
            system="accounts",
            operation=Operation.RESTORE,
            effect_id="ef-1",
            state=DirectiveState.FAILED_PERMANENT,
        )
    ],
)
CONFIRMED = ReversalConfirmed(
    reversal_id="r-1",
    user_id=UserId("u-1"),
    case_id=CaseId("c-1"),
    enforcement_id=EnforcementId("e-1"),
    confirmed_at=Millis(T0 + 9_000),
    directive_ids=["d-1"],
)


def life_of(records: list[Any], lines: list[CaseEvent] | None = None, **more: Any) -> ReversalLife:
    return lives(records, lines or [], **more)["r-1"]


def shown(life: ReversalLife) -> str:
    console = Console(file=io.StringIO(), record=True, width=400)
    show_life(life, console)
    return console.export_text()


# --- states -------------------------------------------------------------------------------------------------------


def test_directive_that_failed_is_sent_again_and_applied() -> None:
    first, second = an_order(a_directive()), an_order(a_directive(), attempt=2)
    failed = failed_line(reason="failed_retryable")
    assert life_of([first], [sent_line(1), failed]).directives["d-1"].state is DirectiveState.FAILED_RETRYABLE
    again = life_of([first, second], [sent_line(1), failed, sent_line(2)]).directives["d-1"]
    assert (again.state, again.sent) == (DirectiveState.SENT, [1, 2])
    applied = a_line(Kind.DIRECTIVE_APPLIED, "ack-2", reason="applied", saw={"directive_id": "d-1"})
    done = life_of([first, second], [sent_line(1), failed, sent_line(2), applied]).directives["d-1"]
    assert done.state is DirectiveState.APPLIED
    assert [answer.status for answer in done.answers] == ["failed_retryable", "applied"]


def test_money_that_was_moved_otherwise_needs_people_and_says_what_was_moved() -> None:
    moved = an_ack("ack-1", AckStatus.APPLIED, amount=Money(value=Decimal("9.00"), currency="EUR"))
    life = life_of([an_order(a_directive())], [failed_line(reason="money_mismatch")], acks=[moved])
    [answer] = life.directives["d-1"].answers
    assert life.directives["d-1"].state is DirectiveState.FAILED_PERMANENT
    assert words.answers(life.directives["d-1"])[0].endswith("moved 9.00 EUR (money_mismatch)")
    assert answer.status == "applied"


def test_state_that_the_line_names_counts() -> None:
    life = life_of([an_order(a_directive())], [failed_line(reason="odd", state="failed_retryable")])
    assert life.directives["d-1"].state is DirectiveState.FAILED_RETRYABLE


def test_superseded_directive_is_not_open_and_names_what_took_its_place() -> None:
    life = life_of([an_order(a_directive()), an_order(a_directive("d-2", supersedes="d-1"), attempt=2)])
    assert words.state_of(life.directives["d-1"]) == "superseded by d-2"
    assert [one.directive.directive_id for one in life.open] == ["d-2"]


@pytest.mark.parametrize("saw", [{"directive_id": "d-2", "supersedes": "d-1"}, {"directive_id": "d-1", "by": "d-2"}])
def test_audit_alone_tells_of_a_supersession(saw: dict[str, str]) -> None:
    life = life_of([an_order(a_directive())], [a_line(Kind.DIRECTIVE_SUPERSEDED, saw=saw)])
    assert life.directives["d-1"].superseded_by == "d-2"


def test_answer_to_a_superseded_directive_is_shown_and_changes_nothing() -> None:
    ignored = a_line(Kind.ACK_IGNORED, "ack-1", reason="superseded", saw={"directive_id": "d-1"})
    life = life_of(
        [an_order(a_directive()), an_order(a_directive("d-2", supersedes="d-1"), attempt=2)],
        [sent_line(1), sent_line(2), ignored],
        acks=[an_ack("ack-1", AckStatus.APPLIED)],
    )
    assert life.directives["d-1"].state is DirectiveState.SUPERSEDED
    assert re.fullmatch(r"applied .* \(superseded\)", words.answers(life.directives["d-1"])[0])


def test_failure_that_comes_after_success_changes_nothing() -> None:
    applied = a_line(Kind.DIRECTIVE_APPLIED, reason="applied", saw={"directive_id": "d-1"})
    assert (
        life_of([an_order(a_directive())], [applied, failed_line()]).directives["d-1"].state is DirectiveState.APPLIED
    )


def test_answer_that_nobody_has_judged_yet_is_told_as_such() -> None:
    life = life_of([an_order(a_directive())], acks=[an_ack("ack-9", AckStatus.APPLIED, detail="ticket 7")])
    assert life.directives["d-1"].state is DirectiveState.SENT
    assert words.answers(life.directives["d-1"])[0].endswith("ticket 7 (not judged yet)")


def test_who_vouched_for_a_directive_is_named_with_the_reason() -> None:
    line = a_line(
        Kind.DIRECTIVE_RESOLVED,
        "ev-1",
        actor=ReviewerId("ops-1"),
        saw={"directives": "d-1", "why": "seen in the shop"},
    )
    one = life_of([an_order(a_directive())], [failed_line(), line]).directives["d-1"]
    assert words.state_of(one).startswith("resolved by hand: ops-1 ")
    assert words.state_of(one).endswith("seen in the shop")


def test_what_was_confirmed_is_neither_open_nor_stalled() -> None:
    life = life_of([an_order(a_directive()), STALL, CONFIRMED], stalled={"r-1": STALL})
    assert (life.open, life.stuck) == ([], None)


def test_lines_of_other_reversals_change_nothing() -> None:
    other = msgspec.structs.replace(failed_line(), saw={"reversal_id": "r-2", "directive_id": "d-1"})
    assert life_of([an_order(a_directive())], [other]).directives["d-1"].state is DirectiveState.SENT


# --- words --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"state": [IN_GERMANY]}, "on account u-1 exactly: suspension DE until 2025-10-09 08:53:20 (e-2)"),
        ({}, "on account u-1 nothing is restricted by this kind of effect any more"),
        (
            {"operation": Operation.REPAY, "amount": Money(value=Decimal("12.50"), currency="EUR")},
            "exactly 12.50 EUR of ef-1 is paid back",
        ),
        (
            {"operation": Operation.RELEASE, "amount": Money(value=Decimal("1.00"), currency="GBP")},
            (
                "exactly 1.00 GBP of ef-1 is released; on account u-1 nothing is restricted by this kind of effect any "
                "more"
            ),
        ),
        ({"operation": Operation.EXPUNGE}, "no strikes of the enforcement stay on the record"),
        ({"operation": Operation.EXPUNGE, "strikes_kept": 1}, "1 strike of the enforcement stays on the record"),
    ],
)
def test_state_that_must_hold_is_said_in_words(change: dict[str, Any], said: str) -> None:
    assert words.must_hold(a_directive(**change)) == said


def test_whole_life_is_shown() -> None:
    order = an_order(
        a_directive(),
        outcome=Outcome.MODIFIED,
        cause=ReversalCause.CASCADE,
        caused_by="r-0",
        lesser=Lesser(action=Action.WARNING, strikes=1),
        strikes_left=2,
    )
    retried = a_line(Kind.REVERSAL_RETRIED, "ev-1", at=T0 + 7_000, saw={"directives": "d-1"})
    act = ReversalRetried(
        event_id="ev-1",
        user_id=UserId("u-1"),
        reversal_id="r-1",
        actor=ReviewerId("[red]ops-1"),
        occurred_at=Millis(T0),
        reason="the system is back",
    )
    immunity = ImmunityGranted(
        immunity_id="i-1",
        user_id=UserId("u-1"),
        reversal_id="r-1",
        enforcement_id=EnforcementId("e-1"),
        target=ACCOUNT,
        policy="counterfeit",
        detector="fake-finder",
        granted_at=Millis(T0),
        until=Millis(T0 + 1_000),
    )
    stall = a_line(Kind.REVERSAL_STALLED, at=T0 + 5_000, reason="out_of_tries")
    text = shown(life_of([order, STALL, immunity], [sent_line(1), failed_line(), stall, retried], acts=[act]))
    for said in (
        "cause    cascade of r-0",
        "outcome  modified",
        "left     warning everywhere without end with 1 strike",
        "strikes  0 taken off, 2 left on the user's record",
        "ReversalRetried d-1 by [red]ops-1 2025-10-09 08:53:27: the system is back",
        "needed people 2025-10-09 08:53:25: out_of_tries",
        "immune: account u-1 against counterfeit by fake-finder until 2025-10-09 08:53:21",
        "Reversal r-1 stalled since 2025-10-09 08:53:25 (out_of_tries): 1 of 1 directives open",
        "recourse reversal resolve r-1 DIRECTIVE",
    ):
        assert said in text


def test_stalled_reversal_stays_so_until_an_operator_has_all_of_it_sent_again() -> None:
    stall = a_line(Kind.REVERSAL_STALLED, at=T0 + 5_000, reason="out_of_tries")
    records = [an_order(a_directive(), a_directive("d-2")), an_order(a_directive(), attempt=2)]
    refreshed = [sent_line(1), stall, a_line(Kind.REVERSAL_ORDERED, reason="superseded", saw={"attempt": "2"})]
    assert life_of(records, refreshed).stuck == (T0 + 5_000, "out_of_tries")
    by_hand = a_line(Kind.REVERSAL_ORDERED, reason="by_operator", saw={"attempt": "2"})
    assert life_of(records, [sent_line(1), stall, by_hand]).stuck is None
    other = a_line(Kind.DIRECTIVE_FAILED, reason="failed_permanent", saw={"directive_id": "d-2"})
    assert life_of(records, [sent_line(1), other, stall, by_hand]).stuck is not None


def test_list_counts_what_is_open_and_what_is_stuck() -> None:
    console = Console(file=io.StringIO(), record=True, width=300)
    show_list([life_of([an_order(a_directive(), a_directive("d-2", supersedes="d-1")), STALL])], console)
    text = console.export_text()
    assert "1 of 2" in text
    assert "1 under way, 1 of them stalled" in text


# --- what operators may say ---------------------------------------------------------------------------------------

SAID: dict[str, Any] = {"actor": "ops-1", "reason": "back again"}


def test_same_words_in_the_same_state_are_one_command_and_after_a_change_another() -> None:
    before = life_of([an_order(a_directive())], [sent_line(1), failed_line()])
    first = orders.retried(before, **SAID, directive_id=None, now_ms=T0)
    again = orders.retried(before, **SAID, directive_id=None, now_ms=T0 + 5)
    assert first.event_id == again.event_id
    after = life_of(
        [an_order(a_directive()), an_order(a_directive(), attempt=2)], [sent_line(1), failed_line(), sent_line(2)]
    )
    others = [
        orders.retried(after, **SAID, directive_id=None, now_ms=T0),
        orders.retried(before, **SAID, directive_id="d-1", now_ms=T0),
        orders.retried(before, actor="ops-2", reason="back again", directive_id=None, now_ms=T0),
        orders.resolved(before, "d-1", **SAID, now_ms=T0),
    ]
    assert len({first.event_id, *(other.event_id for other in others)}) == 5


def test_record_names_user_reversal_directive_actor_and_reason() -> None:
    said = orders.resolved(life_of([an_order(a_directive())]), "d-1", **SAID, now_ms=T0)
    assert (said.user_id, said.reversal_id, said.directive_id) == ("u-1", "r-1", "d-1")
    assert (said.actor, said.reason, said.occurred_at) == ("ops-1", "back again", T0)


@pytest.mark.parametrize(
    ("records", "directive_id", "why"),
    [
        ([an_order(a_directive()), CONFIRMED], "d-1", "was confirmed 2025-10-09 08:53:29"),
        ([an_order(a_directive())], "d-7", "has no directive d-7; open are: d-1"),
        ([an_order(a_directive()), an_order(a_directive("d-2", supersedes="d-1"))], "d-1", "superseded by d-2"),
    ],
)
def test_what_cannot_be_helped_is_refused_with_the_reason(records: list[Any], directive_id: str, why: str) -> None:
    for say in (
        lambda life: orders.resolved(life, directive_id, **SAID, now_ms=T0),
        lambda life: orders.retried(life, **SAID, directive_id=directive_id, now_ms=T0),
    ):
        with pytest.raises(Misconfigured, match=why) as told:
            say(life_of(records))
        assert "Nothing was written" in str(told.value)


def test_directive_that_is_applied_is_not_sent_again() -> None:
    applied = a_line(Kind.DIRECTIVE_APPLIED, reason="applied", saw={"directive_id": "d-1"})
    life = life_of([an_order(a_directive(), a_directive("d-2"))], [applied])
    with pytest.raises(Misconfigured, match="applied already"):
        orders.retried(life, **SAID, directive_id="d-1", now_ms=T0)
