"""The record of a campaign goes on where it ended, and its page hides nothing of what was wrong at first."""

import pytest

from tests.faults.kinds import CELLS
from tests.faults.record import Chunk, Record, Run, Struck, Wrong
from tests.faults.report import BY_HAND, report

LOST = Wrong("input_lost", "an appeal", lost=True, doubled=False)
DOUBLED = Wrong("line_doubled", "a line", lost=False, doubled=True)


def a_chunk(commit: str = "abc", **more) -> Chunk:
    facts = {"at": f"2026-11-27 10:00:{commit}", "altered": False, "lanes": 2, "machine": "2 cores", "versions": "x"}
    return Chunk(commit=commit, **{**facts, **more})


def a_run(seed: int, *wrong: Wrong, happened: bool = True, fault: str = "REDIS_FLUSHED", step: str = "READ") -> Run:
    struck = [Struck(f"{fault} before {step}", fault, step, happened, "seen" if happened else "its step never came")]
    facts = {"plan": f"seed {seed}", "at": "2026-11-27 10:00:00", "seconds": 2.0, "parts": {"storm": 1.0}}
    return Run(seed=seed, struck=struck, wrong=list(wrong), restarts={2: 1}, **facts)


@pytest.fixture
def record(tmp_path) -> Record:
    return Record(tmp_path / "record.jsonl")


def test_what_was_added_is_read_again_by_the_call_that_it_belongs_to(record):
    assert record.read() == []
    record.add(a_chunk("a"), a_run(1), a_run(2, LOST))
    record.add(a_chunk("b"))
    record.add(a_run(3))
    assert record.read() == [(a_chunk("a"), [a_run(1), a_run(2, LOST)]), (a_chunk("b"), [a_run(3)])]
    assert record.seeds() == {1, 2, 3}


def test_page_counts_lost_and_doubled_apart_and_every_cell_that_was_hit(record):
    record.add(a_chunk(), a_run(1, LOST, LOST), a_run(2, DOUBLED), a_run(3, step="APPLY"), a_run(5))
    page = report(record.read())
    assert "4 runs, seeds 1 to 3, 5: 2 passed, 2 failed, 0 with a fault that did not happen" in page
    assert "Lost: 2. Doubled: 1. Otherwise wrong: 0." in page
    assert "| Redis flushed (FLUSHALL) | 0 | 3 | 0 | 0 | 0 | 0 | 1 | 4 |" in page
    assert f"Of the {len(CELLS)} cells below {len(CELLS) - 2} were never hit" in page


def test_a_failure_stays_on_the_page_when_its_seed_has_passed_since(record):
    record.add(a_chunk("old"), a_run(1, LOST), a_run(2))
    record.add(a_chunk("new"), a_run(1))
    page = report(record.read())
    assert "2 runs, seeds 1 to 2: 1 passed, 1 failed" in page
    assert "seed 1 at old, REDIS_FLUSHED before READ: 1 input_lost. again at new: passed." in page


def test_a_failure_of_a_seed_that_had_passed_before_is_on_the_page(record):
    record.add(a_chunk("old"), a_run(1), a_run(2))
    record.add(a_chunk("new"), a_run(1, LOST))
    page = report(record.read())
    assert "seed 1 at old, REDIS_FLUSHED before READ: passed. again at new: 1 input_lost." in page
    assert "seed 2 at" not in page


def test_runs_of_changed_files_are_not_passed_off_as_the_commits(record):
    record.add(a_chunk("abc", altered=True), a_run(1))
    assert "| abc with changes | 1 | 2 | 1 | 1 | 0 | 0 |" in report(record.read())


def test_a_fault_that_did_not_happen_counts_as_not_hit_and_in_no_cell(record):
    record.add(a_chunk(), a_run(1, happened=False))
    page = report(record.read())
    assert "1 runs, seeds 1: 0 passed, 0 failed, 1 with a fault that did not happen" in page
    assert "| Redis flushed (FLUSHALL) | 0 | 0 | 0 | 0 | 0 | 0 | 0 | 0 |" in page
    assert "seed 1: REDIS_FLUSHED before READ: its step never came" in page


def test_what_people_wrote_below_is_kept_when_the_page_is_made_again(record):
    record.add(a_chunk(), a_run(1))
    by_hand = f"{BY_HAND}\n\nA defect.\n"
    page = report(record.read(), "# Faults\n\nas it was\n\n" + by_hand)
    assert page.endswith(by_hand)
    assert "as it was" not in page


def test_page_says_that_each_cell_was_hit_and_how_often_the_rarest(record):
    runs = [a_run(n, fault=fault.name, step=step.name) for n, (fault, step) in enumerate(CELLS)]
    record.add(a_chunk(), *runs, a_run(len(runs)))
    assert f"Of the {len(CELLS)} cells below each was hit, the rarest 1 time" in report(record.read())
