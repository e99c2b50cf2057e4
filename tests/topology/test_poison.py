"""Rule 7: what cannot be judged becomes a dead letter in the same transaction, and the next record is judged."""

import dataclasses
import json

import pytest

from tests.driver import START_MS, Driver
from tests.driver.faults import abortable
from tests.topology.ledger import INPUTS, OUT, add, assert_exactly_once, booked_ids, fill, fired, ledger
from topology.engine import allowance, deadletter
from topology.engine.definition import ClockKind
from topology.engine.errors import Poison, Retriable, TooManyDeadLetters
from topology.engine.timers import BEFORE_ALL
from topology.engine.transaction import Step

_KINDS = pytest.mark.parametrize("clock", list(ClockKind), ids=lambda clock: clock.value)
_HALF_DONE = add(7, id=501, fault="after")

# What is sent (key, value, timestamp), the reason told, and the class of the error.
_CASES = {
    "null key": ((None, add(id=1), START_MS), deadletter.NULL_KEY, "Poison"),
    "empty key": ((b"", add(id=1), START_MS), deadletter.NULL_KEY, "Poison"),
    "key that is not UTF-8": ((b"\xff\xfe", add(id=1), START_MS), deadletter.BAD_KEY, "Poison"),
    "key with a leading NUL": ((b"\0checkpoint", add(id=1), START_MS), deadletter.BAD_KEY, "Poison"),
    "key of the engine's own": ((allowance.KEY, add(id=1), START_MS), deadletter.BAD_KEY, "Poison"),
    "time of 1970": ((b"ann", add(id=1), 1_000), deadletter.IMPLAUSIBLE_TIME, "Poison"),
    "time of 2200": ((b"ann", add(id=1), 7_258_118_400_000), deadletter.IMPLAUSIBLE_TIME, "Poison"),
    "no time at all": ((b"ann", add(id=1), -1), deadletter.IMPLAUSIBLE_TIME, "Poison"),
    "undecodable": ((b"ann", b"junk\xff", START_MS), deadletter.HANDLER_RAISED, "UnicodeDecodeError"),
    "tombstone": ((b"ann", None, START_MS), deadletter.HANDLER_RAISED, "TypeError"),
    "foreseen": ((b"ann", add(id=1, fault="poison"), START_MS), "too_much", "Poison"),
    "handler raises at once": ((b"ann", add(fault="before"), START_MS), deadletter.HANDLER_RAISED, "ValueError"),
    "handler raises midway": ((b"ann", _HALF_DONE, START_MS), deadletter.HANDLER_RAISED, "ValueError"),
    "encode raises": ((b"ann", add(fault="encode"), START_MS), deadletter.HANDLER_RAISED, "TypeError"),
}


@pytest.mark.rule(7)
@_KINDS
@pytest.mark.parametrize(("sent", "reason", "error"), _CASES.values(), ids=_CASES)
def test_a_record_that_cannot_be_judged_is_set_aside_untouched_and_the_next_is_judged(sent, reason, error, clock):
    key, value, timestamp = sent
    driver = Driver(ledger(), clock=clock)
    original = (("trace", b"\x00\xff"), ("trace", b"2"), ("empty", None))
    partition, offset = driver.send(
        INPUTS[1], key, value, at=timestamp, partition=1 if key is None else None, headers=original
    )
    driver.send(INPUTS[1], "bob", add(3, id=2), at=START_MS + 1, partition=partition)

    driver.run()

    (dead,) = driver.dead_letters()
    assert (dead.topic, dead.partition, dead.key, dead.value) == (f"{INPUTS[1]}.dlq", partition, key, value)
    assert dead.headers[:3] == original
    told = dict(dead.headers[3:])
    assert told[deadletter.EXCEPTION].decode().endswith(error)
    assert told[deadletter.MESSAGE]
    assert bool(told[deadletter.STACKTRACE]) == (error != "Poison")
    assert told[deadletter.TOPIC].decode() == INPUTS[1]
    assert told[deadletter.PARTITION].decode() == str(partition)
    assert told[deadletter.OFFSET].decode() == str(offset)
    assert told[deadletter.REASON].decode() == reason
    assert told[deadletter.TIMESTAMP].decode() == str(timestamp)
    if reason != deadletter.IMPLAUSIBLE_TIME:
        assert dead.timestamp == timestamp
    assert {name: (s.count, s.total) for name, s in driver.states().items()} == {"bob": (1, 3)}
    assert booked_ids(driver) == [2]
    assert driver.broker.lag("ledger", INPUTS) == 0


