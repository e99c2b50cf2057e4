"""The same inputs under two rulebooks: two processes if the machine lets us fork, one after the other if not."""

from __future__ import annotations

import gc
import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any, cast

from topology.appeals import State
from topology.engine.definition import FoldApp
from topology.simulate.fates import Fates, Recorder
from topology.simulate.fold import OfflineFold
from topology.simulate.recorded import Recorded

App = FoldApp[State]


def fates_of(app: App, recorded: Recorded) -> Fates:
    """What becomes of each appeal under the application's rulebook."""
    recorder = Recorder()
    fold = OfflineFold(app, recorder.take)
    with _rare_collections():
        for partition, lanes in sorted(recorded.lanes.items()):
            recorder.end(partition, fold.run(partition, lanes))
    recorder.fates.dead_letters = dict(sorted(fold.dead_letters.items()))
    return recorder.fates


def both(old: App, new: App, recorded: Recorded, *, fork: bool | None = None) -> tuple[Fates, Fates]:
    """Fold under both.

    Args:
        old: the application under the rulebook in force.
        new: under the other one.
        recorded: what both are given.
        fork: fold the old one in a child process; by default where that is safe and pays.
    """
    if fork is None:
        # A child of a process with threads can inherit a lock that nobody will ever release.
        fork = sys.platform == "linux" and threading.active_count() == 1 and (os.cpu_count() or 1) > 1
    if not fork:
        return fates_of(old, recorded), fates_of(new, recorded)
    context = multiprocessing.get_context("fork")
    reader, writer = context.Pipe(duplex=False)
    child = context.Process(target=_send, args=(writer, lambda: fates_of(old, recorded)))
    child.start()
    writer.close()
    try:
        mine = fates_of(new, recorded)
        answer: Fates | BaseException = reader.recv()
    except EOFError as exc:
        child.join()
        raise RuntimeError(f"the process that folded the old rulebook ended with {child.exitcode}") from exc
    finally:
        reader.close()
        child.join()
    if isinstance(answer, BaseException):
        raise answer
    return answer, mine


def _send(writer: Connection, work: Callable[[], Fates]) -> None:
    """In the child: the result, or what was raised, into the pipe."""
    answer: Any
    try:
        answer = work()
    except Exception as exc:  # noqa: BLE001 - raised again by the parent
        answer = exc
    writer.send(cast("object", answer))
    writer.close()


@contextmanager
def _rare_collections() -> Generator[None]:
    """Hundreds of thousands of states and no cycle among them: walking them again and again is a fifth of the time."""
    before = gc.get_threshold()
    gc.set_threshold(100_000, 50, 1_000)
    try:
        yield
    finally:
        gc.set_threshold(*before)
