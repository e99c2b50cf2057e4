"""Counts by time: cells of three sizes, from which the hopping windows are added up.

A cell is a step of a window's hop; a window is the newest cells, the running one included. What an event adds falls
into one cell of each size, whatever order events come in, so counts can be compared with a count of the whole topic.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from msgspec import Struct

HOUR_MS = 3_600_000


class Window(NamedTuple):
    """A hopping window: its length, and the step that it hops by."""

    seconds: int
    step_ms: int

    @property
    def steps(self) -> int:
        """Cells in it."""
        return self.seconds * 1_000 // self.step_ms

    def last(self, now: int) -> int:
        """The cell that `now` lies in."""
        return now // self.step_ms

    def first(self, now: int) -> int:
        """The oldest cell of the window that ends with the cell of `now`."""
        return self.last(now) - self.steps + 1

    def end(self, now: int) -> int:
        """Where the window ends that `now` lies in, ms."""
        return (self.last(now) + 1) * self.step_ms


WINDOWS = (Window(3_600, 300_000), Window(86_400, HOUR_MS), Window(28 * 86_400, 24 * HOUR_MS))
"""1 h by 5 min, 24 h by 1 h, 28 d by 1 d."""
LONGEST_MS = WINDOWS[-1].seconds * 1_000

Counts = dict[int, int]
"""By measure (`facts.Measure`, or a bin of times)."""


class Cube(Struct, array_like=True):
    """The counts of one slice in one partition."""

    offset: int = -1
    """Of the newest record that is counted in it: what is read again is not counted again."""
    newest: int = 0
    """The newest time counted, ms."""
    oldest: int = 0
    """The oldest, in a cell that may be gone by now."""
    rings: list[dict[int, Counts]] = []
    """By window, by cell."""

    def add(self, at: int, counts: Iterable[tuple[int, int]], grace_ms: int) -> None:
        """Count what happened at `at`; cells that no window within the grace period can need are dropped."""
        if not self.rings:
            self.rings = [{} for _ in WINDOWS]
        moved = at > self.newest
        self.newest = max(self.newest, at)
        self.oldest = min(self.oldest or at, at)
        for window, ring in zip(WINDOWS, self.rings, strict=True):
            oldest = window.first(self.newest - grace_ms)
            number = window.last(at)
            if number < oldest:
                continue
            cell = ring.setdefault(number, {})
            for measure, by in counts:
                cell[measure] = cell.get(measure, 0) + by
            if moved and len(ring) > window.steps:
                for old in [n for n in ring if n < oldest]:
                    del ring[old]

    def over(self, now: int, grace_ms: int) -> bool:
        """No window can need anything of it any more."""
        return WINDOWS[-1].last(self.newest) < WINDOWS[-1].first(now - grace_ms)


def total(cubes: Iterable[Cube], index: int, now: int) -> Counts:
    """What the cubes count in the window `index` that `now` lies in, together."""
    window = WINDOWS[index]
    first, last = window.first(now), window.last(now)
    found: Counts = {}
    for cube in cubes:
        for number, cell in (cube.rings[index] if cube.rings else {}).items():
            if first <= number <= last:
                add_up(found, cell)
    return found


def by_cell(cubes: Iterable[Cube], index: int, now: int) -> dict[int, Counts]:
    """The same by cell."""
    window = WINDOWS[index]
    first, last = window.first(now), window.last(now)
    found: dict[int, Counts] = {}
    for cube in cubes:
        for number, cell in (cube.rings[index] if cube.rings else {}).items():
            if first <= number <= last:
                add_up(found.setdefault(number, {}), cell)
    return found


def add_up(into: Counts, more: Mapping[int, int]) -> None:
    """Add `more` to `into`."""
    for measure, by in more.items():
        into[measure] = into.get(measure, 0) + by
