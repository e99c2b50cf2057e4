"""Applies a mapping to rows: the same rows give the same records, in the same order, with the same ids.

Rows are kept by id when the mapping joins, because a row may answer one that comes later; what they make is then
computed when it is asked for. `checks` has proved that this ends.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import msgspec
from pydantic import JsonValue

from processors import ids
from schemas.records import AppealSubmitted, Record
from topology.engine.errors import Misconfigured
from topology.replay.checks import CASE_ID, TYPES
from topology.replay.mapping import Join, Mapping, Step
from topology.replay.rows import Row
from topology.replay.templates import Filled, compile_fields, compile_literal, names
from topology.replay.times import parse_ms, year_of
from topology.replay.values import Compute, UnmappableError, compile_values

Scope = dict[str, Any]
UNKNOWN_KIND = "kind_without_rule"
NOTHING_FOUND = "no_step_applies"


class Made(NamedTuple):
    """A record and the Kafka timestamp that it is to have."""

    timestamp: int
    record: Record


class Tally:
    """What became of the rows while they were mapped."""

    def __init__(self) -> None:
        self.rows: Counter[str] = Counter()
        """By kind."""
        self.skipped: Counter[tuple[int, str, str]] = Counter()
        """Rows that made nothing, by year, kind and reason."""
        self.unmatched: Counter[tuple[int, str, str]] = Counter()
        """Users named by a row that made nothing of them, by year, kind and reason."""
        self.out_of_order = 0
        """Rows whose timestamp is earlier than the row's before."""


class _Template(NamedTuple):
    type: type[Record]
    fill: Callable[[Scope], dict[str, Any]]


class _Plan(NamedTuple):
    step: Step
    values: list[tuple[str, Compute]]
    """Those that the step's templates mention; others may make no sense for this kind of row."""
    set: list[tuple[str, Filled]]


