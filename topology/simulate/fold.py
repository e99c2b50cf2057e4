"""The engine's fold with `clock: stream`, offline: the same order, the same timers, the same clock, no bytes.

Within a partition the heads of the input topics are merged by time, ties by topic; before each record the timers due
by then fire; `now` is the highest time seen; a sweep finds what the index holds at that moment. That is what
`topology.engine.merge` and `topology.engine.fold` do whatever their batches, and a test holds this to them. Left out:
what is emitted is not encoded, so an output that is too large for the wire makes no dead letter here; what is counted
counts nowhere.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, bisect_right, insort
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Generic, TypeVar

from topology.engine import deadletter
from topology.engine.context import NOBODY
from topology.engine.definition import FoldApp, Scan
from topology.engine.errors import Poison
from topology.engine.timers import Timers
from topology.simulate.recorded import Input

S = TypeVar("S")

Emitted = list[tuple[str, str, Any]]
"""(logical topic, key, record or None for a tombstone), in order."""
Sink = Callable[[int, str, Emitted, int], None]
"""Given (partition, key of the state, what it emitted, now UTC ms) after each event that emitted anything."""


class _Entry(Generic[S]):
    """One key's state, and what it takes to give it back as it was before an event that raised."""

    __slots__ = ("base", "due", "log", "state")

    def __init__(self, state: S) -> None:
        self.state = state
        self.due: int | None = None
        self.base: bytes | None = None
        """The state from which `log` starts; none is a new one."""
        self.log: list[tuple[Any, int]] = []
        """Events folded since, each with its `now`."""

    @property
    def exists(self) -> bool:
        """Has anything ever been folded into it?"""
        return self.base is not None or bool(self.log)


class _Index:
    """The terms of a partition, in byte order."""

    def __init__(self) -> None:
        self._terms: list[bytes] = []

    def set(self, term: bytes, *, present: bool) -> None:
        at = bisect_left(self._terms, term)
        there = at < len(self._terms) and self._terms[at] == term
        if present and not there:
            insort(self._terms, term)
        elif there and not present:
            del self._terms[at]

    def page(self, scan: Scan) -> tuple[bytes, ...]:
        first, end = bisect_right(self._terms, scan.low), bisect_left(self._terms, scan.high)
        return tuple(self._terms[first : max(first, min(end, first + scan.limit))])


class _Owners(Mapping[str, Any]):
    """What `peek` looks at: the states by key, None for one that is not there."""

    def __init__(self, keys: Iterable[str], entries: Mapping[str, _Entry[Any]]) -> None:
        self._keys = dict.fromkeys(keys)
        self._entries = entries

    def __getitem__(self, key: str) -> Any:  # noqa: ANN401 - the application's own type
        entry = self._entries.get(key)
        return entry.state if key in self._keys and entry is not None and entry.exists else None

    def __contains__(self, key: object) -> bool:
        return key in self._keys

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)


