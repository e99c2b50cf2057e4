"""fastavro as an independent second opinion on bytes: it never saw our readers and writers."""

from __future__ import annotations

from decimal import Decimal
from io import BytesIO
from typing import Any

import fastavro
import msgspec

from schemas import Record
from schemas.catalog import JsonSchema, current
from tests.contract.strategies import fields_of


def plain_times(schema: Any) -> Any:
    """The schema with times as numbers, since fastavro would make date objects of them. Same bytes."""
    if isinstance(schema, list):
        return [plain_times(each) for each in schema]
    if isinstance(schema, dict):
        if schema.get("logicalType") == "timestamp-millis":
            return "long"
        return {key: plain_times(value) for key, value in schema.items()}
    return schema


def write(record: Record, schema: JsonSchema | None = None) -> bytes:
    out = BytesIO()
    parsed = fastavro.parse_schema(plain_times(schema or current(type(record))))
    fastavro.schemaless_writer(out, parsed, _sorted_maps(fields_of(record)))
    return out.getvalue()


def read(data: bytes, record_type: type[Record], writer: JsonSchema | None = None) -> Record:
    reader = fastavro.parse_schema(plain_times(current(record_type)))
    parsed = fastavro.parse_schema(plain_times(writer or current(record_type)))
    fields = fastavro.schemaless_reader(BytesIO(data), parsed, reader)
    return msgspec.convert(fields, record_type)


def has_odd_amount(value: Any) -> bool:
    """fastavro spends a byte too many on amounts such as -0.0128 (-128 unscaled); Java's BigInteger does not."""
    if isinstance(value, Decimal):
        unscaled = int(value.scaleb(4))
        size = (-unscaled).bit_length()
        return unscaled < 0 and -unscaled == 1 << size - 1 and size % 8 == 0
    if isinstance(value, dict):
        return any(map(has_odd_amount, value.values()))
    return isinstance(value, list) and any(map(has_odd_amount, value))


def _sorted_maps(value: Any) -> Any:
    """Map keys in the order in which we write them. The order of a record's keys does not matter."""
    if isinstance(value, dict):
        return {key: _sorted_maps(value[key]) for key in sorted(value)}
    return [_sorted_maps(each) for each in value] if isinstance(value, list) else value
