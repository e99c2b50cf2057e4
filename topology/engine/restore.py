"""How a partition's state comes back before any of its events is judged (rule 4).

In this order, for each partition: (a) the group's committed offsets, read so that pending transactional commits are
settled first; (b) the changelog's high watermark, the uncommitted end; (c) the changelog, `read_committed`, from
the store's checkpoint until an end-of-partition event reaches that mark; (d) only then is the partition active.
Work is done in small steps so that the worker keeps polling and stays a member of its group (rule 9). A step reads a
chunk; what it read is written in a thread behind the next one (`rebuild`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from concurrent import futures
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from confluent_kafka import OFFSET_BEGINNING, KafkaError, KafkaException, TopicPartition

from topology.engine.committed import check_count, check_kept, check_seals, refuse_states_without_offsets
from topology.engine.definition import EngineConfig
from topology.engine.errors import StoreDown, is_unauthorized, unauthorized
from topology.engine.ports import ChangelogReader, Clock, Consumer, Metrics, Offsets, StateStore
from topology.engine.position import decode_known
from topology.engine.rebuild import Chunk, Rebuild, Seen, write
from topology.engine.timers import BEFORE_ALL, Timers


@dataclass
class Restored:
    """What a partition starts from."""

    positions: dict[int, int]
    """Next offset to fold by index of the input; an input without a committed offset is not in it."""
    clock_ms: int
    checkpoint: int
    timers: Timers
    """The nearest of them."""
    partition_count: int
    """Partitions of the changelog, and so of each input."""


@dataclass
class _Replay:
    """A partition on its way."""

    positions: dict[int, int]
    clock_ms: int
    mark: int
    partition_count: int
    position: int
    """Next changelog offset to read."""
    store: Rebuild
    """The store's side of it, which the thread alone touches while chunks are on their way."""
    reached: int = -1
    """Offset of the newest end-of-partition event."""
    newest: dict[bytes, bytes | None] = field(default_factory=dict[bytes, bytes | None])
    """What of the running chunk is to be written, by key."""


_CHUNKS = 2
"""So many are on their way at most: one being written, one that waits for it."""
_WAIT_S = 0.05
"""How long a step waits for a chunk to be written, when no more may be read."""


