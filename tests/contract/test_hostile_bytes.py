"""Bytes made to hurt: each is refused in time and memory that its own length explains."""

from __future__ import annotations

import struct
import time
import tracemalloc
from collections.abc import Callable

import pytest

from schemas import ALL_RECORDS, Codec, DecodeError, DecodeReason, Record
from schemas.catalog import current, fingerprint
from schemas.pieces import zigzag
from schemas.records import (
    MAX_ITEMS,
    AppealSubmitted,
    CaseEvent,
    CaseReleased,
    DecisionProposed,
    DirectiveAcked,
    EnforcementLifted,
    ReversalConfirmed,
)
from tests.contract.golden import examples

EVERYTHING = frozenset(ALL_RECORDS)
NOW = 1_760_000_000_000


def number(value: int) -> bytes:
    return zigzag(value).encode("latin-1")


def text(value: bytes | str) -> bytes:
    value = value.encode() if isinstance(value, str) else value
    return number(len(value)) + value


def head(record_type: type[Record]) -> bytes:
    return b"\xc3\x01" + fingerprint(current(record_type))


def confirmed(ids: bytes) -> bytes:
    """A `ReversalConfirmed` with these bytes in place of its array of directive ids."""
    return head(ReversalConfirmed) + text("r") + text("u") + text("c") + text("e") + number(NOW) + ids + number(0)


def event(saw: bytes) -> bytes:
    """A `CaseEvent` with these bytes in place of its map."""
    start = text("e") + text("u") + number(1) + b"\0\0\0" + number(NOW) + number(1) + text("cause") + b"\0" * 8
    return head(CaseEvent) + start + saw + text("digest") + b"\0\0\0"


def refused(data: bytes) -> DecodeError:
    with pytest.raises(DecodeError) as caught:
        Codec().decode(data, EVERYTHING)
    return caught.value


def test_the_builders_of_this_file_make_good_records():
    codec = Codec()
    assert codec.decode(confirmed(number(2) + text("a") + text("b") + b"\0"), EVERYTHING).directive_ids == ["a", "b"]  # type: ignore[attr-defined]
    assert codec.decode(event(number(1) + text("k") + text("v") + b"\0"), EVERYTHING).saw == {"k": "v"}  # type: ignore[attr-defined]


def test_array_in_several_blocks_is_read_and_so_is_one_whose_blocks_tell_their_size():
    item = text("a")
    blocks = number(1) + item + number(-2) + number(2 * len(item)) + item * 2 + number(1) + item + b"\0"
    assert Codec().decode(confirmed(blocks), EVERYTHING).directive_ids == ["a"] * 4  # type: ignore[attr-defined]


@pytest.mark.parametrize("count", [MAX_ITEMS + 1, 50_000_000, 2**31, 2**63 - 1, -(MAX_ITEMS + 1), -(2**63)])
@pytest.mark.parametrize("build", [confirmed, event], ids=["array", "map"])
def test_count_beyond_the_bound_is_refused_before_any_item_is_read(build: Callable[[bytes], bytes], count: int):
    size = number(0) if count < 0 else b""
    found = refused(build(number(count) + size))
    assert found.reason is DecodeReason.BOUND_EXCEEDED
    assert f"{abs(count)} or more items, at most {MAX_ITEMS} allowed" in found.text


