"""`make misfire`: how often the test for misfires accuses a sound version, and how soon it finds a bad one.

Versions live 28 days in simulation: enforcements are appealed against and decided some time later, and the test looks
after each decision that could raise its statistic. It runs the code that `recourse insights` runs. No clock of the
machine is involved, so the figures are the same everywhere: `--seed` gives them again.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from statistics import median, quantiles
from typing import Protocol

from processors.insights.beta import quantile
from processors.insights.cells import HOUR_MS, Cube
from processors.insights.facts import Measure
from processors.insights.watch import Struck, Watch
from schemas.vocabulary import MisfireKind

DAY_MS = 24 * HOUR_MS
T0 = 20_000 * DAY_MS
LAG_DAYS = 1.0
"""Mean time from enforcement to decision; exponential."""
LIFE_DAYS = 28.0


class Scenario(Protocol):
    """What the true overturn rate of an enforcement is."""

    @property
    def turns_at(self) -> float:
        """Day from which decided appeals are counted."""
        ...

    @property
    def predecessor(self) -> tuple[int, float] | None:
        """Decided appeals of the version before, and its rate."""
        ...

    @property
    def per_day(self) -> float:
        """Decided appeals a day."""
        ...

    def rate(self, day: float) -> float:
        """Of an enforcement issued on this day."""
        ...


@dataclass(frozen=True)
class Steady:
    """Sound: the rate never changes, and is the predecessor's."""

    usual: float
    known: int = 0
    """Decided appeals of the predecessor; 0: there is none."""
    per_day: float = 40.0
    turns_at: float = 0.0

    @property
    def predecessor(self) -> tuple[int, float] | None:
        """See `Scenario`."""
        return (self.known, self.usual) if self.known else None

    def rate(self, day: float) -> float:
        """See `Scenario`."""
        del day
        return self.usual


@dataclass(frozen=True)
class Turned:
    """Goes wrong half-way through its life."""

    usual: float
    wrong: float
    per_day: float = 40.0
    turns_at: float = LIFE_DAYS / 2
    predecessor: tuple[int, float] | None = None

    def rate(self, day: float) -> float:
        """See `Scenario`."""
        return self.wrong if day >= self.turns_at else self.usual


@dataclass(frozen=True)
class Released:
    """Wrong from its first day; the version before was sound."""

    usual: float
    wrong: float
    known: int = 300
    per_day: float = 40.0
    turns_at: float = 0.0

    @property
    def predecessor(self) -> tuple[int, float] | None:
        """See `Scenario`."""
        return self.known, self.usual

    def rate(self, day: float) -> float:
        """See `Scenario`."""
        del day
        return self.wrong


def alarm_after(scenario: Scenario, chance: random.Random) -> int | None:
    """Appeals decided, of enforcements issued since it turned, when the alert came; None: it never did.

    An alert before it turned counts as none: it is a false alarm, and counted by `Steady`.
    """
    struck: Struck = {"1": {"p": [Cube(rings=[])]}}
    if scenario.predecessor is not None:
        n, rate = scenario.predecessor
        before = Cube(rings=[])
        hits = sum(chance.random() < rate for _ in range(n))
        before.add(T0 - DAY_MS, ((Measure.DECIDED, n), (Measure.OVERTURNED, hits)), HOUR_MS)
        struck = {"0": {"p": [before]}, **struck}
    watch, cube, since = Watch(), struck["1"]["p"][0], 0
    for decided_at, issued_at in decisions(scenario, chance):
        hit = chance.random() < scenario.rate(issued_at)
        at = T0 + round(issued_at * DAY_MS)
        cube.add(at, ((Measure.DECIDED, 1), (Measure.OVERTURNED, int(hit))), HOUR_MS)
        since += issued_at >= scenario.turns_at
        if not hit:
            continue  # it cannot have risen
        alerts, _ = watch.look("d", struck, T0 + round(decided_at * DAY_MS))
        if any(alert.detector.version == "1" and alert.kind is MisfireKind.OVERTURN_RATE for _, alert in alerts):
            if since:
                return since
            watch.known.clear()
    return None


