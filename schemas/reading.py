"""Bytes to a typed record: one strict function for each pair of writer schema and record, compiled once.

The bytes are not trusted. Every length and count is compared with its bound before anything of that size is
read or built, so work and memory stay within a small multiple of the record's own bytes, and everything that the
Avro specification leaves no room for is refused: a negative index, a boolean of 7, a block that is not as long
as it says, bytes after the record. A general reader is laxer (to fastavro the enum index -1 is the last symbol,
which turns one flipped bit into a ban) and does not know our bounds; being made for one schema, this one is also
the faster of the two. ``tests/contract`` compares them on every example and on generated records.

Schema resolution (writer schema to current schema) happens while compiling, not while reading: a field that only
the writer has is read and dropped, one that only the reader has is a constant.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from struct import error as StructError  # noqa: N812 - a class with a lower-case name
from typing import Any, Final

import msgspec

from schemas import primitives
from schemas.catalog import current_node
from schemas.errors import DecodeError, DecodeReason, SchemaError
from schemas.nodes import NO_DEFAULT, Array, Enum, Fixed, Map, Node, Primitive, Union
from schemas.nodes import Record as RecordNode
from schemas.records import MAX_ITEMS, Record
from schemas.resolution import branch_for, problems
from schemas.rules import CRITICAL_SYMBOLS

Reader = Callable[[bytes, int], Record]
"""Reads the record that starts at a position and ends with the bytes.

Raises:
    DecodeError: The bytes are not a good record.
