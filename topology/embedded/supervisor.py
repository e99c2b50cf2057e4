"""The small process between us and a server: when we are gone, it kills the server.

Run as a script, `supervisor.py PARENT_PID COMMAND…`, by `process.py` and by nothing else; it imports the
standard library only, so that it is up in some 30 ms. Three ways lead to the same end:

* stdin is a pipe whose other end only our parent holds; the kernel closes it however the parent ends;
* the parent's pid is looked at every second, because a forked child of the parent may hold that pipe open;
* should this process itself be killed, Linux kills the server (`PR_SET_PDEATHSIG`). That signal is tied to
  the *thread* that forked, so the parent, which may have many, could not ask for it; this process has one.

Each byte that arrives on stdin is a signal number, passed on to the server's process group: the parent never
signals a pid that may have been reaped and given to someone else.
"""

import ctypes
import os
import select
import signal
import subprocess
import sys
from types import FrameType

_PARENT_CHECK_S = 1.0
_PR_SET_PDEATHSIG = 1
_CANNOT_START = 127  # what a shell answers
_KILLED_BY = 128  # plus the signal's number, likewise


def main(parent_pid: int, command: list[str]) -> int:
    """Run `command` until it ends or the parent does.

    Returns:
        The command's exit code; 128 + n when signal n ended it; 127 when it could not be started.
    """
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, _only_wake)
    signal.signal(signal.SIGTERM, _leave)

    try:
        server = subprocess.Popen(  # noqa: S603 - the command is our own, see process.py
            command,
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr,
            stderr=sys.stderr,
            start_new_session=True,  # a process group of its own; Ctrl-C in the terminal does not reach it
            preexec_fn=_die_with_us(),  # noqa: PLW1509 - no second thread here that could hold a lock
        )
    except OSError as error:
        sys.stderr.write(f"cannot start {command[0]}: {error}\n")
        return _CANNOT_START

    try:
        sys.stdout.write(f"{server.pid}\n")
        sys.stdout.flush()
        _pass_signals_on(server, parent_pid=parent_pid, woken=woken)
    except BrokenPipeError:
        pass  # the parent ended between starting us and reading the pid: the same as an end of stdin
    finally:
        if server.poll() is None:
            os.killpg(server.pid, signal.SIGKILL)
        code = server.wait()
    return code if code >= 0 else _KILLED_BY - code


def _pass_signals_on(server: "subprocess.Popen[bytes]", *, parent_pid: int, woken: int) -> None:
    """Come back when the server has ended, or when it should because the parent has."""
    stdin = sys.stdin.fileno()
    while server.poll() is None:
        ready, _, _ = select.select([stdin, woken], [], [], _PARENT_CHECK_S)
        if woken in ready:
            os.read(woken, 512)
        if stdin in ready:
            signals = os.read(stdin, 512)
            if not signals:
                return
            for signum in signals:
                if server.poll() is None:
                    os.killpg(server.pid, signum)
        if os.getppid() != parent_pid:
            return


def _die_with_us():  # noqa: ANN202 - Callable[[], None] | None, for preexec_fn only
    """Give the call that, between fork and exec, asks Linux to kill the server when we die."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl  # looked up before the fork
    return lambda: prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _only_wake(signum: int, frame: FrameType | None) -> None:
    """Do nothing: the wake-up pipe has ended the select."""


def _leave(signum: int, frame: FrameType | None) -> None:
    del frame
    raise SystemExit(_KILLED_BY + signum)


if __name__ == "__main__":
    raise SystemExit(main(int(sys.argv[1]), sys.argv[2:]))
