"""Times as the report writes them."""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction

_HOUR_MS = 3_600_000


def hours(value_ms: Fraction) -> str:
    """Milliseconds, not negative, as hours: rounded once, from the exact value, to a hundredth (36 s)."""
    hundredths = round(value_ms * 100 / _HOUR_MS)
    return f"{hundredths // 100}.{hundredths % 100:02d}"


def moment(at_ms: int | None) -> str:
    """A moment in UTC, to the second; empty if there is none."""
    return "" if at_ms is None else datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
