"""An Avro schema as a small typed tree, checked once so that no reader has to fear it.

`parse` refuses what could make few bytes cost much: recursive schemas, excess depth, and array items that take
no bytes at all (five bytes could claim fifty million nulls). Aliases are not used in this contract, so none are
read: a renamed field or record is a new one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from schemas.errors import SchemaError

MAX_DEPTH: Final = 16
"""Nested types a schema may have; the deepest of ours has 7."""
MAX_NODES: Final = 5_000
"""Types a schema may have when every reference is written out; the largest of ours has 93."""
MAX_BRANCHES: Final = 64
"""Branches of a union; so an index is one byte."""
MAX_PRECISION: Final = 77
"""Digits of a decimal: what 256 bits hold."""
NAME: Final = re.compile("[A-Za-z_][A-Za-z0-9_]*")
PRIMITIVES: Final = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})
NO_DEFAULT: Final = object()
"""Tells a field without a default from one whose default is null."""


@dataclass(frozen=True, slots=True)
class Primitive:
    """One of the eight primitive types, perhaps with a logical type."""

    type: str
    logical: str | None = None
    precision: int = 0
    scale: int = 0


@dataclass(frozen=True, slots=True)
class Enum:
    """A closed list of symbols; `default` is what a reader takes for a symbol it does not know."""

    name: str
    symbols: tuple[str, ...]
    default: str | None = None


@dataclass(frozen=True, slots=True)
class Fixed:
    """A fixed number of bytes. None of our records has one; a writer's might."""

    name: str
    size: int


@dataclass(frozen=True, slots=True)
class Array:
    """Items of one type, in blocks."""

    items: Node


@dataclass(frozen=True, slots=True)
class Map:
    """Values of one type by string, in blocks."""

    values: Node


