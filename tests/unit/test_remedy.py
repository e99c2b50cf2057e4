"""A remedy in one partition: nothing before the dry run and two approvals, then each of the cohort exactly once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.codec import encode_remedy
from processors.errors import UnknownSymbolError
from processors.remedy_reasons import RemedyRefusal, Spared
from processors.remedy_run import MAX_EXAMPLES, MAX_SWEEPS, PREVIEW_TERMS, TICK_MS
from schemas.records import Millis, RemedyCounts, ReviewerId
from schemas.vocabulary import Action, EffectKind, RemedyEventKind, RemedyState, RemedySteer
from tests.unit.builders import DAY, T0, a_lift, a_rulebook, an_amendment, an_effect, euros
from tests.unit.remedies import (
    GOOD,
    START,
    Partition,
    a_proposal,
    a_steering,
    an_approval,
    struck,
)

PAUSE, RESUME, STOP = RemedySteer.PAUSE, RemedySteer.RESUME, RemedySteer.STOP


def a_cohort(count: int = 7, **settings: int) -> Partition:
    """So many enforcements of the bad version on half as many users, and one that is none of them."""
    there = Partition(**settings)
    for n in range(count):
        there.send(struck(f"u-{n // 2}", f"e-{n}", T0 + n))
    there.send(struck("u-0", "e-good", detector=GOOD))
    return there


def approved(there: Partition, **proposal: object) -> Partition:
    there.send(a_proposal(**proposal))
    there.send(an_approval("paul"), an_approval("quinn"))
    return there


# --- dry run and approvals ----------------------------------------------------------------------------------------


def test_dry_run_counts_and_reverses_nothing() -> None:
    there = Partition()
    taken = [an_effect(EffectKind.MONEY_TAKEN, amount=euros("12.50"))]
    there.send(struck("u-1", "e-1", action=Action.FEE, effects=taken), struck("u-1", "e-2"), struck("u-2", "e-3"))
    there.send(
        struck("u-2", "e-4", T0 + 6 * DAY),
        struck("u-3", "e-5", effects=[]),
        a_lift(enforcement_id="e-5", user_id="u-3"),
    )
    there.send(a_proposal())
    there.run()
    found = there.last
    assert (found.kind, found.state) == (RemedyEventKind.PREVIEWED, RemedyState.AWAITING_APPROVAL)
    assert found.cohort == RemedyCounts(
        enforcements=3, users=2, by_action={"fee": 1, "suspension": 2}, money=[euros("12.50")]
    )
    assert found.spared == {Spared.NOT_IN_COHORT: 1, Spared.NOTHING_LEFT: 1}
    assert sorted(e.enforcement_id for e in found.examples) == ["e-1", "e-2", "e-3"]
    assert {e.enforcement_id: e.amount for e in found.examples}["e-1"] == euros("12.50")
    assert there.reversed() == []
    assert found.done == RemedyCounts()


def test_cohort_of_one_rule_spares_the_others() -> None:
    there = Partition()
    there.send(struck("u-1", "e-1", policy="counterfeit"), struck("u-1", "e-2", policy="spam"))
    approved(there, policy="spam").run()
    assert there.reversed() == ["e-2"]
    assert there.last.spared == {Spared.NOT_IN_COHORT: 1}


def test_two_others_must_approve_and_the_proposer_is_none_of_them() -> None:
    there = a_cohort()
    there.send(a_proposal(), an_approval("olga"), an_approval("paul"), an_approval("paul"))
    there.run()
    refused = [(r.actor, r.reason) for r in there.reports() if r.kind is RemedyEventKind.REFUSED]
    assert refused == [("olga", RemedyRefusal.OWN_PROPOSAL), ("paul", RemedyRefusal.APPROVED_ALREADY)]
    assert there.remedy().state is RemedyState.AWAITING_APPROVAL
    assert there.reversed() == []
    there.send(an_approval("quinn"))
    there.run()
    assert sorted(there.reversed()) == [f"e-{n}" for n in range(7)]
    assert there.last.approved_by == ["paul", "quinn"]
    assert there.last.state is RemedyState.DONE


def test_approvals_before_the_dry_run_has_ended_are_kept_and_nothing_runs_before() -> None:
    there = a_cohort(PREVIEW_TERMS + 1)
    approved(there)
    assert there.tick()
    assert there.remedy().state is RemedyState.PREVIEWING
    assert there.reversed() == []
    assert there.tick()
    assert there.remedy().state is RemedyState.RUNNING
    assert [r.kind for r in there.reports()][-2:] == [RemedyEventKind.PREVIEWED, RemedyEventKind.STARTED]
    there.run()
    assert len(there.reversed()) == PREVIEW_TERMS + 1


def test_rulebook_can_ask_for_more_than_two_and_not_for_less() -> None:
    there = a_cohort(rulebook=a_rulebook(second_review=None, remedy={"approvals": 3}))  # type: ignore[arg-type]
    approved(there).run()
    assert there.remedy().state is RemedyState.AWAITING_APPROVAL
    there.send(an_approval("rosa"))
    there.run()
    assert there.last.state is RemedyState.DONE
    with pytest.raises(ValueError, match="greater than or equal to 2"):
        a_rulebook(remedy={"approvals": 1})


# --- commands -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (an_approval("paul", "m-9"), RemedyRefusal.UNKNOWN_REMEDY),
        (a_steering(STOP, "m-9"), RemedyRefusal.UNKNOWN_REMEDY),
        (a_proposal("m-9", issued_until=Millis(T0)), RemedyRefusal.EMPTY_RANGE),
        (a_proposal("m-9", issued_until=Millis(T0 - 1)), RemedyRefusal.FROM_AFTER_UNTIL),
        (a_proposal("m-9", partitions=2), RemedyRefusal.OTHER_PARTITION),
        (a_proposal("m-9", partition=1), RemedyRefusal.OTHER_PARTITION),
    ],
)
def test_what_is_refused_at_first_sight_leaves_a_mark_and_no_remedy(command, why) -> None:
    there = a_cohort()
    there.send(command, command)
    (report,) = there.reports("m-9")
    assert (report.kind, report.state, report.reason) == (RemedyEventKind.REFUSED, RemedyState.UNKNOWN, why)
    assert there.run() == 0
    assert len(there.remedies["m-9"]) < 100
    for n in range(200):
        there.send(an_approval(f"p-{n}", "m-9"))
    assert len(there.remedies["m-9"]) < 2_000


def test_redelivered_commands_are_silent() -> None:
    there = a_cohort()
    commands = [a_proposal(), an_approval("paul"), an_approval("olga"), a_steering(PAUSE), an_approval("quinn")]
    there.send(*commands)
    there.run()
    said, before = len(there.reports()), there.remedies["m-1"]
    there.send(*commands)
    assert len(there.reports()) == said
    assert there.remedies["m-1"] == before


def test_approval_that_came_before_the_proposal_counts_when_it_is_sent_again() -> None:
    there = a_cohort()
    early = an_approval("paul")
    there.send(early, a_proposal(), early)
    assert [r.kind for r in there.reports()] == ["refused", "proposed", "approved"]


def test_another_proposal_under_the_same_id_stops_the_remedy() -> None:
    there = a_cohort()
    there.send(a_proposal(), a_proposal(policy="spam"))
    assert (there.last.kind, there.last.reason) == (RemedyEventKind.REFUSED, RemedyRefusal.PROPOSED_DIFFERENTLY)
    assert there.last.state is RemedyState.STOPPED
    there.send(an_approval("paul"), an_approval("quinn"))
    there.run()
    assert there.reversed() == []


def test_the_same_proposal_sent_anew_is_refused_and_the_remedy_goes_on() -> None:
    there = approved(a_cohort())
    there.send(a_proposal())
    assert there.last.reason == RemedyRefusal.PROPOSED_ALREADY
    there.run()
    assert len(there.reversed()) == 7


def test_steering_that_this_version_does_not_know_is_a_dead_letter() -> None:
    there = a_cohort()
    there.send(a_proposal())
    with pytest.raises(UnknownSymbolError):
        there.send(a_steering(RemedySteer.UNKNOWN))


def test_paused_orders_nothing_and_resumed_goes_on_where_it_was() -> None:
    there = approved(a_cohort(50), per_second=40)
    for _ in range(4):
        there.tick()
    some = len(there.reversed())
    assert 0 < some < 50
    there.send(a_steering(PAUSE))
    assert there.last.state is RemedyState.PAUSED
    assert there.run() == 0
    there.send(a_steering(RESUME, occurred_at=Millis(START + 1)))
    there.run()
    assert sorted(there.reversed()) == sorted(f"e-{n}" for n in range(50))
    assert there.last.state is RemedyState.DONE


def test_stop_is_final_and_what_was_reversed_stays_so() -> None:
    there = approved(a_cohort(50), per_second=40)
    for _ in range(4):
        there.tick()
    some = there.reversed()
    there.send(a_steering(STOP), a_steering(RESUME, occurred_at=Millis(START + 1)), an_approval("rosa"))
    assert [r.reason for r in there.reports()][-2:] == [RemedyRefusal.ALREADY_STOPPED] * 2
    assert there.run() == 0
    assert there.reversed() == some
    assert there.last.state is RemedyState.STOPPED
    assert there.last.done.enforcements == len(some)


def test_finished_remedy_stays_small_and_is_never_begun_again() -> None:
    there = a_cohort(300)
    proposal = a_proposal()
    there.send(proposal, an_approval("paul"), an_approval("quinn"))
    there.run()
    assert len(there.remedies["m-1"]) < 700
    said = len(there.reports())
    there.send(proposal)
    there.send(a_steering(STOP))
    assert there.last.reason == RemedyRefusal.ALREADY_DONE
    assert len(there.reports()) == said + 1
    assert there.run() == 0
    assert len(there.reversed()) == 300


commands = st.permutations(
    [
        an_approval("paul"),
        an_approval("quinn"),
        an_approval("olga"),
        an_approval("paul"),
        a_steering(PAUSE, occurred_at=Millis(START + 5)),
        a_steering(RESUME, occurred_at=Millis(START + 9)),
        a_steering(PAUSE, occurred_at=Millis(START + 7)),
    ]
)


@given(
    order=commands, ticks=st.lists(st.integers(0, 3), min_size=7, max_size=7), stop=st.booleans(), last=st.booleans()
)
def test_outcome_does_not_depend_on_the_order_in_which_commands_are_met(order, ticks, stop, last) -> None:
    there = a_cohort(5)
    there.send(a_proposal())
    final = [a_steering(PAUSE, occurred_at=Millis(START + 11))] if last else []
    for command, wait in zip([*order, *final], [*ticks, 0], strict=False):
        there.send(command)
        there.run(wait)
    if stop:
        there.send(a_steering(STOP))
    there.run()
    done = there.remedy()
    assert list(done.approvals) == ["paul", "quinn"]
    assert len(there.reversed()) == len(set(there.reversed())) == done.done.enforcements
    if not final and not stop:
        assert done.state is RemedyState.DONE
        assert len(there.reversed()) == 5
    elif done.state is not RemedyState.DONE:  # it may have been done before it was told to pause or stop
        assert done.state is (RemedyState.STOPPED if stop else RemedyState.PAUSED)


@given(st.permutations([a_proposal(), a_proposal(policy="spam"), an_approval("paul"), an_approval("quinn")]))
def test_two_proposals_under_one_id_are_stopped_in_whatever_order(order) -> None:
    there = a_cohort(5)
    there.send(*order)
    assert there.remedy().state is RemedyState.STOPPED


# --- the run ------------------------------------------------------------------------------------------------------


def test_rate_is_shared_by_the_partitions_and_fractions_are_carried() -> None:
    there = a_cohort(200, partitions=8)
    there.send(a_proposal(partitions=8, per_second=30))
    there.send(an_approval("paul", partitions=8), an_approval("quinn", partitions=8))
    while there.remedy().state is not RemedyState.RUNNING:
        there.tick()
    began = there.now
    times = []
    while there.tick() and there.remedy().state is RemedyState.RUNNING:
        times += [there.now] * (len(there.reversed()) - len(times))
    assert len(times) == 200
    for n, at in enumerate(times, 1):
        assert n <= (at - began) * 30 / 8_000 + 1e-9, "faster than allowed"
    assert times[-1] - began == pytest.approx(200 * 8_000 / 30, rel=0.01)


def test_time_in_which_nobody_worked_is_not_made_up_for() -> None:
    there = approved(a_cohort(200), per_second=20)
    while len(there.reversed()) < 20:
        there.tick()
    there.now += 3_600_000
    began, before = there.now, len(there.reversed())
    while there.now < began + 2_000:
        there.tick()
    assert len(there.reversed()) - before <= 20 * (2_000 + 3 * TICK_MS) / 1_000
    there.run()
    assert len(there.reversed()) == 200


def test_slow_rate_waits_as_long_as_one_order_takes() -> None:
    there = a_cohort(3, partitions=8)
    there.send(a_proposal(partitions=8, per_second=1))
    there.send(an_approval("paul", partitions=8), an_approval("quinn", partitions=8))
    began = there.now
    there.run(4)
    assert len(there.reversed()) == 3
    assert 24_000 <= there.now - began < 24_000 + TICK_MS


def test_those_that_are_spared_do_not_use_up_the_rate() -> None:
    there = Partition()
    for n in range(400):
        there.send(struck(f"u-{n}", f"e-{n}", T0 + 6 * DAY))
    there.send(struck("u-last", "e-last"))
    approved(there, per_second=4)
    began = there.now
    there.run()
    assert there.reversed() == ["e-last"]
    assert there.now - began < 2_000


def test_what_comes_late_is_met_by_a_further_sweep_and_there_is_an_end() -> None:
    there = approved(a_cohort(40), per_second=8)
    late = 0
    while there.tick():
        late += 1
        if late < 500:  # more keep coming, before and behind where it is
            there.send(struck(f"u-late-{late}", f"e-late-{late}", T0 + 1))
    assert there.remedy().state is RemedyState.DONE
    assert there.remedy().sweep <= MAX_SWEEPS
    assert len(there.reversed()) == len(set(there.reversed())) == there.last.done.enforcements > 40


def test_first_late_arrival_is_not_missed() -> None:
    there = approved(a_cohort(40), per_second=8)
    while there.remedy().state is not RemedyState.RUNNING or not there.reversed():
        there.tick()
    there.send(*(struck(f"u-late-{n}", f"e-late-{n}", T0 + 1) for n in range(20)))
    there.run()
    assert len(set(there.reversed())) == 60


def test_amended_between_dry_run_and_run_it_is_judged_as_it_is_then() -> None:
    there = a_cohort(4)
    there.send(a_proposal())
    there.run()
    there.send(an_amendment(START, user_id="u-0", enforcement_id="e-0", detector=GOOD))
    there.send(an_amendment(START, user_id="u-0", enforcement_id="e-1"))
    there.send(a_lift(START, enforcement_id="e-2", user_id="u-1"))
    there.send(an_approval("paul"), an_approval("quinn"))
    there.run()
    assert sorted(there.reversed()) == ["e-1", "e-3"]
    assert there.last.cohort.enforcements == 4
    assert there.last.skipped == {Spared.NOTHING_LEFT: 1}
    assert there.counted["remedy_reversals_total", "suspension"] == 2
    assert there.counted["remedy_spared_total", Spared.NOTHING_LEFT] == 1


def test_reports_are_numbered_and_small() -> None:
    there = approved(a_cohort(PREVIEW_TERMS + 1))
    there.run()
    assert [r.seq for r in there.reports()] == list(range(1, len(there.reports()) + 1))
    assert all(len(r.examples) <= MAX_EXAMPLES for r in there.reports())
    kinds = [r.kind for r in there.reports()]
    assert kinds[:5] == ["proposed", "approved", "approved", "progressed", "previewed"]
    assert (kinds[5], kinds[-1], set(kinds[6:-1])) == ("started", "done", {"progressed"})


def test_money_of_a_report_is_never_more_than_the_wire_can_say() -> None:
    there = Partition()
    for n in range(3):
        effects = [an_effect(EffectKind.MONEY_TAKEN, amount=euros("99999999999999.99"))]
        there.send(struck(f"u-{n}", f"e-{n}", action=Action.FEE, effects=effects))
    approved(there).run()
    assert there.last.done.money == [euros("99999999999999.9999")]


def test_remedy_is_stored_as_it_was() -> None:
    there = approved(a_cohort(30), per_second=10)
    for _ in range(6):
        there.tick()
        state = there.remedy()
        assert encode_remedy(state) == there.remedies["m-1"]
    assert state.approvals == {ReviewerId("paul"): 7, ReviewerId("quinn"): 7}
    assert state.done.enforcements > 0
