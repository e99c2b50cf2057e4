"""`recourse replay` from the command line, as far as it needs no servers."""

import json

import pytest
from typer.testing import CliRunner

from topology.cli import app
from topology.engine.errors import Misconfigured

ROW = {"kind": "notice", "notice_id": "n1", "published_at": "2016-03-01T00:00:00Z", "owner_hashes": ["u1", "u2"]}


@pytest.fixture
def run(monkeypatch):
    monkeypatch.delenv("RECOURSE_KAFKA", raising=False)
    monkeypatch.delenv("RECOURSE_REDIS", raising=False)
    return lambda *args: CliRunner().invoke(app, ["replay", *map(str, args)])


def test_a_dry_run_maps_and_counts_without_servers(run, tmp_path):
    path = tmp_path / "events.jsonl"
    path.write_text(json.dumps(ROW))
    result = run(path, "--mapping", "dmca", "--dry-run", "--json", tmp_path / "balance.json")
    assert result.exit_code == 0, result.output
    written = json.loads((tmp_path / "balance.json").read_text())
    assert written["records"] == {"EnforcementIssued": 2}
    assert written["processed"] is False


def test_a_row_that_does_not_fit_stops_before_any_server_is_asked(run, tmp_path):
    path = tmp_path / "events.jsonl"
    path.write_text(json.dumps(ROW) + "\n" + json.dumps(ROW | {"published_at": ""}))
    result = run(path, "--mapping", "dmca")
    assert isinstance(result.exception, Misconfigured)
    assert "events.jsonl:2: published_at is ''" in str(result.exception)


def test_an_unknown_format_is_answered_with_the_known_ones(run, tmp_path):
    result = run(tmp_path / "events", "--mapping", "dmca", "--format", "xml")
    assert "choose csv, jsonl, avro" in str(result.exception)
