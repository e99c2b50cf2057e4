"""A reporting period: whole UTC days, both ends included, written as the template writes it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property

from topology.engine.errors import Misconfigured

_FIRST_YEAR, _LAST_YEAR = 1970, 9998


@dataclass(frozen=True)
class Period:
    """From the first day to the last."""

    first: date
    last: date

    def __str__(self) -> str:
        return f"{self.first}/{self.last}"

    @cached_property
    def start_ms(self) -> int:
        """The first moment, UTC ms."""
        return _midnight_ms(self.first)

    @cached_property
    def end_ms(self) -> int:
        """The first moment after it, UTC ms."""
        return _midnight_ms(self.last + timedelta(days=1))

    def holds(self, at: int) -> bool:
        """Whether a moment (UTC ms) is in it."""
        return self.start_ms <= at < self.end_ms


def parse_period(year: int | None, period: str | None) -> Period:
    """From ``--year 2026``, or ``--period 2026-01-01/2026-06-30`` as very large platforms report.

    Raises:
        Misconfigured: neither or both are given, or it is no period.
    """
    if (year is None) == (period is None):
        raise Misconfigured("say which time: --year 2026, or --period 2026-01-01/2026-06-30")
    if year is not None:
        if not _FIRST_YEAR <= year <= _LAST_YEAR:
            raise Misconfigured(f"--year {year}: a year from {_FIRST_YEAR} to {_LAST_YEAR}")
        return Period(date(year, 1, 1), date(year, 12, 31))
    first, _, last = (period or "").partition("/")
    try:
        found = Period(date.fromisoformat(first), date.fromisoformat(last))
    except ValueError as exc:
        raise Misconfigured(f"--period {period}: two days as in 2026-01-01/2026-06-30 ({exc})") from exc
    if found.last < found.first or found.first.year < _FIRST_YEAR or found.last.year > _LAST_YEAR:
        raise Misconfigured(f"--period {period}: the last day is before the first, or the years are out of range")
    return found


def _midnight_ms(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1000
