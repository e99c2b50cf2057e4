"""A clock that moves only when told."""

from __future__ import annotations

START_MS = 1_767_571_200_000
"""2026-01-05 00:00 UTC."""


class ManualClock:
    """The engine's two clocks.

    Waiting moves the monotonic one only: how often a worker polls must not decide which day it is.
    """

    def __init__(self, start_ms: int = START_MS) -> None:
        self._now_ms = start_ms
        self._monotonic_us = 0

    def now_ms(self) -> int:
        """UTC milliseconds."""
        return self._now_ms

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return self._monotonic_us / 1e6

    def sleep(self, seconds: float) -> None:
        """Wait without waiting."""
        self._monotonic_us += max(1, round(seconds * 1e6))

    def advance(self, ms: int) -> None:
        """Let time pass on both clocks; a wall clock that is set back (`ms` < 0) leaves the other alone."""
        self._now_ms += ms
        self._monotonic_us += max(0, ms) * 1_000
