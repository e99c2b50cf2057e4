"""Records of every type, drawn from the typed classes themselves: a new field is covered when it is declared."""

from __future__ import annotations

from decimal import Decimal
from functools import cache
from typing import Any

import msgspec
from hypothesis import strategies as st
from msgspec import inspect as shapes

from schemas import CRITICAL_SYMBOLS, Record
from schemas.catalog import current_node
from schemas.nodes import Array, Enum, Map, Node, Primitive, Union
from schemas.nodes import Record as RecordNode
from schemas.rules import MAX_TIME_MS, MIN_TIME_MS

MAX_LONG = 2**63 - 1
EDGE_TIMES = (MIN_TIME_MS, MAX_TIME_MS - 1, 2**41 - 1, 2**41)  # around 2039, where a time needs a seventh byte
AMOUNTS = st.integers(1 - 10**18, 10**18 - 1).map(lambda unscaled: Decimal(unscaled).scaleb(-4))


@cache
def records(record_type: type[Record]) -> st.SearchStrategy[Any]:
    """Good records: within all bounds, with plausible times, and no unknown symbol where it matters."""
    critical = CRITICAL_SYMBOLS.get(record_type, frozenset())
    return _value(current_node(record_type), shapes.type_info(record_type), "", critical)


def _value(node: Node, shape: shapes.Type, path: str, critical: frozenset[str]) -> st.SearchStrategy[Any]:
    match node, shape:
        case RecordNode(), shapes.StructType():
            types = {field.name: field.type for field in shape.fields}
            fields = {
                field.name: _value(field.type, types[field.name], f"{path}.{field.name}".lstrip("."), critical)
                for field in node.fields
            }
            drawn = st.builds(shape.cls, **fields)
        case Union((_, branch)), shapes.UnionType((inner, _)):
            drawn = st.none() | _value(branch, inner, path, critical)
        case Array(), shapes.ListType():
            drawn = st.lists(_value(node.items, shape.item_type, f"{path}[]", critical), max_size=3)
        case Map(), shapes.DictType():
            drawn = st.dictionaries(_text(shapes.StrType()), _value(node.values, shape.value_type, path, critical))
        case Enum(), shapes.EnumType():
            drawn = st.sampled_from([each for each in shape.cls if not (path in critical and each == node.default)])
        case Primitive(), _:
            drawn = _scalar(node, shape)
        case _:
            raise AssertionError(f"{path}: no strategy for {shape}")
    return drawn


def _scalar(node: Primitive, shape: shapes.Type) -> st.SearchStrategy[Any]:
    if node.logical == "timestamp-millis":
        return st.sampled_from(EDGE_TIMES) | st.integers(MIN_TIME_MS, MAX_TIME_MS - 1)
    if isinstance(shape, shapes.StrType):
        return _text(shape)
    if isinstance(shape, shapes.IntType):
        return st.integers(-MAX_LONG - 1 if shape.ge is None else shape.ge, MAX_LONG)
    floats = st.floats(allow_nan=False, allow_infinity=False)
    return {"double": floats, "boolean": st.booleans(), "bytes": AMOUNTS}[node.type]


def _text(shape: shapes.StrType) -> st.SearchStrategy[str]:
    if shape.pattern:
        return st.from_regex(shape.pattern, fullmatch=True).filter(lambda text: len(text) <= (shape.max_length or 99))
    least, most = shape.min_length or 0, shape.max_length or 200
    if least > 12:
        return st.text(st.characters(codec="utf-8"), min_size=least, max_size=most)
    lengths_around_a_prefix_byte = st.sampled_from([63, 64, 65, 127, 128]).map(lambda size: "x" * min(size, most))
    return st.text(st.characters(codec="utf-8"), min_size=least, max_size=12) | lengths_around_a_prefix_byte


def fields_of(record: msgspec.Struct) -> dict[str, Any]:
    """The record as plain values, decimals kept: what an Avro library takes."""
    return msgspec.to_builtins(record, builtin_types=(Decimal,))
