"""Writer schemas are checked once, and resolved to the current schema while the reader is compiled."""

from __future__ import annotations

import copy
from collections.abc import Callable
from decimal import Decimal
from io import BytesIO
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import DecodeError, DecodeReason, Record, SchemaError
from schemas.catalog import JsonSchema, current, wire_form
from schemas.nodes import MAX_DEPTH, parse
from schemas.reading import compile_reader
from schemas.records import Case, CaseReleased, DirectiveAcked, EnforcementIssued, EnforcementLifted, UserProfileUpdated
from tests.contract.oracle import plain_times
from tests.contract.strategies import fields_of, records


def deep(levels: int) -> object:
    schema: object = "string"
    for _ in range(levels):
        schema = {"type": "map", "values": schema}
    return schema


def wide(levels: int) -> JsonSchema:
    """Small in text, huge when written out: each level names the one below twice."""
    schema: Any = {"type": "record", "name": "L0", "fields": [{"name": "x", "type": "int"}]}
    for level in range(1, levels):
        fields = [{"name": "x", "type": schema}, *({"name": f"y{i}", "type": f"L{level - 1}"} for i in range(9))]
        schema = {"type": "record", "name": f"L{level}", "fields": fields}
    return schema


EMPTY = {"type": "record", "name": "Empty", "fields": []}
NULLS = {"type": "record", "name": "Nulls", "fields": [{"name": "a", "type": "null"}, {"name": "b", "type": EMPTY}]}


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"type": "array", "items": "null"}, "take no bytes"),
        ({"type": "array", "items": EMPTY}, "take no bytes"),
        ({"type": "array", "items": NULLS}, "take no bytes"),
        ({"type": "array", "items": {"type": "fixed", "name": "F", "size": 0}}, "take no bytes"),
        ({"type": "record", "name": "R", "fields": [{"name": "r", "type": ["null", "R"]}]}, "contains itself"),
        (deep(MAX_DEPTH), "nested deeper"),
        (wide(6), "must be within"),
        ({"type": "record", "name": "R", "fields": [{"name": "a", "type": "Missing"}]}, "used but not defined"),
        ({"type": "record", "name": "R", "fields": [{"name": "a", "type": "int"}] * 2}, "two have the same"),
        ([{"type": "enum", "name": "E", "symbols": ["a"]}, {"type": "fixed", "name": "E", "size": 1}], "defined twice"),
        ({"type": "enum", "name": "E", "symbols": ["a"], "default": "b"}, "none of them"),
        ({"type": "enum", "symbols": ["a"]}, "without a name"),
        ({"type": "fixed", "name": "F", "size": -1}, "size -1"),
        ({"type": "bytes", "logicalType": "decimal", "precision": 2, "scale": 3}, "decimal"),
        ({"type": "bytes", "logicalType": "decimal", "precision": 10**9, "scale": 0}, "decimal"),
        ({"type": "record", "name": "R", "fields": [{"name": "a'); boom(('", "type": "int"}]}, "name is none"),
        ({"type": "record", "name": "R", "fields": [{"type": "int"}]}, "not an Avro schema"),
        (["null"] * 65, "65 branches"),
        ([], "0 branches"),
        ({"type": "strange"}, "used but not defined"),
        (17, "not a schema"),
        ({}, "not a schema"),
    ],
)
def test_schema_that_could_make_few_bytes_cost_much_or_is_none_is_refused(schema: object, text: str):
    with pytest.raises(SchemaError, match=text):
        parse(schema)


def test_depth_counts_through_references():
    half = [{"type": "record", "name": "Half", "fields": [{"name": "x", "type": deep(MAX_DEPTH - 4)}]}]
    parse(half)
    nested = {"type": "map", "values": {"type": "map", "values": "Half"}}
    with pytest.raises(SchemaError, match="must be within"):
        parse([*half, nested])


def test_empty_parts_are_harmless_outside_of_arrays():
    parse({"type": "record", "name": "R", "fields": [{"name": "e", "type": EMPTY}]})
    parse({"type": "map", "values": "null"})


def amended(record_type: type[Record], change: Callable[[JsonSchema], None]) -> JsonSchema:
    schema = wire_form(copy.deepcopy(current(record_type)))
    change(schema)
    return schema


