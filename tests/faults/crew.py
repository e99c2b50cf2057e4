"""The worker processes of one run, as an orchestrator sees them: started by slot, signalled, heard of when they end."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil

from tests.faults.points import GO, LATER, Point
from tests.forking import MESSAGE_BYTES

_ROOT = Path(__file__).parents[2]
_ANSWER_S = 30.0


@dataclass
class Member:
    """One process."""

    slot: int
    pid: int
    line: socket.socket
    log: Path
    code: int | None = None
    """Its exit code, once it has ended; negative: the signal that ended it."""
    asked: bool = False
    """We stopped or killed it: its end is no news."""
    unread: bytes = b""

    def signal(self, number: signal.Signals) -> None:
        """If it still runs."""
        if self.code is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def go(self) -> None:
        """Let it go on from the point where it is held."""
        with contextlib.suppress(OSError):
            self.line.sendall(GO)

    def later(self) -> None:
        """The same, and let it come there again with a later batch."""
        with contextlib.suppress(OSError):
            self.line.sendall(LATER)

    @property
    def sleeps(self) -> bool:
        """Does it stand still by a SIGSTOP?"""
        with contextlib.suppress(psutil.NoSuchProcess):
            return psutil.Process(self.pid).status() == psutil.STATUS_STOPPED
        return False

    def said(self) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-3_000:] if self.log.exists() else ""


@dataclass(frozen=True)
class Reached:
    """A worker is held at a point."""

    member: Member
    point: int
    batch: int


class Nursery:
    """The process that forks workers; one for a campaign. A context manager."""

    def __init__(self) -> None:
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("RECOURSE_")}
        command = [sys.executable, "-m", "tests.faults.nursery", str(theirs.fileno())]
        self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], env=environment, cwd=_ROOT)
        theirs.close()
        self._codes: dict[int, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._ours.close()
        self._process.wait(_ANSWER_S)

    def cpu_s(self) -> float:
        """Seconds of CPU that its workers have used which have ended."""
        used = psutil.Process(self._process.pid).cpu_times()
        return used.children_user + used.children_system

    def bear(self, slot: int, environment: dict[str, str], log: Path, points: Iterable[Point]) -> Member:
        """A new worker."""
        ours, theirs = socket.socketpair()
        told = [(point.name, point.step.name, point.batch) for point in points]
        message = json.dumps({"environment": environment, "log": str(log), "points": told}).encode()
        socket.send_fds(self._ours, [message], [theirs.fileno()])
        theirs.close()
        self._ours.settimeout(_ANSWER_S)
        while True:
            answer = json.loads(self._ours.recv(MESSAGE_BYTES))
            if "code" not in answer:
                ours.setblocking(False)
                return Member(slot, answer["pid"], ours, log)
            self._codes[answer["pid"]] = answer["code"]

    def ended(self) -> dict[int, int]:
        """Exit codes by process id of those that have ended since it was last asked."""
        self._ours.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while message := self._ours.recv(MESSAGE_BYTES):
                answer = json.loads(message)
                self._codes[answer["pid"]] = answer["code"]
        found, self._codes = self._codes, {}
        return found


class Crew:
    """The workers of one run by slot. A context manager that leaves none behind."""

    def __init__(self, nursery: Nursery, environment: Callable[[int], dict[str, str]], folder: Path) -> None:
        """`environment` gives the variables of a slot's worker."""
        self._nursery = nursery
        self._environment = environment
        self._folder = folder
        self.members: dict[int, Member] = {}
        """The newest process of each slot."""
        self._all: list[Member] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for member in self._all:
            member.signal(signal.SIGKILL)
        deadline = time.monotonic() + _ANSWER_S
        while any(member.code is None for member in self._all) and time.monotonic() < deadline:
            self.poll()
            time.sleep(0.005)
        for member in self._all:
            member.line.close()

    def start(self, slot: int, points: Iterable[Point] = ()) -> Member:
        """A process under this slot, where none runs any more."""
        log = self._folder / f"worker-{len(self._all)}-slot-{slot}.log"
        member = self._nursery.bear(slot, self._environment(slot), log, points)
        self.members[slot] = member
        self._all.append(member)
        return member

    def poll(self) -> list[Reached]:
        """Hear who has ended, and who is held at a point now."""
        codes = self._nursery.ended()
        for member in self._all:
            member.code = codes.get(member.pid, member.code)
        return [reached for member in self._all if member.code is None for reached in _heard(member)]


def _heard(member: Member) -> list[Reached]:
    with contextlib.suppress(BlockingIOError, ConnectionResetError):
        member.unread += member.line.recv(MESSAGE_BYTES)
    *whole, member.unread = member.unread.split(b"\n")
    told = [json.loads(text) for text in whole]
    return [Reached(member, one["point"], one["batch"]) for one in told]
