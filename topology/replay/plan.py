"""What a file will make, known before anything is sent: every row is mapped once to be counted, and again to be sent.

So a row that does not fit the mapping stops the replay while the topics are still untouched, and a file of any length
needs no room for its records.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from schemas.records import AppealSubmitted
from topology.replay.mapper import Made, Mapper, Tally
from topology.replay.mapping import Mapping
from topology.replay.rows import Format, read_rows
from topology.replay.times import year_of


@dataclass
class Plan:
    """A file with its mapping, and what it makes."""

    path: Path
    mapping: Mapping
    form: Format | None = None
    tally: Tally = field(default_factory=Tally)
    records: Counter[tuple[int, str]] = field(default_factory=Counter[tuple[int, str]])
    """By year of the Kafka timestamp, and type."""
    appeals: dict[str, int] = field(default_factory=dict[str, int])
    """Each appeal id, and the year in which it came first."""
    first_ms: int | None = None
    last_ms: int | None = None

    def made(self) -> Iterator[Made]:
        """All records, the same each time."""
        return self._mapper().records(read_rows(self.path, self.mapping.source, self.form))

    def survey(self) -> None:
        """Map every row and count.

        Raises:
            Misconfigured: the file cannot be read, or a row does not fit the mapping.
        """
        mapper = self._mapper()
        for at, record in mapper.records(read_rows(self.path, self.mapping.source, self.form)):
            year = year_of(at)
            self.records[year, type(record).__name__] += 1
            if isinstance(record, AppealSubmitted):
                self.appeals.setdefault(record.appeal_id, year)
            self.first_ms = at if self.first_ms is None else min(self.first_ms, at)
            self.last_ms = at if self.last_ms is None else max(self.last_ms, at)
        self.tally = mapper.tally

    def _mapper(self) -> Mapper:
        return Mapper(self.mapping, name=str(self.path))


def survey(path: Path, mapping: Mapping, form: Format | None = None) -> Plan:
    """The plan for a file.

    Raises:
        Misconfigured: the file cannot be read, or a row does not fit the mapping.
    """
    plan = Plan(path, mapping, form)
    plan.survey()
    return plan
