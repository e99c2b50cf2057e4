"""Rule 6: a revoke finishes or aborts the running transaction, within its deadline, before giving partitions up."""

import contextlib
import threading
import time

import pytest

from tests.driver import Driver
from tests.driver.faults import not_allowed
from tests.topology.ledger import OUT, assert_exactly_once, booked_ids, fill, ledger
from topology.engine.errors import Misconfigured
from topology.engine.partition import Status

_GUARD_S = 10


@contextlib.contextmanager
def _held(driver, call, **options):
    """Worker 0's next call of this name waits; gives the function that lets it go on."""
    reached, let_go = threading.Event(), threading.Event()

    def wait():
        reached.set()
        assert let_go.wait(_GUARD_S)

    driver.faults.fail(call, wait, by="ledger-0", **options)
    driver.step("0")
    assert reached.wait(_GUARD_S)
    try:
        yield let_go.set
    finally:
        let_go.set()


def _until(condition):
    """Real time passes only in the committer's thread; the driver's clock must not run ahead of it."""
    end = time.monotonic() + _GUARD_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


def _pipelined(**settings):
    driver = Driver(ledger(), pipelined=True, **settings)
    driver.run()
    return driver


@pytest.mark.rule(6)
@pytest.mark.parametrize("call", ["flush", "send_offsets_to_transaction", "commit_transaction"])
def test_a_revoke_waits_for_the_transaction_in_flight(call):
    driver = _pipelined()
    sent = fill(driver)
    with _held(driver, call) as let_go:
        driver.start("1")
        threading.Timer(0.1, let_go).start()
        driver.step("0")

        assert len(booked_ids(driver)) == len(sent), "committed before the partitions were given up"
    driver.run()
    assert driver.metrics.counts["revoke_deadline_missed_total"] == 0
    assert [len(worker.partitions) for worker in driver.workers.values()] == [2, 2]
    assert_exactly_once(driver, sent)


@pytest.mark.rule(1)
@pytest.mark.rule(6)
@pytest.mark.parametrize("call", ["begin_transaction", "send_offsets_to_transaction", "flush"])
def test_past_the_deadline_partitions_are_given_up_and_the_generation_fences_the_transaction(call):
    driver = _pipelined(revoke_s=0.05)
    sent = fill(driver)
    with _held(driver, call) as let_go:
        driver.start("1")
        driver.step("0")
        assert Status.ACTIVE not in driver.workers["0"].partitions.values()
        assert driver.metrics.counts["revoke_deadline_missed_total"] == 1
        for _ in range(20):
            driver.step("1")
            driver.step("0")
        let_go()
        driver.run()

    assert driver.metrics.counts["transactions_aborted_total"] == 1
    assert_exactly_once(driver, sent)


@pytest.mark.rule(6)
@pytest.mark.rule(4)
def test_a_commit_that_outlives_the_deadline_is_waited_for_by_the_next_owner():
    driver = _pipelined(revoke_s=0.05, commit_s=60.0)
    sent = fill(driver)
    with _held(driver, "commit_transaction") as let_go:
        driver.start("1")
        driver.step("0")
        assert driver.metrics.counts["revoke_deadline_missed_total"] == 1
        for _ in range(3):  # each asks for the offsets, and waits 10 s for the answer
            driver.step("1")
            driver.step("0")
        assert driver.read(OUT) == []
        assert Status.ACTIVE not in driver.workers["1"].partitions.values()
        let_go()
        _until(lambda: driver.read(OUT))
    driver.run()

    assert driver.metrics.counts["transactions_aborted_total"] == 0
    assert_exactly_once(driver, sent)


@pytest.mark.rule(2)
@pytest.mark.rule(6)
def test_a_late_apply_never_overwrites_what_the_next_owner_has_applied():
    driver = _pipelined(partitions=2, revoke_s=0.05, cached_states=1)
    sent = fill(driver)
    with _held(driver, "commit_transaction", lost_answer=True) as let_go:
        driver.start("1")  # the transaction is committed, its worker does not know yet
        driver.step("0")
        driver.stop("1")
        driver.start("1")
        sent += fill(driver, 40, start=100)
        for _ in range(40):
            driver.step("1")
            driver.step("0")
        driver.stop("1")
        for _ in range(5):
            driver.step("0")
        let_go()
        driver.run()

    assert_exactly_once(driver, sent)
    sent += fill(driver, 40, start=200)
    driver.run()
    assert_exactly_once(driver, sent)


@pytest.mark.rule(6)
def test_a_worker_that_stops_in_good_order_leaves_nothing_open():
    driver = _pipelined(workers=2, batch_records=5)
    sent = fill(driver)
    for _ in range(5):
        driver.step("0")

    driver.stop("0")

    assert driver.read(OUT) == driver.read(OUT, committed=False)
    driver.run()
    assert_exactly_once(driver, sent)


@pytest.mark.rule(6)
def test_a_right_that_is_missing_ends_a_worker_in_a_rebalance_too_and_is_told_once():
    driver = _pipelined()
    sent = fill(driver)
    driver.faults.fail("flush", not_allowed, by="ledger-0")
    driver.step("0")
    driver.start("1")

    with pytest.raises(Misconfigured, match="recourse acls"):
        driver.step("0")

    assert driver.workers["0"].partitions == {}
    assert driver.metrics.counts["batches_failed_total"] == 0, "nothing is read again by who ends"
    driver.stop("0")
    driver.run()
    assert_exactly_once(driver, sent)


@pytest.mark.rule(1)
@pytest.mark.parametrize("pipelined", [False, True])
def test_rebalance_after_rebalance_folds_each_record_once(pipelined):
    driver = Driver(ledger(), workers=2, batch_records=3, pipelined=pipelined)
    sent = fill(driver, 200)
    for n in range(12):
        driver.rebalance()
        for _ in range(4 + n):
            for slot in list(driver.workers):
                driver.step(slot)
        if n == 4:
            driver.start("2")
        if n == 8:
            driver.stop("0")

    driver.run()

    assert_exactly_once(driver, sent)
