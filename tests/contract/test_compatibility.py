"""Every version reads every other, and a change that breaks this is found before it is on a topic."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from schemas import ALL_RECORDS, SchemaError, compat
from schemas.catalog import HISTORY, JsonSchema, Version, current, wire_form
from schemas.nodes import parse
from schemas.records import CaseClaimed, EnforcementLifted
from schemas.resolution import problems


def record(*fields: dict[str, Any], name: str = "R") -> JsonSchema:
    return {"type": "record", "name": name, "fields": list(fields)}


def enum(*symbols: str, default: str | None = "UNKNOWN") -> JsonSchema:
    return {"type": "enum", "name": "E", "symbols": list(symbols)} | ({"default": default} if default else {})


def decimal(precision: int, scale: int) -> JsonSchema:
    return {"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale}


TIME = {"type": "long", "logicalType": "timestamp-millis"}
A = {"name": "a", "type": "string"}
B = {"name": "b", "type": "long", "default": 0}
B_REQUIRED = {"name": "b", "type": "long"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A copy of the history, to be tampered with."""
    return Path(shutil.copytree(HISTORY, tmp_path / "history"))


def test_every_current_schema_is_compatible_both_ways_with_all_its_versions():
    assert compat.check() == []


def test_command_reports_every_record_and_succeeds(capsys: pytest.CaptureFixture[str]):
    assert compat.main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines] == [each.__name__ for each in ALL_RECORDS]


@pytest.mark.parametrize(
    ("reader", "writer"),
    [
        (record(A), record(A)),
        (record(A, B), record(A)),  # the reader's default stands in
        (record(A), record(A, B)),  # the writer's field is dropped
        (record(B, A), record(A, B)),  # order is free
        ("long", "int"),
        ("double", "long"),
        ("double", "float"),
        (["null", "string"], "string"),
        (["null", "long"], "int"),
        (["null", "string"], ["string", "null"]),
        (enum("UNKNOWN", "a"), enum("UNKNOWN", "a", "b")),
        (enum("UNKNOWN", "a", default=None), enum("UNKNOWN", default=None)),
        ({"type": "array", "items": "long"}, {"type": "array", "items": "int"}),
        ({"type": "map", "values": ["null", "long"]}, {"type": "map", "values": "long"}),
        (decimal(18, 4), decimal(18, 4)),
        (TIME, TIME),
    ],
)
def test_reader_can_read(reader: object, writer: object):
    assert problems(parse(reader), parse(writer)) == []


@pytest.mark.parametrize(
    ("reader", "writer", "text"),
    [
        (record(A, B_REQUIRED), record(A), "b: the writer has no such field and the reader has no default for it"),
        (record(A), record(A, name="S"), "the writer's S is not the reader's R"),
        (record({"name": "a", "type": "long"}), record(A), "a: string cannot be read as long"),
        ("int", "long", "long cannot be read as int"),
        ("float", "double", "double cannot be read as float"),
        ("bytes", "string", "string cannot be read as bytes"),
        ("string", "bytes", "bytes cannot be read as string"),
        ("string", ["null", "string"], "null cannot be read as string"),
        (["null", "string"], "long", "no branch of null | string takes the writer's long"),
        (enum("a", default=None), enum("a", "b", default=None), "the reader lacks b and has no default symbol"),
        (
            enum("UNKNOWN"),
            {"type": "enum", "name": "F", "symbols": ["UNKNOWN"]},
            "the writer's F is not the reader's E",
        ),
        ({"type": "array", "items": "int"}, {"type": "array", "items": "long"}, "[]: long cannot be read as int"),
        (
            {"type": "map", "values": "int"},
            {"type": "array", "items": "int"},
            "array of int cannot be read as map of int",
        ),
        (decimal(18, 4), decimal(18, 2), "decimal(18, 2) means something else than decimal(18, 4)"),
        (decimal(18, 4), decimal(20, 4), "decimal(20, 4) means something else than decimal(18, 4)"),
        (decimal(18, 4), "bytes", "bytes means something else than decimal(18, 4)"),
        ("long", TIME, "timestamp-millis means something else than long"),
        (
            {"type": "fixed", "name": "F", "size": 2},
            {"type": "fixed", "name": "F", "size": 3},
            "3 bytes cannot be read as 2",
        ),
        (
            record({"name": "p", "type": {"type": "array", "items": record(A, B_REQUIRED, name="P")}}),
            record({"name": "p", "type": {"type": "array", "items": record(A, name="P")}}),
            "p[].b: the writer has no such field",
        ),
    ],
)
def test_reader_cannot_read_and_the_place_is_named(reader: object, writer: object, text: str):
    (found,) = problems(parse(reader), parse(writer))
    assert text in found


