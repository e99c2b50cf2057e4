"""Comparisons apart from workload and engine: what was lost and what was doubled are told separately."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable

from tests.driver.log import Record


def told(records: Iterable[Record]) -> list[tuple]:
    """Records by content and order in their partition; offsets differ where control records lie between."""
    return [(r.topic, r.partition, r.key, r.value, r.timestamp, r.headers) for r in records]


def assert_each_once(expected: Iterable[Hashable], found: Iterable[Hashable]) -> None:
    """Both ways: nothing lost, nothing doubled, nothing that nobody expected."""
    wanted, got = Counter(expected), Counter(found)
    lost = wanted - got
    extra = got - wanted
    doubled = {item: times for item, times in extra.items() if item in wanted}
    foreign = {item: times for item, times in extra.items() if item not in wanted}
    difference = (
        f"of {wanted.total()}: lost {lost.total()}, doubled {sum(doubled.values())}, foreign {sum(foreign.values())}\n"
        f"lost: {_few(lost)}\ndoubled: {_few(doubled)}\nforeign: {_few(foreign)}"
    )
    assert wanted == got, difference


def _few(items: dict) -> str:
    return ", ".join(f"{item!r} x{times}" for item, times in list(items.items())[:5]) or "none"
