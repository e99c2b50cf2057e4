"""The values of a row: what `values` of a mapping says, compiled."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, time
from typing import Any

from topology.replay.mapping import Mapping, Value
from topology.replay.times import parse_ms

Cells = dict[str, Any]
Compute = Callable[[Cells, int], Any]
"""(columns, the row's timestamp UTC ms) to the value."""


class UnmappableError(ValueError):
    """A row does not fit the mapping; says which column and why."""


def compile_values(mapping: Mapping) -> list[tuple[str, Compute]]:
    """Name and function of each value, in the mapping's order."""
    return [
        (name, _translation(name, value) if value.map is not None else _time(name, value))
        for name, value in mapping.values.items()
    ]


def _translation(name: str, value: Value) -> Compute:
    column, to, otherwise = value.map or "", value.to, value.otherwise
    total = "otherwise" in value.model_fields_set

    def translate(cells: Cells, _timestamp: int) -> Any:  # noqa: ANN401 - whatever the mapping says
        text = cells[column]
        if text in to:
            return to[text]
        if total:
            return otherwise
        raise UnmappableError(f"{column} is {text!r}, which value {name!r} does not translate, nor has it `otherwise`")

    return translate


def _time(name: str, value: Value) -> Compute:
    column, fallback = value.time or "", str(value.otherwise)
    earliest = 0
    if value.not_before is not None:
        earliest = int(datetime.combine(value.not_before, time(), UTC).timestamp() * 1000)

    def when(cells: Cells, timestamp: int) -> int:
        at = parse_ms(cells[column])
        latest = None if value.ahead is None else timestamp + value.ahead
        trusted = not any(cells[other] for other in value.unless)
        if trusted and at is not None and at >= earliest and (latest is None or at <= latest):
            return at
        instead = parse_ms(cells[fallback])
        if instead is None:
            raise UnmappableError(f"{fallback} is {cells[fallback]!r}, which is no time that value {name!r} can take")
        return instead

    return when
