"""`make rules`: break each rule in a copy of the tree, and see that the tests which name it go red.

Exit codes: 0 every break was noticed, 1 one was not, or a break no longer fits the code.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rich.console import Console

from tests.rules.breaks import IN_MEMORY, Break, changes, named

CONSOLE = Console()
ROOT = Path(__file__).parents[2]
ROOMS = ("schemas", "processors", "topology", "bench", "tests", "docs")
RED = 1
"""pytest's exit code for tests that failed; others mean that nothing could be tried."""


def main() -> int:
    """Try all of them, or those whose names (`3b`) or rules (`3`) are given."""
    wanted = set(sys.argv[1:])
    begun, noticed = time.monotonic(), Counter[bool]()
    chosen = {name: each for name, each in named().items() if not wanted or name in wanted or str(each.rule) in wanted}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for (name, each), (found, by) in zip(chosen.items(), pool.map(_try, chosen.values()), strict=True):
            noticed[found] += 1
            _say(f"{name}: {'noticed' if found else 'NOT NOTICED'}: {each.gives_up}\n    {by}")
    _say(f"{noticed[True]} of {noticed.total()} breaks noticed, in {time.monotonic() - begun:.0f} s")
    return 1 if noticed[False] else 0


def _say(text: str) -> None:
    CONSOLE.print(text, highlight=False, markup=False, soft_wrap=True)


def _try(each: Break) -> tuple[bool, str]:
    with tempfile.TemporaryDirectory(prefix="recourse-rules-") as folder:
        copy = Path(folder)
        for room in ROOMS:
            shutil.copytree(ROOT / room, copy / room, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("pyproject.toml", "README.md"):
            shutil.copy(ROOT / name, copy)
        for file, old, new in changes(each):
            text = (copy / file).read_text()
            if text.count(old) != 1:
                return False, f"{file} has these lines {text.count(old)} times: {old!r}"
            (copy / file).write_text(text.replace(old, new))
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--rule", str(each.rule)]
        done = subprocess.run(
            [*command, *(["-m", "not integration"] if each.on == IN_MEMORY else []), *each.on],
            cwd=copy,
            env={**os.environ, "PYTHONPATH": str(copy)},
            capture_output=True,
            text=True,
            check=False,
        )
    lines = [line for line in done.stdout.splitlines() if line.startswith("FAILED") or " passed" in line]
    return done.returncode == RED, "; ".join(lines)[:300] or done.stdout[-300:] + done.stderr[-300:]


if __name__ == "__main__":
    sys.exit(main())
