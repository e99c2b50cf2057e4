"""The pieces of a record on their way out, as text with one character a byte; each refuses what breaks its bound."""

from __future__ import annotations

import re
from decimal import Decimal, DecimalException
from functools import cache
from struct import Struct
from typing import Final

from schemas import nodes
from schemas.errors import EncodeError
from schemas.primitives import EXACT, KEPT, MORE
from schemas.records import MAX_ITEMS
from schemas.rules import MAX_STRING_BYTES, MAX_TIME_MS, MIN_TIME_MS

MAX_LONG: Final = (1 << 63) - 1
MAX_INT: Final = (1 << 31) - 1
SMALL: Final = 1 << 10
"""Numbers below this one are looked up."""
_double = Struct("<d").pack


def zigzag(value: int) -> str:
    """A 64-bit number, seven bits a byte, the smallest numbers of either sign first."""
    left = (value << 1) ^ (value >> 63)
    piece = ""
    while left >= MORE:
        piece += chr(left & 0x7F | MORE)
        left >>= 7
    return piece + chr(left)


NUMBERS: Final = tuple(map(zigzag, range(SMALL)))
COUNTS: Final = ("", *map(zigzag, range(1, MAX_ITEMS + 1)))
"""The head of an array's or a map's only block; an empty one has no block, just the end mark."""


def number(value: int, least: int, most: int, path: str) -> str:
    """A number that is not in the table of small ones; what most take, up to six bytes, two at once."""
    if not least <= value <= most:
        raise EncodeError(f"{path} is {value}, must be in [{least}, {most}]")
    left = (value << 1) ^ (value >> 63)
    if left >> 42:
        return zigzag(value)
    piece = ""
    while left >> 14:
        piece += PAIRS[left & 0x3FFF]
        left >>= 14
    return piece + (_ENDS[left] if left >= MORE else chr(left))


def time(value: int, path: str) -> str:
    """A time in UTC milliseconds."""
    if not MIN_TIME_MS <= value < MAX_TIME_MS:
        raise EncodeError(f"{path} is {value}, must be ms in [{MIN_TIME_MS}, {MAX_TIME_MS})")
    low, middle, high = value & 0x1FFF, (value >> 13) & 0x3FFF, value >> 27
    if high >= len(PAIRS):  # from 2039 on
        return zigzag(value)
    rest = PAIRS[middle] + _ENDS[high]
    if value & ~0x1FFF >= MIN_TIME_MS and value | 0x1FFF < MAX_TIME_MS:
        if len(TIMES) >= KEPT:
            TIMES.clear()
        TIMES[value >> 13] = rest
    return PAIRS[low << 1] + rest


PAIRS: Final = tuple(chr(n & 0x7F | MORE) + chr(n >> 7 | MORE) for n in range(1 << 14))
TIMES: Final[dict[int, str]] = {}
"""By time without its last 13 bits (8 s): the rest of its bytes. A writer looks here first; all are in bounds."""
REALS: Final[dict[float, str]] = {}
"""The same for numbers: most are weights and shares of few digits. Never 0, which has two signs and one hash."""
_ENDS: Final = tuple(chr(n & 0x7F | MORE) + chr(n >> 7) for n in range(1 << 14))
"""Fourteen bits at once; the last two bytes of a six-byte number carry its end mark."""


def wide(text: str, least: int, most: int, head: str, path: str) -> str:
    """A string that is not ASCII, with its prefix."""
    if not least <= len(text) <= most:
        raise EncodeError(f"{path} has {len(text)} characters, must have {least} to {most}")
    body = text.encode().decode("latin-1")
    if len(body) > MAX_STRING_BYTES:
        raise EncodeError(f"{path} has {len(body)} bytes, at most {MAX_STRING_BYTES} allowed")
    return head + zigzag(len(body)) + body


def matching(text: str, pattern: re.Pattern[str], path: str) -> str:
    """The text, if it is of the form that its type asks for."""
    if pattern.fullmatch(text) is None:
        raise EncodeError(f"{path} does not match {pattern.pattern}")
    return text


def amount(value: Decimal, scale: int, limit: int, path: str) -> str:
    """An exact decimal: never rounded, in as few bytes as two's complement takes (as Java's BigInteger)."""
    try:
        scaled = value.scaleb(scale, EXACT)
        # Compared first: a million digits would be slow to turn into a number.
        unscaled = int(scaled) if -limit < scaled < limit and scaled == scaled.to_integral_value() else None
    except (DecimalException, ValueError):
        unscaled = None
    if unscaled is None:
        digits = len(str(limit)) - 1
        raise EncodeError(
            f"{path} is {value}, must be finite and have at most {digits} digits, {scale} after the point"
        )
    size = (unscaled if unscaled >= 0 else ~unscaled).bit_length() // 8 + 1
    return chr(size << 1) + unscaled.to_bytes(size, "big", signed=True).decode("latin-1")


def real(value: float, path: str) -> str:
    """A finite number in binary64."""
    if value - value:  # NaN and the infinities only
        raise EncodeError(f"{path} is {value}, must be finite")
    piece = _double(value).decode("latin-1")
    if value:
        if len(REALS) >= KEPT:
            REALS.clear()
        REALS[value] = piece
    return piece


class Kept(dict[int, tuple[object, str]]):
    """By identity, immutable parts of records and their bytes. An object that is kept alive keeps its id."""

    def keep(self, part: object, piece: str) -> tuple[object, str]:
        """Remember it; when there are too many, start again."""
        if len(self) >= KEPT:
            self.clear()
        self[id(part)] = entry = part, piece
        return entry


class Symbols(dict[str | None, str]):
    """Symbol to index. Left out is what must not be written: `UNKNOWN` where a decision would rest on it."""

    def __init__(self, enum: nodes.Enum, head: str, path: str, *, critical: bool) -> None:
        super().__init__()
        self._path = path
        known = enum.symbols
        self._pieces = {s: head + zigzag(known.index(s)) for s in known if not (critical and s == enum.default)}
        self.update(self._pieces)

    def __missing__(self, symbol: object) -> str:
        raise EncodeError(f"{self._path} is {symbol!s}, must be one of {', '.join(self._pieces)}")


@cache
def lengths(least: int, most: int, head: str) -> tuple[str | None, ...]:
    """Prefix of an ASCII string by its length; None, and the table's end, for a length that is not allowed."""
    return tuple(None if size < least else head + zigzag(size) for size in range(most + 1))
