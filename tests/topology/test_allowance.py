"""What a partition's events spend together: never above the limit, exactly once like everything else."""

import threading
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.driver import START_MS, Driver
from tests.driver.faults import abortable, refused
from tests.driver.producer import MemoryProducer
from tests.topology.ledger import INPUTS, OUT, add, assert_exactly_once, fill, fired, ledger
from tests.topology.spending import DAY_MS, assert_all_spent_right, assert_never_more, dealt, record, told
from topology.engine import deadletter
from topology.engine.allowance import KEY, Allowances, share
from topology.engine.definition import ClockKind, FoldContext
from topology.engine.transaction import Step

_MINUTE_MS = 60_000
_ASKS = {"grants": 10, "coupons": 3}
_LIMITS = {**_ASKS, "late": 6}
_AMPLE = {"grants": 100, "coupons": 3, "late": 6}
"""Nothing of the grants that a run of `_fill` loses or doubles is hidden by a share that is used up."""
_GUARD_S = 10
_KINDS = pytest.mark.parametrize("clock", list(ClockKind), ids=lambda clock: clock.value)
_IN_LINE_OR_NOT = pytest.mark.parametrize("pipelined", [False, True], ids=["in-line", "pipelined"])


def _ask(driver, key, at=0, **more):
    driver.send(INPUTS[0], key, add(**{"spend": {"grants": 2}, **more}), at=START_MS + at)


def _granted(driver):
    return [answer.granted for answer in told(driver)]


def _fill(driver, count=60, start=0):
    """Events that ask, some again by timer, and in between some that raise after they were given something."""
    asks = {name: _AMPLE[name] for name in _ASKS}
    sent = fill(driver, count, start=start, spend=asks, wait=7_000, later={"late": 6})
    for n, fault in enumerate(["after", "poison", "encode"] * 4):
        at = driver.clock.now_ms() + (start + 5 * n) * 1_000 + 500
        driver.send(INPUTS[n % 2], f"user-{n}", add(9, id=n + 1, fault=fault, spend=asks), at=at)
    return sent


# The share of a partition


@given(limit=st.integers(0, 10_000), partitions=st.integers(1, 200))
def test_the_shares_of_all_partitions_add_up_to_the_limit_and_differ_by_one_at_most(limit, partitions):
    shares = [share(limit, p, partitions) for p in range(partitions)]

    assert shares == dealt(limit, partitions)
    assert sum(shares) == limit
    assert max(shares) - min(shares) <= 1


def test_outside_the_engine_a_context_has_the_whole_allowance():
    ctx = FoldContext()

    assert [ctx.spend("grants", 2) for _ in range(3)] == [True, True, False]
    assert ctx.spend("coupons", 1)


def test_a_day_that_is_over_is_not_opened_again_by_a_clock_that_was_turned_back():
    allowances = Allowances(None, partition=0, partitions=1)
    found = [allowances.spend("grants", 2, day * DAY_MS) for day in (7, 8, 7, 8, 7, 9)]

    assert found == [True, True, True, False, False, True]


# Whatever the order, exactly once

_event = st.fixed_dictionaries(
    {
        "topic": st.sampled_from(INPUTS),
        "key": st.sampled_from([f"user-{n}" for n in range(9)]),
        "at": st.integers(0, 3 * DAY_MS),
        "spend": st.sampled_from([{}, {"grants": 10}, {"coupons": 3}, _ASKS]),
        "wait": st.none() | st.integers(1, DAY_MS),
        "fault": st.sampled_from([None, None, None, "after", "poison", "encode", "fuse"]),
    }
)


def _send(driver, events):
    for n, event in enumerate(events):
        more = {name: event[name] for name in ("wait", "fault", "spend") if event[name]}
        value = add(1, id=n + 1, later={"late": 6}, **more)
        driver.send(event["topic"], event["key"], value, at=START_MS + event["at"])


