"""Rule 4: on assignment, offsets first, then the uncommitted end, then the replay up to it, then work."""

import msgspec
import pytest

from tests.driver import Driver
from tests.driver.broker import OFFSETS_TOPIC
from tests.driver.faults import kafka, store_down, timed_out
from tests.driver.producer import MemoryProducer
from tests.topology.ledger import CHANGELOG, INPUTS, Account, add, assert_exactly_once, fill, ledger
from topology.engine.partition import Status
from topology.engine.state import wrap
from topology.engine.transaction import Step


def _open_transaction(driver, account, *, slot="elsewhere"):
    """A transaction on changelog partition 0 that nobody has ended yet."""
    producer = MemoryProducer(driver.broker, slot, timeout_s=1_000_000)
    producer.init_transactions(1)
    producer.begin_transaction()
    producer.produce(CHANGELOG, wrap(None, msgspec.msgpack.encode(account)), account.name.encode(), 0)
    producer.flush(1)
    return producer


def _steps(driver, times=200, slot="0"):
    for _ in range(times):
        driver.step(slot)


@pytest.mark.rule(4)
@pytest.mark.parametrize("commits", [True, False], ids=["commits", "aborts"])
def test_restore_waits_for_the_uncommitted_end_until_a_hanging_transaction_is_settled(commits):
    driver = Driver(ledger(), partitions=1, workers=0)
    hanging = _open_transaction(driver, Account("ann", count=7, total=70))
    driver.send(INPUTS[0], "ann", add(5))
    driver.start("0")
    _steps(driver)
    assert driver.workers["0"].partitions == {0: Status.RESTORING}
    assert driver.states() == {}

    hanging.commit_transaction(1) if commits else hanging.abort_transaction(1)
    driver.run()

    state = driver.states()["ann"]
    assert (state.count, state.total) == ((8, 75) if commits else (1, 5))
    assert driver.stored_states() == driver.states()


@pytest.mark.rule(4)
def test_a_commit_whose_marker_has_not_reached_the_changelog_is_waited_for():
    """KAFKA-10167: offsets and changelog learn of one commit at different moments; offsets may come first."""
    driver = Driver(ledger(), partitions=1, workers=2)
    driver.run()
    (owner,) = [slot for slot, worker in driver.workers.items() if worker.partitions]
    (other,) = set(driver.workers) - {owner}
    sent = fill(driver)
    driver.broker.hold_markers(CHANGELOG, 0)
    driver.crash_at(Step.APPLY, owner, restart=False)
    driver.step(owner)
    assert owner not in driver.workers
    sent += fill(driver, 30, start=100)

    _steps(driver, 2_000, other)
    assert driver.workers[other].partitions == {0: Status.RESTORING}, "the last stable offset hides what is committed"

    driver.broker.release_markers()
    driver.run()
    assert_exactly_once(driver, sent)


@pytest.mark.rule(4)
def test_offsets_that_are_committed_but_not_settled_are_waited_for():
    driver = Driver(ledger(), partitions=1, workers=2)
    driver.run()
    (owner,) = [slot for slot, worker in driver.workers.items() if worker.partitions]
    (other,) = set(driver.workers) - {owner}
    sent = fill(driver)
    driver.broker.hold_markers(OFFSETS_TOPIC)
    driver.crash_at(Step.APPLY, owner, restart=False)
    driver.step(owner)

    _steps(driver, 2_000, other)
    assert driver.workers[other].partitions == {0: Status.RESTORING}

    driver.broker.release_markers()
    driver.run()
    assert_exactly_once(driver, sent)


@pytest.mark.rule(4)
def test_the_offsets_are_asked_for_before_the_end_of_the_changelog():
    driver = Driver(ledger(), partitions=1)
    asked = []
    for call in ("committed", "bounds", "store.read", "reader.consume", "seek"):
        driver.faults.fail(call, lambda call=call: asked.append(call))
    sent = fill(driver)

    driver.run()

    assert asked[:3] == ["committed", "bounds", "store.read"]
    assert asked[-1] == "seek"
    assert_exactly_once(driver, sent)


