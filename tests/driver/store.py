"""The in-memory twin of `RedisStore`."""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.driver.faults import Faults, store_down
from topology.engine.ports import Apply, DuePage
from topology.engine.timers import ALWAYS


@dataclass
class _View:
    """One partition: its dossiers, its timers and its index, each with a checkpoint of its own, as in Redis."""

    checkpoint: int | None = None
    dossiers: dict[bytes, bytes] = field(default_factory=dict)
    timers_checkpoint: int | None = None
    timers: dict[bytes, int] = field(default_factory=dict)
    index_checkpoint: int | None = None
    index: set[bytes] = field(default_factory=set)

    def agreed(self) -> int | str | None:
        """The checkpoint of all three; a word that none is if they do not agree."""
        found = {self.checkpoint, self.timers_checkpoint, self.index_checkpoint}
        return found.pop() if len(found) == 1 else "torn"


class MemoryStore:
    """`topology.engine.ports.StateStore`; calls can be made to fail as `store.<call>`."""

    def __init__(self, faults: Faults | None = None) -> None:
        self.faults = faults or Faults()
        self.calls: list[str] = []
        """The calls answered, in order."""
        self._views: dict[int, _View] = {}
        self._is_down = False
        self._lock = threading.RLock()

    def read(self, wanted: Mapping[int, Sequence[bytes]]) -> dict[int, tuple[int | None, list[bytes | None]]]:
        with self._answering("read"):
            views = {p: self._views.get(p, _View()) for p in wanted}
            return {p: (view.checkpoint, [view.dossiers.get(key) for key in wanted[p]]) for p, view in views.items()}

    def apply(self, batch: Iterable[Apply]) -> dict[int, tuple[bool, int | None]]:
        with self._answering("apply"):
            return {wanted.partition: self._apply(wanted) for wanted in batch}

    def checkpoints(self, partitions: Sequence[int]) -> dict[int, int | None]:
        with self._answering("checkpoints"):
            return {p: _offset(self._views.get(p, _View()).agreed()) for p in partitions}

    def reset(self, partition: int) -> None:
        with self._answering("reset"):
            self._views.pop(partition, None)

    def timers(self, partition: int, after: int, limit: int) -> DuePage:
        with self._answering("timers"):
            view = self._views.get(partition, _View())
            found = sorted((due, key) for key, due in view.timers.items() if due > after)
            until = ALWAYS
            if len(found) >= limit:
                last = found[limit - 1][0]
                until = last - 1 if found[0][0] < last else last
                found = [pair for pair in found if pair[0] <= until]
            return DuePage(view.timers_checkpoint, found, until)

    def scan(self, partition: int, low: bytes, high: bytes, limit: int) -> tuple[int | None, list[bytes]]:
        with self._answering("scan"):
            view = self._views.get(partition, _View())
            return view.index_checkpoint, sorted(term for term in view.index if low < term < high)[:limit]

    # --- what only tests call ---------------------------------------------------------------------------------

    def flush(self) -> None:
        """FLUSHALL."""
        with self._lock:
            self._views.clear()

    def lose_dossiers(self, partition: int) -> None:
        """Only the dossiers are evicted."""
        view = self._views.get(partition, _View())
        view.checkpoint, view.dossiers = None, {}

    def lose_timers(self, partition: int) -> None:
        """Only the index of timers is evicted."""
        view = self._views.get(partition, _View())
        view.timers_checkpoint, view.timers = None, {}

    def lose_index(self, partition: int) -> None:
        """Only the index is evicted."""
        view = self._views.get(partition, _View())
        view.index_checkpoint, view.index = None, set()

    def snapshot(self) -> dict[int, _View]:
        """All of it, for `restore`."""
        with self._lock:
            return copy.deepcopy(self._views)

    def restore(self, snapshot: dict[int, _View]) -> None:
        """A fail-over to a replica that was behind."""
        with self._lock:
            self._views = copy.deepcopy(snapshot)

    def down(self) -> None:
        """Answer nothing from now on."""
        self._is_down = True

    def up(self) -> None:
        """Answer again."""
        self._is_down = False

    def dossiers(self, partition: int) -> dict[bytes, bytes]:
        """What is there, whoever asks."""
        return dict(self._views.get(partition, _View()).dossiers)

    def terms(self, partition: int) -> set[bytes]:
        """What is in the index, whoever asks."""
        return set(self._views.get(partition, _View()).index)

    # ---------------------------------------------------------------------------------------------------------

    @contextmanager
    def _answering(self, call: str) -> Iterator[None]:
        if self._is_down:
            raise store_down()
        with self.faults.around(f"store.{call}"), self._lock:
            self.calls.append(call)
            yield

    def _apply(self, wanted: Apply) -> tuple[bool, int | None]:
        view = self._views.get(wanted.partition, _View())
        found = view.agreed()
        if found != wanted.expected:
            return False, _offset(found)
        self._views[wanted.partition] = view
        for key, raw, due in wanted.writes:
            if raw is None:
                view.dossiers.pop(key, None)
            else:
                view.dossiers[key] = raw
            if due is None:
                view.timers.pop(key, None)
            else:
                view.timers[key] = due
        for term, present in wanted.terms:
            if present:
                view.index.add(term)
            else:
                view.index.discard(term)
        view.checkpoint = view.timers_checkpoint = view.index_checkpoint = wanted.new
        return True, wanted.new


def _offset(found: int | str | None) -> int | None:
    return found if isinstance(found, int) else None
