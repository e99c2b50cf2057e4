"""Contenders are watched from outside, all in the same way: what a `read_committed` reader could see, and CPU by then.

The clock starts when the first cases become visible and stops when the last ones do; the first ones are taken off the
count. So starting, joining a group and stopping are in nobody's figure, and nobody says himself how fast he was.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from confluent_kafka import IsolationLevel, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from bench.peers.registry import clients

EVERY_S = 0.02
SETTLED_S = 2.0
"""Nothing more became visible for so long: then it is looked whether all is there."""
STALLED_S = 60.0


class StalledError(Exception):
    """A contender does not go on, or has ended before its work was done."""


@dataclass(frozen=True)
class Sample:
    """What was seen at one moment."""

    at: float
    """Monotonic seconds."""
    visible: int
    """Offsets that a `read_committed` reader can reach; a transaction's markers take some."""
    cpu: tuple[float, ...]
    """Seconds, user and system, by process tree: the contender first."""
    machine: float
    """Seconds that all processors together have worked, for whomever."""


@dataclass(frozen=True)
class Figures:
    """What a contender took for its work."""

    events: int
    """All it did."""
    rate: float
    """Events a second."""
    warm_rate: float
    """The same over the second half of the events."""
    cpu_per_million: tuple[float, ...]
    """Seconds a million events, by process tree."""
    warm_cpu: float
    """The contender's own over the second half."""
    peak_mb: float
    others: float
    """How many processors were busy with what is in none of the trees: a figure beside a neighbour's work says less."""


class Visible:
    """How far a `read_committed` reader of a topic gets."""

    def __init__(self, kafka: str, topic: str, partitions: int) -> None:
        self._admin = AdminClient(clients(kafka))
        self._ends = {TopicPartition(topic, number): OffsetSpec.latest() for number in range(partitions)}

    def __call__(self) -> int:
        """The sum of the partitions' last stable offsets."""
        futures = self._admin.list_offsets(self._ends, isolation_level=IsolationLevel.READ_COMMITTED)
        return sum(future.result(30).offset for future in futures.values())


class Tree:
    """A process and its children, with those that have ended not forgotten."""

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)
        self._known: dict[int, psutil.Process] = {}
        self._cpu: dict[int, float] = {}
        self._peak: dict[int, int] = {}
        self._looked = 0.0

    def cpu(self) -> float:
        """User and system seconds so far."""
        if time.monotonic() - self._looked > 1:
            self._look()
        for pid, process in self._known.items():
            try:
                times = process.cpu_times()
            except psutil.NoSuchProcess:
                continue  # what it had used when it was last seen stays
            self._cpu[pid] = times.user + times.system
        return sum(self._cpu.values())

    def peak_mb(self) -> float:
        """The sum of the processes' largest resident sizes."""
        self._look()
        return sum(self._peak.values()) / 1024

    def _look(self) -> None:
        """Walks the process table, which takes milliseconds."""
        self._looked = time.monotonic()
        try:
            found = [self._root, *self._root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return
        self._known = {process.pid: process for process in found}
        for pid in self._known:
            self._peak[pid] = max(self._peak.get(pid, 0), _high_water_kb(pid))


def _high_water_kb(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), 0)


def machine_cpu() -> float:
    """Seconds that the processors were not idle."""
    times = psutil.cpu_times()
    return sum(times[:8]) - times.idle - times.iowait  # up to steal; guests are in user already


def watch(
    events: int,
    visible: Callable[[], int],
    trees: Sequence[Tree],
    alive: Callable[[], bool],
    *,
    machine: Callable[[], float] = machine_cpu,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Any] = time.sleep,
) -> list[Sample]:
    """Samples, until all is visible and nothing more comes: from the one before the first cases to the one of the last.

    Raises:
        StalledError: nothing came for a minute, or the process ended, with fewer visible than there are events.
    """
    samples = [Sample(clock(), visible(), tuple(tree.cpu() for tree in trees), machine())]
    while True:
        sleep(EVERY_S)
        running = alive()
        # CPU first: an offset that was seen has been worked for.
        cpu = tuple(tree.cpu() for tree in trees)
        sample = Sample(clock(), visible(), cpu, machine())
        last = samples[-1]
        if sample.visible > last.visible:
            samples.append(sample)
            continue
        waited = sample.at - last.at
        if last.visible >= events and waited > SETTLED_S:
            return samples
        if waited > STALLED_S or (not running and waited > SETTLED_S):
            raise StalledError(f"{last.visible} of {events} after {waited:.0f} s without more")


def figures(events: int, samples: Sequence[Sample], peak_mb: float) -> Figures:
    """What the samples of `watch` say.

    Offsets stand for events in proportion: markers are spread evenly over them.
    """
    first, last = samples[1], samples[-1]
    if first is last:
        raise StalledError("all cases became visible at once: give it more events")
    per_offset = events / last.visible
    middle = next((sample for sample in samples[1:-1] if sample.visible >= last.visible / 2), first)

    def between(start: Sample) -> tuple[float, float, tuple[float, ...]]:
        count = (last.visible - start.visible) * per_offset
        used = tuple((b - a) / count * 1e6 for a, b in zip(start.cpu, last.cpu, strict=True))
        return count, last.at - start.at, used

    count, seconds, cpu = between(first)
    warm_count, warm_seconds, warm_cpu = between(middle)
    used = sum(b - a for a, b in zip(first.cpu, last.cpu, strict=True))
    return Figures(
        events=events,
        rate=count / seconds,
        warm_rate=warm_count / warm_seconds,
        cpu_per_million=cpu,
        warm_cpu=warm_cpu[0],
        peak_mb=peak_mb,
        others=(last.machine - first.machine - used) / seconds,
    )
