"""A child process that cannot outlive us, not even when we are killed with SIGKILL."""

import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from topology.embedded.errors import EmbeddedError

_SUPERVISOR = Path(__file__).with_name("supervisor.py")
_TAIL_LINES = 15


class SupervisedProcess:
    """A running command, its output in a log file; `supervisor.py` ends it when this process ends.

    Args:
        command: The program's path and its arguments.
        log: Receives stdout and stderr, appended.
        cwd: The command's working directory.

    Raises:
        EmbeddedError: The program could not be started.
    """

    def __init__(self, command: Sequence[str], *, log: Path, cwd: Path) -> None:
        self._log = log
        self._log_start = log.stat().st_size if log.exists() else 0
        with log.open("ab") as output:
            # -I -S: the supervisor needs neither our environment nor our packages, and starts faster so.
            self._supervisor = subprocess.Popen(  # noqa: S603 - our own interpreter and script
                [sys.executable, "-I", "-S", str(_SUPERVISOR), str(os.getpid()), *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                cwd=cwd,
                start_new_session=True,  # Ctrl-C is for us alone: we then stop the server in good order
            )
        assert self._supervisor.stdout is not None  # noqa: S101 - for the type checker: it is a pipe
        with self._supervisor.stdout as answer:
            pid = answer.readline().strip()
        if not pid:
            self.wait(timeout_s=10)
            raise EmbeddedError(f"{command[0]} did not start:\n{self.log_tail()}")
        self.pid = int(pid)

    def exit_code(self) -> int | None:
        """Give the exit code (128 + n after signal n), or None while the command runs."""
        return self._supervisor.poll()

    def send_signal(self, signum: signal.Signals) -> None:
        """Signal the command's process group; nothing happens when it has ended."""
        assert self._supervisor.stdin is not None  # noqa: S101 - for the type checker: it is a pipe
        if self.exit_code() is not None:
            return
        try:
            self._supervisor.stdin.write(bytes([signum]))
            self._supervisor.stdin.flush()
        except BrokenPipeError:
            self._supervisor.wait()  # it ended just now

    def wait(self, timeout_s: float) -> int | None:
        """Wait for the end.

        Returns:
            The exit code, or None when the command still runs after `timeout_s`.
        """
        try:
            return self._supervisor.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def end(self, *, grace_s: float) -> None:
        """Ask the command to end, wait up to `grace_s` seconds, then kill it; 0 kills at once."""
        if grace_s > 0:
            self.send_signal(signal.SIGTERM)
            self.send_signal(signal.SIGCONT)  # a paused one would never hear of it
            self.wait(grace_s)
        assert self._supervisor.stdin is not None  # noqa: S101 - for the type checker: it is a pipe
        self._supervisor.stdin.close()  # to the supervisor: kill what is left
        self._supervisor.wait()

    def log_tail(self, lines: int = _TAIL_LINES) -> str:
        """Give the last lines that this command (not an earlier one in the same file) has logged."""
        with self._log.open("rb") as log:
            log.seek(self._log_start)
            last = deque(log, maxlen=lines)
        return "".join(line.decode(errors="replace") for line in last).rstrip() or "(nothing logged)"
