"""Rules 2 and 3: what the store answers is believed only with its checkpoint."""

import itertools

import pytest

from tests.driver import Driver
from tests.driver.faults import store_down
from tests.topology.ledger import OUT, add, assert_exactly_once, booked_ids, fill, id_of, ledger
from topology.engine.partition import Status
from topology.engine.ports import Apply
from topology.engine.timers import BEFORE_ALL

_COLD = {"cached_states": 1}
"""Nearly every state is read from the store."""


@pytest.mark.rule(3)
@pytest.mark.parametrize("settings", [_COLD, {}], ids=["cold", "cached"])
def test_flushed_redis_pauses_the_partition_until_it_is_rebuilt(settings):
    driver = Driver(ledger(), partitions=1, restore_records=10, **settings)
    sent = fill(driver)
    driver.run()
    driver.store.flush()
    sent += fill(driver, 30, start=100)

    driver.step()

    assert driver.workers["0"].partitions == {0: Status.RESTORING}
    assert len(booked_ids(driver)) == (60 if settings else 90), "what was cached needs no store"
    driver.run()
    assert_exactly_once(driver, sent)


@pytest.mark.rule(3)
def test_a_key_with_history_is_never_judged_as_new_however_often_redis_is_flushed():
    driver = Driver(ledger(), batch_records=5, **_COLD)
    sent = fill(driver, 100)
    for _ in range(60):
        driver.step()
        driver.store.flush()
    assert driver.metrics.counts["redis_lost_total"] + driver.metrics.counts["redis_refused_total"] > 10

    driver.run()

    assert_exactly_once(driver, sent)


@pytest.mark.rule(3)
@pytest.mark.parametrize(
    "call", ["store.read", "store.apply", "store.checkpoints", "store.timers", "commit_transaction"]
)
def test_a_flush_at_any_moment_is_noticed_before_the_next_event_is_judged(call):
    driver = Driver(ledger(), batch_records=7, **_COLD)
    sent = fill(driver, 40)
    driver.run()
    sent += fill(driver, 40, start=100)
    driver.faults.fail(call, driver.store.flush)

    driver.run()

    assert_exactly_once(driver, sent)


@pytest.mark.rule(3)
def test_a_partition_whose_states_are_all_cached_still_notices_the_flush_when_it_applies():
    driver = Driver(ledger(), partitions=1)
    sent = fill(driver)
    driver.run()
    driver.store.flush()
    sent += fill(driver, 5, start=100)

    driver.run()

    assert driver.metrics.counts["redis_refused_total"] == 1
    assert_exactly_once(driver, sent)


@pytest.mark.rule(3)
@pytest.mark.parametrize("settings", [_COLD, {}], ids=["cold", "cached"])
def test_a_store_that_fell_back_to_an_older_state_gets_the_tail_only(settings):
    driver = Driver(ledger(), partitions=1, **settings)
    sent = fill(driver, 400, keys=100)
    driver.run()
    older = driver.store.snapshot()
    sent += fill(driver, 20, start=400)
    driver.run()
    restored = driver.metrics.counts["restored_records_total"]

    driver.store.restore(older)
    sent += fill(driver, 20, start=500)
    driver.run()

    assert driver.metrics.counts["restored_records_total"] - restored <= 40
    assert_exactly_once(driver, sent)


@pytest.mark.rule(3)
def test_a_store_that_lost_only_its_timers_is_rebuilt_at_the_next_start():
    driver = Driver(ledger(), partitions=1)
    sent = fill(driver, wait=60_000)
    driver.run()
    driver.store.lose_timers(0)
    driver.crash()
    driver.start("0")

    driver.run()

    driver.advance(3_600_000)
    driver.run()
    assert sum("timer" in str(record.value) for record in driver.read(OUT)) == len({event.key for event in sent})
    assert_exactly_once(driver, sent)


@pytest.mark.rule(2)
def test_a_checkpoint_beyond_the_log_belongs_to_another_life_and_is_rebuilt():
    driver = Driver(ledger(), partitions=1, workers=0)
    driver.store.apply([Apply(0, None, 1_000_000, [(b"user-1", b"\xff" * 8 + b"nonsense", None)])])
    sent = fill(driver)
    driver.start("0")

    driver.run()

    assert_exactly_once(driver, sent)


