"""How far a worker is behind is told truly whenever somebody looks, also when its loop stands still."""

from __future__ import annotations

import json

from tests.driver import Driver
from tests.topology.ledger import INPUTS, add, ledger
from topology.engine.definition import ClockKind
from topology.engine.transaction import LABELS, Step
from topology.health import Health

PAID, REFUNDED = INPUTS


def _app(**changes):
    return ledger(event_time=lambda event: event.get("at"), called=str.upper, **changes)


def _found(driver, slot="0"):
    """The newest readings by metric and labels."""
    return {(name, *labels.values()): value for name, value, labels in driver.workers[slot].readings()}


def _look(driver):
    """As the loop does after each fetch, now and then."""
    worker = driver.workers["0"]
    worker._readings._next_look = 0.0
    worker._readings.look(worker._partitions)


def _behind(driver, topic=PAID, partition=0):
    # The real client fetches in a thread of its own, so it knows the ends by the loop's next look.
    consumer = driver._slots["0"].consumer
    for place in consumer._fetched_ends:
        log = driver.broker.log(*place)
        consumer._fetched_ends[place] = (log.start, log.high_watermark)
    _look(driver)
    found = _found(driver)
    place = (topic.upper(), str(partition))
    return (
        found["input_behind_records", *place],
        found["input_behind_seconds", *place, "publish"],
        found["input_behind_seconds", *place, "event"],
    )


def test_who_is_caught_up_is_not_behind_however_long_ago_the_newest_record_came():
    driver = Driver(_app(), partitions=1)
    driver.run()
    assert _behind(driver) == (0, 0, 0)
    driver.send(PAID, "a", add())
    driver.run()
    driver.advance(3_600_000)
    assert _behind(driver) == (0, 0, 0)
    driver.send(PAID, "a", add())
    assert _behind(driver) == (1, 0, 0), "it has only just come"


def _waiting_world():
    """Records of one input wait in memory for the other, whose end nobody knows."""
    driver = Driver(_app(), partitions=1, align_s=1e9, align_most_s=1e9)
    driver.run()
    slow = driver.broker.log(REFUNDED, 0)
    slow.fetch = lambda position, *rest, **more: ([], position)
    driver.send(REFUNDED, "z", add())
    driver.workers["0"]._partitions[0].merge.lanes[1].at_end = False
    return driver


def test_behind_counts_from_the_oldest_record_that_is_not_committed_while_the_loop_stands_still():
    driver = _waiting_world()
    now = driver.clock.now_ms()
    driver.send(PAID, "a", add(at=now - 5_000), at=now - 1_000)
    driver.send(PAID, "b", add(at=now - 2_000), at=now)
    assert _behind(driver) == (2, 0, 0)
    driver.advance(500)
    assert _behind(driver) == (2, 0.5, 0.5), "none of them has been fetched: since it is known that they wait"
    driver.step()
    records, published, happened = _behind(driver)
    assert (records, happened - published) == (2, 4), "they are in memory: by the first of them"
    driver.advance(60_000)
    assert _behind(driver) == (2, published + 60, happened + 60), "nobody had to set it"
    assert _behind(driver, REFUNDED)[0] == 1


def test_what_is_in_flight_is_behind_until_it_is_committed():
    driver = Driver(_app(), partitions=1, pipelined=True)
    driver.run()
    worker = driver.workers["0"]
    driver.send(PAID, "a", add())
    settle, worker._committer.settle = worker._committer.settle, lambda limit_s=None: None
    driver.step()
    driver.advance(7_000)
    assert _behind(driver) == (1, 7, 7)
    worker._committer.settle = settle
    driver.run()
    assert _behind(driver) == (0, 0, 0)


def test_aborted_batch_is_behind_again():
    driver = Driver(_app(), partitions=1)
    driver.run()
    from tests.driver.faults import abortable  # noqa: PLC0415

    driver.send(PAID, "a", add())
    driver.faults.fail("commit_transaction", abortable)
    driver.step()
    driver.advance(2_000)
    assert _behind(driver)[0] == 1
    driver.run()
    assert _behind(driver) == (0, 0, 0)