class Restorer:
    """Brings partitions from `ASSIGNED` to ready, a step at a time."""

    def __init__(
        self,
        *,
        inputs: tuple[str, ...],
        changelog: str,
        indexed: Callable[[bytes], Iterable[bytes]] | None,
        found: Callable[[int, dict[int, int], dict[int, tuple[int, int]]], None],
        config: EngineConfig,
        reader: ChangelogReader,
        offsets: Offsets,
        store: StateStore,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._inputs = inputs
        self._changelog = changelog
        self._indexed = indexed
        self._found = found
        self._config = config
        self._reader = reader
        self._offsets = offsets
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._waiting: set[int] = set()
        self._begun: dict[int, float] = {}
        """When each partition came (monotonic seconds)."""
        self._running: dict[int, _Replay] = {}
        self._thread = ThreadPoolExecutor(1, "restorer") if config.pipelined else None
        self._chunks: deque[tuple[Chunk, Future[int]]] = deque()
        """On their way into the store, oldest first; each answers how many states it wrote."""
        self._not_before = 0.0
        self._backoff_s = config.backoff_s

    def begin(self, partition: int) -> None:
        """Restore this partition, from the start."""
        self._give_up(partition)
        self._waiting.add(partition)
        self._begun.setdefault(partition, self._clock.monotonic())

    def cancel(self, partition: int) -> None:
        """The partition is no longer ours."""
        self._give_up(partition)
        self._begun.pop(partition, None)

    def _give_up(self, partition: int) -> None:
        self._waiting.discard(partition)
        replay = self._running.pop(partition, None)
        if replay is not None:
            replay.store.given_up = True
            self._read_running()

    def close(self) -> None:
        """End the thread; what is on its way to the store is written, and harms nobody."""
        if self._thread is not None:
            self._thread.shutdown(wait=True, cancel_futures=True)

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
                self._drain()
                self._start(consumer)
            self._collect()
            self._read()
            done = self._finish()
        except (KafkaException, StoreDown) as exc:
            if isinstance(exc, KafkaException) and is_unauthorized(exc.args[0]):
                raise unauthorized(exc.args[0]) from exc
            if isinstance(exc, KafkaException) and exc.args[0].fatal():
                raise
            self._metrics.count("restore_retries_total", kind=type(exc).__name__)
            self.hold()
            self._waiting.update(self._running)
            for replay in self._running.values():
                replay.store.given_up = True
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
        partition_count = self._offsets.partition_count(self._changelog, self._config.broker_s)
        # Of all partitions, as a partition that was added has nothing committed that could tell.
        wanted = [TopicPartition(topic, p) for p in range(partition_count) for topic in self._inputs]
        committed = consumer.committed(wanted, timeout=self._config.broker_s)
        for answer in committed:
            if answer.error is not None:
                raise KafkaException(answer.error)
        known = {(t.topic, t.partition): decode_known(t.metadata) for t in committed}
        check_seals({one.seal for one in known.values()})
        check_count(partition_count, {one.partitions for one in known.values()})
        offsets = {(t.topic, t.partition): t.offset for t in committed}
        inputs: dict[int, dict[int, tuple[int, int]]] = {p: {} for p in partitions}
        for index, topic in enumerate(self._inputs):
            found = self._offsets.bounds(topic, partitions, self._config.broker_s)
            check_kept(topic, {p: (offsets[topic, p], start) for p, (start, _) in found.items()})
            for p, start_and_end in found.items():
                inputs[p][index] = start_and_end
        bounds = self._offsets.bounds(self._changelog, partitions, self._config.broker_s)
        checkpoints = self._store.checkpoints(partitions)
        for p in partitions:
            low, mark = bounds[p]
            checkpoint = checkpoints[p]
            if checkpoint is None or checkpoint > mark:
                # Nothing there; or not all of dossiers, timers and index, as when one of them was evicted or was
                # never made by an older version; or a Redis that remembers another life of this topic: start over.
                self._store.reset(p)
                checkpoint = None
                self._metrics.count("redis_rebuilt_total")
            positions = {self._inputs.index(t.topic): t.offset for t in committed if t.partition == p and t.offset >= 0}
            clocks = [one.clock_ms for (_, number), one in known.items() if number == p]
            self._running[p] = _Replay(
                positions=positions,
                clock_ms=max(clocks, default=0),
                mark=mark,
                partition_count=partition_count,
                # Without offsets the first record of the changelog tells that they were lost: see `_take`.
                position=low if checkpoint is None or not positions else max(low, checkpoint),
                store=Rebuild(
                    self._store,
                    p,
                    checkpoint,
                    self._indexed,
                    Seen(mark - low) if checkpoint is None else None,
                    self._metrics,
                ),
            )
            self._found(p, positions, inputs[p])
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
        """(c): one chunk of the changelog, the newest state of each key only, on its way into the store."""
        if all(self._at_mark(replay) for replay in self._running.values()):
            return
        if len(self._chunks) >= _CHUNKS:
            futures.wait([self._chunks[0][1]], _WAIT_S)
            self._collect()
        if len(self._chunks) >= _CHUNKS:
            return
        self._take()
        replays = self._running.values()
        chunk: Chunk = [(replay.store, replay.newest, replay.position) for replay in replays if replay.newest]
        if not chunk:
            return
        for replay in replays:
            replay.newest = {}
        if self._thread is not None:
            self._chunks.append((chunk, self._thread.submit(write, chunk)))
        else:
            self._metrics.count("restored_records_total", write(chunk))

    def _take(self) -> None:
        """The chunk, into the partitions that it belongs to.

        Raises:
            Misconfigured: a partition has states, and the group no offsets.
        """
        running = self._running
        for message in self._reader.consume(self._config.restore_records, timeout=0.05):
            replay = running.get(message.partition() or 0)
            if replay is None:
                continue
            error = message.error()
            if error is None:
                if not replay.positions:
                    refuse_states_without_offsets(f"{self._changelog}[{message.partition()}]")
                replay.newest[message.key() or b""] = message.value()
                replay.position = (message.offset() or 0) + 1
            else:
                self._not_a_record(replay, error, message.offset() or 0)

    def _not_a_record(self, replay: _Replay, error: KafkaError, offset: int) -> None:
        if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - librdkafka's own code
            # Control records take offsets but are never delivered: only this event tells where we really are.
            replay.reached = max(replay.reached, offset)
        elif not error.retriable() and error.code() != KafkaError._TRANSPORT:  # noqa: SLF001
            raise KafkaException(error)

    def _collect(self) -> None:
        """What became of the chunks that have been written.

        Raises:
            StoreDown: one could not be; those after it are not tried.
        """
        while self._chunks and self._chunks[0][1].done():
            self._metrics.count("restored_records_total", self._chunks.popleft()[1].result())

    def _drain(self) -> None:
        """Let what is on its way end, whatever becomes of it: afterwards the store stands still.

        A partition of which a chunk failed has been given up, which `_finish` sees.
        """
        while self._chunks:
            _, written = self._chunks.popleft()
            if written.exception() is None:
                self._metrics.count("restored_records_total", written.result())

    def _at_mark(self, replay: _Replay) -> bool:
        return max(replay.position, replay.reached) >= replay.mark

    def _finish(self) -> dict[int, Restored]:
        """(d): the partitions that reached their mark, with their timers.

        None of them leaves `_running` before all are looked at: what fails for one sends all back to the start.
        """
        done: dict[int, Restored] = {}
        on_their_way = {rebuild for chunk, _ in self._chunks for rebuild, _, _ in chunk}
        for p, replay in self._running.items():
            if not self._at_mark(replay) or replay.store in on_their_way:
                continue
            if replay.store.given_up:
                raise StoreDown(f"partition {p}: not all of its changelog could be written")
            if replay.store.checkpoint is None:
                # A partition without any dossier gets a checkpoint too, or it would look lost for ever.
                replay.store.write({}, replay.position)
            checkpoint = replay.store.checkpoint
            page = self._store.timers(p, BEFORE_ALL, self._config.timers_window)
            if page.checkpoint != checkpoint:
                # The index of timers was lost apart from the dossiers: rebuild both.
                self._store.reset(p)
                raise StoreDown(f"partition {p}: timers at {page.checkpoint}, dossiers at {checkpoint}")
            timers = Timers(page.pairs, page.until)
            done[p] = Restored(replay.positions, replay.clock_ms, checkpoint or 0, timers, replay.partition_count)
        for p in done:
            del self._running[p]
            self._metrics.observe("restore_seconds", self._clock.monotonic() - self._begun.pop(p))
        if done and self._running:
            self._read_running()
        return done