@pytest.mark.rule(2)
def test_an_apply_that_is_refused_sends_the_partition_through_restore():
    driver = Driver(ledger(), partitions=1, batch_records=10)
    sent = fill(driver)
    driver.run()
    older = driver.store.snapshot()
    sent += fill(driver, 10, start=100)
    driver.run()
    sent += fill(driver, 10, start=200)
    driver.faults.fail("store.apply", lambda: driver.store.restore(older))

    driver.run()

    assert driver.metrics.counts["redis_refused_total"] == 1
    assert_exactly_once(driver, sent)


@pytest.mark.rule(2)
def test_an_apply_whose_answer_was_lost_counts_as_done():
    driver = Driver(ledger(), partitions=1, batch_records=10)
    sent = fill(driver)
    driver.faults.fail("store.apply", store_down, times=3, lost_answer=True)

    driver.run()

    assert_exactly_once(driver, sent)


@pytest.mark.rule(2)
def test_a_zombies_apply_after_the_takeover_is_refused():
    driver = Driver(ledger(), partitions=1)
    driver.run()
    sent = fill(driver)
    zombie = driver.workers["0"]
    late: list = []
    apply = driver.store.apply
    driver.store.apply = lambda batch: late.append(list(batch)) or {0: (True, late[-1][0][2])}
    zombie.step()
    driver.store.apply = apply
    driver.start("0")
    sent += fill(driver, 40, start=100)
    driver.run()

    assert driver.store.apply(late[0])[0][0] is False
    assert_exactly_once(driver, sent)


@pytest.mark.rule(9)
@pytest.mark.parametrize("call", ["read", "apply"])
def test_while_redis_is_down_the_worker_polls_on_and_stays_a_member(call):
    driver = Driver(ledger(), static=False, batch_records=10, **_COLD)
    sent = fill(driver, 30)
    driver.run()
    (member,) = driver.broker.group("ledger").members
    sent += fill(driver, 30, start=100)
    driver.faults.fail(f"store.{call}", lambda: driver.store.down() or store_down())
    began_s = driver.clock.monotonic()
    polls_s = [began_s]
    driver.faults.fail("consume", lambda: polls_s.append(driver.clock.monotonic()), times=100_000)
    while driver.clock.monotonic() - began_s < 10 * driver.broker.session_s:
        driver.step()
    assert len(booked_ids(driver)) < 60
    assert Status.ACTIVE not in driver.workers["0"].partitions.values()
    assert max(after - before for before, after in itertools.pairwise([*polls_s, driver.clock.monotonic()])) < 5

    driver.store.up()
    driver.run()

    assert list(driver.broker.group("ledger").members) == [member]
    assert driver.metrics.counts["rebalances_total"] == 1
    assert_exactly_once(driver, sent)


@pytest.mark.rule(9)
def test_a_long_replay_is_cut_into_steps_with_a_poll_between_each():
    driver = Driver(ledger(), partitions=1, restore_records=50, static=False)
    sent = fill(driver, 2_000, keys=1_000)
    driver.run()
    driver.store.flush()
    driver.crash()
    driver.start("0")
    restored = []
    driver.faults.fail(
        "consume", lambda: restored.append(driver.metrics.counts["restored_records_total"]), times=100_000
    )
    while driver.workers["0"].partitions.get(0) is not Status.ACTIVE:
        driver.step()

    assert driver.metrics.counts["restored_records_total"] >= len({event.key for event in sent})
    assert max(after - before for before, after in itertools.pairwise(restored)) <= 50
    driver.run()
    assert_exactly_once(driver, sent)


@pytest.mark.rule(3)
def test_a_rebuild_larger_than_one_call_to_the_store_is_whole():
    driver = Driver(ledger(), partitions=1)
    for n in range(12_000):
        driver.send("paid", f"user-{n}", add(id=n + 1, wait=1_000_000))
    driver.run()
    expected = driver.store.snapshot()
    driver.store.flush()
    driver.crash()
    driver.start("0")
    driver.run()

    assert driver.stored_states() == driver.states()
    assert driver.store.timers(0, BEFORE_ALL, 10**6).pairs == sorted(
        (due, key) for key, due in expected[0].timers.items()
    )
    driver.send("paid", "user-77", add(id=99_999))
    driver.run()
    assert b'"count": 2' in next(r.value for r in driver.read(OUT) if id_of(r.value) == 99_999)