"""

FLAGS: Final = (False, True) + (None,) * 254


def compile_reader(writer: Node, record_type: type[Record]) -> Reader:
    """The reader of records that were written with this schema.

    Raises:
        SchemaError: The writer schema cannot be resolved to the current one.
    """
    current = current_node(record_type)
    found = problems(current, writer)
    if found or not isinstance(writer, RecordNode):
        raise SchemaError(f"cannot be read as the current {current.name}: {'; '.join(found)}")
    source = ReaderSource(CRITICAL_SYMBOLS.get(record_type, frozenset()))
    source.line(0, "def read(d, p):")
    source.line(1, "t = d.decode('latin-1')")
    source.value(writer, current, "v", "", 1)
    source.line(1, "return v, p")
    body: Callable[[bytes, int], tuple[Any, int]] = source.build(f"<reader of {current.name}>")
    name = record_type.__name__
    convert = msgspec.convert

    def read(data: bytes, start: int) -> Record:
        try:
            fields, end = body(data, start)
            if end != len(data):
                left = len(data) - end
                primitives.undecodable("truncated" if left < 0 else f"{left} bytes after the record")
            return convert(fields, record_type)
        except DecodeError as error:
            raise DecodeError(error.reason, f"{name}: {error.text}") from None
        except (IndexError, StructError):
            raise DecodeError(DecodeReason.UNDECODABLE, f"{name}: truncated at {len(data)} bytes") from None
        except UnicodeDecodeError as error:
            raise DecodeError(DecodeReason.UNDECODABLE, f"{name}: not UTF-8, {error.reason}") from None
        except msgspec.ValidationError as error:
            too_long = "of length <=" in str(error)  # the library has no codes, only words; a test pins these
            reason = DecodeReason.BOUND_EXCEEDED if too_long else DecodeReason.INVALID_RECORD
            raise DecodeError(reason, f"{name}: {error}") from None

    return read


class ReaderSource:
    """Python source of one reader: `d` are the bytes, `t` the same as text, `p` is the position, `v…` hold values.

    Everything is written out in one function. A call for each field would cost more than reading the field. In `t`
    each character stands for one byte (Latin-1): a piece of it that is ASCII is the string already, and cutting it
    out costs half of cutting out bytes and decoding them.
    """

    def __init__(self, critical: frozenset[str]) -> None:
        self._critical = critical
        self.passed_on = False
        """What is stepped over reaches a reader after all, so its form and bounds are held to as if it were read."""
        self._lines: list[str] = []
        self.names: dict[str, Any] = {
            **{name: getattr(primitives, name) for name in HELPERS},
            "flags": FLAGS,
            "highs": primitives.HIGHS.get,
            "lows": primitives.LOWS,
            "mids": primitives.MIDS,
            "steps": primitives.STEPS,
            "double": Struct("<d").unpack_from,
            "single": Struct("<f").unpack_from,
        }
        self._count = 0

    def build(self, title: str) -> Any:  # noqa: ANN401 - a function made from source has no better type
        """The function that has been written so far."""
        exec(compile("\n".join(self._lines), title, "exec"), self.names)  # noqa: S102 - our own source
        return self.names["read"]

    def line(self, depth: int, text: str) -> None:
        """Add a line."""
        self._lines.append("    " * depth + text)

    def _new(self, prefix: str, value: object = None) -> str:
        self._count += 1
        name = f"{prefix}{self._count}"
        if value is not None:
            self.names[name] = value
        return name

    def value(self, writer: Node, reader: Node | None, to: str, path: str, depth: int) -> None:
        """Read a value of the writer's type into variable `to`; without a reader it is stepped over, `to` not set."""
        if not isinstance(writer, Union) and isinstance(reader, Union):
            reader = branch_for(writer, reader)
        match writer:
            case Union():
                self._union(writer, reader, to, path, depth)
            case RecordNode():
                self._record(writer, reader, to, path, depth)
            case Array():
                items = reader.items if isinstance(reader, Array) else None
                self._blocks(writer.items, items, to, f"{path}[]", depth, is_map=False)
            case Map():
                values = reader.values if isinstance(reader, Map) else None
                self._blocks(writer.values, values, to, f"{path}{{}}", depth, is_map=True)
            case Enum():
                self._enum(writer, reader, to, path, depth)
            case Fixed():
                self.line(depth, f"{to} = d[p:p + {writer.size}]; p += {writer.size}")
            case Primitive() if reader is None:
                self._skip(writer, to, path, depth)
            case Primitive():
                self._scalar(writer, to, path, depth, as_float=_becomes_float(writer, reader))

    def _record(self, writer: RecordNode, reader: Node | None, to: str, path: str, depth: int) -> None:
        wanted = {field.name: field for field in reader.fields} if isinstance(reader, RecordNode) else {}
        values: dict[str, str] = {}
        for field in writer.fields:
            target = self._new("v")
            inner = f"{path}.{field.name}" if path else field.name
            known = wanted.get(field.name)
            self.value(field.type, known.type if known else None, target, inner, depth)
            if known:
                values[field.name] = target
        for name, field in wanted.items():
            if name not in values and field.default is not NO_DEFAULT:
                values[name] = repr(field.default)  # a literal, so that no two records share a list
        if reader is not None:
            items = ", ".join(f"{name!r}: {values[name]}" for name in wanted)
            self.line(depth, f"{to} = {{{items}}}")

    def _union(self, writer: Union, reader: Node | None, to: str, path: str, depth: int) -> None:
        self.line(depth, "b = d[p]; p += 1")
        for index, branch in enumerate(writer.branches):
            self.line(depth, f"{'elif' if index else 'if'} b == {2 * index}:")
            self.value(branch, reader, to, path, depth + 1)
        self.line(depth, f"else: wrong_branch(d, p - 1, {path!r})")

    def _blocks(self, writer: Node, reader: Node | None, to: str, path: str, depth: int, *, is_map: bool) -> None:
        """An array or a map: blocks of items, each with its count, until a count of zero."""
        count, total, end, item, key = (self._new(prefix) for prefix in ("c", "t", "e", "v", "k"))
        if reader is not None:
            self.line(depth, f"{to} = {'{}' if is_map else '[]'}")
        self.line(depth, f"{total} = 0")
        self.line(depth, f"{count} = d[p]; p += 1")
        self.line(depth, f"while {count}:")
        self.line(depth + 1, f"if {count} & 129: {count}, p, {end} = block(d, p - 1, {path!r})")
        self.line(depth + 1, f"else: {count} >>= 1; {end} = -1")
        self.line(depth + 1, f"{total} += {count}")
        self.line(depth + 1, f"if {total} > {MAX_ITEMS}: too_many({total}, {path!r})")
        self.line(depth + 1, f"for _ in range({count}):")
        if is_map:
            self._scalar(Primitive("string"), key, path, depth + 2)
        self.value(writer, reader, item, path, depth + 2)
        if reader is not None:
            self.line(depth + 2, f"{to}[{key}] = {item}" if is_map else f"{to}.append({item})")
        self.line(depth + 1, f"if {end} >= 0 and p != {end}: wrong_block(p, {end}, {path!r})")
        self.line(depth + 1, f"{count} = d[p]; p += 1")

    def _enum(self, writer: Enum, reader: Node | None, to: str, path: str, depth: int) -> None:
        known = _known_symbols(writer, reader, critical=path in self._critical)
        by_byte = tuple(
            known.get(writer.symbols[byte >> 1]) if byte % 2 == 0 and byte >> 1 < len(writer.symbols) else None
            for byte in range(128)
        )
        table = self._new("s", by_byte + (None,) * 128)
        symbols, names = self._new("w", writer.symbols), self._new("n", known)
        self.line(depth, f"{to} = {table}[d[p]]; p += 1")
        self.line(depth, f"if {to} is None: {to}, p = symbol(d, p - 1, {path!r}, {symbols}, {names})")

    def _skip(self, node: Primitive, to: str, path: str, depth: int) -> None:
        """Step over a value that nobody will see. What it means is not our business, only how long it is."""
        match node.type:
            case "string" if self.passed_on:
                self._passed_on(path, depth)
            case _ if self.passed_on:
                self._scalar(node, to, path, depth)
            case "float" | "double":
                self.line(depth, f"p += {4 if node.type == 'float' else 8}")
            case "string" | "bytes":
                self.line(depth, f"p += steps[d[p]] or far(d, p, {path!r})")
            case _:
                self._scalar(Primitive(node.type), to, path, depth)

    def _passed_on(self, path: str, depth: int) -> None:
        """Step over a string that somebody will see: it must be text, as it would have to be if it were read here."""
        self.line(depth, f"q = p + (steps[d[p]] or far(d, p, {path!r}))")
        # Not ASCII is also the length of a long one.
        self.line(depth, f"if not t[p:q].isascii(): text(d, p, {path!r})")
        self.line(depth, "p = q")

    def _scalar(self, node: Primitive, to: str, path: str, depth: int, *, as_float: bool = False) -> None:
        match node.type, node.logical:
            case "null", _:
                self.line(depth, f"{to} = None")
            case "boolean", _:
                self.line(depth, f"{to} = flags[d[p]]; p += 1")
                self.line(depth, f"if {to} is None: wrong_flag(d, p - 1, {path!r})")
            case "long", "timestamp-millis":
                self.line(depth, f"{to} = highs(d[p + 2:p + 6])")
                self.line(depth, f"if {to} and ({to} := {to} + lows[d[p]] + mids[d[p + 1]]) > 0: p += 6")
                self.line(depth, f"else: {to}, p = time(d, p, {path!r})")
            case (("int" | "long"), _):
                self.line(depth, "b = d[p]; p += 1")
                self.line(depth, f"if b & 128: {to}, p = long(d, p - 1, {path!r})")
                self.line(depth, f"else: {to} = (b >> 1) ^ -(b & 1)")
                if as_float:
                    self.line(depth, f"{to} = float({to})")
            case (("float" | "double"), _):
                form, size = ("single", 4) if node.type == "float" else ("double", 8)
                self.line(depth, f"{to}, = {form}(d, p); p += {size}")
                # Only NaN and the infinities differ from themselves by something that is not zero.
                self.line(depth, f"if {to} - {to}: not_finite({to}, {path!r})")
            case "bytes", "decimal":
                limit = 10**node.precision
                self.line(depth, f"{to}, p = amount(d, p, {path!r}, {node.scale}, {limit})")
            case _:
                # A length of up to 63 is one even byte; anything else goes the long way, to be checked. A string
                # that is cut off shows at the end of the record, as a position beyond the bytes.
                self.line(depth, "b = d[p]; p += 1")
                self.line(depth, f"if b & 129: q, p = length(d, p - 1, {path!r})")
                self.line(depth, "else: q = p + (b >> 1)")
                if node.type == "bytes":
                    self.line(depth, f"{to} = d[p:q]")
                else:
                    self.line(depth, f"if not ({to} := t[p:q]).isascii(): {to} = d[p:q].decode()")
                self.line(depth, "p = q")


HELPERS: Final = (
    "amount",
    "block",
    "far",
    "length",
    "long",
    "not_finite",
    "symbol",
    "text",
    "time",
    "too_many",
    "wrong_block",
    "wrong_branch",
    "wrong_flag",
)
"""What the source calls, by the name it has in `primitives`."""


def _becomes_float(writer: Primitive, reader: Node | None) -> bool:
    integer = writer.type in {"int", "long"}
    return integer and isinstance(reader, Primitive) and reader.type in {"float", "double"}


def _known_symbols(writer: Enum, reader: Node | None, *, critical: bool) -> dict[str, str]:
    """Writer's symbol to ours. Where a decision rests on it, what would be the default is left out."""
    if not isinstance(reader, Enum):
        return {symbol: symbol for symbol in writer.symbols}
    known = {symbol: symbol if symbol in reader.symbols else reader.default for symbol in writer.symbols}
    return {
        symbol: ours for symbol, ours in known.items() if ours is not None and not (critical and ours == reader.default)
    }