def test_bound_of_items_holds_for_all_blocks_together():
    item = text("a")
    within = (number(MAX_ITEMS // 4) + item * (MAX_ITEMS // 4)) * 4
    assert len(Codec().decode(confirmed(within + b"\0"), EVERYTHING).directive_ids) == MAX_ITEMS  # type: ignore[attr-defined]
    found = refused(confirmed(within + number(1) + item + b"\0"))
    assert (found.reason, "directive_ids[]" in found.text) == (DecodeReason.BOUND_EXCEEDED, True)


def test_bound_of_items_holds_for_blocks_of_one_with_a_size_each():
    found = refused(confirmed((number(-1) + number(2) + text("a")) * (MAX_ITEMS + 1) + b"\0"))
    assert found.reason is DecodeReason.BOUND_EXCEEDED


@pytest.mark.parametrize("size", [-1, 0, 1, 3, 5, 2**40, 2**63 - 1, -(2**63)])
def test_block_that_lies_about_its_size_is_undecodable(size: int):
    found = refused(confirmed(number(-2) + number(size) + text("a") * 2 + b"\0"))
    assert (found.reason, "directive_ids[]: a block" in found.text) == (DecodeReason.UNDECODABLE, True)


@pytest.mark.parametrize("size", [2**14 + 1, 2**20, 2**31, 2**63 - 1])
def test_string_beyond_the_bound_is_refused_by_its_length_alone(size: int):
    found = refused(head(ReversalConfirmed) + number(size) + b"x" * 100)
    assert found.reason is DecodeReason.BOUND_EXCEEDED
    assert found.text == f"ReversalConfirmed: reversal_id has {size} bytes, at most 16384 allowed"


@pytest.mark.parametrize("size", [-1, -64, -65, -(2**63)])
def test_negative_length_is_undecodable(size: int):
    found = refused(head(ReversalConfirmed) + number(size) + b"x" * 100)
    assert (found.reason, found.text) == (
        DecodeReason.UNDECODABLE,
        f"ReversalConfirmed: reversal_id: a length of {size}",
    )


def test_string_within_the_bytes_but_beyond_the_characters_breaks_the_bound_of_its_type():
    found = refused(confirmed(number(1) + text("a" * 257) + b"\0"))
    assert (found.reason, "directive_ids[0]" in found.text) == (DecodeReason.BOUND_EXCEEDED, True)


def test_string_that_is_empty_where_a_name_belongs_is_an_invalid_record():
    found = refused(confirmed(number(1) + text("") + b"\0"))
    assert (found.reason, "directive_ids[0]" in found.text) == (DecodeReason.INVALID_RECORD, True)


def test_number_of_more_than_64_bits_is_undecodable():
    for too_long in (b"\xff" * 10 + b"\1", b"\xff" * 9 + b"\x02", b"\x80" * 30):
        found = refused(head(ReversalConfirmed) + too_long)
        assert (found.reason, "more than 64 bits" in found.text) == (DecodeReason.UNDECODABLE, True)


@pytest.mark.parametrize("index", [-1, -5, 5, 1000, 2**40])
def test_symbol_that_does_not_exist_is_undecodable(index: int):
    """To a reader that counts from the end, -1 would be the last symbol: a permanent failure, or a ban."""
    start = text("e") + text("u") + text("r") + text("d") + text("s")
    found = refused(head(DirectiveAcked) + start + number(index) + number(NOW) + b"\0")
    assert (found.reason, found.text) == (DecodeReason.UNDECODABLE, f"DirectiveAcked: status: symbol {index} of 5")


@pytest.mark.parametrize("index", [-1, 2, 3, 1000])
def test_branch_that_does_not_exist_is_undecodable(index: int):
    start = text("e") + text("u") + text("c") + text("a") + number(0) + number(NOW)
    found = refused(head(CaseReleased) + start + number(index))
    assert (found.reason, f"branch {index} of the union" in found.text) == (DecodeReason.UNDECODABLE, True)


@pytest.mark.parametrize("flag", [2, 0x80, 0xFF])
def test_boolean_that_is_neither_true_nor_false_is_undecodable(flag: int):
    start = text("e") + text("u") + text("n") + number(NOW) + number(1) + b"\0"
    found = refused(head(EnforcementLifted) + start + bytes([flag]) + b"\0")
    assert (found.reason, f"a boolean of {flag}" in found.text) == (DecodeReason.UNDECODABLE, True)


def lifted(amount: bytes, currency: str = "EUR") -> bytes:
    start = text("e") + text("u") + text("n") + number(NOW) + number(1) + b"\0\1"
    return head(EnforcementLifted) + start + b"\2" + text(amount) + text(currency)


def test_amount_of_too_many_digits_or_bytes_is_refused():
    for amount in ((10**18).to_bytes(8, "big"), (-(10**18)).to_bytes(8, "big", signed=True), b"\0" * 9):
        found = refused(lifted(amount))
        assert (found.reason, "amount_returned.value" in found.text) == (DecodeReason.BOUND_EXCEEDED, True)
    assert refused(lifted(b"")).reason is DecodeReason.UNDECODABLE
    assert Codec().decode(lifted((10**18 - 1).to_bytes(8, "big")), EVERYTHING)


@pytest.mark.parametrize(
    ("currency", "reason"),
    [("eur", "invalid_record"), ("", "invalid_record"), ("EURO", "bound_exceeded"), ("EUR\n", "bound_exceeded")],
)
def test_currency_that_is_none_is_refused(currency: str, reason: str):
    assert refused(lifted(b"\1", currency)).reason == reason


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_number_that_is_not_finite_is_an_invalid_record(value: float):
    data = next(each for each in examples() if str(each) == "Case/awkward")
    good = Codec().encode(data.record)
    tiny = struct.pack("<d", 5e-324)
    assert good.count(tiny) == 1
    found = refused(good.replace(tiny, struct.pack("<d", value)))
    assert (found.reason, "components[].value" in found.text) == (DecodeReason.INVALID_RECORD, True)


@pytest.mark.parametrize("raw", [b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xc0\x80"])
def test_text_that_is_not_utf8_is_undecodable(raw: bytes):
    found = refused(confirmed(number(1) + text(raw) + b"\0"))
    assert (found.reason, "not UTF-8" in found.text) == (DecodeReason.UNDECODABLE, True)


@pytest.mark.parametrize("example", examples(), ids=str)
def test_example_that_is_cut_off_anywhere_is_refused(example: object):
    data = Codec().encode(example.record)  # type: ignore[attr-defined]
    cuts = range(len(data)) if len(data) < 2000 else [*range(200), *range(200, len(data), 97), len(data) - 1]
    codec = Codec()
    for cut in cuts:
        with pytest.raises(DecodeError) as caught:
            codec.decode(data[:cut], EVERYTHING)
        assert caught.value.reason is DecodeReason.UNDECODABLE


@pytest.mark.parametrize("example", examples(), ids=str)
def test_bytes_after_the_record_are_refused(example: object):
    data = Codec().encode(example.record)  # type: ignore[attr-defined]
    for tail in (b"\0", b"\0" * 100):
        found = refused(data + tail)
        assert (found.reason, f"{len(tail)} bytes after the record" in found.text) == (DecodeReason.UNDECODABLE, True)


def bombs() -> list[bytes]:
    """The dearest records that fit the bound of bytes, good or bad."""
    full = 250_000
    many_texts = (number(500) + text("a") * 500) * 250
    appeal = text("e") + text("u") + text("a") + number(NOW) + text("n") + b"\0" + text("u") + b"\0" + text("l")
    proposal = text("e") + text("u") + text("c") + text("a") + number(0) + number(NOW)
    return [
        confirmed(many_texts + b"\0"),
        confirmed((number(-1) + number(2) + text("a")) * (full // 4)),
        confirmed(b"\0" * full),
        confirmed(b"\1" * full),
        confirmed(b"\xff" * full),
        event((number(500) + (text("") + text("")) * 500) * 250),
        event(number(1) + text("k" * 16_384) + text("v" * 16_384) + b"\0"),
        head(AppealSubmitted) + appeal + number(1000) + b"\0" * full,
        head(DecisionProposed) + proposal + number(2) + text("r") + text("p") + (number(1) + text("e" * 200)) * 1200,
        head(ReversalConfirmed) + b"\x80" * full,
    ]


@pytest.mark.parametrize("bomb", range(len(bombs())))
def test_bomb_takes_bounded_time_and_memory(bomb: int):
    data = bombs()[bomb]
    codec = Codec()
    refused(data)
    tracemalloc.start()
    started = time.perf_counter()
    with pytest.raises(DecodeError):
        codec.decode(data, EVERYTHING)
    taken_s = time.perf_counter() - started
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert taken_s < 1.0
    assert peak < 8 * 1024 * 1024
