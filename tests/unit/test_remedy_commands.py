"""A remedy on the operators' side: one whole out of what partitions report, and commands that cannot go wrong."""

import io
import itertools
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from schemas.records import (
    Detector,
    EnforcementId,
    Millis,
    Money,
    RemedyCounts,
    RemedyExample,
    RemedyReported,
    ReviewerId,
    UserId,
)
from schemas.remedy_whole import Whole, wholes
from schemas.vocabulary import Action, RemedyEventKind, RemedyState, RemedySteer
from topology.engine.errors import Misconfigured
from topology.remedies import commands, show

T0 = 1_760_000_000_000
PARTITIONS = 4
FAKE_FINDER = Detector(name="fake-finder", version="7")
Kind = RemedyEventKind
State = RemedyState
COHORT = RemedyCounts(
    enforcements=10,
    users=8,
    by_action={"suspension": 7, "payout_hold": 3},
    money=[Money(value=Decimal("12.50"), currency="EUR")],
)


def a_report(partition: int, seq: int = 2, **change: Any) -> RemedyReported:
    base = {
        "remedy_id": "m-1",
        "partition": partition,
        "partitions": PARTITIONS,
        "seq": seq,
        "occurred_at": Millis(T0),
        "cause_id": f"timer:{partition}:{seq}",
        "kind": Kind.PREVIEWED,
        "state": State.AWAITING_APPROVAL,
        "proposed_by": ReviewerId("ops-1"),
        "cohort": COHORT,
        "done": RemedyCounts(),
        "spared": {"lifted": 1},
        "detector": FAKE_FINDER,
        "issued_from": Millis(T0),
        "issued_until": Millis(T0 + 1),
        "per_second": 50,
    }
    return RemedyReported(**{**base, **change})


def previewed(**change: Any) -> Whole:
    return wholes(a_report(number, **change) for number in range(PARTITIONS))["m-1"]


def proposal(**change: Any):
    base: dict[str, Any] = {
        "detector": FAKE_FINDER,
        "policy": None,
        "issued_from": "2025-03-01",
        "issued_until": "2025-03-02T12:00:00+02:00",
        "per_second": 50,
        "actor": "ops-1",
        "reason": "misfired",
        "remedy_id": None,
        "partitions": PARTITIONS,
        "now_ms": T0,
    }
    return commands.proposed(**{**base, **change})


# --- the whole ----------------------------------------------------------------------------------------------------


def test_newest_report_of_each_partition_counts_whatever_order_they_come_in() -> None:
    reports = [a_report(0, 1, state=State.PREVIEWING), a_report(0, 3), a_report(0, 2), a_report(1, 1)]
    for order in itertools.permutations(reports):
        whole = wholes(order)["m-1"]
        assert {number: report.seq for number, report in whole.reports.items()} == {0: 3, 1: 1}
        assert whole.missing == [2, 3]


def test_partitions_add_up() -> None:
    whole = previewed()
    assert (whole.cohort.enforcements, whole.cohort.users) == (40, 32)
    assert whole.cohort.by_action == {"suspension": 28, "payout_hold": 12}
    assert whole.cohort.money == [Money(value=Decimal("50.00"), currency="EUR")]
    assert whole.spared == {"lifted": 4}


def test_remedy_is_over_when_every_partition_is() -> None:
    done = [a_report(number, 3, state=State.DONE) for number in range(PARTITIONS)]
    assert wholes(done)["m-1"].over
    assert not wholes(done[1:])["m-1"].over
    assert not wholes([*done, a_report(0, 4, state=State.RUNNING)])["m-1"].over


@given(st.permutations([a_report(n, seq, done=RemedyCounts(enforcements=seq)) for n in range(3) for seq in (1, 2, 3)]))
def test_progress_does_not_hang_on_the_order_of_reports_nor_on_doubles(reports: list[RemedyReported]) -> None:
    assert wholes([*reports, *reports[:4]])["m-1"].done.enforcements == 9


def shown(whole: Whole) -> str:
    console = Console(file=io.StringIO(), record=True, width=300)
    console.print(show.told(whole))
    return console.export_text()