def test_partition_that_is_being_restored_knows_how_much_waits():
    driver = Driver(_app(), partitions=1, restore_records=1)
    for n in range(5):
        driver.send(PAID, f"k{n}", add())
    driver.run()
    driver.store.flush()
    driver.stop()
    for n in range(7):
        driver.send(PAID, f"k{n}", add())
    worker = driver.start("0")
    assert not [name for name in _found(driver) if name[0] == "input_behind_records"], "nothing is known yet"
    while not worker.partitions or not worker._restorer._running:
        driver.step()
    assert not worker.ready
    assert _behind(driver)[0] == 7
    driver.run()
    assert _behind(driver) == (0, 0, 0)


def test_record_that_cannot_be_judged_is_behind_by_its_publishing():
    driver = _waiting_world()
    driver.send(PAID, "a", b"not json")
    driver.step()
    driver.advance(3_000)
    records, published, happened = _behind(driver)
    assert (records, happened) == (1, published)
    assert 3 <= published < 4


def test_late_timers_are_told_though_nobody_fires_them():
    driver = Driver(_app(), partitions=1)
    driver.send(PAID, "a", add(wait=1_000))
    driver.run()
    assert _found(driver)["timer_late_seconds",] == 0
    driver.advance(5_000)
    assert _found(driver)["timer_late_seconds",] == 4
    driver.run()
    found = _found(driver)
    assert (found["timer_late_seconds",], found["timers_in_memory",]) == (0, 0)
    assert driver.metrics.observed["timer_lateness_seconds",] == [4]


def test_timer_is_as_late_as_it_had_been_due_by_the_clock_of_the_fold():
    driver = Driver(_app(), partitions=1, clock=ClockKind.STREAM)
    start = driver.clock.now_ms()
    driver.send(PAID, "a", add(wait=1_000), at=start)
    driver.send(PAID, "b", add(), at=start + 9_000)
    driver.run()
    assert driver.metrics.observed["timer_lateness_seconds",] == [0], "history knows no lateness"


def test_clock_ahead_of_ours_is_told_and_takes_no_time_away():
    driver = Driver(_timing(), partitions=1)
    driver.run()
    driver.send(PAID, "a", add(), at=driver.clock.now_ms() + 8_000)
    driver.run()
    assert _found(driver)["records_ahead_seconds", PAID.upper()] == 8
    assert _found(driver)["records_ahead_seconds", REFUNDED.upper()] == 0
    assert driver.metrics.observed["appeal_to_case_seconds",] == [0]
    driver.advance(9_000)
    assert _found(driver)["records_ahead_seconds", PAID.upper()] == 0


def _timing(**changes):
    """The ledger, which asks for the time of what is worth more than one."""
    plain = ledger()

    def handle(account, event, ctx):
        if event.get("add", 1) > 0:
            ctx.timed("appeal_to_case_seconds")
        plain.handle(account, event, ctx)

    return _app(handle=handle, **changes)


def test_time_is_from_publishing_to_commit_of_those_that_ask_for_it_and_are_folded():
    driver = Driver(_timing(), partitions=1)
    driver.run()
    now = driver.clock.now_ms()
    driver.send(PAID, "a", add(), at=now - 31_000)
    driver.send(PAID, "b", add(0), at=now - 5_000)
    driver.send(PAID, "c", add(fault="after"), at=now - 6_000)
    driver.send(PAID, "d", add(wait=10), at=now - 100)
    driver.run()
    driver.advance(1_000)
    driver.run()
    assert driver.metrics.observed["appeal_to_case_seconds",] == [31, 0.1], "not the one set aside, nor the timer"


def test_aborted_batch_is_timed_once_and_to_its_commit():
    from tests.driver.faults import abortable  # noqa: PLC0415

    driver = Driver(_timing(), partitions=1)
    driver.run()
    driver.send(PAID, "a", add())
    driver.faults.fail("commit_transaction", abortable)
    driver.step()
    assert ("appeal_to_case_seconds",) not in driver.metrics.observed
    driver.advance(12_000)
    driver.run()
    [waited] = driver.metrics.observed["appeal_to_case_seconds",]
    assert 12 <= waited < 13


