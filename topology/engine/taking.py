"""Step 1 of a batch: records and due timers, each partition's in the order of event time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from confluent_kafka import KafkaError, Message, TopicPartition

from topology import logs
from topology.engine.batch import Batch
from topology.engine.definition import ClockKind, EngineConfig, FoldApp
from topology.engine.errors import Misconfigured, SlotTaken, is_fatal, is_slot_taken, is_unauthorized, unauthorized
from topology.engine.merge import Lane
from topology.engine.partition import Partition, Status
from topology.engine.ports import Clock, Consumer, Metrics
from topology.engine.seeking import seek
from topology.engine.state import RESERVED

_OVERLAP_SHARE = 4
"""A quarter of a full batch is folded while the batch before is on its way."""
_FLOOD_RECORDS = 500
"""So many at once, or a quarter of a batch, are a backlog that is worked off; live traffic brings less at a time."""
GAPS_BELIEVED = 3
"""After so many gaps that were there when the client looked again, an input's further gaps are believed."""
GATHER_S = 0.002
"""How long a call waits for more while the batch before is on its way."""
GATHER_MOST_S = 1.0
"""How long such calls go on; then the loop looks whether the commit hangs."""


class Taker:
    """Consumes, puts each record into its lane, and plans what a batch folds."""

    def __init__(
        self,
        app: FoldApp[Any],
        config: EngineConfig,
        *,
        consumer: Consumer,
        more_timers: Callable[[Partition], None],
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        """`more_timers` lets a partition know its timers up to a later moment, or raises."""
        self._app = app
        self._inputs = app.inputs
        self._config = config
        self._consumer = consumer
        self._more_timers = more_timers
        self._clock = clock
        self._metrics = metrics
        self._log = logs.logger().bind(slot=config.slot)
        self._lanes: dict[tuple[str | None, int | None], Lane] = {}
        """By topic and partition, those of active partitions: where a record goes."""
        self._flooded = False
        """So much came at once that more lies ready, or is on its way."""

    def open(self, partition: Partition, offsets: dict[int, int]) -> None:
        """Records of this partition count from now on; `offsets` is where each input starts."""
        for lane, topic in zip(partition.merge.lanes, self._inputs, strict=True):
            lane.next_offset = offsets[lane.topic]
            lane.asked_for, lane.gaps = -1, 0
            lane.prefix = self._app.prefix(lane.topic)
            self._lanes[topic, partition.number] = lane

    def close_all(self) -> None:
        """Whatever comes is not for a batch: it will be read again after a seek."""
        self._lanes = {}

    def take(self, partitions: dict[int, Partition], *, wait_s: float, free: Callable[[], bool]) -> Batch:
        """Consume and plan a batch, which may be empty.

        So batches are as large as they must be: what comes while the batch before is on its way could only wait
        behind it, and is one batch. But where much comes, a quarter of a full one is folded meanwhile, and where more
        than that lies ready, all of it.

        Args:
            partitions: those that are ours.
            wait_s: how long to wait if there is nothing.
            free: can a batch be made durable at once?

        Raises:
            SlotTaken: another process is the same group member.
            Misconfigured: the consumer cannot go on.
            StateLost, Retriable: the timers that come next cannot be read.
        """
        full = self._config.batch_records
        enough = full // _OVERLAP_SHARE
        # The client waits for as many as it is asked for: ask for one, then for what lies ready.
        found = self._consume(1, wait_s)
        if found:
            found += self._consume(full - 1, 0)
        deadline = self._clock.monotonic() + GATHER_MOST_S
        while found < enough and not free() and self._clock.monotonic() < deadline:
            found += self._consume(enough - found, GATHER_S)
        self._flooded = found >= max(1, min(_FLOOD_RECORDS, enough))
        return self._plan(partitions)

    def _consume(self, limit: int, wait_s: float) -> int:
        """Put what the client has into the lanes; returns how much that was."""
        if not limit:
            return 0
        earliest, latest = self._config.earliest_ms, self._config.latest_ms
        messages = self._consumer.consume(limit, wait_s)
        # Looked up now, as the consumer may have been rebalanced within the call.
        lane_of = self._lanes.get
        doubted: set[Lane] = set()  # what else this call brings of them came before they were told again
        for message in messages:
            if message.error() is not None:
                self._not_a_record(message, doubted)
                continue
            lane = lane_of((message.topic(), message.partition()))
            offset = message.offset() or 0
            if lane is None or offset < lane.next_offset:
                continue
            if offset > lane.next_offset:
                if lane in doubted or self._doubts(lane, message):
                    doubted.add(lane)
                    continue
            elif offset == lane.asked_for:
                self._tell_of_skipping(message)
            lane.next_offset = offset + 1
            lane.at_end = False
            turn = message.timestamp()[1]
            if not earliest <= turn < latest:
                turn = 0  # an implausible time must not move the clock; the fold makes it a dead letter
            key = message.key()
            if key and (lane.prefix or key[0] == 0):
                # A key that begins with NUL would reach somebody else's state; under this name there is none.
                key = lane.prefix + key if key[0] else RESERVED
            lane.queue.append((turn, lane.topic, offset, key, message))
        return len(messages)

    def _doubts(self, lane: Lane, message: Message) -> bool:
        """Before a gap is believed, whether a record or the end comes after it, the client looks once more.

        Control records take offsets, and so do aborted transactions, so a gap alone says nothing. But clients have been
        seen to go on from elsewhere than they were told, past records that were never read, and not only after a seek
        (docs/faults.md; librdkafka #3471 and #1802 tell of the like). An input whose first gaps are gaps indeed has
        such records, and is believed from then on: looking again costs what the client has fetched ahead.

        Raises:
            Retriable: the consumer has given the partition up.
        """
        if lane.gaps >= GAPS_BELIEVED:
            return False
        if lane.asked_for == lane.next_offset:
            lane.gaps += 1
            return False
        lane.asked_for = lane.next_offset
        self._metrics.count("input_gaps_asked_again_total")
        seek(self._consumer, TopicPartition(self._inputs[lane.topic], message.partition() or 0, lane.next_offset))
        return True

    def _tell_of_skipping(self, message: Message) -> None:
        """There was no gap: the client had passed over records."""
        self._metrics.count("input_records_skipped_by_client_total")
        self._log.warning(
            "client_skipped_records", topic=message.topic(), partition=message.partition(), offset=message.offset()
        )

    def _plan(self, partitions: dict[int, Partition]) -> Batch:
        batch = Batch()
        now = self._clock.now_ms()
        for partition in partitions.values():
            if partition.status is not Status.ACTIVE:
                continue
            self._find_ends(partition)
            partition.timers.shrink(self._config.timers_window)
            if self._config.clock is ClockKind.STREAM:
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
            where = TopicPartition(self._inputs[lane.topic], partition.number)
            ends = self._consumer.get_watermark_offsets(where, cached=True)
            if ends is not None and 0 <= ends[1] <= lane.next_offset:
                lane.at_end = True
                lane.ended_at = ends[1]

    def _plan_wall(self, batch: Batch, partition: Partition, now: int) -> None:
        """What is there now, a slower input having had its time to catch up, and the timers that are due."""
        limit = self._config.batch_records
        heads = partition.merge.heads()
        records = partition.merge.take(limit)
        if records or not partition.merge:
            partition.waiting_since = None
        elif self._has_waited(partition):
            records = partition.merge.take(limit, patient=False)
        self._throttle(partition)
        now = max(now, partition.clock_ms)
        self._know_timers(partition, now)
        first = partition.timers.peek()
        partition.next_due = None if first is None else first[0]
        if records or (first is not None and first[0] <= now):
            batch.plan(partition, records, now, heads)

    def _has_waited(self, partition: Partition) -> bool:
        """Whether the slower input has had its time.

        Only time in which nothing else came counts against it: after an outage its records can lie for many seconds
        behind those of other partitions, already fetched, in the client's one queue.
        """
        now = self._clock.monotonic()
        if partition.waiting_since is None:
            partition.waiting_since = now
            partition.quiet_since = now
        elif self._flooded:
            partition.quiet_since = now
        waited, quiet = now - partition.waiting_since, now - partition.quiet_since
        return quiet >= self._config.align_s or waited >= self._config.align_most_s

    def _plan_stream(self, batch: Batch, partition: Partition) -> None:
        """Records that are next whatever the batch, and the timers that are due before the last of them."""
        heads = partition.merge.heads()
        records = partition.merge.take(self._config.batch_records)
        self._throttle(partition)
        if not records:
            return
        horizon = max(partition.clock_ms, *(record[0] for record in records))
        self._know_timers(partition, horizon)
        due = partition.timers.until(horizon, self._config.batch_timers)
        if len(due) >= self._config.batch_timers:
            # So many timers that the batch takes only those, and of the records only what comes before the last of
            # them: a record must never be overtaken by a timer, or the order would depend on the batches' sizes.
            horizon = due[-1][0]
            later = next((i for i, record in enumerate(records) if record[0] >= horizon), len(records))
            partition.merge.put_back(records[later:])
            del records[later:]
        batch.plan(partition, records, horizon, heads)

    def _know_timers(self, partition: Partition, horizon: int) -> None:
        """Know all timers due at or before `horizon`, or as many as a batch takes."""
        timers = partition.timers
        while timers.known_until < horizon and len(timers) < self._config.batch_timers:
            self._more_timers(partition)

    def _throttle(self, partition: Partition) -> None:
        """Pause inputs of which enough waits for slower ones; resume those that were used up."""
        for lane, topic in zip(partition.merge.lanes, self._inputs, strict=True):
            waiting = len(lane.queue)
            if waiting > self._config.buffered_records and lane.topic not in partition.paused_inputs:
                self._consumer.pause([TopicPartition(topic, partition.number)])
                partition.paused_inputs.add(lane.topic)
            elif waiting < self._config.buffered_records // 2 and lane.topic in partition.paused_inputs:
                self._consumer.resume([TopicPartition(topic, partition.number)])
                partition.paused_inputs.discard(lane.topic)

    def _not_a_record(self, message: Message, doubted: set[Lane]) -> None:
        error = message.error()
        if error is None:
            return
        if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - librdkafka's own code
            lane = self._lanes.get((message.topic(), message.partition()))
            if lane is None or lane in doubted:
                return
            end = message.offset() or 0
            if end > lane.next_offset and self._doubts(lane, message):
                doubted.add(lane)
                return
            lane.at_end = True
            lane.ended_at = end
            return
        if is_slot_taken(error):
            raise SlotTaken(
                f"another process runs as slot {self._config.slot!r} ({error.str()}); give each worker its own slot. "
                "If there is none, the group's coordinator was away for longer than the session's time-out, which "
                "librdkafka takes for the same (its issue #3437): start again"
            )
        if is_unauthorized(error):
            raise unauthorized(error)
        if is_fatal(error):
            raise Misconfigured(f"the consumer cannot go on: {error.str()}")
        if error.code() in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC):  # noqa: SLF001
            raise Misconfigured(f"an input topic has gone: {error.str()}; run `recourse create-topics`")
        self._metrics.count("kafka_consumer_errors_total", error=error.name())
