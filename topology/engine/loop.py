"""The worker: consumes, folds, commits and applies, batch by batch, exactly once.

A batch has seven steps; docstrings, comments and tests use these numbers:

1. take: consume records and due timers, in event-time order by partition (`taking`);
2. read: the overlay of the batch in flight, else the cache, else one read a partition, checkpoint first (`reading`);
3. fold: the pure fold, outputs collected, nothing sent (`batch`);
4. produce: begin the transaction; outputs, dead letters, changelog: the whole dossier, absolute (`transaction`);
5. offsets: into the same transaction, fenced by the group's generation (`transaction`);
6. commit (`transaction`);
7. apply: the dossiers to Redis, compare-and-set on the checkpoint (`committer`).

Steps 1 to 3 run in the loop's thread, 4 to 7 in the committer's, one batch behind (`pipelined`). Any failure takes
one path: what was folded is forgotten, and the partitions go through `restore` again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from confluent_kafka import OFFSET_BEGINNING, KafkaError, KafkaException, TopicPartition

from topology.engine import deadletter
from topology.engine.batch import Fold
from topology.engine.committer import Committer
from topology.engine.definition import EngineConfig, FoldApp
from topology.engine.errors import AbortBatch, EngineError, FateUnknown, Fenced, Misconfigured, Retriable, StateLost
from topology.engine.partition import Partition, Status
from topology.engine.ports import ChangelogReader, Clock, Consumer, Metrics, Offsets, Producer, StateStore
from topology.engine.reading import StateReader
from topology.engine.restore import Restored, Restorer
from topology.engine.taking import Taker
from topology.engine.transaction import Probe, Step, no_probe

S = TypeVar("S")

BUSY_POLL_S = 0.005
"""How long a batch waits for its first records while the one before is being committed."""


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
    ) -> None:
        self._app = app
        self._config = config
        self._consumer = consumer
        self._reader = reader
        self._clock = clock
        self._metrics = metrics
        self._probe = probe
        self._partitions: dict[int, Partition] = {}
        limit = deadletter.Limit(
            in_a_row=config.dead_letters_in_a_row, share=config.dead_letter_share, window=config.dead_letter_window
        )
        self._taker = Taker(app.inputs, config, consumer=consumer, clock=clock, metrics=metrics)
        self._states = StateReader(store, config, metrics)
        self._fold = Fold(app, config, limit)
        self._committer = Committer(
            producer,
            inputs=app.inputs,
            changelog=app.changelog,
            config=config,
            store=store,
            clock=clock,
            metrics=metrics,
            probe=probe,
        )
        self._restorer = Restorer(
            inputs=app.inputs,
            changelog=app.changelog,
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
        except (AbortBatch, Fenced, FateUnknown, StateLost, Retriable) as exc:
            # Whoever owns the partitions next goes through `restore`, as after a crash: nothing is lost by leaving
            # now, and raising this would hide why the worker ends, or make a failure of an orderly stop.
            self._metrics.count("batches_failed_total", kind=type(exc).__name__)
        finally:
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
        try:
            return self._round()
        except (AbortBatch, Fenced, FateUnknown, StateLost, Retriable) as exc:
            self._recover(exc)
            return 0

    def _round(self) -> int:
        for number, restored in self._restorer.step(self._consumer).items():
            self._activate(number, restored)
        committer = self._committer
        self._probe(Step.TAKE)
        busy = committer.in_flight is not None or self._restorer.busy
        batch = self._taker.take(self._partitions, wait_s=BUSY_POLL_S if busy else self._config.poll_s)
        if committer.waits_for_abandoned():
            # What was taken is not lost: `_recover` seeks back once the transaction has ended.
            self._clock.sleep(self._config.poll_s)
            return 0
        if not batch:
            committer.settle()
            return 0
        self._probe(Step.READ)
        started = self._clock.monotonic()
        self._states.fill(batch, committer.in_flight, committer.checkpoints)
        filled = self._clock.monotonic()
        self._metrics.observe("batch_step_seconds", filled - started, step="read")
        self._probe(Step.FOLD)
        self._fold.run(batch)
        self._metrics.observe("batch_step_seconds", self._clock.monotonic() - filled, step="fold")
        batch.metadata = self._consumer.consumer_group_metadata()
        committer.settle()  # the batch before must be durable before this one may begin
        committer.submit(batch)
        return batch.good + batch.bad + batch.timers

    def _recover(self, cause: EngineError) -> None:
        """Rules 1, 3, 5: forget what was folded, settle what is in flight, and restore every partition."""
        self._metrics.count("batches_failed_total", kind=type(cause).__name__)
        if isinstance(cause, Retriable):
            self._restorer.hold()
        self._committer.drop(cause)
        self._taker.close_all()
        for partition in self._partitions.values():
            self._consumer.pause(self._inputs_of(partition.number))
            partition.forget()
            self._restore(partition)
        self._tell_ready()

    # --- partitions -------------------------------------------------------------------------------------------

    def _restore(self, partition: Partition) -> None:
        partition.move(Status.RESTORING)
        self._restorer.begin(partition.number)

    def _activate(self, number: int, restored: Restored) -> None:
        """Rule 4(d): the state is whole, so start at the committed offsets."""
        partition = self._partitions[number]
        partition.positions = dict(restored.positions)
        partition.clock_ms = restored.clock_ms
        partition.partition_count = restored.partition_count
        for due, key in restored.timers:
            partition.timers.set(key, due)
        self._committer.checkpoints[number] = restored.checkpoint
        for index, topic in enumerate(self._app.inputs):
            offset = restored.positions.get(index, OFFSET_BEGINNING)
            self._seek(TopicPartition(topic, number, offset))
        self._taker.open(partition, restored.positions)
        self._consumer.resume(self._inputs_of(number))
        partition.move(Status.ACTIVE)
        self._tell_ready()

    def _seek(self, partition: TopicPartition) -> None:
        """Read on from its offset.

        Raises:
            Retriable: the consumer has given the partition up, and will say why when it is next asked for records.
        """
        try:
            self._consumer.seek(partition)
        except KafkaException as exc:
            if exc.args[0].code() != KafkaError._STATE:  # noqa: SLF001 - librdkafka's own code
                raise
            raise Retriable(f"{partition.topic}[{partition.partition}] is not ours at the moment: {exc}") from exc

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
        share = max(1, self._config.cached_states // max(1, len(numbers)))
        self._partitions.clear()
        self._partitions.update({n: Partition(n, len(self._app.inputs), share) for n in numbers})
        for partition in self._partitions.values():
            self._restore(partition)
        self._metrics.count("rebalances_total", kind="assigned")
        self._metrics.gauge("partitions_assigned", len(numbers))

    def _on_revoke(self, _consumer: Consumer, _revoked: list[TopicPartition]) -> None:
        """Rule 6: finish or abort the running transaction, within the deadline, before giving up anything."""
        self._metrics.count("rebalances_total", kind="revoked")
        self._leave()

    def _on_lost(self, _consumer: Consumer, _lost: list[TopicPartition]) -> None:
        """Rule 1: somebody else may own them already. Abort, drop everything, never commit."""
        self._metrics.count("rebalances_total", kind="lost")
        self._committer.lost()
        self._leave()

    def _leave(self) -> None:
        self._committer.leave(self._config.revoke_s)
        for number in self._partitions:
            self._restorer.cancel(number)
        self._taker.close_all()
        self._partitions.clear()
        self._metrics.gauge("partitions_assigned", 0)
        self._tell_ready()

    def _inputs_of(self, number: int) -> list[TopicPartition]:
        return [TopicPartition(topic, number) for topic in self._app.inputs]

    def _tell_ready(self) -> None:
        """Ready: partitions are assigned, and every one of them is caught up."""
        statuses = [partition.status for partition in self._partitions.values()]
        ready = bool(statuses) and all(status is Status.ACTIVE for status in statuses)
        self._metrics.gauge("worker_ready", int(ready))
