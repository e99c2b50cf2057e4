"""The parts of Avro's binary form that compiled readers share: numbers and lengths, each held to its bound."""

from __future__ import annotations

from decimal import Context, Decimal, Inexact, InvalidOperation, Overflow
from typing import Final, NoReturn

from schemas.errors import DecodeError, DecodeReason
from schemas.records import MAX_ITEMS
from schemas.rules import MAX_STRING_BYTES, MAX_TIME_MS, MIN_TIME_MS

MAX_VARINT_BYTES: Final = 10
"""Bytes of a 64-bit number, seven bits each."""
MAX_DECIMAL_BYTES: Final = 8
"""Bytes that 18 digits and a sign need."""
EXACT: Final = Context(prec=38, traps=[Inexact, InvalidOperation, Overflow])
"""Never rounds, whatever the caller's own decimal context does."""
MORE: Final = 0x80
"""Mark of every byte of a number but the last."""
_TWO_MARKS: Final = MORE + (MORE << 7)
_LOW_MARKS: Final = MORE * sum(1 << 7 * place for place in range(5))
"""The continuation marks of a six-byte number, as they add up when the bytes are shifted together."""
SIX: Final = 6
"""Bytes of a time until 2039."""
NEVER: Final = -(1 << 60)
"""What a table of a time's bytes says of those that are none: no sum with it in it is above 0."""
STEPS: Final = tuple(0 if byte & (MORE | 1) else 1 + (byte >> 1) for byte in range(256))
"""By its first byte, how many bytes a string takes, its length included; 0: that takes a look at more bytes."""
LOWS: Final = tuple((byte & 0x7F) >> 1 if byte >= MORE and not byte & 1 else NEVER for byte in range(256))
"""By the first byte of a time, its last 6 bits."""
MIDS: Final = tuple((byte & 0x7F) << 6 if byte >= MORE else NEVER for byte in range(256))
"""By the second byte of a time, the 7 bits before those."""
HIGHS: Final[dict[bytes, int]] = {}
"""By the other four bytes, the rest: 8 s of times, all of them in bounds. A reader looks here first."""
KEPT: Final = 1 << 14
"""Entries of a table that fills as it is used; when it is full it starts again."""


def refuse(reason: DecodeReason, text: str) -> NoReturn:
    """Raise from an expression, or at the end of a path that a reader does not expect to take."""
    raise DecodeError(reason, text)


def undecodable(text: str) -> NoReturn:
    """The bytes are not what the schema says."""
    raise DecodeError(DecodeReason.UNDECODABLE, text)


def long(data: bytes, at: int, path: str) -> tuple[int, int]:
    """A zigzag number and the position after it; what most numbers take, up to three bytes, is written out."""
    number = data[at]
    if number < MORE:
        return (number >> 1) ^ -(number & 1), at + 1
    second = data[at + 1]
    if second < MORE:
        number += (second << 7) - MORE
        return (number >> 1) ^ -(number & 1), at + 2
    third = data[at + 2]
    if third < MORE:
        number += (second << 7) + (third << 14) - _TWO_MARKS
        return (number >> 1) ^ -(number & 1), at + 3
    value = LOWS[number] + MIDS[second] + HIGHS.get(data[at + 2 : at + SIX], NEVER)
    if value > 0:
        return value, at + SIX
    return _any_long(data, at, path)


def _any_long(data: bytes, at: int, path: str) -> tuple[int, int]:
    number = shift = 0
    for position in range(at, at + MAX_VARINT_BYTES):
        byte = data[position]
        number |= (byte & 0x7F) << shift
        if byte < MORE:
            if number >> 64:
                break
            value = (number >> 1) ^ -(number & 1)
            if position + 1 - at == SIX:
                _remember(data[at + 2 : at + SIX], value)
            return value, position + 1
        shift += 7
    undecodable(f"{path}: a number of more than 64 bits at byte {at}")


def time(data: bytes, at: int, path: str) -> tuple[int, int]:
    """A time in UTC milliseconds and the position after it. Until 2039 it takes six bytes, read at once."""
    try:
        a, b, c, d, e, f = data[at : at + 6]
        six = f < MORE <= a & b & c & d & e
    except ValueError:  # near the end of the record
        six = False
        a = b = c = d = e = f = 0
    if six:
        number = a + (b << 7) + (c << 14) + (d << 21) + (e << 28) + (f << 35) - _LOW_MARKS
        value = (number >> 1) ^ -(number & 1)
        _remember(data[at + 2 : at + SIX], value)
        at += SIX
    else:
        value, at = long(data, at, path)
    if MIN_TIME_MS <= value < MAX_TIME_MS:
        return value, at
    refuse(DecodeReason.IMPLAUSIBLE_TIME, f"{path} is {value}, must be ms in [{MIN_TIME_MS}, {MAX_TIME_MS})")


