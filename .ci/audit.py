"""Known vulnerabilities in the pinned dependencies: `make audit`.

Ends with 1 on a finding, and with 0 but loudly when nobody could be asked, so that an outage of the advisory service
stops no change. Anything else that goes wrong is a fault of ours, and ends with 2. To accept a finding for a time, name
it in `.ci/audit-ignored.txt`, one id a line, with the reason behind a `#`.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

_ROOT = Path(__file__).parents[1]
_UNREACHABLE = re.compile(
    r"network may be blocking|ConnectionError|NameResolutionError|Max retries exceeded|ReadTimeout|ConnectTimeout"
    r"|ProxyError|HTTPError: 5\d\d|5\d\d (Server|Client) Error|429 Client Error|timed out",
)
_LIMIT_S = 240


def main() -> int:
    """Run pip-audit and say what it means."""
    parser = argparse.ArgumentParser(prog="make audit", description=__doc__)
    parser.add_argument("--command", default=f"{shlex.quote(sys.executable)} -m pip_audit", help="how to run pip-audit")
    parser.add_argument("--requirements", type=Path, default=_ROOT / "constraints.txt")
    parser.add_argument("--ignored", type=Path, default=Path(__file__).with_name("audit-ignored.txt"))
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        command = shlex.split(asked.command)
        command += ["--requirement", str(asked.requirements), "--no-deps", "--disable-pip", "--progress-spinner", "off"]
        command += ["--format", "json", "--output", str(report)]
        for name in _ignored(asked.ignored):
            command += ["--ignore-vuln", name]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT_S, check=False)  # noqa: S603
        except subprocess.TimeoutExpired:
            return _not_asked(f"no answer within {_LIMIT_S} s")
        text = report.read_text("utf-8") if report.exists() else ""
    if text:
        return _judged(json.loads(text)["dependencies"])
    if _UNREACHABLE.search(done.stderr):
        return _not_asked(done.stderr.strip().splitlines()[-1])
    sys.stderr.write(f"pip-audit ended with {done.returncode} and no report:\n{done.stderr}\n")
    return 2


def _judged(dependencies: list[dict]) -> int:
    found = [(each, vulnerability) for each in dependencies for vulnerability in each.get("vulns", ())]
    for each, vulnerability in found:
        fixed = ", ".join(vulnerability["fix_versions"]) or "no version yet"
        sys.stdout.write(f"{each['name']} {each['version']}: {vulnerability['id']}, fixed in {fixed}\n")
    skipped = [each for each in dependencies if "skip_reason" in each]
    if len(skipped) == len(dependencies):
        # A mirror of packages answers for PyPI and knows no advisories: pip-audit calls that no vulnerabilities.
        return _not_asked(f"it knows none of the {len(skipped)} dependencies: {skipped[0]['skip_reason']}")
    for each in skipped:
        sys.stdout.write(f"NOT AUDITED: {each['name']}: {each['skip_reason']}\n")
    sys.stdout.write(f"{len(dependencies) - len(skipped)} dependencies, {len(found)} known vulnerabilities\n")
    return 1 if found else 0


def _not_asked(why: str) -> int:
    sys.stdout.write(
        f"{'!' * 100}\nNOT AUDITED: the advisory service gave no answer ({why}).\n"
        f"Nothing is known about the dependencies; run `make audit` again when it is back.\n{'!' * 100}\n"
    )
    return 0


def _ignored(path: Path) -> list[str]:
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    return [name for line in lines if (name := line.partition("#")[0].strip())]


if __name__ == "__main__":
    sys.exit(main())
