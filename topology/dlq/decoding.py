"""As much of a record as can be read, field by field, and the field at which it fails.

The codec's readers are strict and all or nothing; a person who looks at a dead letter wants to see what is there. So
this one reads on where only a bound or a rule is broken, and stops where the position of the next field is not known.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from struct import Struct
from struct import error as StructError  # noqa: N812 - a class with a lower-case name

from schemas import primitives
from schemas.catalog import fingerprint, writer_schemas
from schemas.codec import CONFLUENT, CONFLUENT_HEAD, SINGLE_OBJECT, SINGLE_OBJECT_HEAD
from schemas.errors import DecodeError, SchemaError, SchemaNotFoundError
from schemas.nodes import Array, Enum, Fixed, Map, Node, Primitive, Union, parse
from schemas.nodes import Record as RecordNode
from schemas.records import MAX_ITEMS
from schemas.registry import SchemaRegistry
from schemas.rules import MAX_TIME_MS, MIN_TIME_MS

MAX_SHOWN = 500
"""Values that are shown; a person reads no more."""
MAX_TEXT = 400
"""Characters of one value."""
_DOUBLE, _SINGLE = Struct("<d"), Struct("<f")


@dataclass
class Readable:
    """What could be read."""

    record: str = ""
    """Full name of the record; empty when not even that is known."""
    values: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """Path of a field, and its value in words."""
    odd: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """Fields that were read and break a rule: path and rule."""
    failed_at: str | None = None
    """Path of the field that could not be read; None: all were."""
    failure: str = ""
    """What is wrong with it, or why no schema is known."""


def decode(data: bytes, registry: SchemaRegistry | None = None) -> Readable:
    """Read the record in these bytes as far as possible; never raises for what the bytes hold.

    Raises:
        RegistryUnavailableError: the registry does not answer.
    """
    found = Readable()
    try:
        schema, start = _schema(data, registry)
        node = parse(schema)
    except (SchemaError, SchemaNotFoundError, LookupError, ValueError) as exc:
        found.failure = str(exc)
        return found
    if not isinstance(node, RecordNode):
        found.failure = "its schema is not that of a record"
        return found
    found.record = node.name
    walk = _Walk(data, start, found)
    try:
        walk.value(node, "")
        if walk.at != len(data):
            found.odd.append(("(end)", f"{len(data) - walk.at} bytes after the record"))
    except DecodeError as exc:
        found.failed_at, found.failure = walk.path, exc.text
    except (IndexError, StructError):
        found.failed_at, found.failure = walk.path, f"the bytes end here, at {len(data)}"
    except UnicodeDecodeError as exc:
        found.failed_at, found.failure = walk.path, f"not UTF-8, {exc.reason}"
    return found


def told(found: Readable) -> Iterator[str]:
    """The same as lines."""
    if not found.record:
        yield f"record unknown: {found.failure}"
        return
    yield f"record {found.record}"
    for path, text in found.values[:MAX_SHOWN]:
        yield f"  {path} = {text}"
    if len(found.values) > MAX_SHOWN:
        yield f"  … and {len(found.values) - MAX_SHOWN} more values"
    for path, rule in found.odd[:MAX_SHOWN]:
        yield f"  wrong: {path}: {rule}"
    if found.failed_at is not None:
        yield f"  fails at {found.failed_at or 'its first byte'}: {found.failure}"


def _schema(data: bytes, registry: SchemaRegistry | None) -> tuple[object, int]:
    """The writer's schema that the prefix names, and where the record begins."""
    if data[: len(SINGLE_OBJECT)] == SINGLE_OBJECT:
        mark = data[len(SINGLE_OBJECT) : SINGLE_OBJECT_HEAD]
        for _, schema in writer_schemas():
            if fingerprint(schema) == mark:
                return schema, SINGLE_OBJECT_HEAD
        raise LookupError(f"fingerprint {mark.hex()} is in no history: is the writer newer than this program?")
    if data[:1] == CONFLUENT and len(data) >= CONFLUENT_HEAD:
        number = int.from_bytes(data[1:CONFLUENT_HEAD], "big")
        if registry is None:
            raise LookupError(f"schema id {number}, but no registry is configured")
        return json.loads(registry.schema_by_id(number)), CONFLUENT_HEAD
    raise LookupError(f"starts with {data[:2].hex(' ') or 'nothing'}, neither single-object nor Confluent form")


