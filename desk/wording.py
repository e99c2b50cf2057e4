"""What the desk says, in English and German: one file a language, looked up by key."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from importlib import resources
from typing import Any, Final, cast

import yaml

from desk.identity import Role

LANGUAGES: Final = ("en", "de")
DAY_MS, HOUR_MS, MINUTE_MS = 86_400_000, 3_600_000, 60_000
_LADDER: Final = ((DAY_MS, "d"), (HOUR_MS, "h"), (MINUTE_MS, "min"))


class Words:
    """One language."""

    def __init__(self, language: str, texts: Mapping[str, str]) -> None:
        self.language = language
        self.texts = texts

    def __call__(self, key: str, **values: object) -> str:
        """The text of a key, with these values in it.

        Raises:
            KeyError: there is no such text; a test looks for each that templates ask for.
        """
        return self.texts[key].format_map(values)

    def label(self, value: StrEnum | None) -> str:
        """What a symbol of the vocabulary is called; the symbol itself, legibly, if it has no name here."""
        if value is None:
            return self("none")
        return self.code(type(value).__name__, value.value)

    def code(self, kind: str, value: str) -> str:
        """The same for a code from a closed list that is no enumeration on the wire."""
        found = self.texts.get(f"{kind}.{value}")
        return value.replace("_", " ").strip().lower() if found is None else found

    def span(self, ms: int) -> str:
        """How long, in its two largest units."""
        left = abs(ms)
        parts: list[str] = []
        for unit, name in _LADDER:
            count, left = divmod(left, unit)
            if count or (name == "min" and not parts):
                parts.append(f"{count} {self(f'unit.{name}')}")
            elif parts:
                break
        return " ".join(parts[:2])

    def clock(self, until_ms: int, now_ms: int) -> str:
        """How long there is still, or how long it has been over."""
        left = until_ms - now_ms
        return self("clock.left" if left >= 0 else "clock.over", span=self.span(left))


@cache
def words(language: str) -> Words:
    """The texts of a language; English for one that there is none of."""
    chosen = language if language in LANGUAGES else LANGUAGES[0]
    source = resources.files("desk").joinpath("wording", f"{chosen}.yaml").read_text(encoding="utf-8")
    return Words(chosen, dict(_flat(cast("dict[str, Any]", yaml.load(source, yaml.CSafeLoader)), "")))


def preferred(header: str) -> str:
    """The language that a browser would rather have (`Accept-Language`)."""
    wanted: list[tuple[float, int, str]] = []
    for number, each in enumerate(header.split(",")[:20]):
        name, _, rest = each.strip().partition(";")
        weight = rest.strip().removeprefix("q=") if rest else "1"
        if weight.replace(".", "", 1).isdigit():
            wanted.append((-float(weight), number, name.partition("-")[0].lower()))
    return next((name for _, _, name in sorted(wanted) if name in LANGUAGES), LANGUAGES[0])


def roles_of(told: Words, roles: frozenset[Role]) -> str:
    """Roles as a list."""
    return ", ".join(told.label(role) for role in Role if role in roles)


def _flat(tree: Mapping[str, Any], path: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for key, value in tree.items():
        where = f"{path}.{key}" if path else str(key)
        if isinstance(value, dict):
            found += _flat(cast("dict[str, Any]", value), where)
        else:
            found.append((where, str(value)))
    return found
