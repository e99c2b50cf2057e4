"""Amounts as people read them: exact, without the zeros that the wire's four digits add."""

from __future__ import annotations

from decimal import Decimal

_AT_LEAST = 2


def exact(value: Decimal) -> str:
    """At least two digits after the point, and as many as the value has."""
    whole, _, rest = f"{value:f}".partition(".")
    return f"{whole}.{rest.rstrip('0').ljust(_AT_LEAST, '0')}"