class _Walk:
    """Reads one value after the other; `path` is that of the one being read."""

    def __init__(self, data: bytes, at: int, found: Readable) -> None:
        self._data = data
        self._found = found
        self.at = at
        self.path = ""

    def value(self, node: Node, path: str) -> None:
        self.path = path
        match node:
            case RecordNode():
                for each in node.fields:
                    self.value(each.type, f"{path}.{each.name}" if path else each.name)
            case Union():
                self._union(node, path)
            case Array():
                self._blocks(node.items, path, is_map=False)
            case Map():
                self._blocks(node.values, path, is_map=True)
            case Enum():
                index = self._long()
                if not 0 <= index < len(node.symbols):
                    primitives.undecodable(f"symbol {index} of {len(node.symbols)}")
                self._note(node.symbols[index])
            case Fixed():
                self._note(f"{self._bytes(node.size).hex()}")
            case Primitive():
                self._scalar(node)

    def _union(self, node: Union, path: str) -> None:
        index = self._long()
        if not 0 <= index < len(node.branches):
            primitives.undecodable(f"branch {index} of the union does not exist")
        self.value(node.branches[index], path)

    def _blocks(self, items: Node, path: str, *, is_map: bool) -> None:
        number = 0
        while True:
            self.path = path
            count, self.at, end = primitives.block(self._data, self.at, path)
            if number + count > MAX_ITEMS:
                primitives.too_many(number + count, path)
            if not count:
                break
            for _ in range(count):
                name = str(number)
                if is_map:
                    self.path = f"{path}{{}}"
                    name = self._sized().decode()
                self.value(items, f"{path}{{{name}}}" if is_map else f"{path}[{name}]")
                number += 1
            if end >= 0 and self.at != end:
                self.path = path
                primitives.wrong_block(self.at, end, path)
        if not number:
            self._found.values.append((path, "{}" if is_map else "[]"))

    def _scalar(self, node: Primitive) -> None:
        match node.type, node.logical:
            case "null", _:
                self._note("null")
            case "boolean", _:
                flag = self._bytes(1)[0]
                if flag > 1:
                    primitives.undecodable(f"a boolean of {flag}")
                self._note("true" if flag else "false")
            case (("int" | "long"), logical):
                self._number(self._long(), is_time=logical == "timestamp-millis")
            case (("float" | "double"), _):
                form = _SINGLE if node.type == "float" else _DOUBLE
                (number,) = form.unpack(self._bytes(form.size))
                self._note(repr(number))
                if number - number:
                    self._odd("must be finite")
            case "bytes", "decimal":
                self._amount(self._sized(), node.scale)
            case "bytes", _:
                self._note(self._sized().hex())
            case _:
                self._note(repr(self._sized().decode()))

    def _number(self, number: int, *, is_time: bool) -> None:
        if not is_time:
            self._note(str(number))
        elif MIN_TIME_MS <= number < MAX_TIME_MS:
            self._note(f"{number} ({datetime.fromtimestamp(number / 1_000, UTC).isoformat(timespec='milliseconds')})")
        else:
            self._note(str(number))
            self._odd(f"must be ms in [{MIN_TIME_MS}, {MAX_TIME_MS})")

    def _amount(self, raw: bytes, scale: int) -> None:
        if len(raw) > primitives.MAX_DECIMAL_BYTES:
            self._note(f"0x{raw.hex()}")
            self._odd(f"has {len(raw)} bytes, at most {primitives.MAX_DECIMAL_BYTES} allowed")
        else:
            self._note(str(Decimal(int.from_bytes(raw, "big", signed=True)).scaleb(-scale, primitives.EXACT)))

    def _long(self) -> int:
        number, self.at = primitives.long(self._data, self.at, self.path)
        return number

    def _sized(self) -> bytes:
        """Bytes that tell their length; more than a record of ours may have are shown all the same."""
        size = self._long()
        if size < 0:
            primitives.undecodable(f"a length of {size}")
        return self._bytes(size)

    def _bytes(self, size: int) -> bytes:
        left = len(self._data) - self.at
        if size > left:
            primitives.undecodable(f"{size} bytes announced, {left} left")
        self.at += size
        return self._data[self.at - size : self.at]

    def _note(self, text: str) -> None:
        shown = text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}… ({len(text)} characters)"
        self._found.values.append((self.path, shown))

    def _odd(self, rule: str) -> None:
        self._found.odd.append((self.path, rule))