class OfflineFold(Generic[S]):
    """Folds partitions one after the other; their results do not depend on each other."""

    def __init__(self, app: FoldApp[S], sink: Sink) -> None:
        self._app = app
        self._sink = sink
        self._ctx = app.context()
        self._entries: dict[str, _Entry[S]] = {}
        self._timers = Timers()
        self._index = _Index()
        self._prefixes = [app.prefix(index).decode() for index in range(len(app.inputs))]
        self._partition = 0
        self.dead_letters: Counter[str] = Counter()
        """By reason, over all partitions."""

    def run(self, partition: int, lanes: Iterable[Iterable[Input]]) -> int:
        """Fold all records of a partition, one iterable a topic, from new states.

        Returns:
            The partition's clock at the end, UTC ms: timers due later have not fired.
        """
        self._partition = partition
        self._entries = {}
        self._timers = Timers()
        self._index = _Index()
        clock = 0
        # `heapq.merge` compares heads only: a topic that is not in the order of time keeps its own order.
        for item in heapq.merge(*lanes, key=_turn):
            self._fire(item[0], clock)
            clock = max(clock, item[0])
            self._record(item, clock)
        return clock

    def _record(self, item: Input, now: int) -> None:
        _, topic, own_key, event = item
        if isinstance(event, Poison):
            self.dead_letters[event.reason] += 1
            return
        key = self._prefixes[topic] + own_key
        entry = self._entry(key)
        try:
            emitted = self._handle(entry, event, now)
        except Exception as exc:  # noqa: BLE001 - rule 7: whatever one record does, the next one is processed
            self._undo(key, entry)
            self.dead_letters[deadletter.reason_of(exc)] += 1
            return
        self._done(key, entry, event, now, emitted)

    def _fire(self, horizon: int, clock: int) -> None:
        """Give their timer to all states that are due at or before `horizon`, earliest first."""
        timers = self._timers
        while (first := timers.peek()) is not None and first[0] <= horizon:
            due, raw = first
            timers.pop()
            key = raw.decode()
            entry = self._entry(key)
            now = max(due, clock)
            try:
                self._fire_one(key, entry, now)
            except Exception:  # noqa: BLE001 - rule 7: a timer that raises must not stop the others
                self._undo(key, entry)
                self.dead_letters[deadletter.TIMER_RAISED] += 1

    def _fire_one(self, key: str, entry: _Entry[S], now: int) -> None:
        app = self._app
        if app.timer is None:
            raise AssertionError("the application asks for timers but defines no timer event")
        finds = self._find(key, entry)
        try:
            event = app.timer(key, now)
            emitted = self._handle(entry, event, now)
        finally:
            self._ctx.found, self._ctx.owners = (), NOBODY
        due = app.next_due(entry.state)
        if due is not None and due <= now:
            raise AssertionError(f"a timer fired at {now} left the next one at {due}: time would stand still")
        entry.due = None
        told = self._done(key, entry, event, now, emitted)
        if finds:
            # What it saw of others may change, so it cannot be folded again.
            entry.base = app.encode_state(entry.state)
            entry.log.clear()
        for name, more in told:
            self._tell(name, more, now)

    def _find(self, key: str, entry: _Entry[S]) -> bool:
        """Show the handler what a state under a prefix scans for; False: nothing."""
        app = self._app
        scan = app.scan(entry.state) if app.scan is not None and key.startswith("\0") else None
        if scan is None or app.owner is None:
            return False
        self._ctx.found = found = self._index.page(scan)
        self._ctx.owners = _Owners((app.owner(term).decode() for term in found), self._entries)
        return True

    def _tell(self, key: str, event: Any, now: int) -> None:  # noqa: ANN401
        entry = self._entry(key)
        try:
            emitted = self._handle(entry, event, now)
        except Exception:  # noqa: BLE001 - rule 7: one who cannot be told must not keep the others waiting
            self._undo(key, entry)
            self.dead_letters[deadletter.TELL_RAISED] += 1
            return
        self._done(key, entry, event, now, emitted)

    def _handle(self, entry: _Entry[S], event: Any, now: int) -> Emitted:  # noqa: ANN401
        ctx = self._ctx
        ctx.now = now
        ctx.effects = None
        ctx.emitted = emitted = []
        self._app.handle(entry.state, event, ctx)
        return emitted

    def _done(
        self,
        key: str,
        entry: _Entry[S],
        event: Any,  # noqa: ANN401
        now: int,
        emitted: Emitted,
    ) -> list[tuple[str, Any]]:
        """The event has been folded: returns what it has for others."""
        entry.log.append((event, now))
        due = self._app.next_due(entry.state)
        if due != entry.due:
            entry.due = due
            self._timers.set(key.encode(), due)
        if emitted:
            self._sink(self._partition, key, emitted, now)
        effects = self._ctx.effects
        if effects is None:
            return []
        for term, present in effects.index.items():
            self._index.set(term, present=present)
        return effects.told

    def _entry(self, key: str) -> _Entry[S]:
        entry = self._entries.get(key)
        if entry is None:
            entry = self._entries[key] = _Entry(self._app.new_state(key))
        return entry

    def _undo(self, key: str, entry: _Entry[S]) -> None:
        """Give a state back what it was before the event that raised: the fold is pure, so folding again is exact."""
        app = self._app
        entry.state = app.new_state(key) if entry.base is None else app.decode_state(entry.base)
        if entry.log:
            for event, now in entry.log:
                self._handle(entry, event, now)
            entry.base = app.encode_state(entry.state)
            entry.log.clear()


def _turn(item: Input) -> tuple[int, int]:
    return item[0], item[1]
