"""Which schemas there are: the current one of each record, its earlier versions, and their fingerprints.

The current schemas lie in ``avro/``, one named type a file, and refer to each other by full name. The history
lies in ``history/<Record>/v<number>.avsc``, self-contained and without docs: exactly what resolution sees.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, cast

from fastavro.schema import fingerprint as avro_fingerprint
from fastavro.schema import to_parsing_canonical_form

from schemas import nodes, records
from schemas.errors import SchemaError
from schemas.records import INPUT_RECORDS, OUTPUT_RECORDS, Record

NAMESPACE: Final = "recourse.v1"
ROOT: Final = Path(__file__).parent
AVRO: Final = ROOT / "avro"
HISTORY: Final = ROOT / "history"
ALL_RECORDS: Final[tuple[type[Record], ...]] = INPUT_RECORDS + OUTPUT_RECORDS
RECORD_TYPES: Final[dict[str, type[Record]]] = {f"{NAMESPACE}.{each.__name__}": each for each in ALL_RECORDS}
"""Full name to class, for the records that can stand alone on a topic."""
WORDS: Final = frozenset({"doc", "personal"})
"""Attributes for people and tools. They do not touch the wire, so a change of them makes no new version."""

JsonSchema = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Version:
    """One entry of a record's history."""

    number: int
    path: Path
    schema: JsonSchema


def full_name(record_type: type[Record]) -> str:
    """Name of the record on the wire and in subjects, such as ``recourse.v1.Case``."""
    return f"{NAMESPACE}.{record_type.__name__}"


@cache
def current(record_type: type[Record]) -> JsonSchema:
    """The current schema of a record, self-contained: each part is written out where it is met first."""
    return cast("JsonSchema", _inline(full_name(record_type), set()))


@cache
def current_node(record_type: type[Record]) -> nodes.Record:
    """The current schema of a record as a checked tree."""
    node = nodes.parse(current(record_type))
    if not isinstance(node, nodes.Record):
        raise SchemaError(f"{full_name(record_type)} is not a record")
    return node


def wire_form(schema: JsonSchema) -> JsonSchema:
    """The schema without its words: what is kept in the history and given to a registry."""
    return cast("JsonSchema", _without_words(schema))


def fingerprint(schema: JsonSchema) -> bytes:
    """CRC-64-AVRO of the parsing canonical form, little endian: eight bytes that name the writer schema."""
    return _fingerprint(to_parsing_canonical_form(schema))


@cache
def _fingerprint(canonical: str) -> bytes:
    """Kept: it is computed byte by byte in Python, and each codec asks for those of the whole history."""
    return bytes.fromhex(avro_fingerprint(canonical, "CRC-64-AVRO"))


def history(record_type: type[Record], root: Path = HISTORY) -> list[Version]:
    """All versions of a record, oldest first."""
    paths = (root / record_type.__name__).glob("v*.avsc")
    numbered = sorted((int(path.stem[1:]), path) for path in paths)
    return [Version(number, path, json.loads(path.read_text("utf-8"))) for number, path in numbered]


def writer_schemas() -> Iterator[tuple[type[Record], JsonSchema]]:
    """Every schema that some writer of ours ever used. The newest with a fingerprint comes last."""
    for record_type in ALL_RECORDS:
        for version in history(record_type):
            yield record_type, version.schema
        yield record_type, current(record_type)


def all_types() -> list[type[Record]]:
    """Every record and part that has a schema, in the order of ``records/__init__.py``."""
    members = cast("list[object]", list(vars(records).values()))
    return [each for each in members if isinstance(each, type) and issubclass(each, Record) and each is not Record]


def file_of(record_type: type[Record]) -> JsonSchema:
    """The schema of a record or part as its file has it: other types by name, with the words for people."""
    return cast("JsonSchema", json.loads((AVRO / f"{record_type.__name__}.avsc").read_text("utf-8")))


def _inline(name: str, defined: set[str]) -> object:
    """The named schema with every first reference replaced by the definition, later ones left as names."""
    if name in defined:
        return name
    path = AVRO / f"{name.removeprefix(f'{NAMESPACE}.')}.avsc"
    if not path.is_file():
        raise SchemaError(f"{name} is used, but there is no {path.name}")
    defined.add(name)
    return _inline_in(json.loads(path.read_text("utf-8")), defined)


def _inline_in(schema: object, defined: set[str]) -> object:
    if isinstance(schema, str):
        return _inline(schema, defined) if schema.startswith(f"{NAMESPACE}.") else schema
    if isinstance(schema, list):
        return [_inline_in(each, defined) for each in cast("list[object]", schema)]
    if not isinstance(schema, dict):
        return schema
    copy = dict(cast("JsonSchema", schema))
    for key in ("type", "items", "values"):
        if key in copy:
            copy[key] = _inline_in(copy[key], defined)
    if "fields" in copy:
        copy["fields"] = [_inline_in(field, defined) for field in cast("list[object]", copy["fields"])]
    return copy


def _without_words(schema: object) -> object:
    if isinstance(schema, list):
        return [_without_words(each) for each in cast("list[object]", schema)]
    if not isinstance(schema, dict):
        return schema
    return {
        key: value if key == "default" else _without_words(value)
        for key, value in cast("JsonSchema", schema).items()
        if key not in WORDS
    }
