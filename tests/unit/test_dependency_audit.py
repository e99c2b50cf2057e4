"""`make audit` is red on a finding, and loud but not red when the advisory service is away."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / ".ci" / "audit.py"
VULNERABILITY = {"id": "PYSEC-1", "fix_versions": ["2.0"], "aliases": [], "description": ""}
FINDING = {"dependencies": [{"name": "leaky", "version": "1.0", "vulns": [VULNERABILITY]}], "fixes": []}
CLEAN = {"dependencies": [{"name": "tight", "version": "1.0", "vulns": []}], "fixes": []}
UNKNOWN = {"dependencies": [{"name": "leaky", "skip_reason": "Dependency not found on PyPI"}], "fixes": []}
FAKE = """
import sys
report, errors, code = {report!r}, {errors!r}, {code}
if report:
    open(sys.argv[sys.argv.index("--output") + 1], "w").write(report)
if "PYSEC-1" in sys.argv:
    sys.exit("ignored was passed on")
sys.stderr.write(errors)
sys.exit(code)
"""


@pytest.mark.parametrize(
    ("report", "errors", "code", "ends", "told"),
    [
        (CLEAN, "", 0, 0, "1 dependencies, 0 known vulnerabilities"),
        (FINDING, "Found 1 known vulnerability in 1 package", 1, 1, "leaky 1.0: PYSEC-1, fixed in 2.0"),
        (UNKNOWN, "No known vulnerabilities found", 0, 0, "NOT AUDITED: the advisory service gave no answer (it knows"),
        (None, "ERROR:pip_audit._cli:Tip: your network may be blocking this service.", 1, 0, "NOT AUDITED"),
        (None, "requests.exceptions.ConnectionError: Max retries exceeded with url", 1, 0, "NOT AUDITED"),
        (None, "usage: pip-audit: error: unrecognized arguments", 2, 2, "ended with 2 and no report"),
    ],
)
def test_finding_is_red_and_silence_is_loud(tmp_path, report, errors, code, ends, told):
    fake = tmp_path / "fake.py"
    fake.write_text(FAKE.format(report=report and json.dumps(report), errors=errors, code=code), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, SCRIPT, "--command", f"{sys.executable} {fake}"], capture_output=True, text=True, check=False
    )
    assert done.returncode == ends, done.stdout + done.stderr
    assert told in done.stdout + done.stderr


def test_finding_that_was_accepted_is_passed_on(tmp_path):
    fake, ignored = tmp_path / "fake.py", tmp_path / "ignored.txt"
    fake.write_text(FAKE.format(report=None, errors="", code=0), encoding="utf-8")
    ignored.write_text("PYSEC-1  # until 2.0 is out\n", encoding="utf-8")
    command = [sys.executable, SCRIPT, "--command", f"{sys.executable} {fake}", "--ignored", ignored]
    assert "ignored was passed on" in subprocess.run(command, capture_output=True, text=True, check=False).stderr
