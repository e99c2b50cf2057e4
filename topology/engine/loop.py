"""The worker: consumes, folds, commits and applies, batch by batch, exactly once.

A batch has seven steps; docstrings, comments and tests use these numbers:

1. take: consume records and due timers, in event-time order by partition (`taking`);
2. read: the overlay of the batch in flight, else the cache, else one read a partition, checkpoint first (`reading`);
3. fold: the pure fold, outputs collected, nothing sent (`fold`);
4. produce: begin the transaction; outputs, dead letters, changelog: the whole dossier, absolute (`transaction`);
5. offsets: into the same transaction, fenced by the group's generation (`transaction`);
6. commit (`transaction`);
7. apply: dossiers, timers and index to Redis, compare-and-set on the checkpoint (`committer`).

Steps 1 to 3 run in the loop's thread, 4 to 7 in the committer's, one batch behind (`pipelined`). Any failure takes
one path: what was folded is forgotten, and the partitions go through `restore` again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from confluent_kafka import TopicPartition

from topology import logs
from topology.engine import deadletter
from topology.engine.committer import Committer
from topology.engine.definition import EngineConfig, FoldApp
from topology.engine.errors import BatchFailed, Misconfigured, NotFetched, Retriable
from topology.engine.fold import Fold
from topology.engine.partition import Partition, Status
from topology.engine.ports import ChangelogReader, Clock, Consumer, Metrics, Offsets, Producer, StateStore, Tracer
from topology.engine.reading import StateReader
from topology.engine.readings import Readings
from topology.engine.restore import Restored, Restorer
from topology.engine.seeking import seek
from topology.engine.taking import Taker
from topology.engine.transaction import Lap, Probe, Step, no_probe

S = TypeVar("S")

ASSIGN_AGAIN_S = 3.0
"""A client that has not begun to read a partition by then never does: for four minutes `seek` was told so."""
BUSY_POLL_S = 0.002
"""How long a batch waits for its first record while the one before is being committed."""


class Worker(Generic[S]):
    """One member of the consumer group. Everything but steps 4 to 7 runs in the thread that calls `step`."""

    def __init__(
        self,
        app: FoldApp[S],
        config: EngineConfig,
        *,
        consumer: Consumer,
        producer: Callable[[], Producer],
        reader: ChangelogReader,
        offsets: Offsets,
        store: StateStore,
        clock: Clock,
        metrics: Metrics,
        probe: Probe = no_probe,
        tracer: Tracer | None = None,
    ) -> None:
        self._app = app
        self._config = config
        self._consumer = consumer
        self._reader = reader
        self._clock = clock
        self._metrics = metrics
        self._probe = probe
        self._log = logs.logger().bind(slot=config.slot)
        self._readings = Readings(app, consumer, clock)
        self._partitions: dict[int, Partition] = {}
        self._moved_at = clock.monotonic()
        self._unread_since: float | None = None
        """Since when the client has not been reading a partition that it was given (monotonic seconds)."""
        self._disturbed_at: float | None = clock.monotonic()
        """Since when partitions have been given up, or never held, and none has been caught up yet."""
        self._timers_due = 0
        limit = deadletter.Limit(
            in_a_row=config.dead_letters_in_a_row, share=config.dead_letter_share, window=config.dead_letter_window
        )
        self._taker = Taker(app, config, consumer=consumer, more_timers=self._more_timers, clock=clock, metrics=metrics)
        self._states = StateReader(app, store, config, metrics)
        self._fold = Fold(app, config, limit, spans=tracer is not None)
        self._committer = Committer(
            producer,
            inputs=app.inputs,
            called=app.called,
            changelog=app.changelog,
            config=config,
            store=store,
            clock=clock,
            metrics=metrics,
            probe=probe,
            tracer=tracer,
        )
        self._restorer = Restorer(
            inputs=app.inputs,
            changelog=app.changelog,
            indexed=app.indexed,
            found=self._found,
            config=config,
            reader=reader,
            offsets=offsets,
            store=store,
            clock=clock,
            metrics=metrics,
        )

    # --- life -------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Fence older incarnations of this slot and join the group."""
        self._committer.open()
        self._consumer.subscribe(
            list(self._app.inputs), on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
        )

    def run(self, stopping: Callable[[], bool]) -> None:
        """Step until `stopping` says so, then finish the batch in flight and leave the group."""
        self.start()
        try:
            while not stopping():
                self.step()
        finally:
            self.close()

    def close(self) -> None:
        """Finish what is in flight and leave the group."""
        if self._committer.hung:
            return  # the process is about to be ended; see `Hung`
        try:
            self._committer.close()
        finally:
            self._restorer.close()
            self._consumer.close()
            self._reader.close()

    @property
    def idle(self) -> bool:
        """Nothing in flight, nothing restoring, nothing buffered."""
        waiting = any(partition.merge for partition in self._partitions.values())
        return self._committer.in_flight is None and not self._restorer.busy and not waiting

    @property
    def partitions(self) -> dict[int, Status]:
        """The partitions held, and where each stands."""
        return {number: partition.status for number, partition in self._partitions.items()}

    # --- one round --------------------------------------------------------------------------------------------

    def step(self) -> int:
        """One round: restore a little, take and fold a batch, hand it to the committer.

        Returns:
            How many records and timers were folded.
        """
        self._moved_at = self._clock.monotonic()
        try:
            return self._round()
        except BatchFailed as exc:
            self._recover(exc)
            return 0

    def _round(self) -> int:
        for number, restored in self._restorer.step(self._consumer).items():
            self._activate(number, restored)
        committer = self._committer
        lap = Lap(self._clock, self._metrics)
        self._probe(Step.TAKE)
        busy = committer.in_flight is not None or self._restorer.busy
        wait_s = BUSY_POLL_S if busy else self._config.poll_s
        batch = self._taker.take(self._partitions, wait_s=wait_s, free=committer.free)
        self._readings.look(self._partitions)
        if committer.waits_for_abandoned():
            # What was taken is not lost: `_recover` seeks back once the transaction has ended.
            self._clock.sleep(self._config.poll_s)
            return 0
        if not batch:
            committer.settle()
            return 0
        lap.done(Step.TAKE)
        batch.begun_ms = self._clock.now_ms()
        self._probe(Step.READ)
        self._states.fill(batch, committer.in_flight, committer.checkpoints)
        self._timers_due = batch.due
        lap.done(Step.READ)
        self._probe(Step.FOLD)
        if self._app.refresh is not None:
            self._app.refresh()
        self._fold.run(batch)
        lap.done(Step.FOLD)
        batch.metadata = self._consumer.consumer_group_metadata()
        committer.settle()  # the batch before must be durable before this one may begin
        committer.submit(batch)
        return batch.good + batch.bad + batch.timers

    def _recover(self, cause: BatchFailed) -> None:
        """Rules 1, 3, 5: forget what was folded, settle what is in flight, and restore every partition."""
        self._metrics.count("batches_failed_total", kind=type(cause).__name__)
        self._log.warning("batch_failed", kind=type(cause).__name__, why=str(cause))
        if isinstance(cause, Retriable):
            self._restorer.hold()
        self._committer.drop(cause)
        self._taker.close_all()
        for partition in self._partitions.values():
            self._consumer.pause(self._inputs_of(partition.number))
            partition.forget()
            self._restore(partition)
        if isinstance(cause, NotFetched):
            self._assign_again()
        self._tell_ready()

    def _assign_again(self) -> None:
        """Give the client its partitions anew, once it has not read one of them for a while."""
        now = self._clock.monotonic()
        if self._unread_since is None:
            self._unread_since = now
        if now - self._unread_since < ASSIGN_AGAIN_S:
            return
        self._unread_since = now
        held = [place for number in self._partitions for place in self._inputs_of(number)]
        self._log.warning("assigned_again", partitions=sorted(self._partitions))
        self._consumer.assign(held)
        if held:
            self._consumer.pause(held)

    # --- partitions -------------------------------------------------------------------------------------------

    def _restore(self, partition: Partition) -> None:
        partition.move(Status.RESTORING)
        self._restorer.begin(partition.number)

    def _found(self, number: int, positions: dict[int, int], bounds: dict[int, tuple[int, int]]) -> None:
        """A restore has begun: this is where the group stands, or an input starts, and where each ends."""
        partition = self._partitions[number]
        partition.committed = {index: positions.get(index, start) for index, (start, _) in bounds.items()}
        partition.ends = {index: end for index, (_, end) in bounds.items()}

    def _activate(self, number: int, restored: Restored) -> None:
        """Rule 4(d): the state is whole, so start at the committed offsets, or at an input's oldest record."""
        partition = self._partitions[number]
        partition.positions = dict(restored.positions)
        partition.clock_ms = restored.clock_ms
        partition.partition_count = restored.partition_count
        partition.timers = restored.timers
        self._committer.checkpoints[number] = restored.checkpoint
        for index, topic in enumerate(self._app.inputs):
            seek(self._consumer, TopicPartition(topic, number, partition.committed[index]))
        self._taker.open(partition, partition.committed)
        self._consumer.resume(self._inputs_of(number))
        partition.move(Status.ACTIVE)
        self._tell_ready()

    def _more_timers(self, partition: Partition) -> None:
        self._states.more_timers(partition, self._committer.in_flight, self._committer.checkpoints)

    @property
    def silent_s(self) -> float:
        """Seconds since the newest round began; any thread may ask."""
        return self._clock.monotonic() - self._moved_at

    @property
    def ready(self) -> bool:
        """Partitions are held, and every one of them is caught up; any thread may ask."""
        statuses = [partition.status for partition in list(self._partitions.values())]
        return bool(statuses) and all(status is Status.ACTIVE for status in statuses)

    def readings(self) -> Iterator[tuple[str, float, dict[str, str]]]:
        """What is worked out when somebody looks, from any thread; see `readings`."""
        yield "loop_silent_seconds", self.silent_s, {}
        yield "timers_due", self._timers_due, {}
        yield from self._readings.all(self._partitions)

    def _on_assign(self, consumer: Consumer, assigned: list[TopicPartition]) -> None:
        """Take the partitions, paused: nothing is judged before `restore` is done (rule 4)."""
        numbers = sorted({tp.partition for tp in assigned})
        uneven = [n for n in numbers if sum(tp.partition == n for tp in assigned) != len(self._app.inputs)]
        if uneven:
            raise Misconfigured(
                f"partitions {uneven} were not assigned for all of {', '.join(self._app.inputs)}: the inputs must have "
                "the same number of partitions, and all members the `range` assignor"
            )
        consumer.assign(assigned)
        if assigned:
            consumer.pause(assigned)
        self._committer.assigned()
        states, size = (
            most // max(1, len(numbers)) for most in (self._config.cached_states, self._config.cached_bytes)
        )
        self._partitions.clear()
        self._partitions.update({n: Partition(n, len(self._app.inputs), states, size) for n in numbers})
        for partition in self._partitions.values():
            self._restore(partition)
        if not numbers:
            self._disturbed_at = None  # nothing to catch up with: others have taken over
        self._metrics.count("rebalances_total", kind="assigned")
        self._log.info("partitions_assigned", partitions=numbers)
        self._metrics.gauge("partitions_assigned", len(numbers))

    def _on_revoke(self, _consumer: Consumer, _revoked: list[TopicPartition]) -> None:
        """Rule 6: finish or abort the running transaction, within the deadline, before giving up anything."""
        self._log.info("partitions_revoked", partitions=sorted(self._partitions))
        self._metrics.count("rebalances_total", kind="revoked")
        self._leave()

    def _on_lost(self, _consumer: Consumer, _lost: list[TopicPartition]) -> None:
        """Rule 1: somebody else may own them already. Abort, drop everything, never commit."""
        self._log.warning("partitions_lost", partitions=sorted(self._partitions))
        self._metrics.count("rebalances_total", kind="lost")
        self._committer.lost()
        self._leave()

    def _leave(self) -> None:
        if self._disturbed_at is None:
            self._disturbed_at = self._clock.monotonic()
        try:
            self._committer.leave(self._config.revoke_s)
        finally:
            for number in self._partitions:
                self._restorer.cancel(number)
            self._taker.close_all()
            self._partitions.clear()
            self._metrics.gauge("partitions_assigned", 0)
            self._tell_ready()

    def _inputs_of(self, number: int) -> list[TopicPartition]:
        return [TopicPartition(topic, number) for topic in self._app.inputs]

    def _tell_ready(self) -> None:
        ready = self.ready
        if ready:
            self._unread_since = None
        self._metrics.gauge("worker_ready", int(ready))
        if ready and self._disturbed_at is not None:
            took_s = self._clock.monotonic() - self._disturbed_at
            self._metrics.observe("rebalance_seconds", took_s)
            self._log.info("caught_up", partitions=sorted(self._partitions), took_s=round(took_s, 3))
            self._disturbed_at = None
