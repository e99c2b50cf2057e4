"""A disk that is slow to flush, for one process: Linux asks us before each of its fsync calls, and we take our time.

Run as a script, `slow_disk.py SOCKET COMMAND…`, this becomes the command, under a seccomp filter that hands its
`fsync` and `fdatasync` calls to whoever listens on that Unix socket (seccomp_unotify(2); Linux 5.5, no privileges).
The script imports the standard library only, and nothing of ours.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import heapq
import os
import platform
import select
import socket
import struct
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

_PR_SET_NO_NEW_PRIVS = 38
_SET_MODE_FILTER, _NEW_LISTENER = 1, 1 << 3
_ALLOW, _ASK = 0x7FFF0000, 0x7FC00000
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06
_NUMBER_AT, _MACHINE_AT = 0, 4
_MACHINES = {"x86_64": (0xC000003E, 317, 74, 75), "aarch64": (0xC00000B7, 277, 82, 83)}
"""By machine: its number for the kernel, and those of `seccomp`, `fsync` and `fdatasync`."""
_ASKED, _ANSWER = 80, struct.Struct("=QqiI")
_RECEIVE, _SEND = (3 << 30 | size << 16 | ord("!") << 8 | number for number, size in enumerate((_ASKED, _ANSWER.size)))
_GO_ON = 1
"""Answer to the kernel: let the call be done as asked."""
_LOOK_S = 0.1


def run_slow(path: str, command: list[str]) -> None:
    """Become the command, whose flushes wait for the one who listens at `path`; never returns.

    Raises:
        OSError: the kernel lets nobody do that.
    """
    number, seccomp, *flushes = _MACHINES[platform.machine()]
    libc = ctypes.CDLL(None, use_errno=True)
    steps = [(_LOAD, 0, 0, _MACHINE_AT), (_EQUAL, 0, 3, number), (_LOAD, 0, 0, _NUMBER_AT)]
    steps += [(_EQUAL, 2, 0, flushes[0]), (_EQUAL, 1, 0, flushes[1]), (_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _ASK)]
    program = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in steps))
    # struct sock_fprog: a count, padded to where a pointer may stand, and the pointer.
    filters = struct.pack("@HP", len(steps), ctypes.addressof(program))
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_NO_NEW_PRIVS)")
    listener = libc.syscall(seccomp, _SET_MODE_FILTER, _NEW_LISTENER, filters)
    if listener < 0:
        raise OSError(ctypes.get_errno(), "seccomp(SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER)")
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(path)
        socket.send_fds(line, [b"."], [listener])
    os.execv(command[0], command)  # noqa: S606 - the command is the campaign's own; closes the listener here


class SlowDisk:
    """Answers for the flushes of every process that was started by `wrap`. A context manager."""

    def __init__(self, path: Path) -> None:
        """`path` is where the socket is made; Unix allows some hundred bytes for it."""
        self._path = path
        self.delay_s = 0.0
        """How long each flush is held from now on."""
        self.held = 0
        """Flushes that were held."""
        self._line = socket.socket(socket.AF_UNIX)
        self._running = True
        self._thread = threading.Thread(target=self._run, name="slow-disk", daemon=True)

    def __enter__(self) -> Self:
        self._line.bind(str(self._path))
        self._line.listen()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._running = False
        self._thread.join(5)
        self._line.close()
        self._path.unlink(missing_ok=True)

    def wrap(self, command: Sequence[str]) -> list[str]:
        """The same command, whose flushes are ours to hold."""
        return [sys.executable, "-I", "-S", __file__, str(self._path), *command]

    def reset(self) -> None:
        """Hold nothing, and count from nought."""
        self.delay_s, self.held = 0.0, 0

    def _run(self) -> None:
        poll = select.poll()
        poll.register(self._line, select.POLLIN)
        waiting: list[tuple[float, int, int]] = []
        """Flushes that are held: until when, by whom, the kernel's number for the call."""
        while self._running:
            limit_s = min(_LOOK_S, max(0.0, waiting[0][0] - time.monotonic())) if waiting else _LOOK_S
            for descriptor, events in poll.poll(1_000 * limit_s):
                if descriptor == self._line.fileno():
                    poll.register(self._meet(), select.POLLIN)
                elif events & select.POLLIN:
                    self._ask(descriptor, waiting)
                else:  # the process has ended
                    poll.unregister(descriptor)
                    waiting = [one for one in waiting if one[1] != descriptor]
                    heapq.heapify(waiting)
                    os.close(descriptor)
            while waiting and (not self.delay_s or waiting[0][0] <= time.monotonic()):
                _, descriptor, call = heapq.heappop(waiting)
                _let(descriptor, call)

    def _meet(self) -> int:
        line, _ = self._line.accept()
        with line:
            return socket.recv_fds(line, 1, 1)[1][0]

    def _ask(self, descriptor: int, waiting: list[tuple[float, int, int]]) -> None:
        asked = bytearray(_ASKED)
        try:
            fcntl.ioctl(descriptor, _RECEIVE, asked)
        except FileNotFoundError:
            return  # it was killed meanwhile
        call = int.from_bytes(asked[:8], sys.byteorder)
        if self.delay_s:
            self.held += 1
            heapq.heappush(waiting, (time.monotonic() + self.delay_s, descriptor, call))
        else:
            _let(descriptor, call)


def _let(descriptor: int, call: int) -> None:
    with contextlib.suppress(FileNotFoundError):  # it was killed meanwhile
        fcntl.ioctl(descriptor, _SEND, _ANSWER.pack(call, 0, 0, _GO_ON))


if __name__ == "__main__":
    run_slow(sys.argv[1], sys.argv[2:])