class Mapper:
    """One mapping, compiled, on the rows of one file."""

    def __init__(self, mapping: Mapping, *, name: str = "file") -> None:
        """`name` is what errors call the file."""
        self.tally = Tally()
        self._mapping = mapping
        self._source = mapping.source
        self._name = name
        self._templates = {n: _Template(TYPES[t.type], compile_fields(t.fields)) for n, t in mapping.records.items()}
        values = compile_values(mapping)
        self._plans = {
            kind: [
                _Plan(
                    step,
                    [(name, compute) for name, compute in values if name in _mentioned(mapping, step)],
                    [(name, compile_literal(text)) for name, text in step.set.items()],
                )
                for step in steps
            ]
            for kind, steps in mapping.rules.items()
        }
        self._joins = any(step.join for steps in mapping.rules.values() for step in steps)
        self._rows: dict[str, list[Row]] = {}
        self._found: dict[tuple[str, str], list[Scope]] = {}

    def records(self, rows: Iterable[Row]) -> Iterator[Made]:
        """The records of all rows, row by row.

        Raises:
            Misconfigured: a row does not fit the mapping; the text names its line and what is wrong.
        """
        if self._joins:
            rows = list(rows)
            for row in rows:
                self._rows.setdefault(row.cells[self._source.id or ""], []).append(row)
        before = 0
        for row in rows:
            at = self._timestamp(row)
            self.tally.out_of_order += at < before
            before = max(before, at)
            kind = row.cells[self._source.kind]
            self.tally.rows[kind] += 1
            step, scopes = self._apply(row, at)
            if step is None:
                reason = NOTHING_FOUND if kind in self._plans else UNKNOWN_KIND
                self.tally.skipped[year_of(at), kind, reason] += 1
            elif step.skip is not None:
                self.tally.skipped[year_of(at), kind, step.skip] += 1
            else:
                self._count_unmatched(step, row, at, scopes)
                for record in self._fill(row, step, scopes):
                    yield Made(at, record)

    def _timestamp(self, row: Row) -> int:
        text = row.cells[self._source.timestamp]
        at = parse_ms(text)
        if at is None:
            raise self._misfit(row, f"{self._source.timestamp} is {text!r}; it must be a time between 1970 and 2100")
        return at

    def _apply(self, row: Row, at: int) -> tuple[Step | None, list[Scope]]:
        """The step that is taken, and the scopes to fill its templates with."""
        for plan in self._plans.get(row.cells[self._source.kind], []):
            step = plan.step
            if not _applies(step, row.cells):
                continue
            if step.skip is not None:
                return step, []
            bindings = self._bindings(step, row)
            if not bindings:
                continue
            base = dict(row.cells)
            try:
                for name, compute in plan.values:
                    base[name] = compute(row.cells, at)
            except UnmappableError as exc:
                raise self._misfit(row, str(exc)) from exc
            scopes = [base | bound for bound in bindings]
            for scope in scopes:
                for name, fill in plan.set:
                    scope[name] = fill(scope)
            return step, scopes
        return None, []

    def _bindings(self, step: Step, row: Row) -> list[Scope]:
        """Once for each combination of `for_each`, or for each record that the join finds."""
        if step.join is not None:
            return [{step.join.name: found} for found in self._join(step.join, row)]
        if not step.for_each:
            return [{}]
        lists = [[(name, value) for value in row.cells[column]] for name, column in step.for_each.items()]
        return [dict(combination) for combination in itertools.product(*lists)]

    def _join(self, join: Join, row: Row) -> list[Scope]:
        found = [record for row_id in row.cells[join.rows] for record in self._made_by(row_id, join.records)]
        if join.users is None:
            return found
        users = set(row.cells[join.users])
        return [record for record in found if record["user_id"] in users]

    def _made_by(self, row_id: str, record_type: str) -> list[Scope]:
        """The records of this type that the rows with this id make."""
        key = (row_id, record_type)
        if key not in self._found:
            cls = TYPES[record_type]
            self._found[key] = [
                _as_scope(record) for row in self._rows.get(row_id, []) for record in self._of_type(row, cls)
            ]
        return self._found[key]

    def _of_type(self, row: Row, cls: type[Record]) -> Iterator[Record]:
        kind = row.cells[self._source.kind]
        steps = self._mapping.rules.get(kind, [])
        if any(self._templates[name].type is cls for step in steps for name in step.emit):
            step, scopes = self._apply(row, self._timestamp(row))
            if step is not None:
                yield from self._fill(row, step, scopes, only=cls)

    def _fill(self, row: Row, step: Step, scopes: list[Scope], only: type[Record] | None = None) -> Iterator[Record]:
        for scope in scopes:
            for name in step.emit:
                template = self._templates[name]
                if only is not None and template.type is not only:
                    continue
                fields = template.fill(scope)
                try:
                    yield msgspec.convert(fields, template.type, strict=False)
                except msgspec.ValidationError as exc:
                    raise self._misfit(row, f"records.{name} cannot be made a {template.type.__name__}: {exc}") from exc

    def _count_unmatched(self, step: Step, row: Row, at: int, scopes: list[Scope]) -> None:
        join = step.join
        if join is None or join.users is None or join.unmatched is None:
            return
        matched = {scope[join.name]["user_id"] for scope in scopes}
        left = sum(user not in matched for user in row.cells[join.users])
        if left:
            self.tally.unmatched[year_of(at), row.cells[self._source.kind], join.unmatched] += left

    def _misfit(self, row: Row, text: str) -> Misconfigured:
        return Misconfigured(f"{self._name}:{row.line}: {text} (mapping {self._mapping.name})")


def _applies(step: Step, cells: dict[str, Any]) -> bool:
    return (
        all(cells[column] in wanted for column, wanted in step.when.items())
        and all(cells[column] for column in step.given)
        and not any(cells[column] for column in step.missing)
    )


def _mentioned(mapping: Mapping, step: Step) -> set[str]:
    """What the step's templates refer to."""
    literals: list[JsonValue] = [*step.set.values()]
    for name in step.emit:
        literals += mapping.records[name].fields.values()
    return {found for literal in literals for found in names(literal)}


def _as_scope(record: Record) -> Scope:
    scope = msgspec.structs.asdict(record)
    if isinstance(record, AppealSubmitted):
        scope[CASE_ID] = ids.case_id(record.appeal_id)
    return scope
