"""How a contender is timed: wall and CPU seconds of its own process, from its first record to its last."""

from __future__ import annotations

import json
import resource
import sys
import time
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Result:
    """What one contender did."""

    name: str
    events: int
    seconds: float
    cpu_seconds: float
    peak_mb: float
    verified: str
    """What was counted afterwards, in words."""

    @property
    def rate(self) -> float:
        """Events a second."""
        return self.events / self.seconds

    @property
    def cpu_per_million(self) -> float:
        """CPU seconds of the contender's process a million events; broker and Redis are not in it."""
        return self.cpu_seconds / self.events * 1e6


class Stopwatch:
    """Starts with the first record, so that joining a group and starting up are not in the figure."""

    def __init__(self) -> None:
        self._wall = 0.0
        self._cpu = 0.0

    @property
    def running(self) -> bool:
        """Has the first record come?"""
        return self._wall > 0

    def start(self) -> None:
        """The first record came; a second call changes nothing."""
        if not self.running:
            self._wall, self._cpu = time.monotonic(), time.process_time()

    def stop(self, name: str, events: int, verified: str = "") -> Result:
        """The last record is committed."""
        return Result(
            name=name,
            events=events,
            seconds=time.monotonic() - self._wall,
            cpu_seconds=time.process_time() - self._cpu,
            peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            verified=verified,
        )


def report(result: Result) -> None:
    """Tell the parent process: one JSON line."""
    print(json.dumps(asdict(result)))
    sys.stdout.flush()
