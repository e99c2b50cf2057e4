"""What a move shares out anew, and where it puts what; the rest is tested on a real Kafka."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.codec import encode_remedy
from processors.remedy_moving import at_rest, moved
from schemas.remedy_whole import wholes
from schemas.vocabulary import RemedySteer
from tests.unit.remedies import Partition, a_proposal, a_steering, an_approval, struck
from topology.engine.allowance import DAY_MS, KEY, Allowances, redistributed
from topology.engine.position import Known, decode_known, encode_known
from topology.engine.state import DUE_BYTES
from topology.reshard.seals import Seal, parse
from topology.settings import Settings
from topology.topics import load_register

NAMES = "grants", "reviews"


def spent_by(events: list[tuple[int, int, str]], partitions: int, limit: int) -> list[bytes | None]:
    """The records of partitions in which (partition, day, name) asked to spend, in this order."""
    kept = [Allowances(None, partition=number, partitions=partitions) for number in range(partitions)]
    for number, day, name in events:
        kept[number % partitions].spend(name, limit, day * DAY_MS)
        kept[number % partitions].keep()
    return [next((raw for key, raw, _ in one.writes() if key == KEY), None) for one in kept]


def left(records: list[bytes | None], name: str, limit: int, day: int) -> int:
    """How often somebody still gets a yes that day."""
    total = 0
    for number, record in enumerate(records):
        one = Allowances(record, partition=number, partitions=len(records))
        while one.spend(name, limit, day * DAY_MS):
            total += 1
    return total


events = st.lists(st.tuples(st.integers(0, 5), st.integers(1, 3), st.sampled_from(NAMES)), max_size=60)


@settings(deadline=None)
@given(events, st.integers(1, 6), st.integers(1, 9), st.integers(0, 20))
def test_after_a_move_exactly_as_much_can_be_spent_as_was_left(spending, before, after, limit):
    records = spent_by(spending, before, limit)
    newest = max((json.loads(raw[DUE_BYTES:])["day"] for raw in records if raw), default=0)
    again = redistributed(records, after)
    assert len(again) == after
    for name in NAMES:
        used = sum(
            json.loads(raw[DUE_BYTES:])["spent"].get(name, 0)
            for raw in records
            if raw and json.loads(raw[DUE_BYTES:])["day"] == newest
        )
        assert left(again, name, limit, newest) == limit - used
        assert left(again, name, limit, newest + 1) == limit, "the next day begins whole"


def test_a_day_that_is_over_in_one_partition_is_not_begun_again_by_a_move():
    records = spent_by([(0, 5, "grants"), (1, 4, "grants")], 2, 2)
    again = redistributed(records, 1)
    assert left(again, "grants", 2, 4) == 1, "the partition of day 5 stays there, where one is spent"


def test_where_nothing_was_spent_nothing_is_written():
    assert redistributed([None, None], 3) == [None, None, None]


def run_over(partitions: int, users: int = 12) -> list[Partition]:
    """Partitions in which a remedy has gone through users' enforcements, one each."""
    made = [Partition(partition=n, partitions=partitions) for n in range(partitions)]
    for number in range(users):
        made[number % partitions].send(struck(f"user-{number}", f"e-{number}"))
    for one in made:
        place = {"partition": one.partition, "partitions": partitions}
        one.send(a_proposal(event_id="p", **place))
        one.run()
        one.send(an_approval("ann", event_id="a1", **place), an_approval("bob", event_id="a2", **place))
        one.run()
    return made


