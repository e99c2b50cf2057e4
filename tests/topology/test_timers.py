"""Timers by the machine's clock: each due state is given its timer once, in order, whatever happens between."""

import pytest

from tests.driver import START_MS, Driver
from tests.driver.faults import abortable
from tests.topology.ledger import INPUTS, OUT, add, assert_exactly_once, fill, fired, ledger
from topology.engine.transaction import Step

_MINUTE_MS = 60_000


def _arm(driver, **waits_ms):
    for name, wait_ms in waits_ms.items():
        driver.send(INPUTS[0], name, add(wait=wait_ms), partition=0)
    driver.run()


def test_timers_fire_in_the_order_in_which_they_are_due():
    driver = Driver(ledger(), partitions=1)
    _arm(driver, late=3 * _MINUTE_MS, early=_MINUTE_MS, middle=2 * _MINUTE_MS)
    assert fired(driver) == []

    driver.advance(_MINUTE_MS - 1)
    driver.run()
    assert fired(driver) == []

    driver.advance(1)
    driver.run()
    assert fired(driver) == [("early", START_MS + _MINUTE_MS)]

    driver.advance(10 * _MINUTE_MS)
    driver.run()
    assert [key for key, _ in fired(driver)] == ["early", "middle", "late"]


@pytest.mark.rule(3)
@pytest.mark.parametrize(
    "trouble",
    [
        lambda driver: None,
        lambda driver: (driver.crash(), driver.start("0")),
        lambda driver: driver.store.flush(),
        lambda driver: (driver.store.flush(), driver.crash(), driver.start("0")),
        lambda driver: driver.rebalance(),
        lambda driver: driver.start("1"),
        lambda driver: driver.faults.fail("commit_transaction", abortable),
        lambda driver: driver.crash_at(Step.COMMIT),
        lambda driver: driver.crash_at(Step.APPLY),
    ],
    ids=["none", "restart", "flush", "flush and restart", "rebalance", "neighbour", "abort", "crash 6", "crash 7"],
)
@pytest.mark.parametrize("timers_window", [1, 10_000], ids=["few in memory", "all in memory"])
def test_timers_survive(trouble, timers_window):
    driver = Driver(ledger(), cached_states=1, timers_window=timers_window)
    sent = fill(driver, wait=_MINUTE_MS)
    driver.run()

    trouble(driver)
    driver.run()
    driver.advance(120 * _MINUTE_MS)
    driver.run()

    assert sorted(key for key, _ in fired(driver)) == sorted({event.key for event in sent})
    assert_exactly_once(driver, sent)
    driver.advance(120 * _MINUTE_MS)
    driver.run()
    assert len(fired(driver)) == len({event.key for event in sent})


def test_a_state_that_is_changed_takes_its_timer_along():
    driver = Driver(ledger(), partitions=1)
    _arm(driver, ann=10 * _MINUTE_MS)
    driver.send(INPUTS[0], "ann", add(wait=_MINUTE_MS))
    driver.run()

    for _ in range(12):
        driver.advance(_MINUTE_MS)
        driver.run()

    assert [(at - START_MS) // _MINUTE_MS for _, at in fired(driver)] == [1, 10]


@pytest.mark.parametrize("timers_window", [3, 10_000])
def test_more_timers_than_a_batch_takes_fire_in_several_batches(timers_window):
    driver = Driver(ledger(), partitions=1, batch_timers=7, timers_window=timers_window)
    sent = fill(driver, 200, keys=50, wait=_MINUTE_MS)
    driver.run()
    driver.advance(600 * _MINUTE_MS)

    driver.run()

    assert sorted(key for key, _ in fired(driver)) == sorted({event.key for event in sent})
    assert_exactly_once(driver, sent)


@pytest.mark.rule(7)
def test_a_timer_that_leaves_itself_due_is_set_aside_instead_of_going_round_for_ever():
    def handle(account, event, ctx):
        if "timer" in event:
            ctx.emit(OUT, account.name, {"timer": ctx.now})
            return
        account.dues = [ctx.now + event["wait"]]

    driver = Driver(ledger(handle=handle), partitions=1)
    _arm(driver, ann=_MINUTE_MS, bob=2 * _MINUTE_MS)
    driver.advance(_MINUTE_MS)

    driver.run()

    (dead,) = driver.dead_letters()
    assert dead.key == b"ann"
    assert fired(driver) == []


def test_the_clock_of_a_partition_never_goes_back_over_a_restart():
    driver = Driver(ledger(), partitions=1)
    _arm(driver, ann=_MINUTE_MS)
    driver.advance(_MINUTE_MS)
    driver.run()
    driver.crash()
    driver.advance(-30 * _MINUTE_MS)
    driver.start("0")
    driver.send(INPUTS[0], "bob", add(id=9))

    driver.run()

    assert f'"now": {START_MS + _MINUTE_MS}'.encode() in next(r.value for r in driver.read(OUT) if r.key == b"bob")
