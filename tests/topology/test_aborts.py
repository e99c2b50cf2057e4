"""Rule 5: an abort leaves nothing, and a commit whose fate is unknown is settled before anything else."""

import pytest
from confluent_kafka import KafkaError

from tests.driver import Driver
from tests.driver.checks import assert_each_once, told
from tests.driver.faults import abortable, fenced, kafka, overtaken, refused, timed_out
from tests.topology.ledger import INPUTS, OUT, Sent, add, assert_exactly_once, booked_ids, fill, ledger
from topology.engine.errors import Misconfigured
from topology.engine.transaction import Step

_IN_TRANSACTION = ["produce", "flush", "send_offsets_to_transaction", "commit_transaction"]


def _unknown():
    return kafka(KafkaError._TIMED_OUT, "no answer")


@pytest.mark.rule(5)
@pytest.mark.parametrize("took_effect", [True, False])
@pytest.mark.parametrize("pipelined", [False, True])
def test_a_commit_of_unknown_fate_is_settled_by_a_new_producer_and_never_repeated(took_effect, pipelined):
    driver = Driver(ledger(), batch_records=20, pipelined=pipelined)
    sent = fill(driver)
    driver.faults.fail("commit_transaction", _unknown, lost_answer=took_effect)

    driver.run()

    assert driver.metrics.counts["transactions_unknown_total"] == 1
    assert driver.metrics.counts["producer_renewals_total"] == 2
    assert driver.clock.monotonic() < 5, "settled at once, not by the broker when the transaction has timed out"
    assert_exactly_once(driver, sent)


@pytest.mark.rule(5)
@pytest.mark.parametrize("took_effect", [True, False])
def test_a_commit_that_never_answers_is_given_up_after_its_budget(took_effect):
    driver = Driver(ledger(), partitions=1, commit_s=5.0)
    sent = fill(driver)
    attempts = []

    def never():
        attempts.append(1)
        return None if driver.metrics.counts["transactions_unknown_total"] else timed_out()

    driver.faults.fail("commit_transaction", never, times=1_000, lost_answer=took_effect)

    driver.run()

    assert len(attempts) > 40
    assert driver.metrics.counts["transactions_unknown_total"] == 1
    assert_exactly_once(driver, sent)


@pytest.mark.rule(5)
@pytest.mark.parametrize("call", ["send_offsets_to_transaction", "commit_transaction"])
def test_what_the_client_calls_retriable_is_tried_again_within_the_transaction(call):
    driver = Driver(ledger())
    sent = fill(driver)
    driver.faults.fail(call, timed_out, times=3)

    driver.run()

    assert driver.metrics.counts["kafka_retries_total"] == 3
    assert driver.metrics.counts["transactions_aborted_total"] == 0
    assert_exactly_once(driver, sent)


@pytest.mark.rule(5)
@pytest.mark.parametrize("error", [abortable, refused], ids=["abortable", "refused"])
@pytest.mark.parametrize("call", _IN_TRANSACTION)
@pytest.mark.parametrize("pipelined", [False, True])
def test_an_aborted_batch_leaves_nothing_and_is_folded_again_from_the_committed_offsets(call, error, pipelined):
    driver = Driver(ledger(), batch_records=20, pipelined=pipelined)
    sent = fill(driver, 40)
    driver.run()
    sent += fill(driver, 40, start=100)
    driver.faults.fail(call, error)

    driver.run()

    assert driver.metrics.counts["batches_failed_total"] >= 1
    assert_exactly_once(driver, sent)


@pytest.mark.rule(5)
def test_abort_drops_what_the_fold_had_changed_in_memory():
    """Without it, the states in the cache would be a batch ahead of the changelog."""
    driver = Driver(ledger(), partitions=1)
    driver.send(INPUTS[0], "ann", add(1, id=1))
    driver.run()
    driver.send(INPUTS[0], "ann", add(10, id=2))
    driver.faults.fail("commit_transaction", abortable, times=3)

    driver.run()

    assert [(s.count, s.total) for s in driver.states().values()] == [(2, 11)]
    assert booked_ids(driver) == [1, 2]
    assert driver.metrics.counts["transactions_aborted_total"] == 3