def test_what_has_not_answered_and_how_far_it_is_are_shown() -> None:
    example = RemedyExample(
        user_id=UserId("[bold]u-9"),
        enforcement_id=EnforcementId("e-9"),
        action=Action.SUSPENSION,
        issued_at=Millis(T0),
    )
    running = a_report(
        0,
        state=State.RUNNING,
        done=RemedyCounts(enforcements=4),
        skipped={"lifted": 1},
        approved_by=[ReviewerId("lead-1"), ReviewerId("lead-2")],
        examples=[example],
    )
    text = shown(wholes([running, a_report(2)])["m-1"])
    assert "2 of 4 partitions have answered" in text
    assert "approved   by lead-1, lead-2" in text
    assert "no answer yet" in text
    assert "50%" in text
    assert "25%" in text  # of the whole cohort that is known
    assert "[bold]u-9" in text
    assert "2025-10-09 08:53:20 to" in text


def test_list_names_states_apart() -> None:
    console = Console(file=io.StringIO(), record=True, width=300)
    show.show_list([wholes([a_report(0), a_report(1, state=State.RUNNING)])["m-1"]], console)
    assert "awaiting_approval 1, running 1" in console.export_text()


# --- commands -----------------------------------------------------------------------------------------------------


def test_copies_are_equal_but_for_their_partition() -> None:
    for copies in (
        proposal(),
        commands.approved(previewed(), actor="lead-1", partitions=PARTITIONS, now_ms=T0),
        commands.steered(previewed(), RemedySteer.STOP, actor="a", reason="r", partitions=PARTITIONS, now_ms=T0),
    ):
        assert [copy.partition for copy in copies] == [0, 1, 2, 3]
        assert {msgspec.structs.replace(copy, partition=0) for copy in copies} == {copies[0]}
        assert copies[0].partitions == PARTITIONS


def test_id_of_a_cohort_can_be_read_and_is_its_own() -> None:
    first = proposal()[0]
    assert first.remedy_id.startswith("fake-finder-7-2025-03-01-")
    assert proposal(actor="ops-2")[0].remedy_id == first.remedy_id
    assert proposal(policy="counterfeit")[0].remedy_id != first.remedy_id
    assert proposal(remedy_id="m-7")[0].remedy_id == "m-7"


def test_times_are_utc_unless_they_say_otherwise() -> None:
    copy = proposal()[0]
    assert (copy.issued_from, copy.issued_until) == (1_740_787_200_000, 1_740_909_600_000)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"issued_from": "yesterday"}, "--from yesterday: no time"),
        ({"issued_until": "2025-03-01"}, "nothing lies between"),
    ],
)
def test_cohort_that_is_none_is_refused(change: dict[str, Any], why: str) -> None:
    with pytest.raises(Misconfigured, match=why):
        proposal(**change)


def test_approval_names_what_was_seen() -> None:
    copies = commands.approved(previewed(), actor="lead-1", partitions=PARTITIONS, now_ms=T0)
    assert copies[0].enforcements == 40


@pytest.mark.parametrize(
    ("whole", "actor", "why"),
    [
        (wholes([a_report(0), a_report(3)])["m-1"], "lead-1", "partitions 1, 2 have not previewed"),
        (
            wholes([*(a_report(n) for n in range(3)), a_report(3, state=State.PREVIEWING)])["m-1"],
            "lead-1",
            "partitions 3 are still previewing",
        ),
        (previewed(state=State.RUNNING), "lead-1", "it is running"),
        (previewed(), "ops-1", "ops-1 has proposed it"),
        (previewed(approved_by=[ReviewerId("lead-1")]), "lead-1", "lead-1 has approved it already"),
    ],
)
def test_approval_is_refused_with_the_reason(whole: Whole, actor: str, why: str) -> None:
    with pytest.raises(Misconfigured, match=why):
        commands.approved(whole, actor=actor, partitions=PARTITIONS, now_ms=T0)


def test_second_person_may_approve() -> None:
    whole = previewed(approved_by=[ReviewerId("lead-1")])
    assert commands.approved(whole, actor="lead-2", partitions=PARTITIONS, now_ms=T0)


def steer_id(whole: Whole, steer: RemedySteer = RemedySteer.PAUSE, actor: str = "ops-1") -> str:
    return commands.steered(whole, steer, actor=actor, reason="r", partitions=PARTITIONS, now_ms=T0)[0].event_id


def test_same_words_are_one_command_until_another_was_answered() -> None:
    running = previewed(state=State.RUNNING)
    assert steer_id(running) == steer_id(previewed(state=State.RUNNING, seq=7, kind=Kind.PROGRESSED))
    assert len({steer_id(running), steer_id(running, RemedySteer.STOP), steer_id(running, actor="ops-2")}) == 3
    before = steer_id(running)
    running.take(a_report(0, 9, kind=Kind.RESUMED, cause_id="ev-resume"))
    assert steer_id(running) != before
