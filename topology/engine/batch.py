"""Steps 1 to 3 of a batch: what was taken, the states it needs, and the fold over both.

Nothing here sends anything: the fold collects outputs, and only `transaction` makes them visible.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Generic, TypeVar

from confluent_kafka import Message

from topology.engine import deadletter
from topology.engine.allowance import Allowances
from topology.engine.definition import ClockKind, EngineConfig, FoldApp
from topology.engine.errors import Poison, Retriable
from topology.engine.merge import Taken
from topology.engine.partition import Partition
from topology.engine.ports import Write
from topology.engine.state import DUE_BYTES, Entry, wrap

S = TypeVar("S")

Output = tuple[str, int, bytes | None, bytes | None, int, list[deadletter.Header] | None]
"""(topic, partition or -1, key, value, timestamp UTC ms, headers)."""

ANY_PARTITION = -1


class Batch:
    """One batch on its way: filled by steps 1 to 3, made durable by steps 4 to 7."""

    __slots__ = (
        "bad", "dirty", "good", "horizons", "metadata", "offsets", "outputs", "overlay", "records", "timers", "writes",
    )  # fmt: skip

    def __init__(self) -> None:
        self.records: dict[Partition, list[Taken]] = {}
        """Step 1: by partition, in the order of the fold."""
        self.horizons: dict[Partition, int] = {}
        """Step 1: timers due at or before this are fired."""
        self.overlay: dict[Partition, dict[bytes, Entry]] = {}
        """Step 2: the states that the batch needs."""
        self.dirty: dict[Partition, dict[bytes, Entry]] = {}
        """Step 3: the states that were folded into."""
        self.outputs: list[Output] = []
        self.writes: dict[Partition, list[Write]] = {}
        self.offsets: list[tuple[int, int, int, int]] = []
        """(index of input, partition, next offset, clock UTC ms) for step 5."""
        self.metadata: object = None
        """Proof of group membership, taken when the batch was folded."""
        self.good = 0
        self.bad = 0
        self.timers = 0

    def plan(self, partition: Partition, records: list[Taken], horizon: int) -> None:
        """Add what was taken of one partition."""
        self.records[partition] = records
        self.horizons[partition] = horizon

    def keys(self, partition: Partition, timer_limit: int) -> set[bytes]:
        """The keys whose states the fold of this partition can need."""
        keys = {record[3] for record in self.records[partition] if record[3]}
        keys.update(key for _, key in partition.timers.until(self.horizons[partition], timer_limit))
        return keys

    def __bool__(self) -> bool:
        return bool(self.records)


class Fold(Generic[S]):
    """Step 3: folds the records and timers of a planned batch into its overlay."""

    def __init__(self, app: FoldApp[S], config: EngineConfig, limit: deadletter.Limit) -> None:
        self._app = app
        self._stream = config.clock is ClockKind.STREAM
        self._earliest = config.earliest_ms
        self._latest = config.latest_ms
        self._limit = limit
        self._ctx = app.context()
        self._batch = Batch()
        self._good_since = 0

    def run(self, batch: Batch) -> None:
        """Fold all partitions of the batch, then encode each changed state once.

        Raises:
            TooManyDeadLetters: nothing of the batch may be committed.
        """
        self._batch = batch
        self._good_since = 0
        for partition in batch.records:
            self._partition(partition)
        self._limit.record(good=self._good_since, bad_run=0)
        for partition, dirty in batch.dirty.items():
            batch.writes[partition] = self._encode_states(partition, dirty.values())
            batch.writes[partition] += _allowances(partition).writes()
        for partition, records in batch.records.items():
            self._offsets(partition, records)

    def _partition(self, partition: Partition) -> None:
        """Fold one partition: due timers and records in the order of time."""
        batch = self._batch
        ctx = self._ctx
        ctx.allowances = _allowances(partition)
        overlay = batch.overlay[partition]
        horizon = batch.horizons[partition]
        dirty = batch.dirty.setdefault(partition, {})
        if self._stream:
            for record in batch.records[partition]:
                time = record[0]
                self._fire(partition, overlay, dirty, min(time, horizon))
                partition.clock_ms = max(partition.clock_ms, time)
                ctx.now = partition.clock_ms
                self._record(record, partition, overlay, dirty)
            if not batch.records[partition]:
                self._fire(partition, overlay, dirty, horizon)
            return
        partition.clock_ms = max(partition.clock_ms, horizon)
        self._fire(partition, overlay, dirty, horizon)
        ctx.now = partition.clock_ms
        for record in batch.records[partition]:
            self._record(record, partition, overlay, dirty)

    def _record(
        self, record: Taken, partition: Partition, overlay: dict[bytes, Entry], dirty: dict[bytes, Entry]
    ) -> None:
        """Fold one record, or make it a dead letter (rule 7)."""
        turn, topic, _, key, message = record
        entry: Entry | None = None
        try:
            if not key:
                raise Poison(deadletter.NULL_KEY, "the record has no key; inputs are keyed by user_id")
            if not turn:
                raise Poison(
                    deadletter.IMPLAUSIBLE_TIME,
                    f"the record's timestamp {message.timestamp()[1]} ms is outside [{self._earliest}, {self._latest})",
                )
            found = overlay.get(key)
            if found is None:
                raise Poison(deadletter.BAD_KEY, f"the key {key[:64]!r} is no user_id: not UTF-8, or begins with NUL")
            event = self._app.decode(topic, found.name, message.value())
            entry = found
            self._apply(entry, event)
        except Retriable:
            raise
        except Exception as exc:  # noqa: BLE001 - rule 7: whatever one record does, the next one is processed
            self._poison(message, partition, entry, exc)
            return
        if self._ctx.allowances.answers:
            self._ctx.allowances.keep()
        dirty[key] = entry
        due = self._app.next_due(entry.state)
        if due != entry.due:
            entry.due = due
            partition.timers.set(key, due)
        self._good_since += 1
        self._batch.good += 1

    def _apply(self, entry: Entry, event: Any) -> None:  # noqa: ANN401 - the application's own type
        """Hand one event to the application and encode what it emitted."""
        app = self._app
        ctx = self._ctx
        state = entry.state
        if state is None:
            state = entry.state = self._load(entry)
        ctx.emitted = emitted = []
        app.handle(state, event, ctx)
        if emitted:
            now = ctx.now
            encoded: list[Output] = []
            for topic, name, record in emitted:
                physical, value = app.encode(topic, record)
                encoded.append((physical, ANY_PARTITION, name.encode(), value, now, None))
            self._batch.outputs.extend(encoded)
        entry.log.append((event, ctx.now, ctx.allowances.answers))

    def _load(self, entry: Entry) -> S:
        raw = entry.raw
        return self._app.new_state(entry.name) if raw is None else self._app.decode_state(raw[DUE_BYTES:])

    def _undo(self, entry: Entry) -> None:
        """Give a state back what it was before the event that raised.

        The fold is pure, so folding the batch's earlier events of the key again, with nothing emitted and each
        `spend` answered as the first time, is exact. It costs something only when a handler raises; a snapshot
        before each event would cost always.
        """
        entry.state = self._load(entry)
        ctx = self._ctx
        now = ctx.now
        ctx.allowances.give_back()
        for event, at, answers in entry.log:
            ctx.now = at
            ctx.emitted = []
            ctx.allowances.repeat(answers)
            self._app.handle(entry.state, event, ctx)
        ctx.allowances.repeat(None)
        ctx.now = now

    def _poison(self, message: Message, partition: Partition, entry: Entry | None, exc: Exception) -> None:
        """Send the record, untouched, to its dead-letter topic within the same transaction."""
        if entry is not None:
            self._undo(entry)
        topic = message.topic() or ""
        timestamp = message.timestamp()[1]
        if not self._earliest <= timestamp < self._latest:
            # A broker refuses times far ahead and deletes what is older than the retention: an implausible time
            # travels in the header only.
            timestamp = partition.clock_ms
        self._batch.outputs.append(
            (
                self._app.dead_letters(topic),
                partition.number,
                message.key(),
                message.value(),
                timestamp,
                deadletter.headers(message, exc, deadletter.reason_of(exc)),
            )
        )
        self._batch.bad += 1
        self._limit.record(good=self._good_since, bad_run=1)
        self._good_since = 0

    def _fire(self, partition: Partition, overlay: dict[bytes, Entry], dirty: dict[bytes, Entry], horizon: int) -> None:
        """Give their timer to all states of the batch that are due at or before `horizon`, earliest first."""
        timers = partition.timers
        ctx = self._ctx
        while (first := timers.peek()) is not None and first[0] <= horizon:
            due, key = first
            entry = overlay.get(key)
            if entry is None:
                return  # not read for this batch (it became due past the limit): its turn is the next batch
            timers.pop()
            now = max(due, partition.clock_ms)
            ctx.now = now
            emitted, folded = len(self._batch.outputs), len(entry.log)
            try:
                self._fire_one(entry, now)
            except Retriable:
                raise
            except Exception as exc:  # noqa: BLE001 - rule 7: a timer that raises must not stop the others
                del self._batch.outputs[emitted:], entry.log[folded:]
                self._poison_timer(partition, entry, due, exc)
                continue
            if ctx.allowances.answers:
                ctx.allowances.keep()
            dirty[key] = entry
            entry.due = self._app.next_due(entry.state)
            timers.set(key, entry.due)
            self._batch.timers += 1

    def _fire_one(self, entry: Entry, now: int) -> None:
        if self._app.timer is None:
            raise AssertionError("the application asks for timers but defines no timer event")
        self._apply(entry, self._app.timer(entry.name, now))
        due = self._app.next_due(entry.state)
        if due is not None and due <= now:
            raise AssertionError(f"a timer fired at {now} left the next one at {due}: time would stand still")

    def _poison_timer(self, partition: Partition, entry: Entry, due: int, exc: Exception) -> None:
        """A timer has no record to set aside: a dead letter without value says which; the key stays silent."""
        self._undo(entry)
        source = self._app.inputs[0]
        self._batch.outputs.append(
            (
                self._app.dead_letters(source),
                partition.number,
                entry.key,
                None,
                self._ctx.now,
                deadletter.about(exc, deadletter.TIMER_RAISED, topic=source, partition=partition.number, offset=due),
            )
        )
        self._batch.bad += 1

    def _encode_states(self, partition: Partition, entries: Iterable[Entry]) -> list[Write]:
        """The states that really changed, each once, as the changelog takes them."""
        writes: list[Write] = []
        for entry in entries:
            raw = wrap(entry.due, self._app.encode_state(entry.state))
            if raw != entry.raw:
                entry.raw = raw
                writes.append((entry.key, raw, entry.due))
            entry.log.clear()
            partition.cache.put(entry)
        return writes

    def _offsets(self, partition: Partition, records: list[Taken]) -> None:
        """What step 5 commits: every input that moved; one that did not when only timers fired.

        Without any offset the transaction would not be fenced by the group's generation (rule 1).
        """
        # Each topic keeps its own order, so its last record here is its furthest.
        ends = {record[1]: record[2] + 1 for record in records}
        partition.positions.update(ends)
        self._batch.offsets.extend(
            (topic, partition.number, partition.positions.get(topic, 0), partition.clock_ms)
            for topic in sorted(ends or {0})
        )


def _allowances(partition: Partition) -> Allowances:
    if partition.allowances is None:
        raise AssertionError(f"partition {partition.number} is folded without what it has spent: step 2 reads it")
    return partition.allowances
