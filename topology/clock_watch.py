"""How far this machine's clock is from the clock that all workers share: that of Redis's machine.

Timers and promised times follow the machine's clock, and partitions move between machines.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any, cast

from redis.exceptions import RedisError

from topology.engine.ports import Clock

EVERY_S = 10.0
"""Between two looks."""
FRESH_S = 3 * EVERY_S
"""What was seen longer ago is not shown."""


class ClockWatch:
    """`client` is redis-py's. Redis is asked from a thread of its own: a scrape must not wait for it."""

    def __init__(self, client: Any, clock: Clock) -> None:  # noqa: ANN401 - redis-py's clients share no base
        self._client = client
        self._clock = clock
        self._seen: tuple[float, float] | None = None
        """(when, monotonic seconds; how far ahead, seconds)."""

    def start(self) -> None:
        """Look again and again, as long as the process runs."""
        threading.Thread(target=self._run, name="clock-watch", daemon=True).start()

    def look(self) -> None:
        """Compare the clocks once. Half of the way there and back is taken off, so it is wrong by less than that."""
        before = self._clock.now_ms()
        try:
            found: Any = self._client.time()
        except RedisError:  # `restore_retries_total` and `batches_failed_total` tell of it
            return
        after = self._clock.now_ms()
        # A cluster answers for each of its nodes; the one that is furthest off counts.
        times = cast("list[tuple[int, int]]", list(found.values()) if isinstance(found, dict) else [found])
        here = (before + after) / 2_000
        ahead_s = max((here - (seconds + micros / 1_000_000) for seconds, micros in times), key=abs)
        self._seen = self._clock.monotonic(), ahead_s

    def __call__(self) -> Iterator[tuple[str, float, dict[str, str]]]:
        """The figure, unless Redis has not answered for a while."""
        seen = self._seen
        if seen is not None and self._clock.monotonic() - seen[0] <= FRESH_S:
            yield "clock_ahead_seconds", seen[1], {}

    def _run(self) -> None:
        while True:
            self.look()
            self._clock.sleep(EVERY_S)
