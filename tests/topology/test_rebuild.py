"""Restores write in a thread behind what they read, chunk by chunk, and leave no chunk out."""

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.driver import Driver
from tests.driver.faults import store_down
from tests.topology.ledger import assert_exactly_once, fill, ledger
from tests.topology.tagging import EDITS, assert_index_is_right, edit, tagging
from topology.engine.partition import Status
from topology.engine.rebuild import Seen


def _restarted(driver, *, flush=True):
    driver.crash()
    if flush:
        driver.store.flush()
    driver.start("0")


@pytest.mark.rule(4)
@pytest.mark.parametrize("partitions", [1, 3])
@pytest.mark.parametrize("nth", [1, 2, 5])
def test_a_chunk_that_could_not_be_written_is_followed_by_none(nth, partitions):
    """The next one waits behind it already, and the checkpoint alone would let it pass."""
    driver = Driver(ledger(), partitions=partitions, pipelined=True, restore_records=4)
    sent = fill(driver, 100, keys=60)
    driver.run()
    _restarted(driver)
    asked = []

    def fails_late():
        asked.append(1)
        if len(asked) != nth:
            return None
        time.sleep(0.1)  # until others wait behind it
        return store_down()

    driver.faults.fail("store.apply", fails_late, times=nth)

    driver.run()

    assert len(asked) == nth
    assert driver.metrics.counts["restore_retries_total"] == 1
    assert_exactly_once(driver, sent)


@pytest.mark.rule(4)
@pytest.mark.rule(9)
def test_a_worker_keeps_polling_while_the_store_is_slow_and_is_not_ready_before_it_has_everything():
    driver = Driver(ledger(), partitions=1, pipelined=True, restore_records=4)
    sent = fill(driver, 100, keys=60)
    driver.run()
    _restarted(driver)
    goes_on = threading.Event()
    driver.faults.fail("store.apply", lambda: goes_on.wait(30) and None)

    for _ in range(40):
        driver.step()
        assert driver.workers["0"].partitions == {0: Status.RESTORING}
    assert driver.store.calls.count("apply") < 100

    goes_on.set()
    driver.run()
    assert_exactly_once(driver, sent)


@pytest.mark.rule(4)
def test_partitions_that_are_lost_while_a_chunk_is_on_its_way_are_restored_by_their_next_worker():
    driver = Driver(ledger(), partitions=2, pipelined=True, restore_records=3, static=False)
    sent = fill(driver, 100, keys=60)
    driver.run()
    _restarted(driver)
    driver.faults.fail("store.apply", lambda: time.sleep(0.1), times=3)
    for _ in range(4):
        driver.step()
    driver.evict()
    driver.start("1")
    sent += fill(driver, 20, start=200)

    driver.run()

    assert_exactly_once(driver, sent)


@pytest.mark.rule(4)
@pytest.mark.parametrize("pipelined", [False, True])
@pytest.mark.parametrize("restore_records", [1, 7, 1_000])
def test_a_rebuild_from_nothing_reads_back_only_what_it_has_written_before(pipelined, restore_records):
    """Of keys that come once there is nothing to take out of the index."""
    driver = Driver(tagging(), partitions=1, pipelined=pipelined, batch_records=5, restore_records=restore_records)
    for n in range(40):
        driver.send(EDITS, f"user-{n}", edit(n, tag=[f"t{n % 3}"]))
    driver.run()
    for n in range(5):
        driver.send(EDITS, f"user-{n}", edit(100 + n, tag=["late"], untag=[f"t{n % 3}"]))
    driver.run()
    before = driver.store.calls.count("read")
    _restarted(driver)

    driver.run()

    # Some by chance, which is drawn anew in each process; without it, all 40 would be read.
    assert driver.store.calls.count("read") - before <= (5 if restore_records < 1_000 else 0) + 8
    assert {b"late/user-%d" % n for n in range(5)} <= driver.store.terms(0)
    assert_index_is_right(driver)


@given(keys=st.lists(st.binary(min_size=1, max_size=4)), expected=st.integers(0, 100))
def test_a_key_that_was_seen_is_never_called_new(keys, expected):
    seen, before = Seen(expected), set()
    for key in keys:
        known = seen.add(key)
        assert known or key not in before
        before.add(key)


def test_few_keys_that_are_new_are_called_seen():
    seen = Seen(10_000)
    assert sum(seen.add(b"user-%d" % n) for n in range(10_000)) < 1_000