@pytest.mark.rule(5)
def test_offsets_of_an_aborted_batch_that_reach_the_broker_late_are_not_committed_by_the_next_one():
    """As they would by a producer that goes on: then whoever starts from them never folds what they skip."""
    driver = Driver(ledger(), partitions=1, batch_records=2, pipelined=False)
    began, sent = driver.clock.now_ms(), []

    def come(topic: str, *ids: int) -> None:
        for n in ids:
            driver.send(topic, "ann", add(n, id=n), at=began + n)
            sent.append(Sent("ann", n, n))

    come(INPUTS[0], 10, 20)
    driver.broker.late_offsets = 1

    def older_ones_come() -> None:
        """So that the next batch is another one: it takes these, and nothing of the input of the aborted one."""
        come(INPUTS[1], 1, 2)

    driver.faults.fail("abort_transaction", older_ones_come)
    driver.crash_at(Step.PRODUCE, nth=3)

    driver.run()

    assert driver.broker.late_offsets == 0, "the fault did not happen"
    assert_exactly_once(driver, sent)


@pytest.mark.rule(5)
def test_a_producer_that_has_aborted_is_replaced_however_often_and_nobody_takes_it_for_fenced():
    driver = Driver(ledger(), partitions=1)
    sent = fill(driver, 5)
    aborts = 30
    driver.faults.fail("commit_transaction", abortable, times=aborts)

    driver.run()

    assert driver.metrics.counts["producer_renewals_total"] == 1 + aborts
    assert_exactly_once(driver, sent)


@pytest.mark.rule(5)
def test_an_abort_that_fails_costs_the_producer_and_nothing_else():
    driver = Driver(ledger())
    sent = fill(driver)
    driver.faults.fail("send_offsets_to_transaction", abortable)
    driver.faults.fail("abort_transaction", refused)

    driver.run()

    assert driver.metrics.counts["producer_renewals_total"] == 2
    assert_exactly_once(driver, sent)


@pytest.mark.rule(5)
def test_whoever_learns_only_when_it_aborts_that_it_was_fenced_says_so():
    driver = Driver(ledger())
    sent = fill(driver)
    driver.faults.fail("send_offsets_to_transaction", overtaken)
    driver.faults.fail("abort_transaction", fenced)

    driver.run()

    assert driver.metrics.counts["transactions_fenced_total"] == 1
    assert driver.metrics.counts["producer_renewals_total"] == 2
    assert_exactly_once(driver, sent)


@pytest.mark.rule(5)
def test_a_full_local_queue_is_waited_for():
    driver = Driver(ledger())
    sent = fill(driver)
    driver.faults.fail("produce", lambda: BufferError("Local: Queue full"), times=25)

    driver.run()

    assert driver.metrics.counts["producer_queue_full_total"] == 25
    assert driver.metrics.counts["transactions_aborted_total"] == 0
    assert_exactly_once(driver, sent)


@pytest.mark.rule(5)
def test_a_queue_that_stays_full_past_the_budget_aborts_the_batch():
    driver = Driver(ledger(), commit_s=5.0)
    sent = fill(driver)
    driver.faults.fail("produce", lambda: BufferError("Local: Queue full"), times=150)

    driver.run()

    assert driver.metrics.counts["transactions_aborted_total"] == 1
    assert_exactly_once(driver, sent)


@pytest.mark.rule(5)
def test_a_transaction_that_takes_longer_than_the_brokers_limit_is_folded_again():
    driver = Driver(ledger())
    sent = fill(driver)
    driver.faults.fail("commit_transaction", lambda: driver.advance(3_600_000))

    driver.run()

    assert_exactly_once(driver, sent)


@pytest.mark.rule(5)
def test_a_producer_that_cannot_start_at_first_is_tried_again():
    driver = Driver(ledger(), workers=0)
    sent = fill(driver)
    driver.faults.fail("init_transactions", refused, times=4)

    driver.start("0")
    driver.run()

    assert_exactly_once(driver, sent)


def test_a_producer_that_can_never_start_ends_the_worker_with_a_clear_message():
    driver = Driver(ledger(), workers=0, renewals_in_a_row=3)
    driver.faults.fail("init_transactions", refused, times=10)

    with pytest.raises(Misconfigured, match="no transactional producer could be made"):
        driver.start("0")


@pytest.mark.rule(8)
def test_what_is_folded_again_has_the_same_bytes_so_a_reader_of_both_can_tell():
    driver = Driver(ledger(), partitions=1)
    fill(driver, wait=5_000)
    driver.send(INPUTS[0], "ann", b"junk")
    driver.crash_at(Step.COMMIT)  # before this step the records need not have left the client

    driver.run()

    for topic in (OUT, f"{INPUTS[0]}.dlq"):
        seen = told(driver.read(topic))
        assert_each_once([*seen, *seen], told(driver.read(topic, committed=False)))