@pytest.mark.parametrize(
    ("new", "old", "advice"),
    [
        (record(A, B), record(A), "either side first"),
        (record(A), record(A, B), "either side first"),
        (
            record({"name": "e", "type": enum("UNKNOWN", "a")}),
            record({"name": "e", "type": enum("UNKNOWN")}),
            "readers first",
        ),
        (record({"name": "a", "type": "long"}), record({"name": "a", "type": "int"}), "readers first"),
        (record(A), record(A, B_REQUIRED), "readers first"),
        (record(A, B_REQUIRED), record(A), "writers first"),
        (record({"name": "a", "type": "long"}), record(A), "no order works"),
    ],
)
def test_advice_says_which_side_is_rolled_out_first(new: object, old: object, advice: str):
    assert compat.rollout(parse(new), parse(old)).startswith(advice)


def _change(fields: dict[str, JsonSchema]) -> dict[str, Callable[[], object]]:
    """What somebody will try one day, each as a change of the fields of `EnforcementLifted`."""
    reason, lifted_by, amount = fields["reason"], fields["lifted_by"], fields["amount_returned"]
    note = {"name": "note", "type": ["null", "string"], "default": None}
    return {
        "field added with default": lambda: fields.update(note=note),
        "optional field removed": lambda: fields.pop("lifted_by"),
        "symbol added": lambda: reason["type"]["symbols"].append("pardoned"),
        "field added without default": lambda: fields.update(note={"name": "note", "type": "string"}),
        "required field removed": lambda: fields.pop("enforcement_id"),
        "field renamed": lambda: fields["occurred_at"].update(name="lifted_at"),
        "default of an enum removed": lambda: reason["type"].pop("default"),
        "type changed": lambda: fields["strikes_expunged"].update(type="long"),
        "optional made required": lambda: (lifted_by.update(type="string"), lifted_by.pop("default")),
        "scale changed": lambda: amount["type"][1]["fields"][0]["type"].update(scale=2),
    }


def changed(*changes: str) -> JsonSchema:
    """The current `EnforcementLifted`, changed."""
    schema = wire_form(copy.deepcopy(current(EnforcementLifted)))
    fields = {field["name"]: field for field in schema["fields"]}
    for change in changes:
        _change(fields)[change]()
    return schema | {"fields": list(fields.values())}


@pytest.mark.parametrize("change", ["field added with default", "optional field removed", "symbol added"])
def test_compatible_change_passes_against_the_history(change: str):
    versions = compat.history(EnforcementLifted)
    assert list(compat.compatibility_problems("x", changed(change), versions)) == []


@pytest.mark.parametrize(
    ("change", "sides"),
    [
        ("field added without default", {"BACKWARD"}),
        ("required field removed", {"FORWARD"}),
        ("field renamed", {"BACKWARD", "FORWARD"}),
        ("type changed", {"BACKWARD", "FORWARD"}),
        ("optional made required", {"BACKWARD"}),
        ("scale changed", {"BACKWARD", "FORWARD"}),
    ],
)
def test_incompatible_change_is_found_with_its_side(change: str, sides: set[str]):
    found = list(compat.compatibility_problems("x", changed(change), compat.history(EnforcementLifted)))
    assert {side for side in ("BACKWARD", "FORWARD") if any(f"not {side}" in line for line in found)} == sides


def test_compatibility_is_transitive_so_a_break_with_the_oldest_version_is_found():
    oldest = Version(1, Path("v1"), record(A, B_REQUIRED))
    middle = Version(2, Path("v2"), record(A, B))
    newest = record(A)
    assert list(compat.compatibility_problems("x", newest, [middle])) == []
    (found,) = compat.compatibility_problems("x", newest, [oldest, middle])
    assert "v1 cannot read" in found