def field(schema: JsonSchema, name: str) -> JsonSchema:
    return next(each for each in schema["fields"] if each["name"] == name)


def write(schema: JsonSchema, fields: dict[str, Any]) -> bytes:
    out = BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(plain_times(schema)), fields)
    return out.getvalue()


def read(schema: JsonSchema, data: bytes, record_type: type[Record]) -> Record:
    return compile_reader(parse(schema), record_type)(data, 0)


EVERY_TYPE: JsonSchema = {
    "name": "everything",
    "type": {
        "type": "record",
        "name": "Everything",
        "fields": [
            {"name": "n", "type": "null"},
            {"name": "b", "type": "boolean"},
            {"name": "i", "type": "int"},
            {"name": "l", "type": "long"},
            {"name": "f", "type": "float"},
            {"name": "d", "type": "double"},
            {"name": "y", "type": "bytes"},
            {"name": "s", "type": "string"},
            {"name": "t", "type": {"type": "long", "logicalType": "timestamp-millis"}},
            {"name": "z", "type": {"type": "bytes", "logicalType": "decimal", "precision": 30, "scale": 2}},
            {"name": "x", "type": {"type": "fixed", "name": "X", "size": 3}},
            {"name": "e", "type": {"type": "enum", "name": "E", "symbols": ["p", "q"]}},
            {"name": "a", "type": {"type": "array", "items": ["null", "X", "E"]}},
            {"name": "m", "type": {"type": "map", "values": {"type": "array", "items": "string"}}},
        ],
    },
}
EVERYTHING = {
    "n": None,
    "b": True,
    "i": -1,
    "l": 2**62,
    "f": 0.5,
    "d": float("nan"),  # not ours to judge
    "y": b"\xff" * 100,
    "s": "é" * 100,
    "t": -1,  # nor is this
    "z": Decimal("-1234567890123456789012345678.90"),
    "x": b"abc",
    "e": "q",
    "a": [None, b"xyz", "p"],
    "m": {"k": ["v", "w"], "": []},
}


@given(record=records(CaseReleased))
def test_fields_that_only_the_writer_has_are_stepped_over_whatever_their_type(record: CaseReleased):
    schema = amended(CaseReleased, lambda each: each["fields"].insert(2, EVERY_TYPE))
    data = write(schema, fields_of(record) | {"everything": EVERYTHING})
    assert read(schema, data, CaseReleased) == record


@given(record=records(UserProfileUpdated))
def test_fields_that_only_the_reader_has_take_their_defaults(record: UserProfileUpdated):
    gone = {"lifetime_value", "reach", "joined_at", "is_minor", "safety_flag"}
    schema = amended(
        UserProfileUpdated,
        lambda each: each.update(fields=[field for field in each["fields"] if field["name"] not in gone]),
    )
    fields = {name: value for name, value in fields_of(record).items() if name not in gone}
    read_back = read(schema, write(schema, fields), UserProfileUpdated)
    assert fields_of(read_back) == fields | {
        "lifetime_value": None,
        "reach": 0,
        "joined_at": None,
        "is_minor": False,
        "safety_flag": False,
    }


def test_default_lists_and_maps_are_not_shared_between_records():
    schema = amended(EnforcementIssued, lambda each: each["fields"].remove(field(each, "scope")))
    record = st_example(EnforcementIssued)
    fields = fields_of(record)
    del fields["scope"]
    data = write(schema, fields)
    first, second = (read(schema, data, EnforcementIssued) for _ in range(2))
    assert first.scope == second.scope == []  # type: ignore[attr-defined]
    assert first.scope is not second.scope  # type: ignore[attr-defined]


def st_example(record_type: type[Record]) -> Any:
    from tests.contract.golden import examples  # noqa: PLC0415

    return next(each.record for each in examples() if each.record_type is record_type and each.path.stem == "typical")


@given(record=records(EnforcementLifted), order=st.permutations(range(8)))
def test_order_of_the_writers_fields_is_free(record: EnforcementLifted, order: list[int]):
    schema = amended(EnforcementLifted, lambda each: each.update(fields=[each["fields"][i] for i in order]))
    # Each named type must be defined where it comes first; this record names none twice.
    assert read(schema, write(schema, fields_of(record)), EnforcementLifted) == record


