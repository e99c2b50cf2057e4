"""The worker: consumes, folds, commits and applies, batch by batch, exactly once.

A batch has seven steps; docstrings, comments and tests use these numbers:

1. take: consume records and due timers, in event-time order by partition;
2. read: the overlay of the batch in flight, else the cache, else one read a partition, checkpoint first;
3. fold: the pure fold, outputs collected, nothing sent;
4. produce: begin the transaction; outputs, dead letters, changelog (the whole dossier, absolute);
5. offsets: into the same transaction, fenced by the group's generation;
6. commit;
7. apply: the dossiers to Redis, compare-and-set on the checkpoint.

Steps 1 to 3 run in the loop's thread, 4 to 7 in the committer's, one batch behind (`pipelined`). Any failure takes
one path: what was folded is forgotten, and the partitions go through `restore` again.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Generic, TypeVar

from confluent_kafka import OFFSET_BEGINNING, KafkaError, KafkaException, Message, TopicPartition

from topology.engine import deadletter
from topology.engine.batch import Batch, Fold
from topology.engine.definition import ClockKind, EngineConfig, FoldApp
from topology.engine.errors import (
    AbortBatch,
    EngineError,
    FateUnknown,
    Fenced,
    Misconfigured,
    Retriable,
    SlotTaken,
    StateLost,
    is_fatal,
    is_slot_taken,
)
from topology.engine.merge import Lane
from topology.engine.partition import Partition, Status
from topology.engine.ports import ChangelogReader, Clock, Consumer, Metrics, Offsets, Producer, StateStore
from topology.engine.restore import Restored, Restorer
from topology.engine.state import Entry
from topology.engine.transaction import Probe, Step, TransactionalProducer, no_probe

S = TypeVar("S")


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
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._probe = probe
        self._stream = config.clock is ClockKind.STREAM
        self._topics = {topic: index for index, topic in enumerate(app.inputs)}
        self._fold = Fold(
            app,
            config,
            deadletter.Limit(
                in_a_row=config.dead_letters_in_a_row,
                share=config.dead_letter_share,
                window=config.dead_letter_window,
            ),
        )
        self._producer = TransactionalProducer(producer, config=config, clock=clock, metrics=metrics, probe=probe)
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
        self._reader = reader
        self._partitions: dict[int, Partition] = {}
        self._lanes: dict[tuple[str | None, int | None], Lane] = {}
        """By topic and partition, those of active partitions: where a record goes."""
        self._checkpoints: dict[int, int] = {}
        """What the store holds by partition; written by the committer only while a batch is in flight."""
        self._committer = ThreadPoolExecutor(1, "committer") if config.pipelined else None
        self._flight: Future[None] | None = None
        self._in_flight: Batch | None = None
        self._abandoned: Future[None] | None = None
        """A transaction that did not end within a revoke's deadline; no batch begins before it has ended."""
        self._renewals = 0

    # --- life -------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Fence older incarnations of this slot and join the group."""
        self._renew()
        self._consumer.subscribe(
            list(self._app.inputs),
            on_assign=self._on_assign,
            on_revoke=self._on_revoke,
            on_lost=self._on_lost,
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
        try:
            self._settle()
        finally:
            if self._committer is not None:
                self._committer.shutdown(wait=True)
            self._consumer.close()
            self._reader.close()

    @property
    def idle(self) -> bool:
        """Nothing in flight, nothing restoring, nothing buffered."""
        return (
            self._in_flight is None and not self._restorer.busy and not any(p.merge for p in self._partitions.values())
        )

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
            for number, restored in self._restorer.step(self._consumer).items():
                self._activate(number, restored)
            batch = self._take()
            if self._abandoned is not None and not self._bury_abandoned():
                self._clock.sleep(self._config.poll_s)
                return 0
            if not batch:
                self._settle()
                return 0
            self._read(batch)
            self._probe(Step.FOLD)
            started = self._clock.monotonic()
            self._fold.run(batch)
            self._metrics.observe("batch_step_seconds", self._clock.monotonic() - started, step="fold")
            batch.metadata = self._consumer.consumer_group_metadata()
            self._settle()  # the batch before must be durable before this one may begin
            self._commit(batch)
        except (AbortBatch, Fenced, FateUnknown, StateLost, Retriable) as exc:
            self._recover(exc)
            return 0
        return batch.good + batch.bad + batch.timers

    def _take(self) -> Batch:
        """Step 1."""
        self._probe(Step.TAKE)
        busy = self._in_flight is not None or self._restorer.busy
        messages = self._consumer.consume(self._config.batch_records, 0.005 if busy else self._config.poll_s)
        earliest, latest = self._config.earliest_ms, self._config.latest_ms
        lanes = self._lanes
        for message in messages:
            if message.error() is not None:
                self._not_a_record(message)
                continue
            lane = lanes.get((message.topic(), message.partition()))
            offset = message.offset() or 0
            if lane is None or offset < lane.next_offset:
                continue  # not active: will be read again, as an active partition starts with a seek
            lane.next_offset = offset + 1
            lane.at_end = False
            turn = message.timestamp()[1]
            if not earliest <= turn < latest:
                turn = 0  # an implausible time must not move the clock; the fold makes it a dead letter
            lane.queue.append((turn, lane.topic, offset, message.key(), message))
        batch = Batch()
        now = self._clock.now_ms()
        for partition in self._partitions.values():
            if partition.status is not Status.ACTIVE:
                continue
            self._find_ends(partition)
            if self._stream:
                self._plan_stream(batch, partition)
            else:
                self._plan_wall(batch, partition, now)
        return batch

    def _find_ends(self, partition: Partition) -> None:
        """Which of the inputs that records wait for have no more.

        The end known from the newest fetch tells at once; an end-of-partition event comes one fetch later, but
        also where control records lie between the last record and the end.
        """
        for lane in partition.merge.missing():
            where = TopicPartition(self._app.inputs[lane.topic], partition.number)
            ends = self._consumer.get_watermark_offsets(where, cached=True)
            if ends is not None and 0 <= ends[1] <= lane.next_offset:
                lane.at_end = True

    def _plan_wall(self, batch: Batch, partition: Partition, now: int) -> None:
        """What is there now, a slower input having had `align_s` to catch up, and the timers that are due."""
        limit = self._config.batch_records
        records = partition.merge.take(limit)
        if records or not partition.merge:
            partition.waiting_since = None
        elif partition.waiting_since is None:
            partition.waiting_since = self._clock.monotonic()
        elif self._clock.monotonic() - partition.waiting_since >= self._config.align_s:
            records = partition.merge.take(limit, patient=False)
        self._throttle(partition)
        now = max(now, partition.clock_ms)
        first = partition.timers.peek()
        if records or (first is not None and first[0] <= now):
            batch.plan(partition, records, now)

    def _plan_stream(self, batch: Batch, partition: Partition) -> None:
        """Records that are next whatever the batch, and the timers that are due before the last of them."""
        records = partition.merge.take(self._config.batch_records)
        self._throttle(partition)
        if not records:
            return
        horizon = max(partition.clock_ms, *(record[0] for record in records))
        due = partition.timers.until(horizon, self._config.batch_timers)
        if len(due) >= self._config.batch_timers:
            # So many timers that the batch takes only those, and of the records only what comes before the last of
            # them: a record must never be overtaken by a timer, or the order would depend on the batches' sizes.
            horizon = due[-1][0]
            later = next((i for i, record in enumerate(records) if record[0] >= horizon), len(records))
            partition.merge.put_back(records[later:])
            del records[later:]
        batch.plan(partition, records, horizon)

    def _throttle(self, partition: Partition) -> None:
        """Pause inputs of which enough waits for slower ones; resume those that were used up."""
        for topic, index in self._topics.items():
            waiting = len(partition.merge.lanes[index].queue)
            where = [TopicPartition(topic, partition.number)]
            if waiting > self._config.buffered_records and index not in partition.paused_inputs:
                self._consumer.pause(where)
                partition.paused_inputs.add(index)
            elif waiting < self._config.buffered_records // 2 and index in partition.paused_inputs:
                self._consumer.resume(where)
                partition.paused_inputs.discard(index)

    def _not_a_record(self, message: Message) -> None:
        error = message.error()
        if error is None:
            return
        if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - librdkafka's own code
            lane = self._lanes.get((message.topic(), message.partition()))
            if lane is not None:
                lane.at_end = True
            return
        if is_slot_taken(error):
            raise SlotTaken(
                f"another process runs as slot {self._config.slot!r} ({error.str()}); give each worker its own slot"
            )
        if is_fatal(error):
            raise Misconfigured(f"the consumer cannot go on: {error.str()}")
        if error.code() in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC):  # noqa: SLF001
            raise Misconfigured(f"an input topic has gone: {error.str()}; run `recourse create-topics`")
        self._metrics.count("kafka_consumer_errors_total", error=error.name())

    def _read(self, batch: Batch) -> None:
        """Step 2: each state from the batch in flight, else the cache, else the store.

        Raises:
            StateLost: the store's checkpoint is missing or older than it must be (rule 3).
            Retriable: the store does not answer.
        """
        self._probe(Step.READ)
        started = self._clock.monotonic()
        wanted: dict[int, list[bytes]] = {}
        floors: dict[int, int] = {}
        hits = 0
        for partition in batch.records:
            flying = self._in_flight.overlay.get(partition, {}) if self._in_flight is not None else {}
            overlay: dict[bytes, Entry] = {}
            missing: list[bytes] = []
            for key in batch.keys(partition, self._config.batch_timers):
                entry = flying.get(key) or partition.cache.get(key)
                if entry is None:
                    missing.append(key)
                else:
                    overlay[key] = entry
            hits += len(overlay)
            batch.overlay[partition] = overlay
            if missing:
                wanted[partition.number] = missing
                # Read before the answer: the batch in flight may raise it meanwhile, never lower it.
                floors[partition.number] = self._checkpoints[partition.number]
        self._metrics.count("state_cache_hits_total", hits)
        if wanted:
            answers = self._store.read(wanted)
            self._prove(floors, {number: found for number, (found, _) in answers.items()})
            for number, (_, values) in answers.items():
                overlay = batch.overlay[self._partitions[number]]
                for key, raw in zip(wanted[number], values, strict=True):
                    entry = _entry(key, raw)
                    if entry is not None:
                        overlay[key] = entry
            self._metrics.count("state_reads_total", sum(map(len, wanted.values())))
        self._metrics.observe("batch_step_seconds", self._clock.monotonic() - started, step="read")

    def _prove(self, floors: dict[int, int], found: dict[int, int | None]) -> None:
        """Rule 3: a flushed or stale Redis must never look like users without history."""
        lost = frozenset(p for p, floor in floors.items() if (at := found[p]) is None or at < floor)
        if lost:
            self._metrics.count("redis_lost_total", len(lost))
            raise StateLost(lost, "Redis does not hold what was applied to it")

    # --- commit -----------------------------------------------------------------------------------------------

    def _commit(self, batch: Batch) -> None:
        """Hand the batch to the committer; in line when not pipelined."""
        self._in_flight = batch
        if self._committer is not None:
            self._flight = self._committer.submit(self._make_durable, batch, self._checkpoints)
            return
        self._make_durable(batch, self._checkpoints)
        self._settled(batch)

    def _make_durable(self, batch: Batch, checkpoints: dict[int, int]) -> None:
        """Steps 4 to 7. Runs in the committer's thread; raises what the loop must do next.

        `checkpoints` are those of the assignment that the batch belongs to: one that outlives it must neither find
        nor move those of the next, or its late apply could pass for a newer one.
        """
        started = self._clock.monotonic()
        heads = self._producer.run(
            batch,
            inputs=self._app.inputs,
            changelog=self._app.changelog,
            heads={p.number: checkpoints[p.number] for p in batch.writes},
        )
        committed = self._clock.monotonic()
        self._metrics.observe("batch_step_seconds", committed - started, step="commit")
        self._probe(Step.APPLY)
        applies = [
            (p.number, checkpoints[p.number], heads[p.number], writes)
            for p, writes in batch.writes.items()
            if writes
        ]
        lost: set[int] = set()
        for number, (applied, found) in self._store.apply(applies).items() if applies else ():
            # An apply whose answer was lost and which was sent again is refused, yet the view is as wanted.
            if applied or found == heads[number]:
                checkpoints[number] = heads[number]
            else:
                self._metrics.count("redis_refused_total")
                lost.add(number)
        self._metrics.observe("batch_step_seconds", self._clock.monotonic() - committed, step="apply")
        if lost:
            raise StateLost(frozenset(lost), "Redis refused a batch: its checkpoint is not the expected one")

    def _settle(self, limit_s: float | None = None) -> None:
        """Wait for the batch in flight and raise what became of it."""
        flight, batch = self._flight, self._in_flight
        if flight is None or batch is None:
            return
        flight.result(limit_s)
        self._settled(batch)

    def _settled(self, batch: Batch) -> None:
        self._flight = self._in_flight = None
        self._renewals = 0
        self._metrics.count("records_folded_total", batch.good)
        self._metrics.count("dead_letters_total", batch.bad)
        self._metrics.count("timers_fired_total", batch.timers)
        self._metrics.count("records_produced_total", len(batch.outputs))

    # --- failures ---------------------------------------------------------------------------------------------

    def _recover(self, cause: EngineError) -> None:
        """Rules 1, 3, 5: forget what was folded, settle what is in flight, and restore every partition."""
        self._metrics.count("batches_failed_total", kind=type(cause).__name__)
        if isinstance(cause, Retriable):
            self._restorer.hold()
        for outcome in (cause, self._outcome_in_flight()):
            if isinstance(outcome, Fenced | FateUnknown):
                self._renew()
                break
        self._lanes = {}
        for partition in self._partitions.values():
            self._consumer.pause(self._inputs_of(partition.number))
            partition.forget()
            self._restorer.begin(partition.number)
        self._tell_ready()

    def _outcome_in_flight(self) -> EngineError | None:
        """Wait for the batch in flight, whatever becomes of it: nothing of this worker may run on."""
        try:
            self._settle()
        except EngineError as exc:
            return exc
        finally:
            self._flight = self._in_flight = None
        return None

    def _renew(self) -> None:
        """A new producer under the same id; the broker settles what the old one left open.

        Raises:
            Misconfigured: it was tried too often without one commit between.
        """
        while True:
            self._renewals += 1
            if self._renewals > self._config.renewals_in_a_row:
                raise Misconfigured(
                    f"no transaction could be committed with {self._config.renewals_in_a_row} producers in a row as "
                    f"slot {self._config.slot!r}: is another process using the slot, or the cluster without a leader "
                    "for __transaction_state?"
                )
            try:
                self._producer.open()
            except (KafkaException, SystemError) as exc:
                self._metrics.count("producer_renewals_total", result="failed")
                self._clock.sleep(min(self._config.backoff_s * 2**self._renewals, self._config.backoff_max_s))
                last = exc
                if self._renewals >= self._config.renewals_in_a_row:
                    raise Misconfigured(f"no transactional producer could be made: {last}") from last
            else:
                self._metrics.count("producer_renewals_total", result="ok")
                return

    def _tell_ready(self) -> None:
        """Ready: partitions are assigned, and every one of them is caught up."""
        statuses = [partition.status for partition in self._partitions.values()]
        ready = bool(statuses) and all(status is Status.ACTIVE for status in statuses)
        self._metrics.gauge("worker_ready", int(ready))

    # --- partitions -------------------------------------------------------------------------------------------

    def _inputs_of(self, number: int) -> list[TopicPartition]:
        return [TopicPartition(topic, number) for topic in self._app.inputs]

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
        self._producer.cancelled = False
        share = max(1, self._config.cached_states // max(1, len(numbers)))
        self._partitions = {n: Partition(n, len(self._app.inputs), share) for n in numbers}
        for n in numbers:
            self._restorer.begin(n)
        self._metrics.count("rebalances_total", kind="assigned")
        self._metrics.gauge("partitions_assigned", len(numbers))

    def _on_revoke(self, _consumer: Consumer, _revoked: list[TopicPartition]) -> None:
        """Rule 6: finish or abort the running transaction, within the deadline, before giving up anything."""
        self._metrics.count("rebalances_total", kind="revoked")
        self._leave(self._config.revoke_s)

    def _on_lost(self, _consumer: Consumer, _lost: list[TopicPartition]) -> None:
        """Rule 1: somebody else may own them already. Abort, drop everything, never commit."""
        self._metrics.count("rebalances_total", kind="lost")
        self._producer.cancelled = True
        self._leave(self._config.revoke_s)

    def _leave(self, limit_s: float) -> None:
        try:
            self._settle(limit_s)
        except FutureTimeoutError:
            # The next owner's restore waits for our open transaction (rule 4b), and the group's generation fences
            # it if it has not sent its offsets yet: giving up the partitions now is safe.
            self._producer.cancelled = True
            self._metrics.count("revoke_deadline_missed_total")
            self._abandoned = self._flight
        except EngineError as exc:
            self._metrics.count("batches_failed_total", kind=type(exc).__name__)
            if isinstance(exc, Fenced | FateUnknown):
                self._renew()
        self._flight = self._in_flight = None
        for number in self._partitions:
            self._restorer.cancel(number)
        self._partitions = {}
        self._lanes = {}
        self._checkpoints = {}
        self._metrics.gauge("partitions_assigned", 0)
        self._tell_ready()

    def _bury_abandoned(self) -> bool:
        """Has the abandoned transaction ended? Then see to its producer, and go through `restore` again."""
        flight = self._abandoned
        if flight is None or not flight.done():
            return False
        self._abandoned = None
        failure = flight.exception()
        if failure is not None and not isinstance(failure, EngineError):
            raise failure
        raise failure if failure is not None else AbortBatch("a transaction outlived its partitions")

    def _activate(self, number: int, restored: Restored) -> None:
        """Rule 4(d): the state is whole, so start at the committed offsets."""
        partition = self._partitions[number]
        partition.move(Status.RESTORING)
        partition.positions = dict(restored.positions)
        partition.clock_ms = restored.clock_ms
        for due, key in restored.timers:
            partition.timers.set(key, due)
        self._checkpoints[number] = restored.checkpoint
        for index, topic in enumerate(self._app.inputs):
            offset = restored.positions.get(index, OFFSET_BEGINNING)
            self._consumer.seek(TopicPartition(topic, number, offset))
            lane = partition.merge.lanes[index]
            lane.next_offset = max(offset, 0)
            self._lanes[topic, number] = lane
        self._consumer.resume(self._inputs_of(number))
        partition.move(Status.ACTIVE)
        self._tell_ready()


def _entry(key: bytes, raw: bytes | None) -> Entry | None:
    """An entry, or None for a key that is not text: the fold makes its record a dead letter.

    A leading NUL is refused too: the store keeps its checkpoint under such a name.
    """
    if key.startswith(b"\0"):
        return None
    try:
        return Entry(key, raw)
    except UnicodeDecodeError:
        return None
