"""Rule 1: whoever is fenced, or has lost its partitions, never commits."""

import threading

import pytest
from confluent_kafka import KafkaException

from tests.driver import Driver
from tests.driver.faults import fenced_in_callback
from tests.driver.producer import MemoryProducer
from tests.topology.ledger import OUT, add, assert_exactly_once, booked_ids, fill, fired, ledger
from topology.engine.errors import Misconfigured, SlotTaken

_CALLS = ["begin_transaction", "produce", "send_offsets_to_transaction", "flush", "commit_transaction"]
_UNTIL_OFFSETS = _CALLS[:3]
"""Afterwards whoever owns the partitions next waits until the transaction has ended (rule 4a)."""


def _doing(action):
    """A fault that raises nothing: something happens right before the call."""

    def make():
        action()

    return make


@pytest.mark.rule(1)
@pytest.mark.parametrize("call", _CALLS)
def test_a_second_producer_with_the_id_fences_the_first_wherever_it_stands(call):
    driver = Driver(ledger(), batch_records=20)
    sent = fill(driver)
    rival = MemoryProducer(driver.broker, "ledger-0")
    driver.faults.fail(call, _doing(lambda: rival.init_transactions(1)))

    driver.run()

    assert driver.metrics.counts["transactions_fenced_total"] == 1
    with pytest.raises(KafkaException, match="fenced"):
        rival.begin_transaction() or rival.flush(1) or rival.commit_transaction(1)
    assert_exactly_once(driver, sent)


@pytest.mark.rule(1)
def test_a_fence_that_the_client_wraps_in_a_system_error_is_a_fence():
    driver = Driver(ledger())
    sent = fill(driver)
    driver.faults.fail("flush", fenced_in_callback)

    driver.run()

    assert driver.metrics.counts["transactions_fenced_total"] == 1
    assert_exactly_once(driver, sent)


@pytest.mark.rule(1)
@pytest.mark.parametrize("call", _UNTIL_OFFSETS)
def test_a_worker_that_the_group_gave_up_on_cannot_send_its_offsets(call):
    driver = Driver(ledger(), workers=2, static=False)
    driver.run()
    sent = fill(driver)
    driver.faults.fail(call, _doing(driver.evict), by="ledger-0")

    driver.step("0")

    assert driver.metrics.counts["transactions_committed_total"] == 0
    assert driver.read(OUT) == []
    driver.run()
    assert_exactly_once(driver, sent)


@pytest.mark.rule(1)
def test_a_zombie_that_wakes_after_its_neighbour_took_over_writes_nothing():
    driver = Driver(ledger(), workers=2, static=False)
    driver.run()
    zombie = driver.workers["0"]
    sent = fill(driver)
    driver.faults.fail(
        "send_offsets_to_transaction", _doing(lambda: (driver.evict(), driver.crash(), driver.run())), by="ledger-0"
    )

    assert zombie.step() == 0

    assert_exactly_once(driver, sent)


@pytest.mark.rule(1)
def test_a_transaction_in_flight_when_partitions_are_lost_is_aborted_even_if_its_offsets_were_taken():
    driver = Driver(ledger(), partitions=1, static=False, pipelined=True)
    driver.run()
    sent = fill(driver)
    reached, let_go = threading.Event(), threading.Event()
    driver.faults.fail(
        "send_offsets_to_transaction", _doing(lambda: (reached.set(), let_go.wait(10))), lost_answer=True
    )
    driver.step()
    assert reached.wait(10)

    driver.evict()
    threading.Timer(0.1, let_go.set).start()
    driver.step()

    assert driver.metrics.counts["transactions_aborted_total"] == 1
    assert driver.metrics.counts["transactions_committed_total"] == 0
    assert driver.read(OUT) == []
    driver.run()
    assert_exactly_once(driver, sent)


@pytest.mark.rule(1)
def test_a_batch_of_timers_alone_is_fenced_by_the_generation_too():
    driver = Driver(ledger(), workers=2, static=False)
    sent = fill(driver, wait=60_000)
    driver.run()
    driver.advance(3_600_000)
    driver.faults.fail("send_offsets_to_transaction", _doing(driver.evict), by="ledger-0")

    driver.step("0")

    assert fired(driver) == []
    driver.run()
    assert len(fired(driver)) == len({event.key for event in sent})
    assert_exactly_once(driver, sent)


@pytest.mark.rule(1)
def test_two_processes_under_one_static_slot_are_told_apart_and_the_older_one_stops():
    driver = Driver(ledger())
    driver.run()
    older = driver.workers["0"]
    driver.start("0")
    sent = fill(driver)

    with pytest.raises(SlotTaken, match="slot '0'"):
        older.step()

    driver.run()
    assert_exactly_once(driver, sent)


@pytest.mark.rule(1)
def test_a_slot_whose_id_is_taken_again_and_again_gives_up_with_a_clear_message():
    driver = Driver(ledger(), renewals_in_a_row=3)
    driver.send("paid", "ann", add())
    rival = MemoryProducer(driver.broker, "ledger-0")
    driver.faults.fail("commit_transaction", _doing(lambda: rival.init_transactions(1)), times=10)

    with pytest.raises(SlotTaken, match="another process runs as slot"):
        driver.run()

    assert booked_ids(driver) == []


@pytest.mark.rule(1)
def test_a_group_of_three_shares_the_partitions_and_each_record_is_folded_once():
    driver = Driver(ledger(), partitions=7, workers=3, batch_records=5)
    sent = fill(driver, 300, keys=40)

    driver.run()

    assert sorted(p for worker in driver.workers.values() for p in worker.partitions) == list(range(7))
    assert_exactly_once(driver, sent)


def test_inputs_with_unequal_partitions_are_refused():
    driver = Driver(ledger(), topics={"refunded": 3})

    with pytest.raises(Misconfigured, match=r"\[3\].*same number of partitions"):
        driver.run()
