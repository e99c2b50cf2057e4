"""A rulebook is checked whole, and a wrong one names every fault with its place."""

import subprocess
import sys
from pathlib import Path

import pytest

from processors.durations import DAY_MS, HOUR_MS, MINUTE_MS, parse_duration_ms
from processors.rulebook import Rulebook
from topology.rulebook_file import PACKAGED, RulebookError, load_rulebook, parse_rulebook

TEXT = PACKAGED.read_text(encoding="utf-8")


def line_of(fragment: str, text: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), start=1) if fragment in line)


def fault(old: str, new: str) -> str:
    """The error of the packaged rulebook after one change; the change must be possible."""
    assert TEXT.count(old) >= 1, old
    changed = TEXT.replace(old, new, 1)
    with pytest.raises(RulebookError) as caught:
        parse_rulebook(changed, name="book.yaml")
    return str(caught.value)


def test_packaged_rulebook_is_valid() -> None:
    book = load_rulebook()
    assert [pod.name for pod in book.pods] == [
        "general",
        "intellectual-property",
        "payments",
        "livestream",
        "accounts",
        "child-safety",
        "legal",
        "lead",
    ]
    assert sum(weight for _, weight, _ in book.tables.scale) == pytest.approx(1)
    assert book.tables.default_pod == "general"


@pytest.mark.parametrize(
    ("text", "ms"), [("30min", 30 * MINUTE_MS), ("1h", HOUR_MS), ("14d", 14 * DAY_MS), ("90 s", 90_000)]
)
def test_durations_are_read_as_people_write_them(text: str, ms: int) -> None:
    assert parse_duration_ms(text) == ms


@pytest.mark.parametrize("text", ["", "14", 14, "1.5h", "-1d", "1w", "1h 30min", None, True])
def test_anything_else_is_no_duration(text: object) -> None:
    with pytest.raises(ValueError, match="is no duration"):
        parse_duration_ms(text)


@pytest.mark.parametrize(
    ("old", "new", "place", "what"),
    [
        ("parking_time: 7d", "parking_tme: 7d", "intake.parking_tme", "did you mean 'parking_time'?"),
        ("parking_time: 7d", "parking_time: soon", "intake.parking_time", "'soon' is no duration"),
        ("parking_time: 7d", "parking_time: 0d", "intake.parking_time", "greater than 0"),
        ("appeal_window: 184d", "appeal_window: 183d", "intake.appeal_window", "six months"),
        ("severity: 0.30", "severity: 0.31", "weights", "the weights sum to 1.01"),
        ("    ban: 1.00\n", "", "severity.actions", "no severity for ban"),
        ("    ban: 1.00", "    bann: 1.00", "severity.actions.bann", "did you mean 'ban'?"),
        ("    ban: 1.00", "    ban: 1.01", "severity.actions.ban", "less than or equal to 1"),
        ("at: 550", "at: 750", "bands[1].at", "750 is not below the 750 of the band before"),
        ("at: 0,", "at: 10,", "bands[4].at", "lower scores have none"),
        ("{band: P1", "{band: P2", "bands", "must be P0, P1, P2, P3, P4"),
        ("handling: 24h", "handling: 2h", "bands[1].handling", "shorter than that of the band before"),
        ("deadline: 28d", "deadline: 14d", "bands[4].handling", "not within review.deadline"),
        ("at_full: 1h", "at_full: 15d", "slack.at_full", "longer than slack.at_zero"),
        ("pod: legal\n", "pod: lgal\n", "routing[0].pod", "no pod is called 'lgal'"),
        ("    pod: child-safety", "    pod: kids", "overrides[1].pod", "no pod is called 'kids'"),
        ("substitute: general", "substitute: generals", "pods[1].substitute", "no pod is called 'generals'"),
        ("- name: general", "- name: general\n    substitute: payments", "pods[0].substitute", "run in a circle"),
        ("- name: payments", "- name: general", "pods[2].name", "a second pod is called 'general'"),
        (
            "- name: default\n    pod",
            "- name: default\n    needs: [law]\n    pod",
            "routing[8]",
            "must take every case",
        ),
        ("    when: {target_kinds: [livestream]}\n    needs: [live]\n", "", "routing[6]", "never reached"),
        ("when: {flags: [child_safety]}", "when: {}", "overrides[1].when", "would take every case"),
        ("categories: [STATEMENT_CATEGORY_P", "categories: [X_P", "overrides[2].when.categories", "unknown value"),
        ("flags: [legal_order]", "flags: [legal_ordr]", "overrides[0].when.flags", "did you mean 'legal_order'?"),
        ("    languages: [en, de, fr]", "    langs: [en, de, fr]", "pods[1].langs", "did you mean 'languages'?"),
        ("  lease: 30min\n", "", "review.lease", "is missing"),
        ("  lease: 30min\n", "  lease: 30min\n  lease: 1h\n", "review.lease", "is given twice"),
        ("tries: 8", "tries: 0", "reversal.tries", "greater than or equal to 1"),
        ("rate: 0.155", "rate: 15.5", "wrongfulness.priors[0].rate", "less than or equal to 1"),
        ("- name: legal\n", "- name: Legal Team\n", "pods[6].name", "should match pattern"),
    ],
)
def test_each_fault_is_told_with_its_place(old: str, new: str, place: str, what: str) -> None:
    text = fault(old, new)
    told = next((line for line in text.splitlines() if f": {place}" in line and what in line), None)
    assert told is not None, text
    assert told.strip().startswith("book.yaml:")


