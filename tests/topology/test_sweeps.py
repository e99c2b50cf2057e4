"""A command to all partitions finds every user to whom it applies, and changes each exactly once."""

import json

import pytest

from tests.driver import START_MS, Driver
from tests.driver.faults import abortable, store_down
from tests.topology.tagging import (
    EDITS,
    INPUTS,
    ORDERS,
    OUT,
    PREFIX,
    assert_index_is_right,
    assert_marked_once,
    broadcast,
    edit,
    marks,
    order,
    settle,
    tagging,
    told,
)
from topology.engine import deadletter
from topology.engine.definition import ClockKind
from topology.engine.errors import Misconfigured
from topology.engine.ports import Apply
from topology.engine.transaction import Step

_STEPS = pytest.mark.parametrize("step", list(Step), ids=lambda step: step.name.lower())
_COLD = {"cached_states": 1}
BLUE = [f"user-{n}" for n in range(0, 40, 2)]


def _with_users(**settings):
    """Forty users, every other one blue."""
    driver = Driver(tagging(), **{"partitions": 2, "batch_records": 10, **settings})
    for n in range(40):
        driver.send(EDITS, f"user-{n}", edit(n, tag=["blue"] if n % 2 == 0 else ["red"]))
    driver.run()
    return driver


def _traffic(driver, start, count=20):
    for n in range(count):
        driver.send(EDITS, f"user-{(start + n) % 40}", edit(1_000 + start + n))


# --- what is found ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [{}, _COLD, {"pipelined": True}], ids=["cached", "cold", "pipelined"])
@pytest.mark.parametrize("limit", [1, 2, 5, 100])
def test_an_order_to_all_partitions_marks_each_user_with_the_tag_once(limit, settings):
    driver = _with_users(**settings)
    broadcast(driver, "o", order("blue", limit))

    settle(driver)

    assert_marked_once(driver, "o", BLUE)
    seen = [record.key.decode() for record in driver.read(OUT) if b'"seen by"' in record.value]
    assert sorted(seen) == sorted(BLUE)
    assert driver.metrics.counts["told_events_total"] == len(BLUE)
    assert driver.metrics.counts["marks_total"] == len(BLUE)
    assert driver.metrics.counts["edits_total"] == 40 * 0.5
    assert driver.dead_letters() == []


def test_users_are_judged_as_ever_while_a_sweep_runs():
    driver = _with_users(batch_records=7)
    broadcast(driver, "o", order("blue", 1))
    for n in range(40):
        _traffic(driver, n * 20)
        for _ in range(3):
            driver.step()
        driver.advance(1)

    settle(driver)

    assert_marked_once(driver, "o", BLUE)
    assert sum(user.edits for user in driver.states().values()) == 40 + 800


def test_two_orders_at_once_do_not_hinder_each_other():
    driver = _with_users()
    broadcast(driver, "o", order("blue", 3))
    broadcast(driver, "p", order("blue", 2))
    broadcast(driver, "q", order("red", 4))

    settle(driver)

    assert_marked_once(driver, "o", BLUE)
    assert_marked_once(driver, "p", BLUE)
    assert marks(driver, "q") == dict.fromkeys((f"user-{n}" for n in range(1, 40, 2)), 1)


@pytest.mark.parametrize("orders", [1, 3])
@pytest.mark.parametrize("limit", [1, 3])
def test_a_sweep_that_takes_out_what_it_finds_comes_to_its_end(limit, orders):
    driver = Driver(tagging(), partitions=1)
    for n in range(20):
        driver.send(EDITS, f"user-{n}", edit(n, tag=["once"]))
    driver.run()
    for n in range(orders):
        driver.send(ORDERS, f"o-{n}", order("once", limit))

    settle(driver)

    found = {name: user.marks for name, user in driver.states().items()}
    assert all(len(mine) == sum(mine.values()) == 1 for mine in found.values()), found
    assert driver.store.terms(0) == set()


