"""Step 3 of a batch: the fold over what was taken and the states it needs.

Nothing here sends anything: the fold collects outputs, and only `transaction` makes them visible.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, TypeVar, cast

from confluent_kafka import Message

from topology.engine import deadletter
from topology.engine.allowance import Allowances
from topology.engine.batch import ANY_PARTITION, Batch
from topology.engine.carried import TIMER, Parents, event_headers, place_of, read
from topology.engine.context import NOBODY, Effects
from topology.engine.definition import ClockKind, EngineConfig, FoldApp, never_due
from topology.engine.errors import Poison, Retriable
from topology.engine.merge import Taken
from topology.engine.partition import Partition
from topology.engine.ports import Write
from topology.engine.position import Known
from topology.engine.state import Base, Entry, wrap
from topology.engine.sweep import NotRead, find, load

S = TypeVar("S")

_NO_CHANGES: Mapping[bytes, bool] = {}

_Read = tuple[Entry | None, Any]
"""(the state that a record is for, the event in it), or (None, why it cannot be folded)."""


class Fold(Generic[S]):
    """Step 3: folds the records and timers of a planned batch into its overlay."""

    def __init__(self, app: FoldApp[S], config: EngineConfig, limit: deadletter.Limit, *, spans: bool = False) -> None:
        """`spans`: somebody collects them."""
        self._app = app
        self._stream = config.clock is ClockKind.STREAM
        self._earliest = config.earliest_ms
        self._latest = config.latest_ms
        self._limit = limit
        self._prefix_lengths = [len(app.prefix(index).decode()) for index in range(len(app.inputs))]
        self._decode, self._handle, self._encode = app.decode, app.handle, app.encode
        self._next_due = None if app.next_due is never_due else app.next_due
        self._trace_of = app.trace_of
        self._spans = spans
        self._folding: Message | None = None
        """The record whose event is folded; None: a timer's event."""
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
        self._judged(bad_run=0)
        for partition, dirty in batch.dirty.items():
            batch.writes[partition] = self._encode_states(partition, dirty.values())
            batch.writes[partition] += _allowances(partition).writes()
        for partition, records in batch.records.items():
            self._offsets(partition, records)
        if batch.letters and self._app.seal is not None:
            self._app.seal(batch.outputs)

    def _partition(self, partition: Partition) -> None:
        """Fold one partition: due timers and records in the order of time."""
        batch = self._batch
        ctx = self._ctx
        ctx.allowances = _allowances(partition)
        ctx.effects = None
        overlay = batch.overlay[partition]
        horizon = batch.horizons[partition]
        dirty = batch.dirty.setdefault(partition, {})
        events = self._events(batch.records[partition], overlay)
        if self._stream:
            for record, event in zip(batch.records[partition], events, strict=True):
                time = record[0]
                if not self._fire(partition, overlay, dirty, min(time, horizon)):
                    self._put_back(partition, record)
                    return
                partition.clock_ms = max(partition.clock_ms, time)
                ctx.now = partition.clock_ms
                self._records([record], [event], partition, dirty)
            if not batch.records[partition]:
                self._fire(partition, overlay, dirty, horizon)
            return
        partition.clock_ms = max(partition.clock_ms, horizon)
        self._fire(partition, overlay, dirty, horizon)
        ctx.now = partition.clock_ms
        self._records(batch.records[partition], events, partition, dirty)

    def _put_back(self, partition: Partition, first: Taken) -> None:
        """This record and those after it are not for this batch: a timer that cannot fire yet comes before them."""
        records = self._batch.records[partition]
        n = next(n for n, record in enumerate(records) if record is first)
        partition.merge.put_back(records[n:])
        del records[n:]

    def _records(
        self, records: list[Taken], events: list[_Read], partition: Partition, dirty: dict[bytes, Entry]
    ) -> None:
        """Fold each record, or make it a dead letter (rule 7)."""
        ctx, next_due = self._ctx, self._next_due
        for record, (entry, event) in zip(records, events, strict=True):
            if entry is None:
                self._poison(record[4], partition, None, event)
                continue
            ctx.published = record[0]
            self._folding = record[4]
            headers = record[4].headers()
            ctx.carried = read(cast("list[deadletter.Header]", headers)) if headers else None
            try:
                self._apply(entry, event)
            except Retriable:
                raise
            except Exception as exc:  # noqa: BLE001 - rule 7: whatever one record does, the next one is processed
                self._poison(record[4], partition, entry, exc)
                continue
            self._good_since += 1
            if ctx.effects is not None or ctx.allowances.answers:
                self._keep(partition)
            dirty[entry.key] = entry
            if next_due is not None and (due := next_due(entry.state)) != entry.due:
                entry.due = due
                partition.timers.set(entry.key, due)

    def _events(self, records: list[Taken], overlay: dict[bytes, Entry]) -> list[_Read]:
        """What the records say, in their order.

        All are read before the first is folded, one input after the other: a decoder that is called again and again
        stays in the processor's cache, where it and the handlers would drive each other out (docs/performance.md).
        """
        decode = self._decode
        events: list[_Read] = [(None, None)] * len(records)
        for topic in {record[1] for record in records}:
            prefix = self._prefix_lengths[topic]
            for n, record in enumerate(records):
                if record[1] != topic:
                    continue
                try:
                    entry = overlay.get(record[3]) if record[3] else None
                    if entry is None or not record[0]:
                        raise self._nobodys(record)
                    name = entry.name[prefix:] if prefix else entry.name
                    events[n] = entry, decode(topic, name, record[4].value())
                except Retriable:
                    raise
                except Exception as exc:  # noqa: BLE001 - rule 7: the record is a dead letter when its turn comes
                    events[n] = None, exc
        return events

    def _nobodys(self, record: Taken) -> Poison:
        """Why a record reaches no state."""
        turn, _, _, key, message = record
        if not key:
            return Poison(deadletter.NULL_KEY, "the record has no key; inputs are keyed by user_id")
        if not turn:
            text = f"the record's timestamp {message.timestamp()[1]} ms is outside [{self._earliest}, {self._latest})"
            return Poison(deadletter.IMPLAUSIBLE_TIME, text)
        text = f"the key {(message.key() or b'')[:64]!r} names nobody: not UTF-8, or begins with NUL"
        return Poison(deadletter.BAD_KEY, text)

    def _apply(self, entry: Entry, event: Any) -> None:  # noqa: ANN401 - the application's own type
        """Hand one event to the application and encode what it emitted."""
        ctx = self._ctx
        state = entry.state
        if state is None:
            state = entry.state = load(self._app, entry)
        emitted = ctx.emitted
        emitted.clear()
        self._handle(state, event, ctx)
        trace_of = None if self._trace_of is None else self._trace_of(state)
        if emitted or ctx.carried is not None:
            now, encode, outputs = ctx.now, self._encode, self._batch.outputs
            before = len(outputs)
            try:
                if trace_of is not None or ctx.carried is not None:
                    self._publish_on(entry, trace_of)
                else:
                    for topic, name, record in emitted:
                        physical, value = encode(topic, record)
                        outputs.append((physical, value, name.encode(), ANY_PARTITION, None, None, now, None))
            except BaseException:
                del outputs[before:]
                raise
        entry.log.append((event, ctx.now, ctx.allowances.answers, ctx.carried))

    def _publish_on(self, entry: Entry, trace_of: Callable[[Any], str] | None) -> None:
        """Encode what the running event emitted, with the headers that say what it belongs to."""
        ctx, app, message = self._ctx, self._app, self._folding
        if message is None:
            what = entry.key + b"\0%d" % ctx.now
        else:
            what = (message.key() or b"") + b"\0" + (message.value() or b"")
        parents = Parents(ctx.carried, trace_of, what)
        for number, (topic, name, record) in enumerate(ctx.emitted):
            physical, value = self._encode(topic, record)
            headers = parents.headers(record)
            if ctx.carried is not None and ctx.carried.event_id and record is not None:
                source, kind = f"/recourse/{app.name}", app.event_type(record)
                headers += event_headers(
                    ctx.carried, source=source, kind=kind, topic=topic, number=number, at_ms=ctx.now
                )
            self._batch.outputs.append(
                (physical, value, name.encode(), ANY_PARTITION, None, None, ctx.now, headers or None)
            )
        if self._spans:
            topic, partition, offset = ("", 0, None) if message is None else place_of(message)
            called = app.called(topic) if topic else TIMER
            self._batch.spans += parents.folded(called, partition, offset)

    def _keep(self, partition: Partition) -> Effects | None:
        """The running event has been folded: what it spent is spent, and what it asked for happens."""
        ctx, batch = self._ctx, self._batch
        ctx.allowances.keep()
        effects, ctx.effects = ctx.effects, None
        if effects is None:
            return None
        if effects.index:
            batch.index.setdefault(partition, {}).update(effects.index)
        for name in effects.timed:
            batch.timed.setdefault(name, []).append(ctx.published)
        for name, by, labels in effects.counts:
            batch.counts[name, labels] = batch.counts.get((name, labels), 0) + by
        return effects

    def _undo(self, entry: Entry) -> None:
        """Give a state back what it was before the event that raised.

        The fold is pure, so folding the batch's earlier events of the key again, with nothing emitted or asked for
        and each `spend` answered as the first time, is exact. It costs something only when a handler raises; a
        snapshot before each event would cost always. Only an event that found somebody leaves one (`Base`).
        """
        app = self._app
        entry.state = load(app, entry)
        ctx = self._ctx
        now = ctx.now
        ctx.allowances.give_back()
        carried = ctx.carried
        for event, at, answers, ctx.carried in entry.log:
            if isinstance(event, Base):
                entry.state = app.decode_state(event.payload)
                continue
            ctx.now = at
            ctx.emitted = []
            ctx.allowances.repeat(answers)
            app.handle(entry.state, event, ctx)
        ctx.allowances.repeat(None)
        ctx.effects = None
        ctx.now, ctx.carried = now, carried

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
        reason = deadletter.reason_of(exc)
        self._batch.outputs.append(
            (
                self._app.dead_letters(topic),
                message.value(),
                message.key(),
                partition.number,
                None,
                None,
                timestamp,
                deadletter.headers(message, exc, reason),
            )
        )
        self._set_aside(topic, reason)
        self._judged(bad_run=1)

    def _judged(self, *, bad_run: int) -> None:
        """Count the good records since the last dead letter, and this one."""
        good, self._good_since = self._good_since, 0
        self._batch.good += good
        self._limit.record(good=good, bad_run=bad_run)

    def _fire(self, partition: Partition, overlay: dict[bytes, Entry], dirty: dict[bytes, Entry], horizon: int) -> bool:
        """Give their timer to all states of the batch that are due at or before `horizon`, earliest first.

        Returns:
            False, by the stream clock only: one that comes next must wait for the next batch, and all else for it.
        """
        timers = partition.timers
        ctx = self._ctx
        waiting: list[tuple[int, bytes]] = []
        while (first := timers.peek()) is not None and first[0] <= horizon:
            due, key = first
            entry = overlay.get(key)
            if entry is None:
                break  # not read for this batch (it became due past the limit): its turn is the next batch
            timers.pop()
            now = max(due, partition.clock_ms)
            ctx.now = now
            ctx.published, ctx.carried, self._folding = 0, None, None
            emitted, folded, spans = len(self._batch.outputs), len(entry.log), len(self._batch.spans)
            try:
                self._fire_one(partition, entry, now)
            except Retriable:
                raise
            except NotRead:
                waiting.append(first)
                if self._stream:
                    break
                continue
            except Exception as exc:  # noqa: BLE001 - rule 7: a timer that raises must not stop the others
                del self._batch.outputs[emitted:], entry.log[folded:], self._batch.spans[spans:]
                self._poison_timer(partition, entry, due, exc)
                continue
            self._fired(partition, entry, dirty, due)
        for due, key in waiting:
            timers.set(key, due)
        return not (waiting and self._stream)

    def _fired(self, partition: Partition, entry: Entry, dirty: dict[bytes, Entry], due: int) -> None:
        """The timer's event has been folded: what it has for others comes next."""
        dirty[entry.key] = entry
        entry.due = self._app.next_due(entry.state)
        partition.timers.set(entry.key, entry.due)
        self._batch.timers += 1
        self._batch.lateness.append(self._ctx.now - due)
        effects = self._keep(partition)
        if effects is not None:
            overlay = self._batch.overlay[partition]
            for name, event in effects.told:
                self._tell(partition, overlay[name.encode()], event, dirty, (due, entry.key))

    def _fire_one(self, partition: Partition, entry: Entry, now: int) -> None:
        app = self._app
        if app.timer is None:
            raise AssertionError("the application asks for timers but defines no timer event")
        finds = app.scan is not None and entry.key[0] == 0 and self._find(partition, entry)
        try:
            self._apply(entry, app.timer(entry.name, now))
        finally:
            if finds:
                self._ctx.found, self._ctx.owners = (), NOBODY
        due = app.next_due(entry.state)
        if due is not None and due <= now:
            raise AssertionError(f"a timer fired at {now} left the next one at {due}: time would stand still")
        if finds:
            entry.log[:] = [(Base(app.encode_state(entry.state)), now, (), None)]

    def _find(self, partition: Partition, entry: Entry) -> bool:
        """Show the handler what this state scans for, as the index is at this moment of the fold; False: nothing.

        Raises:
            NotRead: that is not known in this batch.
        """
        batch = self._batch
        page = batch.pages.get((partition, entry.key))
        found = find(self._app, entry, page, batch.index.get(partition, _NO_CHANGES), batch.overlay[partition])
        if found is None:
            return False
        self._ctx.found, self._ctx.owners = found
        return True

    def _tell(
        self,
        partition: Partition,
        entry: Entry,
        event: Any,  # noqa: ANN401 - the application's own type
        dirty: dict[bytes, Entry],
        teller: tuple[int, bytes],
    ) -> None:
        """Fold an event that another state's timer, due then and of that key, has for this one."""
        try:
            self._apply(entry, event)
        except Retriable:
            raise
        except Exception as exc:  # noqa: BLE001 - rule 7: one who cannot be told must not keep the others waiting
            due, key = teller
            told: list[deadletter.Header] = [(deadletter.TOLD, entry.key), (deadletter.TELLER, key)]
            self._undo(entry)
            self._letter(partition, self._app.inputs[0], entry.key, due, exc, deadletter.TELL_RAISED, told)
            return
        self._keep(partition)
        dirty[entry.key] = entry
        due = self._app.next_due(entry.state)
        if due != entry.due:
            entry.due = due
            partition.timers.set(entry.key, due)
        self._batch.told += 1

    def _poison_timer(self, partition: Partition, entry: Entry, due: int, exc: Exception) -> None:
        """The key stays silent until its state changes again."""
        self._undo(entry)
        source, key = self._app.told_as(entry.key)
        self._letter(partition, source, key, due, exc, deadletter.TIMER_RAISED, [])

    def _letter(
        self,
        partition: Partition,
        source: str,
        key: bytes,
        due: int,
        exc: Exception,
        reason: str,
        more: list[deadletter.Header],
    ) -> None:
        """A timer, or what it tells, has no record to set aside: a dead letter without value says which."""
        about = deadletter.about(exc, reason, topic=source, partition=partition.number, offset=due)
        dead_letters, headers = self._app.dead_letters(source), [*about, *more]
        self._batch.outputs.append((dead_letters, None, key, partition.number, None, None, self._ctx.now, headers))
        self._set_aside(source, reason)

    def _set_aside(self, source: str, reason: str) -> None:
        letters = self._batch.letters
        letters[source, reason] = letters.get((source, reason), 0) + 1

    def _encode_states(self, partition: Partition, entries: Iterable[Entry]) -> list[Write]:
        """The states that really changed, each once, as the changelog takes them."""
        writes: list[Write] = []
        encode_state, keep = self._app.encode_state, partition.cache.put
        for entry in entries:
            raw = wrap(entry.due, encode_state(entry.state))
            if raw != entry.raw:
                entry.raw = raw
                writes.append((entry.key, raw, entry.due))
            entry.log.clear()
            keep(entry)
        return writes

    def _offsets(self, partition: Partition, records: list[Taken]) -> None:
        """What step 5 commits: every input that moved; one that did not when only timers fired.

        Without any offset the transaction would not be fenced by the group's generation (rule 1).
        """
        # Each topic keeps its own order, so its last record here is its furthest.
        last = {record[1]: record for record in records}
        ends = {topic: record[2] + 1 for topic, record in last.items()}
        partition.positions.update(ends)
        partition.newest.update({topic: record[0] for topic, record in last.items()})
        self._batch.moved[partition] = ends
        known = Known(partition.clock_ms, partition.partition_count)
        self._batch.offsets.extend(
            (topic, partition.number, partition.positions.get(topic, 0), known) for topic in sorted(ends or {0})
        )


def _allowances(partition: Partition) -> Allowances:
    if partition.allowances is None:
        raise AssertionError(f"partition {partition.number} is folded without what it has spent: step 2 reads it")
    return partition.allowances
