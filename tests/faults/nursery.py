"""Forks workers out of one process that has imported everything (`tests.forking`).

`python -m tests.faults.nursery FD`, started by `crew`: each message comes with one end of the new worker's own line.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import socket
import sys
import traceback
from typing import Any

from schemas.codec import Codec
from tests.faults.points import Points
from tests.faults.trace import TracedConsumer, TracedProducer
from tests.forking import serve
from topology import logs, worker
from topology.engine import clients
from topology.settings import load_settings
from topology.topics import load_register


def main(fd: int) -> None:
    """Until the other end of the socket is closed."""
    load_register()  # what a worker computes once and keeps, its parent keeps for all
    Codec()
    clients.Consumer, clients.Producer = TracedConsumer, TracedProducer  # type: ignore[misc]
    born = serve(fd, 1)
    if born is not None:
        message, lines = born
        _live(message, socket.socket(fileno=lines[0]))


def _live(message: dict[str, Any], line: socket.socket) -> None:
    """One worker, from start to end; never returns."""
    code = 1
    try:
        log = os.open(message["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(log, 1)
        os.dup2(log, 2)
        faulthandler.register(signal.SIGUSR1)  # a worker that is stuck says where
        os.environ.update(message["environment"])
        settings = load_settings()
        logs.configure(settings.log_format)
        code = worker.run(settings, probe=Points.of(message["points"], line))
    except BaseException:  # noqa: BLE001 - as the interpreter would end: with the traceback in the log
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main(int(sys.argv[1]))
