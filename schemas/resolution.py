"""The rules of Avro schema resolution: can this reader read everything that this writer can write?

In the order of the specification (Avro 1.12, "Schema Resolution"), with what this contract makes stricter:

- *Records* have the same full name. A field that only the writer has is dropped; one that only the reader has
  needs a default. Fields are matched by name, so their order is free.
- *Enums* have the same full name. A writer's symbol that the reader lacks becomes the reader's default; without
  a default it is an error.
- *Unions*: each branch of the writer must be readable; it goes to the reader's first branch that fits.
- *Promotions*: int to long, float, double; long to float, double; float to double. Stricter: bytes and string
  are never taken for each other, since bytes need not be UTF-8.
- *Logical types* must be the same, decimals with the same precision and scale. Stricter: the specification lets
  a reader fall back to the underlying type, which would turn 12.50 into 125000 without a word.
- *Aliases* are not used: a renamed field is a new one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from schemas.nodes import NO_DEFAULT, Array, Enum, Fixed, Map, Node, Primitive, Record, Union

PROMOTIONS: Final[dict[str, frozenset[str]]] = {
    "int": frozenset({"long", "float", "double"}),
    "long": frozenset({"float", "double"}),
    "float": frozenset({"double"}),
}
"""Writer's type to the other types that a reader may have for it."""


def problems(reader: Node, writer: Node, path: str = "") -> list[str]:
    """Why the reader cannot read what the writer may write, one line each; empty if it can."""
    return list(_problems(reader, writer, path))


def branch_for(writer: Node, reader: Union) -> Node | None:
    """The reader's branch that takes a value of the writer's type: the first that fits."""
    return next((branch for branch in reader.branches if not problems(branch, writer)), None)


def _problems(reader: Node, writer: Node, path: str) -> Iterator[str]:
    where = path or "the record"
    if isinstance(writer, Union):
        for branch in writer.branches:
            yield from _problems(reader, branch, path)
    elif isinstance(reader, Union):
        if branch_for(writer, reader) is None:
            yield f"{where}: no branch of {describe(reader)} takes the writer's {describe(writer)}"
    elif type(reader) is not type(writer):
        yield f"{where}: {describe(writer)} cannot be read as {describe(reader)}"
    else:
        yield from _problems_of_kind(reader, writer, path, where)


def _problems_of_kind(reader: Node, writer: Node, path: str, where: str) -> Iterator[str]:
    """Two types of the same kind, neither a union."""
    match reader, writer:
        case Primitive(), Primitive():
            yield from _primitive_problems(reader, writer, where)
        case Array(), Array():
            yield from _problems(reader.items, writer.items, f"{path}[]")
        case Map(), Map():
            yield from _problems(reader.values, writer.values, f"{path}{{}}")
        case (Enum(), Enum()) | (Fixed(), Fixed()) | (Record(), Record()) if reader.name != writer.name:
            yield f"{where}: the writer's {writer.name} is not the reader's {reader.name}"
        case Enum(), Enum():
            missing = [symbol for symbol in writer.symbols if symbol not in reader.symbols]
            if missing and reader.default is None:
                yield f"{where}: the reader lacks {', '.join(missing)} and has no default symbol"
        case Fixed(), Fixed() if reader.size != writer.size:
            yield f"{where}: {writer.size} bytes cannot be read as {reader.size}"
        case Record(), Record():
            yield from _field_problems(reader, writer, path)
        case _:
            pass


def _primitive_problems(reader: Primitive, writer: Primitive, where: str) -> Iterator[str]:
    if writer.type != reader.type and reader.type not in PROMOTIONS.get(writer.type, ()):
        yield f"{where}: {describe(writer)} cannot be read as {describe(reader)}"
    elif _meaning(writer) != _meaning(reader):
        yield f"{where}: {describe(writer)} means something else than {describe(reader)}"


def _field_problems(reader: Record, writer: Record, path: str) -> Iterator[str]:
    written = {field.name: field for field in writer.fields}
    for field in reader.fields:
        inner = f"{path}.{field.name}" if path else field.name
        if field.name in written:
            yield from _problems(field.type, written[field.name].type, inner)
        elif field.default is NO_DEFAULT:
            yield f"{inner}: the writer has no such field and the reader has no default for it"


def _meaning(node: Primitive) -> tuple[str | None, int, int]:
    return node.logical, node.precision, node.scale


def describe(node: Node) -> str:
    """The type in a few words, for messages."""
    match node:
        case Primitive(logical="decimal"):
            return f"decimal({node.precision}, {node.scale})"
        case Primitive():
            return node.logical or node.type
        case Union():
            return " | ".join(map(describe, node.branches))
        case Array():
            return f"array of {describe(node.items)}"
        case Map():
            return f"map of {describe(node.values)}"
        case Enum() | Fixed() | Record():
            return node.name
