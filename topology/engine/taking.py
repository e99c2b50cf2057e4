"""Step 1 of a batch: records and due timers, each partition's in the order of event time."""

from __future__ import annotations

from confluent_kafka import KafkaError, Message, TopicPartition

from topology.engine.batch import Batch
from topology.engine.definition import ClockKind, EngineConfig
from topology.engine.errors import Misconfigured, SlotTaken, is_fatal, is_slot_taken
from topology.engine.merge import Lane
from topology.engine.partition import Partition, Status
from topology.engine.ports import Clock, Consumer, Metrics

_FLOOD_SHARE = 4
"""A call that brings a quarter of a batch at once works off a backlog; live traffic brings less between two calls."""


class Taker:
    """Consumes, puts each record into its lane, and plans what a batch folds."""

    def __init__(
        self, inputs: tuple[str, ...], config: EngineConfig, *, consumer: Consumer, clock: Clock, metrics: Metrics
    ) -> None:
        self._inputs = inputs
        self._config = config
        self._consumer = consumer
        self._clock = clock
        self._metrics = metrics
        self._lanes: dict[tuple[str | None, int | None], Lane] = {}
        """By topic and partition, those of active partitions: where a record goes."""
        self._flooded = False
        """The newest call brought a good part of what was asked for: more lies ready, or is on its way."""

    def open(self, partition: Partition, offsets: dict[int, int]) -> None:
        """Records of this partition count from now on; `offsets` is where each input starts."""
        for lane, topic in zip(partition.merge.lanes, self._inputs, strict=True):
            lane.next_offset = offsets.get(lane.topic, 0)
            self._lanes[topic, partition.number] = lane

    def close_all(self) -> None:
        """Whatever comes is not for a batch: it will be read again after a seek."""
        self._lanes = {}

    def take(self, partitions: dict[int, Partition], *, wait_s: float) -> Batch:
        """Consume once and plan a batch, which may be empty.

        Raises:
            SlotTaken: another process is the same group member.
            Misconfigured: the consumer cannot go on.
        """
        earliest, latest = self._config.earliest_ms, self._config.latest_ms
        messages = self._consumer.consume(self._config.batch_records, wait_s)
        self._flooded = len(messages) * _FLOOD_SHARE >= self._config.batch_records
        for message in messages:
            if message.error() is not None:
                self._not_a_record(message)
                continue
            # The consumer may have been rebalanced within the call: look the lanes up for each record.
            lane = self._lanes.get((message.topic(), message.partition()))
            offset = message.offset() or 0
            if lane is None or offset < lane.next_offset:
                continue
            lane.next_offset = offset + 1
            lane.at_end = False
            turn = message.timestamp()[1]
            if not earliest <= turn < latest:
                turn = 0  # an implausible time must not move the clock; the fold makes it a dead letter
            lane.queue.append((turn, lane.topic, offset, message.key(), message))
        return self._plan(partitions)

    def _plan(self, partitions: dict[int, Partition]) -> Batch:
        batch = Batch()
        now = self._clock.now_ms()
        for partition in partitions.values():
            if partition.status is not Status.ACTIVE:
                continue
            self._find_ends(partition)
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

    def _plan_wall(self, batch: Batch, partition: Partition, now: int) -> None:
        """What is there now, a slower input having had its time to catch up, and the timers that are due."""
        limit = self._config.batch_records
        records = partition.merge.take(limit)
        if records or not partition.merge:
            partition.waiting_since = None
        elif self._has_waited(partition):
            records = partition.merge.take(limit, patient=False)
        self._throttle(partition)
        now = max(now, partition.clock_ms)
        first = partition.timers.peek()
        if records or (first is not None and first[0] <= now):
            batch.plan(partition, records, now)

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
        for lane, topic in zip(partition.merge.lanes, self._inputs, strict=True):
            waiting = len(lane.queue)
            where = [TopicPartition(topic, partition.number)]
            if waiting > self._config.buffered_records and lane.topic not in partition.paused_inputs:
                self._consumer.pause(where)
                partition.paused_inputs.add(lane.topic)
            elif waiting < self._config.buffered_records // 2 and lane.topic in partition.paused_inputs:
                self._consumer.resume(where)
                partition.paused_inputs.discard(lane.topic)

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
                f"another process runs as slot {self._config.slot!r} ({error.str()}); give each worker its own slot. "
                "If there is none, the group's coordinator was away for longer than the session's time-out, which "
                "librdkafka takes for the same (its issue #3437): start again"
            )
        if is_fatal(error):
            raise Misconfigured(f"the consumer cannot go on: {error.str()}")
        if error.code() in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC):  # noqa: SLF001
            raise Misconfigured(f"an input topic has gone: {error.str()}; run `recourse create-topics`")
        self._metrics.count("kafka_consumer_errors_total", error=error.name())
