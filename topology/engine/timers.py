"""Which keys are due when: a heap a partition, the store's index being its copy that survives."""

from __future__ import annotations

import heapq
from collections.abc import Iterable


class Timers:
    """(due, key) pairs, one for each key. A key whose timer raised is silent until its state changes again."""

    __slots__ = ("_due", "_heap")

    def __init__(self, pairs: Iterable[tuple[int, bytes]] = ()) -> None:
        self._due: dict[bytes, int] = {key: due for due, key in pairs}
        self._heap: list[tuple[int, bytes]] = [(due, key) for key, due in self._due.items()]
        heapq.heapify(self._heap)

    def set(self, key: bytes, due: int | None) -> None:
        """The key's next timer is at `due` (UTC ms), or it has none."""
        if due is None:
            self._due.pop(key, None)
        elif self._due.get(key) != due:
            self._due[key] = due
            heapq.heappush(self._heap, (due, key))

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

    def __len__(self) -> int:
        return len(self._due)