def test_line_is_where_the_fault_is() -> None:
    changed = TEXT.replace("parking_time: 7d", "parking_tme: 7d")
    wrong, section = line_of("parking_tme", changed), line_of("intake:", changed)
    text = fault("parking_time: 7d", "parking_tme: 7d")
    assert f"book.yaml:{wrong}: intake.parking_tme: unknown key" in text
    assert f"book.yaml:{section}: intake.parking_time: is missing" in text


def test_all_faults_are_told_at_once() -> None:
    text = TEXT.replace("at: 550", "at: 950").replace("lease: 30min", "lese: 30min").replace("pod: legal\n", "pod: x\n")
    with pytest.raises(RulebookError) as caught:
        parse_rulebook(text, name="book.yaml")
    assert str(caught.value).startswith("the rulebook has 4 faults:")
    for place in ("bands[1].at", "review.lese", "review.lease", "routing[0].pod"):
        assert place in str(caught.value)


@pytest.mark.parametrize("text", ["", "- a\n", "just text"])
def test_file_that_is_no_mapping_says_what_a_rulebook_is(text: str) -> None:
    with pytest.raises(RulebookError, match="a rulebook is a mapping"):
        parse_rulebook(text)


def test_broken_yaml_names_the_line() -> None:
    with pytest.raises(RulebookError, match=r"book\.yaml:2: is not YAML"):
        parse_rulebook("name: x\npods: ]\n", name="book.yaml")


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RulebookError, match=r"nowhere\.yaml: cannot be read"):
        load_rulebook(tmp_path / "nowhere.yaml")


def test_other_file_is_read(tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(TEXT.replace("lease: 30min", "lease: 10min"), encoding="utf-8")
    assert load_rulebook(other).tables.review.lease_ms == 10 * MINUTE_MS


def test_digest_names_the_content_not_the_layout() -> None:
    book = parse_rulebook(TEXT)
    assert parse_rulebook("# a comment\n" + TEXT.replace("7d", "168h")).digest == book.digest
    assert parse_rulebook(TEXT.replace("lease: 30min", "lease: 31min")).digest != book.digest
    assert len(book.digest) == 16


@pytest.mark.parametrize("seed", ["0", "1", "2"])
def test_digest_is_the_same_in_every_process(seed: str) -> None:
    code = "from topology.rulebook_file import load_rulebook; print(load_rulebook().digest)"
    root = Path(__file__).parents[2]
    ran = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        cwd=root,
        env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(root)},
    )
    assert ran.stdout.strip() == load_rulebook().digest


def test_rulebook_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_rulebook().name = "other"  # type: ignore[misc]


def test_rulebook_built_in_code_is_checked_too() -> None:
    with pytest.raises(ValueError, match="validation error"):
        Rulebook.model_validate({"name": "x"})
