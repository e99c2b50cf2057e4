"""A flood of timers by stream time: each fires once, in the order of (due, key), whatever the batches.

100,000 of them; `TIMERS=1000000` for as many as one likes. Memory is bounded by the states, not by the timers fired.
"""

import os
import random
import resource
import struct
from collections.abc import Iterator

from tests.driver import START_MS, Driver
from topology.engine.definition import ClockKind, FoldApp, FoldContext

TIMERS = int(os.environ.get("TIMERS", "100000"))
KEYS = 5_000
WINDOW_MS = 6 * 3_600_000
"""All timers are due within this, so that many are due at the same moment."""
_MB_MORE = 700
"""What the run may take beyond what was taken before it, at a million timers."""


class Alarms:
    """A key's timers: the next is derived from how many have fired."""

    def __init__(self, name: str, fired: int = -1) -> None:
        self.name = name
        self.fired = fired
        """-1: none is armed."""


def dues(name: str, count: int) -> list[int]:
    """UTC ms at which a key's timers are due, earliest first, none twice."""
    rng = random.Random(name)
    return sorted(START_MS + at for at in rng.sample(range(1, WINDOW_MS), count))


class Watch:
    """The application, and what it saw fire: compared as it comes, so that nothing is kept."""

    def __init__(self, expected: Iterator[tuple[int, str]], table: dict[str, list[int]]) -> None:
        self.fired = 0
        self.wrong: str | None = None
        """The first that was out of turn."""
        self._expected = expected
        self._table = table

    def app(self) -> FoldApp[Alarms]:
        return FoldApp(
            name="alarms",
            inputs=("armed", "ticks"),
            changelog="alarms.changelog",
            dead_letters=lambda topic: f"{topic}.dlq",
            decode=lambda _topic, _key, value: value,
            new_state=Alarms,
            encode_state=lambda alarms: struct.pack(">i", alarms.fired) + alarms.name.encode(),
            decode_state=lambda raw: Alarms(raw[4:].decode(), struct.unpack(">i", raw[:4])[0]),
            handle=self._handle,
            encode=lambda topic, record: (topic, record),
            next_due=self._next_due,
            timer=lambda _key, now: now,
        )

    def _handle(self, alarms: Alarms, event: bytes | int, ctx: FoldContext) -> None:
        if isinstance(event, int):
            turn = next(self._expected, None)
            if self.wrong is None and (event, ctx.now, alarms.name) != (ctx.now, *(turn or ())):
                self.wrong = f"number {self.fired}: {alarms.name} at {ctx.now} fired, {turn} was to fire"
            self.fired += 1
            alarms.fired += 1
        elif event == b"arm":
            alarms.fired = 0

    def _next_due(self, alarms: Alarms) -> int | None:
        mine = self._table.get(alarms.name, [])
        return mine[alarms.fired] if 0 <= alarms.fired < len(mine) else None


def test_a_flood_of_timers_fires_in_order_across_batches():
    each = TIMERS // KEYS
    table = {f"user-{n}": dues(f"user-{n}", each) for n in range(KEYS)}
    ordered = sorted((due, name) for name, mine in table.items() for due in mine)
    began_mb = _peak_mb()
    watch = Watch(iter(ordered), table)
    driver = Driver(
        watch.app(),
        partitions=1,
        clock=ClockKind.STREAM,
        batch_records=1_000,
        batch_timers=3_000,
        timers_window=1_000,
        cached_states=2_000,
    )
    for name in table:
        driver.send("armed", name, b"arm", at=START_MS)
    for hour in range(1, 7):
        driver.send("ticks", "clock", b"tick", at=START_MS + hour * 3_600_000)
        driver.run()
        driver.broker.log("alarms.changelog", 0).compact()

    assert watch.wrong is None
    assert watch.fired == each * KEYS
    assert driver.dead_letters() == []
    assert all(state.fired == each for name, state in driver.states().items() if name != "clock")
    assert len(driver.stored_states()) == KEYS + 1
    assert _peak_mb() - began_mb < _MB_MORE


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
