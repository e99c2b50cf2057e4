"""Steps 4 to 6 of a batch: one Kafka transaction, and what each way of failing means (rules 1 and 5)."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any, TypeVar

from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from topology.engine.batch import Batch
from topology.engine.definition import EngineConfig
from topology.engine.errors import AbortBatch, FateUnknown, Fenced, is_fence, is_unauthorized, kafka_error, unauthorized
from topology.engine.ports import Clock, Metrics, Producer
from topology.engine.position import encode_known

T = TypeVar("T")


class Step(Enum):
    """The numbered steps of a batch; tests stop, break or kill a worker right before each."""

    TAKE = 1
    READ = 2
    FOLD = 3
    PRODUCE = 4
    OFFSETS = 5
    COMMIT = 6
    APPLY = 7


LABELS = {step: step.name.lower() for step in Step}
"""As metrics name them."""

UNTOLD = -1
"""In place of an offset."""

Probe = Callable[[Step], None]


def no_probe(_step: Step) -> None:
    """Watch nothing."""


class Lap:
    """Tells the metrics how long each step took, one after the other."""

    def __init__(self, clock: Clock, metrics: Metrics) -> None:
        self._clock = clock
        self._metrics = metrics
        self._since = clock.monotonic()

    def done(self, step: Step) -> None:
        """The step ends now, and the next one begins."""
        now = self._clock.monotonic()
        self._metrics.observe("batch_step_seconds", now - self._since, step=LABELS[step])
        self._since = now


class Budget:
    """A time limit shared by several calls: each may use what the ones before left."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._end = clock.monotonic() + seconds

    def left(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self._end - self._clock.monotonic())


