"""States in memory: entries of the running batch, those in flight, and a bounded cache."""

from __future__ import annotations

import struct
from typing import Any

from topology.engine.carried import Carried

NO_DUE = -1
_DUE = struct.Struct(">q")
DUE_BYTES = _DUE.size
RESERVED = b"\0"
"""What no user's key starts with, in changelog and store. A record with such a key is a dead letter."""
CHECKPOINT = RESERVED + b"checkpoint"
"""Under this name the store keeps what it holds, inside the keys that it describes."""


def wrap(due: int | None, payload: bytes) -> bytes:
    """State as changelog and store hold it: 8 bytes of next timer (UTC ms, -1: none), then the dossier.

    The timer stands outside so that a restore can index timers without decoding dossiers.
    """
    return _DUE.pack(NO_DUE if due is None else due) + payload


def due_of(wrapped: bytes) -> int | None:
    """UTC ms of the next timer of a wrapped state."""
    (due,) = _DUE.unpack_from(wrapped)
    return None if due == NO_DUE else due


class Entry:
    """One key's state: the bytes it had at the start of the batch, and the object that the fold changes."""

    __slots__ = ("due", "key", "log", "name", "raw", "state")

    def __init__(self, key: bytes, raw: bytes | None) -> None:
        self.key = key
        self.name = key.decode()
        self.raw = raw
        self.state: Any = None
        self.due: int | None = None if raw is None else due_of(raw)
        self.log: list[tuple[Any, int, tuple[bool, ...], Carried | None]] = []
        """What this batch has folded into the state so far, for `Fold._undo`: (event, now, answers of `spend`, what
        its record's headers say).

        In place of an event, `Base` says what all before it have made of the state.
        """

    @property
    def exists(self) -> bool:
        """Has anything ever been folded into it?"""
        return self.raw is not None or bool(self.log)


class Base:
    """A state as encoded after an event that cannot be folded again, as what it saw of others may have changed."""

    __slots__ = ("payload",)

    def __init__(self, payload: bytes) -> None:
        self.payload = payload


class Cache:
    """Entries by key, the newest used: two generations, the older dropped when the younger is full.

    A plain LRU would move a link for each look-up; this moves an entry once a generation.
    """

    __slots__ = ("_limit", "_old", "_room", "_size", "_young")

    def __init__(self, limit: int, size: int) -> None:
        """About `limit` entries at most, whose states as the store has them are about `size` bytes at most."""
        self._limit = max(1, limit // 2)
        self._size = size // 2
        self._room = self._size
        """Bytes that the younger generation may still take."""
        self._young: dict[bytes, Entry] = {}
        self._old: dict[bytes, Entry] = {}

    def get(self, key: bytes) -> Entry | None:
        """The entry, or None when it must be read."""
        entry = self._young.get(key)
        if entry is None:
            entry = self._old.pop(key, None)
            if entry is not None:
                self.put(entry)
        return entry

    def put(self, entry: Entry) -> None:
        """Keep the entry. One that is there is not weighed again: what it grows by counts in its next generation."""
        young, key = self._young, entry.key
        if key not in young:
            if len(young) >= self._limit or self._room <= 0:
                self._old = young
                self._young = young = {}
                self._room = self._size
            if entry.raw is not None:
                self._room -= len(entry.raw)
        young[key] = entry

    def clear(self) -> None:
        """Forget all: what was cached may not be what was committed."""
        self._young = {}
        self._old = {}
        self._room = self._size

    def __len__(self) -> int:
        return len(self._young) + len(self._old)
