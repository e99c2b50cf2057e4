"""A partition keeps the nearest of its timers in memory and reads more as time comes to them."""

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.driver import Driver
from tests.driver.faults import store_down
from tests.topology.ledger import INPUTS, OUT, add, fill, fired, ledger
from topology.engine.timers import ALWAYS, BEFORE_ALL, Timers

_MINUTE_MS = 60_000


def _held(driver, partition=0):
    return driver.workers["0"]._partitions[partition].timers


def _arm(driver, count, *, wait_ms=_MINUTE_MS):
    for n in range(count):
        driver.send(INPUTS[0], f"user-{n:03d}", add(wait=(n + 1) * wait_ms), partition=0)
    driver.run()


def _key(n):
    return f"user-{n:03d}"


@pytest.mark.parametrize("restarted", [False, True])
def test_only_the_nearest_timers_are_in_memory_and_all_fire_in_order(restarted):
    driver = Driver(ledger(), partitions=1, timers_window=4)
    _arm(driver, 60)
    if restarted:
        driver.crash()
        driver.start("0")
    driver.run()
    assert len(_held(driver)) < 8
    assert len(driver.store.timers(0, BEFORE_ALL, 1_000).pairs) == 60

    seen = []
    for minute in range(1, 61):
        driver.advance(_MINUTE_MS)
        driver.run()
        assert len(_held(driver)) < 8
        seen += fired(driver)[len(seen) :]
        assert [key for key, _ in seen] == [_key(n) for n in range(minute)]


def test_timers_due_at_the_same_moment_are_not_cut_in_two():
    driver = Driver(ledger(), partitions=1, timers_window=4, batch_timers=3)
    for n in range(20):
        driver.send(INPUTS[0], _key(n), add(wait=_MINUTE_MS), partition=0)
    driver.run()
    driver.crash()
    driver.start("0")
    driver.run()
    driver.advance(_MINUTE_MS)

    driver.run()

    assert sorted(key for key, _ in fired(driver)) == [_key(n) for n in range(20)]


@pytest.mark.rule(7)
def test_a_timer_that_raised_stays_silent_when_others_are_read_after_it():
    driver = Driver(ledger(), partitions=1, timers_window=2)
    driver.send(INPUTS[0], "bad", add(wait=_MINUTE_MS, fault="fuse"), partition=0)
    _arm(driver, 30)
    for _ in range(30):
        driver.advance(_MINUTE_MS)
        driver.send(INPUTS[0], "late", add(wait=1), partition=0)
        driver.run()

    assert [dead.key for dead in driver.dead_letters()] == [b"bad"]
    assert [key for key, _ in fired(driver) if key not in ("late", "bad")] == [_key(n) for n in range(30)]


@pytest.mark.rule(3)
@pytest.mark.parametrize("lose", ["flush", "lose_timers"])
def test_a_store_that_has_lost_its_timers_is_noticed_when_more_are_read(lose):
    driver = Driver(ledger(), partitions=1, timers_window=2)
    _arm(driver, 10)
    getattr(driver.store, lose)(*([0] if lose == "lose_timers" else []))
    driver.advance(60 * _MINUTE_MS)

    driver.run()

    assert driver.metrics.counts["redis_lost_total"] + driver.metrics.counts["redis_refused_total"] == 1
    assert [key for key, _ in fired(driver)] == [_key(n) for n in range(10)]


@pytest.mark.rule(3)
def test_a_page_without_timers_from_a_flushed_store_does_not_pass_for_no_timers():
    driver = Driver(ledger(), partitions=1, timers_window=2)
    _arm(driver, 10)
    driver.advance(2 * _MINUTE_MS)
    driver.run()
    driver.faults.fail("store.timers", driver.store.flush)
    driver.advance(60 * _MINUTE_MS)

    driver.run()

    assert driver.metrics.counts["redis_lost_total"] == 1
    assert [key for key, _ in fired(driver)] == [_key(n) for n in range(10)]


@pytest.mark.rule(5)
def test_timers_that_cannot_be_read_for_a_while_are_fired_later():
    driver = Driver(ledger(), partitions=1, timers_window=2)
    _arm(driver, 10)
    sent = fill(driver)
    driver.faults.fail("store.timers", store_down, times=3)
    driver.advance(60 * _MINUTE_MS)

    driver.run()

    assert sorted(key for key, _ in fired(driver)) == [_key(n) for n in range(10)]
    assert len([r for r in driver.read(OUT) if b'"id"' in r.value]) == 10 + len(sent)


