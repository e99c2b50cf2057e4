"""What a seed means: the workers, their workload and the strikes. The same seed always gives the same plan."""

from __future__ import annotations

import random
from dataclasses import dataclass

from tests.faults.kinds import CELLS, Fault
from topology.engine.definition import ClockKind
from topology.engine.transaction import Step

SLOTS = 4
"""Workers at most, those that are added among them."""
_STRIDE = 53
"""Has no factor in common with the number of cells, so as many seeds in a row as there are cells reach each once."""
_BATCHES_MORE = 5
_ROWS_LEAST, _ROWS_MOST = 250, 900
_SECOND = 0.4
"""How often another strike follows."""


@dataclass(frozen=True)
class Strike:
    """One fault, right before a step of one worker's batch."""

    fault: Fault
    step: Step
    slot: int
    batch: int
    """Counts the batches of one process: the strike comes with this one, or the first that comes so far after it."""
    length: float
    """0 to 1: how long it lasts, from hardly to as long as such a fault may."""
    hard: bool
    """The harder of its two ways, where it has two."""

    def __str__(self) -> str:
        where = f"step {self.step.value} ({self.step.name}) of batch {self.batch}+, slot {self.slot}"
        return f"{self.fault.name} before {where}"


@dataclass(frozen=True)
class Plan:
    """One run."""

    seed: int
    workers: int
    clock: ClockKind
    static: bool
    """Static membership of the group."""
    rows: int
    flow_s: float
    """Over how many seconds most rows are sent; 0: all before the workers start. If a second strike follows, half of
    them wait until the first is over."""
    batch_records: int
    cached_states: int
    strikes: tuple[Strike, ...]

    def __str__(self) -> str:
        about = f"seed {self.seed}: {self.workers} workers, {self.clock.value} clock, {self.rows} rows"
        return f"{about}; {'; then '.join(map(str, self.strikes))}"


def plan_of(seed: int) -> Plan:
    """The plan of a seed: its cell of the table, and more by chance."""
    dice = random.Random(f"faults {seed}")
    cells = [CELLS[seed * _STRIDE % len(CELLS)]]
    if dice.random() < _SECOND:
        cells.append(dice.choice(CELLS))
    removed, added = (sum(fault is kind for fault, _ in cells) for kind in (Fault.WORKER_REMOVED, Fault.WORKER_ADDED))
    workers = dice.randint(1 + removed, SLOTS - added)
    struck = workers - removed  # the last ones are who is removed: they must not be those that are watched
    # Byte for byte the same as in a calm world is only what lay there before anybody read: nothing for a second strike.
    stream = len(cells) == 1 and dice.random() < 0.7
    batch_records = dice.choice([8, 16, 32])
    strikes = tuple(
        Strike(
            fault=fault,
            step=step,
            slot=dice.randrange(struck),
            batch=dice.randint(2, 4) + 3 * n + 2 * (fault is Fault.REDIS_OLDER),
            length=dice.random(),
            hard=dice.random() < 0.5,
        )
        for n, (fault, step) in enumerate(cells)
    )
    return Plan(
        seed=seed,
        workers=workers,
        clock=ClockKind.STREAM if stream else ClockKind.WALL,
        static=dice.random() < 0.5,
        rows=_rows(workers * batch_records * (max(what.batch for what in strikes) + _BATCHES_MORE)),
        flow_s=0.0 if stream else dice.choice([1.5, 2.5]),
        batch_records=batch_records,
        cached_states=dice.choice([4, 50, 100_000]),
        strikes=strikes,
    )


def _rows(enough: int) -> int:
    """Enough for some batches after the last strike, within what a run may cost."""
    return max(_ROWS_LEAST, min(_ROWS_MOST, enough))
