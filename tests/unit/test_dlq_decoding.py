"""Of a record that cannot be judged everything before the fault is shown, and the field that is at fault is named."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.codec import SINGLE_OBJECT_HEAD, Codec
from schemas.records import AppealSubmitted, EnforcementIssued
from tests.contract.fake_registry import FakeRegistry
from tests.contract.golden import examples
from tests.unit import builders
from topology.dlq.decoding import decode, told

CODEC = Codec()
APPEAL = CODEC.encode(builders.an_appeal(1_764_072_000_000, "a-1"))
EXAMPLES = {str(example): CODEC.encode(example.record) for example in examples()}


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_good_record_is_read_whole(name):
    found = decode(EXAMPLES[name])
    assert found.record == f"recourse.v1.{name.partition('/')[0]}"
    assert (found.failed_at, found.odd) == (None, [])


def test_values_are_told_by_path():
    issued = builders.an_enforcement(1_764_072_000_000, amount=builders.euros("12.50"))
    values = dict(decode(CODEC.encode(issued)).values)
    assert values["enforcement_id"] == repr(issued.enforcement_id)
    assert values["issued_at"].startswith("1764072000000 (2025-11-25T12:00:00")
    assert values["amount.value"] == "12.5000"
    assert values["target.kind"] == issued.target.kind.value


def test_a_record_that_ends_early_is_read_up_to_there_and_the_field_is_named():
    whole = decode(APPEAL)
    cut = decode(APPEAL[: SINGLE_OBJECT_HEAD + 12])
    assert cut.failed_at == whole.values[len(cut.values)][0]
    assert cut.values == whole.values[: len(cut.values)]
    assert list(told(cut))[-1].startswith(f"  fails at {cut.failed_at}: ")


@given(st.sampled_from(sorted(EXAMPLES)), st.integers(0, 2_000))
def test_wherever_a_record_ends_what_comes_before_is_what_the_whole_one_says(name, size):
    data = EXAMPLES[name]
    whole, cut = decode(data), decode(data[: SINGLE_OBJECT_HEAD + size])
    if SINGLE_OBJECT_HEAD + size < len(data):
        assert cut.failed_at is not None
        assert cut.values == whole.values[: len(cut.values)]


@given(st.binary(max_size=400), st.sampled_from(sorted(EXAMPLES)))
def test_no_bytes_make_it_raise(junk, name):
    list(told(decode(junk)))
    list(told(decode(EXAMPLES[name][:SINGLE_OBJECT_HEAD] + junk)))


def test_an_array_bomb_is_named_and_not_read():
    head = EXAMPLES["AppealSubmitted/typical"][:SINGLE_OBJECT_HEAD]
    found = decode(head + bytes([2, 65]) * 3 + b"\xff" * 9 + b"\x7f")
    assert found.failed_at is not None


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "starts with nothing"),
        (b"{}", "neither single-object nor Confluent"),
        (b"\xc3\x01" + bytes(20), "is in no history"),
        (b"\x00\x00\x00\x00\x07abc", "no registry is configured"),
    ],
)
def test_a_record_of_which_nothing_is_known_is_said_to_be_so(data, said):
    [line] = told(decode(data))
    assert said in line


def test_with_a_registry_the_writers_schema_is_asked_for():
    registry = FakeRegistry.with_all("appeal.events")
    data = Codec(registry).encode(builders.an_appeal(1_764_072_000_000, "a-1"), "appeal.events")
    found = decode(data, registry)
    assert (found.record, found.failed_at) == ("recourse.v1.AppealSubmitted", None)
    assert (
        "no schema" in decode(b"\x00\x00\x01\x00\x00abc", registry).failure
        or not decode(b"\x00\x00\x01\x00\x00abc", registry).record
    )


def test_a_rule_that_is_broken_does_not_end_the_reading():
    late = AppealSubmitted.__struct_fields__.index("submitted_at")
    assert late >= 0
    data = bytearray(APPEAL)
    values = [path for path, _ in decode(APPEAL).values]
    at = data.index(_zigzag(1_764_072_000_000))
    data[at : at + 6] = _zigzag(1)
    found = decode(bytes(data))
    assert found.odd[0][0] == "submitted_at"
    assert [path for path, _ in found.values] == values


def _zigzag(number: int) -> bytes:
    number <<= 1
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def test_every_record_has_its_fields_in_the_order_of_its_schema():
    issued = EXAMPLES["EnforcementIssued/typical"]
    tops = list(
        dict.fromkeys(path.partition(".")[0].partition("[")[0].partition("{")[0] for path, _ in decode(issued).values)
    )
    assert tops == list(EnforcementIssued.__struct_fields__)