@pytest.mark.rule(7)
@_KINDS
@pytest.mark.parametrize("fault", ["before", "after", "poison", "encode"])
@pytest.mark.parametrize("batch_records", [1, 100], ids=["in batches of their own", "in one batch"])
def test_a_handler_that_raises_leaves_the_state_as_the_events_before_made_it(fault, batch_records, clock):
    driver = Driver(ledger(), partitions=1, clock=clock, batch_records=batch_records)
    driver.send(INPUTS[0], "ann", add(1, id=1, wait=90_000_000))
    driver.run()
    for n, event in enumerate(
        [add(10, id=2), add(5, id=3, fault=fault, wait=1), add(100, id=4), add(5, fault=fault), add(1_000, id=6)]
    ):
        driver.send(INPUTS[0], "ann", event, at=START_MS + 10 + n)
        driver.send(INPUTS[0], "bob", add(n + 1, id=10 + n), at=START_MS + 10 + n)

    driver.run()

    states = driver.states()
    assert (states["ann"].count, states["ann"].total, len(states["ann"].dues)) == (4, 1_111, 1)
    assert (states["bob"].count, states["bob"].total) == (5, 15)
    assert sorted(booked_ids(driver)) == [1, 2, 4, 6, 10, 11, 12, 13, 14]
    assert len(driver.dead_letters()) == 2
    assert driver.stored_states() == states
    assert [key for _, key in driver.store.timers(0, BEFORE_ALL, 9).pairs] == [b"ann"]


@pytest.mark.rule(7)
def test_dead_letters_of_a_batch_are_sealed_in_one_go_before_they_are_sent_and_a_batch_without_any_pays_nothing():
    calls = []

    def seal(outputs):
        calls.append(sum(out[0].endswith(".dlq") for out in outputs))
        for n, out in enumerate(outputs):
            if out[0].endswith(".dlq"):
                outputs[n] = (out[0], b"sealed", *out[2:])

    driver = Driver(dataclasses.replace(ledger(), seal=seal), partitions=1)
    driver.send(INPUTS[0], "ann", add(1, id=1), at=START_MS)
    driver.run()
    assert calls == []
    for n in range(3):
        driver.send(INPUTS[0], "ann", add(5, fault="poison"), at=START_MS + 1 + n)
        driver.send(INPUTS[0], "bob", add(n + 1, id=10 + n), at=START_MS + 1 + n)
    driver.run()
    assert sum(calls) == 3
    assert {dead.value for dead in driver.dead_letters()} == {b"sealed"}
    assert sorted(booked_ids(driver)) == [1, 10, 11, 12]


@pytest.mark.rule(7)
def test_sealing_that_cannot_be_done_now_makes_the_batch_wait_and_nothing_is_sent_unsealed():
    failures = 2

    def seal(outputs):
        nonlocal failures
        if failures:
            failures -= 1
            raise Retriable("no keys now")
        for n, out in enumerate(outputs):
            if out[0].endswith(".dlq"):
                outputs[n] = (out[0], b"sealed", *out[2:])

    driver = Driver(dataclasses.replace(ledger(), seal=seal), partitions=1)
    driver.send(INPUTS[0], "ann", add(5, fault="poison"), at=START_MS)
    driver.send(INPUTS[0], "bob", add(3, id=2), at=START_MS + 1)
    driver.run()
    assert failures == 0
    assert [dead.value for dead in driver.dead_letters()] == [b"sealed"]
    assert booked_ids(driver) == [2]


@pytest.mark.rule(7)
def test_a_state_that_only_a_raising_handler_touched_is_not_written():
    driver = Driver(ledger())
    driver.send(INPUTS[0], "ann", add(fault="after"))

    driver.run()

    assert driver.states() == {}
    assert len(driver.dead_letters()) == 1


@pytest.mark.rule(7)
@pytest.mark.rule(5)
@pytest.mark.parametrize("call", ["flush", "send_offsets_to_transaction", "commit_transaction"])
def test_an_aborted_batch_leaves_no_dead_letter(call):
    driver = Driver(ledger())
    sent = fill(driver)
    driver.send(INPUTS[0], "ann", b"junk")
    driver.faults.fail(call, abortable)

    driver.step()
    driver.step()
    assert driver.dead_letters() == []

    driver.run()
    assert len(driver.dead_letters()) == 1
    assert_exactly_once(driver, sent)


@pytest.mark.rule(7)
@pytest.mark.parametrize("step", list(Step), ids=lambda step: step.name.lower())
def test_a_dead_letter_survives_a_crash_once(step):
    driver = Driver(ledger())
    driver.send(INPUTS[0], "ann", b"junk")
    driver.crash_at(step)

    driver.run()

    assert [dead.value for dead in driver.dead_letters()] == [b"junk"]


