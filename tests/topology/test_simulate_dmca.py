"""Ten years of takedown notices under a changed rulebook; what must differ is worked out from the file's dates."""

import json
import time
from collections import Counter

import pytest
from typer.testing import CliRunner

from tests.takedowns import DAY_MS, EVENTS, WINDOW_MS, File, millis, needs_takedowns, owners, refusals_of, split
from topology.cli import app
from topology.rulebook_file import PACKAGED

pytestmark = needs_takedowns

LONGER_DAYS = 365
P2_DAYS, P4_DAYS = 3, 14
SCORE = round(1_000 * (0.30 * 0.30 + 0.20 * 0.334 + 0.10 * 0.5))
"""Of a content removal without an end: severity, the published overturn rate, a user without history."""
CHANGES = (
    ("{band: P2, at: 400", f"{{band: P2, at: {SCORE}"),
    ("{band: P3, at: 250", f"{{band: P3, at: {SCORE - 10}"),
    ("appeal_window: 184d", f"appeal_window: {LONGER_DAYS}d"),
    ("routing:\n", "routing:\n  - name: circumvention\n    when: {policies: [dmca-circumvention]}\n    pod: legal\n"),
)


@pytest.fixture(scope="module")
def file():
    return File()


@pytest.fixture(scope="module")
def cases(file):
    """The appeals that open a case under the old and under the new appeal window."""
    return [
        [appeal for appeal, refusal in refusals_of(file, window) if refusal is None]
        for window in (WINDOW_MS, LONGER_DAYS * DAY_MS)
    ]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("simulate")
    text = PACKAGED.read_text(encoding="utf-8")
    for old, new in CHANGES:
        assert old in text
        text = text.replace(old, new, 1)
    (folder / "new.yaml").write_text(text)
    out = folder / "out.json"
    args = ["simulate", "--rulebook", folder / "new.yaml", "--against", PACKAGED, "--file", EVENTS, "--mapping", "dmca"]
    began = time.monotonic()
    result = CliRunner(env={"COLUMNS": "160"}).invoke(app, [*map(str, args), "--json", str(out)])
    seconds = time.monotonic() - began
    assert result.exit_code == 0, result.output
    return result.output, json.loads(out.read_text()), seconds


@pytest.fixture(scope="module")
def found(run):
    return run[1]["comparison"]


def test_the_whole_file_takes_well_under_two_minutes(run):
    assert run[1]["inputs"] > 70_000
    assert run[2] < 60


def test_every_appeal_of_the_file_is_compared(file, cases, found):
    assert found["appeals"] == len(file.appeals)
    assert found["cases"] == {"name": "cases", "old": len(cases[0]), "new": len(cases[1])}


def test_all_cases_move_to_the_band_that_now_starts_at_their_score(cases, found):
    assert found["bands"] == [{"old": "P4", "new": "P2", "count": len(cases[0])}]
    assert found["changed"]["band"] == found["changed"]["promised_at"] == len(cases[0])
    assert "score" not in found["changed"]


def test_refused_as_untimely_becomes_what_the_dates_of_the_file_give(file, found):
    new = {id(appeal): refusal for appeal, refusal in refusals_of(file, LONGER_DAYS * DAY_MS)}
    old_file = list(refusals_of(file))
    assert len(old_file) == len(new)
    expected = Counter(
        (told(before), told(after))
        for (_, before), after in zip(old_file, new.values(), strict=True)
        if before != after
    )
    assert sum(expected.values()) > 3
    assert {(m["old"], m["new"]): m["count"] for m in found["answers"]} == expected


def told(refusal):
    return "case" if refusal is None else f"refused: {refusal}"


def test_only_cases_about_circumvention_move_to_another_pod(file, cases, found):
    about = [a for a in cases[0] if file.by_id[a.notice]["claims_circumvention"] == "1"]
    assert found["pods"] == [{"old": "intellectual-property", "new": "legal", "count": len(about)}]
    assert len(about) > 0
    [change] = [change for change in found["changes"] if change["kind"] == "pod"]
    assert change["because"][0].endswith("-> circumvention (policy=dmca-circumvention)")


def test_promises_are_broken_by_the_days_of_the_file(file, cases, found):
    """A case ends when its enforcement is lifted, its appeal taken back or rejected; else it outlives any promise."""
    ends = ends_of(file)
    last = max(millis(row["published_at"]) for row in file.rows)
    kept = dict.fromkeys((P4_DAYS, P2_DAYS), 0)
    for appeal in cases[0]:
        submitted = millis(file.by_id[appeal.row]["ts_date"])
        assert submitted + P4_DAYS * DAY_MS < last or (appeal.notice, appeal.user) in ends, appeal
        end = ends.get((appeal.notice, appeal.user))
        for days in kept:
            kept[days] += end is not None and end <= submitted + days * DAY_MS
    tallies = {tally["name"]: (tally["old"], tally["new"]) for tally in found["promises"]}
    assert tallies["met"] == (kept[P4_DAYS], kept[P2_DAYS])
    assert kept[P4_DAYS] > kept[P2_DAYS] > 0


def ends_of(file):
    """(notice, user) to when, by the order of publication, something first came that ends a case about it."""
    ends = {}
    appeals = {}
    for appeal in file.appeals:
        appeals.setdefault(appeal.row, []).append(appeal)
    for row in file.rows:
        about = []
        answered = split(row["answers_notice_id"])
        if row["kind"] in ("retraction", "reversal"):
            if not owners(row) and row["partial"] == "1":
                continue
            for notice in answered:
                hit = owners(file.by_id[notice])
                about += [(notice, user) for user in hit if user in (owners(row) or hit)]
        elif row["kind"] in ("counternotice_retraction", "counternotice_reversal"):
            withdrawn = row["kind"] == "counternotice_retraction"
            for notice in answered:
                about += [
                    (a.notice, a.user)
                    for a in appeals.get(notice, ())
                    if not (withdrawn and owners(row)) or a.user in owners(row)
                ]
        for pair in about:
            ends.setdefault(pair, millis(row["published_at"]))
    return ends


def test_the_table_says_the_same(cases, run):
    text = " ".join(run[0].split())
    assert f"P4 {len(cases[0])} ·" in text
    assert "refused: untimely case" in text
    assert "circumvention (policy=dmca-circumvention)" in text
