"""How the state of all systems is compared: one user's, at one moment, as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from topology.demo.systems.restrictions import Told

Place = tuple[str, str, str]
"""Kind of target, id of target, kind of effect."""


@dataclass(frozen=True)
class View:
    """What restricts a user, what money of theirs is away, and which strikes count. Nothing that is zero or empty."""

    restrictions: dict[Place, frozenset[Told]] = field(default_factory=dict[Place, frozenset[Told]])
    money: dict[tuple[str, str], Decimal] = field(default_factory=dict[tuple[str, str], Decimal])
    """Taken or held and not given back, by enforcement and currency."""
    strikes: dict[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])
    """By system and enforcement."""

    def money_in(self, currency: str) -> Decimal:
        """All that is away in one currency."""
        return sum((value for (_, named), value in self.money.items() if named == currency), Decimal(0))

    def differences(self, other: View) -> list[str]:
        """Where the other one is not the same, a line each, in words; empty if they are equal."""
        return [
            *_differences("restricts", self.restrictions, other.restrictions),
            *_differences("money", self.money, other.money),
            *_differences("strikes", self.strikes, other.strikes),
        ]


def _differences(what: str, ours: dict, theirs: dict) -> list[str]:  # type: ignore[type-arg]
    keys = sorted(ours.keys() | theirs.keys())
    return [
        f"{what} {'/'.join(key)}: {_told(ours.get(key))}, not {_told(theirs.get(key))}"
        for key in keys
        if ours.get(key) != theirs.get(key)
    ]


def _told(value: object) -> str:
    if isinstance(value, frozenset):
        return str(sorted(value))
    return "nothing" if value is None else str(value)
