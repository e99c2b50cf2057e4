"""What was granted, counted from the outputs alone, against each partition's share and the engine's own record."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from tests.driver import Driver
from tests.topology.ledger import OUT
from topology.engine.allowance import KEY
from topology.engine.state import DUE_BYTES

DAY_MS = 24 * 60 * 60 * 1_000


class Answer(NamedTuple):
    """One answer that a reader of the outputs sees."""

    partition: int
    day: int
    name: str
    granted: bool


def answers(outputs: Iterable[tuple[int, bytes | None]]) -> list[Answer]:
    """All answers in (partition, value) of outputs, in their order."""
    found: list[Answer] = []
    for partition, value in outputs:
        event = json.loads(value or b"{}")
        day = event.get("now", event.get("timer", 0)) // DAY_MS
        found += [Answer(partition, day, name, granted) for name, granted in event.get("granted", {}).items()]
    return found


def told(driver: Driver) -> list[Answer]:
    """The answers of a driver's run."""
    return answers((record.partition, record.value) for record in driver.read(OUT))


def dealt(limit: int, partitions: int) -> list[int]:
    """The shares, dealt out one by one as cards are."""
    shares = [0] * partitions
    for unit in range(limit):
        shares[unit % partitions] += 1
    return shares


def assert_never_more(found: Iterable[Answer], limits: Mapping[str, int]) -> None:
    """On no day more than the limit."""
    given = Counter((a.day, a.name) for a in found if a.granted)
    assert all(units <= limits[name] for (_, name), units in given.items()), given


def assert_spent(
    found: list[Answer], records: Mapping[int, bytes | None], limits: Mapping[str, int], partitions: int
) -> None:
    """Each partition gave what it was asked for, first come first served, up to its share, and has counted right."""
    assert_never_more(found, limits)
    asked = Counter((a.partition, a.day, a.name) for a in found)
    given = Counter((a.partition, a.day, a.name) for a in found if a.granted)
    for (partition, day, name), times in asked.items():
        share = dealt(limits[name], partitions)[partition]
        assert given[partition, day, name] == min(times, share), f"{name} in partition {partition} on day {day}"
        order = [a.granted for a in found if a[:3] == (partition, day, name)]
        assert order == sorted(order, reverse=True), "given after it was refused"
    last = {p: max(day for q, day, _ in given if q == p) for p, _, _ in given}
    expected = {
        p: {"day": day, "spent": {name: n for (q, d, name), n in given.items() if (q, d) == (p, day)}}
        for p, day in last.items()
    }
    assert {p: record(raw) for p, raw in records.items()} == expected


def assert_all_spent_right(driver: Driver, limits: Mapping[str, int]) -> None:
    """`assert_spent` for a driver's run; the states count the same, and the store holds what the changelog holds."""
    shared = driver.shared()
    assert all(key == KEY for _, key in shared)
    assert_spent(told(driver), {p: raw for (p, _), raw in shared.items()}, limits, driver.partitions)
    assert driver.stored_shared() == shared
    units: Counter[str] = Counter()
    for output in driver.read(OUT):
        units[(output.key or b"").decode()] += sum(json.loads(output.value or b"{}").get("granted", {}).values())
    states = driver.states()
    assert {name: state.granted for name, state in states.items() if state.granted} == +units
    assert driver.stored_states() == states


def record(raw: bytes | None) -> dict[str, Any]:
    """What a partition's record says."""
    assert raw is not None
    return json.loads(raw[DUE_BYTES:])