def test_a_page_full_of_what_the_batch_in_flight_takes_out_is_not_taken_for_the_last():
    """Otherwise the sweep would end there, and the users after it would never be found."""
    driver = Driver(tagging(), partitions=1, pipelined=True, batch_records=100)
    for n in range(9):
        driver.send(EDITS, f"user-{n}", edit(n, tag=["blue"]))
    driver.run()
    driver.send(ORDERS, "o", order("blue", 3))
    driver.run()
    for n in range(8):
        driver.send(EDITS, f"user-{n}", edit(100 + n, untag=["blue"]))
    driver.advance(1)

    settle(driver)

    assert "user-8" in marks(driver, "o")


@pytest.mark.parametrize("clock", list(ClockKind))
def test_who_is_tagged_right_before_the_timer_is_found_though_no_store_knows_it_yet(clock):
    driver = Driver(tagging(), partitions=1, clock=clock)
    driver.send(ORDERS, "o", order("blue", 10), at=START_MS)
    driver.send(EDITS, "ann", edit(1, tag=["blue"]), at=START_MS)
    driver.send(EDITS, "bob", edit(2, tag=["blue"]), at=START_MS + 1)
    driver.run()
    driver.advance(10)
    driver.send(EDITS, "tick", edit(3), at=START_MS + 10)

    settle(driver)

    # By the stream clock bob comes at the moment of the timer, which is before him.
    assert marks(driver, "o") == {"ann": 1} | ({} if clock is ClockKind.STREAM else {"bob": 1})


def test_a_term_that_is_stale_is_looked_at_and_harms_nobody():
    driver = Driver(tagging(), partitions=1)
    driver.send(EDITS, "ann", edit(1, tag=["blue"]))
    driver.run()
    checkpoint = driver.store.checkpoints([0])[0]
    driver.store.apply([Apply(0, checkpoint, checkpoint, [], [(b"blue/ghost", True), (b"blue/ann", True)])])
    driver.send(ORDERS, "o", order("blue", 1))

    settle(driver)

    assert_marked_once(driver, "o", ["ann"])
    assert "ghost" not in driver.states()


# --- exactly once ---------------------------------------------------------------------------------------------------


@pytest.mark.rule(5)
@pytest.mark.parametrize("pipelined", [False, True], ids=["in-line", "pipelined"])
@pytest.mark.parametrize("nth", [1, 2, 3, 5])
@_STEPS
def test_a_crash_at_any_step_of_a_sweep_marks_nobody_twice_and_forgets_nobody(step, nth, pipelined):
    driver = _with_users(pipelined=pipelined)
    broadcast(driver, "o", order("blue", 2))
    _traffic(driver, 0)
    driver.crash_at(step, nth=nth)

    settle(driver)

    assert driver.metrics.counts["producer_renewals_total"] >= 2, "the crash did not happen"
    assert_marked_once(driver, "o", BLUE)
    assert sum(user.edits for user in driver.states().values()) == 60


@pytest.mark.rule(5)
def test_crash_after_crash_at_every_step_still_marks_each_once():
    driver = _with_users()
    broadcast(driver, "o", order("blue", 1))
    for step in [*Step, *reversed(Step)]:
        driver.crash_at(step, nth=2)
        settle(driver, ms=2)

    settle(driver)

    assert driver.metrics.counts["producer_renewals_total"] > len(Step)
    assert_marked_once(driver, "o", BLUE)


@pytest.mark.rule(6)
@pytest.mark.parametrize("pipelined", [False, True], ids=["in-line", "pipelined"])
def test_a_sweep_goes_on_where_it_was_when_partitions_change_hands(pipelined):
    driver = _with_users(workers=2, pipelined=pipelined)
    broadcast(driver, "o", order("blue", 1))
    for n in range(12):
        _traffic(driver, n)
        settle(driver, ms=1)
        if n % 3 == 0:
            driver.rebalance()
        elif n % 3 == 1:
            driver.crash("1")
        else:
            driver.start("1")

    settle(driver)

    assert_marked_once(driver, "o", BLUE)


