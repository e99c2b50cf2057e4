"""Many runs, in lanes beside each other: most of a run is waiting. Says at once what is wrong and how to repeat it."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Self

import msgspec

from tests.faults.record import ROOT, Record, Run, chunk_now
from tests.faults.run import PARTITIONS
from tests.faults.trace import about
from topology.partitioner import partition_of

_LOST = re.compile(r"b'(?P<user>[^']+)': .* of (?P<topic>\S+) were folded")
"""As `verdict.input_faults` says it."""
_ENDS_S = 60.0

Say = Callable[[str], None]


class LaneBroke(Exception):  # noqa: N818 - what was seen
    """A lane's process has ended by itself; its stderr says why."""


class _Lane:
    """The campaign's end of a lane. A context manager."""

    def __init__(self, folder: Path) -> None:
        command = [sys.executable, "-m", "tests.faults.lane", str(folder)]
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()  # type: ignore[union-attr]
        try:
            self._process.wait(_ENDS_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()  # type: ignore[union-attr]

    def play(self, seed: int) -> Run:
        """One run.

        Raises:
            LaneBroke: there is no answer.
        """
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(b"%d\n" % seed)  # type: ignore[union-attr]
            self._process.stdin.flush()  # type: ignore[union-attr]
        line = self._process.stdout.readline()  # type: ignore[union-attr]
        if not line:
            raise LaneBroke(f"seed {seed}: its lane ended with {self._process.wait(_ENDS_S)}")
        return msgspec.json.decode(line, type=Run)


class _Lanes:
    """What the threads of a campaign share: one for each lane, which hands out seeds to it and takes its runs."""

    def __init__(self, seeds: Iterable[int], say: Say, record: Record | None, until: Callable[[], bool]) -> None:
        self._left = iter(seeds)
        self._say = say
        self._record = record
        self._until = until
        self._lock = threading.Lock()
        self.runs: list[Run] = []
        self.broken: list[BaseException] = []

    def work(self, folder: Path) -> None:
        """One lane, to its end."""
        try:
            with _Lane(folder) as lane:
                while (seed := self._next()) is not None:
                    self._take(lane.play(seed), folder)
        except BaseException as exc:  # noqa: BLE001 - raised by the campaign's own thread
            self.broken.append(exc)

    def _next(self) -> int | None:
        with self._lock:
            return None if self.broken or self._until() else next(self._left, None)

    def _take(self, run: Run, folder: Path) -> None:
        with self._lock:
            self.runs.append(run)
            if self._record is not None:
                self._record.add(run)
            self._say(told(run))
            if run.wrong:
                logs = folder / f"seed-{run.seed}"
                self._say("\n".join([f"    logs: {logs}", *(f"    {line}" for line in _about_the_lost(run, logs))]))


def _about_the_lost(run: Run, logs: Path) -> Iterator[str]:
    """What the workers' clients did about the partition of the first input that was lost."""
    found = (_LOST.match(wrong.what) for wrong in run.wrong if wrong.kind == "input_lost")
    lost = next((each for each in found if each is not None), None)
    if lost is not None:
        yield from about(logs, lost["topic"], partition_of(lost["user"].encode(), PARTITIONS))


def campaign(
    seeds: Iterable[int],
    say: Say,
    *,
    lanes: int = 1,
    record: Record | None = None,
    until: Callable[[], bool] = lambda: False,
) -> list[Run]:
    """Play them all, or until told to end; each run is added to the record when it is over.

    Raises:
        LaneBroke: a lane could not go on; the others have finished the runs that they were at.
    """
    folder = Path(tempfile.mkdtemp(prefix="recourse-faults-"))
    if record is not None:
        record.add(chunk_now(lanes))
    shared = _Lanes(seeds, say, record, until)
    threads = [threading.Thread(target=shared.work, args=(folder / f"lane-{n}",)) for n in range(lanes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if shared.broken:
        raise shared.broken[0]
    if not any(run.wrong for run in shared.runs):
        shutil.rmtree(folder, ignore_errors=True)
    return shared.runs


def told(run: Run) -> str:
    """One run in a few lines."""
    verdict = "passed" if run.passed else "FAILED" if run.wrong else "not hit"
    lines = [f"{run.at[11:]} {verdict:7} {run.seconds:5.1f} s  {run.plan}"]
    lines += [f"    {'hit' if one.happened else 'NOT HIT'}: {one.text}" for one in run.struck]
    if run.restarts:
        lines.append(f"    ended by themselves, by exit code: {run.restarts}")
    if run.sent_twice:
        lines.append(f"    {run.sent_twice} records lie twice in the inputs")
    lines += [f"    passed over by the client, and read again: {what}" for what in run.skipped]
    lines += [f"    {wrong.kind}: {wrong.what}" for wrong in run.wrong[:8]]
    if len(run.wrong) > 8:
        lines.append(f"    … {len(run.wrong)} in all: {dict(Counter(wrong.kind for wrong in run.wrong))}")
    if run.wrong:
        lines.append(f"    again: make faults SEED={run.seed} RUNS=1")
    return "\n".join(lines)
