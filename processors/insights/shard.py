"""What the insights know of one partition of their inputs: its counts, its open cases, and how far it has been read.

Counts are kept in memory and written behind, each as a whole with the offset that it holds. A crash loses what was not
written; then reading goes on from the position that was, and a count that was written later than the position skips
what it holds already. So it does not matter how much of a write got through, as long as writes keep their order: the
position comes after the counts that it vouches for, and what is forgotten comes after the position. That holds for
whatever runs this at least once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from enum import StrEnum
from hashlib import blake2b

import msgspec
from msgspec import Struct

from processors.insights.cells import Cube
from processors.insights.facts import Fact, of_end, of_enforcement, of_line
from processors.insights.open_cases import FIRST, OpenCase, OpenCases
from processors.insights.open_reversals import OpenReversal, OpenReversals
from processors.insights.slices import OPEN, parts_of, slice_key
from schemas.records import CaseEvent, EnforcementIssued
from schemas.vocabulary import CaseEventKind

LINES, ENFORCEMENTS = "lines", "enforcements"
"""The two inputs; each has offsets of its own."""


class Fate(StrEnum):
    """What became of a record; together they are all that was read."""

    COUNTED = "counted"
    UNAFFECTED = "unaffected"
    """It says nothing of a case and adds to no count."""
    DUPLICATE = "duplicate"
    """Another record with its event_id was counted."""
    LATE = "late"
    """Older than the grace period: not in the windows."""
    FUTURE = "future"
    """Ahead of the clock by more than clocks differ."""
    UNREADABLE = "unreadable"


class Position(Struct, array_like=True):
    """How far an input is read, and what became of what was read."""

    offset: int = -1
    newest: int = 0
    """Newest time of an event that was counted, ms: the partition's clock."""
    oldest: int = 0
    """The first event's."""
    fates: dict[str, int] = {}


class Seen(Struct, array_like=True):
    """An event that was counted."""

    offset: int
    at: int


class Partial(Struct, array_like=True):
    """One partition's share of a slice, whole, on its way to where the shares are added up."""

    offset: int
    newest: int
    oldest: int
    cube: Cube | None = None
    load: dict[str, list[int]] | None = None
    """By band, the first four columns of `OpenCases.load`."""
    more: dict[str, list[int]] | None = None
    """The others, which an older version neither sends nor reads."""