@pytest.mark.rule(3)
@pytest.mark.parametrize("what", ["everything", "index", "timers"])
@pytest.mark.parametrize("call", ["store.read", "store.scan", "store.apply", "store.timers", "commit_transaction"])
@pytest.mark.parametrize("nth", [1, 2, 4])
def test_a_redis_that_loses_its_data_at_any_moment_of_a_sweep_hides_nobody(call, nth, what):
    driver = _with_users(**_COLD)
    broadcast(driver, "o", order("blue", 2))
    _traffic(driver, 0)
    passed = []

    def lose():
        passed.append(call)
        if len(passed) == nth:
            _lose(driver, what)

    driver.faults.fail(call, lose, times=nth)

    settle(driver)
    passed += [call] * nth  # no more of it
    _start_again(driver)

    assert_marked_once(driver, "o", BLUE)


def _start_again(driver):
    """What is lost after the last event is noticed by the next one, or by the next start."""
    driver.crash()
    driver.start("0")
    driver.run()


def _lose(driver, what):
    if what == "everything":
        driver.store.flush()
        return
    for partition in range(driver.partitions):
        getattr(driver.store, f"lose_{what}")(partition)


@pytest.mark.rule(3)
@pytest.mark.parametrize("what", ["everything", "index"])
def test_redis_lost_before_each_page_and_again_after_each(what):
    driver = _with_users(**_COLD)
    broadcast(driver, "o", order("blue", 2))
    for _ in range(30):
        _lose(driver, what)
        for _ in range(3):
            driver.step()
        driver.advance(1)

    settle(driver)
    _start_again(driver)

    assert driver.metrics.counts["redis_lost_total"] + driver.metrics.counts["redis_refused_total"] > 5
    assert_marked_once(driver, "o", BLUE)


@pytest.mark.rule(3)
def test_a_redis_that_fell_back_to_an_older_state_finds_who_was_tagged_since():
    driver = _with_users()
    older = driver.store.snapshot()
    driver.send(EDITS, "new", edit(100, tag=["blue"]))
    driver.send(EDITS, "user-0", edit(101, untag=["blue"]))
    broadcast(driver, "o", order("blue", 100))
    driver.run()
    driver.store.restore(older)
    driver.advance(1)

    settle(driver)
    assert driver.metrics.counts["redis_lost_total"] >= 1
    assert_marked_once(driver, "o", [*BLUE[1:], "new"])


@pytest.mark.rule(5)
@pytest.mark.parametrize("call", ["flush", "send_offsets_to_transaction", "commit_transaction"])
def test_a_page_whose_batch_is_aborted_has_told_and_counted_nothing(call):
    driver = _with_users()
    broadcast(driver, "o", order("blue", 2))
    driver.run()
    driver.advance(1)
    driver.faults.fail(call, abortable)

    driver.step()
    assert driver.metrics.counts["transactions_aborted_total"] == 1
    assert told(driver, "o") == {}
    assert driver.metrics.counts["marks_total"] == driver.metrics.counts["told_events_total"] == 0

    settle(driver)
    assert_marked_once(driver, "o", BLUE)
    assert driver.metrics.counts["marks_total"] == driver.metrics.counts["told_events_total"] == len(BLUE)


@pytest.mark.rule(9)
def test_a_redis_that_does_not_answer_a_scan_is_waited_for():
    driver = _with_users()
    broadcast(driver, "o", order("blue", 2))
    driver.faults.fail("store.scan", store_down, times=4)

    settle(driver)

    assert_marked_once(driver, "o", BLUE)


# --- what raises ----------------------------------------------------------------------------------------------------


