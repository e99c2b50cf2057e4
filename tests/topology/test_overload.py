"""Ten times as much as a worker takes leaves the rest in Kafka, not in memory, and is worked off afterwards."""

import pytest

from tests.driver import Driver
from tests.topology.ledger import INPUTS, OUT, Sent, add, assert_exactly_once, ledger
from topology.engine.definition import ClockKind

_BATCH, _BUFFER = 20, 60


def _flood(driver, records, start, *, topic):
    sent = []
    for n in range(start, start + records):
        event = Sent(f"user-{n % 40}", n + 1, n % 9 + 1)
        driver.send(topic, event.key, add(event.amount, id=event.id), at=driver.clock.now_ms() + n)
        sent.append(event)
    return sent


def _buffered(driver):
    """Records of one input, taken from Kafka, that wait to be folded: the most of any."""
    lanes = [lane for p in driver.workers["0"]._partitions.values() for lane in p.merge.lanes]
    return max((len(lane.queue) for lane in lanes), default=0)


@pytest.mark.parametrize("pipelined", [False, True])
@pytest.mark.parametrize("clock", [ClockKind.WALL, ClockKind.STREAM])
def test_what_waits_for_a_slower_input_stays_in_kafka_and_not_in_memory(clock, pipelined):
    """Nothing of the flood may be folded before what the other input has still to bring."""
    driver = Driver(
        ledger(),
        partitions=1,
        batch_records=_BATCH,
        buffered_records=_BUFFER,
        clock=clock,
        align_s=1e9,
        align_most_s=1e9,
        pipelined=pipelined,
        cached_states=10,
    )
    driver.run()
    slow = driver.broker.log(INPUTS[1], 0)
    fetch, slow.fetch = slow.fetch, lambda position, *rest, **more: ([], position)
    sent = _flood(driver, 5, 0, topic=INPUTS[1])
    driver.workers["0"]._partitions[0].merge.lanes[1].at_end = False
    most = 0
    for _ in range(20):
        sent += _flood(driver, 10 * _BATCH, len(sent), topic=INPUTS[0])
        driver.step()
        most = max(most, _buffered(driver))
    assert driver.read(OUT) == []
    assert _BUFFER < most <= _BUFFER + _BATCH

    slow.fetch = fetch
    driver.run()

    assert _buffered(driver) == 0
    assert_exactly_once(driver, sent)
    partition = driver.workers["0"]._partitions[0]
    assert partition.paused_inputs == set()
    assert len(partition.cache) <= 10
