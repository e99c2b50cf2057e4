"""Starts `recourse` by forking a process that has imported it: milliseconds, not a second or two of CPU.

Half of an integration run went into importing the same modules again and again. What is forked (`tests.forking`) is a
process of its own like any other: its own pid, environment, standard streams and exit code, and the interpreter's own
end. What a start imports, and from where, is for tests that start it the long way (`test_image.py`, `test_demo.py`).

`python -m tests.integration.prefork FD` is the one that is forked: each message comes with the standard streams.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import IO, Any

from tests.forking import MESSAGE_BYTES, serve

ROOT = Path(__file__).parents[2]
_STARTS_S = 60.0
_LAZY = (
    *("topology.worker", "topology.supervisor", "topology.cluster", "topology.lag", "topology.doctor"),
    *("topology.audit.command", "topology.dlq.command", "topology.reversals.command", "topology.remedies.command"),
    *("topology.privacy.command", "topology.reshard.command", "topology.replay.command", "topology.simulate.command"),
)
"""What the verbs import when they are called."""


class Forked:
    """One process; what it has of `subprocess.Popen` is called as there."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.code: Future[int] = Future()
        """Its exit code, once it has ended (-n: by signal n)."""

    def poll(self) -> int | None:
        """Its exit code; None: it runs."""
        return self.code.result() if self.code.done() else None

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, once it has ended.

        Raises:
            subprocess.TimeoutExpired: it has not within this time.
        """
        try:
            return self.code.result(timeout)
        except TimeoutError:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0) from None


class Forker:
    """The tests' side of it; one a process."""

    def __init__(self) -> None:
        self._boss, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, "-m", __name__, str(theirs.fileno())]
        # Consoles are as wide as they find it when they are imported.
        environment = os.environ | {"COLUMNS": "400"}
        self._process = subprocess.Popen(
            command, cwd=ROOT, env=environment, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL
        )
        theirs.close()
        self._asking = threading.Lock()
        self._started: Future[Forked] = Future()
        threading.Thread(target=self._listen, name="prefork", daemon=True).start()
        atexit.register(self.end)

    def fork(self, arguments: Sequence[str], environment: Mapping[str, str], out: IO[bytes], err: IO[bytes]) -> Forked:
        """Start `recourse` with these arguments."""
        message = json.dumps({"arguments": list(arguments), "environment": dict(environment)}).encode()
        with self._asking:
            self._started = Future()
            socket.send_fds(self._boss, [message], [out.fileno(), err.fileno()])
            return self._started.result(_STARTS_S)

    def end(self) -> None:
        """End it."""
        self._boss.close()
        self._process.wait()

    def _listen(self) -> None:
        running: dict[int, Forked] = {}
        while True:
            try:
                message = self._boss.recv(MESSAGE_BYTES)
            except OSError:
                return
            if not message:
                return
            told = json.loads(message)
            pid = told["pid"]
            if "code" in told:
                running.pop(pid).code.set_result(told["code"])
            else:
                running[pid] = Forked(pid)
                self._started.set_result(running[pid])


_forker: Forker | None = None


def forker() -> Forker:
    """This process's own, made when it is first asked for."""
    global _forker  # noqa: PLW0603 - one a process
    if _forker is None:
        _forker = Forker()
    return _forker


# --- the process that is forked ---------------------------------------------------------------------------------


def main(fd: int) -> None:
    """Until the other end of the socket is closed; in a forked process, what `recourse` does."""
    # Its verbs import the others when they are called: here all of it, once.
    from topology import cli  # noqa: PLC0415 - not for those who only import `forker`

    for name in _LAZY:
        importlib.import_module(name)
    born = serve(fd, 2)
    if born is not None:
        _become(*born)
        cli.main()


def _become(message: dict[str, Any], streams: list[int]) -> None:
    """What a process that was started by itself would have."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, stream in enumerate(streams, 1):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(message["environment"])
    sys.argv[:] = ["recourse", *message["arguments"]]


if __name__ == "__main__":
    main(int(sys.argv[1]))
