"""`Metrics` on prometheus-client, made from the table; what is not in it is a defect."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import product
from math import prod

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Info,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from topology.metrics.histogram import Buckets, Histogram
from topology.metrics.labels import Labels, Sets, sets_of
from topology.metrics.row import Row
from topology.metrics.table import BY_NAME, PREFIX, ROWS
from topology.topics import load_register

_REFUSED = "label_values_refused_total"
_BEGUN_MOST = 200
"""Rows with at most so many series show all of them from the start, as 0: the first increase counts too."""


Reading = tuple[str, float, Mapping[str, str]]
"""A live gauge as it is now: (metric, value, labels)."""
Readings = Callable[[], Iterable[Reading]]


class PrometheusMetrics:
    """See `ports.Metrics`. May be called from any thread.

    Args:
        sets: the installation's closed sets; none: those of the packaged register.
        role: whose rows there are: `worker`, `insights` or `all`.
        strict: a label value outside its set raises; else it is shown as `other`, counted, and logged once.
    """

    def __init__(self, sets: Sets | None = None, *, role: str = "worker", strict: bool = False) -> None:
        disable_created_metrics()
        self.registry = CollectorRegistry()
        self._counters: dict[str, Counter] = {}
        self._gauges: dict[str, Gauge] = {}
        self._histograms: dict[str, Histogram] = {}
        self._counted: dict[tuple[object, ...], Counter] = {}
        self._observed: dict[tuple[object, ...], Buckets] = {}
        sets = sets or sets_of(load_register())
        self._labels = Labels(sets, strict=strict, refused=lambda name: self.count(_REFUSED, metric=name))
        self._live = _Live(self._closed)
        self.registry.register(self._live)
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        rows = [row for row in ROWS if role in (row.of, "all") or row.of == "both"]
        for row in rows:
            self._make(row)
        for row in rows:
            self._begin(row, [sets.values(label) for label in row.labels])

    def count(self, name: str, by: float = 1, **labels: str) -> None:
        """See `ports.Metrics`."""
        key = (name, *labels.items())
        counter = self._counted.get(key)
        if counter is None:
            made = self._counters[name]
            closed = self._closed(name, labels)
            counter = self._counted[key] = made.labels(**closed) if closed else made
        counter.inc(by)

    def gauge(self, name: str, value: float, **labels: str) -> None:
        """See `ports.Metrics`."""
        made = self._gauges[name]
        closed = self._closed(name, labels)
        (made.labels(**closed) if closed else made).set(value)

    def observe(self, name: str, value: float, **labels: str) -> None:
        """See `ports.Metrics`."""
        self.observe_all(name, (value,), **labels)

    def observe_all(self, name: str, values: Sequence[float], **labels: str) -> None:
        """See `ports.Metrics`."""
        key = (name, *labels.items())
        buckets = self._observed.get(key)
        if buckets is None:
            buckets = self._observed[key] = self._histograms[name].labels(**self._closed(name, labels))
        buckets.add(values)

    def forget(self, name: str) -> None:
        """Show no label of a gauge any more until it is set again."""
        self._gauges[name].clear()
        self._labels.forget(BY_NAME[name])

    def say(self, name: str, **labels: str) -> None:
        """Set a row of kind info, once."""
        row = BY_NAME[name]
        Info(PREFIX + name, row.help, registry=self.registry).info(self._closed(name, labels))

    def watch(self, readings: Readings) -> None:
        """Ask for these at each scrape, in its thread; live rows only."""
        self._live.sources.append(readings)

    def with_natives(self) -> Collector:
        """All of it, native histograms included, for a format that has them (OpenMetrics 2.0)."""
        return _WithNatives(self.registry, list(self._histograms.values()))

    def _closed(self, name: str, labels: Mapping[str, str]) -> dict[str, str]:
        return self._labels.closed(BY_NAME[name], labels)

    def _make(self, row: Row) -> None:
        name, labels = PREFIX + row.name, tuple(label.name for label in row.labels)
        if row.kind == "counter":
            self._counters[row.name] = Counter(name, row.help, labels, registry=self.registry)
        elif row.kind == "gauge" and not row.live:
            self._gauges[row.name] = Gauge(name, row.help, labels, registry=self.registry)
        elif row.kind == "histogram":
            self._histograms[row.name] = histogram = Histogram(name, row)
            self.registry.register(histogram)

    def _begin(self, row: Row, sets: list[tuple[str, ...] | None]) -> None:
        """Show a row's series before anything is counted: `increase` cannot see a series' first value."""
        known = [values for values in sets if values is not None]
        whole = len(known) == len(sets) and prod(map(len, known)) <= _BEGUN_MOST
        if row.kind not in ("counter", "histogram") or row.name == _REFUSED or not whole:
            return
        for combination in product(*known):
            labels = {label.name: value for label, value in zip(row.labels, combination, strict=True)}
            if row.kind == "counter":
                self.count(row.name, 0, **labels)
            else:
                self.observe_all(row.name, (), **labels)


class _Live(Collector):
    """What is worked out at the scrape."""

    def __init__(self, closed: Callable[[str, Mapping[str, str]], dict[str, str]]) -> None:
        self.sources: list[Readings] = []
        self._closed = closed

    def collect(self) -> Iterator[Metric]:
        """One family a row that somebody has a reading of."""
        families: dict[str, GaugeMetricFamily] = {}
        for source in self.sources:
            for name, value, labels in source():
                family = families.get(name)
                if family is None:
                    row = BY_NAME[name]
                    if not row.live:
                        raise ValueError(f"{name} is not a live row")
                    names = [label.name for label in row.labels]
                    family = families[name] = GaugeMetricFamily(PREFIX + name, row.help, labels=names)
                family.add_metric(list(self._closed(name, labels).values()), value)
        yield from families.values()


class _WithNatives(Collector):
    def __init__(self, registry: CollectorRegistry, histograms: list[Histogram]) -> None:
        self._registry = registry
        self._histograms = {histogram.name: histogram for histogram in histograms}

    def collect(self) -> Iterator[Metric]:
        """As the registry has it."""
        for family in self._registry.collect():
            histogram = self._histograms.get(family.name)
            if histogram is not None:
                family.samples[:0] = histogram.natives()
            yield family
