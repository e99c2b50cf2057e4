"""A process that has imported everything and forks others out of itself: a start costs milliseconds, not a second.

Over a socket come JSON messages with file descriptors beside them, one message a process; back go `{"pid": …}` for
each, and `{"pid": …, "code": …}` when one has ended (-n: by signal n). Whoever serves has one thread and has started
no client library, so forking is safe. When the other end of the socket goes, so does everything here.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import select
import signal
import socket
from typing import Any

MESSAGE_BYTES = 1 << 20
_PR_SET_PDEATHSIG = 1


def serve(fd: int, descriptors: int) -> tuple[dict[str, Any], list[int]] | None:
    """Fork a process for each message that comes over the socket `fd`, until that ends.

    Args:
        fd: of a SOCK_SEQPACKET.
        descriptors: how many come with each message.

    Returns:
        In a forked process, which dies with this one: its message and its descriptors. In this one: None, at the end.
    """
    gc.collect()
    gc.freeze()
    boss = socket.socket(fileno=fd)
    woken, wake = os.pipe()
    for end in (woken, wake):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who started us, who then ends us
    while True:
        ready, _, _ = select.select([boss, woken], [], [])
        if woken in ready:
            os.read(woken, 512)
            _reap(boss)
        if boss in ready:
            message, given, _, _ = socket.recv_fds(boss, MESSAGE_BYTES, descriptors)
            if not message:
                return None
            pid = os.fork()
            if pid == 0:
                ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                for end in (boss.detach(), woken, wake):
                    os.close(end)
                return json.loads(message), given
            for one in given:
                os.close(one)
            boss.send(json.dumps({"pid": pid}).encode())


def _reap(boss: socket.socket) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        boss.send(json.dumps({"pid": pid, "code": os.waitstatus_to_exitcode(status)}).encode())
