"""`recourse simulate` from the command line on small files, without servers."""

import json

import pytest
from typer.testing import CliRunner

from topology.cli import app
from topology.engine.errors import Misconfigured
from topology.rulebook_file import PACKAGED
from topology.simulate import both as both_module
from topology.simulate.both import both

TEXT = PACKAGED.read_text(encoding="utf-8")
ROWS = [
    {"kind": "notice", "notice_id": "n1", "published_at": "2016-03-01T00:00:00Z", "owner_hashes": ["u1", "u2"]},
    {
        "kind": "counternotice",
        "notice_id": "c1",
        "published_at": "2016-03-05T00:00:00Z",
        "owner_hashes": ["u1", "u2"],
        "answers_notice_id": ["n1"],
        "response": "dispute",
    },
    {
        "kind": "retraction",
        "notice_id": "r1",
        "published_at": "2016-03-15T00:00:00Z",
        "owner_hashes": ["u2"],
        "answers_notice_id": ["n1"],
    },
]


@pytest.fixture
def book(tmp_path):
    """Give a function that writes the packaged rulebook with replacements."""

    def write(name, *changes):
        text = TEXT
        for old, new in changes:
            assert old in text
            text = text.replace(old, new, 1)
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


@pytest.fixture
def events(tmp_path):
    path = tmp_path / "events.jsonl"
    path.write_text("\n".join(map(json.dumps, ROWS)))
    return path


@pytest.fixture
def run(monkeypatch, events):
    for name in ("KAFKA", "REDIS", "RULEBOOK"):
        monkeypatch.delenv(f"RECOURSE_{name}", raising=False)

    def invoke(*args, source=("--file", events, "--mapping", "dmca")):
        environment = {"COLUMNS": "200"}
        return CliRunner(env=environment).invoke(app, ["simulate", *map(str, source), *map(str, args)])

    return invoke


def test_differences_are_shown_and_written(run, book, tmp_path):
    new = book("new.yaml", ("{band: P3, at: 250", "{band: P3, at: 100"), ("name: default", "name: stricter"))
    result = run("--rulebook", new, "--json", tmp_path / "out.json", "--examples", 1)
    assert result.exit_code == 0, result.output
    text = " ".join(result.output.split())
    for expected in (
        "source events.jsonl, mapping dmca: 5 inputs, read and folded twice in",
        "old default ",
        "new stricter ",
        "compared 2 appeals, 2 cases",
        "rulebook bands[P3].at: 250 -> 100",
        "P4 2 ·",
        "band, 1 of 2",
        "P4 -> P3",
        "differs 2 of 2 appeals fare differently",
    ):
        assert expected in text, text
    written = json.loads((tmp_path / "out.json").read_text())
    assert written["differs"] is True
    found = written["comparison"]
    assert found["bands"] == [{"old": "P4", "new": "P3", "count": 2}]
    assert found["changed"]["band"] == 2
    assert len([change for change in found["changes"] if change["kind"] == "band"]) == 2
    assert written["inputs"] == 5
    assert [written[which]["name"] for which in ("old", "new")] == ["default", "stricter"]
    assert written["rulebook"][0] == {"path": "name", "old": "default", "new": "stricter"}


def test_the_same_content_says_so_and_passes_the_check_of_a_pipeline(run, book):
    result = run("--rulebook", book("same.yaml", ("handling: 24h", "handling: 1d")), "--fail-on-change")
    assert result.exit_code == 0, result.output
    assert "no difference" in result.output
    assert "the same content" in result.output


def test_a_rulebook_that_changes_nothing_for_these_appeals_passes_too(run, book):
    result = run("--rulebook", book("new.yaml", ("ban: 1.00", "ban: 0.99")), "--fail-on-change")
    assert result.exit_code == 0, result.output
    assert "no difference" in result.output
    assert "severity.actions.ban: 1.0 -> 0.99" in result.output


def test_a_difference_fails_the_check_of_a_pipeline(run, book):
    new = book("new.yaml", ("deadline: 28d", "deadline: 20d"))
    assert run("--rulebook", new).exit_code == 0
    assert run("--rulebook", new, "--fail-on-change").exit_code == 1


def test_the_old_rulebook_is_the_one_in_force_unless_another_is_named(run, book, monkeypatch):
    new = book("new.yaml", ("deadline: 28d", "deadline: 20d"))
    assert "no difference" in run("--rulebook", new, "--against", new).output
    monkeypatch.setenv("RECOURSE_RULEBOOK", str(new))
    assert "no difference" in run("--rulebook", new).output


def test_only_what_was_answered_within_the_window_is_compared(run, book):
    new = book("new.yaml", ("deadline: 28d", "deadline: 20d"))
    before = run("--rulebook", new, "--until", "2016-03-05")
    within = run("--rulebook", new, "--since", "2016-03-05", "--until", "2016-03-06")
    assert "compared 0 appeals" in before.output
    assert "no difference" in before.output
    assert "compared 2 appeals" in within.output
    assert "from 2016-03-05 00:00 to 2016-03-06 00:00" in within.output


def test_a_pod_without_a_topic_can_be_tried_and_is_noted(run, book):
    new = book(
        "new.yaml",
        ("pods:\n", "pods:\n  - name: takedowns\n    skills: [trademark]\n"),
        ("    needs: [trademark]\n    pod: intellectual-property\n", "    needs: [trademark]\n    pod: takedowns\n"),
    )
    result = run("--rulebook", new)
    assert result.exit_code == 0, result.output
    assert "pod takedowns has no topic yet" in result.output
    assert "intellectual-property   takedowns" in result.output


def test_a_rulebook_with_faults_is_told_line_by_line(run, book):
    result = run("--rulebook", book("new.yaml", ("at: 250", "at: 2500")))
    assert isinstance(result.exception, Misconfigured)
    assert "new.yaml:" in str(result.exception)
    assert "bands[3].at" in str(result.exception)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--since", "soon"), "--since soon: write a time"),
        (("--since", "2016-03-02", "--until", "2016-03-01"), "nothing lies between"),
        (("--format", "xml"), "choose csv, jsonl, avro"),
        (("--json", "/nowhere/out.json"), "/nowhere/out.json: cannot be written"),
    ],
)
def test_what_cannot_be_is_answered_with_what_can(run, book, args, said):
    result = run("--rulebook", book("new.yaml"), *args)
    assert isinstance(result.exception, Misconfigured)
    assert said in str(result.exception)


def test_a_file_without_its_mapping_is_refused(run, book, events):
    result = run("--rulebook", book("new.yaml"), source=("--file", events))
    assert "--file and --mapping belong together" in str(result.exception)


# --- two processes, or one ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("fork", [False, True])
def test_both_ways_of_folding_give_each_rulebook_its_own_result(monkeypatch, fork):
    monkeypatch.setattr(both_module, "fates_of", lambda app, recorded: (app, recorded))
    assert both("old", "new", "inputs", fork=fork) == (("old", "inputs"), ("new", "inputs"))


@pytest.mark.parametrize("fork", [False, True])
def test_a_fold_that_fails_is_not_hidden_by_the_process_that_it_ran_in(monkeypatch, fork):
    def fates_of(app, _recorded):
        if app == "old":
            raise ValueError("no such thing")
        return app

    monkeypatch.setattr(both_module, "fates_of", fates_of)
    with pytest.raises(ValueError, match="no such thing"):
        both("old", "new", "inputs", fork=fork)
