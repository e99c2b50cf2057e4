"""Queries made from rows of the table of metrics: a name, a label or a use that the table does not have is an error."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from topology.metrics.row import Kind, Row
from topology.metrics.table import BY_NAME, PREFIX

EVERY = "$__rate_interval"
"""Grafana's: long enough for four scrapes, and for a point of the graph."""
RANGE = "$__range"
"""Grafana's: what the dashboard shows."""

_OF_TARGET = frozenset({"instance", "job"})
"""Labels that Prometheus adds."""
_SUFFIXES = ("_bucket", "_sum", "_count", "_info")
_UNITS = {"": "short", "records": "short", "seconds": "s", "bytes": "bytes", "ratio": "percentunit"}
_UNITS_A_SECOND = {"": "cps", "records": "cps", "seconds": "percentunit", "bytes": "Bps", "ratio": "cps"}
"""Seconds of CPU a second are a share of a CPU."""

By = str | tuple[str, ...]


@dataclass(frozen=True)
class Query:
    """One question to Prometheus.

    Attributes:
        expr: PromQL.
        legend: What a series is called; `{{label}}` stands for the label's value.
        unit: Grafana's name of the unit.
    """

    expr: str
    legend: str
    unit: str

    def named(self, legend: str) -> Query:
        """The same under another name."""
        return replace(self, legend=legend)

    def or_zero(self) -> Query:
        """The same, and 0 while there is no series: for a row whose series come with the first event only."""
        return replace(self, expr=f"{self.expr} or vector(0)")

    def over(self, other: Query, legend: str) -> Query:
        """This one divided by another one."""
        return Query(f"({self.expr})\n/\n({other.expr})", legend, "percentunit")


def a_second(name: str, by: By = (), where: str = "", *, window: str = EVERY) -> Query:
    """How fast a counter goes up."""
    row, labels = _row(name, "counter", by, where)
    return Query(
        f"sum{_by(labels)} (rate({PREFIX}{name}{_where(where)}[{window}]))",
        _legend(row, labels),
        _UNITS_A_SECOND[row.unit],
    )


def increase(name: str, by: By = (), where: str = "", *, window: str = RANGE) -> Query:
    """By how much a counter has gone up."""
    row, labels = _row(name, "counter", by, where)
    return Query(
        f"sum{_by(labels)} (increase({PREFIX}{name}{_where(where)}[{window}]))", _legend(row, labels), _UNITS[row.unit]
    )


def total(name: str, by: By = (), where: str = "") -> Query:
    """A gauge, added up."""
    return _gauge("sum", name, by, where)


def highest(name: str, by: By = (), where: str = "") -> Query:
    """The highest of a gauge."""
    return _gauge("max", name, by, where)


def lowest(name: str, by: By = (), where: str = "") -> Query:
    """The lowest of a gauge."""
    return _gauge("min", name, by, where)


def quantile(share: float, name: str, by: By = (), where: str = "", *, window: str = EVERY) -> Query:
    """What a share of a histogram's observations does not exceed."""
    row, labels = _row(name, "histogram", by, where)
    buckets = f"sum by ({', '.join(('le', *labels))}) (rate({PREFIX}{name}_bucket{_where(where)}[{window}]))"
    legend = f"p{share * 100:g}" + (f" {_legend(row, labels)}" if labels else "")
    return Query(f"histogram_quantile({share:g}, {buckets})", legend, _UNITS[row.unit])


def quantile_since_start(share: float, name: str, by: By = (), where: str = "") -> Query:
    """The same over all observations since the processes started: for what happens too seldom for a rate."""
    row, labels = _row(name, "histogram", by, where)
    buckets = f"sum by ({', '.join(('le', *labels))}) ({PREFIX}{name}_bucket{_where(where)})"
    legend = f"p{share * 100:g}" + (f" {_legend(row, labels)}" if labels else "")
    return Query(f"histogram_quantile({share:g}, {buckets})", legend, _UNITS[row.unit])


def mean(name: str, by: By = (), where: str = "", *, window: str = EVERY) -> Query:
    """The mean of a histogram's observations."""
    row, labels = _row(name, "histogram", by, where)
    sums, counts = (
        f"sum{_by(labels)} (rate({PREFIX}{name}_{part}{_where(where)}[{window}]))" for part in ("sum", "count")
    )
    return Query(f"{sums}\n/\n{counts}", _legend(row, labels) if labels else "mean", _UNITS[row.unit])


def buckets(name: str, where: str = "") -> Query:
    """How many observations came to each bucket of a histogram."""
    row, _ = _row(name, "histogram", (), where)
    return Query(f"sum by (le) (increase({PREFIX}{name}_bucket{_where(where)}[{EVERY}]))", "{{le}}", _UNITS[row.unit])


def within(bound: float, name: str, *, window: str = RANGE) -> Query:
    """The share of a histogram's observations that did not exceed one of its bounds."""
    row, _ = _row(name, "histogram", (), "")
    if bound not in row.buckets:
        raise ValueError(f"{name} has no bucket up to {bound:g}, only {', '.join(f'{b:g}' for b in row.buckets)}")
    good = f'sum(rate({PREFIX}{name}_bucket{{le="{float(bound)}"}}[{window}]))'
    return Query(f"{good}\n/\nsum(rate({PREFIX}{name}_count[{window}]))", f"within {bound:g} s", "percentunit")


def metrics_of(expr: str) -> Iterator[str]:
    """Names, as in the table, of the metrics that an expression asks for; a name that is not there as it stands."""
    for found in dict.fromkeys(re.findall(rf"\b{PREFIX}(\w+)", expr)):
        bare = next((found.removesuffix(end) for end in _SUFFIXES if found.removesuffix(end) in BY_NAME), found)
        yield found if found in BY_NAME else bare


def _gauge(operator: str, name: str, by: By, where: str) -> Query:
    row, labels = _row(name, "gauge", by, where)
    return Query(f"{operator}{_by(labels)} ({PREFIX}{name}{_where(where)})", _legend(row, labels), _UNITS[row.unit])


def _row(name: str, kind: Kind, by: By, where: str) -> tuple[Row, tuple[str, ...]]:
    row = BY_NAME.get(name)
    if row is None:
        raise ValueError(f"{name} is not in topology/metrics/table.py")
    if row.kind != kind:
        raise ValueError(f"{name} is a {row.kind}, asked for as a {kind}")
    labels = (by,) if isinstance(by, str) else by
    known = {label.name for label in row.labels} | _OF_TARGET
    unknown = {*labels, *re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", where)} - known
    if unknown:
        raise ValueError(f"{name} has no label {', '.join(sorted(unknown))}, only {', '.join(sorted(known))}")
    return row, labels


def _by(labels: tuple[str, ...]) -> str:
    return f" by ({', '.join(labels)})" if labels else ""


def _where(where: str) -> str:
    return f"{{{where}}}" if where else ""


def _legend(row: Row, labels: tuple[str, ...]) -> str:
    return (
        " ".join(f"{{{{{label}}}}}" for label in labels)
        if labels
        else row.name.removesuffix("_total").replace("_", " ")
    )
