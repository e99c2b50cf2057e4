"""What a dashboard is made of, as data: rows of panels, each with its queries."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from deploy.dashboards.promql import Query

WIDTH = 24
"""Columns of Grafana's grid."""

Form = Literal["stat", "lines", "stack", "heatmap", "table"]
"""`stat`: one figure; `lines` and `stack`: over time; `table`: one row a series, one column a query."""


@dataclass(frozen=True)
class Panel:
    """One picture.

    Attributes:
        title: What it shows.
        about: What to think of it: what is good, what is not, where to look next.
        queries: What is asked; all of one unit, but in a table.
        form: How it is shown.
        width: Columns of 24.
        bad_from: From where on, or with `low_is_bad` down to where, the figure is red.
        low_is_bad: Whether low values are the bad ones.
        most: The top of the axis; None: as far as the values go.
        decimals: Of a figure; None: as Grafana thinks.
        key: Of a table: the label that names a row.
        band: Whether the second and third query are the interval around the first.
    """

    title: str
    about: str
    queries: tuple[Query, ...]
    form: Form = "lines"
    width: int = 8
    bad_from: float | None = None
    low_is_bad: bool = False
    most: float | None = None
    decimals: int | None = None
    key: str = ""
    band: bool = False

    @property
    def unit(self) -> str:
        """Grafana's name of the unit of all its queries; of a table, of the first."""
        units = {query.unit for query in self.queries}
        if self.form != "table" and len(units) != 1:
            raise ValueError(f"{self.title}: queries of different units: {', '.join(sorted(units))}")
        return self.queries[0].unit


@dataclass(frozen=True)
class Row:
    """Panels under one heading."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Choice:
    """What a reader can choose, as `$name` in queries.

    Attributes:
        name: Of the variable.
        label: What readers see.
        values: By what readers see, what queries get; empty: those that `of` has.
        default: What is seen first, of the values.
        of: A metric's name and a label, whose values are the choices.
        several: Whether several can be chosen; all are, at first.
    """

    name: str
    label: str
    values: dict[str, str] = field(default_factory=dict[str, str])
    default: str = ""
    of: tuple[str, str] | None = None
    several: bool = False


@dataclass(frozen=True)
class Dashboard:
    """One page.

    Attributes:
        uid: Its name in addresses and of its file.
        title: Its name for readers.
        about: Whom it is for.
        rows: What it shows.
        choices: What readers can choose.
        since: Grafana's name of the time that it shows at first.
    """

    uid: str
    title: str
    about: str
    rows: tuple[Row, ...]
    choices: tuple[Choice, ...] = ()
    since: str = "now-6h"

    @property
    def panels(self) -> tuple[Panel, ...]:
        """All, from the top."""
        return tuple(panel for row in self.rows for panel in row.panels)
