"""`clock: stream`: the same records give the same bytes, whatever the batches, crashes and order of arrival."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.driver import START_MS, Driver
from tests.topology.ledger import INPUTS, OUT, add, fired, ledger, plain
from topology.engine.definition import ClockKind
from topology.engine.transaction import Step

_STREAM = {"clock": ClockKind.STREAM}
_TRIES = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])

_event = st.fixed_dictionaries(
    {
        "topic": st.integers(0, 1),
        "key": st.sampled_from([f"user-{n}" for n in range(6)]),
        "at": st.integers(0, 500),
        "amount": st.integers(1, 9),
        "wait": st.none() | st.integers(1, 200),
    }
)


def _send(driver, events):
    """Send; returns the same records by partition for `plain`."""
    sent = {p: [] for p in range(driver.partitions)}
    for n, event in enumerate(events):
        more = {} if event["wait"] is None else {"wait": event["wait"]}
        value = add(event["amount"], id=n + 1, **more)
        at = START_MS + event["at"]
        partition, offset = driver.send(INPUTS[event["topic"]], event["key"], value, at=at)
        sent[partition].append((event["topic"], offset, at, event["key"], value))
    return sent


def _check(driver, sent):
    """Every partition's outputs, in order and to the byte, and its states, are those of the fold by hand."""
    states = driver.states()
    for partition, records in sent.items():
        outputs, accounts = plain(records)
        found = [((r.key or b"").decode(), r.value) for r in driver.read(OUT) if r.partition == partition]
        assert found == outputs
        assert {name: states[name] for name in accounts} == accounts
    assert driver.stored_states() == states


@pytest.mark.rule(8)
@given(
    events=st.lists(_event, max_size=60),
    batch_records=st.sampled_from([1, 2, 3, 7, 100]),
    batch_timers=st.sampled_from([1, 2, 3, 1_000]),
    timers_window=st.sampled_from([1, 2, 1_000]),
    shuffle=st.none() | st.integers(0, 1_000),
    cached_states=st.sampled_from([1, 1_000]),
    buffered_records=st.sampled_from([4, 1_000]),
    crashes=st.lists(st.tuples(st.sampled_from(Step), st.integers(1, 4)), max_size=3),
    flushes=st.lists(st.integers(1, 12), max_size=2),
)
@_TRIES
def test_bytes_do_not_depend_on_batches_crashes_flushes_or_arrival(
    events, batch_records, batch_timers, timers_window, shuffle, cached_states, buffered_records, crashes, flushes
):
    driver = Driver(
        ledger(),
        partitions=2,
        shuffle=shuffle,
        batch_records=batch_records,
        batch_timers=batch_timers,
        timers_window=timers_window,
        cached_states=cached_states,
        buffered_records=buffered_records,
        **_STREAM,
    )
    sent = _send(driver, events)
    for step, nth in crashes:
        driver.crash_at(step, nth=nth)
        for n in range(6):
            driver.step()
            if n in flushes:
                driver.store.flush()

    driver.run()
    # A flush after the last event is noticed by the next one, or by the next start.
    driver.crash()
    driver.start("0")
    driver.run()

    _check(driver, sent)


@pytest.mark.parametrize("batch_records", [1, 2, 3, 50])
@pytest.mark.parametrize("batch_timers", [1, 2, 100])
def test_timers_fire_between_records_at_exactly_their_time(batch_records, batch_timers):
    driver = Driver(ledger(), partitions=1, batch_records=batch_records, batch_timers=batch_timers, **_STREAM)
    events = [
        {"topic": 0, "key": "ann", "at": 0, "amount": 1, "wait": 50},
        {"topic": 1, "key": "bob", "at": 10, "amount": 1, "wait": 40},
        {"topic": 0, "key": "cat", "at": 20, "amount": 1, "wait": 5},
        {"topic": 1, "key": "ann", "at": 30, "amount": 1, "wait": 100},
        {"topic": 0, "key": "bob", "at": 49, "amount": 1, "wait": None},
        {"topic": 0, "key": "bob", "at": 50, "amount": 1, "wait": None},
        {"topic": 1, "key": "ann", "at": 500, "amount": 1, "wait": None},
    ]
    sent = _send(driver, events)

    driver.run()

    assert [(key, at - START_MS) for key, at in fired(driver)] == [("cat", 25), ("ann", 50), ("bob", 50), ("ann", 130)]
    _check(driver, sent)


def test_a_flood_of_timers_does_not_overtake_records_that_come_before_them():
    """More timers than a batch takes are due by the last record, none of them by the first."""
    driver = Driver(ledger(), partitions=1, batch_timers=3, **_STREAM)
    sent = _send(driver, [{"topic": 0, "key": f"user-{n}", "at": 0, "amount": 1, "wait": 50} for n in range(9)])
    driver.run()
    late = [
        {"topic": 0, "key": "user-3", "at": 10, "amount": 100, "wait": None},
        {"topic": 0, "key": "user-4", "at": 90, "amount": 1_000, "wait": None},
    ]
    sent[0] += _send(driver, late)[0]

    driver.run()

    _check(driver, sent)