def decisions(scenario: Scenario, chance: random.Random) -> list[tuple[float, float]]:
    """When decided and when issued, in days, in the order of decisions."""
    found: list[tuple[float, float]] = []
    day = 0.0
    while (day := day + chance.expovariate(scenario.per_day)) < LIFE_DAYS:
        found.append((day + chance.expovariate(1 / LAG_DAYS), day))
    return sorted(pair for pair in found if pair[0] < LIFE_DAYS)


SOUND: tuple[tuple[str, Scenario], ...] = tuple(
    (f"{rate:.0%}, {known or 'no'} appeals of a predecessor known", Steady(rate, known))
    for rate in (0.05, 0.20, 0.42)
    for known in (0, 300)
)
WRONG: tuple[tuple[str, Scenario], ...] = (
    ("5 % to 30 %, after 14 days", Turned(0.05, 0.30)),
    ("5 % to 30 %, after 14 days, 400 a day", Turned(0.05, 0.30, per_day=400.0)),
    ("5 % to 15 %, after 14 days", Turned(0.05, 0.15)),
    ("20 % to 50 %, after 14 days", Turned(0.20, 0.50)),
    ("42 % to 70 %, after 14 days", Turned(0.42, 0.70)),
    ("5 % to 30 %, with a new version", Released(0.05, 0.30)),
    ("42 % to 70 %, with a new version", Released(0.42, 0.70)),
)


def main(arguments: list[str] | None = None) -> int:
    """Both tables, as Markdown or JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.misfire", description=__doc__)
    parser.add_argument("--runs", type=int, default=500, help="sound versions a row (default: 500)")
    parser.add_argument("--wrong", type=int, default=200, help="bad versions a row (default: 200)")
    parser.add_argument("--only", default="", help="only rows whose name has this in it")
    parser.add_argument("--processes", type=int, default=1, help="over which the versions are spread (default: 1)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="the figures instead of the tables")
    asked = parser.parse_args(arguments)
    with ProcessPoolExecutor(asked.processes) as pool:

        def run(rows: Iterable[tuple[str, Scenario]], versions: int) -> dict[str, list[int | None]]:
            """By row, in the order of seeds. Each row has its own, so that rows can be counted together."""
            return {
                name: list(pool.map(partial(_life, name, scenario, asked.seed), range(versions), chunksize=5))
                for name, scenario in rows
                if versions and asked.only in name
            }

        sound, wrong = run(SOUND, asked.runs), run(WRONG, asked.wrong)
    alarms = {name: sum(delay is not None for delay in delays) for name, delays in sound.items()}
    if asked.json:
        print(json.dumps({"false_alarms": alarms, "delays": wrong}))
        return 0
    print(f"28 days, 40 decided appeals a day where nothing else is said, seed {asked.seed}.")
    if alarms:
        print("\n| sound version, overturned | versions | false alarms | 95 % interval |\n| --- | --- | --- | --- |")
        told = [(name, count, asked.runs) for name, count in alarms.items()]
        for name, count, n in (*told, ("together", sum(alarms.values()), asked.runs * len(alarms))):
            low, high = exactly(count, n)
            print(f"| {name} | {n} | {count} | {low:.2%} to {high:.2%} |")
    if wrong:
        print("\n| bad version | found | decided appeals until then: median | nine of ten within |")
        print("| --- | --- | --- | --- |")
    for name, delays in wrong.items():
        found = [delay for delay in delays if delay is not None]
        shown = f"{median(found):.0f} | {quantiles(found, n=10)[-1]:.0f}" if len(found) > 1 else "- | -"
        print(f"| {name} | {len(found)} of {len(delays)} | {shown} |")
    return 0


def _life(name: str, scenario: Scenario, seed: int, number: int) -> int | None:
    return alarm_after(scenario, random.Random(f"{seed}-{name}-{number}"))


def exactly(hits: int, n: int) -> tuple[float, float]:
    """The interval of Clopper and Pearson (1934) for a share: it holds the truth with at least 95 %."""
    low = quantile(0.025, hits, n - hits + 1) if hits else 0.0
    return low, quantile(0.975, hits + 1, n - hits) if hits < n else 1.0


if __name__ == "__main__":
    sys.exit(main())