@pytest.mark.rule(5)
@given(
    events=st.lists(_event, max_size=80),
    partitions=st.integers(1, 4),
    clock=st.sampled_from(ClockKind),
    batch_records=st.sampled_from([1, 3, 100]),
    cached_states=st.sampled_from([1, 1_000]),
    pipelined=st.booleans(),
    shuffle=st.none() | st.integers(0, 1_000),
    turns=st.lists(st.sampled_from("01rfc"), max_size=30),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_all_partitions_together_never_give_more_than_the_limit(
    events, partitions, clock, batch_records, cached_states, pipelined, shuffle, turns
):
    driver = Driver(
        ledger(),
        partitions=partitions,
        workers=2,
        clock=clock,
        shuffle=shuffle,
        pipelined=pipelined,
        batch_records=batch_records,
        cached_states=cached_states,
        dead_letters_in_a_row=10_000,
    )
    _send(driver, events)
    for turn in turns:
        match turn:
            case "r":
                driver.rebalance()
            case "f":
                driver.store.flush()
            case "c":
                driver.crash("1")
                driver.start("1")
            case slot:
                driver.step(slot)
        assert_never_more(told(driver), _LIMITS)
    driver.run()
    driver.advance(2 * DAY_MS)
    driver.run()
    # A flush after the last event is noticed by the next one, or by the next start.
    driver.rebalance()
    driver.run()

    assert_all_spent_right(driver, _LIMITS)
    raised = sum(event["fault"] in ("after", "poison", "encode") for event in events)
    assert len([dead for dead in driver.dead_letters() if dead.value]) == raised


@pytest.mark.rule(8)
@given(
    events=st.lists(_event, max_size=60),
    batch_records=st.sampled_from([1, 2, 3, 7, 100]),
    batch_timers=st.sampled_from([1, 2, 1_000]),
    crash=st.none() | st.tuples(st.sampled_from(Step), st.integers(1, 4)),
    shuffle=st.none() | st.integers(0, 1_000),
)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_by_the_stream_clock_the_answers_do_not_depend_on_the_batches(
    events, batch_records, batch_timers, crash, shuffle
):
    runs = [
        Driver(ledger(), partitions=2, clock=ClockKind.STREAM, dead_letters_in_a_row=10_000, **more)
        for more in ({}, {"batch_records": batch_records, "batch_timers": batch_timers, "shuffle": shuffle})
    ]
    if crash is not None:
        runs[1].crash_at(crash[0], nth=crash[1])
        # A new process tries a timer that raised once more, and tells of it once more.
        events = [event | {"fault": None} if event["fault"] == "fuse" else event for event in events]
    for driver in runs:
        _send(driver, events)
        driver.run()

    assert runs[1].outcome(OUT) == runs[0].outcome(OUT)
    assert_all_spent_right(runs[1], _LIMITS)


@pytest.mark.rule(5)
@_IN_LINE_OR_NOT
@pytest.mark.parametrize("nth", [1, 3])
@pytest.mark.parametrize("step", list(Step), ids=lambda step: f"{step.value}-{step.name.lower()}")
def test_a_crash_right_before_a_step_spends_nothing_twice_and_loses_nothing(step, nth, pipelined):
    options = {"clock": ClockKind.STREAM, "batch_records": 7}
    undisturbed = Driver(ledger(), **options)
    driver = Driver(ledger(), pipelined=pipelined, **options)
    driver.crash_at(step, nth=nth)
    for each in (undisturbed, driver):
        _fill(each)
        each.run()

    assert driver.metrics.counts["producer_renewals_total"] >= 2, "the crash did not happen"
    assert_all_spent_right(driver, _AMPLE)
    assert driver.outcome(OUT) == undisturbed.outcome(OUT)


@pytest.mark.rule(5)
@_IN_LINE_OR_NOT
@pytest.mark.parametrize("error", [abortable, refused], ids=["abortable", "refused"])
@pytest.mark.parametrize("call", ["produce", "flush", "send_offsets_to_transaction", "commit_transaction"])
def test_an_aborted_batch_forgets_what_it_spent(call, error, pipelined):
    driver = Driver(ledger(), batch_records=7, pipelined=pipelined)
    sent = _fill(driver, 20)
    driver.run()
    sent += _fill(driver, 20, start=100)
    driver.faults.fail(call, error)

    driver.run()

    assert driver.metrics.counts["batches_failed_total"] >= 1
    assert_all_spent_right(driver, _AMPLE)
    assert_exactly_once(driver, sent)


@pytest.mark.rule(1)
@pytest.mark.parametrize("call", ["begin_transaction", "flush", "send_offsets_to_transaction", "commit_transaction"])
def test_what_a_fenced_worker_spent_is_not_spent(call):
    driver = Driver(ledger(), batch_records=7)
    sent = _fill(driver)
    rival = MemoryProducer(driver.broker, "ledger-0")
    driver.faults.fail(call, lambda: rival.init_transactions(1))

    driver.run()

    assert driver.metrics.counts["transactions_fenced_total"] == 1
    assert_all_spent_right(driver, _AMPLE)
    assert_exactly_once(driver, sent)


@pytest.mark.rule(1)
@pytest.mark.rule(4)
def test_a_partition_that_moves_takes_what_was_spent_along():
    driver = Driver(ledger(), batch_records=7)
    sent = _fill(driver, 20)
    driver.run()
    driver.start("1")
    sent += _fill(driver, 20, start=100)
    driver.run()
    assert all(worker.partitions for worker in driver.workers.values())
    driver.crash("0")
    sent += _fill(driver, 20, start=200)

    driver.run()

    assert len(driver.workers["1"].partitions) == 4
    assert_all_spent_right(driver, _AMPLE)
    assert_exactly_once(driver, sent)


@pytest.mark.rule(3)
@pytest.mark.parametrize("restart", [False, True])
def test_a_flushed_store_gets_back_what_was_spent(restart):
    driver = Driver(ledger(), partitions=1, cached_states=1)
    _ask(driver, "ann")
    driver.run()

    driver.store.flush()
    if restart:
        driver.crash()
        driver.start("0")
    for key in ("bob", "cat", "dan"):
        _ask(driver, key)
    driver.run()

    assert _granted(driver) == [True, True, False, False]
    assert driver.metrics.counts["redis_rebuilt_total"] == 2
    assert_all_spent_right(driver, {"grants": 2})


@pytest.mark.rule(5)
def test_a_batch_is_folded_on_what_the_batch_in_flight_has_spent():
    folded = threading.Event()

    def handle(account, event, ctx):
        plain.handle(account, event, ctx)
        if account.name == "bob":
            folded.set()

    def wait():
        assert folded.wait(_GUARD_S), "the second batch was not folded while the first was being committed"

    plain = ledger()
    driver = Driver(ledger(handle=handle), partitions=1, pipelined=True)
    driver.run()
    driver.faults.fail("commit_transaction", wait)
    _ask(driver, "ann", spend={"grants": 1})
    driver.step()
    _ask(driver, "bob", spend={"grants": 1})

    driver.run()

    assert _granted(driver) == [True, False]
    assert_all_spent_right(driver, {"grants": 1})


# Events that raise


@pytest.mark.rule(7)
@_KINDS
@pytest.mark.parametrize("fault", ["after", "poison", "encode"])
@pytest.mark.parametrize("batch_records", [1, 100], ids=["in batches of their own", "in one batch"])
def test_an_event_that_raises_gives_back_what_it_spent(fault, batch_records, clock):
    driver = Driver(ledger(), partitions=1, clock=clock, batch_records=batch_records)
    for n, key in enumerate(["ann", "bob", "ann"]):
        _ask(driver, key, at=2 * n, fault=fault)
        _ask(driver, key, at=2 * n + 1)

    driver.run()

    assert len(driver.dead_letters()) == 3
    assert _granted(driver) == [True, True, False]
    assert_all_spent_right(driver, {"grants": 2})


@pytest.mark.rule(7)
@_KINDS
def test_what_is_folded_again_after_a_raise_is_told_the_same_and_spends_nothing(clock):
    driver = Driver(ledger(), partitions=1, clock=clock)
    asks = {"grants": 3, "coupons": 1}
    for n, (key, fault) in enumerate([("ann", None), ("ann", None), ("bob", None), ("ann", "after"), ("cat", None)]):
        _ask(driver, key, at=n, spend=asks, **({"fault": fault} if fault else {}))

    driver.run()

    assert [a.granted for a in told(driver) if a.name == "grants"] == [True, True, True, False]
    assert [a.granted for a in told(driver) if a.name == "coupons"] == [True, False, False, False]
    assert driver.states()["ann"].granted == 3
    assert_all_spent_right(driver, asks)


@pytest.mark.rule(7)
def test_a_spender_that_only_raises_leaves_no_record():
    driver = Driver(ledger(), partitions=1)
    _ask(driver, "ann", fault="after")

    driver.run()

    assert driver.shared() == driver.stored_shared() == {}


@pytest.mark.rule(7)
@pytest.mark.parametrize("batch_records", [1, 100])
def test_an_event_that_raises_on_a_new_day_leaves_the_day_before_as_it_was(batch_records):
    driver = Driver(ledger(), partitions=1, clock=ClockKind.STREAM, batch_records=batch_records)
    _ask(driver, "ann", at=DAY_MS - 1)
    _ask(driver, "bob", at=DAY_MS, fault="after")

    driver.run()

    assert _granted(driver) == [True]
    assert record(driver.shared()[0, KEY]) == {"day": START_MS // DAY_MS, "spent": {"grants": 1}}


# Timers


@_KINDS
def test_a_timer_spends_of_the_day_on_which_it_fires(clock):
    driver = Driver(ledger(), partitions=1, clock=clock)
    for n, key in enumerate(["ann", "bob", "cat"]):
        driver.send(INPUTS[0], key, add(wait=DAY_MS, later={"grants": 2}), at=START_MS + n)
    _ask(driver, "dan", at=3)
    driver.run()
    driver.advance(DAY_MS + 10)
    driver.send(INPUTS[0], "eve", add())

    driver.run()

    assert len(fired(driver)) == 3
    assert _granted(driver) == [True, True, True, False]
    assert record(driver.shared()[0, KEY]) == {"day": START_MS // DAY_MS + 1, "spent": {"grants": 2}}
    assert_all_spent_right(driver, {"grants": 2})


@pytest.mark.rule(7)
@_KINDS
def test_a_timer_that_raises_gives_back_what_it_spent(clock):
    driver = Driver(ledger(), partitions=1, clock=clock)
    driver.send(INPUTS[0], "ann", add(wait=1_000, fault="fuse", spend={"coupons": 5}, later={"grants": 1}))
    driver.send(INPUTS[0], "bob", add(wait=2_000, later={"grants": 1}))
    driver.run()
    driver.advance(_MINUTE_MS)
    driver.send(INPUTS[0], "cat", add())

    driver.run()

    assert len(driver.dead_letters()) == 1
    assert _granted(driver) == [True, True]
    assert_all_spent_right(driver, {"grants": 1, "coupons": 5})


@pytest.mark.rule(7)
def test_a_timer_that_leaves_itself_due_gives_back_what_it_spent():
    def handle(account, event, ctx):
        plain.handle(account, event, ctx)
        if "timer" in event and account.name == "ann":
            account.dues = [ctx.now]

    plain = ledger()
    driver = Driver(ledger(handle=handle), partitions=1)
    for n, key in enumerate(["ann", "bob"]):
        driver.send(INPUTS[0], key, add(wait=1_000 + n, later={"grants": 1}))
    driver.run()
    driver.advance(_MINUTE_MS)

    driver.run()

    assert [key for key, _ in fired(driver)] == ["bob"]
    assert_all_spent_right(driver, {"grants": 1})


@pytest.mark.rule(7)
def test_a_timer_that_raises_before_it_is_handled_takes_nothing_back_of_the_event_before():
    def timer(key, now):
        if key == "bob":
            raise ValueError("no timer for him")
        return {"timer": now}

    driver = Driver(ledger(timer=timer), partitions=1, clock=ClockKind.STREAM)
    driver.send(INPUTS[0], "bob", add(wait=20), at=START_MS)
    _ask(driver, "ann", at=10, spend={"grants": 1})
    _ask(driver, "cat", at=30, spend={"grants": 1})

    driver.run()

    assert len(driver.dead_letters()) == 1
    assert _granted(driver) == [True, False]
    assert_all_spent_right(driver, {"grants": 1})


# Days


@_KINDS
@_IN_LINE_OR_NOT
def test_a_new_day_gives_a_new_allowance_and_the_days_before_are_dropped(pipelined, clock):
    driver = Driver(ledger(), partitions=1, clock=clock, pipelined=pipelined)
    for day in range(3):
        for n, key in enumerate(["ann", "bob", "cat"]):
            _ask(driver, key, at=day * DAY_MS + n)
        driver.run()
        assert record(driver.shared()[0, KEY]) == {"day": START_MS // DAY_MS + day, "spent": {"grants": 2}}
        driver.advance(DAY_MS)

    assert _granted(driver) == [True, True, False] * 3
    assert_all_spent_right(driver, {"grants": 2})


def test_a_batch_that_reaches_over_midnight_spends_of_both_days():
    driver = Driver(ledger(), partitions=1, clock=ClockKind.STREAM)
    for at in (DAY_MS - 3, DAY_MS - 2, DAY_MS - 1, DAY_MS, DAY_MS + 1, DAY_MS + 2):
        _ask(driver, f"user-{at}", at=at)

    driver.run()

    assert driver.metrics.counts["transactions_committed_total"] == 1
    assert _granted(driver) == [True, True, False] * 2
    assert_all_spent_right(driver, {"grants": 2})


# The record of a partition


@pytest.mark.rule(7)
@pytest.mark.parametrize("batch_records", [1, 100])
def test_an_input_under_the_records_key_is_a_dead_letter_and_the_record_stays_as_it_is(batch_records):
    driver = Driver(ledger(), partitions=1, batch_records=batch_records)
    driver.send(INPUTS[0], KEY, add(50, spend={"grants": 2}), at=START_MS)
    _ask(driver, "ann", at=1)
    driver.send(INPUTS[0], KEY, add(50, spend={"grants": 2}), at=START_MS + 2)
    _ask(driver, "bob", at=3)
    _ask(driver, "cat", at=4)

    driver.run()

    reasons = [dict(dead.headers)[deadletter.REASON] for dead in driver.dead_letters()]
    assert reasons == [deadletter.BAD_KEY.encode()] * 2
    assert _granted(driver) == [True, True, False]
    assert driver.states().keys() == {"ann", "bob", "cat"}
    assert_all_spent_right(driver, {"grants": 2})


def test_who_never_spends_has_no_record_and_its_place_is_read_once_a_partition():
    driver = Driver(ledger(), cached_states=1, batch_records=5)
    read, reads = driver.store.read, Counter()

    def watch(wanted):
        reads.update(p for p, keys in wanted.items() if KEY in keys)
        return read(wanted)

    driver.store.read = watch
    sent = fill(driver, 200)

    driver.run()

    assert reads == dict.fromkeys(range(4), 1)
    assert driver.shared() == driver.stored_shared() == {}
    assert_exactly_once(driver, sent)


def test_the_record_is_written_only_by_batches_that_spend():
    driver = Driver(ledger(), partitions=1)
    for more in ({"spend": {"grants": 1}}, {}, {"spend": {"grants": 1}}, {"spend": {"grants": 2}}, {}):
        driver.send(INPUTS[0], "ann", add(**more))
        driver.run()

    written = [r.value for r in driver.read(driver.app.changelog) if r.key == KEY]
    assert [record(raw)["spent"]["grants"] for raw in written] == [1, 2]
