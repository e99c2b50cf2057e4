"""Histograms that take many values at once, with classic buckets and, for whoever can read them, native ones.

prometheus-client's own takes one value a call and looks at one bound after the other; a batch has thousands of values.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate
from math import ceil, log2

from prometheus_client.core import HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import BucketSpan, NativeHistogram, Sample
from prometheus_client.utils import floatToGoString

from topology.metrics.row import Row

SCHEMA = 3
"""Native buckets grow by 2^(2^-SCHEMA): nine per cent."""
_A_DOUBLING = 2**SCHEMA
ZERO_S = 2.0**-10
"""Up to here (a millisecond) a value counts as zero in a native histogram."""


class Buckets:
    """One series."""

    def __init__(self, bounds: tuple[float, ...], *, native: bool) -> None:
        self._bounds = bounds
        self._lock = threading.Lock()
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0
        self._native: dict[int, int] | None = {} if native else None

    def add(self, values: Sequence[float]) -> None:
        """Take in all of these."""
        bounds, counts, native = self._bounds, self._counts, self._native
        with self._lock:
            self._sum += sum(values)
            for value in values:
                counts[bisect_left(bounds, value)] += 1
                if native is not None and value > ZERO_S:
                    index = ceil(log2(value) * _A_DOUBLING)
                    native[index] = native.get(index, 0) + 1

    def classic(self) -> tuple[list[tuple[str, float]], float]:
        """Cumulative counts by upper bound as Prometheus spells it, and the sum."""
        with self._lock:
            counts, total = list(self._counts), self._sum
        bounds = [*map(floatToGoString, self._bounds), "+Inf"]
        return list(zip(bounds, map(float, accumulate(counts)), strict=True)), total

    def native(self) -> NativeHistogram | None:
        """The same as a native histogram."""
        if self._native is None:
            return None
        with self._lock:
            found, count, total = sorted(self._native.items()), sum(self._counts), self._sum
        spans: list[BucketSpan] = []
        deltas: list[int] = []
        next_index = last = 0
        for index, number in found:
            gap = index - next_index
            if spans and not gap:
                spans[-1] = BucketSpan(spans[-1].offset, spans[-1].length + 1)
            else:
                spans.append(BucketSpan(gap, 1))
            deltas.append(number - last)
            next_index, last = index + 1, number
        zero = count - sum(number for _, number in found)
        return NativeHistogram(count, total, SCHEMA, ZERO_S, zero, spans or None, None, deltas or None)


class Histogram(Collector):
    """All series of one row."""

    def __init__(self, name: str, row: Row) -> None:
        self.name = name
        self._row = row
        self._series: dict[tuple[str, ...], Buckets] = {}

    def labels(self, **labels: str) -> Buckets:
        """The series of these labels."""
        key = tuple(labels[label.name] for label in self._row.labels)
        return self._series.setdefault(key, Buckets(self._row.buckets, native=self._row.native))

    def collect(self) -> Iterator[Metric]:
        """With classic buckets."""
        family = HistogramMetricFamily(self.name, self._row.help, labels=[label.name for label in self._row.labels])
        for values, series in list(self._series.items()):
            buckets, total = series.classic()
            family.add_metric(values, buckets, total)
        yield family

    def natives(self) -> list[Sample]:
        """The native ones, for a format that has them."""
        names = [label.name for label in self._row.labels]
        return [
            Sample(self.name, dict(zip(names, values, strict=True)), 0.0, None, None, native)
            for values, series in list(self._series.items())
            if (native := series.native()) is not None
        ]
