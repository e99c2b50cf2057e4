"""What differs between two rulebooks, as `path: old -> new`: by content, so that `24h` and `1d` are the same."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import cast

import msgspec
from pydantic import BaseModel, BeforeValidator

from processors.durations import DAY_MS, HOUR_MS, MINUTE_MS, parse_duration_ms
from processors.rulebook import Rulebook

ABSENT = "(none)"
_NAMES = ("name", "band")
"""Fields by which the items of a list are told apart; a list without them goes by position."""
_UNITS = ((DAY_MS, "d"), (HOUR_MS, "h"), (MINUTE_MS, "min"), (1_000, "s"))


class BookChange(msgspec.Struct, frozen=True):
    """One difference; a part that only one of them has is told as a whole."""

    path: str
    old: str
    new: str

    @property
    def section(self) -> str:
        """The part of the rulebook in which it lies."""
        return self.path.partition(".")[0].partition("[")[0]

    def __str__(self) -> str:
        return f"{self.path}: {self.old} -> {self.new}"


def book_changes(old: Rulebook, new: Rulebook) -> list[BookChange]:
    """All differences, in the order of the sections; none exactly if the digests are equal."""
    return list(_between("", _tree(old), _tree(new)))


_Tree = str | dict[str, "_Tree"]


def _tree(value: object) -> _Tree:
    if isinstance(value, BaseModel):
        fields = type(value).model_fields
        return {
            name: _duration(given) if any(map(_is_duration, fields[name].metadata)) else _tree(given)
            for name, given in ((name, getattr(value, name)) for name in fields)
            if given is not None
        }
    if isinstance(value, Mapping):
        return {str(key): _tree(item) for key, item in cast("Mapping[object, object]", value).items()}
    if isinstance(value, tuple | list):
        return _items(cast("Iterable[object]", value))
    if isinstance(value, frozenset):
        return "[" + ", ".join(sorted(map(str, cast("Iterable[object]", value)))) + "]"
    return str(value)


def _items(values: Iterable[object]) -> _Tree:
    found = list(values)
    if not all(isinstance(item, BaseModel) for item in found):
        return "[" + ", ".join(map(str, found)) + "]"
    named: dict[str, _Tree] = {}
    for index, item in enumerate(found):
        name = next((str(getattr(item, n)) for n in _NAMES if getattr(item, n, None) is not None), str(index))
        named[f"[{name if f'[{name}]' not in named else f'{name} {index}'}]"] = _tree(item)
    return named


def _between(path: str, old: _Tree, new: _Tree) -> Iterator[BookChange]:
    if isinstance(old, str) or isinstance(new, str):
        if old != new:
            yield BookChange(path, _told(old), _told(new))
        return
    for name in [*old, *(name for name in new if name not in old)]:
        place = path + name if name.startswith("[") or not path else f"{path}.{name}"
        if name in old and name in new:
            yield from _between(place, old[name], new[name])
        else:
            yield BookChange(place, _told(old.get(name, ABSENT)), _told(new.get(name, ABSENT)))
    before, after = ([name for name in tree if name in old and name in new] for tree in (old, new))
    if before != after and any(name.startswith("[") for name in before):
        yield BookChange(f"{path} (order)", ", ".join(before), ", ".join(after))


def _told(tree: _Tree) -> str:
    if isinstance(tree, str):
        return tree
    return "{" + ", ".join(f"{name}: {_told(item)}" for name, item in tree.items()) + "}"


def _is_duration(metadata: object) -> bool:
    return isinstance(metadata, BeforeValidator) and metadata.func is parse_duration_ms


def _duration(value: object) -> str:
    if not isinstance(value, int):
        return str(value)
    size, unit = next((size, unit) for size, unit in _UNITS if value % size == 0)
    return f"{value // size}{unit}"