def test_the_clock_stands_still_without_records_and_the_machines_clock_does_not_matter():
    driver = Driver(ledger(), partitions=1, **_STREAM)
    _send(driver, [{"topic": 0, "key": "ann", "at": 0, "amount": 1, "wait": 50}])
    driver.run()
    driver.advance(3_600_000)
    driver.run()
    assert fired(driver) == []

    _send(driver, [{"topic": 0, "key": "bob", "at": 51, "amount": 1, "wait": None}])
    driver.run()
    assert fired(driver) == [("ann", START_MS + 50)]


def test_a_late_record_does_not_turn_the_clock_back():
    driver = Driver(ledger(), partitions=1, batch_records=1, **_STREAM)
    for n, at in enumerate([100, 40, 120]):
        driver.send(INPUTS[0], "ann", add(id=n + 1), at=START_MS + at)

    driver.run()

    assert [r.timestamp - START_MS for r in driver.read(OUT)] == [100, 100, 120]


@pytest.mark.parametrize("at", [0, 1_000, -1, 7_258_118_400_000, 2**62])
def test_an_implausible_timestamp_does_not_move_the_clock(at):
    driver = Driver(ledger(), partitions=1, **_STREAM)
    driver.send(INPUTS[0], "ann", add(id=1, wait=50), at=START_MS)
    driver.broker.append(INPUTS[0], b"ann", add(id=2), timestamp=at) if at else driver.send(
        INPUTS[0], "ann", b"x", at=1
    )
    driver.send(INPUTS[0], "ann", add(id=3), at=START_MS + 10)

    driver.run()

    assert fired(driver) == []
    assert [r.timestamp - START_MS for r in driver.read(OUT)] == [0, 10]
    assert len(driver.dead_letters()) == 1


@pytest.mark.rule(5)
def test_the_clock_of_a_partition_survives_a_restart_with_the_offsets():
    driver = Driver(ledger(), partitions=1, **_STREAM)
    driver.send(INPUTS[0], "ann", add(id=1), at=START_MS + 100)
    driver.run()
    driver.store.flush()
    driver.crash()
    driver.start("0")
    driver.send(INPUTS[1], "ann", add(id=2), at=START_MS + 40)

    driver.run()

    assert [r.timestamp - START_MS for r in driver.read(OUT)] == [100, 100]


def test_a_record_waits_until_the_other_input_has_been_read_to_its_end():
    driver = Driver(ledger(), partitions=1, batch_records=4, **_STREAM)
    for n in range(20):
        driver.send(INPUTS[1], "ann", add(id=100 + n), at=START_MS + 1_000 + n)
    for n in range(20):
        driver.send(INPUTS[0], "ann", add(id=1 + n), at=START_MS + n)

    driver.run()

    assert [r.timestamp - START_MS for r in driver.read(OUT)] == [*range(20), *range(1_000, 1_020)]


def test_by_the_machines_clock_a_record_waits_for_a_slower_input_only_so_long():
    driver = Driver(ledger(), partitions=1, align_s=2.0)
    driver.run()
    hidden = driver.broker.log(INPUTS[0], 0)
    fetch, hidden.fetch = hidden.fetch, lambda position, *rest, **more: ([], position)
    driver.send(INPUTS[0], "ann", add(id=1))
    driver.send(INPUTS[1], "ann", add(id=2))
    driver.workers["0"]._partitions[0].merge.lanes[0].at_end = False
    waited_from = driver.clock.monotonic()
    while not driver.read(OUT):
        driver.step()

    assert 2.0 <= driver.clock.monotonic() - waited_from < 3.0
    hidden.fetch = fetch
    driver.run()
    assert len(driver.read(OUT)) == 2


def flooded(records):
    """A worker with a backlog on partition 0, and on partition 1 a record whose other input stays unread."""
    driver = Driver(ledger(), partitions=2, batch_records=4, align_s=2.0, align_most_s=30.0)
    driver.run()
    hidden = driver.broker.log(INPUTS[0], 1)
    fetch, hidden.fetch = hidden.fetch, lambda position, *rest, **more: ([], position)
    driver.send(INPUTS[0], "bob", add(id=1), partition=1)
    driver.send(INPUTS[1], "bob", add(id=2), partition=1)
    driver.workers["0"]._partitions[1].merge.lanes[0].at_end = False
    driver.step()  # from here on it is known that something of that input is still to come
    for n in range(records):
        driver.send(INPUTS[0], "ann", add(id=100 + n), partition=0)

    def show():
        hidden.fetch = fetch

    return driver, show


def of_bob(driver):
    return [record.key for record in driver.read(OUT)].count(b"bob")


def seconds_until(driver, reached):
    """Let a second pass for each step."""
    for seconds in range(120):
        if reached():
            return seconds
        driver.step()
        driver.advance(1_000)
    raise AssertionError("never")


def test_time_in_which_a_backlog_comes_does_not_count_against_a_slower_input():
    driver, show = flooded(60)
    for _ in range(10):
        driver.step()
        driver.advance(1_000)
    assert of_bob(driver) == 0
    show()
    driver.run()
    assert of_bob(driver) == 2


def test_a_slower_input_has_its_time_again_once_the_backlog_is_over():
    driver, _ = flooded(40)
    seconds_until(driver, lambda: len(driver.read(OUT)) == 40)
    assert of_bob(driver) == 0
    assert 2 <= seconds_until(driver, lambda: of_bob(driver)) <= 4


def test_a_backlog_without_end_holds_nobody_up_for_ever():
    driver, _ = flooded(400)
    assert 30 <= seconds_until(driver, lambda: of_bob(driver)) <= 32