@pytest.mark.parametrize(("before", "after"), [(3, 2), (2, 5), (4, 4), (5, 1)])
def test_a_remedy_that_is_over_keeps_what_it_did_and_is_never_begun_again(before, after):
    made = run_over(before)
    states = {one.partition: one.remedy() for one in made}
    assert all(map(at_rest, states.values()))

    again = moved(states, before=before, after=after)

    assert [(one.proposal.partition, one.proposal.partitions) for one in again] == [(n, after) for n in range(after)]
    assert all(map(at_rest, again))
    for what in ("cohort", "done"):
        was, now = ([getattr(one, what) for one in side] for side in (states.values(), again))
        assert sum(one.enforcements for one in now) == sum(one.enforcements for one in was) == 12
        assert sum(one.users for one in now) == sum(one.users for one in was)
        assert sum(sum(one.by_action.values()) for one in now) == 12

    there = [Partition(partition=n, partitions=after) for n in range(after)]
    old = [report for one in made for report in one.reports()]
    for one, state in zip(there, again, strict=True):
        one.remedies["m-1"] = encode_remedy(state)
        one.send(a_steering(RemedySteer.PAUSE, partition=one.partition, partitions=after))
        one.send(an_approval("ann", event_id="a1", partition=one.partition, partitions=after))
        assert one.run() == 0
        assert [str(report.reason) for report in one.reports()] == ["already_done"], "a1 is known, and silent"
    new = [report for one in there for report in one.reports()]
    for reports in (old + new, new + old):
        whole = wholes(reports)["m-1"]
        assert (whole.partitions, whole.missing, whole.over) == (after, [], True)
        assert whole.done.enforcements == 12, "what partitions of before have reported is not counted again"


def test_a_remedy_that_was_stopped_is_stopped_everywhere():
    made = [Partition(partition=n, partitions=2) for n in range(2)]
    for one in made:
        place = {"partition": one.partition, "partitions": 2}
        one.send(a_proposal(**place), a_steering(RemedySteer.STOP, **place))
    again = moved({one.partition: one.remedy() for one in made}, before=2, after=3)
    assert [str(one.state) for one in again] == ["stopped"] * 3


def test_a_remedy_that_is_not_over_does_not_move():
    made = run_over(2)
    waiting = Partition(partition=1, partitions=2)
    waiting.send(a_proposal(partition=1, partitions=2))
    assert not at_rest(waiting.remedy())
    with pytest.raises(ValueError, match="over"):
        moved({0: made[0].remedy(), 1: waiting.remedy()}, before=2, after=3)


def test_a_remedy_that_nobody_had_proposed_moves_as_what_was_refused():
    one = Partition(partition=0, partitions=2)
    one.send(an_approval("ann", event_id="a1", partition=0, partitions=2))
    again = moved({0: one.remedy()}, before=2, after=2)
    assert [(str(each.state), each.commands, each.seq) for each in again] == [("UNKNOWN", ["a1"], 1)] * 2


def test_only_topics_in_step_with_the_inputs_have_the_name_of_the_partitioning():
    register = load_register("shop.", partitioning="p12")
    named = {topic.name for topic in register.topics if register.on_cluster(topic.name) == f"shop.p12.{topic.name}"}
    assert named == {topic.name for topic in register.topics if topic.co_partitioned} | {"case.events"}
    others = {topic.name for topic in register.topics} - named
    assert all(register.on_cluster(name) == f"shop.{name}" for name in others)
    assert {"cases.general", "resolution.events", "appellant.notices", "dlq.actions", "rulebooks"} <= others


def test_what_is_in_step_is_created_with_as_many_partitions_as_the_inputs():
    register = load_register(partitions=5)
    assert register.by_name["case.events"].partitions == register.changelog.partitions == 5
    assert register.by_name["cases.general"].partitions == load_register().by_name["cases.general"].partitions


def test_each_partitioning_has_a_group_of_its_own():
    assert Settings(group="g").engine_name == "g"
    assert Settings(group="g", partitioning="p12").engine_name == "g.p12"


@pytest.mark.parametrize("name", ["", "p3", "a-b-9"])
@pytest.mark.parametrize("seal", Seal)
def test_a_seal_survives_the_metadata_of_an_offset(seal, name):
    known = decode_known(encode_known(Known(7, 3, seal.text(name))))
    assert (known.clock_ms, known.partitions, parse(known.seal)) == (7, 3, (seal, name))


def test_words_that_are_no_seal_of_a_move_are_none():
    assert parse("closed for cleaning") is None
