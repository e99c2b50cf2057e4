"""A remedy in the engine: through crashes, rebalances and lost stores each of the cohort is reversed exactly once."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from processors import remedying
from schemas.records import Millis
from schemas.vocabulary import CaseEventKind, Outcome, RemedyEventKind, RemedyState, RemedySteer, ReversalCause
from tests.driver import START_MS
from tests.topology.remedy_world import PARTITIONS, World
from tests.unit import remedies as make
from tests.unit.builders import an_ack
from topology.engine import deadletter
from topology.engine.definition import ClockKind
from topology.engine.transaction import Step

_STEPS = [pytest.param(step, id=f"{step.value}-{step.name.lower()}") for step in Step]


def a_world(users: int = 30, each: int = 2, **settings) -> tuple[World, list[str]]:
    world = World(**settings)
    cohort = world.strike(users, each)
    world.go()
    return world, cohort


def running(world: World, **change) -> None:
    """Proposed, approved, and under way: some of it is ordered."""
    world.propose(**change)
    world.approve("paul", "quinn")
    for _ in range(50):
        world.go()
        if world.ordered:
            return
    raise AssertionError("nothing is ordered")


# --- the whole way ------------------------------------------------------------------------------------------------


def test_dry_run_then_two_approvals_then_each_of_the_cohort_once():
    world, cohort = a_world()
    world.propose()
    world.settle()
    assert sum(report.cohort.enforcements for report in world.reports()) == len(cohort)
    assert sum(report.cohort.users for report in world.reports()) == 30
    world.approve("olga", "paul")
    world.settle()
    assert world.reversed() == []
    world.approve("quinn")
    world.settle()
    world.check(cohort)
    assert world.driver.metrics.counts["remedy_reversals_total"] == len(cohort)


def test_both_partitions_have_their_share_of_the_rate():
    world, cohort = a_world(60)
    running(world, per_second=20)
    began, before = world.driver.clock.now_ms(), world.ordered
    world.go(8)
    passed = world.driver.clock.now_ms() - began
    assert 0 < world.ordered - before <= passed * 20 / 1_000 + PARTITIONS
    world.settle()
    world.check(cohort)


def test_what_is_reversed_is_confirmed_by_the_ordinary_answers():
    world, cohort = a_world(6)
    running(world, per_second=1_000)
    world.settle()
    for order in world.records("resolution.events", object):
        if hasattr(order, "directives") and hasattr(order, "attempt") and order.directives:
            world.send(*(an_ack(order, n, user_id=order.user_id) for n in range(len(order.directives))))
    world.go()
    confirmed = [line for line in world.records("case.events", object) if line.kind is CaseEventKind.REVERSAL_CONFIRMED]
    assert len(confirmed) == len(cohort)
    assert all(dossier.reversals == {} for dossier in world.dossiers().values())
    world.check(cohort)


@pytest.mark.parametrize(
    "settings", [{}, {"cached_states": 1}, {"pipelined": True}], ids=["cached", "cold", "pipelined"]
)
def test_a_backlog_of_commands_and_enforcements_in_one_batch_comes_out_the_same(settings):
    world = World(**settings)
    cohort = world.strike(20, 2)
    world.propose()
    world.approve("paul", "quinn")
    world.settle()
    world.check(cohort)


def test_by_stream_time_remedies_go_on_with_the_records_that_come():
    world = World(clock=ClockKind.STREAM, align_s=1e12)
    cohort = world.strike(20)
    world.propose(per_second=1_000)
    world.approve("paul", "quinn")
    for _ in range(40):
        world.driver.advance(1_000)
        world.approve("paul", remedy_id="nothing")  # what is refused moves a partition's time, as any record does
        world.driver.run()
    world.check(cohort)


# --- what goes wrong ----------------------------------------------------------------------------------------------


@pytest.mark.rule(5)
@pytest.mark.parametrize("pipelined", [False, True], ids=["in-line", "pipelined"])
@pytest.mark.parametrize("nth", [1, 2, 5, 9])
@pytest.mark.parametrize("step", _STEPS)
def test_a_crash_right_before_a_step_reverses_nothing_twice_and_misses_nothing(step, nth, pipelined):
    world, cohort = a_world(20, pipelined=pipelined, batch_records=13)
    world.propose(per_second=16)
    world.approve("paul", "quinn")
    world.driver.crash_at(step, nth=nth)

    world.settle()

    assert world.driver.metrics.counts["producer_renewals_total"] >= 2, "the crash did not happen"
    world.check(cohort)


@pytest.mark.rule(5)
@pytest.mark.parametrize("step", _STEPS)
def test_a_worker_that_dies_in_the_run_is_replaced_by_its_neighbour(step):
    world, cohort = a_world(20, workers=2)
    running(world, per_second=40)
    world.driver.crash_at(step, "1", restart=False)
    world.settle()
    assert list(world.driver.workers) == ["0"]
    world.check(cohort)


@pytest.mark.rule(3)
def test_a_store_that_is_flushed_in_dry_run_and_run_is_rebuilt_with_its_index():
    world, cohort = a_world(40)
    world.propose(per_second=16)
    world.approve("paul", "quinn")
    for n in range(12):
        world.go()
        if n % 3 == 0:
            world.driver.store.flush()
    world.settle()
    assert world.driver.metrics.counts["redis_lost_total"] > 0
    world.check(cohort)


def test_partitions_that_are_handed_out_again_in_the_run_go_on_where_they_were():
    world, cohort = a_world(40, workers=2)
    running(world, per_second=40)
    for n in range(6):
        world.driver.rebalance()
        world.go()
        if n == 2:
            world.driver.stop("1")
        if n == 4:
            world.driver.start("2")
    world.settle()
    world.check(cohort)


def test_an_enforcement_that_cannot_be_reversed_is_a_dead_letter_and_the_others_are_reversed(monkeypatch):
    world, cohort = a_world(6, 1)
    real = remedying.reverse

    def refuse_one(dossier, enforcement_id, *rest):
        if enforcement_id == cohort[0]:
            raise ArithmeticError("no")
        real(dossier, enforcement_id, *rest)

    monkeypatch.setattr(remedying, "reverse", refuse_one)
    world.propose(per_second=1_000)
    world.approve("paul", "quinn")
    world.settle()
    assert sorted(world.reversed()) == sorted(cohort[1:])
    reasons = {dict(letter.headers)[deadletter.REASON] for letter in world.driver.dead_letters()}
    assert reasons == {deadletter.TELL_RAISED.encode()}
    assert all(report.state is RemedyState.DONE for report in world.reports())


# --- steering -----------------------------------------------------------------------------------------------------


def test_paused_in_the_middle_through_a_crash_and_a_flush_then_resumed():
    world, cohort = a_world(40)
    running(world, per_second=40)
    world.command(make.a_steering(RemedySteer.PAUSE, occurred_at=Millis(START_MS)))
    world.go()
    before = sorted(world.reversed())
    assert 0 < len(before) < len(cohort)
    world.driver.crash()
    world.driver.start("0")
    world.driver.store.flush()
    world.go(20)
    assert sorted(world.reversed()) == before
    assert {report.state for report in world.reports()} == {RemedyState.PAUSED}
    world.command(make.a_steering(RemedySteer.RESUME, occurred_at=Millis(START_MS + 1)))
    world.settle()
    world.check(cohort)


def test_stopped_in_the_middle_it_stays_so():
    world, cohort = a_world(40)
    running(world, per_second=40)
    world.command(make.a_steering(RemedySteer.STOP, occurred_at=Millis(START_MS)))
    world.go(20)
    some = sorted(world.reversed())
    assert 0 < len(some) < len(cohort)
    world.approve("rosa")
    world.propose()
    world.go(20)
    assert {report.kind for report in world.reports()} == {RemedyEventKind.REFUSED}
    world.check(some, state=RemedyState.STOPPED)


# --- with live traffic --------------------------------------------------------------------------------------------


def test_late_arrivals_are_reversed_too():
    world, cohort = a_world(30)
    running(world, per_second=40)
    cohort += world.strike(30, 1, prefix="late")
    world.settle()
    world.check(cohort)


def test_appeals_and_decisions_that_race_the_remedy_lead_to_one_reversal_each():
    world, cohort = a_world(24, 1)
    by_people = cohort[:4]
    for n, key in enumerate(by_people):  # decided before
        world.decide(f"u-{n}", key, Outcome.OVERTURNED)
    for n in range(4, 8):
        world.decide(f"u-{n}", cohort[n], Outcome.UPHELD)
    for n in range(8, 12):
        world.send(make.appealed(f"u-{n}", cohort[n], world.driver.clock.now_ms()))
    world.go()
    running(world, per_second=16)
    before = set(world.reversed())
    for n in range(12, 24):
        world.decide(f"u-{n}", cohort[n], Outcome.OVERTURNED)
    world.settle()
    decided = world.reversed(ReversalCause.DECISION)
    assert before
    assert sorted(world.reversed() + decided) == sorted(cohort)
    assert set(by_people) <= set(decided)
    assert set(cohort[4:8]) <= set(world.reversed())
    for n in range(4, 12):
        counts = world.dossiers()[f"u-{n}"].counts
        assert (counts.upheld, counts.overturned) == (0, 1)
    world.check([key for key in cohort if key not in decided])


does = st.sampled_from(["crash", "flush", "rebalance", "pause", "resume", "late", "appeal", "decide", "go", "go", "go"])


@given(st.lists(st.tuples(does, st.integers(0, 9)), max_size=14), st.booleans())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_happens_each_is_reversed_exactly_once(steps, pipelined):
    world, cohort = a_world(12, 2, pipelined=pipelined, workers=2, batch_records=17)
    world.propose(per_second=32)
    world.approve("paul", "quinn")
    at = START_MS
    for number, (what, n) in enumerate(steps):
        at += 1
        match what:
            case "crash":
                world.driver.crash_at(list(Step)[n % len(Step)], str(n % 2))
            case "flush":
                world.driver.store.flush()
            case "rebalance":
                world.driver.rebalance()
            case "pause" | "resume":
                world.command(make.a_steering(RemedySteer(what), occurred_at=Millis(at)))
            case "late":
                if all(report.state is not RemedyState.DONE for report in world.reports()):
                    cohort += world.strike(3, 1, prefix=f"late-{number}")
            case "appeal":
                world.send(make.appealed(f"u-{n}", f"e-{n}-0", world.driver.clock.now_ms()))
            case "decide":
                world.decide(f"u-{n}", f"e-{n}-1", Outcome.OVERTURNED)
            case _:
                world.go(n % 3)
    world.command(make.a_steering(RemedySteer.RESUME, occurred_at=Millis(at + 1)))
    world.settle()
    decided = world.reversed(ReversalCause.DECISION)
    late = [key for key in cohort if key not in {*world.reversed(), *decided}]
    assert all(key.startswith("late") for key in late), "late ones may come after a partition was done"
    world.check([key for key in cohort if key not in decided and key not in late])
