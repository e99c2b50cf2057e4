"""Durations as people write them: a whole number and ``s``, ``min``, ``h`` or ``d``."""

import re

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS

_UNITS_MS = {"s": 1_000, "min": MINUTE_MS, "h": HOUR_MS, "d": DAY_MS}
_DURATION = re.compile(r"(\d{1,6})\s?(s|min|h|d)")


def written(duration_ms: int) -> str:
    """A duration as people write it, in the largest unit that it is whole in; whole seconds."""
    unit = next(unit for unit in reversed(_UNITS_MS) if duration_ms % _UNITS_MS[unit] == 0)
    return f"{duration_ms // _UNITS_MS[unit]}{unit}"


def parse_duration_ms(value: object) -> int:
    """Milliseconds of e.g. ``"30min"``; `ValueError` for anything else, a bare number included."""
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{value!r} is no duration; write a whole number and s, min, h or d, e.g. 14d")
    return int(match[1]) * _UNITS_MS[match[2]]
