"""Has a detector version gone wrong? A sequential test that may look after every appeal.

What is tested is a rate: of decided appeals that were overturned, or of enforcements that were appealed against; both
by when the enforcement was issued, as that is when the detector was right or wrong, and because the cohort of a remedy
is named by it.

For each possible start s of the fault, the likelihood ratio of the rate being higher since s compares the alternatives
"the odds are 2, 4, 8 or 16 times those of the baseline", equally weighted (Robbins, 1970). The ratios of all starts
are added up, each with weight 1/`STARTS`. While the true rate is not above the baseline, each ratio is a nonnegative
supermartingale of mean at most 1, so the weighted sum passes 1/alpha with probability at most alpha, however often one
looks (Ville, 1939). New starts come as time goes on, one an hour and one a day: 700 in 28 days instead of `STARTS`, so
over 28 days the bound is 700/`STARTS` times alpha. An enforcement counts as not appealed against until it is; that
only lowers the ratio.

The baseline is the upper end of the interval of what the version did before s, or of what its predecessor did, so that
a short history does not accuse anybody. `bench/misfire.py` measures false alarms and delays.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from math import log, log1p
from typing import NamedTuple

from processors.insights.beta import log_sum, upper
from processors.insights.cells import WINDOWS, Counts
from processors.insights.facts import Measure
from schemas.vocabulary import MisfireBaseline, MisfireKind

STARTS = WINDOWS[1].steps + WINDOWS[2].steps
"""How many starts are looked at: each of the last 24 hours and 28 days."""
ODDS = (2.0, 4.0, 8.0, 16.0)
"""Alternatives: how many times the odds of the baseline."""


class Rules(NamedTuple):
    """What the test of one kind of rate goes by."""

    hits: Measure
    of: Measure
    alpha: float
    """Chance of a false alarm; see the module."""
    enough: int
    """So many must have been looked at for a baseline."""
    floor: float
    """No baseline is lower: a version that never erred would be accused by its first errors."""
    least_hits: int
    assumed: float | None
    """The baseline of a version without history or predecessor; None: it is not tested."""


RULES = {
    MisfireKind.OVERTURN_RATE: Rules(Measure.OVERTURNED, Measure.DECIDED, 1e-3, 50, 0.02, 5, 0.5),
    MisfireKind.APPEAL_RATE: Rules(Measure.APPEALED, Measure.ISSUED, 1e-3, 200, 0.002, 5, None),
}


class Suffix(NamedTuple):
    """What was seen since a start, and before it."""

    start: int
    n: int
    hits: int
    n_before: int
    hits_before: int


class Finding(NamedTuple):
    """The outcome of one comparison."""

    baseline_of: MisfireBaseline
    baseline: float
    statistic: float
    threshold: float
    since: int
    n: int
    hits: int

    @property
    def alarms(self) -> bool:
        """Passed the threshold?"""
        return self.statistic >= self.threshold


def suffixes(hours: Mapping[int, Counts], days: Mapping[int, Counts], rules: Rules) -> list[Suffix]:
    """Every start at which something was seen, oldest first."""
    n_all = hits_all = 0
    for cell in days.values():
        n, hits = _of(cell, rules)
        n_all, hits_all = n_all + n, hits_all + hits
    found: list[Suffix] = []
    for cells, step_ms in ((days, WINDOWS[2].step_ms), (hours, WINDOWS[1].step_ms)):
        n_since = hits_since = 0
        part: list[Suffix] = []
        for number in sorted(cells, reverse=True):
            n, hits = _of(cells[number], rules)
            n_since, hits_since = n_since + n, hits_since + hits
            if n:
                part.append(
                    Suffix(number * step_ms, n_since, hits_since, n_all - n_since, max(0, hits_all - hits_since))
                )
        found += reversed(part)
    return sorted(found)


def findings(
    seen: list[Suffix], rules: Rules, predecessor: tuple[int, int] | None
) -> list[Finding]:  # fmt: skip
    """Every comparison that can be made, the strongest first.

    Args:
        seen: of the version.
        rules: of the kind of rate.
        predecessor: n and hits of the version before it; None: there is none with enough.
    """
    found = [_against_itself(seen, rules)]
    if predecessor is not None:
        baseline = _baseline(*predecessor, rules)
        found.append(_against(seen, rules, MisfireBaseline.PREDECESSOR, baseline))
    elif rules.assumed is not None:
        found.append(_against(seen, rules, MisfireBaseline.ASSUMED, rules.assumed))
    return sorted((f for f in found if f is not None), key=lambda f: f.statistic, reverse=True)


def _of(cell: Counts, rules: Rules) -> tuple[int, int]:
    n = cell.get(rules.of, 0)
    return n, min(n, cell.get(rules.hits, 0))


def _baseline(n: int, hits: int, rules: Rules) -> float:
    return max(rules.floor, upper(hits, n))


def _against_itself(seen: list[Suffix], rules: Rules) -> Finding | None:
    compared = [(s, _baseline(s.n_before, s.hits_before, rules)) for s in seen if s.n_before >= rules.enough]
    return _weigh(compared, rules, MisfireBaseline.OWN)


def _against(seen: list[Suffix], rules: Rules, what: MisfireBaseline, baseline: float) -> Finding | None:
    return _weigh([(s, baseline) for s in seen], rules, what)


def _weigh(compared: list[tuple[Suffix, float]], rules: Rules, what: MisfireBaseline) -> Finding | None:
    if not compared:
        return None
    ratios = [log_ratio(s.n, s.hits, baseline) for s, baseline in compared]
    at = max(range(len(ratios)), key=lambda n: (ratios[n], n))  # of starts that saw the same, the latest
    start, baseline = compared[at]
    statistic = log_sum(ratios) - log(STARTS)
    if start.hits < rules.least_hits:
        statistic = min(statistic, 0.0)
    return Finding(what, baseline, statistic, -log(rules.alpha), start.start, start.n, start.hits)


@lru_cache(maxsize=100_000)
def log_ratio(n: int, hits: int, baseline: float) -> float:
    """Logarithm of the likelihood ratio of the alternatives together to the baseline, after `hits` of `n`."""
    if baseline >= 1:
        return 0.0
    return log_sum([hits * of_hit + (n - hits) * of_miss for of_hit, of_miss in _alternatives(baseline)]) - log(
        len(ODDS)
    )


@lru_cache(maxsize=100_000)
def _alternatives(baseline: float) -> list[tuple[float, float]]:
    """Of each alternative, what a hit and what a miss adds."""
    found: list[tuple[float, float]] = []
    for times in ODDS:
        odds = times * baseline / (1 - baseline)
        higher = odds / (1 + odds)
        found.append((log(higher / baseline), log1p(-higher) - log1p(-baseline)))
    return found