@pytest.mark.rule(7)
@pytest.mark.parametrize("clock", list(ClockKind))
def test_a_user_who_cannot_be_told_stays_as_it_was_and_the_others_are_told(clock):
    driver = Driver(tagging(), partitions=1, clock=clock)
    for n, name in enumerate(["ann", "bob", "cat"]):
        driver.send(EDITS, name, edit(n, tag=["blue"], fuse=name == "bob"), at=START_MS)
    driver.send(ORDERS, "o", order("blue", 2), at=START_MS)
    driver.run()
    driver.advance(50)
    driver.send(EDITS, "bob", edit(10), at=START_MS + 50)

    settle(driver)

    (dead,) = driver.dead_letters()
    headers = dict(dead.headers)
    assert (dead.topic, dead.key, dead.value) == ("edits.dlq", b"bob", None)
    assert headers[deadletter.REASON] == deadletter.TELL_RAISED.encode()
    assert (headers[deadletter.TOLD], headers[deadletter.TELLER]) == (b"bob", PREFIX + b"o")
    assert b"fuse" in headers[deadletter.MESSAGE]
    assert marks(driver, "o") == told(driver, "o") == {"ann": 1, "cat": 1}
    bob = driver.states()["bob"]
    assert (bob.edits, bob.marks, bob.tags) == (2, {}, ["blue"])
    assert driver.metrics.counts["marks_total"] == 2
    assert_index_is_right(driver)


@pytest.mark.rule(7)
def test_a_user_who_cannot_be_told_keeps_what_the_batch_has_told_it_before():
    driver = Driver(tagging(), partitions=1)
    driver.send(EDITS, "ann", edit(1, tag=["blue", "red"], fuse=False))
    driver.run()
    for name, tag in (("o", "blue"), ("p", "red")):
        driver.send(ORDERS, name, order(tag, 5))
    driver.send(EDITS, "ann", edit(2, fault="after", tag=["green"]))
    driver.run()
    driver.advance(5)
    driver.send(EDITS, "ann", edit(3, fault="after", untag=["blue"]))

    settle(driver)

    ann = driver.states()["ann"]
    assert (ann.marks, ann.edits, ann.tags) == ({"o": 1, "p": 1}, 1, ["blue", "red"])
    assert told(driver, "o") == told(driver, "p") == {"ann": 1}
    assert driver.store.terms(0) == {b"blue/ann", b"red/ann"}
    assert driver.metrics.counts["marks_total"] == 2


@pytest.mark.rule(7)
@pytest.mark.parametrize("clock", list(ClockKind))
def test_a_teller_that_raises_has_told_nobody_and_is_silent(clock):
    driver = Driver(tagging(), partitions=1, clock=clock)
    driver.send(EDITS, "ann", edit(1, tag=["blue"]), at=START_MS)
    driver.send(ORDERS, "o", order("blue", 2, fuse=True), at=START_MS)
    driver.send(ORDERS, "p", order("blue", 2), at=START_MS)
    driver.run()
    driver.advance(50)
    driver.send(EDITS, "ann", edit(10), at=START_MS + 50)

    settle(driver)

    (dead,) = driver.dead_letters()
    assert (dead.topic, dead.key, dead.value) == ("orders.dlq", b"o", None)
    assert dict(dead.headers)[deadletter.REASON] == deadletter.TIMER_RAISED.encode()
    assert marks(driver, "o") == told(driver, "o") == {}
    assert marks(driver, "p") == told(driver, "p") == {"ann": 1}
    assert driver.metrics.counts["marks_total"] == driver.metrics.counts["told_events_total"] == 1


@pytest.mark.rule(7)
def test_an_order_that_raises_after_its_page_is_put_back_to_what_the_page_made_of_it():
    """What it saw has changed meanwhile, so the page is not folded again: nobody is looked at or told again."""
    driver = Driver(tagging(), partitions=1)
    for n, name in enumerate(["ann", "bob", "cat"]):
        driver.send(EDITS, name, edit(n, tag=["once"]))
    driver.send(ORDERS, "o", order("once", 2))
    driver.run()
    driver.advance(5)
    driver.send(ORDERS, "o", order("blue", 7, fault="after"))
    driver.run()

    state = driver.app.decode_state(driver.shared()[0, PREFIX + b"o"][8:])
    assert (state.tag, state.limit, state.after, state.pages, state.marked) == ("once", 2, "bob", 1, 2)
    settle(driver)
    assert_marked_once(driver, "o", ["ann", "bob", "cat"])
    assert len(driver.dead_letters()) == 1


