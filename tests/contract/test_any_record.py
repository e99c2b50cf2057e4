"""What holds for every record, not only for those that somebody thought of."""

from __future__ import annotations

import time
import tracemalloc

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from schemas import ALL_RECORDS, Codec, DecodeError, JsonError, Record, from_json, to_json
from schemas.catalog import current, fingerprint
from schemas.codec import SINGLE_OBJECT
from tests.contract import oracle
from tests.contract.fake_registry import FakeRegistry
from tests.contract.golden import examples
from tests.contract.strategies import fields_of, records

EVERYTHING = frozenset(ALL_RECORDS)
CODEC = Codec()
TOPIC = "some.topic"
WITH_REGISTRY = Codec(FakeRegistry.with_all(TOPIC))
HEADS = [SINGLE_OBJECT + fingerprint(current(each)) for each in ALL_RECORDS]
each_type = pytest.mark.parametrize("record_type", ALL_RECORDS, ids=lambda each: each.__name__)
any_record = st.sampled_from(ALL_RECORDS).flatmap(records)


@each_type
@given(data=st.data())
@settings(max_examples=60)
def test_record_comes_back_from_both_forms_and_from_json(record_type: type[Record], data: st.DataObject):
    record = data.draw(records(record_type))
    assert CODEC.decode(CODEC.encode(record), EVERYTHING) == record
    assert WITH_REGISTRY.decode(WITH_REGISTRY.encode(record, TOPIC), EVERYTHING) == record
    assert from_json(record_type, to_json(record)) == record


@each_type
@given(data=st.data())
@settings(max_examples=40)
def test_another_avro_library_writes_the_same_bytes_and_reads_the_same_record(
    record_type: type[Record], data: st.DataObject
):
    record = data.draw(records(record_type))
    assume(not oracle.has_odd_amount(fields_of(record)))
    body = CODEC.encode(record)[10:]
    assert oracle.write(record) == body
    assert oracle.read(body, record_type) == record


@given(record=any_record)
def test_decoding_and_encoding_again_gives_the_same_bytes(record: Record):
    data = CODEC.encode(record)
    assert CODEC.encode(CODEC.decode(data, EVERYTHING)) == data


@given(data=st.binary(max_size=400))
@example(data=b"\0\0\0\0\1")
@settings(max_examples=500)
def test_random_bytes_raise_nothing_but_decode_errors(data: bytes):
    for codec in (CODEC, WITH_REGISTRY):
        with pytest.raises(DecodeError):
            codec.decode(data, EVERYTHING)


@given(head=st.sampled_from(HEADS), body=st.binary(max_size=3000))
@settings(max_examples=1000)
def test_random_bytes_behind_a_good_prefix_are_a_record_or_a_decode_error(head: bytes, body: bytes):
    _survives(head + body)


@given(record=any_record, data=st.data())
@settings(max_examples=1000)
def test_record_with_bytes_changed_put_in_or_taken_out_is_a_record_or_a_decode_error(
    record: Record, data: st.DataObject
):
    good = CODEC.encode(record)
    start = data.draw(st.integers(10, len(good)))
    stop = data.draw(st.integers(start, min(start + 4, len(good))))
    _survives(good[:start] + data.draw(st.binary(max_size=12)) + good[stop:])


@pytest.mark.parametrize("sample", examples(), ids=str)
def test_example_with_any_one_byte_changed_is_a_record_or_a_decode_error(sample: object):
    good = CODEC.encode(sample.record)  # type: ignore[attr-defined]
    for position in range(10, len(good), max(1, len(good) // 600)):
        for byte in (0x00, 0x01, 0x7F, 0x80, 0xFF):
            _survives(good[:position] + bytes([byte]) + good[position + 1 :])


@given(head=st.sampled_from(HEADS), body=st.binary(min_size=1000, max_size=4000), times=st.integers(1, 60))
@settings(max_examples=50)
def test_large_random_bytes_take_bounded_time_and_memory(head: bytes, body: bytes, times: int):
    data = head + body * times
    CODEC.decode(CODEC.encode(examples()[0].record), EVERYTHING)
    tracemalloc.start()
    started = time.perf_counter()
    _survives(data)
    taken_s = time.perf_counter() - started
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert taken_s < 1.0
    assert peak < 16 * 1024 * 1024


@given(text=st.text(max_size=200) | st.binary(max_size=200))
def test_random_text_is_no_record_and_raises_nothing_but_json_errors(text: str | bytes):
    with pytest.raises(JsonError):
        from_json(ALL_RECORDS[0], text)


def _survives(data: bytes) -> None:
    """What is read is a record by all rules: it can be written, and comes back."""
    try:
        record = CODEC.decode(data, EVERYTHING)
    except DecodeError:
        return
    assert CODEC.decode(CODEC.encode(record), EVERYTHING) == record
