"""Sweeps by stream time: any history gives what a fold by hand gives, byte for byte, whatever befell the engine."""

import json
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.driver import START_MS, Driver
from tests.topology.tagging import (
    EDITS,
    INPUTS,
    ORDERS,
    OUT,
    assert_index_is_right,
    edit,
    order,
    plain,
    tagging,
)
from tests.topology.test_simulate_fold import engine, folded, recorded_by
from topology.engine import deadletter
from topology.engine.definition import ClockKind, Scan
from topology.engine.sweep import NotRead, Page, to_ask
from topology.engine.transaction import Step
from topology.partitioner import partition_of

PARTITIONS = 2
_TRIES = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
_TAGS = st.lists(st.sampled_from(["blue", "red", "once"]), max_size=2)
_REASONS = {
    "record": deadletter.HANDLER_RAISED,
    "timer": deadletter.TIMER_RAISED,
    "told": deadletter.TELL_RAISED,
}

_edit = st.fixed_dictionaries(
    {
        "key": st.sampled_from([f"user-{n}" for n in range(8)]),
        "at": st.integers(0, 60),
        "tag": _TAGS,
        "untag": _TAGS,
        "later": st.none() | st.tuples(st.integers(1, 30), st.sampled_from(["blue", "once"])),
        "fuse": st.sampled_from([None, None, None, True, False]),
        "fault": st.sampled_from([None] * 6 + ["after"]),
    }
)
_order = st.fixed_dictionaries(
    {
        "key": st.sampled_from(["o", "p"]),
        "at": st.integers(0, 60),
        "mark": st.sampled_from(["blue", "red", "once"]),
        "limit": st.integers(1, 4),
        "step": st.sampled_from([1, 1, 5, 20]),
        "fuse": st.sampled_from([None] * 5 + [True]),
        "fault": st.sampled_from([None] * 6 + ["after"]),
    }
)
_events = st.lists(st.one_of(_edit, _edit, _edit, _order), max_size=45)


def _send(driver, events):
    """Send each order to all partitions, and at the end a tick that lets all time pass; returns it for `plain`."""
    sent = {p: [] for p in range(PARTITIONS)}

    def put(topic, key, value, at, partition=None):
        partition, offset = driver.send(INPUTS[topic], key, value, at=at, partition=partition)
        sent[partition].append((topic, offset, at, key, value))

    for n, event in enumerate(events):
        more = {k: v for k, v in event.items() if v is not None and k not in ("key", "at", "mark", "limit")}
        at = START_MS + event["at"]
        if "mark" not in event:
            put(0, event["key"], edit(n + 1, **more), at)
            continue
        for partition in range(PARTITIONS):
            put(1, event["key"], order(event["mark"], event["limit"], **more), at, partition)
    for partition in range(PARTITIONS):
        tick = next(f"tick-{n}" for n in range(100) if partition_of(f"tick-{n}".encode(), PARTITIONS) == partition)
        put(0, tick, edit(0), START_MS + 10_000, partition)
    return sent


def _check(driver, sent):
    """Every partition's outputs, in order, its states and its dead letters are those of the fold by hand."""
    states = driver.states()
    refused = Counter()
    for partition, records in sent.items():
        outputs, users, dead = plain(records)
        found = [((r.key or b"").decode(), json.loads(r.value)) for r in driver.read(OUT) if r.partition == partition]
        assert found == outputs
        assert {name: states[name] for name in users} == users
        refused += dead
    reasons = Counter(dict(letter.headers)[deadletter.REASON].decode() for letter in driver.dead_letters())
    expected = Counter({_REASONS[why]: times for why, times in refused.items()})
    # A timer that raised is silent until its state changes; a worker that starts again tries it once more.
    assert reasons[deadletter.TIMER_RAISED] >= expected[deadletter.TIMER_RAISED]
    assert bool(reasons.pop(deadletter.TIMER_RAISED, 0)) == bool(expected.pop(deadletter.TIMER_RAISED, 0))
    assert reasons == expected
    assert_index_is_right(driver)


@pytest.mark.rule(5)
@pytest.mark.rule(8)
@given(
    events=_events,
    batch_records=st.sampled_from([1, 2, 3, 7, 100]),
    batch_timers=st.sampled_from([1, 2, 1_000]),
    timers_window=st.sampled_from([1, 1_000]),
    cached_states=st.sampled_from([1, 1_000]),
    pipelined=st.booleans(),
    restore_records=st.sampled_from([3, 1_000]),
    crashes=st.lists(st.tuples(st.sampled_from(Step), st.integers(1, 4)), max_size=4),
    losses=st.lists(st.tuples(st.integers(1, 20), st.sampled_from(["all", "index", "timers", "back"])), max_size=3),
)
@settings(max_examples=250, **_TRIES)
def test_any_history_is_the_fold_by_hand_whatever_the_batches_crashes_and_losses(
    events, batch_records, batch_timers, timers_window, cached_states, pipelined, restore_records, crashes, losses
):
    driver = Driver(
        tagging(),
        partitions=PARTITIONS,
        clock=ClockKind.STREAM,
        batch_records=batch_records,
        batch_timers=batch_timers,
        timers_window=timers_window,
        cached_states=cached_states,
        pipelined=pipelined,
        restore_records=restore_records,
        dead_letters_in_a_row=1_000,
    )
    sent = _send(driver, events)
    snapshot = driver.store.snapshot()
    for crash in [*crashes, None]:
        if crash is not None:
            driver.crash_at(crash[0], nth=crash[1])
        for n in range(20):
            driver.step()
            if n == 3:
                snapshot = driver.store.snapshot()
            for at, what in losses:
                if n == at:
                    _lose(driver, what, snapshot)
    driver.run()
    driver.crash()
    driver.start("0")
    driver.run()

    _check(driver, sent)


