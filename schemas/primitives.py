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
_LOW_MARKS: Final = MORE * sum(1 << 7 * place for place in range(5))
"""The continuation marks of a six-byte number, as they add up when the bytes are shifted together."""


def refuse(reason: DecodeReason, text: str) -> NoReturn:
    """Raise from an expression, or at the end of a path that a reader does not expect to take."""
    raise DecodeError(reason, text)


def undecodable(text: str) -> NoReturn:
    """The bytes are not what the schema says."""
    raise DecodeError(DecodeReason.UNDECODABLE, text)


def long(data: bytes, at: int, path: str) -> tuple[int, int]:
    """A zigzag number and the position after it."""
    number = shift = 0
    for position in range(at, at + MAX_VARINT_BYTES):
        byte = data[position]
        number |= (byte & 0x7F) << shift
        if byte < MORE:
            if number >> 64:
                break
            return (number >> 1) ^ -(number & 1), position + 1
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
        at += 6
        value = (number >> 1) ^ -(number & 1)
    else:
        value, at = long(data, at, path)
    if MIN_TIME_MS <= value < MAX_TIME_MS:
        return value, at
    refuse(DecodeReason.IMPLAUSIBLE_TIME, f"{path} is {value}, must be ms in [{MIN_TIME_MS}, {MAX_TIME_MS})")


def length(data: bytes, at: int, path: str) -> tuple[int, int]:
    """Where a string (or bytes) ends, and where it starts."""
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