@pytest.mark.rule(3)
def test_a_timer_that_a_batch_on_its_way_has_moved_fires_when_the_batch_says():
    """More timers are read while the store has not been told yet."""
    driver = Driver(ledger(), partitions=1, timers_window=2, pipelined=True)
    _arm(driver, 10)
    driver.crash()
    driver.start("0")
    driver.run()
    goes_on = threading.Event()
    driver.faults.fail("store.apply", lambda: goes_on.wait(30) and None)
    driver.send(INPUTS[0], _key(9), add(wait=_MINUTE_MS * 7 // 2), partition=0)
    while not driver.step():
        pass
    driver.advance(4 * _MINUTE_MS)
    threading.Timer(0.3, goes_on.set).start()  # the next batch is folded by then, and waits for this one

    driver.run()

    assert [key for key, _ in fired(driver)] == [_key(n) for n in (0, 1, 2, 9, 3)]


def test_what_was_taken_out_does_not_come_back_however_many_earlier_ones_come_after_it():
    timers = Timers([(50, b"silent")])
    timers.pop()
    for n in range(20):
        timers.set(b"%d" % n, n)

    timers.shrink(3)

    assert timers.known_until >= 50, "or it would be read again"


def test_a_batch_on_its_way_is_newer_than_a_page_of_the_store():
    """Its apply waits: what it moved must fire once, when it says, and not when the store still says."""
    driver = Driver(ledger(), partitions=1, timers_window=2)
    _arm(driver, 9)
    timers = _held(driver)
    page = driver.store.timers(0, timers.known_until, 3)
    (due, key), *others = page.pairs
    nearer, later, gone = due - 1, page.until + 1, others[0][1]

    timers.learn(page.pairs, page.until, {key: nearer, b"new": page.until, gone: later})

    found = []
    while (pair := timers.pop()) is not None:
        found.append(pair)
    assert (nearer, key) in found
    assert (page.until, b"new") in found
    assert not {(due, key), others[0]} & set(found)
    assert gone not in {name for _, name in found}


def test_a_timer_that_is_moved_for_ever_leaves_nothing_behind():
    timers = Timers([(n, b"%d" % n) for n in range(10)])
    for n in range(100_000):
        timers.set(b"hot", 1_000_000 + n)

    assert len(timers._heap) < 2_000
    assert len(timers) == 11


_keys = st.integers(0, 9).map(lambda n: b"k%d" % n)
_moves = st.one_of(
    st.tuples(st.just("set"), _keys, st.none() | st.integers(0, 30)),
    st.tuples(st.just("pop"), st.just(b""), st.none()),
    st.tuples(st.just("batch"), st.just(b""), st.none()),
)


@given(moves=st.lists(_moves, max_size=80), window=st.integers(1, 4), applied=st.lists(st.booleans(), min_size=80))
@settings(max_examples=400)
def test_whatever_is_set_popped_read_and_left_to_the_store_the_earliest_comes_first(moves, window, applied):
    """The store is one batch behind or not; all timers are kept in a plain dict beside it."""
    everything: dict[bytes, int] = {}
    silent: set[bytes] = set()
    """Popped and not set since: still in the store, as its state did not change."""
    store: dict[bytes, int] = {}
    running: dict[bytes, int | None] = {}
    flying: dict[bytes, int | None] = {}
    timers = Timers(known_until=0)
    popped_until = -1

    def settle():
        for key, due in flying.items():
            store.pop(key, None) if due is None else store.__setitem__(key, due)

    for number, (what, key, due) in enumerate(moves):
        if what == "set":
            everything.pop(key, None) if due is None else everything.__setitem__(key, due)
            silent.discard(key)
            timers.set(key, due)
            running[key] = due
        elif what == "pop":
            pair = timers.pop()
            if pair is not None:
                assert pair == (everything.pop(pair[1]), pair[1])
                popped_until = max(popped_until, pair[0])
                silent.add(pair[1])
        else:
            settle()
            flying, running = running, {}
            if applied[number]:
                settle()
            timers.shrink(window)
            if not len(timers) and timers.known_until != ALWAYS:
                later = sorted((at, name) for name, at in store.items() if at > timers.known_until)
                until = later[window - 1][0] if len(later) >= window else ALWAYS
                timers.learn([pair for pair in later if pair[0] <= until], until, flying)
        expected = {(at, name) for name, at in everything.items() if at <= timers.known_until}
        assert {(at, name) for name, at in timers._due.items()} == expected
        assert timers.known_until >= popped_until
