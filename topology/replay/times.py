"""Times as files have them: ISO 8601, or milliseconds; without a zone they are UTC."""

from __future__ import annotations

from datetime import UTC, datetime

_EARLIEST_MS = 0
_LATEST_MS = 4_102_444_800_000  # 2100-01-01


def parse_ms(text: str) -> int | None:
    """UTC milliseconds, or None for what is no time between 1970 and 2100."""
    if text.isascii() and text.isdigit() and len(text) > 8:  # noqa: PLR2004 - 20240131 is a date
        at = int(text[:20])
    else:
        try:
            parsed = datetime.fromisoformat(text)
        except ValueError:
            return None
        at = int((parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp() * 1000)
    return at if _EARLIEST_MS <= at < _LATEST_MS else None


def year_of(at_ms: int) -> int:
    """The UTC year."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).year
