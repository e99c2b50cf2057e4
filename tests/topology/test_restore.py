"""Rule 4: on assignment, offsets first, then the uncommitted end, then the replay up to it, then work."""

import msgspec
import pytest
from confluent_kafka import KafkaError

from tests.driver import Driver
from tests.driver.broker import OFFSETS_TOPIC
from tests.driver.faults import kafka, store_down, timed_out
from tests.driver.producer import MemoryProducer
from tests.topology.ledger import CHANGELOG, INPUTS, OUT, Account, add, assert_exactly_once, fill, ledger
from topology.engine.definition import ClockKind
from topology.engine.errors import Misconfigured
from topology.engine.partition import Status
from topology.engine.position import Known, decode_known, encode_known
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
    driver = Driver(ledger(), partitions=1, workers=1)
    driver.send(INPUTS[0], "bob", add(1))
    driver.run()
    driver.stop()
    before = driver.states()
    hanging = _open_transaction(driver, Account("ann", count=7, total=70))
    driver.send(INPUTS[0], "ann", add(5))
    driver.start("0")
    _steps(driver)
    assert driver.workers["0"].partitions == {0: Status.RESTORING}
    assert driver.states() == before

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
    for call in ("committed", "bounds", "store.checkpoints", "reader.consume", "seek"):
        driver.faults.fail(call, lambda call=call: asked.append(call))
    sent = fill(driver)

    driver.run()

    assert asked[:3] == ["committed", "bounds", "store.checkpoints"]
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
@pytest.mark.parametrize(
    "call", ["committed", "bounds", "reader.consume", "store.checkpoints", "store.apply", "store.timers"]
)
def test_a_restore_whose_questions_fail_for_a_while_is_tried_again(call):
    driver = Driver(ledger(), workers=0)
    sent = fill(driver)
    error = store_down if call.startswith("store") else timed_out
    driver.faults.fail(call, error, times=5)
    driver.start("0")

    driver.run()

    assert_exactly_once(driver, sent)


@pytest.mark.rule(4)
@pytest.mark.parametrize("nth", [1, 2, 3])
def test_a_partition_that_is_restored_is_not_forgotten_when_the_next_one_fails(nth):
    driver = Driver(ledger(), partitions=3, workers=0)
    sent = fill(driver)
    asked = []
    driver.faults.fail(
        "store.timers", lambda: asked.append(1) or (store_down() if len(asked) == nth else None), times=9
    )
    driver.start("0")

    driver.run()

    assert driver.workers["0"].partitions == dict.fromkeys(range(3), Status.ACTIVE)
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


@pytest.mark.parametrize("flush", [False, True], ids=["warm", "flushed"])
def test_states_without_committed_offsets_are_refused_because_everything_would_be_folded_again(flush):
    driver = Driver(ledger(), partitions=2, workers=1)
    fill(driver)
    driver.run()
    driver.stop()
    states = driver.states()
    driver.broker.group(driver.app.name).offsets.clear()  # as retention does to a group without members
    if flush:
        driver.store.flush()
    driver.start("0")
    with pytest.raises(Misconfigured, match="holds states, but the group has no committed offsets"):
        _steps(driver)
    assert driver.states() == states


@pytest.mark.rule(4)
def test_records_deleted_before_they_were_folded_are_refused_and_not_skipped():
    driver = Driver(ledger(), partitions=1, workers=1)
    sent = fill(driver)
    driver.run()
    driver.stop()
    folded = driver.broker.group(driver.app.name).offsets
    late = fill(driver, 20, start=500)
    logs = [driver.broker.log(topic, 0) for topic in INPUTS]
    committed = {log.topic: folded[log.topic, 0][0] for log in logs}
    for log in logs:
        log.trim(committed[log.topic])  # retention took what was folded: nothing is missing
    driver.start("0")
    driver.run()
    assert_exactly_once(driver, sent + late)
    driver.stop()
    fill(driver, 20, start=900)
    logs[0].trim(logs[0].high_watermark - 1)
    driver.start("0")
    with pytest.raises(Misconfigured, match=rf"deleted before they were folded: {INPUTS[0]}\[0\] begins at"):
        _steps(driver)


def test_offsets_that_were_sealed_are_refused_with_the_reason():
    driver = Driver(ledger(), partitions=2, workers=1)
    fill(driver)
    driver.run()
    driver.stop()
    offsets, states = driver.broker.group(driver.app.name).offsets, driver.states()
    (where, (offset, metadata)) = next(iter(offsets.items()))
    offsets[where] = offset, encode_known(decode_known(metadata)._replace(seal="it has moved"))
    driver.start("0")
    with pytest.raises(Misconfigured, match="no worker may go on here: it has moved"):
        _steps(driver)
    assert driver.states() == states


@pytest.mark.parametrize("workers", [1, 3], ids=["one worker", "one of them has only what was added"])
def test_added_partitions_are_refused_because_users_would_lose_their_history(workers):
    driver = Driver(ledger(), partitions=2, workers=1)
    fill(driver)
    driver.run()
    driver.stop()
    states = driver.states()

    driver.broker.add_partitions(3)
    for slot in range(workers):
        driver.start(str(slot))
    for slot in map(str, range(workers)):
        with pytest.raises(Misconfigured, match="there are 3 partitions, but the group has committed offsets for 2"):
            _steps(driver, slot=slot)
    assert driver.states() == states