def test_enum_without_default_closes_the_door_to_new_symbols():
    closed = Version(1, Path("v1"), changed("default of an enum removed"))
    found = list(compat.compatibility_problems("x", changed("symbol added"), [closed]))
    assert found == [
        "x: not FORWARD, v1 cannot read what it writes: reason: the reader lacks pardoned and has no default symbol"
    ]


def test_schema_that_changed_without_a_new_version_is_an_error():
    versions = compat.history(EnforcementLifted)
    found = list(compat.version_problems("x", changed("field added with default"), versions))
    assert found == ["x: changed since v1; python -m schemas.compat --add writes a new version"]


def test_words_may_change_without_a_new_version():
    schema = copy.deepcopy(current(EnforcementLifted))
    schema["doc"] = "Better words."
    schema["fields"][0]["personal"] = "direct"
    assert list(compat.version_problems("x", schema, compat.history(EnforcementLifted))) == []


def test_altered_history_file_is_an_error(root: Path):
    path = root / "CaseClaimed" / "v1.avsc"
    path.write_text(path.read_text("utf-8").replace('"actor"', '"reviewer"'), "utf-8")
    assert "history/CaseClaimed/v1.avsc: altered; restore it, a version that was written once never changes" in (
        compat.check((CaseClaimed,), root)
    )


def test_history_file_whose_spaces_were_altered_is_an_error_too(root: Path):
    path = root / "CaseClaimed" / "v1.avsc"
    path.write_text(path.read_text("utf-8") + "\n", "utf-8")
    assert any("altered" in line for line in compat.check((CaseClaimed,), root))


def test_removed_history_file_is_an_error(root: Path):
    (root / "CaseClaimed" / "v1.avsc").unlink()
    found = compat.check((CaseClaimed,), root)
    assert "history/CaseClaimed/v1.avsc: locked, but gone" in found
    assert any("no version in the history" in line for line in found)


def test_history_file_put_there_by_hand_is_an_error(root: Path):
    shutil.copy(root / "CaseClaimed" / "v1.avsc", root / "CaseClaimed" / "v3.avsc")
    found = compat.check((CaseClaimed,), root)
    assert "history/CaseClaimed/v3.avsc: not in lock.json" in found
    assert any("versions [1, 3], must count from 1" in line for line in found)


def test_fingerprint_that_no_longer_comes_out_as_locked_is_an_error(root: Path):
    lock = json.loads((root / compat.LOCK).read_text("utf-8"))
    lock["CaseClaimed/v1.avsc"]["fingerprint"] = "0" * 16
    (root / compat.LOCK).write_text(json.dumps(lock), "utf-8")
    assert any("another fingerprint than locked" in line for line in compat.check((CaseClaimed,), root))


def test_adding_versions_writes_what_changed_once_and_locks_it(root: Path):
    shutil.rmtree(root)
    written = compat.add_versions(root=root)
    assert len(written) == len(ALL_RECORDS)
    assert compat.check(root=root) == []
    assert compat.add_versions(root=root) == []


def test_adding_versions_gives_the_files_that_are_in_the_history(root: Path):
    shutil.rmtree(root)
    for path in compat.add_versions((CaseClaimed,), root):
        assert path.read_bytes() == (HISTORY / path.relative_to(root)).read_bytes()


def test_adding_an_incompatible_version_is_refused_and_writes_nothing(root: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(compat, "current", lambda _: changed("field renamed"))
    with pytest.raises(SchemaError, match="not BACKWARD"):
        compat.add_versions((EnforcementLifted,), root)
    assert not (root / "EnforcementLifted" / "v2.avsc").exists()


def test_adding_a_compatible_version_keeps_the_old_one_and_asks_for_it_in_later_checks(
    root: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(compat, "current", lambda _: changed("symbol added"))
    (path,) = compat.add_versions((EnforcementLifted,), root)
    assert path.name == "v2.avsc"
    assert compat.check((EnforcementLifted,), root) == []
    newest, before = (parse(each.schema) for each in reversed(compat.history(EnforcementLifted, root)))
    assert compat.rollout(newest, before) == (
        "readers first: an old reader takes recourse.v1.LiftReason.pardoned for UNKNOWN, or dead-letters the record"
    )
