"""The mapping language: which rows of a file make which records. `mappings/dmca.yaml` is the worked example.

A mapping has four parts. `source` tells how a row is read; `values` are computed once a row; `records` are templates,
each a record type with its fields; `rules` say, for each kind of row, which templates it fills and how often.

Text is a template: `{name}` stands for a column, a value of `values`, a name bound by the rule, or a field of what a
join found (`{hit.user_id}`); `{{` is a brace. Text that is one such name and nothing else keeps the value's type, and
is left out of the record when the value is empty.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, model_validator

from processors.durations import parse_duration_ms

Ident = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Column = Annotated[str, Field(min_length=1, max_length=128)]
Reason = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
"""Names rows and values that make nothing; the balance counts by it."""


def _text(value: object) -> object:
    """YAML reads `1` as a number, files hold text: what is compared with a column is text."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _list(value: object) -> object:
    return value if isinstance(value, list) else [value]


Cell = Annotated[str, BeforeValidator(_text)]
Cells = Annotated[list[Cell], BeforeValidator(_list)]
DurationMs = Annotated[int, BeforeValidator(parse_duration_ms)]


class Part(BaseModel):
    """Base of all parts of a mapping."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Source(Part):
    """How a row is read."""

    timestamp: Column
    """Becomes the records' Kafka timestamp, hence the engine's clock; ISO 8601 or UTC milliseconds."""
    kind: Column
    """Chooses the rule."""
    id: Column | None = None
    """Names the row, for joins."""
    columns: list[Column] = []
    """Further columns that the mapping uses. A file that lacks one is refused before anything is sent."""
    lists: dict[Column, Annotated[str, Field(min_length=1)]] = {}
    """Columns with several values, and what separates them."""

    @property
    def known(self) -> set[str]:
        """All columns that the mapping may use."""
        return {self.timestamp, self.kind, *([self.id] if self.id else []), *self.columns, *self.lists}


class Value(Part):
    """A value computed once a row: a time with a fallback, or a translation of a column."""

    time: Column | None = None
    """A date or time, UTC."""
    unless: list[Column] = []
    """The time is not to be trusted when one of these is filled."""
    not_before: date | None = None
    """An earlier time is not plausible."""
    ahead: DurationMs | None = None
    """A time later than the row's timestamp plus this is not plausible."""
    map: Column | None = None
    """A column whose text is looked up in `to`."""
    to: dict[Cell, JsonValue] = {}
    otherwise: JsonValue = None
    """The time's fallback, a column; the translation of what `to` does not list."""

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if (self.time is None) == (self.map is None):
            raise ValueError("a value is either a `time` or a `map`")
        if self.map is not None and (self.unless or self.not_before or self.ahead is not None):
            raise ValueError("`unless`, `not_before` and `ahead` belong to a `time`")
        if self.time is not None and self.to:
            raise ValueError("`to` belongs to a `map`")
        return self


class RecordTemplate(Part):
    """One record: its type, and each field as a constant, a template, or a structure of these."""

    type: str
    fields: dict[str, JsonValue]


class Join(Part):
    """What other rows made, wherever in the file they stand."""

    rows: Column
    """List column with the ids of those rows."""
    records: str
    """Record type wanted from them."""
    name: Ident
    """`{name.field}` is a field of the record found; of an appeal also `case_id`, the case that it opens."""
    users: Column | None = None
    """List column: only the records of these users."""
    unmatched: Reason | None = None
    """Counts the users listed in `users` of whom there is no such record."""

    @model_validator(mode="after")
    def _together(self) -> Self:
        if self.unmatched is not None and self.users is None:
            raise ValueError("`unmatched` counts what `users` lists; it needs `users`")
        return self


class Step(Part):
    """One way to deal with a row. The first whose conditions hold, and which finds anything, is taken."""

    when: dict[Column, Cells] = {}
    """Columns that must have one of these texts."""
    given: list[Column] = []
    """Columns that must be filled."""
    missing: list[Column] = []
    """Columns that must be empty."""
    for_each: dict[Ident, Column] = {}
    """Name to list column: once for each value; with several, for each combination."""
    join: Join | None = None
    set: dict[Ident, str] = {}
    """Names for what `for_each` or `join` found, so that several rules can share a template."""
    emit: list[str] = []
    """Templates to fill, in this order."""
    skip: Reason | None = None
    """The row makes no record, for this reason."""

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if bool(self.emit) == (self.skip is not None):
            raise ValueError("a rule's step either has `emit` or `skip`")
        if self.skip is not None and (self.for_each or self.join or self.set):
            raise ValueError("a step with `skip` makes nothing: no `for_each`, `join` or `set`")
        if self.for_each and self.join is not None:
            raise ValueError("a step has `for_each` or `join`, not both")
        return self


class Mapping(Part):
    """A whole mapping."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,63}$")]
    source: Source
    values: dict[Ident, Value] = {}
    records: Annotated[dict[Ident, RecordTemplate], Field(min_length=1)]
    rules: Annotated[dict[Cell, list[Step]], Field(min_length=1)]
