"""Proof that every version of every record can be read by every other: ``python -m schemas.compat``.

Writers and readers are rolled out one after the other, and topics keep what older versions wrote. So each
current schema must read all earlier versions (BACKWARD) and be read by all of them (FORWARD); `resolution` has
the rules. The history is part of the proof: a schema that changes gets a new file in ``history/``
(``--add`` writes it), and the files that are there never change, which ``history/lock.json`` shows.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, TypedDict, cast

from schemas.catalog import (
    ALL_RECORDS,
    HISTORY,
    JsonSchema,
    Version,
    current,
    fingerprint,
    full_name,
    history,
    wire_form,
)
from schemas.errors import SchemaError
from schemas.nodes import Enum, Node, children, parse
from schemas.records import Record
from schemas.resolution import problems

LOCK: Final = "lock.json"


class Lock(TypedDict):
    """What must never change about a history file."""

    sha256: str
    fingerprint: str


def check(record_types: Iterable[type[Record]] = ALL_RECORDS, root: Path = HISTORY) -> list[str]:
    """Everything that is wrong with schemas and history, one line each; empty if all is well."""
    found = list(_history_problems(root))
    for record_type in record_types:
        found += version_problems(full_name(record_type), current(record_type), history(record_type, root))
    return found


def version_problems(name: str, schema: JsonSchema, versions: Sequence[Version]) -> Iterator[str]:
    """What is wrong between a current schema and its earlier versions."""
    if not versions:
        yield f"{name}: no version in the history; python -m schemas.compat --add writes one"
    elif wire_form(schema) != versions[-1].schema:
        yield f"{name}: changed since v{versions[-1].number}; python -m schemas.compat --add writes a new version"
    yield from compatibility_problems(name, schema, versions)


def compatibility_problems(name: str, schema: JsonSchema, versions: Sequence[Version]) -> Iterator[str]:
    """Every earlier version that the schema cannot read, or that cannot read it."""
    new = parse(schema)
    for version in versions:
        old = parse(version.schema)
        for text in problems(new, old):
            yield f"{name}: not BACKWARD, cannot read what v{version.number} wrote: {text}"
        for text in problems(old, new):
            yield f"{name}: not FORWARD, v{version.number} cannot read what it writes: {text}"


def rollout(new: Node, old: Node) -> str:
    """Which side must be rolled out first when a record changes, and why."""
    reads_old, read_by_old = not problems(new, old), not problems(old, new)
    known = _symbols(old)
    enums = {symbol.rpartition(".")[0] for symbol in known}  # in a field that old readers skip, no symbol matters
    symbols = sorted(s for s in _symbols(new) - known if s.rpartition(".")[0] in enums)
    if not reads_old and not read_by_old:
        return "no order works: make it a new record, or a new field beside the old one"
    if not read_by_old:
        return "readers first: an old reader cannot read what a new writer writes"
    if not reads_old:
        return "writers first: a new reader cannot read what an old writer writes"
    if symbols:
        return f"readers first: an old reader takes {', '.join(symbols)} for UNKNOWN, or dead-letters the record"
    return "either side first"


def add_versions(record_types: Iterable[type[Record]] = ALL_RECORDS, root: Path = HISTORY) -> list[Path]:
    """Write a new version of each record that changed, and lock it.

    Raises:
        SchemaError: The history is damaged, or a change is not compatible; then nothing is written.
    """
    changed: list[tuple[Path, JsonSchema]] = []
    found = list(_history_problems(root))
    for record_type in record_types:
        schema, versions = wire_form(current(record_type)), history(record_type, root)
        if not versions or schema != versions[-1].schema:
            found += compatibility_problems(full_name(record_type), schema, versions)
            changed.append((root / record_type.__name__ / f"v{len(versions) + 1}.avsc", schema))
    if found:
        raise SchemaError("; ".join(found))
    lock = _read_lock(root)
    for path, schema in changed:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(schema, indent=2) + "\n", "utf-8")
        lock[_key(path, root)] = _lock_of(path)
    if changed:
        (root / LOCK).write_text(json.dumps(dict(sorted(lock.items())), indent=2) + "\n", "utf-8")
    return [path for path, _ in changed]


def _history_problems(root: Path) -> Iterator[str]:
    """Files that were altered, lost, or put there by hand, and gaps between versions."""
    lock = _read_lock(root)
    paths = {_key(path, root): path for path in sorted(root.rglob("*.avsc"))}
    yield from (f"history/{key}: locked, but gone" for key in lock.keys() - paths.keys())
    yield from (f"history/{key}: not in {LOCK}" for key in paths.keys() - lock.keys())
    for key in paths.keys() & lock.keys():
        if _digest(paths[key]) != lock[key]["sha256"]:
            yield f"history/{key}: altered; restore it, a version that was written once never changes"
        elif _lock_of(paths[key]) != lock[key]:
            yield f"history/{key}: has another fingerprint than locked; topics hold records under the old one"
    for folder in sorted({path.parent for path in paths.values()}):
        numbers = sorted(int(path.stem[1:]) for path in folder.glob("v*.avsc"))
        if numbers != list(range(1, len(numbers) + 1)):
            yield f"history/{folder.name}: versions {numbers}, must count from 1 without a gap"


def _symbols(node: Node) -> set[str]:
    own = {f"{node.name}.{symbol}" for symbol in node.symbols} if isinstance(node, Enum) else set[str]()
    return own.union(*map(_symbols, children(node)))


def _read_lock(root: Path) -> dict[str, Lock]:
    path = root / LOCK
    return cast("dict[str, Lock]", json.loads(path.read_text("utf-8"))) if path.is_file() else {}


def _lock_of(path: Path) -> Lock:
    return {"sha256": _digest(path), "fingerprint": fingerprint(json.loads(path.read_bytes())).hex()}


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _key(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()


def report(record_types: Iterable[type[Record]] = ALL_RECORDS) -> Iterator[str]:
    """One line a record: how many versions it has, and how the newest is rolled out."""
    for record_type in record_types:
        versions = history(record_type)
        advice = "first version"
        if len(versions) > 1:
            advice = rollout(parse(versions[-1].schema), parse(versions[-2].schema))
        yield f"{record_type.__name__}: v{len(versions)}, {advice}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Check, and say what to do; 1 if anything is wrong."""
    parser = argparse.ArgumentParser(prog="python -m schemas.compat", description=__doc__)
    parser.add_argument("--add", action="store_true", help="write a new version of each schema that changed")
    if parser.parse_args(arguments).add:
        try:
            written = add_versions()
        except SchemaError as error:
            sys.stderr.write(f"nothing written: {error}\n")
            return 1
        sys.stdout.writelines(f"wrote {path}\n" for path in written)
    found = check()
    sys.stdout.writelines(f"{line}\n" for line in report())
    sys.stderr.writelines(f"{line}\n" for line in found)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