@dataclass(frozen=True, slots=True)
class Union:
    """One of several types, told by its index."""

    branches: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a record; its default stands in when the writer has no such field."""

    name: str
    type: Node
    default: Any = NO_DEFAULT


@dataclass(frozen=True, slots=True)
class Record:
    """Fields in the order in which they are written."""

    name: str
    fields: tuple[Field, ...]


Node = Primitive | Enum | Fixed | Array | Map | Union | Record


def parse(schema: object) -> Node:
    """Read a self-contained schema (the JSON value, not its text).

    Raises:
        SchemaError: It is no Avro schema, is recursive, too deep, or has array items without bytes.
    """
    try:
        node = _Parser().node(schema, namespace="", depth=1)
    except (TypeError, KeyError, AttributeError) as error:  # a number where a list belongs, a field without a name
        raise SchemaError(f"not an Avro schema: {error!r}") from error
    depth, size = _measure(node, {})
    if depth > MAX_DEPTH or size > MAX_NODES:
        raise SchemaError(f"{size} types, nested {depth} deep: must be within {MAX_NODES} and {MAX_DEPTH}")
    return node


def takes_no_bytes(node: Node) -> bool:
    """True if a value of this type can be written in no bytes at all."""
    match node:
        case Primitive():
            return node.type == "null"
        case Fixed():
            return node.size == 0
        case Record():
            return all(takes_no_bytes(field.type) for field in node.fields)
        case _:
            return False


def children(node: Node) -> tuple[Node, ...]:
    """The types directly inside a type."""
    match node:
        case Array():
            return (node.items,)
        case Map():
            return (node.values,)
        case Union():
            return node.branches
        case Record():
            return tuple(field.type for field in node.fields)
        case _:
            return ()


def _measure(node: Node, known: dict[int, tuple[int, int]]) -> tuple[int, int]:
    """Depth and number of types once references are written out, each shared type visited once."""
    if id(node) not in known:
        inner = [_measure(child, known) for child in children(node)]
        known[id(node)] = 1 + max((d for d, _ in inner), default=0), 1 + sum(n for _, n in inner)
    return known[id(node)]


class _Parser:
    """Holds the named types met so far; one that is still open when it is met again is recursive."""

    def __init__(self) -> None:
        self._named: dict[str, Node | None] = {}

    def node(self, schema: object, namespace: str, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise SchemaError(f"nested deeper than {MAX_DEPTH} types")
        if isinstance(schema, str):
            return Primitive(schema) if schema in PRIMITIVES else self._reference(schema, namespace)
        if isinstance(schema, list):
            return self._union(cast("list[object]", schema), namespace, depth)
        if isinstance(schema, Mapping):
            return self._complex(cast("Mapping[str, Any]", schema), namespace, depth)
        raise SchemaError(f"{schema!r} is not a schema")

    def _reference(self, name: str, namespace: str) -> Node:
        full_name = name if "." in name or not namespace else f"{namespace}.{name}"
        if full_name not in self._named:
            raise SchemaError(f"{full_name} is used but not defined")
        node = self._named[full_name]
        if node is None:
            raise SchemaError(f"{full_name} contains itself: a record of any depth could be written")
        return node

    def _union(self, branches: list[object], namespace: str, depth: int) -> Union:
        if not 0 < len(branches) <= MAX_BRANCHES:
            raise SchemaError(f"a union of {len(branches)} branches, must have 1 to {MAX_BRANCHES}")
        return Union(tuple(self.node(branch, namespace, depth + 1) for branch in branches))

    def _complex(self, schema: Mapping[str, Any], namespace: str, depth: int) -> Node:
        match schema.get("type"):
            case "array":
                items = self.node(schema.get("items"), namespace, depth + 1)
                if takes_no_bytes(items):
                    raise SchemaError("array items that take no bytes: a count alone could claim any number")
                return Array(items)
            case "map":
                return Map(self.node(schema.get("values"), namespace, depth + 1))
            case "record" | "enum" | "fixed":
                return self._define(schema, namespace, depth)
            case str() as name if name in PRIMITIVES:
                return _primitive(name, schema)
            case inner:
                return self.node(inner, namespace, depth + 1)

    def _define(self, schema: Mapping[str, Any], namespace: str, depth: int) -> Node:
        name = schema.get("name")
        if not isinstance(name, str) or not name:
            raise SchemaError(f"a {schema['type']} without a name")
        inner_namespace = name.rpartition(".")[0] if "." in name else str(schema.get("namespace", namespace))
        full_name = name if "." in name or not inner_namespace else f"{inner_namespace}.{name}"
        if full_name in self._named:
            raise SchemaError(f"{full_name} is defined twice")
        self._named[full_name] = None
        node = self._named[full_name] = self._body(full_name, schema, inner_namespace, depth)
        return node

    def _body(self, name: str, schema: Mapping[str, Any], namespace: str, depth: int) -> Node:
        match schema["type"]:
            case "enum":
                symbols = tuple(map(str, schema.get("symbols", ())))
                default = schema.get("default")
                if len(set(symbols)) != len(symbols) or (default is not None and default not in symbols):
                    raise SchemaError(f"{name}: symbols repeat, or the default is none of them")
                return Enum(name, symbols, default)
            case "fixed":
                size = schema.get("size")
                if not isinstance(size, int) or size < 0:
                    raise SchemaError(f"{name}: size {size!r}")
                return Fixed(name, size)
            case _:
                fields = tuple(
                    Field(
                        str(field["name"]),
                        self.node(field["type"], namespace, depth + 1),
                        field.get("default", NO_DEFAULT),
                    )
                    for field in schema.get("fields", ())
                )
                names = {field.name for field in fields}
                if len(names) != len(fields) or not all(map(NAME.fullmatch, names)):
                    raise SchemaError(f"{name}: a field's name is none, or two have the same")
                return Record(name, fields)


def _primitive(name: str, schema: Mapping[str, Any]) -> Primitive:
    """A logical type that is unknown, or on the wrong type, is ignored, as the specification demands."""
    match name, schema.get("logicalType"):
        case "long", "timestamp-millis":
            return Primitive(name, "timestamp-millis")
        case "bytes", "decimal":
            precision, scale = schema.get("precision"), schema.get("scale", 0)
            if not (isinstance(precision, int) and isinstance(scale, int) and 0 <= scale <= precision <= MAX_PRECISION):
                raise SchemaError(f"decimal with precision {precision!r} and scale {scale!r}")
            return Primitive(name, "decimal", precision, scale)
        case _:
            return Primitive(name)
