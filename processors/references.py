"""What decisions take from the whole system: overturn rates and full pods, as the reference tables have them.

A handler looks at most once for each line that it writes, right before it writes it, and the line says what was seen
(`told`): so a life can be folded again from its audit alone (`of_line`), whatever the tables say by then.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from processors.on_file import Enforcement
from processors.tables import Tables
from schemas.records import OverturnRate, PodLoad
from schemas.vocabulary import Automation, Dimension


class Rate(NamedTuple):
    """How often enforcements like one were overturned in a window."""

    overturned: int
    decided: int
    window_ms: int
    until: int
    """End of the window, UTC ms."""


class Seen(NamedTuple):
    """What there was to see."""

    rate: Rate | None
    full: frozenset[str]
    """Pods that overflow."""
    backlogs: tuple[int, ...] = ()
    """How many cases of each of them waited for somebody, in the order of their names; empty: it was not said."""


NOTHING = Seen(None, frozenset())

_Slice = tuple[str, str | None, str, Automation]
"""Policy, detector, its version, and how far the enforcement was automated."""
_OVERTURNED, _DECIDED, _WINDOW, _UNTIL = "rate_overturned", "rate_decided", "rate_window_ms", "rate_until"
_FULL, _BACKLOGS = "full_pods", "full_backlogs"


class _Load(NamedTuple):
    """Of a pod that overflows."""

    backlog: int
    until: int
    """Up to when that may be believed, UTC ms."""


_NONE_FULL: tuple[frozenset[str], tuple[int, ...], int] = (frozenset(), (), 0)


def _overflowing(full: Mapping[str, _Load]) -> tuple[frozenset[str], tuple[int, ...], int]:
    """The pods, their backlogs in the order of their names, and up to when all of it may be believed."""
    if not full:
        return _NONE_FULL
    return frozenset(full), tuple(full[pod].backlog for pod in sorted(full)), min(load.until for load in full.values())


class References:
    """The newest values by key. They change between batches only; within one, every event sees the same."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._rates: dict[_Slice, dict[int, Rate]] = {}
        """By slice and length of the window, UTC ms."""
        self._rate_ids: dict[str, tuple[_Slice, int]] = {}
        self._full: dict[str, _Load] = {}
        """Pods that overflow."""
        self._overflowing = _NONE_FULL

    def look(self, e: Enforcement, now: int) -> Seen:
        """What is known for a decision about this enforcement."""
        by_window = self._rates.get((e.policy, e.detector, e.detector_version, e.automation))
        full, backlogs, until = self._overflowing
        if by_window is None and not full:
            return NOTHING
        if full and now > until:
            full, backlogs, _ = _overflowing({pod: load for pod, load in self._full.items() if now <= load.until})
        return Seen(None if by_window is None else self._choose(by_window, now), full, backlogs)

    def set_rate(self, rate_id: str, record: OverturnRate | None) -> None:
        """The newest rate of this id; None: there is none any more."""
        known = self._rate_ids.pop(rate_id, None)
        if known is not None:
            about, window_ms = known
            del self._rates[about][window_ms]
            if not self._rates[about]:
                del self._rates[about]
        if record is None or record.dimension is not Dimension.DETECTOR:
            return
        window_ms = record.window_s * 1_000
        if record.policy is None or record.automation is None or window_ms not in self._tables.rate_windows_ms:
            return
        name, version = (None, "") if record.detector is None else (record.detector.name, record.detector.version)
        about = (record.policy, name, version, record.automation)
        rate = Rate(min(record.overturned, record.decided), record.decided, window_ms, record.window_end)
        self._rates.setdefault(about, {})[window_ms] = rate
        self._rate_ids[rate_id] = (about, window_ms)

    def set_load(self, pod: str, record: PodLoad | None) -> None:
        """The newest load of this pod; None: there is none any more."""
        self._full.pop(pod, None)
        marks = self._tables.overflow.get(pod)
        if record is not None and record.overflowing and marks is not None:
            self._full[pod] = _Load(record.open - record.waiting, record.observed_at + marks.fresh_ms)
        self._overflowing = _overflowing(self._full)

    def __len__(self) -> int:
        """Values that a decision could take."""
        return len(self._rate_ids) + len(self._full)

    def _choose(self, by_window: Mapping[int, Rate], now: int) -> Rate | None:
        """The shortest window in which enough was decided; else the longest in which anything was.

        One that ended longer ago than it is long is passed over: nobody has counted since.
        """
        found = None
        for window_ms in self._tables.rate_windows_ms:
            rate = by_window.get(window_ms)
            if rate is None or not rate.decided or now > rate.until + window_ms:
                continue
            if rate.decided >= self._tables.rate_enough:
                return rate
            found = rate
        return found


def told(seen: Seen) -> dict[str, str]:
    """What a line says of what was seen; nothing if nothing was."""
    rate, full, backlogs = seen
    if rate is None and not full:
        return {}
    return dict(_texts(rate, full, backlogs))


@lru_cache(maxsize=4096)  # the same few values are seen by very many appeals
def _texts(rate: Rate | None, full: frozenset[str], backlogs: tuple[int, ...]) -> dict[str, str]:
    saw: dict[str, str] = {}
    if rate is not None:
        saw = {
            _OVERTURNED: str(rate.overturned),
            _DECIDED: str(rate.decided),
            _WINDOW: str(rate.window_ms),
            _UNTIL: str(rate.until),
        }
    if full:
        saw[_FULL] = ",".join(sorted(full))
    if backlogs:
        saw[_BACKLOGS] = ",".join(map(str, backlogs))
    return saw


def of_line(saw: Mapping[str, str]) -> Seen:
    """What was seen, by what a line says."""
    rate = None
    if _DECIDED in saw:
        rate = Rate(int(saw[_OVERTURNED]), int(saw[_DECIDED]), int(saw[_WINDOW]), int(saw[_UNTIL]))
    full, backlogs = saw.get(_FULL), saw.get(_BACKLOGS)
    if rate is None and full is None:
        return NOTHING
    return Seen(
        rate,
        frozenset(full.split(",") if full else ()),
        tuple(map(int, backlogs.split(","))) if backlogs else (),  # lines from before they were told have none
    )
