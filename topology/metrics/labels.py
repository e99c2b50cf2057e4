"""The closed sets of the labels, those of the installation included, and what becomes of a value outside its set."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from topology import logs
from topology.metrics.row import OTHER, Label, Row, Set
from topology.metrics.table import BY_NAME
from topology.topics import Register, Role


@dataclass(frozen=True)
class Sets:
    """The closed sets that are an installation's own."""

    pods: tuple[str, ...]
    inputs: tuple[str, ...]
    references: tuple[str, ...]
    partitions: tuple[str, ...]

    def values(self, label: Label) -> tuple[str, ...] | None:
        """All values of a label; None: the process tells them as it runs."""
        own = {
            Set.LISTED: label.values,
            Set.PODS: self.pods,
            Set.INPUTS: self.inputs,
            Set.REFERENCES: self.references,
            Set.PARTITIONS: self.partitions,
            Set.ROWS: tuple(BY_NAME),
        }
        return own.get(label.of)


def sets_of(register: Register, partitions: int | None = None) -> Sets:
    """Those of this register; `partitions` as the cluster has them, or the register's own."""
    count = register.changelog.partitions if partitions is None else partitions
    return Sets(
        pods=register.pods,
        inputs=tuple(topic.name for topic in register.inputs),
        references=tuple(topic.name for topic in register.topics if topic.role is Role.REFERENCE),
        partitions=tuple(str(number) for number in range(count)),
    )


class NotInSetError(ValueError):
    """A label value outside its closed set: a defect, as what is unbounded would grow without end."""


class Labels:
    """Judges label values.

    Args:
        sets: the installation's.
        strict: raise; else show `other`, and tell `refused` the metric's name.
        refused: counts.
    """

    def __init__(self, sets: Sets, *, strict: bool, refused: Callable[[str], None]) -> None:
        self._sets = sets
        self._strict = strict
        self._refused = refused
        self._allowed: dict[tuple[str, str], frozenset[str]] = {}
        self._busiest: dict[tuple[str, str], set[str]] = {}
        self._logged: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    def closed(self, row: Row, labels: Mapping[str, str]) -> dict[str, str]:
        """The labels as they may be shown.

        Raises:
            ValueError: not the row's labels, or, if strict, not of their sets (`NotInSetError`).
        """
        if len(labels) != len(row.labels) or any(label.name not in labels for label in row.labels):
            names = ", ".join(label.name for label in row.labels) or "none"
            raise ValueError(f"{row.name} has the labels {names}, not {', '.join(labels)}")
        return {label.name: self._value(row, label, labels[label.name]) for label in row.labels}

    def forget(self, row: Row) -> None:
        """Let other names be the busiest."""
        with self._lock:
            for label in row.labels:
                self._busiest.pop((row.name, label.name), None)

    def _value(self, row: Row, label: Label, value: str) -> str:
        if label.of is Set.PROCESS or value == OTHER:
            return value
        place = (row.name, label.name)
        if label.of is Set.BUSIEST:
            with self._lock:
                told = self._busiest.setdefault(place, set())
                if value not in told and len(told) >= label.limit:
                    return self._outside(row, label, value)
                told.add(value)
            return value
        allowed = self._allowed.get(place)
        if allowed is None:
            allowed = self._allowed[place] = frozenset(self._sets.values(label) or ())
        if value in allowed:
            return value
        return OTHER if label.rest else self._outside(row, label, value)

    def _outside(self, row: Row, label: Label, value: str) -> str:
        if self._strict:
            raise NotInSetError(f"{row.name}: {label.name}={value!r} is not in its closed set ({label.of.value})")
        self._refused(row.name)
        if (row.name, label.name) not in self._logged:
            self._logged.add((row.name, label.name))
            # Not the value: what nobody foresaw may be anything.
            logs.logger().error("label_value_refused", metric=row.name, label=label.name, characters=len(value))
        return OTHER
