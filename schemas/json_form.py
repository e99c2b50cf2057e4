"""Records as JSON, for people: examples, the command line, the audit. The wire is Avro.

Decimals are strings, times are milliseconds. Reading is as strict as the wire: the same bounds hold, and a
misspelt key is an error that names the nearest known one, never a default in silence.
"""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from typing import TypeVar, cast

import msgspec
from msgspec import inspect as shapes

from schemas.errors import EncodeError, JsonError
from schemas.records import Record
from schemas.writing import writer_for

R = TypeVar("R", bound=Record)


def to_json(record: Record, *, indent: int = 0) -> bytes:
    """The record as JSON, fields in the order of the schema; on one line unless an indent is given."""
    text = msgspec.json.encode(record)
    return msgspec.json.format(text, indent=indent) if indent else text


def from_json(record_type: type[R], text: bytes | str) -> R:
    """The record that a JSON text describes.

    Raises:
        JsonError: No JSON, an unknown key, or a value that the record or its writer would refuse.
    """
    name = record_type.__name__
    try:
        record = msgspec.json.decode(text, type=record_type)
        strays = list(_strays(msgspec.json.decode(text), shapes.type_info(record_type), ""))
        if strays:
            raise JsonError(f"{name}: {'; '.join(strays)}")
        writer_for(record_type)(record)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise JsonError(f"{name}: {error}") from None
    except EncodeError as error:
        raise JsonError(str(error)) from None
    return record


def _strays(value: object, shape: shapes.Type, path: str) -> Iterator[str]:
    """Keys that the record does not have, wherever they are."""
    match shape:
        case shapes.StructType() if isinstance(value, dict):
            types = {field.encode_name: field.type for field in shape.fields}
            for key, inner in cast("dict[str, object]", value).items():
                where = f"{path}.{key}" if path else key
                if key in types:
                    yield from _strays(inner, types[key], where)
                else:
                    near = get_close_matches(key, types, n=1)
                    yield f"unknown key {where}" + (f", perhaps {near[0]}" if near else "")
        case shapes.ListType() if isinstance(value, list):
            for inner in cast("list[object]", value):
                yield from _strays(inner, shape.item_type, f"{path}[]")
        case shapes.UnionType() if value is not None:
            yield from _strays(value, next(s for s in shape.types if not isinstance(s, shapes.NoneType)), path)
        case _:
            pass
