"""Whatever is read twice, lost in a crash or out of order, a partition's counts are those of the whole topic."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.insights.cells import HOUR_MS, WINDOWS, Cube, total
from processors.insights.facts import Measure
from processors.insights.shard import ENFORCEMENTS, LINES, Fate, Shard
from processors.insights.totals import Totals, partition_of
from schemas.records import CaseEvent
from schemas.vocabulary import CaseEventKind as Kind
from schemas.vocabulary import CaseState, Outcome
from tests.unit.builders import DAY, HOUR, MINUTE, T0
from tests.unit.insights_lines import DEADLINE, PROMISE, Event, a_decided, a_line, batch_count, issued, time_of

GRACE = HOUR
NOW = T0 + 40 * DAY
OUTCOMES = [Outcome.UPHELD, Outcome.OVERTURNED, Outcome.MODIFIED, Outcome.WITHDRAWN]


class Disk:
    """What a table and its changelog keep: of what was written, in order, a crash leaves a beginning."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def write(self, writes: list[tuple[str, bytes | None]], survives: int | None = None) -> None:
        for key, value in writes[:survives]:
            if value is None:
                self.kept.pop(key, None)
            else:
                self.kept[key] = value

    def shard(self, grace_ms: int = GRACE) -> Shard:
        shard = Shard(grace_ms)
        shard.load(self.kept.items())
        return shard


def read_all(events: list[Event], chance: random.Random, *, crashes: float, grace_ms: int = GRACE) -> Shard:
    """Read a partition of both inputs to the end, with crashes in the middle of writing anywhere."""
    streams = {
        LINES: [e for e in events if isinstance(e, CaseEvent)],
        ENFORCEMENTS: [e for e in events if not isinstance(e, CaseEvent)],
    }
    disk = Disk()
    shard = disk.shard(grace_ms)
    while True:
        left = [s for s, stream in streams.items() if shard.position(s).offset < 2 * (len(stream) - 1)]
        if not left:
            disk.write(shard.writes())
            return disk.shard(grace_ms)
        for _ in range(chance.randint(1, 6)):
            source = chance.choice(left)
            at = shard.position(source).offset // 2 + 1
            if at < len(streams[source]):
                shard.take(source, 2 * at, streams[source][at])  # markers of transactions take every other offset
        if chance.random() < crashes:
            writes = shard.writes()
            disk.write(writes, chance.randint(0, len(writes)))
            shard = disk.shard(grace_ms)
        elif chance.random() < 0.5:
            disk.write(shard.writes())


def counts(shard: Shard, now: int, index: int) -> dict[str, dict[int, int]]:
    found: dict[str, Counter[int]] = {}
    for key, cube in shard.cubes():
        found.setdefault(key.partition("|")[2], Counter()).update(total([cube], index, now))
    return {key: dict(by) for key, by in found.items() if by}


