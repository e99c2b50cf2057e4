"""Which keys are due when: the nearest of a partition's timers in memory, all of them in the store.

A partition can have a million of them, most due in weeks. To hold all would cost memory for nothing, and to read all
would make every restart wait; so memory holds those that are due up to some moment, and more are read as time comes
near it.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping

ALWAYS = 2**63 - 1
"""Later than every timer: all are known."""
BEFORE_ALL = -1
"""UTC ms; no timer is due then."""
_SLACK = 1_000
"""So many overtaken pairs in the heap are never worth a clean-up."""


class Timers:
    """All (due, key) pairs due at or before `known_until`, one for each key.

    A key whose timer raised is silent until its state changes again.
    """

    __slots__ = ("_due", "_heap", "_kept", "_popped_until", "known_until")

    def __init__(self, pairs: Iterable[tuple[int, bytes]] = (), known_until: int = ALWAYS) -> None:
        self.known_until = known_until
        """UTC ms."""
        self._due: dict[bytes, int] = {key: due for due, key in pairs}
        self._heap: list[tuple[int, bytes]] = []
        self._popped_until = BEFORE_ALL
        """The latest that was taken out: nothing up to it is ever read from the store again."""
        self._kept = 0
        """How many were left by the newest `shrink`."""
        self._heapify()

    def set(self, key: bytes, due: int | None) -> None:
        """The key's next timer is at `due` (UTC ms), or it has none. One past `known_until` is the store's to keep."""
        if due is None or due > self.known_until:
            self._due.pop(key, None)
        elif self._due.get(key) != due:
            self._due[key] = due
            heapq.heappush(self._heap, (due, key))
            if len(self._heap) > 2 * len(self._due) + _SLACK:
                # A timer that is moved again and again leaves a pair behind each time, until that moment comes.
                self._heapify()

    def learn(self, pairs: Iterable[tuple[int, bytes]], known_until: int, ahead: Mapping[bytes, int | None]) -> None:
        """Take in what the store has from `known_until` so far up to a later one.

        `ahead` says what the store may not have been told yet, by key: it overrules the pairs.
        """
        before, self.known_until = self.known_until, known_until
        for due, key in pairs:
            if key not in ahead:
                self.set(key, due)
        for key, due in ahead.items():
            # What is due earlier is here, or was taken out and must not come back.
            if due is not None and due > before:
                self.set(key, due)

    def shrink(self, count: int) -> None:
        """Once there are twice `count` or more, leave the later ones to the store.

        Only between two batches: what is left to the store must be there, or be among what `learn` is told is ahead.
        """
        if len(self._due) < 2 * max(count, self._kept):
            return
        until = max(heapq.nsmallest(count, self._due.values())[-1], self._popped_until)
        self._due = {key: due for key, due in self._due.items() if due <= until}
        self.known_until = min(until, self.known_until)
        self._kept = len(self._due)
        self._heapify()

    def peek(self) -> tuple[int, bytes] | None:
        """The earliest pair."""
        heap = self._heap
        while heap and self._due.get(heap[0][1]) != heap[0][0]:
            heapq.heappop(heap)
        return heap[0] if heap else None

    def pop(self) -> tuple[int, bytes] | None:
        """Take the earliest pair out."""
        first = self.peek()
        if first is not None:
            heapq.heappop(self._heap)
            del self._due[first[1]]
            self._popped_until = max(self._popped_until, first[0])
        return first

    def until(self, horizon: int, limit: int) -> list[tuple[int, bytes]]:
        """The pairs due at or before `horizon`, earliest first, `limit` at most; they stay in the heap."""
        first = self.peek()
        if first is None or first[0] > horizon:
            return []
        found: list[tuple[int, bytes]] = []
        while len(found) < limit:
            pair = self.peek()
            if pair is None or pair[0] > horizon:
                break
            heapq.heappop(self._heap)
            if not found or found[-1] != pair:
                found.append(pair)
        for pair in found:
            heapq.heappush(self._heap, pair)
        return found

    def _heapify(self) -> None:
        self._heap = [(due, key) for key, due in self._due.items()]
        heapq.heapify(self._heap)

    def __len__(self) -> int:
        return len(self._due)
