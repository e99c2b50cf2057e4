"""The in-memory twin of `RedisStore`."""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.driver.faults import Faults, store_down
from topology.engine.ports import Write


@dataclass
class _View:
    """One partition: its dossiers, and its timers with a checkpoint of their own, as in Redis."""

    checkpoint: int | None = None
    dossiers: dict[bytes, bytes] = field(default_factory=dict)
    timers_checkpoint: int | None = None
    timers: dict[bytes, int] = field(default_factory=dict)


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

    def apply(
        self, batch: Iterable[tuple[int, int | None, int, Sequence[Write]]]
    ) -> dict[int, tuple[bool, int | None]]:
        with self._answering("apply"):
            return {p: self._apply(p, expected, new, writes) for p, expected, new, writes in batch}

    def checkpoints(self, partitions: Sequence[int]) -> dict[int, int | None]:
        return {p: found for p, (found, _) in self.read(dict.fromkeys(partitions, ())).items()}

    def reset(self, partition: int) -> None:
        with self._answering("reset"):
            self._views.pop(partition, None)

    def timers(self, partition: int) -> tuple[int | None, list[tuple[int, bytes]]]:
        with self._answering("timers"):
            view = self._views.get(partition, _View())
            return view.timers_checkpoint, sorted((due, key) for key, due in view.timers.items())

    # --- what only tests call ---------------------------------------------------------------------------------

    def flush(self) -> None:
        """FLUSHALL."""
        with self._lock:
            self._views.clear()

    def lose_timers(self, partition: int) -> None:
        """Only the index of timers is evicted."""
        view = self._views[partition]
        view.timers_checkpoint, view.timers = None, {}

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

    # ---------------------------------------------------------------------------------------------------------

    @contextmanager
    def _answering(self, call: str) -> Iterator[None]:
        if self._is_down:
            raise store_down()
        with self.faults.around(f"store.{call}"), self._lock:
            self.calls.append(call)
            yield

    def _apply(
        self, partition: int, expected: int | None, new: int, writes: Sequence[Write]
    ) -> tuple[bool, int | None]:
        view = self._views.get(partition, _View())
        if view.checkpoint != expected:
            return False, view.checkpoint
        self._views[partition] = view
        for key, raw, due in writes:
            if raw is None:
                view.dossiers.pop(key, None)
            else:
                view.dossiers[key] = raw
            if due is None:
                view.timers.pop(key, None)
            else:
                view.timers[key] = due
        view.checkpoint = view.timers_checkpoint = new
        return True, new
