"""Where a worker stops to be struck: the engine's probe, in the worker's own process.

Right before its step the worker tells the campaign, and waits there until it is told to go on, or is killed. So the
fault happens between two numbered steps, not somewhere near. It waits only while it is struck: held for as long as
another strike takes, it would rightly think that its transaction hangs.
"""

from __future__ import annotations

import json
import os
import socket
import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Self

from topology.engine.transaction import Step

GO = b"."
LATER = b","
"""Go on, and come again with the next batch."""


@dataclass(frozen=True)
class Point:
    """Before this step of this batch of a process, or of the first batch after it that comes there."""

    name: int
    """What the campaign calls it."""
    step: Step
    batch: int


class Points:
    """A `Probe`. Steps 1 to 3 and 4 to 7 run in two threads: while one is held, the other may go on."""

    def __init__(self, points: Iterable[Point], line: socket.socket) -> None:
        self._left = list(points)
        self._line = line
        self._begun: Counter[Step] = Counter()
        self._lock = threading.Lock()

    @classmethod
    def of(cls, told: Iterable[Any], line: socket.socket) -> Self:
        """From what the campaign wrote: (name, step's name, batch)."""
        return cls([Point(name, Step[step], batch) for name, step, batch in told], line)

    def __call__(self, step: Step) -> None:
        """A step is about to begin."""
        self._begun[step] += 1
        if not self._left:
            return
        # A round that finds nothing takes too and is no batch: what is taken next will be folded as this one.
        batch = self._begun[Step.FOLD] + 1 if step is Step.TAKE else self._begun[step]
        for point in [point for point in self._left if point.step is step and point.batch <= batch]:
            with self._lock:
                self._left.remove(point)
                self._line.sendall(json.dumps({"point": point.name, "batch": batch}).encode() + b"\n")
                answer = self._line.recv(1)
                if not answer:
                    os._exit(1)  # the campaign has gone
                if answer == LATER:
                    self._left.append(replace(point, batch=batch + 1))
