"""How large a batch becomes: what comes while the one before is on its way is one batch, unless it is much."""

from __future__ import annotations

import dataclasses

from confluent_kafka import Message

from tests.driver.clock import START_MS, ManualClock
from tests.topology.ledger import INPUTS, add, ledger
from topology.engine.batch import Batch
from topology.engine.clients import NoMetrics
from topology.engine.definition import EngineConfig
from topology.engine.partition import Partition, Status
from topology.engine.taking import GATHER_MOST_S, Taker

FULL = 400


class Live:
    """A consumer to which records come one by one; it waits as the real one does: for all that were asked for."""

    def __init__(self, clock: ManualClock, *, gap_s: float) -> None:
        self._clock = clock
        self._gap_s = gap_s
        self._count = 0
        self._start = clock.monotonic()

    def consume(self, num_messages: int, timeout: float) -> list[Message]:
        deadline = self._clock.monotonic() + timeout
        while (ready := self._come() - self._count) < num_messages and self._clock.monotonic() < deadline:
            self._clock.sleep(min(self._gap_s, deadline - self._clock.monotonic()))
        first, self._count = self._count, self._count + min(ready, num_messages)
        return [_message(n) for n in range(first, self._count)]

    def _come(self) -> int:
        return int((self._clock.monotonic() - self._start) / self._gap_s + 1e-6)

    def pause(self, _partitions: object) -> None: ...

    def get_watermark_offsets(self, *_: object, **__: object) -> tuple[int, int]:
        return 0, 0


def _message(n: int) -> Message:
    return Message(
        topic=INPUTS[0], partition=0, offset=n, key=b"ann", value=add(id=n), timestamp=(1, START_MS), error=None
    )


class Setup:
    def __init__(self, *, gap_s: float) -> None:
        self.clock = ManualClock()
        self.partition = Partition(0, len(INPUTS), 10, 1_000)
        self.partition.move(Status.RESTORING)
        self.partition.move(Status.ACTIVE)
        config = dataclasses.replace(EngineConfig(slot="0"), batch_records=FULL)
        consumer = Live(self.clock, gap_s=gap_s)
        self.taker = Taker(
            ledger(),
            config,
            consumer=consumer,  # type: ignore[arg-type]
            more_timers=lambda _partition: None,
            clock=self.clock,
            metrics=NoMetrics(),
        )
        self.taker.open(self.partition, dict.fromkeys(range(len(self.partition.merge.lanes)), 0))

    def take(self, *, busy_for_s: float) -> tuple[int, float]:
        """(records of the batch, seconds until it was there) while the one before is on its way for so long."""
        start = self.clock.monotonic()
        batch: Batch = self.taker.take(
            {0: self.partition}, wait_s=0.5, free=lambda: self.clock.monotonic() - start >= busy_for_s
        )
        return len(batch.records[self.partition]) if batch else 0, self.clock.monotonic() - start


def test_a_worker_that_waits_takes_a_record_as_soon_as_it_comes():
    records, waited_s = Setup(gap_s=0.01).take(busy_for_s=0)

    assert records == 1
    assert waited_s <= 0.011


def test_what_comes_while_a_batch_is_on_its_way_is_one_batch():
    records, waited_s = Setup(gap_s=0.001).take(busy_for_s=0.05)

    assert 50 <= records <= 53
    assert waited_s <= 0.053


def test_a_quarter_of_a_batch_does_not_wait_for_the_one_before():
    records, waited_s = Setup(gap_s=0.000_1).take(busy_for_s=0.5)

    assert records == FULL / 4
    assert waited_s < 0.02


def test_of_what_lies_ready_a_full_batch_is_taken():
    setup = Setup(gap_s=0.000_1)
    setup.clock.sleep(10)

    records, waited_s = setup.take(busy_for_s=0.5)

    assert records == FULL
    assert waited_s < 0.001


def test_a_commit_that_does_not_end_is_looked_at_now_and_then():
    records, waited_s = Setup(gap_s=0.1).take(busy_for_s=1_000)

    assert 0 < records < FULL
    assert waited_s <= GATHER_MOST_S + 0.51