@pytest.mark.rule(7)
@pytest.mark.parametrize("parts", ["scan", "owner"])
def test_an_application_that_cannot_say_what_it_looks_for_makes_a_dead_letter(parts):
    def broken(_anything):
        raise ValueError("no idea")

    driver = Driver(tagging(**{parts: broken}), partitions=1)
    driver.send(EDITS, "ann", edit(1, tag=["blue"]))
    driver.send(ORDERS, "o", order("blue"))

    settle(driver)

    (dead,) = driver.dead_letters()
    assert (dead.key, dict(dead.headers)[deadletter.REASON]) == (b"o", deadletter.TIMER_RAISED.encode())
    driver.send(EDITS, "ann", edit(2))
    driver.run()
    assert driver.states()["ann"].edits == 2


@pytest.mark.rule(7)
def test_only_a_sweep_may_tell_and_only_whom_it_found():
    driver = Driver(tagging(), partitions=1)
    driver.send(EDITS, "ann", edit(1))
    driver.send(EDITS, "bob", edit(2, steal="ann"))

    driver.run()

    (dead,) = driver.dead_letters()
    assert b"owns none of the 0 terms found" in dict(dead.headers)[deadletter.MESSAGE]
    assert list(driver.states()) == ["ann"]


# --- the states of orders -------------------------------------------------------------------------------------------


@pytest.mark.rule(7)
@pytest.mark.parametrize("key", [b"\0x", b"\xff", b"\0", PREFIX + b"o"])
@pytest.mark.parametrize("topic", INPUTS)
def test_a_key_that_begins_with_nul_or_is_no_text_reaches_no_state(topic, key):
    driver = Driver(tagging(), partitions=1)
    driver.send(ORDERS, "o", order("blue"))
    driver.run()
    before = driver.shared()
    driver.send(ORDERS, "p", order("red"))
    driver.send(ORDERS, "o", order("blue", 5))
    driver.send(topic, key, edit(1))

    driver.run()

    (dead,) = driver.dead_letters()
    assert (dead.topic, dead.key) == (f"{topic}.dlq", key)
    assert dict(dead.headers)[deadletter.REASON] == deadletter.BAD_KEY.encode()
    assert set(driver.shared()) == {*before, (0, PREFIX + b"p")}
    assert driver.states() == {}


@pytest.mark.rule(7)
def test_a_dead_letter_of_a_prefixed_input_keeps_its_own_key_and_partition():
    driver = Driver(tagging(), partitions=3)
    driver.send(ORDERS, "o", b"junk", partition=2)
    driver.send(ORDERS, None, b"junk", partition=1)

    driver.run()

    assert sorted((dead.partition, dead.key) for dead in driver.dead_letters()) == [(1, None), (2, b"o")]


def test_an_input_is_decoded_with_its_own_key_and_its_state_knows_the_whole_one():
    seen = []

    def decode(topic, key, value):
        seen.append((topic, key))
        return json.loads(value)

    driver = Driver(tagging(decode=decode), partitions=1)
    driver.send(EDITS, "o", edit(1))
    driver.send(ORDERS, "o", order("blue"))
    driver.run()

    assert sorted(seen) == [(0, "o"), (1, "o")]
    assert set(driver.states()) == {"o"}
    assert driver.app.decode_state(driver.shared()[0, PREFIX + b"o"][8:]).name == "\0order/o"


@pytest.mark.parametrize(
    "changes",
    [
        {"prefixes": (b"", b"order/")},
        {"prefixes": (b"", b"\0")},
        {"prefixes": (b"", b"\0allow")},
        {"prefixes": (b"", b"\0checkpoint")},
        {"prefixes": (b"", b"\0\xff")},
        {"prefixes": (b"", b"\0a", b"\0b")},
        {"owner": None},
    ],
)
def test_prefixes_under_which_states_could_meet_are_refused(changes):
    with pytest.raises(Misconfigured):
        tagging(**changes)