@given(record=records(EnforcementLifted))
def test_optional_that_a_writer_always_fills_and_branches_in_another_order_are_read(record: EnforcementLifted):
    def change(schema: JsonSchema) -> None:
        field(schema, "lifted_by").update(type="string")
        del field(schema, "lifted_by")["default"]
        amount = field(schema, "amount_returned")
        amount["type"].reverse()
        del amount["default"]

    schema = amended(EnforcementLifted, change)
    filled = fields_of(record) | {"lifted_by": "somebody"}
    assert fields_of(read(schema, write(schema, filled), EnforcementLifted)) == filled


@given(record=records(UserProfileUpdated).filter(lambda each: each.reach < 2**31))
def test_int_is_read_as_long(record: UserProfileUpdated):
    schema = amended(UserProfileUpdated, lambda each: field(each, "reach").update(type="int"))
    assert read(schema, write(schema, fields_of(record)), UserProfileUpdated) == record


@pytest.mark.parametrize("written", ["int", "long", "float"])
def test_number_is_read_as_double(written: str):
    def change(schema: JsonSchema) -> None:
        component = field(schema, "components")["type"]["items"]
        field(component, "value").update(type=written)

    schema = amended(Case, change)
    case = st_example(Case)
    fields = fields_of(case)
    for component in fields["components"]:
        component["value"] = 1
    back = read(schema, write(schema, fields), Case)
    values = [component.value for component in back.components]  # type: ignore[attr-defined]
    assert values == [1.0] * len(values)
    assert {type(value) for value in values} == {float}


def test_schema_that_cannot_be_resolved_is_refused_when_it_is_met():
    schema = amended(EnforcementLifted, lambda each: each["fields"].remove(field(each, "enforcement_id")))
    with pytest.raises(SchemaError, match="enforcement_id: the writer has no such field"):
        compile_reader(parse(schema), EnforcementLifted)


def test_symbols_in_another_order_keep_their_meaning():
    schema = amended(DirectiveAcked, lambda each: field(each, "status")["type"]["symbols"].reverse())
    record = st_example(DirectiveAcked)
    assert read(schema, write(schema, fields_of(record)), DirectiveAcked) == record


def test_new_symbol_is_carried_on_as_unknown_where_nothing_rests_on_it():
    schema = amended(EnforcementLifted, lambda each: field(each, "reason")["type"]["symbols"].insert(1, "pardoned"))
    fields = fields_of(st_example(EnforcementLifted)) | {"reason": "pardoned"}
    assert fields_of(read(schema, write(schema, fields), EnforcementLifted))["reason"] == "UNKNOWN"


def test_new_symbol_beyond_the_sixty_fourth_is_carried_on_too():
    more = [f"new_{number}" for number in range(100)]
    schema = amended(EnforcementLifted, lambda each: field(each, "reason")["type"]["symbols"].extend(more))
    for symbol, expected in [("new_99", "UNKNOWN"), ("legal", "legal")]:
        fields = fields_of(st_example(EnforcementLifted)) | {"reason": symbol}
        assert fields_of(read(schema, write(schema, fields), EnforcementLifted))["reason"] == expected


def test_new_symbol_stops_the_record_and_is_named_where_a_decision_would_rest_on_it():
    schema = amended(DirectiveAcked, lambda each: field(each, "status")["type"]["symbols"].append("half_applied"))
    fields = fields_of(st_example(DirectiveAcked)) | {"status": "half_applied"}
    with pytest.raises(DecodeError, match="status is 'half_applied'") as caught:
        read(schema, write(schema, fields), DirectiveAcked)
    assert caught.value.reason is DecodeReason.UNKNOWN_SYMBOL


def test_amounts_are_exact_to_the_last_of_eighteen_digits():
    record = st_example(EnforcementLifted)
    for text in ("99999999999999.9999", "-99999999999999.9999", "0.0001", "-0.0128", "0", "-0.0000"):
        fields = fields_of(record) | {"amount_returned": {"value": Decimal(text), "currency": "EUR"}}
        data = write(wire_form(current(EnforcementLifted)), fields)
        back: Any = read(wire_form(current(EnforcementLifted)), data, EnforcementLifted)
        assert back.amount_returned.value == Decimal(text)
