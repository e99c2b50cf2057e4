"""How long Kafka Streams takes to have its state back without a standby: after a crash, and without its local state.

`python -m bench.peers.recovery`: so many users' histories; killed and started again, its folder as it was; then stopped
in good order, the folder deleted, and started again.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import fastavro

from bench import workload
from bench.peers.observer import StalledError, Tree, Visible, watch
from bench.peers.process import Working, until, working
from bench.peers.registry import CONTENDERS, Run, clients
from topology.embedded import Services, embedded_services

TWO_NUMBERS = 16
"""Bytes of a history that has nothing else in it."""


@dataclass(frozen=True)
class Comeback:
    """Of Kafka Streams, from its changelog; seconds."""

    restored: int
    """Records: a user's last ones, or more of them."""
    to_assignment_s: float
    """From the start of the process until it begins to restore, or to work: JVM, joining the group."""
    restore_s: float
    """From there until the last partition is restored; 0 when nothing had to be."""
    records_per_second: float
    first_case_s: float
    """From there until the first new appeal's case is visible."""
    cpu_s: float
    """Of the process until then."""


@dataclass(frozen=True)
class Recovery:
    """Both ways of coming back."""

    users: int
    history_bytes: int
    killed: Comeback
    """SIGKILL; the folder stays."""
    lost: Comeback
    """A clean stop; the folder is deleted."""


def measure_recovery(services: Services, users: int, history_bytes: int) -> Recovery:
    """Fill, kill, come back, stop, lose, come back.

    Raises:
        StalledError: it does not get to the end, or restores fewer records than there are users.
    """
    contender = CONTENDERS["kafka-streams"]
    prefix = workload.prefix()
    kafka = services.kafka_bootstrap
    workload.create_topics(clients(kafka), [f"{prefix}appeals", prefix + contender.cases])
    workload.load(clients(kafka), _one_each(f"{prefix}appeals", users))
    rest = max(0, history_bytes - TWO_NUMBERS)
    run = Run(kafka=kafka, redis="", prefix=prefix, folder="", events=users, rest=rest)
    visible = Visible(kafka, prefix + contender.cases, workload.PARTITIONS)
    with tempfile.TemporaryDirectory(prefix="bench-recovery-") as folder:
        state = Path(folder) / "state"
        with working(contender, run, grace_s=0, state=state) as process:
            watch(users, visible, [Tree(process.pid)], process.alive)
        killed = _comeback(run, state, visible)
        shutil.rmtree(state)
        lost = _comeback(run, state, visible)
    if lost.restored < users:
        raise StalledError(f"{lost.restored} records were restored, for {users} users")
    return Recovery(users, TWO_NUMBERS + rest, killed, lost)


def _comeback(run: Run, state: Path, visible: Visible) -> Comeback:
    before = visible()
    workload.load(clients(run.kafka), _one_each(f"{run.prefix}appeals", 1))
    started = time.monotonic()
    with working(CONTENDERS["kafka-streams"], run, grace_s=60, state=state) as process:
        tree = Tree(process.pid)
        until(lambda: visible() > before, process)
        seen, cpu = time.monotonic(), tree.cpu()
        until(lambda: bool(_told(process, "state", "RUNNING")), process)
        restoring, restored = _told(process, "restoring"), _told(process, "restored")
    # Without anything to restore it goes from joining straight to its work.
    begun = min(told["at"] for told in restoring or _told(process, "state", "RUNNING"))
    ended = max((told["at"] for told in restored), default=begun)
    records = sum(told["records"] for told in restored)
    return Comeback(
        restored=records,
        to_assignment_s=begun - started,
        restore_s=ended - begun,
        records_per_second=records / (ended - begun) if records else 0.0,
        first_case_s=seen - begun,
        cpu_s=cpu,
    )


def _one_each(topic: str, users: int) -> Iterator[workload.Row]:
    """The workload's appeals, the n-th from the n-th user."""
    for number, (row_topic, _, value, at) in enumerate(workload.small_appeals(topic, users, users, seed=0)):
        appeal: Any = fastavro.schemaless_reader(BytesIO(value), workload.SMALL_APPEAL, None)
        appeal["user_id"] = f"user-{number:07d}"
        out = BytesIO()
        fastavro.schemaless_writer(out, workload.SMALL_APPEAL, appeal)
        yield row_topic, appeal["user_id"].encode(), out.getvalue(), at


def _told(process: Working, what: str, how: str | None = None) -> list[dict[str, Any]]:
    """The lines in which the application tells of it."""
    lines = map(json.loads, filter(lambda line: line.startswith("{"), process.said()))
    return [line for line in lines if what in line and how in (None, line[what])]


def main() -> None:
    """Measure, print as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--history-bytes", type=int, default=16, help="of a user's history in the changelog")
    options = parser.parse_args()
    with embedded_services() as services:
        print(json.dumps(asdict(measure_recovery(services, options.users, options.history_bytes)), indent=2))


if __name__ == "__main__":
    main()