@pytest.mark.rule(4)
def test_control_and_aborted_records_at_the_end_do_not_keep_a_partition_waiting():
    driver = Driver(ledger(), partitions=1)
    sent = fill(driver)
    driver.run()
    for n in range(3):
        _open_transaction(driver, Account(f"ghost-{n}", count=99)).abort_transaction(1)
    log = driver.broker.log(CHANGELOG, 0)
    assert log.high_watermark == log.last_stable
    for flush in (False, True):
        driver.crash()
        if flush:
            driver.store.flush()
        driver.start("0")
        sent += fill(driver, 10, start=len(sent) + 100)

        driver.run()

        assert driver.workers["0"].partitions == {0: Status.ACTIVE}
        assert_exactly_once(driver, sent)


@pytest.mark.rule(4)
def test_a_changelog_of_nothing_but_aborted_records_is_an_empty_one():
    driver = Driver(ledger(), partitions=1, workers=0)
    _open_transaction(driver, Account("ghost", count=99)).abort_transaction(1)
    driver.start("0")
    sent = fill(driver)

    driver.run()

    assert_exactly_once(driver, sent)


@pytest.mark.rule(4)
def test_empty_partitions_become_ready_and_get_a_checkpoint():
    driver = Driver(ledger(), partitions=3)

    driver.run()

    assert driver.workers["0"].partitions == dict.fromkeys(range(3), Status.ACTIVE)
    assert driver.store.checkpoints(range(3)) == dict.fromkeys(range(3), 0)
    assert driver.metrics.gauges["worker_ready"] == 1
    sent = fill(driver)
    driver.run()
    assert_exactly_once(driver, sent)
    assert driver.metrics.counts["batches_failed_total"] == 0


@pytest.mark.rule(4)
def test_a_compacted_changelog_with_a_trimmed_start_gives_all_states_back():
    driver = Driver(ledger(), partitions=2)
    sent = []
    for n in range(6):
        sent += fill(driver, 30, start=n * 100)
        driver.run()
    for partition in range(2):
        log = driver.broker.log(CHANGELOG, partition)
        log.compact()
        log.trim(log.fetch(0, 1)[0][0].offset)
    driver.store.flush()
    driver.crash()
    driver.start("0")
    sent += fill(driver, 30, start=900)

    driver.run()

    assert_exactly_once(driver, sent)


@pytest.mark.rule(4)
@pytest.mark.parametrize("call", ["committed", "bounds", "reader.consume", "store.read", "store.apply", "store.timers"])
def test_a_restore_whose_questions_fail_for_a_while_is_tried_again(call):
    driver = Driver(ledger(), workers=0)
    sent = fill(driver)
    error = store_down if call.startswith("store") else timed_out
    driver.faults.fail(call, error, times=5)
    driver.start("0")

    driver.run()

    assert_exactly_once(driver, sent)


@pytest.mark.rule(4)
def test_a_rebalance_in_the_middle_of_a_restore_starts_it_over():
    driver = Driver(ledger(), restore_records=3)
    sent = fill(driver, 200, keys=60)
    driver.run()
    driver.store.flush()
    driver.crash()
    driver.start("0")
    for _ in range(5):
        _steps(driver, 4)
        driver.rebalance()
    sent += fill(driver, 60, keys=60, start=300)

    driver.run()

    assert_exactly_once(driver, sent)


@pytest.mark.rule(4)
def test_work_starts_at_the_committed_offsets_and_not_at_what_was_fetched():
    driver = Driver(ledger(), batch_records=10)
    sent = fill(driver)
    for _ in range(3):
        driver.step()
    driver.faults.fail("commit_transaction", lambda: kafka(1, abort=True))
    sent += fill(driver, 40, start=100)

    driver.run()

    assert driver.metrics.counts["transactions_aborted_total"] == 1
    assert_exactly_once(driver, sent)
