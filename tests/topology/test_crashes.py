"""A crash at any step, and a fault at any call, leave what an undisturbed run leaves."""

import pytest

from tests.driver import Driver
from tests.driver.checks import assert_each_once
from tests.topology.ledger import INPUTS, OUT, add, assert_exactly_once, fill, ledger
from topology.engine.definition import ClockKind
from topology.engine.transaction import Step

_STEPS = [pytest.param(step, id=f"{step.value}-{step.name.lower()}") for step in Step]


def _history(driver):
    sent = fill(driver, 80, wait=30_000)
    driver.send(INPUTS[0], "user-1", b"junk", at=driver.clock.now_ms() + 3_500)
    driver.send(INPUTS[1], None, add(id=1), at=driver.clock.now_ms() + 4_500, partition=2)
    driver.send(INPUTS[1], "user-3", add(id=2, fault="after"), at=driver.clock.now_ms() + 9_500)
    return sent


def _undisturbed(**settings):
    driver = Driver(ledger(), **settings)
    sent = _history(driver)
    driver.run()
    assert_exactly_once(driver, sent)
    return driver.outcome(OUT)


@pytest.mark.rule(5)
@pytest.mark.parametrize("pipelined", [False, True], ids=["in-line", "pipelined"])
@pytest.mark.parametrize("nth", [1, 2, 4])
@pytest.mark.parametrize("step", _STEPS)
def test_a_crash_right_before_a_step_changes_nothing_that_a_reader_sees(step, nth, pipelined):
    settings = {"clock": ClockKind.STREAM, "batch_records": 7, "pipelined": pipelined}
    driver = Driver(ledger(), **settings)
    _history(driver)
    driver.crash_at(step, nth=nth)

    driver.run()

    assert driver.metrics.counts["producer_renewals_total"] >= 2, "the crash did not happen"
    found, expected = driver.outcome(OUT), _undisturbed(**settings | {"pipelined": False})
    for topic, records in expected.items():
        assert_each_once(records, found[topic])
    assert found == expected
    assert driver.stored_states() == driver.states()


@pytest.mark.rule(5)
@pytest.mark.parametrize("step", _STEPS)
def test_a_worker_that_crashes_at_a_step_is_replaced_by_its_neighbour(step):
    driver = Driver(ledger(), workers=2, batch_records=7)
    driver.run()
    sent = fill(driver)
    driver.crash_at(step, "1", restart=False)

    driver.run()

    assert list(driver.workers) == ["0"]
    assert len(driver.workers["0"].partitions) == 4
    assert_exactly_once(driver, sent)


@pytest.mark.rule(5)
def test_crash_after_crash_at_every_step_in_turn_still_gives_each_record_once():
    driver = Driver(ledger(), batch_records=5)
    sent = []
    for step in [*Step, *reversed(Step)]:
        sent += fill(driver, 30, start=len(sent))
        driver.crash_at(step, nth=2)
        driver.run()

    assert driver.metrics.counts["producer_renewals_total"] == 1 + 2 * len(Step)
    assert_exactly_once(driver, sent)


@pytest.mark.rule(2)
def test_a_crash_between_commit_and_apply_is_healed_from_the_changelog():
    driver = Driver(ledger(), partitions=1)
    sent = fill(driver)
    driver.crash_at(Step.APPLY, restart=False)
    driver.run()
    assert driver.stored_states() == {}

    driver.start("0")
    driver.run()

    assert_exactly_once(driver, sent)
