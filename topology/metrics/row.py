"""What a row of the table of metrics is made of."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

OTHER = "other"
"""In place of a value that is not in its set."""


class Set(StrEnum):
    """Where the values of a label come from. Each of them is closed: its size is known before anything runs."""

    LISTED = "listed"
    """In the row itself."""
    PODS = "pods"
    """Those that have a topic in `topics.yaml`."""
    INPUTS = "inputs"
    """The input topics, without the prefix of the installation."""
    REFERENCES = "references"
    """The reference topics."""
    PARTITIONS = "partitions"
    """Numbers from 0; as many as the inputs have."""
    ROWS = "rows"
    """Metrics of the table."""
    BUSIEST = "busiest"
    """Names from records: the first `limit` that were shown, all others together as `other`."""
    PROCESS = "process"
    """One value a process, for as long as it runs."""


@dataclass(frozen=True)
class Label:
    """A label and the closed set of its values."""

    name: str
    of: Set
    values: tuple[str, ...] = ()
    """If `LISTED`."""
    limit: int = 0
    """If `BUSIEST`."""
    rest: bool = False
    """Whether values outside the list are expected, and shown as `other`. Else one is a defect."""


def listed(name: str, *values: str, rest: bool = False) -> Label:
    """A label whose values stand in the table."""
    return Label(name, Set.LISTED, values, rest=rest)


Kind = Literal["counter", "gauge", "histogram", "info"]
Unit = Literal["", "seconds", "bytes", "records", "ratio"]


@dataclass(frozen=True)
class Row:
    """One metric, as `recourse_` and its name."""

    name: str
    kind: Kind
    unit: Unit
    """Of the value; empty: a number of what the name says."""
    help: str
    labels: tuple[Label, ...] = ()
    buckets: tuple[float, ...] = ()
    """Upper bounds of a histogram's classic buckets, without infinity."""
    native: bool = False
    """Whether a native histogram is kept beside the classic buckets."""
    live: bool = False
    """Whether it is worked out at each scrape, so that it goes on when the loop that it is about has stopped."""
    of: Literal["worker", "insights", "both"] = "worker"
    """Which process shows it."""
