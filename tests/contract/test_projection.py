"""Part of a record read, part carried over: the same as reading all and writing all, and as strict."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any

import fastavro
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from schemas import ALL_RECORDS, Codec, DecodeError, DecodeReason, EncodeError, Record
from schemas.catalog import current, current_node
from schemas.errors import SchemaError
from schemas.nodes import Record as RecordNode
from schemas.nodes import parse
from schemas.projection import compile_projection, compile_splice, same_type
from tests.contract import oracle
from tests.contract.strategies import fields_of, records

CODEC = Codec()
HEAD = 10
each_type = pytest.mark.parametrize("record_type", ALL_RECORDS, ids=lambda each: each.__name__)
PERSON = parse(
    {
        "type": "record",
        "name": "Person",
        "fields": [
            {"name": "name", "type": "string"},
            {"name": "age", "type": "int"},
            {"name": "tags", "type": {"type": "array", "items": "string"}},
            {"name": "note", "type": ["null", "string"]},
        ],
    }
)
ANN = b"\x06Ann\x54\x02\x04ab\x00\x02\x04hi"


def names_of(record_type: type[Record]) -> list[str]:
    node = current_node(record_type)
    assert isinstance(node, RecordNode)
    return [field.name for field in node.fields]


def can_be_given(record_type: type[Record], name: str) -> bool:
    try:
        compile_splice(current_node(record_type), [other for other in names_of(record_type) if other != name])
    except SchemaError:
        return False
    return True


@each_type
@given(data=st.data())
@settings(max_examples=8)
def test_fields_read_are_those_of_another_avro_library_and_what_is_carried_over_is_written_as_it_was(
    record_type: type[Record], data: st.DataObject
):
    record = data.draw(records(record_type))
    assume(not oracle.has_odd_amount(fields_of(record)))
    body = oracle.write(record)
    names = names_of(record_type)
    read = data.draw(st.lists(st.sampled_from(names), unique=True))
    carry = [name for name in names if name not in read or not can_be_given(record_type, name)]
    project = compile_projection(current_node(record_type), read=read, carry=carry)
    found = project(body, 0)

    schema = fastavro.parse_schema(oracle.plain_times(current(record_type)))
    whole: Any = fastavro.schemaless_reader(BytesIO(body), schema, None)
    values, raw = dict(zip(read, found, strict=False)), dict(zip(carry, found[len(read) :], strict=True))
    assert values == {name: whole[name] for name in read}
    splice = compile_splice(current_node(record_type), carry)
    assert splice(*(raw[name] if name in raw else values[name] for name in names)) == body


@each_type
@given(data=st.data())
@settings(max_examples=12)
def test_what_the_whole_reader_refuses_for_its_form_a_projection_that_carries_everything_refuses_too(
    record_type: type[Record], data: st.DataObject
):
    good = CODEC.encode(data.draw(records(record_type)))
    start = data.draw(st.integers(HEAD, len(good)))
    stop = data.draw(st.integers(start, min(start + 4, len(good))))
    bad = good[:start] + data.draw(st.binary(max_size=12)) + good[stop:]
    project = compile_projection(current_node(record_type), read=(), carry=names_of(record_type))
    refused = refusal(lambda: CODEC.decode(bad, frozenset({record_type})))
    found = refusal(lambda: project(bad, HEAD))
    if refused is None:
        assert found is None
        assert "".join(project(bad, HEAD)).encode("latin-1") == bad[HEAD:]
    elif refused.reason in (DecodeReason.INVALID_RECORD, DecodeReason.UNKNOWN_SYMBOL) or "of length <=" in refused.text:
        pass  # patterns, lengths and critical symbols are the record type's, which a projection does not know
    else:
        assert found is not None
        assert found.reason is refused.reason


def refusal(read: Callable[[], object]) -> DecodeError | None:
    try:
        read()
    except DecodeError as error:
        return error
    return None


def test_values_come_in_the_order_asked_for_then_bytes():
    project = compile_projection(PERSON, read=("note", "age"), carry=("tags", "name"))
    assert project(ANN, 0) == ("hi", 42, "\x02\x04ab\x00", "\x06Ann")


def test_a_field_can_be_read_and_carried_over():
    assert compile_projection(PERSON, read=["name"], carry=["name"])(ANN, 0) == ("Ann", "\x06Ann")


@pytest.mark.parametrize("cut", range(len(ANN)))
def test_a_record_that_is_cut_off_anywhere_is_refused(cut: int):
    for read, carry in ((("name",), ()), ((), ("note",)), ((), ())):
        with pytest.raises(DecodeError, match="Person") as caught:
            compile_projection(PERSON, read=read, carry=carry)(ANN[:cut], 0)
        assert caught.value.reason is DecodeReason.UNDECODABLE


def test_bytes_after_the_record_are_refused():
    with pytest.raises(DecodeError, match="Person: 1 bytes after the record"):
        compile_projection(PERSON, read=["age"])(ANN + b"\0", 0)


@pytest.mark.parametrize(("read", "carry"), [(["name"], []), ([], ["name"])], ids=["read", "carried"])
def test_text_that_goes_on_must_be_text(read: list[str], carry: list[str]):
    with pytest.raises(DecodeError, match="not UTF-8"):
        compile_projection(PERSON, read=read, carry=carry)(ANN.replace(b"Ann", b"A\xffn"), 0)


def test_text_inside_of_what_is_carried_over_must_be_text():
    with pytest.raises(DecodeError, match="not UTF-8"):
        compile_projection(PERSON, read=["name"], carry=["tags"])(ANN.replace(b"ab", b"a\xff"), 0)


def test_an_unknown_field_is_named():
    with pytest.raises(SchemaError, match="Person has no shoes"):
        compile_projection(PERSON, read=["shoes"])
    with pytest.raises(SchemaError, match="Person has no shoes"):
        compile_splice(PERSON, ["shoes"])


def test_only_a_record_has_fields():
    with pytest.raises(SchemaError, match="only a record"):
        compile_projection(parse("string"), read=())


@pytest.mark.parametrize(
    "values",
    [("Ann", 2**31, [], None), ("Ann", "old", [], None), (b"Ann", 1, [], None), ("Ann", 1, [2], None)],
    ids=["too large", "a text", "bytes", "items of another type"],
)
def test_a_value_that_does_not_fit_is_refused_by_name(values: tuple[Any, ...]):
    with pytest.raises(EncodeError, match="Person"):
        compile_splice(PERSON)(*values)


def test_fields_are_of_the_same_type_or_not():
    other = parse(
        {
            "type": "record",
            "name": "Other",
            "fields": [{"name": "who", "type": "string"}, {"name": "age", "type": "long"}],
        }
    )
    assert same_type(PERSON, "name", other, "who")
    assert not same_type(PERSON, "age", other, "age")
    assert not same_type(PERSON, "shoes", other, "shoes")
