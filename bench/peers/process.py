"""A contender's process: its output in a file, ended with us."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from bench.peers.observer import StalledError
from bench.peers.registry import Contender, Run
from topology.embedded.process import SupervisedProcess

WAIT_S = 300.0


class Working:
    """A contender at work."""

    def __init__(self, process: SupervisedProcess, log: Path) -> None:
        self._process = process
        self._log = log

    @property
    def pid(self) -> int:
        """Of the contender itself."""
        return self._process.pid

    def alive(self) -> bool:
        """Has it not ended yet?"""
        return self._process.exit_code() is None

    def said(self) -> list[str]:
        """The lines of its output so far."""
        return self._log.read_text(errors="replace").splitlines()

    def tail(self) -> str:
        """The last of them, for an error."""
        return self._process.log_tail()


@contextlib.contextmanager
def working(contender: Contender, run: Run, *, grace_s: float = 20.0, state: Path | None = None) -> Iterator[Working]:
    """Run a contender for the length of a `with` block, with a folder of its own.

    Args:
        contender: Who.
        run: Where; its folder is set here.
        grace_s: How long it may take to end when asked to.
        state: A folder for its local state that stays; None for a new one each time.

    Raises:
        UnavailableError: its environment could not be made.
    """
    with tempfile.TemporaryDirectory(prefix=f"bench-{contender.name}-") as folder:
        log = Path(folder) / "log"
        local = state or Path(folder) / "state"
        local.mkdir(exist_ok=True)
        process = SupervisedProcess(contender.command(replace(run, folder=str(local))), log=log, cwd=Path.cwd())
        try:
            yield Working(process, log)
        finally:
            process.end(grace_s=grace_s)


def until(true: Callable[[], bool], process: Working) -> None:
    """Wait for something that a contender does.

    Raises:
        StalledError: it does not come, or the process has ended.
    """
    deadline = time.monotonic() + WAIT_S
    while not true():
        if time.monotonic() > deadline or not process.alive():
            raise StalledError(f"a contender does not do its work. It said last:\n{process.tail()}")
        time.sleep(0.01)
