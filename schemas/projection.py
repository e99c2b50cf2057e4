"""Some fields of a record read, others carried over as the bytes that they are, the rest stepped over.

A step that looks at three fields of ten need not build the other seven, nor write out again what it passes on.
`compile_projection` makes one strict function from a schema and the names that matter, `compile_splice` the writer
that takes what was carried over as it is. Avro gives a field no address, so every byte is still walked once and held
to its form and its bounds.

What this does not know are the bounds that only a record type has (`schemas.records`): whoever needs those reads the
whole record (`schemas.reading`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from struct import error as StructError  # noqa: N812 - a class with a lower-case name
from typing import Any, Final, NoReturn

from msgspec import inspect as shapes

from schemas import nodes
from schemas.errors import DecodeError, DecodeReason, EncodeError, SchemaError
from schemas.primitives import undecodable
from schemas.reading import ReaderSource
from schemas.writing import UNFIT, WriterSource

Carried = str
"""A field's bytes on their way from a projection to a splice, as text with one character a byte (Latin-1)."""

Projection = Callable[[bytes, int], tuple[Any, ...]]
"""Reads the record that starts at a position and ends with the bytes: values in the order asked for, then `Carried`.

Raises:
    DecodeError: The bytes are not a good record.
"""

Splice = Callable[..., bytes]
"""Writes a record from one argument a field, in the schema's order: its value, or what was carried over.

Raises:
    EncodeError: A value does not fit its field.
"""


def compile_projection(writer: nodes.Node, *, read: Sequence[str], carry: Sequence[str] = ()) -> Projection:
    """The function that takes these fields out of a record of this schema.

    Args:
        writer: The schema that the bytes were written with, a record.
        read: Fields whose values are wanted, as plain values (a record and a map as a dict).
        carry: Fields wanted as they are (`Carried`), for `compile_splice`. One may be read as well.

    Raises:
        SchemaError: The schema is no record, or has no such field.
    """
    record = _record(writer, {*read, *carry})
    places = {field.name: index for index, field in enumerate(record.fields)}
    source = ReaderSource(frozenset())
    source.line(0, "def read(d, p):")
    source.line(1, "try:")
    source.line(2, "t = d.decode('latin-1')")
    for name, index in places.items():
        kind = record.fields[index].type
        source.passed_on = name in carry
        if name in carry:
            source.line(2, f"a{index} = p")
        source.value(kind, kind if name in read else None, f"f{index}", name, 2)
        if name in carry:
            source.line(2, f"r{index} = t[a{index}:p]")
    values = [f"f{places[name]}" for name in read] + [f"r{places[name]}" for name in carry]
    source.line(2, "if p != len(d): wrong_end(d, p)")
    source.line(2, f"return ({''.join(f'{value}, ' for value in values)})")
    source.line(1, "except faults as fault: failed(fault, d)")
    source.names |= {"faults": _FAULTS, "failed": partial(_failed, record.name), "wrong_end": _wrong_end}
    return source.build(f"<projection of {record.name}>")


def compile_splice(writer: nodes.Node, carry: Sequence[str] = ()) -> Splice:
    """The function that writes a record of this schema from values and from what `compile_projection` carried over.

    Args:
        writer: The schema to write, a record. A field of a type that has parts takes an object with their names.
        carry: Fields given as `Carried`. They were written under another schema, whose field must be of the same type:
            that is the caller's to see to, once, with `same_type`.

    Raises:
        SchemaError: The schema is no record, has no such field, or one of a type that cannot be given as a value.
    """
    record = _record(writer, {*carry})
    source = WriterSource(frozenset())
    names = [f"f{index}" for index in range(len(record.fields))]
    source.line(0, f"def write({', '.join(names)}):")
    source.line(1, "try:")
    for name, field in zip(names, record.fields, strict=True):
        if field.name in carry:
            source.piece(name)
        else:
            source.value(field.type, _shape(field.type, field.name), name, field.name, 2)
    source.line(2, f"return {source.joined()}.encode('latin-1')")
    source.line(1, "except faults as fault: failed(fault)")
    source.names |= {"faults": UNFIT, "failed": partial(_unfit, record.name)}
    return source.build(f"<splice of {record.name}>")


def same_type(one: nodes.Node, name: str, other: nodes.Node, other_name: str) -> bool:
    """Whether the bytes of a field of one record are those of a field of another, whatever the value."""
    types = [
        next((field.type for field in _record(node, set()).fields if field.name == wanted), None)
        for node, wanted in ((one, name), (other, other_name))
    ]
    return types[0] is not None and types[0] == types[1]


def _record(node: nodes.Node, wanted: set[str]) -> nodes.Record:
    if not isinstance(node, nodes.Record):
        raise SchemaError("only a record has fields")
    unknown = wanted - {field.name for field in node.fields}
    if unknown:
        raise SchemaError(f"{node.name} has no {', '.join(sorted(unknown))}")
    return node


_SHAPES: Final[dict[tuple[str, str | None], shapes.Type]] = {
    ("boolean", None): shapes.BoolType(),
    ("int", None): shapes.IntType(),
    ("long", None): shapes.IntType(),
    ("long", "timestamp-millis"): shapes.IntType(),
    ("double", None): shapes.FloatType(),
    ("string", None): shapes.StrType(),
    ("bytes", "decimal"): shapes.DecimalType(),
}
"""Type and logical type to what a value of it is in Python, with no bound but those that all records have."""


def _shape(node: nodes.Node, path: str) -> shapes.Type:
    match node:
        case nodes.Primitive() if (node.type, node.logical) in _SHAPES:
            return _SHAPES[node.type, node.logical]
        case nodes.Enum():
            return shapes.StrType()
        case nodes.Array():
            return shapes.ListType(_shape(node.items, path))
        case nodes.Map():
            return shapes.DictType(shapes.StrType(), _shape(node.values, path))
        case nodes.Union((nodes.Primitive("null"), branch)):
            return shapes.UnionType((_shape(branch, path), shapes.NoneType()))
        case _:
            raise SchemaError(f"{path}: a value of this type cannot be given: carry it over, or write a typed record")


_FAULTS: Final = (DecodeError, IndexError, StructError, UnicodeDecodeError)


def _failed(name: str, fault: Exception, data: bytes) -> NoReturn:
    match fault:
        case DecodeError():
            raise DecodeError(fault.reason, f"{name}: {fault.text}") from None
        case UnicodeDecodeError():
            raise DecodeError(DecodeReason.UNDECODABLE, f"{name}: not UTF-8, {fault.reason}") from None
        case _:
            raise DecodeError(DecodeReason.UNDECODABLE, f"{name}: truncated at {len(data)} bytes") from None


def _wrong_end(data: bytes, at: int) -> NoReturn:
    left = len(data) - at
    undecodable("truncated" if left < 0 else f"{left} bytes after the record")


def _unfit(name: str, fault: Exception) -> NoReturn:
    if isinstance(fault, EncodeError):
        raise EncodeError(f"{name}: {fault}") from None
    raise EncodeError(f"{name}: {type(fault).__name__}: {fault}") from fault
