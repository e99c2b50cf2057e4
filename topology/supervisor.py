"""`--workers N`: N worker processes on one host, each its own slot, stopped together."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

from topology import logs
from topology.exits import Exit
from topology.settings import Settings

RESTART_WAIT_S = 1.0
RESTARTS = 5
"""How often one worker may die of a defect or a kill before the host gives up."""

_FINAL = {Exit.MISCONFIGURED, Exit.TOO_MANY_DEAD_LETTERS, Exit.SLOT_TAKEN}
"""Starting again would end the same way."""


class Supervisor:
    """Starts, watches, restarts and stops the worker processes."""

    def __init__(self, settings: Settings, workers: int) -> None:
        self._settings = settings
        self._count = workers
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        self._restarts: dict[int, int] = {}
        self._stopping = False

    def run(self) -> Exit:
        """Until a signal, or until one worker ends in a way that a restart cannot mend."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        result = Exit.OK
        try:
            for index in range(self._count):
                self._start(index)
            while not self._stopping:
                time.sleep(0.2)
                result = self._watch()
                if result is not Exit.OK:
                    break
        finally:
            result = max(result, self._end())
        return Exit(result)

    def _stop(self, _signal: int, _frame: object) -> None:
        self._stopping = True

    def _start(self, index: int) -> None:
        slot = f"{self._settings.slot}-{index}"
        port = self._settings.metrics_port
        environment = {
            **os.environ,
            "RECOURSE_SLOT": slot,
            "RECOURSE_METRICS_PORT": str(port + index if port else 0),
        }
        self._running[index] = subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-m", "topology.cli", "run", "--supervised-by", str(os.getpid())], env=environment
        )

    def _watch(self) -> Exit:
        """Restart who died of a kill or a defect; tell what cannot be mended."""
        for index, process in list(self._running.items()):
            code = process.poll()
            if code is None:
                continue
            del self._running[index]
            if code in _FINAL:
                return Exit(code)
            self._restarts[index] = self._restarts.get(index, 0) + 1
            logs.logger().error("worker_died", slot=f"{self._settings.slot}-{index}", code=code)
            if self._restarts[index] > RESTARTS:
                return Exit.DEFECT
            time.sleep(RESTART_WAIT_S)
            self._start(index)
        return Exit.OK

    def _end(self) -> Exit:
        """Ask all to finish their batch and leave; wait until they have."""
        for process in self._running.values():
            process.terminate()
        limit_s = self._settings.commit_s + self._settings.revoke_s + 10
        worst = Exit.OK
        for process in self._running.values():
            try:
                code = process.wait(limit_s)
            except subprocess.TimeoutExpired:
                logs.logger().error("worker_killed", pid=process.pid, after_s=limit_s)
                process.kill()
                code = process.wait()
            if code != 0:
                worst = Exit.DEFECT
        return worst