@pytest.mark.rule(7)
@pytest.mark.parametrize("clock", list(ClockKind))
def test_a_timer_that_raises_is_set_aside_and_the_other_timers_fire(clock):
    driver = Driver(ledger(), partitions=1, clock=clock)
    driver.send(INPUTS[0], "ann", add(1, wait=1_000, fault="fuse"))
    driver.send(INPUTS[0], "bob", add(1, wait=2_000))
    driver.run()
    driver.advance(60_000)
    driver.send(INPUTS[0], "cat", add(1))

    driver.run()

    (dead,) = driver.dead_letters()
    told = dict(dead.headers)
    assert (dead.key, dead.value, told[deadletter.REASON]) == (b"ann", None, deadletter.TIMER_RAISED.encode())
    assert told[deadletter.OFFSET] == str(START_MS + 1_000).encode()
    assert [key for key, _ in fired(driver)] == ["bob"]
    driver.send(INPUTS[0], "ann", add(10))
    driver.run()
    ann = driver.states()["ann"]
    assert (ann.total, ann.fired, ann.dues) == (11, 0, [START_MS + 1_000]), "as if the timer had not come"


@pytest.mark.rule(7)
def test_an_error_text_that_cannot_be_encoded_does_not_stop_the_worker():
    def decode(_topic, _key, value):
        raise ValueError("lone surrogate \ud800 and " + "much more " * 100_000)

    driver = Driver(ledger(decode=decode))
    driver.send(INPUTS[0], "ann", b"1")

    driver.run()

    (dead,) = driver.dead_letters()
    assert b"lone surrogate" in dict(dead.headers)[deadletter.MESSAGE]
    assert sum(len(value or b"") for _, value in dead.headers) < 16_000


def test_a_need_that_is_not_met_waits_and_makes_no_dead_letter():
    missing = [True]

    def decode(_topic, _key, value):
        if missing:
            raise Retriable("the registry does not answer")
        return json.loads(value)

    driver = Driver(ledger(decode=decode))
    sent = fill(driver)
    for _ in range(500):
        driver.step()
    assert driver.read(OUT) == []

    missing.clear()
    driver.run()

    assert driver.dead_letters() == []
    assert_exactly_once(driver, sent)


# Too many (the fault is ours)


@pytest.mark.rule(7)
@pytest.mark.parametrize("batch_records", [3, 100])
def test_too_many_in_a_row_stop_the_worker_with_nothing_of_the_batch_committed(batch_records):
    driver = Driver(ledger(), partitions=1, dead_letters_in_a_row=10, batch_records=batch_records)
    for n in range(30):
        driver.send(INPUTS[0], "ann", b"junk", at=START_MS + n)

    with pytest.raises(TooManyDeadLetters, match=r"10 records in a row.*Nothing of this batch was committed"):
        driver.run()

    assert len(driver.dead_letters()) in (range(1, 10) if batch_records == 3 else [0])
    assert driver.read(f"{INPUTS[0]}.dlq", committed=False) == driver.dead_letters()


@pytest.mark.rule(7)
def test_bad_records_among_good_ones_do_not_count_as_a_row():
    driver = Driver(ledger(), partitions=1, dead_letters_in_a_row=4)
    for n in range(40):
        driver.send(INPUTS[0], "ann", b"junk" if n % 4 else add(id=n + 1), at=START_MS + n)

    driver.run()

    assert len(driver.dead_letters()) == 30


@pytest.mark.rule(7)
def test_too_large_a_share_stops_the_worker_once_the_window_is_full():
    driver = Driver(ledger(), partitions=1, dead_letter_share=0.5, dead_letter_window=20, batch_records=5)
    for n in range(40):
        driver.send(INPUTS[0], "ann", b"junk" if n % 5 > 1 else add(id=n + 1), at=START_MS + n)

    with pytest.raises(TooManyDeadLetters, match="of the last 20 records"):
        driver.run()

    assert 0 < len(driver.dead_letters()) < 20


@pytest.mark.rule(7)
def test_a_share_of_half_is_allowed():
    driver = Driver(ledger(), partitions=1, dead_letter_share=0.5, dead_letter_window=20)
    for n in range(100):
        driver.send(INPUTS[0], "ann", b"junk" if n % 2 else add(id=n + 1), at=START_MS + n)

    driver.run()

    assert len(driver.dead_letters()) == 50


def test_reasons_of_poison_are_told_by_the_application():
    assert deadletter.reason_of(Poison("too_long", "…")) == "too_long"
    assert deadletter.reason_of(ValueError()) == deadletter.HANDLER_RAISED
