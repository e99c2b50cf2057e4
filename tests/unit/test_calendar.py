"""Working time: exact over nights, weekends, holidays and both changes of the clock."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from processors.calendar import ALWAYS, MAX_DAYS, WEEKDAYS, Calendar, UnknownZoneError, load_zone, parse_hours
from tests.unit.builders import DAY, HOUR, MINUTE

BERLIN = "Europe/Berlin"
OFFICE = {day: ["09:00-17:00"] for day in WEEKDAYS[:5]}
ZONES = (
    BERLIN,
    "UTC",
    "America/New_York",
    "Asia/Kathmandu",  # + 5:45
    "Australia/Lord_Howe",  # changes by half an hour
    "Africa/Cairo",  # changes at midnight
    "America/Nuuk",  # changes in the last hour of the day
    "Pacific/Apia",  # left out a whole day in 2011
)


def at(text: str, zone: str = BERLIN) -> int:
    """UTC ms of a time on the wall."""
    return int(datetime.fromisoformat(text).replace(tzinfo=load_zone(zone)).timestamp()) * 1000


def wall(ms: int, zone: str = BERLIN) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).astimezone(load_zone(zone)).strftime("%Y-%m-%dT%H:%M")


def office(*holidays: str) -> Calendar:
    return Calendar(BERLIN, OFFICE, [date.fromisoformat(day) for day in holidays])


def test_pod_without_hours_works_around_the_clock() -> None:
    assert ALWAYS.add(5, 7) == 12
    assert ALWAYS.between(5, 12) == 7
    assert (ALWAYS.add(5, -1), ALWAYS.between(12, 5)) == (5, 0)


@pytest.mark.parametrize(
    ("start", "hours", "end"),
    [
        ("2026-06-01T10:00", 3, "2026-06-01T13:00"),
        ("2026-06-01T07:00", 1, "2026-06-01T10:00"),  # before opening
        ("2026-06-01T10:00", 7, "2026-06-01T17:00"),  # exactly to closing, not to the next opening
        ("2026-06-01T10:00", 8, "2026-06-02T10:00"),  # over night
        ("2026-06-05T16:00", 2, "2026-06-08T10:00"),  # over a weekend
        ("2026-06-06T12:00", 1, "2026-06-08T10:00"),  # handed in on one
        ("2026-06-01T17:00", 1, "2026-06-02T10:00"),  # right at closing
        ("2026-06-01T09:00", 40, "2026-06-05T17:00"),  # a whole week
        ("2026-06-01T09:00", 41, "2026-06-08T10:00"),
    ],
)
def test_working_hours_are_added_over_nights_and_weekends(start: str, hours: int, end: str) -> None:
    assert wall(office().add(at(start), hours * HOUR)) == end
    assert office().between(at(start), at(end)) == hours * HOUR


def test_holiday_is_no_working_day() -> None:
    calendar = office("2026-06-04")
    assert wall(calendar.add(at("2026-06-03T16:00"), 2 * HOUR)) == "2026-06-05T10:00"
    assert calendar.between(at("2026-06-04T00:00"), at("2026-06-05T00:00")) == 0


def test_to_the_millisecond() -> None:
    calendar, closing = office(), at("2026-06-01T17:00")
    assert calendar.add(closing - 1, 1) == closing
    assert calendar.add(closing - 1, 2) == at("2026-06-02T09:00") + 1
    assert calendar.between(closing - 1, closing + 5) == 1


def test_several_spans_a_day() -> None:
    calendar = Calendar(BERLIN, {"mon": ["09:00-12:00", "13:00-17:00"]})
    assert wall(calendar.add(at("2026-06-01T11:00"), 2 * HOUR)) == "2026-06-01T14:00"
    assert wall(calendar.add(at("2026-06-01T12:30"), HOUR)) == "2026-06-01T14:00"


def test_hours_to_midnight_run_on_into_the_next_day() -> None:
    calendar = Calendar(BERLIN, {"mon": ["22:00-24:00"], "tue": ["00:00-02:00"]})
    start = at("2026-06-01T23:00")
    assert wall(calendar.add(start, HOUR)) == "2026-06-02T00:00"
    assert wall(calendar.add(start, 2 * HOUR)) == "2026-06-02T01:00"
    assert calendar.between(at("2026-06-01T00:00"), at("2026-06-03T00:00")) == 4 * HOUR


@pytest.mark.parametrize(
    ("day", "real"), [("2026-03-29", 7 * HOUR), ("2026-10-25", 9 * HOUR), ("2026-06-07", 8 * HOUR)]
)
def test_night_on_which_the_clock_changes_is_shorter_or_longer(day: str, real: int) -> None:
    calendar = Calendar(BERLIN, {"sun": ["00:00-08:00"]})
    assert calendar.between(at(f"{day}T00:00"), at(f"{day}T23:00")) == real
    assert calendar.add(at(f"{day}T00:00"), real) == at(f"{day}T08:00")


def test_office_hours_stay_on_the_wall_when_the_clock_changes() -> None:
    for friday, monday in (("2026-03-27", "2026-03-30"), ("2026-10-23", "2026-10-26")):
        assert wall(office().add(at(f"{friday}T16:00"), 2 * HOUR)) == f"{monday}T10:00"
    days = at("2026-03-30T09:00") - at("2026-03-27T09:00")
    assert days == 3 * DAY - HOUR, "the clock has changed"


@pytest.mark.parametrize(
    ("spans", "real"),
    [
        (["02:30-05:00"], 2 * HOUR),  # 03:00, when the wall first shows a time of the span, to 05:00
        (["01:00-02:30"], HOUR),
        (["02:15-02:45"], 0),  # the wall never shows any of it
        (["02:00-02:45", "03:00-04:00"], HOUR),  # no minute is worked twice
    ],
)
def test_hour_that_the_wall_skips_is_nobodys_working_time(spans: list[str], real: int) -> None:
    calendar = Calendar(BERLIN, {"sun": spans})
    assert calendar.between(at("2026-03-29T00:00"), at("2026-03-30T00:00")) == real
    assert calendar.between(at("2026-03-22T00:00"), at("2026-03-23T00:00")) > real


def test_day_that_a_country_left_out_is_nobodys_working_time() -> None:
    zone = "Pacific/Apia"  # 2011-12-29 was followed by 2011-12-31
    calendar = Calendar(zone, {day: ["09:00-17:00"] for day in WEEKDAYS})
    assert calendar.between(at("2011-12-29T00:00", zone), at("2012-01-01T00:00", zone)) == 2 * 8 * HOUR


def test_sum_does_not_look_further_than_ten_years() -> None:
    start = at("2026-06-01T10:00")
    assert Calendar(BERLIN, {"mon": ["09:00-09:01"]}).add(start, 900 * MINUTE) == start + MAX_DAYS * DAY


@pytest.mark.parametrize("name", ["Europe/Berln", "europe/berlin/", "../UTC", "/etc/passwd", "", "CEST+", "Europe"])
def test_unknown_zone_is_named(name: str) -> None:
    with pytest.raises(UnknownZoneError, match="no time zone is called"):
        load_zone(name)


@pytest.mark.parametrize(
    "text", ["9:00-17:00", "09:00", "17:00-09:00", "09:00-09:00", "22:00-24:30", "25:00-26:00", ""]
)
def test_span_that_is_none_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="is no span of a day"):
        parse_hours(text)


def test_calendar_without_hours_is_refused() -> None:
    with pytest.raises(ValueError, match="without any hours"):
        Calendar(BERLIN, {"mon": []})


# --- any calendar ---------------------------------------------------------------------------------------------

_minute = st.integers(0, 24 * 60)


@st.composite
def _spans(draw: st.DrawFn) -> list[str]:
    edges = sorted(draw(st.sets(_minute, max_size=6)))
    pairs = zip(edges[::2], edges[1::2], strict=False)
    return [f"{a // 60:02}:{a % 60:02}-{b // 60:02}:{b % 60:02}" for a, b in pairs]


@st.composite
def _calendars(draw: st.DrawFn) -> Calendar:
    week = {day: draw(_spans()) for day in WEEKDAYS}
    assume(any(week.values()))
    holidays = draw(st.sets(st.dates(date(2025, 1, 1), date(2027, 1, 1)), max_size=5))
    return Calendar(draw(st.sampled_from(ZONES)), week, holidays)


def _near(zone_change: str) -> st.SearchStrategy[int]:
    return st.integers(-4 * DAY, 4 * DAY).map(lambda ms: at(zone_change, "UTC") + ms)


_times = st.one_of(
    st.integers(at("2025-01-01T00:00"), at("2027-01-01T00:00")),
    *map(_near, ("2026-03-08", "2026-03-29", "2026-04-24", "2026-10-04", "2026-10-25", "2026-10-29", "2011-12-30")),
)
_work = st.integers(0, 300 * HOUR)


@given(calendar=_calendars(), start=_times, work=_work)
@settings(max_examples=400, deadline=None)
def test_add_and_between_are_inverse(calendar: Calendar, start: int, work: int) -> None:
    end = calendar.add(start, work)
    assume(end < start + MAX_DAYS * DAY)
    assert end >= start
    assert calendar.between(start, end) == work


@given(calendar=_calendars(), start=_times, parts=st.tuples(_work, _work))
@settings(max_examples=200, deadline=None)
def test_add_is_additive_and_monotone(calendar: Calendar, start: int, parts: tuple[int, int]) -> None:
    first, second = parts
    whole = calendar.add(start, first + second)
    assume(whole < start + MAX_DAYS * DAY)
    assert calendar.add(calendar.add(start, first), second) == whole
    assert calendar.add(start, first) <= whole
    assert calendar.add(start + first, second) >= calendar.add(start, second)


@given(calendar=_calendars(), times=st.lists(_times, min_size=3, max_size=3))
@settings(max_examples=200, deadline=None)
def test_between_is_additive_and_never_more_than_the_time_that_passes(calendar: Calendar, times: list[int]) -> None:
    a, b, c = sorted(times)
    assume(c - a < 400 * DAY)
    assert calendar.between(a, b) + calendar.between(b, c) == calendar.between(a, c)
    assert 0 <= calendar.between(a, c) <= c - a
    assert calendar.between(c, a) == 0
