"""The newest figures as metrics. Labels are bounded: the busiest detectors and rules by name, all others together."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from math import inf

from processors.insights.beta import rate
from processors.insights.cells import WINDOWS, Counts, add_up
from processors.insights.facts import Measure
from processors.insights.open_cases import OVERDUE, by_state
from processors.insights.quality import SAMPLES, decision_time
from processors.insights.slices import LOAD, OPEN, slice_key
from processors.insights.totals import Totals
from schemas.vocabulary import Dimension
from topology.insights.service import Service
from topology.metrics.prometheus import PrometheusMetrics

TOP = 20
"""So many names a dimension; the rest is `other`."""
OTHER = "other"
SHOWN = (Dimension.OVERALL, Dimension.DETECTOR_VERSION, Dimension.POLICY, Dimension.LANGUAGE, Dimension.REGION)
"""Not those of people: a dashboard is no place to rank them."""
GAUGES = (
    "insights_overturn_rate",
    "insights_decided_appeals",
    "insights_overturned_appeals",
    "insights_review_agreement",
    "insights_decision_median_seconds",
    "cases_open",
    "cases_overdue",
    "deadlines",
    "reversals_open",
    "reversal_oldest_seconds",
    "pod_arriving_per_hour",
    "pod_decided_per_hour",
    "pod_expected_wait_seconds",
)


def show(service: Service, metrics: PrometheusMetrics, wall_ms: int) -> None:
    """Set every gauge anew from what this process adds up; what has gone is not shown any more."""
    for name in GAUGES:
        metrics.forget(name)
    for shard in service.shards.values():
        for source in service.sources():
            metrics.gauge("insights_offset", shard.position(source).offset, source=source)
    _reversals(service, metrics, wall_ms)
    for kind in ("counts", "cases", "reversals", "seen"):
        metrics.gauge("insights_state_entries", sum(s.sizes[kind] for s in service.shards.values()), kind=kind)
    by_name: dict[tuple[Dimension, str, int], Counts] = {}
    for totals in service.totals.values():
        now = service.now(totals, wall_ms)
        _collect(totals, now, by_name)
        _pods(totals, metrics, now)
    for dimension in SHOWN:
        for (name, window_s), counts in _bounded(dimension, by_name):
            _rates(metrics, dimension, name, window_s, counts)


def _collect(totals: Totals, now: int, by_name: dict[tuple[Dimension, str, int], Counts]) -> None:
    for dimension in SHOWN:
        for name, parts in totals.slices(dimension):
            for index, window in enumerate(WINDOWS):
                counts = totals.counts(name, index, now)
                add_up(by_name.setdefault((dimension, " ".join(parts), window.seconds), {}), counts)


def _bounded(
    dimension: Dimension, by_name: dict[tuple[Dimension, str, int], Counts]
) -> Iterator[tuple[tuple[str, int], Counts]]:
    longest = WINDOWS[-1].seconds
    decided = {n: c.get(Measure.DECIDED, 0) for (d, n, w), c in by_name.items() if d is dimension and w == longest}
    top = set(sorted(decided, key=lambda name: (-decided[name], name))[:TOP])
    found: dict[tuple[str, int], Counts] = {}
    for (d, name, window_s), counts in by_name.items():
        if d is dimension:
            add_up(found.setdefault((name if name in top else OTHER, window_s), {}), counts)
    yield from found.items()


def _rates(metrics: PrometheusMetrics, dimension: Dimension, name: str, window_s: int, counts: Counts) -> None:
    labels = {"dimension": dimension.value, "of": name or "all", "window_s": str(window_s)}
    decided, overturned = counts.get(Measure.DECIDED, 0), counts.get(Measure.OVERTURNED, 0)
    metrics.gauge("insights_decided_appeals", decided, **labels)
    metrics.gauge("insights_overturned_appeals", overturned, **labels)
    if decided:
        found = rate(overturned, decided, 0.5, 0.5)
        for bound, value in zip(("mean", "low", "high"), found, strict=True):
            metrics.gauge("insights_overturn_rate", value, **labels, bound=bound)
    time = decision_time(slice_key(Dimension.OVERALL), counts, WINDOWS[-1], 0)
    if time is not None:
        metrics.gauge("insights_decision_median_seconds", time.median_s, **labels)
    for sample, (compared_by, agreed_by) in SAMPLES.items():
        if compared := counts.get(compared_by, 0):
            mean = counts.get(agreed_by, 0) / compared
            metrics.gauge("insights_review_agreement", mean, **labels, sample=sample.value)


def _pods(totals: Totals, metrics: PrometheusMetrics, now: int) -> None:
    for pod in sorted({parts[0] for kind in (OPEN, LOAD) for _, parts in totals.slices(kind)}):
        load = totals.load_of(pod, now)
        for band, row in totals.open_cases(pod).items():
            metrics.gauge("cases_overdue", row[OVERDUE], pod=pod, band=band)
            for state, number in by_state(row).items():
                metrics.gauge("cases_open", number, pod=pod, band=band, state=state.value)
        _deadlines(totals, metrics, pod, now)
        metrics.gauge("pod_arriving_per_hour", load.arriving_per_hour, pod=pod)
        metrics.gauge("pod_decided_per_hour", load.decided_per_hour, pod=pod)
        if load.expected_wait_s is not None:
            metrics.gauge("pod_expected_wait_seconds", load.expected_wait_s, pod=pod)


def _deadlines(totals: Totals, metrics: PrometheusMetrics, pod: str, now: int) -> None:
    for name, parts in totals.slices(LOAD):
        if parts[0] != pod:
            continue
        for index, window in enumerate(WINDOWS):
            counts = totals.counts(name, index, now)
            for (deadline, result), measure in _DEADLINES.items():
                labels = {"pod": pod, "band": parts[1], "window_s": str(window.seconds)}
                metrics.gauge("deadlines", counts.get(measure, 0), **labels, deadline=deadline, result=result)


_DEADLINES = {
    ("promised", "met"): Measure.PROMISE_MET,
    ("promised", "missed"): Measure.PROMISE_MISSED,
    ("regulatory", "met"): Measure.DEADLINE_MET,
    ("regulatory", "missed"): Measure.DEADLINE_MISSED,
}
_HOUR_S = 3_600
_AGES = {"1h": _HOUR_S, "1d": 24 * _HOUR_S, "7d": 7 * 24 * _HOUR_S, "older": inf}
_STATES = {False: "running", True: "stalled"}


def _reversals(service: Service, metrics: PrometheusMetrics, wall_ms: int) -> None:
    """Each process shows those of its own partitions, so a sum counts none twice."""
    numbers = dict.fromkeys(product(_STATES, _AGES), 0)
    oldest = dict.fromkeys(_STATES, 0.0)
    for shard in service.shards.values():
        now = service.now_of(shard, wall_ms)
        for reversal in shard.reversals():
            age_s = max(0, now - reversal.ordered_at) / 1_000
            numbers[reversal.stalled, next(name for name, limit in _AGES.items() if age_s <= limit)] += 1
            oldest[reversal.stalled] = max(oldest[reversal.stalled], age_s)
    for (stalled, age), number in numbers.items():
        metrics.gauge("reversals_open", number, state=_STATES[stalled], age=age)
    for stalled, age_s in oldest.items():
        metrics.gauge("reversal_oldest_seconds", age_s, state=_STATES[stalled])
