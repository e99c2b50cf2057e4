"""`make rules`: break each rule in a copy of the tree, and see that the tests which name it go red.

They must be green without a break, and a test must fail: one that cannot even be collected notices nothing.

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
_LEFT = shutil.ignore_patterns(".git", ".venv", ".*_cache", ".hypothesis", ".environments", "__pycache__", "*.egg-info")
"""What a copy of the tree is without."""
GREEN, RED = 0, 1
"""pytest's exit codes for tests that passed, and for some that failed or could not be collected."""


def main() -> int:
    """Try all of them, or those whose names (`3b`) or rules (`3`) are given."""
    wanted = set(sys.argv[1:])
    begun, noticed = time.monotonic(), Counter[bool]()
    chosen = {name: each for name, each in named().items() if not wanted or name in wanted or str(each.rule) in wanted}
    unbroken = sorted({(each.rule, each.on) for each in chosen.values()})
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for (rule, _), (code, by) in zip(unbroken, pool.map(lambda which: _test(*which), unbroken), strict=True):
            if code != GREEN:
                _say(f"rule {rule}: its tests are not green, and nothing is broken\n    {by}")
                return 1
        _say(f"rules {', '.join(sorted({str(rule) for rule, _ in unbroken}))}: green without a break")
        for (name, each), (found, by) in zip(chosen.items(), pool.map(_try, chosen.values()), strict=True):
            noticed[found] += 1
            _say(f"{name}: {'noticed' if found else 'NOT NOTICED'}: {each.gives_up}\n    {by}")
    _say(f"{noticed[True]} of {noticed.total()} breaks noticed, in {time.monotonic() - begun:.0f} s")
    return 1 if noticed[False] else 0


def _say(text: str) -> None:
    CONSOLE.print(text, highlight=False, markup=False, soft_wrap=True)


def _try(each: Break) -> tuple[bool, str]:
    for file, old, _ in changes(each):
        times = (ROOT / file).read_text().count(old)
        if times != 1:
            return False, f"{file} has these lines {times} times: {old!r}"
    code, by = _test(each.rule, each.on, each)
    return code == RED and by.startswith("FAILED"), by


def _test(rule: int, on: tuple[str, ...], broken: Break | None = None) -> tuple[int, str]:
    """Run the tests that name a rule in a copy of the tree, up to the first that fails; what pytest said of it."""
    with tempfile.TemporaryDirectory(prefix="recourse-rules-") as folder:
        copy = Path(folder, "tree")
        shutil.copytree(ROOT, copy, ignore=_LEFT)
        for file, old, new in changes(broken) if broken is not None else ():
            text = (copy / file).read_text()
            (copy / file).write_text(text.replace(old, new))
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--rule", str(rule)]
        done = subprocess.run(
            [*command, *(["-m", "not integration"] if on == IN_MEMORY else []), *on],
            cwd=copy,
            env={**os.environ, "PYTHONPATH": str(copy)},
            capture_output=True,
            text=True,
            check=False,
        )
    lines = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR")) or " passed" in line]
    return done.returncode, "; ".join(lines)[:300] or done.stdout[-300:] + done.stderr[-300:]


if __name__ == "__main__":
    sys.exit(main())
