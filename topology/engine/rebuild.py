"""The store's side of a restore: states of the changelog, chunk by chunk, with what the index gains and loses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from topology.engine.errors import StoreDown
from topology.engine.ports import Apply, Indexing, Metrics, StateStore, Write
from topology.engine.state import DUE_BYTES, RESERVED, due_of

_STATES_A_CALL = 4_000
"""Between two calls the store answers others."""
_BITS_A_KEY = 16
_MOST_BITS = 1 << 28


class Seen:
    """Which keys have been written: never wrong about one that has, and about few that have not.

    A set of the keys would take a hundred bytes for each; this takes two, and 32 MB at most (a Bloom filter with one
    hash).
    """

    def __init__(self, expected: int) -> None:
        """`expected` is about how many keys there will be."""
        bits = 1 << max(10, min(_MOST_BITS, expected * _BITS_A_KEY).bit_length())
        self._mask = min(_MOST_BITS, bits) - 1
        self._bits = bytearray((self._mask >> 3) + 1)

    def add(self, key: bytes) -> bool:
        """Note a key; returns whether it may have been written before."""
        place = hash(key) & self._mask
        byte, bit = place >> 3, 1 << (place & 7)
        known = self._bits[byte] & bit
        self._bits[byte] |= bit
        return bool(known)


class Rebuild:
    """Brings one partition of the store up to the changelog. Used by one thread at a time."""

    def __init__(
        self,
        store: StateStore,
        partition: int,
        checkpoint: int | None,
        indexed: Callable[[bytes], Iterable[bytes]] | None,
        seen: Seen | None,
        metrics: Metrics,
    ) -> None:
        """`seen`, if the store holds nothing yet, is empty; without it, any key can be there."""
        self.checkpoint = checkpoint
        """What the store holds."""
        self.given_up = False
        """A chunk is missing, or nobody waits for it any more: what comes after must not be written."""
        self._store = store
        self._metrics = metrics
        self._partition = partition
        self._indexed = indexed
        self._seen = seen

    def write(self, newest: Mapping[bytes, bytes | None], position: int) -> int:
        """Put a chunk into the store, which then holds the changelog up to `position`; returns how many states.

        Compare-and-set, a few thousand at a time; only the last call moves the checkpoint past the chunk.

        Raises:
            StoreDown: the store does not answer, or somebody else moved it meanwhile (a zombie's last apply), or
                a chunk before could not be written.
        """
        writes: list[Write] = [(key, raw, None if raw is None else due_of(raw)) for key, raw in newest.items()]
        for start in range(0, max(1, len(writes)), _STATES_A_CALL):
            if self.given_up:
                raise StoreDown(f"partition {self._partition}: this restore has been given up")
            old = self.checkpoint
            # Part of a chunk: the old checkpoint still tells the truth, as replaying it again is harmless.
            new = position if start + _STATES_A_CALL >= len(writes) else max(old or 0, 0)
            some = writes[start : start + _STATES_A_CALL]
            applied, found = self._store.apply([Apply(self._partition, old, new, some, self._terms(some))])[
                self._partition
            ]
            if not applied:
                self._metrics.count("redis_refused_total")
                raise StoreDown(f"partition {self._partition}: checkpoint is {found}, expected {old}")
            self.checkpoint = new
        return len(writes)

    def _terms(self, writes: list[Write]) -> list[Indexing]:
        """What the index gains and loses with these states.

        The terms of each state written come in. Those of the state before, as the store has it, go out: a batch
        whose apply was lost took them out too, and older versions of a state can lie in chunks before this one.
        """
        indexed = self._indexed
        if indexed is None:
            return []
        users = [write for write in writes if not write[0].startswith(RESERVED)]
        seen = self._seen
        rewritten = [key for key, _, _ in users] if seen is None else [key for key, _, _ in users if seen.add(key)]
        changes: dict[bytes, bool] = {}
        if rewritten:
            for old in self._store.read({self._partition: rewritten})[self._partition][1]:
                if old is not None:
                    changes.update(dict.fromkeys(indexed(old[DUE_BYTES:]), False))
        added: list[bytes] = []
        for _, raw, _ in users:
            if raw is not None:
                added.extend(indexed(raw[DUE_BYTES:]))
        # In their order, neighbours are put in beside each other: half the store's work.
        added.sort()
        changes.update(dict.fromkeys(added, True))
        return list(changes.items())


Chunk = list[tuple[Rebuild, dict[bytes, bytes | None], int]]
"""By partition: the newest states of some of the changelog, and where it ends."""


def write(chunk: Chunk) -> int:
    """Write a chunk; returns how many states. After an error, no later chunk of its partitions is written.

    Raises:
        StoreDown: see `Rebuild.write`.
    """
    try:
        return sum(rebuild.write(newest, position) for rebuild, newest, position in chunk)
    except BaseException:
        # A compare-and-set would not notice: the checkpoint is still that of the chunk before.
        for rebuild, _, _ in chunk:
            rebuild.given_up = True
        raise