class Shard:
    """One partition. `grace_ms`: how much later than the newest an event may be and still count."""

    def __init__(self, grace_ms: int) -> None:
        self._grace_ms = grace_ms
        self._cubes: dict[str, Cube] = {}
        self._cases = OpenCases()
        self._reversals = OpenReversals()
        self._seen: dict[str, Seen] = {}
        self._order: dict[str, deque[str]] = {LINES: deque(), ENFORCEMENTS: deque()}
        self._positions: dict[str, Position] = {LINES: Position(fates={}), ENFORCEMENTS: Position(fates={})}
        self._dirty: dict[str, None] = {}
        self._forgotten: list[str] = []
        self._changed: dict[str, None] = {}
        self._moved: set[str] = set()

    # --- state in and out

    def load(self, items: Iterable[tuple[str, bytes]]) -> None:
        """Take over what was written; all of it will be told on again."""
        for key, value in items:
            kind, _, rest = key.partition("|")
            if kind == "c":
                self._cubes[rest] = _CUBE.decode(value)
                self._changed[rest] = None
            elif kind == "o":
                self._cases.put(rest, _CASE.decode(value))
            elif kind == "r":
                self._reversals.by_id[rest] = _REVERSAL.decode(value)
            elif kind == "s":
                self._seen[rest] = _SEEN.decode(value)
            elif kind == "p":
                self._positions[rest] = _POSITION.decode(value)
        for name in sorted(self._seen, key=lambda name: self._seen[name].at):
            self._order[name.partition("|")[0]].append(name)
        self._changed |= dict.fromkeys(f"{LINES}|{slice_key(OPEN, pod)}" for pod in self._cases.pods())

    def position(self, source: str) -> Position:
        """How far it is read."""
        return self._positions[source]

    def cubes(self) -> Iterator[tuple[str, Cube]]:
        """Source and slice, and what is counted there."""
        yield from self._cubes.items()

    @property
    def sizes(self) -> dict[str, int]:
        """Entries by kind: what memory goes by."""
        return {
            "counts": len(self._cubes),
            "cases": len(self._cases),
            "reversals": len(self._reversals),
            "seen": len(self._seen),
        }

    def reversals(self) -> Iterable[OpenReversal]:
        """Those that are open."""
        return self._reversals.by_id.values()

    def writes(self) -> list[tuple[str, bytes | None]]:
        """What to write since last time, in an order that must be kept; None deletes."""
        found: list[tuple[str, bytes | None]] = []
        kept = {"c": self._cubes, "o": self._cases.by_id, "r": self._reversals.by_id, "s": self._seen}
        # Counts first: what a case's end counts is told by the case, which must not be gone before it is counted.
        for key in sorted(self._dirty, key=lambda key: key[0]):
            kind, _, rest = key.partition("|")
            value = kept[kind].get(rest)
            found.append((key, None if value is None else _encode(value)))
        found += [(f"p|{source}", _encode(self._positions[source])) for source in sorted(self._moved)]
        found += [(f"s|{key}", None) for key in self._forgotten]
        self._dirty, self._forgotten, self._moved = {}, [], set()
        return found

    def partials(self) -> list[tuple[str, bytes | None]]:
        """Source and slice of what has changed since last time, and this partition's share of it."""
        found: list[tuple[str, bytes | None]] = []
        for key in self._changed:
            source, _, name = key.partition("|")
            position = self._positions[source]
            partial = Partial(position.offset, position.newest, position.oldest)
            if name.startswith(f"{OPEN}|"):
                rows = self._cases.load(parts_of(name)[1])
                partial.load = {band: row[:FIRST] for band, row in rows.items()}
                partial.more = {band: row[FIRST:] for band, row in rows.items()}
                found.append((key, _encode(partial)))
            else:
                partial.cube = self._cubes.get(key)
                found.append((key, None if partial.cube is None else _encode(partial)))
        self._changed = {}
        return found

    def expire(self, now: int) -> None:
        """Let go of counts that no window needs any more."""
        for key in [key for key, cube in self._cubes.items() if cube.over(now, self._grace_ms)]:
            del self._cubes[key]
            self._dirty[f"c|{key}"] = None
            self._changed[key] = None

    # --- events

    def take(
        self, source: str, offset: int, event: CaseEvent | EnforcementIssued | None, latest: int | None = None
    ) -> Fate | None:
        """Count an event, once.

        Args:
            source: which input it comes from.
            offset: its place there; what is read again is told by it.
            event: None if it can be of no interest.
            latest: how far ahead a time may be, ms; None: any.

        Returns:
            What became of it; None if it was read before.
        """
        position = self._positions[source]
        if offset <= position.offset:
            return None
        fate = Fate.UNAFFECTED if event is None else self._judge(source, offset, event, position, latest)
        self.moved(source, offset, fate)
        return fate

    def moved(self, source: str, offset: int, fate: Fate) -> None:
        """The input is read up to `offset`."""
        position = self._positions[source]
        position.offset = offset
        position.fates[fate.value] = position.fates.get(fate.value, 0) + 1
        self._moved.add(source)

    def _judge(
        self, source: str, offset: int, event: CaseEvent | EnforcementIssued, position: Position, latest: int | None
    ) -> Fate:
        line = isinstance(event, CaseEvent)
        facts = of_line(event) if line else of_enforcement(event)
        if line and event.kind is not CaseEventKind.REVERSAL_ORDERED:
            self._follow_reversal(event, may_open=False)
        if not facts and not (line and (event.pod is not None or event.kind is CaseEventKind.REVERSAL_ORDERED)):
            return Fate.UNAFFECTED
        name = _name(source, event.event_id)
        known = self._seen.get(name)
        if known is not None and known.offset != offset:
            return Fate.DUPLICATE
        at = event.occurred_at if line else event.issued_at
        late = at < position.newest - self._grace_ms
        future = latest is not None and at > latest
        if line:
            facts += of_end(event, self._cases.by_id.get(event.case_id or ""))
            self._follow(offset, event, late=late or future)
            if event.kind is CaseEventKind.REVERSAL_ORDERED:
                self._follow_reversal(event, may_open=not (late or future))
        if late or future:
            return Fate.LATE if late else Fate.FUTURE
        position.oldest = min(position.oldest or at, at)
        position.newest = max(position.newest, at)
        self._remember(source, name, Seen(offset, at))
        self._count(source, offset, facts)
        return Fate.COUNTED

    def _count(self, source: str, offset: int, facts: list[Fact]) -> None:
        fresh: set[str] = set()
        for fact in facts:
            key = f"{source}|{fact.key}"
            cube = self._cubes.get(key)
            if cube is None:
                cube = self._cubes[key] = Cube(rings=[])
            if key not in fresh and offset <= cube.offset:
                continue  # it was written before the crash, with this event in it
            fresh.add(key)
            cube.offset = offset
            cube.add(fact.at, fact.counts, self._grace_ms)
            self._dirty[f"c|{key}"] = None
            self._changed[key] = None

    def _remember(self, source: str, name: str, seen: Seen) -> None:
        """Bounded by the grace period: a copy that comes after it is late, and not counted for that."""
        order, oldest = self._order[source], self._positions[source].newest - self._grace_ms
        if name not in self._seen:
            order.append(name)
        self._seen[name] = seen
        self._dirty[f"s|{name}"] = None
        while order and self._seen[order[0]].at < oldest:
            old = order.popleft()
            del self._seen[old]
            self._dirty.pop(f"s|{old}", None)
            self._forgotten.append(old)

    def _follow(self, offset: int, line: CaseEvent, *, late: bool) -> None:
        """Keep the open case that the line is about as it says.

        A late line opens none: the engine's own come in order, so it is a copy, of a case that may have ended.
        """
        for pod in self._cases.follow(offset, line, may_open=not late):
            self._changed[f"{LINES}|{slice_key(OPEN, pod)}"] = None
            self._dirty[f"o|{line.case_id}"] = None

    def _follow_reversal(self, line: CaseEvent, *, may_open: bool) -> None:
        changed = self._reversals.follow(line, may_open=may_open)
        if changed is not None:
            self._dirty[f"r|{changed}"] = None


_CUBE = msgspec.msgpack.Decoder(Cube)
_CASE = msgspec.msgpack.Decoder(OpenCase)
_REVERSAL = msgspec.msgpack.Decoder(OpenReversal)
_SEEN = msgspec.msgpack.Decoder(Seen)
_POSITION = msgspec.msgpack.Decoder(Position)
PARTIAL = msgspec.msgpack.Decoder(Partial)
_encode = msgspec.msgpack.Encoder().encode


def _name(source: str, event_id: str) -> str:
    """Short, so that many can be remembered; 128 bits."""
    return f"{source}|{blake2b(event_id.encode(), digest_size=16).hexdigest()}"