def _remember(high: bytes, value: int) -> None:
    """Keep what the last four bytes of a six-byte number say, if all numbers that end so are times in bounds."""
    first = value & ~0x1FFF
    if first >= MIN_TIME_MS and first + 0x1FFF < MAX_TIME_MS:
        if len(HIGHS) >= KEPT:
            HIGHS.clear()
        HIGHS[high] = first


def far(data: bytes, at: int, path: str) -> int:
    """How many bytes a string takes, its length included, where `STEPS` does not say."""
    low, high = data[at], data[at + 1]
    if high < MORE <= low and not low & 1:
        return 2 + ((low + (high << 7) - MORE) >> 1)
    return length(data, at, path)[0] - at


def text(data: bytes, at: int, path: str) -> None:
    """Raise `UnicodeDecodeError` if the string that starts here is not UTF-8."""
    end, at = length(data, at, path)
    data[at:end].decode()


def length(data: bytes, at: int, path: str) -> tuple[int, int]:
    """Where a string (or bytes) ends, and where it starts."""
    low, high = data[at], data[at + 1]
    if high < MORE <= low and not low & 1:  # a hash's 64 characters, most texts
        size, at = (low + (high << 7) - MORE) >> 1, at + 2
    else:
        size, at = long(data, at, path)
    if size < 0:
        undecodable(f"{path}: a length of {size}")
    if size > MAX_STRING_BYTES:
        refuse(DecodeReason.BOUND_EXCEEDED, f"{path} has {size} bytes, at most {MAX_STRING_BYTES} allowed")
    if size > len(data) - at:
        undecodable(f"{path}: {size} bytes announced, {len(data) - at} left")
    return at + size, at


def block(data: bytes, at: int, path: str) -> tuple[int, int, int]:
    """Items of a block, the position of the first, and where the block says it ends (-1: it does not say)."""
    count, at = long(data, at, path)
    end = -1
    if count < 0:
        size, at = long(data, at, path)
        end = at + size
        count = -count
        if not 0 <= size <= len(data) - at:
            undecodable(f"{path}: a block of {size} bytes announced, {len(data) - at} left")
    if count > MAX_ITEMS:
        too_many(count, path)
    return count, at, end


def too_many(count: int, path: str) -> NoReturn:
    """More items than an array or a map may have, found before any beyond the bound is read."""
    refuse(DecodeReason.BOUND_EXCEEDED, f"{path} has {count} or more items, at most {MAX_ITEMS} allowed")


def wrong_block(at: int, end: int, path: str) -> NoReturn:
    """A block that is longer or shorter than it says."""
    undecodable(f"{path}: a block ends at byte {at} but announced byte {end}")


def amount(data: bytes, at: int, path: str, scale: int, limit: int) -> tuple[Decimal, int]:
    """A decimal and the position after it. `limit` is ten to the power of its precision."""
    end, at = length(data, at, path)
    size = end - at
    if size > MAX_DECIMAL_BYTES:
        refuse(DecodeReason.BOUND_EXCEEDED, f"{path} has {size} bytes, at most {MAX_DECIMAL_BYTES} allowed")
    if size == 0:
        undecodable(f"{path}: a decimal of no bytes")
    unscaled = int.from_bytes(data[at:end], "big", signed=True)
    if not -limit < unscaled < limit:
        refuse(DecodeReason.BOUND_EXCEEDED, f"{path} is {unscaled}e-{scale}, which has too many digits")
    return Decimal(unscaled).scaleb(-scale, EXACT), end


def symbol(data: bytes, at: int, path: str, symbols: tuple[str, ...], known: dict[str, str]) -> tuple[str, int]:
    """An enum's symbol where the table of one-byte indexes gives no answer: mostly to say what is wrong."""
    index, at = long(data, at, path)
    if not 0 <= index < len(symbols):
        undecodable(f"{path}: symbol {index} of {len(symbols)}")
    written = symbols[index]
    if written not in known:
        refuse(DecodeReason.UNKNOWN_SYMBOL, f"{path} is {written!r}, and a decision would rest on it")
    return known[written], at


def wrong_branch(data: bytes, at: int, path: str) -> NoReturn:
    """A union's index that names none of its branches."""
    undecodable(f"{path}: branch {long(data, at, path)[0]} of the union does not exist")


def wrong_flag(data: bytes, at: int, path: str) -> NoReturn:
    """A boolean that is neither 0 nor 1."""
    undecodable(f"{path}: a boolean of {data[at]}")


def not_finite(value: float, path: str) -> NoReturn:
    """NaN and the infinities order nothing and add up to nothing, so no number of ours may be one."""
    refuse(DecodeReason.INVALID_RECORD, f"{path} is {value}, must be finite")
