"""promtool, the real one, accepts the rules and runs their tests."""

import os
import subprocess
from pathlib import Path

import pytest

from deploy.dashboards.scraped_run import RULES
from topology.embedded import silent
from topology.embedded.prometheus import find_promtool

_FAST = "/dev/shm"  # noqa: S108 - promtool syncs each sample to disk


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    where = {"TMPDIR": _FAST} if Path(_FAST).is_dir() else {}
    return subprocess.run(
        [find_promtool(silent), *arguments],
        cwd=RULES.parent,
        env=os.environ | where,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_rules_are_rules():
    done = promtool("check", "rules", RULES.name)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SUCCESS" in done.stdout


@pytest.mark.parametrize("file", sorted(path.name for path in RULES.parent.glob("*.test.yaml")))
def test_alerts_fire_and_stay_silent_as_their_tests_say(file: str):
    done = promtool("test", "rules", file)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SUCCESS" in done.stdout


def test_promtool_notices_a_threshold_that_moved(tmp_path: Path):
    text = RULES.read_text()
    moved = text.replace(
        "(recourse_restore_remaining_records) > 0\n        for: 10m",
        "(recourse_restore_remaining_records) > 0\n        for: 9m",
    )
    assert moved != text
    (tmp_path / RULES.name).write_text(moved)
    tests = RULES.parent / "recourse.rules.test.yaml"
    (tmp_path / tests.name).write_text(tests.read_text())
    done = promtool("test", "rules", str(tmp_path / tests.name))
    assert done.returncode == 1
    assert "RecourseRestoreLong at the boundary" in done.stdout + done.stderr