def test_publishing_time_is_nothing_that_a_state_rests_on():
    """Two deliveries that differ in it alone, by the wall clock, leave the same."""
    outcomes = []
    for ago in (0, 50_000):
        driver = Driver(_timing(), partitions=1)
        driver.run()
        driver.send(PAID, "a", json.dumps({"id": 1, "add": 3}).encode(), at=driver.clock.now_ms() - ago)
        driver.run()
        outcomes.append(driver.outcome("booked"))
    assert outcomes[0] == outcomes[1]


def test_every_step_of_a_batch_is_timed():
    driver = Driver(_app(), partitions=2)
    driver.send(PAID, "a", add())
    driver.run()
    timed = {
        name[1]: len(values) for name, values in driver.metrics.observed.items() if name[0] == "batch_step_seconds"
    }
    assert timed == {LABELS[step]: 1 for step in Step}
    assert driver.metrics.observed["batch_records",] == [1]
    assert (
        driver.metrics.counts["transactions_begun_total"] == driver.metrics.counts["transactions_committed_total"] == 1
    )
    assert driver.metrics.counts["redis_applied_total"] == 1


def test_rebalance_takes_until_what_came_is_caught_up():
    driver = Driver(_app(), partitions=4)
    driver.run()
    assert len(driver.metrics.observed["rebalance_seconds",]) == 1
    assert len(driver.metrics.observed["restore_seconds",]) == 4
    driver.faults.fail("committed", lambda: driver.advance(3_000))
    driver.rebalance()
    driver.run()
    [_, again] = driver.metrics.observed["rebalance_seconds",]
    assert 3 <= again < 4
    assert all(3 <= each < 4 for each in driver.metrics.observed["restore_seconds",][4:])


def test_aborted_batch_is_no_rebalance():
    from tests.driver.faults import abortable  # noqa: PLC0415

    driver = Driver(_app(), partitions=1)
    driver.run()
    driver.send(PAID, "a", add())
    driver.faults.fail("commit_transaction", abortable)
    driver.run()
    assert len(driver.metrics.observed["rebalance_seconds",]) == 1
    assert len(driver.metrics.observed["restore_seconds",]) == 2


# --- health ---------------------------------------------------------------------------------------------------------


def test_alive_is_who_moves_and_dead_who_has_not_for_longer_than_anything_may_take():
    driver = Driver(_app(), partitions=1)
    worker = driver.workers["0"]
    longest_s = worker._config.longest_step_s
    health = Health(longest_s, driver.clock)
    assert health.live() is None
    driver.advance(int(longest_s * 1_000) + 1_000)
    assert "the start has taken" in health.live()
    health.worker = worker
    driver.step()
    assert health.live() is None
    driver.advance(int(longest_s * 1_000) - 1_000)
    assert health.live() is None, "that long a round may be"
    driver.advance(2_000)
    assert health.live() == "the loop has not moved for 171 s; more than 170 s cannot be waiting for somebody"
    driver.step()
    assert health.live() is None


def test_bound_is_longer_than_what_the_settings_let_a_round_take():
    config = Driver(_app(), commit_s=100.0, revoke_s=50.0, init_s=70.0).workers["0"]._config
    assert config.longest_step_s > config.init_s + config.commit_s + config.revoke_s
    assert config.longest_step_s == 280


def test_ready_is_who_holds_partitions_and_has_caught_up_with_all_of_them():
    driver = Driver(_app(), partitions=2)
    health = Health(10, driver.clock)
    assert health.ready() == "starting"
    health.worker = worker = driver.workers["0"]
    assert health.ready() == "no partitions are assigned"
    while not worker.partitions:
        driver.step()
    if not worker.ready:
        assert health.ready() == "2 of 2 partitions are being restored"
    driver.run()
    assert health.ready() is None
    driver.start("1")
    driver.start("2")
    driver.run()
    health.worker = driver.workers["2"]
    assert health.ready() == "no partitions are assigned", "two partitions, three workers"
    driver.stop("0")
    driver.run()
    assert health.ready() is None