def _lose(driver, what, snapshot):
    if what == "all":
        driver.store.flush()
    elif what == "back":
        driver.store.restore(snapshot)
    else:
        for partition in range(PARTITIONS):
            getattr(driver.store, f"lose_{what}")(partition)


@given(events=_events, batch_records=st.sampled_from([1, 3, 100]), batch_timers=st.sampled_from([1, 1_000]))
@settings(max_examples=150, **_TRIES)
def test_the_offline_fold_finds_tells_and_refuses_what_the_engine_does(events, batch_records, batch_timers):
    driver = Driver(
        tagging(),
        partitions=PARTITIONS,
        clock=ClockKind.STREAM,
        batch_records=batch_records,
        batch_timers=batch_timers,
        dead_letters_in_a_row=1_000,
    )
    _send(driver, events)
    driver.run()

    assert folded(recorded_by(driver), driver.app) == engine(driver, [OUT])


@pytest.mark.parametrize("batch_records", [1, 100])
def test_a_term_about_nobody_is_found_by_both_folds_and_nobody_is_looked_at(batch_records):
    """Also where somebody's only event has raised: such a state is none."""
    driver = Driver(tagging(), partitions=1, clock=ClockKind.STREAM, batch_records=batch_records)
    driver.send(ORDERS, "o", order("blue", 1, step=10), at=START_MS)
    driver.send(EDITS, "ann", edit(1, haunt="ghost", tag=["blue"]), at=START_MS + 1)
    driver.send(EDITS, "ghost", edit(2, fault="after"), at=START_MS + 2)
    driver.send(EDITS, "ann", edit(3, haunt="bob"), at=START_MS + 3)
    driver.send(EDITS, "bob", edit(4), at=START_MS + 4)
    driver.send(EDITS, "ann", edit(5), at=START_MS + 100)

    driver.run()

    rows = [(r.key.decode(), json.loads(r.value)) for r in driver.read(OUT)]
    assert [(name, row["stale"]) for name, row in rows if "stale" in row] == [("bob", True), ("ghost", False)]
    assert "ghost" not in driver.states()
    assert driver.store.terms(0) == {b"blue/ann"}
    assert folded(recorded_by(driver), driver.app) == engine(driver, [OUT])


_changes = st.dictionaries(st.sampled_from([b"t/%d" % n for n in range(10)] + [b"s", b"u"]), st.booleans(), max_size=12)


@given(
    held=st.sets(st.sampled_from([b"t/%d" % n for n in range(10)] + [b"s", b"u"])),
    flying=_changes,
    running=_changes,
    applied=st.sets(st.sampled_from([b"t/%d" % n for n in range(10)])),
    low=st.sampled_from([b"t", b"t/0", b"t/3", b"t/9"]),
    limit=st.integers(1, 6),
)
@settings(max_examples=500, **_TRIES)
def test_a_page_is_exact_however_much_of_the_batch_in_flight_the_store_has_seen(
    held, flying, running, applied, low, limit
):
    scan = Scan(low, b"t0", limit)
    store = _changed(held, {term: there for term, there in flying.items() if term in applied})
    asked = to_ask(scan, flying)
    read = sorted(term for term in store if scan.low < term < scan.high)[:asked]
    page = Page(scan, read, asked, flying)

    now = _changed(held, flying)
    assert page.at(scan, {}) == tuple(sorted(t for t in now if low < t < b"t0")[:limit]), "the next batch can go on"
    later = tuple(sorted(t for t in _changed(now, running) if low < t < b"t0")[:limit])
    try:
        assert page.at(scan, running) == later
    except NotRead:
        assert any(not there and term in now for term, there in running.items()), "nothing was taken out of it"
    with pytest.raises(NotRead):
        page.at(Scan(low, b"t0", limit + 1), {})


def _changed(terms, changes):
    return (terms | {t for t, there in changes.items() if there}) - {t for t, there in changes.items() if not there}


@pytest.mark.parametrize("batch_records", [1, 2, 3, 50])
def test_pages_are_taken_between_records_at_exactly_their_time(batch_records):
    driver = Driver(tagging(), partitions=1, clock=ClockKind.STREAM, batch_records=batch_records)
    for n in range(4):
        driver.send(EDITS, f"user-{n}", edit(n, tag=["blue"]), at=START_MS)
    driver.send(ORDERS, "o", order("blue", 2), at=START_MS + 10)
    driver.send(EDITS, "user-2", edit(10), at=START_MS + 11)
    driver.send(EDITS, "user-3", edit(11, untag=["blue"]), at=START_MS + 11)
    driver.send(EDITS, "user-2", edit(12), at=START_MS + 12)

    driver.run()

    rows = [(r.key.decode(), json.loads(r.value)) for r in driver.read(OUT)]
    assert [(name, row["edits"], row["now"] - START_MS) for name, row in rows if "seen by" in row] == [
        ("user-0", 1, 11),
        ("user-1", 1, 11),
        ("user-2", 2, 12),
    ]
