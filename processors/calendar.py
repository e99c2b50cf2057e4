"""Working time: the hours, time zone and holidays of a pod, and sums of time by them.

All times are UTC ms. Time zones come from the `tzdata` package, never from the machine, so that the same due time
comes out everywhere; a change of the package is a change like one of the code.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from importlib import resources
from zoneinfo import ZoneInfo

from processors.durations import MINUTE_MS

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MAX_DAYS = 3_660
"""How far ahead a sum of working time looks: ten years."""

_SPAN = re.compile(r"([01]\d|2[0-4]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)")
_DAY_MINUTES = 24 * 60
_EPOCH = date(1970, 1, 1)

Spans = tuple[tuple[int, int], ...]
"""Openings and closings of one day: minutes after midnight by the wall, or UTC ms."""


class UnknownZoneError(ValueError):
    """No time zone has this name."""


@cache
def load_zone(name: str) -> ZoneInfo:
    """The IANA time zone of this name; `UnknownZoneError` if there is none."""
    if re.fullmatch(r"[A-Za-z0-9_+\-]+(/[A-Za-z0-9_+\-]+)*", name):
        file = resources.files("tzdata").joinpath("zoneinfo", *name.split("/"))
        if file.is_file():
            with file.open("rb") as data:
                return ZoneInfo.from_file(data, key=name)
    raise UnknownZoneError(f"no time zone is called {name!r}; use an IANA name such as Europe/Berlin")


def parse_hours(span: str) -> tuple[int, int]:
    """Opening and closing in minutes after midnight of e.g. ``09:00-17:30``; `ValueError` for anything else."""
    match = _SPAN.fullmatch(span)
    opens, closes = (int(match[1]) * 60 + int(match[2]), int(match[3]) * 60 + int(match[4])) if match else (0, 0)
    if not 0 <= opens < closes <= _DAY_MINUTES:
        raise ValueError(f"{span!r} is no span of a day; write e.g. 09:00-17:30, at most to 24:00")
    return opens, closes


class Calendar:
    """When a pod works. Sums by it are exact to the millisecond, over daylight-saving changes too."""

    def __init__(self, zone: str, week: Mapping[str, Iterable[str]], holidays: Iterable[date] = ()) -> None:
        self._zone = load_zone(zone)
        self._week: tuple[Spans, ...] = tuple(tuple(parse_hours(s) for s in week.get(day, ())) for day in WEEKDAYS)
        self._holidays = frozenset(holidays)
        self._days: dict[int, Spans] = {}
        """By day (since 1970, by the wall): what `_spans` has worked out."""
        if not any(self._week):
            raise ValueError("a calendar without any hours")

    def add(self, start: int, working_ms: int) -> int:
        """The time at which `working_ms` have been worked since `start`; not past ten years from then."""
        if working_ms <= 0:
            return start
        left = working_ms
        first = self._day_of(start)
        for day in range(first, first + MAX_DAYS):
            for opens, closes in self._spans(day):
                begin = max(opens, start)
                if begin >= closes:
                    continue
                if closes - begin >= left:
                    return begin + left
                left -= closes - begin
        return start + MAX_DAYS * _DAY_MINUTES * MINUTE_MS

    def between(self, start: int, end: int) -> int:
        """Working ms from `start` to `end`; 0 if the end comes first."""
        if end <= start:
            return 0
        total = 0
        for day in range(self._day_of(start), self._day_of(end) + 1):
            for opens, closes in self._spans(day):
                total += max(0, min(closes, end) - max(opens, start))
        return total

    def _day_of(self, at: int) -> int:
        wall = datetime.fromtimestamp(at / 1000, UTC).astimezone(self._zone)
        return (wall.date() - _EPOCH).days

    def _spans(self, day: int) -> Spans:
        found = self._days.get(day)
        if found is None:
            found = self._days[day] = self._work_out(_EPOCH + timedelta(days=day))
        return found

    def _work_out(self, day: date) -> Spans:
        if day in self._holidays:
            return ()
        spans = self._week[day.weekday()]
        return tuple((self._utc_ms(day, opens), self._utc_ms(day, closes)) for opens, closes in spans)

    def _utc_ms(self, day: date, minutes: int) -> int:
        """A time on the wall; one that the change to summer time skips comes as much later as the clock jumps."""
        whole, rest = divmod(minutes, _DAY_MINUTES)
        wall = datetime.combine(day + timedelta(days=whole), time(rest // 60, rest % 60), self._zone)
        return int(wall.timestamp()) * 1000


class Always:
    """The calendar of a pod that works around the clock."""

    def add(self, start: int, working_ms: int) -> int:
        """See `Calendar.add`."""
        return start + max(0, working_ms)

    def between(self, start: int, end: int) -> int:
        """See `Calendar.between`."""
        return max(0, end - start)


ALWAYS = Always()
WorkingTime = Calendar | Always