@st.composite
def histories(draw: Any) -> list[Event]:
    """Cases that open, are worked on and end, enforcements, and copies of some of it a while later."""
    chance = random.Random(draw(st.integers(0, 2**32)))
    events: list[Event] = []
    now = T0
    for n in range(draw(st.integers(1, 25))):
        now += chance.choice([0, 1, MINUTE, 7 * MINUTE, HOUR, 5 * HOUR, 2 * DAY])
        detector = {"detector": chance.choice("dx"), "detector_version": chance.choice("12")}
        events.append(issued(now, n, version=detector["detector_version"]))
        events.append(a_line(Kind.CASE_OPENED, now, f"c-{n}", saw=detector))
        events.append(a_line(Kind.CASE_CLAIMED, now + MINUTE, f"c-{n}"))
        missed = [kind for kind in (Kind.PROMISE_MISSED, Kind.DEADLINE_MISSED) if chance.random() < 0.3]
        events += [a_line(kind, now + MINUTE, f"c-{n}", state=CaseState.CLAIMED) for kind in missed]
        if chance.random() < 0.8:
            outcome = chance.choice(OUTCOMES)
            events.append(a_decided(now + 2 * MINUTE, f"c-{n}", outcome, saw=detector))
    for event in chance.sample(events, len(events) // 3):
        place = events.index(event) + 1
        recent = [i for i in range(place, len(events) + 1) if i == place or time_of(events[i - 1]) <= time_of(event)]
        events.insert(chance.choice(recent), event)
    return events


@given(events=histories(), seed=st.integers(0, 2**32))
@settings(max_examples=150, deadline=None)
def test_after_any_crashes_every_window_counts_what_the_topic_holds_each_event_once(events: list[Event], seed: int):
    chance = random.Random(seed)
    shard = read_all(events, chance, crashes=0.3)
    now = max(map(time_of, events))
    for index in range(len(WINDOWS)):
        assert counts(shard, now, index) == batch_count(events, now, index=index)
    fates = Counter(shard.position(LINES).fates) + Counter(shard.position(ENFORCEMENTS).fates)
    assert fates.total() == len(events)
    assert fates[Fate.COUNTED] == len({event.event_id for event in events})
    assert fates[Fate.DUPLICATE] == len(events) - fates[Fate.COUNTED]


@given(events=histories(), seed=st.integers(0, 2**32))
@settings(max_examples=100, deadline=None)
def test_within_the_grace_period_the_order_of_events_does_not_matter(events: list[Event], seed: int):
    chance = random.Random(seed)
    now = max(map(time_of, events))
    chance.shuffle(events)
    shard = read_all(events, chance, crashes=0.2, grace_ms=100 * DAY)
    for index in range(len(WINDOWS)):
        assert of_lines_alone(counts(shard, now, index)) == of_lines_alone(batch_count(events, now, index=index))


def of_lines_alone(counted: dict[str, dict[int, int]]) -> dict[str, dict[int, int]]:
    """Without what rests on the lines before it too, which the engine writes in their order."""
    return {key: {m: n for m, n in by.items() if m not in (*PROMISE, *DEADLINE)} for key, by in counted.items()}


@given(events=histories(), seed=st.integers(0, 2**32))
@settings(max_examples=100, deadline=None)
def test_open_cases_are_those_that_the_lines_leave_open_after_any_crashes(events: list[Event], seed: int):
    shard = read_all(events, random.Random(seed), crashes=0.3)
    lines = [event for event in events if isinstance(event, CaseEvent)]
    ended = {line.case_id for line in lines if line.kind is Kind.CASE_DECIDED}
    still = {line.case_id for line in lines} - ended
    [(_, rows)] = shares_of(shard, "open|general") or [(None, {})]
    missed = {line.case_id for line in lines if line.kind in (Kind.PROMISE_MISSED, Kind.DEADLINE_MISSED)}
    assert rows == ({"P2": [len(still), len(still), 0, len(still & missed)]} if still else {})


def shares_of(shard: Shard, name: str) -> list[tuple[str, dict[str, list[int]]]]:
    from processors.insights.shard import PARTIAL  # noqa: PLC0415

    found = [(key, PARTIAL.decode(value)) for key, value in shard.partials() if value is not None]
    return [(key, partial.load or {}) for key, partial in found if key.partition("|")[2] == name]


def test_late_event_is_told_and_not_counted():
    shard = Shard(GRACE)
    assert shard.take(LINES, 0, a_decided(T0)) is Fate.COUNTED
    assert shard.take(LINES, 1, a_decided(T0 - GRACE, "c-2")) is Fate.COUNTED
    assert shard.take(LINES, 2, a_decided(T0 - GRACE - 1, "c-3")) is Fate.LATE
    assert counts(shard, T0, 2)["overall"][0] == 2
    assert shard.position(LINES).fates == {Fate.COUNTED: 2, Fate.LATE: 1}


def test_copy_of_an_event_is_not_counted_and_what_is_read_again_is_not_even_looked_at():
    shard = Shard(GRACE)
    line = a_decided(T0)
    assert shard.take(LINES, 4, line) is Fate.COUNTED
    assert shard.take(LINES, 4, line) is None
    assert shard.take(LINES, 5, line) is Fate.DUPLICATE
    assert shard.take(ENFORCEMENTS, 4, issued(T0)) is Fate.COUNTED  # offsets of another input


def test_event_ahead_of_the_clock_does_not_push_the_windows_on():
    shard = Shard(GRACE)
    assert shard.take(ENFORCEMENTS, 0, issued(T0 + 2 * DAY), latest=T0 + DAY) is Fate.FUTURE
    assert shard.take(ENFORCEMENTS, 1, issued(T0, 2), latest=T0 + DAY) is Fate.COUNTED
    assert shard.position(ENFORCEMENTS).newest == T0


def test_events_are_remembered_for_the_grace_period_and_not_longer():
    shard = Shard(GRACE)
    for n in range(1_000):
        shard.take(LINES, n, a_decided(T0 + n * MINUTE, f"c-{n}"))
    assert shard.sizes["seen"] == GRACE // MINUTE + 1
    assert len([key for key, value in shard.writes() if key.startswith("s|") and value is not None]) == 61


def test_late_copy_of_an_old_line_does_not_open_a_case_that_has_ended():
    shard = Shard(GRACE)
    opened = a_line(Kind.CASE_OPENED, T0)
    shard.take(LINES, 0, opened)
    shard.take(LINES, 1, a_decided(T0 + MINUTE))
    shard.take(LINES, 2, a_line(Kind.CASE_OPENED, T0 + DAY, "c-9"))
    assert shard.take(LINES, 3, opened) is Fate.LATE
    assert shard.sizes["cases"] == 1


def test_counts_that_no_window_needs_are_let_go_of_everywhere():
    shard, totals = Shard(GRACE), a_totals()
    shard.take(LINES, 0, a_decided(T0, saw={"language": "xx"}))
    deliver(shard, totals)
    assert {p.key for p in totals.publish(T0) if p.record is not None} >= {"language|xx|3600"}
    later = T0 + 30 * DAY
    shard.expire(later)
    deliver(shard, totals, 100)
    gone = [p for p in totals.publish(later) if p.topic == "insights.overturn-rates"]
    assert {p.key for p in gone if p.record is None} >= {"language|xx|3600", "language|xx|2419200"}
    assert all(p.record is None for p in gone)
    assert shard.sizes["counts"] == 0
    assert totals.size == 0
    assert ("t|0|lines|language|xx", None) in totals.writes()


def a_totals() -> Totals:
    return Totals(grace_ms=GRACE, prior=(4.0, 6.0))


def deliver(shard: Shard, totals: Totals, offset: int = 0, partition: int = 0) -> None:
    for n, (key, value) in enumerate(shard.partials(), offset):
        assert partition_of(f"{partition}|{key}", 1) == 0
        totals.take(n, f"{partition}|{key}", value)


@given(events=histories(), seed=st.integers(0, 2**32), partitions=st.integers(1, 3))
@settings(max_examples=60, deadline=None)
def test_partitions_added_up_are_the_whole_topic_though_shares_are_lost_sent_again_and_read_twice(
    events: list[Event], seed: int, partitions: int
):
    chance = random.Random(seed)
    by_partition = [[e for e in events if hash(_subject(e)) % partitions == p] for p in range(partitions)]
    topic: list[tuple[str, bytes | None]] = []
    for p, part in enumerate(by_partition):
        for until in sorted({chance.randint(0, len(part)), len(part)}):
            shard = read_all(part[:until], chance, crashes=0.2, grace_ms=100 * DAY)
            topic += [(f"{p}|{key}", value) for key, value in shard.partials()]
    disk = Disk()
    totals = a_totals()
    while totals.offset < len(topic) - 1:
        for _ in range(chance.randint(1, 20)):
            if totals.offset + 1 < len(topic):
                totals.take(totals.offset + 1, *topic[totals.offset + 1])
        writes = totals.writes()
        if chance.random() < 0.4:
            disk.write(writes, chance.randint(0, len(writes)))
            totals = a_totals()
            totals.load(disk.kept.items())
        else:
            disk.write(writes)
    now = max(map(time_of, events))
    for index in range(len(WINDOWS)):
        whole = batch_count(events, now, index=index)
        assert {key: totals.counts(key, index, now) for key in whole} == whole


def test_share_of_a_process_that_fell_behind_does_not_replace_a_newer_one():
    shard, totals = Shard(GRACE), a_totals()
    shard.take(LINES, 0, a_decided(T0))
    old = shard.partials()
    shard.take(LINES, 1, a_decided(T0, "c-2"))
    deliver(shard, totals)
    for n, (key, value) in enumerate(old, 100):
        totals.take(n, f"0|{key}", value)
    assert totals.counts("overall", 0, T0)[0] == 2


def _subject(event: Event) -> str:
    return str(event.case_id) if isinstance(event, CaseEvent) else str(event.event_id)


def test_cube_counts_alike_in_whatever_order_and_keeps_no_more_cells_than_its_windows_need():
    times = [T0 + n * 13 * MINUTE for n in range(10_000)]
    forward, backward = Cube(rings=[]), Cube(rings=[])
    for at in times:
        forward.add(at, ((0, 1),), GRACE)
    for at in reversed(times):
        backward.add(at, ((0, 1),), GRACE)
    now = times[-1]
    for index, window in enumerate(WINDOWS):
        assert total([forward], index, now) == total([backward], index, now)
        assert len(forward.rings[index]) <= window.steps + GRACE // window.step_ms + 2


@pytest.mark.parametrize(("index", "age", "counted"), [(0, 54, 1), (0, 61, 0), (1, 23 * 60, 1), (1, 24 * 60 + 1, 0)])
def test_window_holds_its_length_and_ends_with_the_running_step(index: int, age: int, counted: int):
    at = T0 // HOUR_MS * HOUR_MS
    cube = Cube(rings=[])
    cube.add(at - age * MINUTE, ((0, 1),), GRACE)
    assert total([cube], index, at).get(0, 0) == counted


# --- reversals


def about(reversal: str, kind: Kind, seq: int, at: int = T0, **change: Any) -> CaseEvent:
    """A line about a reversal; `saw` besides its id as given."""
    saw = {"reversal_id": reversal} | change.pop("saw", {})
    line = a_line(kind, at, f"case-of-{reversal}", pod=None, band=None, state=None, seq=seq, saw=saw, **change)
    return msgspec.structs.replace(line, event_id=f"{reversal}-{seq}")


@st.composite
def reversals(draw: Any) -> list[CaseEvent]:
    """Lives of reversals, side by side, with copies of some lines a little later."""
    chance = random.Random(draw(st.integers(0, 2**32)))
    lives: list[list[CaseEvent]] = []
    for n in range(draw(st.integers(1, 8))):
        name = f"r-{n}"
        kinds: list[tuple[Kind, dict[str, Any]]] = [(Kind.REVERSAL_ORDERED, {})]
        if chance.random() < 0.5:
            failed = {"saw": {"directive_id": "d-1"}}
            kinds += [(Kind.DIRECTIVE_FAILED, {"reason": "failed_permanent", **failed}), (Kind.REVERSAL_STALLED, {})]
            if chance.random() < 0.5:
                retried = {"saw": {"directives": "d-1,d-2"}}
                kinds += [(Kind.REVERSAL_RETRIED, retried), (Kind.REVERSAL_ORDERED, {"reason": "by_operator"})]
        if chance.random() < 0.5:
            kinds.append((Kind.REVERSAL_CONFIRMED, {}))
        lives.append([about(name, kind, seq + 1, T0 + seq * MINUTE, **more) for seq, (kind, more) in enumerate(kinds)])
    events: list[CaseEvent] = []
    while any(lives):
        life = chance.choice([life for life in lives if life])
        events.append(life.pop(0))
        if chance.random() < 0.3:
            events.append(chance.choice(events))
    return events


@given(events=reversals(), seed=st.integers(0, 2**32))
@settings(max_examples=200, deadline=None)
def test_open_reversals_are_those_that_the_lines_leave_open_after_any_crashes(events: list[CaseEvent], seed: int):
    shard = read_all(list(events), random.Random(seed), crashes=0.3)
    expected: dict[str, tuple[int, bool]] = {}
    for name in {event.saw["reversal_id"] for event in events}:
        kinds = [event.kind for event in events if event.saw["reversal_id"] == name]
        if Kind.REVERSAL_CONFIRMED not in kinds:
            expected[name] = (T0, Kind.REVERSAL_STALLED in kinds and Kind.REVERSAL_RETRIED not in kinds)
    found = shard._reversals.by_id
    assert {name: (each.ordered_at, each.stalled) for name, each in found.items()} == expected


def followed(*lines: CaseEvent) -> bool:
    """Whether people are needed after these."""
    shard = Shard(GRACE)
    for offset, line in enumerate(lines):
        shard.take(LINES, offset, line)
    [reversal] = shard.reversals()
    return reversal.stalled


def test_reversal_is_stalled_as_long_as_one_of_its_directives_has_failed_for_good():
    first, second = {"saw": {"directive_id": "d-1"}}, {"saw": {"directive_id": "d-2"}}
    stuck = [
        about("r", Kind.REVERSAL_ORDERED, 1),
        about("r", Kind.DIRECTIVE_FAILED, 2, reason="failed_permanent", **first),
        about("r", Kind.REVERSAL_STALLED, 3),
        about("r", Kind.DIRECTIVE_FAILED, 4, reason="wrong_amount", **second),
        about("r", Kind.REVERSAL_RETRIED, 5, saw={"directives": "d-1"}),
        about("r", Kind.REVERSAL_ORDERED, 6, reason="by_operator"),
    ]
    assert followed(*stuck)
    assert followed(*stuck, about("r", Kind.REVERSAL_ORDERED, 7, reason="superseded"))
    again = [about("r", Kind.REVERSAL_RETRIED, 7, saw={"directives": "d-2"})]
    assert not followed(*stuck, *again, about("r", Kind.REVERSAL_ORDERED, 8, reason="by_operator"))


def test_what_takes_the_place_of_a_directive_applied_late_ends_the_stall():
    stuck = [
        about("r", Kind.REVERSAL_ORDERED, 1),
        about("r", Kind.DIRECTIVE_FAILED, 2, reason="failed_permanent", saw={"directive_id": "d-1"}),
        about("r", Kind.REVERSAL_STALLED, 3),
        about("r", Kind.DIRECTIVE_APPLIED, 4, reason="applied", saw={"directive_id": "d-1"}, cause_id="ack-9"),
    ]
    assert followed(*stuck)
    assert not followed(*stuck, about("r", Kind.REVERSAL_ORDERED, 5, reason="superseded", cause_id="ack-9"))
    assert followed(*stuck, about("r", Kind.REVERSAL_ORDERED, 5, reason="superseded", cause_id="other"))


def test_failure_that_can_be_tried_again_leaves_nothing_to_mend():
    ordered = about("r", Kind.REVERSAL_ORDERED, 1)
    failed = about("r", Kind.DIRECTIVE_FAILED, 2, reason="failed_retryable", saw={"directive_id": "d-1"})
    out_of_tries = about("r", Kind.REVERSAL_STALLED, 3, reason="out_of_tries")
    assert not followed(ordered, failed)
    assert followed(ordered, failed, out_of_tries)
    assert not followed(ordered, failed, out_of_tries, about("r", Kind.REVERSAL_ORDERED, 4, reason="by_operator"))


def test_case_kept_by_an_older_version_is_late_by_what_was_known_of_it():
    kept = {"o|c-1": msgspec.msgpack.encode([0, "general", "P2", "claimed", True])}
    shard = Shard(GRACE)
    shard.load(kept.items())
    shard.take(LINES, 1, a_decided(NOW, "c-1"))
    counted = counts(shard, NOW, 0)["load|general|P2"]
    assert (counted[Measure.PROMISE_MISSED], counted[Measure.DEADLINE_MET]) == (1, 1)
