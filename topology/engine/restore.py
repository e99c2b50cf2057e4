"""How a partition's state comes back before any of its events is judged (rule 4).

In this order, for each partition: (a) the group's committed offsets, read so that pending transactional commits are
settled first; (b) the changelog's high watermark, the uncommitted end; (c) the changelog, `read_committed`, from
the store's checkpoint until an end-of-partition event reaches that mark; (d) only then is the partition active.
Work is done in small steps so that the worker keeps polling and stays a member of its group (rule 9).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from confluent_kafka import OFFSET_BEGINNING, KafkaError, KafkaException, Message, TopicPartition

from topology.engine.definition import EngineConfig
from topology.engine.errors import StoreDown
from topology.engine.ports import ChangelogReader, Clock, Consumer, Metrics, Offsets, StateStore, Write
from topology.engine.state import due_of
from topology.engine.transaction import decode_clock


@dataclass
class Restored:
    """What a partition starts from."""

    positions: dict[int, int]
    """Next offset to fold by index of the input; an input without a committed offset is not in it."""
    clock_ms: int
    checkpoint: int
    timers: list[tuple[int, bytes]]
    partition_count: int
    """Partitions of the changelog, and so of each input."""


@dataclass
class _Replay:
    """A partition on its way."""

    positions: dict[int, int]
    clock_ms: int
    mark: int
    partition_count: int
    checkpoint: int | None
    """What the store holds."""
    position: int
    """Next changelog offset to read."""
    reached: int = -1
    """Offset of the newest end-of-partition event."""
    writes: dict[bytes, Write] = field(default_factory=dict[bytes, Write])


class Restorer:
    """Brings partitions from `ASSIGNED` to ready, a step at a time."""

    def __init__(
        self,
        *,
        inputs: tuple[str, ...],
        changelog: str,
        config: EngineConfig,
        reader: ChangelogReader,
        offsets: Offsets,
        store: StateStore,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._inputs = inputs
        self._changelog = changelog
        self._config = config
        self._reader = reader
        self._offsets = offsets
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._waiting: set[int] = set()
        self._running: dict[int, _Replay] = {}
        self._not_before = 0.0
        self._backoff_s = config.backoff_s

    def begin(self, partition: int) -> None:
        """Restore this partition, from the start."""
        self.cancel(partition)
        self._waiting.add(partition)

    def cancel(self, partition: int) -> None:
        """The partition is no longer ours."""
        self._waiting.discard(partition)
        if self._running.pop(partition, None) is not None:
            self._read_running()

    def hold(self) -> None:
        """Wait before the next try, longer each time until one succeeds."""
        self._not_before = self._clock.monotonic() + self._backoff_s
        self._backoff_s = min(2 * self._backoff_s, self._config.backoff_max_s)

    @property
    def busy(self) -> bool:
        """Is anything being restored?"""
        return bool(self._waiting or self._running)

    def step(self, consumer: Consumer) -> dict[int, Restored]:
        """Do a little; returns the partitions that became ready.

        A broker or Redis that does not answer is tried again later, with growing waits and a metric: until it
        answers, the worker could not judge anything anyway.
        """
        if not self.busy or self._clock.monotonic() < self._not_before:
            return {}
        try:
            if self._waiting:
                self._start(consumer)
            self._read()
            done = self._finish()
        except (KafkaException, StoreDown) as exc:
            if isinstance(exc, KafkaException) and exc.args[0].fatal():
                raise
            self._metrics.count("restore_retries_total", kind=type(exc).__name__)
            self.hold()
            self._waiting.update(self._running)
            self._running.clear()
            return {}
        if done:
            self._backoff_s = self._config.backoff_s
        left = sum(max(0, replay.mark - replay.position) for replay in self._running.values())
        self._metrics.gauge("restore_remaining_records", left)
        return done

    def _start(self, consumer: Consumer) -> None:
        """(a) and (b), in this order, and where the store stands."""
        partitions = sorted(self._waiting)
        wanted = [TopicPartition(topic, p) for p in partitions for topic in self._inputs]
        committed = consumer.committed(wanted, timeout=self._config.broker_s)
        for answer in committed:
            if answer.error is not None:
                raise KafkaException(answer.error)
        bounds = self._offsets.bounds(self._changelog, partitions, self._config.broker_s)
        partition_count = self._offsets.partition_count(self._changelog, self._config.broker_s)
        checkpoints = self._store.checkpoints(partitions)
        for p in partitions:
            low, mark = bounds[p]
            checkpoint = checkpoints[p]
            if checkpoint is None or checkpoint > mark:
                # Nothing there, or a Redis that remembers another life of this topic: start over.
                self._store.reset(p)
                checkpoint = None
                self._metrics.count("redis_rebuilt_total")
            positions = {self._inputs.index(t.topic): t.offset for t in committed if t.partition == p and t.offset >= 0}
            clocks = [decode_clock(t.metadata) for t in committed if t.partition == p]
            self._running[p] = _Replay(
                positions=positions,
                clock_ms=max(clocks, default=0),
                mark=mark,
                partition_count=partition_count,
                checkpoint=checkpoint,
                position=low if checkpoint is None else max(low, checkpoint),
            )
        self._waiting.clear()
        self._read_running()

    def _read_running(self) -> None:
        """Point the reader at all partitions being replayed."""
        self._reader.assign(
            [
                TopicPartition(self._changelog, p, replay.position or OFFSET_BEGINNING)
                for p, replay in sorted(self._running.items())
            ]
        )

    def _read(self) -> None:
        """(c): one chunk of the changelog into the store, the newest dossier of each key only."""
        if all(self._caught_up(replay) for replay in self._running.values()):
            return
        for message in self._reader.consume(self._config.restore_records, timeout=0.05):
            replay = self._running.get(message.partition() or 0)
            if replay is not None:
                self._take(replay, message)
        chunk = [(p, r.checkpoint, r.position, list(r.writes.values())) for p, r in self._running.items() if r.writes]
        for p, _, position, writes in chunk:
            self._metrics.count("restored_records_total", len(writes))
            self._write(p, position, writes)

    def _take(self, replay: _Replay, message: Message) -> None:
        error = message.error()
        offset = message.offset() or 0
        if error is None:
            key = message.key() or b""
            raw = message.value()
            replay.writes[key] = (key, raw, None if raw is None else due_of(raw))
            replay.position = offset + 1
        elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - librdkafka's own code
            # Control records take offsets but are never delivered: only this event tells where we really are.
            replay.reached = max(replay.reached, offset)
        elif not error.retriable() and error.code() != KafkaError._TRANSPORT:  # noqa: SLF001
            raise KafkaException(error)

    def _write(self, p: int, position: int, writes: list[Write]) -> None:
        """Compare-and-set, a few thousand at a time; only the last call moves the checkpoint past the chunk."""
        replay = self._running[p]
        size = 5_000
        for start in range(0, len(writes), size):
            last = start + size >= len(writes)
            # Part of a chunk: the old checkpoint still tells the truth, as replaying it again is harmless.
            old = -1 if replay.checkpoint is None else replay.checkpoint
            new = position if last else max(old, 0)
            applied, found = self._store.apply([(p, replay.checkpoint, new, writes[start : start + size])])[p]
            if not applied:
                # Somebody else moved the view meanwhile (a zombie's last apply): look again from where it is.
                self._metrics.count("redis_refused_total")
                raise StoreDown(f"partition {p}: checkpoint is {found}, expected {replay.checkpoint}")
            replay.checkpoint = new
        replay.writes.clear()

    def _caught_up(self, replay: _Replay) -> bool:
        return not replay.writes and max(replay.position, replay.reached) >= replay.mark

    def _finish(self) -> dict[int, Restored]:
        """(d): the partitions that reached their mark, with their timers."""
        done: dict[int, Restored] = {}
        for p, replay in list(self._running.items()):
            if not self._caught_up(replay):
                continue
            if replay.checkpoint is None:
                self._write_empty(p, replay)
            checkpoint, timers = self._store.timers(p)
            if checkpoint != replay.checkpoint:
                # The index of timers was lost apart from the dossiers: rebuild both.
                self._store.reset(p)
                raise StoreDown(f"partition {p}: timers at {checkpoint}, dossiers at {replay.checkpoint}")
            del self._running[p]
            done[p] = Restored(
                replay.positions, replay.clock_ms, replay.checkpoint or 0, timers, replay.partition_count
            )
        if done and self._running:
            self._read_running()
        return done

    def _write_empty(self, p: int, replay: _Replay) -> None:
        """A partition without any dossier gets a checkpoint too, or it would look lost for ever."""
        applied, found = self._store.apply([(p, None, replay.position, [])])[p]
        if not applied:
            raise StoreDown(f"partition {p}: checkpoint appeared meanwhile ({found})")
        replay.checkpoint = replay.position
