"""Texts with a word in each that is nowhere else, so that one can look for them where they must be gone."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Any

import msgspec

from schemas.records import DirectiveAcked, Effect, Record

_WORD = re.compile(rb"~(u-\d+)\.([ts])\d+~")
"""Whose it is; `t`: a text about the user, `s`: what one system says to another, of use while a reversal runs."""
_TEXTS = frozenset(
    {"statement_ref", "statement_sealed", "ref", "sealed", "facts_ref", "mandate_ref", "note_ref", "reasons_ref"}
    | {"guidance_ref", "reason", "detail"}
)
"""Fields that hold words, or say where words lie."""
_ADDED = frozenset({"facts_ref", "note_ref", "sealed", "detail"})
"""Those that change nothing but what is carried along: there is one in every record that can have it."""
_PARTS = frozenset({"evidence", "effects"})


def planted(record: Record, fresh: Callable[[str], str]) -> Record:
    """The same record, each of its texts with a word of its own. `fresh` makes ids that nothing else has."""
    user: str = record.user_id  # type: ignore[attr-defined]

    def word(kind: str) -> str:
        return f"~{user}.{kind}{fresh('word').rpartition('-')[2]}~"

    def within(part: Any) -> Any:
        if isinstance(part, Effect):
            return msgspec.structs.replace(part, params={"hint": word("s")})
        kind = "s" if isinstance(part, DirectiveAcked) else "t"
        change: dict[str, Any] = {}
        for name in part.__struct_fields__:
            value = getattr(part, name)
            if name in _PARTS and isinstance(value, list):
                change[name] = [within(one) for one in value]
            elif name in _TEXTS and isinstance(value, str) and not isinstance(value, Enum):
                change[name] = value + word(kind)
            elif name in _ADDED and value is None:
                change[name] = f"AX{word(kind)}"
        if getattr(part, "statement_ref", None) is not None:
            change["statement_sealed"] = f"AX{word(kind)}"
        return msgspec.structs.replace(part, **change)

    return within(record)


def words_of(values: Iterable[bytes | None]) -> set[tuple[str, str]]:
    """All planted words that are in there, each with the user whose it is."""
    return {(word[1].decode(), word[0].decode()) for value in values if value for word in _WORD.finditer(value)}


def may_stay(word: str) -> bool:
    """Whether a reversal that runs still needs it."""
    return ".s" in word