def test_offsets_of_a_version_that_did_not_tell_the_partitions_are_taken():
    assert decode_known("clock=5") == Known(5, None)
    assert decode_known(encode_known(Known(5, 4))) == Known(5, 4)
    assert decode_known(encode_known(Known(5, 4, "moved"))) == Known(5, 4, "moved")
    assert decode_known("") == decode_known(None) == decode_known("somebody else's") == Known(0, None)


@pytest.mark.rule(4)
@pytest.mark.parametrize("folded_before", [0, 20], ids=["from the oldest record", "from a committed offset"])
@pytest.mark.parametrize("to_the_end", [False, True], ids=["past four records", "past all"])
def test_a_client_that_goes_on_from_elsewhere_than_it_was_told_is_told_again(folded_before, to_the_end):
    driver = Driver(ledger(), partitions=1, workers=1, batch_records=8)
    sent = fill(driver, folded_before)
    driver.run()
    driver.stop()
    starts = {topic: len(driver.read(topic)) for topic in INPUTS}
    sent += fill(driver, 40, start=folded_before)
    driver.start("0")
    for topic, start in starts.items():
        driver.mislead(topic, 0, len(driver.read(topic)) if to_the_end else start + 4)

    driver.run()

    assert driver.metrics.counts["input_gaps_asked_again_total"] == len(INPUTS)
    assert_exactly_once(driver, sent)


@pytest.mark.rule(4)
def test_an_end_that_comes_with_the_wrong_records_is_not_believed_either():
    """By the stream clock an input that is thought to have ended would let the others overtake it."""
    outcomes = []
    for misled in (False, True):
        driver = Driver(ledger(), partitions=1, workers=1, clock=ClockKind.STREAM)
        fill(driver, 40)
        if misled:
            driver.mislead(INPUTS[0], 0, 4)
        driver.run()
        outcomes.append(driver.outcome(OUT))

    assert driver.metrics.counts["input_gaps_asked_again_total"] == 1
    assert outcomes[0] == outcomes[1]


@pytest.mark.rule(4)
def test_records_that_an_aborted_transaction_left_before_the_first_one_are_asked_for_once():
    driver = Driver(ledger(), partitions=1, workers=1)
    producer = MemoryProducer(driver.broker, "a-sender")
    producer.init_transactions(1)
    producer.begin_transaction()
    producer.produce(INPUTS[0], add(1), b"ann", 0)
    producer.flush(1)
    producer.abort_transaction(1)
    sent = fill(driver)

    driver.run()

    assert driver.metrics.counts["input_gaps_asked_again_total"] == 1
    assert_exactly_once(driver, sent)


@pytest.mark.rule(4)
@pytest.mark.parametrize("to_the_end", [False, True], ids=["past two records", "past all"])
def test_records_that_a_client_passes_over_in_the_middle_are_read(to_the_end):
    driver = Driver(ledger(), partitions=1, workers=1, batch_records=8)
    sent = fill(driver, 40)
    while not (read := driver.metrics.counts["records_folded_total"]):
        driver.step("0")
    for topic in INPUTS:
        driver.jump(topic, 0, len(driver.read(topic)) if to_the_end else len(driver.read(topic)) - 1)

    driver.run()

    assert 0 < read < 40
    assert driver.metrics.counts["input_records_skipped_by_client_total"] > 0
    assert_exactly_once(driver, sent)


@pytest.mark.rule(4)
def test_an_input_with_control_records_is_believed_after_three_gaps():
    driver = Driver(ledger(), partitions=1, workers=1, batch_records=1)
    producer = MemoryProducer(driver.broker, "a-sender")
    producer.init_transactions(1)
    for n in range(6):
        producer.begin_transaction()
        producer.produce(INPUTS[0], add(n), b"ann", 0)
        producer.flush(1)
        producer.commit_transaction(1)

    driver.run()

    assert driver.metrics.counts["records_folded_total"] == 6
    assert driver.metrics.counts["input_gaps_asked_again_total"] == 3
    assert driver.metrics.counts["input_records_skipped_by_client_total"] == 0


@pytest.mark.rule(2)
def test_checkpoint_of_a_batch_whose_place_the_broker_did_not_tell_is_looked_for():
    """Taken for an offset, "not told" would be the checkpoint, and an older Redis would pass for a current one."""
    driver = Driver(ledger(), partitions=1, workers=1)
    sent = fill(driver, 20)
    driver.run()
    sent += fill(driver, 20, start=20)
    driver.broker.forgets_where = True
    while not driver.metrics.counts["batches_failed_total"]:
        driver.step("0")
    driver.broker.forgets_where = False

    driver.run()

    (checkpoint,) = driver.store.checkpoints([0]).values()
    assert checkpoint == driver.read(driver.app.changelog)[-1].offset + 1
    assert_exactly_once(driver, sent)


@pytest.mark.rule(9)
def test_a_client_that_does_not_begin_to_read_a_partition_is_given_it_again():
    driver = Driver(ledger())
    sent = fill(driver)
    consumer, given = driver._slots["0"].consumer, []
    assign = consumer.assign

    def note(partitions):
        given.append(driver.clock.monotonic())
        assign(partitions)

    consumer.assign = note
    driver.faults.fail("seek", lambda: kafka(KafkaError._STATE) if len(given) < 2 else None, times=10_000)

    driver.run()

    assert len(given) == 2
    assert driver.metrics.counts["batches_failed_total"] > 2, "it is tried before"
    assert_exactly_once(driver, sent)
