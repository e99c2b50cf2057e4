"""What the simulated actors share: a thread that reads its topics and acts when the time has come."""

from __future__ import annotations

import heapq
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable

from topology.demo.reading import Arrived, Reader

_WAIT_S = 0.05


class Actor(threading.Thread, ABC):
    """Reads, reacts, and does later what it has planned. All of it in one thread, so nothing is locked."""

    def __init__(self, reader: Reader, *, name: str) -> None:
        super().__init__(name=name, daemon=True)
        self._reader = reader
        self._end_asked = threading.Event()
        self._plans: list[tuple[float, int, Callable[[], None]]] = []
        self._planned = 0
        self.failure: Exception | None = None
        """Why the thread ended by itself; told by the main thread."""
        self.caught_up = False
        """Has it read all that there is, and has it nothing planned?"""

    @abstractmethod
    def receive(self, arrived: Arrived) -> None:
        """React to one committed record."""

    def tick(self) -> None:
        """Called after each round of reading."""

    def later(self, after_s: float, act: Callable[[], None]) -> None:
        """Plan something."""
        self._planned += 1
        heapq.heappush(self._plans, (time.monotonic() + after_s, self._planned, act))

    def end(self) -> None:
        """Ask the thread to end, and wait for it."""
        self._end_asked.set()
        self.join()

    def run(self) -> None:
        """Until `end` is called."""
        try:
            while not self._end_asked.is_set():
                self._round()
        except Exception as exc:  # noqa: BLE001
            self.failure = exc
        finally:
            self._reader.close()

    def _round(self) -> None:
        until_next_s = self._plans[0][0] - time.monotonic() if self._plans else _WAIT_S
        arrivals = self._reader.take(min(_WAIT_S, max(0.001, until_next_s)))
        for arrived in arrivals:
            self.receive(arrived)
        now = time.monotonic()
        while self._plans and self._plans[0][0] <= now:
            heapq.heappop(self._plans)[2]()
        self.tick()
        self.caught_up = self._reader.at_end and not arrivals and not self._plans
