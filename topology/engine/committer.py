"""Steps 4 to 7 of a batch, in a thread one batch behind the fold, and what became of them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError

from confluent_kafka import KafkaException

from topology import logs
from topology.engine.batch import Batch
from topology.engine.definition import EngineConfig
from topology.engine.errors import (
    AbortBatch,
    BatchFailed,
    FateUnknown,
    Fenced,
    Hung,
    Misconfigured,
    SlotTaken,
    StateLost,
    is_fence,
    is_unauthorized,
    kafka_error,
    unauthorized,
)
from topology.engine.ports import Apply, Clock, Metrics, Producer, StateStore, Tracer
from topology.engine.transaction import UNTOLD, Lap, Probe, Step, TransactionalProducer

_NONE: dict[bytes, bool] = {}


class Committer:
    """Makes one batch after the other durable. Only `_make_durable` runs in the thread."""

    def __init__(
        self,
        producer: Callable[[], Producer],
        *,
        inputs: tuple[str, ...],
        called: Callable[[str], str],
        changelog: str,
        config: EngineConfig,
        store: StateStore,
        clock: Clock,
        metrics: Metrics,
        probe: Probe,
        tracer: Tracer | None,
    ) -> None:
        self._producer = TransactionalProducer(producer, config=config, clock=clock, metrics=metrics, probe=probe)
        self._inputs = inputs
        self._called = called
        self._log = logs.logger().bind(slot=config.slot)
        self._changelog = changelog
        self._config = config
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._probe = probe
        self._tracer = tracer
        self._thread = ThreadPoolExecutor(1, "committer") if config.pipelined else None
        self._flight: Future[None] | None = None
        self._abandoned: Future[None] | None = None
        self._renewals = 0
        self._hung_s = config.commit_s + config.broker_s + config.revoke_s
        """Longer than all limits of one transaction together (librdkafka #5511: a call that ignores its own)."""
        self.hung = False
        """The thread is in a call that never ends; nothing can be waited for any more."""
        self.in_flight: Batch | None = None
        """The batch that is not yet durable, if any."""
        self.checkpoints: dict[int, int] = {}
        """What the store holds by partition; the thread alone writes it while a batch is in flight."""

    def open(self) -> None:
        """Make the first producer, which fences older incarnations of this slot."""
        self._renew()

    def close(self) -> None:
        """Wait for the batch in flight, tell if it has failed, and end the thread, unless it hangs."""
        if self.hung:
            return
        try:
            self.settle()
        except BatchFailed as exc:
            # Whoever owns the partitions next goes through `restore`, as after a crash: nothing is lost by leaving
            # now, and raising this would hide why the worker ends, or make a failure of an orderly stop.
            self._tell_failed(exc)
        finally:
            if self._thread is not None:
                self._thread.shutdown(wait=True)

    def submit(self, batch: Batch) -> None:
        """Make the batch durable; behind the caller's back when pipelined. The one before must be settled.

        A producer that has aborted is replaced now and not when it did: partitions were to be given up then.

        Raises:
            SlotTaken, Misconfigured: no producer could be made in its place.
        """
        if self._producer.spent:
            self._renewals -= 1  # nobody fenced it
            self._renew()
        self.in_flight = batch
        if self._thread is not None:
            self._flight = self._thread.submit(self._make_durable, batch, self.checkpoints)
            return
        self._make_durable(batch, self.checkpoints)
        self._settled(batch)

    def settle(self, limit_s: float | None = None) -> None:
        """Wait for the batch in flight and raise what became of it, once.

        Raises:
            BatchFailed: it must be read again.
            Misconfigured: nothing of it was written, and nothing will be before an operator has changed something.
            TimeoutError: it is not done within `limit_s`.
            Hung: without a limit, a call to the broker outlived every time-out that it was given.
        """
        flight, batch = self._flight, self.in_flight
        if flight is None or batch is None:
            return
        try:
            flight.result(limit_s or self._hung_s)
        except FutureTimeoutError:
            if limit_s is None and not flight.done():
                self.hung = True
                raise Hung(
                    f"a transaction has not ended {self._hung_s:.0f} s after it began, although no call may take "
                    "that long: the client library hangs. The process must end; its slot starts again from the "
                    "committed offsets."
                ) from None
            raise
        except BaseException:
            self._flight = self.in_flight = None
            raise
        self._settled(batch)

    def free(self) -> bool:
        """Would `settle` return, or raise, at once?"""
        return self._flight is None or self._flight.done()

    def drop(self, cause: BatchFailed) -> None:
        """Wait for the batch in flight, and replace the producer if what became of it or the `cause` asks for it.

        Afterwards nothing of this worker runs on.

        Raises:
            EngineError: nothing can go on.
        """
        outcomes = [cause]
        try:
            self.settle()
        except BatchFailed as exc:
            outcomes.append(exc)
        finally:
            self._flight = self.in_flight = None
        if any(isinstance(outcome, Fenced | FateUnknown) for outcome in outcomes):
            self._renew()

    # --- rebalances -------------------------------------------------------------------------------------------

    def assigned(self) -> None:
        """Partitions are ours again: transactions may be committed."""
        self._producer.cancelled = False

    def lost(self) -> None:
        """Rule 1: somebody else may own the partitions already. A running transaction must not be committed."""
        self._producer.cancelled = True

    def leave(self, limit_s: float) -> None:
        """Rule 6: finish or abort what is in flight within the limit, before the partitions are given up.

        Raises:
            EngineError: nothing can go on; what was in flight is not any more.
        """
        try:
            self.settle(limit_s)
        except FutureTimeoutError:
            # The next owner's restore waits for our open transaction (rule 4b), and the group's generation fences
            # it if it has not sent its offsets yet: giving up the partitions now is safe.
            self._producer.cancelled = True
            self._metrics.count("revoke_deadline_missed_total")
            self._log.warning("batch_outlives_its_partitions", limit_s=limit_s)
            self._abandoned = self._flight
        except BatchFailed as exc:
            self._tell_failed(exc)
            if isinstance(exc, Fenced | FateUnknown):
                self._renew()
        finally:
            self._flight = self.in_flight = None
            self.checkpoints = {}

    def _tell_failed(self, cause: BatchFailed) -> None:
        self._metrics.count("batches_failed_total", kind=type(cause).__name__)
        self._log.warning("batch_failed_on_leaving", kind=type(cause).__name__, why=str(cause))

    def waits_for_abandoned(self) -> bool:
        """Is a transaction still running that outlived its partitions? No batch may begin before it has ended.

        Raises:
            EngineError: it has ended just now, and the partitions must be restored again.
        """
        flight = self._abandoned
        if flight is None:
            return False
        if not flight.done():
            return True
        self._abandoned = None
        failure = flight.exception()
        raise failure if failure is not None else AbortBatch("a transaction outlived its partitions")

    # --- in the thread ----------------------------------------------------------------------------------------

    def _make_durable(self, batch: Batch, checkpoints: dict[int, int]) -> None:
        """Steps 4 to 7; raises what the loop must do next.

        `checkpoints` are those of the assignment that the batch belongs to: one that outlives it must neither find
        nor move those of the next, or its late apply could pass for a newer one.
        """
        heads = self._producer.run(
            batch,
            inputs=self._inputs,
            changelog=self._changelog,
            heads={p.number: checkpoints[p.number] for p in batch.writes},
        )
        lap = Lap(self._clock, self._metrics)
        self._probe(Step.APPLY)
        untold = frozenset(number for number, head in heads.items() if head == UNTOLD)
        if untold:  # what has been committed is all in the changelog: a restore finds where it ends
            raise StateLost(untold, "the broker did not tell where in the changelog a batch ended")
        applies = [
            Apply(p.number, checkpoints[p.number], heads[p.number], writes, list(batch.index.get(p, _NONE).items()))
            for p, writes in batch.writes.items()
            if writes or p in batch.index
        ]
        lost: set[int] = set()
        for number, (applied, found) in self._store.apply(applies).items() if applies else ():
            # An apply whose answer was lost and which was sent again is refused, yet the view is as wanted.
            if applied or found == heads[number]:
                checkpoints[number] = heads[number]
                self._metrics.count("redis_applied_total")
            else:
                self._metrics.count("redis_refused_total")
                lost.add(number)
        lap.done(Step.APPLY)
        if lost:
            raise StateLost(frozenset(lost), "Redis refused a batch: its checkpoint is not the expected one")

    def _settled(self, batch: Batch) -> None:
        self._flight = self.in_flight = None
        self._renewals = 0
        batch.settled()
        self._metrics.observe("batch_records", batch.good + batch.bad + batch.timers)
        for name, published in batch.timed.items():
            # A clock that is ahead of ours would take time away: `records_ahead_seconds` tells of it.
            waited = [max(0, batch.committed_ms - at) / 1_000 for at in published]
            self._metrics.observe_all(name, waited)
        if batch.lateness:
            self._metrics.observe_all("timer_lateness_seconds", [late / 1_000 for late in batch.lateness])
        self._metrics.count("records_folded_total", batch.good)
        for (source, reason), letters in batch.letters.items():
            self._metrics.count("dead_letters_total", letters, input=self._called(source), reason=reason)
            # Which records, `recourse dlq list` says; what was in them or in the error about them may be anything.
            self._log.warning("dead_letters", input=self._called(source), reason=reason, records=letters)
        self._metrics.count("timers_fired_total", batch.timers)
        self._metrics.count("records_produced_total", len(batch.outputs))
        if batch.told:
            self._metrics.count("told_events_total", batch.told)
        if batch.spans and self._tracer is not None:
            self._tracer.folded(batch.spans, batch.begun_ms, batch.committed_ms)
        for (name, labels), by in batch.counts.items():
            self._metrics.count(name, by, **dict(labels))

    def _renew(self) -> None:
        """A new producer under the same id; the broker settles what the old one left open.

        Raises:
            SlotTaken: it was fenced too often without one commit between.
            Misconfigured: the brokers make none.
        """
        limit = self._config.renewals_in_a_row
        failure: BaseException | None = None
        while self._renewals < limit:
            self._renewals += 1
            try:
                self._producer.open()
            except (KafkaException, SystemError) as exc:
                failure = exc
                error = kafka_error(exc)
                if error is not None and is_unauthorized(error):
                    raise unauthorized(error) from exc
                self._metrics.count("producer_renewals_total", result="failed")
                self._clock.sleep(min(self._config.backoff_s * 2**self._renewals, self._config.backoff_max_s))
            else:
                self._metrics.count("producer_renewals_total", result="ok")
                return
        error = kafka_error(failure) if failure is not None else None
        if failure is None or (error is not None and is_fence(error)):
            raise SlotTaken(
                f"another process runs as slot {self._config.slot!r}: {limit} producers of this one were fenced in a "
                "row with no transaction committed between; give each worker its own slot"
            )
        raise Misconfigured(
            f"no transactional producer could be made as slot {self._config.slot!r} in {limit} tries: {failure}. "
            "Do the brokers answer, and has __transaction_state a leader?"
        ) from failure