class TransactionalProducer:
    """A producer under one stable `transactional.id`, replaced when its transaction's fate is unknown.

    A new producer's `init_transactions` settles what the old one left: committed or aborted, never open.
    """

    def __init__(
        self,
        make: Callable[[], Producer],
        *,
        config: EngineConfig,
        clock: Clock,
        metrics: Metrics,
        probe: Probe,
    ) -> None:
        self._make = make
        self._config = config
        self._clock = clock
        self._metrics = metrics
        self._probe = probe
        self._producer: Producer | None = None
        self.cancelled = False
        """Set when partitions are lost: a transaction that has not reached step 6 is aborted, never committed."""
        self.spent = False
        """It has aborted a transaction, so it begins no other: offsets of the aborted one that were given up waiting
        for may reach the broker when the next one runs, and commit with that, as both have one epoch (KAFKA-14402,
        KIP-890, docs/complaints.md). Those of an older epoch are refused."""

    def open(self) -> None:
        """Create the producer and fence whoever used this id before.

        Raises:
            FateUnknown: the broker did not answer within `init_s`.
        """
        self._producer = None  # the old one is destroyed before the new one fences it
        producer = self._make()
        budget = Budget(self._clock, self._config.init_s)
        self._call(producer.init_transactions, budget, "init_transactions")
        self._producer, self.spent = producer, False

    def run(self, batch: Batch, *, inputs: tuple[str, ...], changelog: str, heads: dict[int, int]) -> dict[int, int]:
        """Make the batch durable: all of it, or nothing.

        Returns:
            By partition, the changelog offset after the batch's last dossier: the new checkpoint (rule 2). `UNTOLD` if
            the broker took it, but an earlier answer that said where was lost (DUPLICATE_SEQUENCE_NUMBER).

        Raises:
            AbortBatch: nothing of it was written; read again from the committed offsets.
            Fenced: somebody else took over; nothing of it was written.
            FateUnknown: it may or may not have been written; the producer must be replaced.
        """
        producer = self._producer
        if producer is None or self.spent:
            raise FateUnknown("the producer is being replaced")
        budget = Budget(self._clock, self._config.commit_s)
        delivered: dict[int, int] = {}
        lap = Lap(self._clock, self._metrics)
        try:
            self._probe(Step.PRODUCE)
            producer.begin_transaction()
            self._metrics.count("transactions_begun_total")
            delivered = self._produce(producer, batch, changelog, budget)
            lap.done(Step.PRODUCE)
            self._probe(Step.OFFSETS)
            # The records are on their way meanwhile: to wait for them first would take two round trips longer.
            self._send_offsets(producer, batch, inputs, budget)
            self._flush(producer, budget)
            lap.done(Step.OFFSETS)
            self._probe(Step.COMMIT)
            if self.cancelled:
                raise AbortBatch("the partitions were lost before the commit")
        except (KafkaException, SystemError) as exc:
            self._abort(exc, budget)
            raise AssertionError("unreachable: _abort raises") from exc
        except AbortBatch as exc:
            self._abort(exc, budget)
        self._commit(producer, budget)
        batch.committed_ms = self._clock.now_ms()
        lap.done(Step.COMMIT)
        self._metrics.count("transactions_committed_total")
        return heads | delivered

    def _produce(self, producer: Producer, batch: Batch, changelog: str, budget: Budget) -> dict[int, int]:
        """Step 4: outputs and dead letters, then the changelog; the last record a partition reports its offset."""
        heads: dict[int, int] = {}

        def delivered(error: KafkaError | None, message: Message) -> None:
            # An error here makes the commit fail too, so it needs no second handling.
            if error is None:
                offset = message.offset()
                heads[message.partition() or 0] = UNTOLD if offset is None else offset + 1

        produce = producer.produce
        for output in batch.outputs:
            try:
                produce(*output)
            except BufferError:
                self._queue(producer, budget, output)
        for partition, writes in batch.writes.items():
            number, timestamp, last = partition.number, partition.clock_ms, len(writes) - 1
            for n, (key, raw, _due) in enumerate(writes):
                report = delivered if n == last else None
                try:
                    produce(changelog, raw, key, number, report, None, timestamp, None)
                except BufferError:
                    self._queue(producer, budget, (changelog, raw, key, number, report, None, timestamp, None))
        return heads

    def _queue(self, producer: Producer, budget: Budget, row: tuple[Any, ...]) -> None:
        """The local queue is full: deliver some of it first. Bounded by the batch's budget."""
        while True:
            self._metrics.count("producer_queue_full_total")
            if not budget.left():
                raise KafkaException(
                    KafkaError(KafkaError._QUEUE_FULL, "queue full past the budget", False, False, True)  # noqa: SLF001
                )
            producer.poll(0.05)
            try:
                producer.produce(*row)
            except BufferError:
                continue
            return

    def _flush(self, producer: Producer, budget: Budget) -> None:
        left = producer.flush(budget.left())
        if left:
            raise KafkaException(
                KafkaError(KafkaError._TIMED_OUT, f"{left} records undelivered", False, False, True)  # noqa: SLF001
            )

    def _send_offsets(self, producer: Producer, batch: Batch, inputs: tuple[str, ...], budget: Budget) -> None:
        """Step 5: the offsets, with the group's generation as the fence (rule 1, KIP-447)."""
        positions = [
            TopicPartition(inputs[topic], partition, offset, encode_known(known))
            for topic, partition, offset, known in batch.offsets
        ]
        self._call(
            lambda left: producer.send_offsets_to_transaction(positions, batch.metadata, left),
            budget,
            "send_offsets_to_transaction",
        )

    def _commit(self, producer: Producer, budget: Budget) -> None:
        """Step 6. Past the budget, or with an error that does not say 'aborted', nobody knows what happened."""
        try:
            self._call(producer.commit_transaction, budget, "commit_transaction")
        except (KafkaException, SystemError) as exc:
            error = kafka_error(exc)
            if error is not None and (error.txn_requires_abort() or error.fatal()):
                self._abort(exc, budget)
            self._metrics.count("transactions_unknown_total")
            raise FateUnknown(f"commit_transaction: {exc}") from exc

    def _abort(self, cause: BaseException, budget: Budget) -> None:
        """Undo the transaction and raise what the cause means for the worker. Never returns."""
        error = kafka_error(cause)
        self.spent = True
        self._metrics.count("transactions_aborted_total")
        if error is not None and error.fatal() and is_unauthorized(error):
            raise unauthorized(error) from cause
        if error is not None and error.fatal():
            self._metrics.count("transactions_fenced_total")
            raise Fenced(f"the producer can do no more: {error.str()}") from cause
        producer = self._producer
        if producer is not None:
            try:
                # An abort must be tried even when the batch used up its time.
                self._call(
                    producer.abort_transaction,
                    Budget(self._clock, max(budget.left(), self._config.broker_s)),
                    "abort_transaction",
                )
            except (KafkaException, SystemError) as exc:
                refusal = kafka_error(exc)
                if refusal is not None and refusal.fatal() and is_fence(refusal):  # who took over has aborted it
                    self._metrics.count("transactions_fenced_total")
                    raise Fenced(f"{refusal.str()}, after {cause}") from exc
                raise FateUnknown(f"abort_transaction: {exc}, after {cause}") from exc
        if error is not None and is_fence(error):
            self._metrics.count("transactions_fenced_total")
            raise Fenced(f"the group moved on: {error.str()}") from cause
        if error is not None and is_unauthorized(error):
            raise unauthorized(error) from cause
        raise AbortBatch(f"aborted: {error.str() if error else cause}") from cause

    def _call(self, call: Callable[[float], T], budget: Budget, name: str) -> T:
        """Try again what librdkafka calls retriable, until the budget is used up (KIP-691's classes)."""
        while True:
            try:
                return call(max(budget.left(), 0.001))
            except KafkaException as exc:
                error = kafka_error(exc)
                final = error is None or error.fatal() or error.txn_requires_abort() or not error.retriable()
                if final or not budget.left():
                    raise
                self._metrics.count("kafka_retries_total", call=name)
                self._clock.sleep(min(0.1, budget.left()))
