"""A line of the audit and where it lies."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.records import CaseEvent


@dataclass(frozen=True, slots=True)
class Place:
    """Where a record lies, as errors and headers write it."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}]@{self.offset}"


@dataclass(frozen=True, slots=True)
class Placed:
    """One record of `case.events`."""

    place: Place
    user_id: str
    """The record's key: whose chain it is in, whatever the line says of itself."""
    line: CaseEvent | None
    unreadable: str = ""
    """Why there is no line."""


@dataclass(frozen=True, slots=True)
class Head:
    """Where a user's chain ends, or how far it is whole."""

    seq: int
    hash: str | None
    """None if no line was chained yet."""
