"""Schemas and typed records say the same, field by field, and there is nothing on one side only."""

from __future__ import annotations

import json
import re
import typing
from decimal import Decimal
from enum import StrEnum
from types import UnionType
from typing import Annotated, Any

import fastavro
import msgspec
import pytest

from schemas import ALL_RECORDS, CRITICAL_SYMBOLS, INPUT_RECORDS, OUTPUT_RECORDS, Record, vocabulary
from schemas.catalog import AVRO, NAMESPACE, all_types, current, current_node, fingerprint
from schemas.nodes import Array, Enum, Node, Union
from schemas.nodes import Record as RecordNode
from schemas.records import Millis

ENUMS = [each for each in vars(vocabulary).values() if isinstance(each, type) and issubclass(each, StrEnum)]
ENUMS.remove(StrEnum)


def schema_file(kind: type) -> dict[str, Any]:
    return json.loads((AVRO / f"{kind.__name__}.avsc").read_text("utf-8"))


DECIMAL = {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 4}
TIME = {"type": "long", "logicalType": "timestamp-millis"}
SCALARS = {str: "string", int: "long", float: "double", bool: "boolean", Decimal: DECIMAL, Millis: TIME}


def expected_type(hint: Any) -> Any:
    """The Avro type that a Python annotation stands for."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        expected = expected_type(arguments[0])
    elif origin in (typing.Union, UnionType):
        (inner,) = (each for each in arguments if each is not type(None))
        expected = ["null", expected_type(inner)]
    elif origin is list:
        expected = {"type": "array", "items": expected_type(arguments[0])}
    elif origin is dict:
        assert expected_type(arguments[0]) == "string"
        expected = {"type": "map", "values": expected_type(arguments[1])}
    elif hint not in SCALARS and isinstance(hint, typing.NewType):
        expected = expected_type(hint.__supertype__)
    else:
        expected = SCALARS.get(hint) or f"{NAMESPACE}.{hint.__name__}"
    return expected


def expected_default(field: msgspec.structs.FieldInfo) -> Any:
    if field.default is not msgspec.NODEFAULT:
        return field.default
    return field.default_factory() if field.default_factory is not msgspec.NODEFAULT else msgspec.NODEFAULT


@pytest.mark.parametrize("record_type", all_types(), ids=lambda each: each.__name__)
def test_record_and_schema_have_the_same_fields_types_and_defaults_in_the_same_order(record_type: type[Record]):
    schema = schema_file(record_type)
    hints = typing.get_type_hints(record_type, include_extras=True)
    assert (schema["type"], schema["name"], schema["namespace"]) == ("record", record_type.__name__, NAMESPACE)
    in_class = [
        (f.name, expected_type(hints[f.name]), expected_default(f)) for f in msgspec.structs.fields(record_type)
    ]
    in_schema = [(f["name"], f["type"], f.get("default", msgspec.NODEFAULT)) for f in schema["fields"]]
    assert in_schema == in_class


@pytest.mark.parametrize("record_type", all_types(), ids=lambda each: each.__name__)
def test_record_is_documented_and_optional_fields_default_to_null(record_type: type[Record]):
    schema = schema_file(record_type)
    assert schema["doc"]
    for field in schema["fields"]:
        assert field["doc"].endswith("."), f"{record_type.__name__}.{field['name']}"
        assert set(field) <= {"name", "type", "default", "doc", "personal"}
        if isinstance(field["type"], list):
            assert field["default"] is None


@pytest.mark.parametrize("enum", ENUMS, ids=lambda each: each.__name__)
def test_enum_and_schema_have_the_same_symbols_and_unknown_is_first_and_default(enum: type[StrEnum]):
    schema = schema_file(enum)
    assert (schema["type"], schema["name"], schema["namespace"]) == ("enum", enum.__name__, NAMESPACE)
    assert schema["symbols"] == [each.value for each in enum]
    assert schema["symbols"][0] == schema["default"] == "UNKNOWN"
    assert all(re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", symbol) for symbol in schema["symbols"])


def test_every_schema_file_has_a_class_and_every_class_a_schema_file():
    files = {path.stem for path in AVRO.iterdir()}
    assert files == {each.__name__ for each in [*all_types(), *ENUMS]}


def test_every_part_is_used_by_a_record_that_can_stand_alone():
    def names(node: Node) -> set[str]:
        match node:
            case RecordNode():
                return {node.name}.union(*(names(field.type) for field in node.fields))
            case Array():
                return names(node.items)
            case Union():
                return set().union(*map(names, node.branches))
            case Enum():
                return {node.name}
            case _:
                return set()

    used = set().union(*(names(current_node(each)) for each in ALL_RECORDS))
    assert used == {f"{NAMESPACE}.{each.__name__}" for each in [*all_types(), *ENUMS]}


def test_input_and_output_records_are_all_records_and_do_not_overlap():
    assert len(set(ALL_RECORDS)) == len(INPUT_RECORDS) + len(OUTPUT_RECORDS) == len(ALL_RECORDS)


@pytest.mark.parametrize("record_type", ALL_RECORDS, ids=lambda each: each.__name__)
def test_schema_is_accepted_by_another_avro_library(record_type: type[Record]):
    fastavro.parse_schema(current(record_type))


def test_fingerprints_are_those_of_the_specification_and_tell_records_apart():
    # CRC-64-AVRO of "int", as the Java library has it: 7275d51a3f395c8f, little endian on the wire.
    assert fingerprint("int").hex() == "8f5c393f1ad57572"  # type: ignore[arg-type]
    assert len({fingerprint(current(each)) for each in ALL_RECORDS}) == len(ALL_RECORDS)


def test_every_critical_path_is_an_enum_of_its_record():
    for record_type, paths in CRITICAL_SYMBOLS.items():
        for path in paths:
            node: Node = current_node(record_type)
            for step in path.split("."):
                assert isinstance(node, RecordNode), path
                node = {field.name: field.type for field in node.fields}[step.removesuffix("[]")]
                if isinstance(node, Union):
                    node = node.branches[1]
                if step.endswith("[]"):
                    assert isinstance(node, Array)
                    node = node.items
            assert isinstance(node, Enum), f"{record_type.__name__}.{path}"
