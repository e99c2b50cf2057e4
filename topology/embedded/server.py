"""The life of a local server: start, answer, stop, kill, restart on the same ports and data."""

import contextlib
import random
import shutil
import signal
import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from topology.embedded.errors import EmbeddedError
from topology.embedded.process import SupervisedProcess
from topology.embedded.progress import Progress, to_stderr

HOST = "127.0.0.1"

# Below the ranges from which Linux (32768) and macOS (49152) give ports to outgoing connections: a client
# that knocks at a killed server's port inside such a range sooner or later connects to itself, and then the
# server cannot come back.
_PORTS = range(20_000, 30_000)
_PORT_ATTEMPTS = 5
_POLL_S = 0.05
_KILL_WAIT_S = 30.0
_PORT_TAKEN = "address already in use"  # as Java and Redis both log it


class Server(ABC):
    """One server in one folder. Ports are chosen at the first start and then stay.

    Args:
        data_dir: Holds the server's data, configuration and `server.log`; made when missing.
        port: Where to listen; None for a free one.
        keep: Whether `stop()` leaves the data for the next start.
        start_timeout_s: How long a start may take. It bounds a hang, it is not a promise of speed.
        progress: Is told what a start waits for.
    """

    name: ClassVar[str]
    _files: ClassVar[tuple[str, ...]]  # all we write below data_dir; nothing else is ever removed
    _port_count: ClassVar[int] = 1

    def __init__(
        self,
        data_dir: Path,
        *,
        port: int | None = None,
        keep: bool = True,
        start_timeout_s: float = 120.0,
        progress: Progress = to_stderr,
    ) -> None:
        self.data_dir = data_dir.absolute()
        self._wanted_port = port
        self._keep = keep
        self._start_timeout_s = start_timeout_s
        self._progress = progress
        self._ports: tuple[int, ...] = ()
        self._process: SupervisedProcess | None = None

    @property
    def port(self) -> int:
        """The port that clients use."""
        if not self._ports:
            raise EmbeddedError(f"{self.name} in {self.data_dir} has no port yet: call start() first")
        return self._ports[0]

    @property
    def pid(self) -> int:
        """The server's process id."""
        return self._running().pid

    @property
    def log(self) -> Path:
        """The file with all that the server printed."""
        return self.data_dir / "server.log"

    def start(self) -> Self:
        """Start and wait until the server answers; without effect while it runs.

        Raises:
            EmbeddedError: It could not be started; nothing is left running.
        """
        if self._process is not None and self._process.exit_code() is None:
            return self
        self._end(grace_s=0)  # of one that died by itself: lets its pipe go
        command = self._provision()
        try:
            self.data_dir.mkdir(parents=True, exist_ok=True)
            if self._ports:
                self._launch(command)
            else:
                self._launch_on_free_ports(command)
        except BaseException as failure:
            self._end(grace_s=0)
            if not self._keep:
                self._remove_data()
            if isinstance(failure, OSError):
                raise EmbeddedError(f"{self.name} cannot use {self.data_dir}: {failure}") from failure
            raise
        return self

    def stop(self, *, grace_s: float = 20.0) -> None:
        """End in good order, or by force after `grace_s` seconds; removes the data unless it is kept."""
        # Nobody reads data that is about to go, so there is nothing to flush in good order.
        self._end(grace_s=grace_s if self._keep else 0)
        if not self._keep:
            self._remove_data()

    def kill(self) -> None:
        """End with SIGKILL, as a crash does. Data and ports stay for `start()`."""
        self._running()
        self._end(grace_s=0)

    def restart(self, *, grace_s: float = 20.0) -> Self:
        """Stop if running, and start again on the same ports and data."""
        self._end(grace_s=grace_s)
        return self.start()

    def pause(self) -> None:
        """Freeze with SIGSTOP: connections stay open, nothing is answered."""
        self._running().send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Go on after `pause()`."""
        self._running().send_signal(signal.SIGCONT)

    def check(self) -> None:
        """Do nothing while the server runs.

        Raises:
            EmbeddedError: It has ended by itself; the text has the last lines of its log.
        """
        process = self._process
        if process is not None and (code := process.exit_code()) is not None:
            raise EmbeddedError(
                f"{self.name} on port {self.port} ended with {_told(code)}."
                f" The last lines of {self.log}:\n{process.log_tail()}"
            )

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @abstractmethod
    def _provision(self) -> Sequence[str]:
        """Find the program, downloading what is missing; gives the start of its command line."""

    @abstractmethod
    def _prepare(self, command: Sequence[str]) -> Sequence[str]:
        """Write the configuration for `self._ports`; gives the whole command line."""

    @abstractmethod
    def _answers(self) -> bool:
        """Whether it is *this* server, not a stranger on its port, that answers clients."""

    def _launch_on_free_ports(self, command: Sequence[str]) -> None:
        """Launch on ports that are free; they may be taken by another before the server binds them."""
        for attempt in range(1, _PORT_ATTEMPTS + 1):
            self._ports = free_ports(self._port_count, first=self._wanted_port)
            try:
                self._launch(command)
            except EmbeddedError:
                taken = self._process is not None and _PORT_TAKEN in self._process.log_tail(100).lower()
                self._end(grace_s=0)
                self._ports = ()
                if not taken or attempt == _PORT_ATTEMPTS:
                    raise
            else:
                return

    def _launch(self, command: Sequence[str]) -> None:
        whole = self._prepare(command)
        self._process = process = SupervisedProcess(whole, log=self.log, cwd=self.data_dir)
        deadline_s = time.monotonic() + self._start_timeout_s
        while True:
            self.check()
            if self._answers():
                return
            if time.monotonic() > deadline_s:
                raise EmbeddedError(
                    f"{self.name} on port {self.port} did not answer within {self._start_timeout_s:.0f} s."
                    f" The last lines of {self.log}:\n{process.log_tail()}"
                )
            time.sleep(_POLL_S)

    def _running(self) -> SupervisedProcess:
        self.check()
        if self._process is None:
            raise EmbeddedError(f"{self.name} in {self.data_dir} is not running: call start() first")
        return self._process

    def _end(self, *, grace_s: float) -> None:
        if self._process is not None:
            self._process.end(grace_s=grace_s)
            self._process = None

    def _remove_data(self) -> None:
        for file in self._files:
            path = self.data_dir / file
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # it holds what is not ours, or is gone
            self.data_dir.rmdir()


def _told(code: int) -> str:
    if code > 128:  # noqa: PLR2004 - see supervisor.py
        with contextlib.suppress(ValueError):
            return signal.Signals(code - 128).name
    return f"exit code {code}"


def free_ports(count: int, *, first: int | None = None, in_a_row: bool = False) -> tuple[int, ...]:
    """Find ports that nobody listens on, all different.

    Args:
        count: How many.
        first: One of them, if it is free.
        in_a_row: Whether each must be the one after that before it.

    Raises:
        EmbeddedError: There are not so many.
    """
    if first is not None and not _is_free(first):
        raise EmbeddedError(f"port {first} on {HOST} is in use: stop what listens there, or choose another")
    if in_a_row:
        for start in random.sample(_PORTS, k=len(_PORTS)):
            row = tuple(range(start, start + count))
            if all(_is_free(port) for port in row):
                return row
    ports = [] if first is None else [first]
    for port in random.sample(_PORTS, k=len(_PORTS)):
        if len(ports) == count:
            break
        if port not in ports and _is_free(port):
            ports.append(port)
    if len(ports) < count:
        raise EmbeddedError(f"no free port on {HOST} from {_PORTS.start} to {_PORTS.stop - 1}")
    return tuple(ports)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As servers do: connections of an ended server that linger in TIME_WAIT are no hindrance.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
