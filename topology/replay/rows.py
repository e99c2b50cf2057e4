"""Rows of a CSV, JSON-lines or Avro-container file, all as text, so that one mapping serves all three."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple, cast

import fastavro

from topology.engine.errors import Misconfigured
from topology.replay.mapping import Source


class Format(StrEnum):
    """How a file is written."""

    CSV = "csv"
    JSONL = "jsonl"
    AVRO = "avro"


_SUFFIXES = {".csv": Format.CSV, ".jsonl": Format.JSONL, ".ndjson": Format.JSONL, ".avro": Format.AVRO}


class Row(NamedTuple):
    """One row: where it stands, and its columns. An empty column is "", a list column a list without empty texts."""

    line: int
    """Line of a text file, or the record's number, from 1."""
    cells: dict[str, Any]


def parse_format(text: str | None) -> Format | None:
    """The format of this name.

    Raises:
        Misconfigured: there is none.
    """
    try:
        return None if text is None else Format(text)
    except ValueError as exc:
        raise Misconfigured(f"--format {text}: choose {', '.join(Format)}") from exc


def format_of(path: Path, given: Format | None) -> Format:
    """The format that was given, or the one that the suffix says.

    Raises:
        Misconfigured: neither says.
    """
    found = given or _SUFFIXES.get(path.suffix.lower())
    if found is None:
        known = ", ".join(_SUFFIXES)
        raise Misconfigured(f"{path}: the suffix is none of {known}; say --format csv, jsonl or avro")
    return found


def read_rows(path: Path, source: Source, given: Format | None = None) -> Iterator[Row]:
    """The file's rows, in its order, with the columns of the mapping.

    Raises:
        Misconfigured: the file cannot be read, or lacks a column; the text names file and line.
    """
    form = format_of(path, given)
    read = {Format.CSV: _csv, Format.JSONL: _jsonl, Format.AVRO: _avro}[form]
    # A JSON object may leave empty members out; these two are never empty.
    needed = {source.timestamp, source.kind} if form is Format.JSONL else source.known
    try:
        for line, raw in read(path):
            lacking = sorted(needed - raw.keys())
            if lacking:
                raise Misconfigured(
                    f"{path}:{line}: no column {', '.join(lacking)}; there are {', '.join(map(str, raw))}. "
                    "Is it the mapping for this file?"
                )
            yield Row(line, {column: _cell(raw.get(column), source.lists.get(column)) for column in source.known})
    except (OSError, UnicodeDecodeError) as exc:
        raise Misconfigured(f"{path}: cannot be read: {exc}") from exc


def _csv(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, strict=True)
        while True:
            try:
                raw = next(reader, None)
            except csv.Error as exc:
                raise Misconfigured(f"{path}:{reader.line_num}: is not CSV: {exc}") from exc
            if raw is None:
                return
            if None in raw or None in raw.values():
                raise Misconfigured(f"{path}:{reader.line_num}: has not as many columns as the head")
            yield reader.line_num, raw


def _jsonl(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                raw = json.loads(line)
            except ValueError as exc:
                raise Misconfigured(f"{path}:{number}: is not JSON: {exc}") from exc
            if not isinstance(raw, dict):
                raise Misconfigured(f"{path}:{number}: is not a JSON object")
            yield number, cast("dict[str, Any]", raw)


def _avro(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    with path.open("rb") as file:
        try:
            for number, raw in enumerate(fastavro.reader(file), 1):
                if not isinstance(raw, dict):
                    raise Misconfigured(f"{path}:{number}: is not an Avro record")
                yield number, cast("dict[str, Any]", raw)
        except (ValueError, EOFError, KeyError, IndexError) as exc:
            raise Misconfigured(f"{path}: is not an Avro container file: {exc}") from exc


def _cell(value: object, separator: str | None) -> object:
    if separator is None:
        if isinstance(value, list | dict):
            return json.dumps(value)
        return _text(value)
    if isinstance(value, list):
        items = [_text(item) for item in cast("list[object]", value)]
    else:
        items = _text(value).split(separator)
    return [item for item in (item.strip() for item in items) if item]


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    return str(value)
