"""`make bench-recovery`: how long a worker's partitions stand still when it is replaced, and when Redis is flushed.

A million states lie in the changelog, committed. Then, while records keep coming:

1. a worker starts on an empty Redis and rebuilds all of it;
2. it is killed (SIGKILL) and replaced by a process of the same slot, then by one of another slot, which gets the
   partitions once the session of the dead one has timed out;
3. Redis is flushed under it.

Times are read from the workers' own metrics on the machine's monotonic clock: from the moment at which the group has
given the partitions to the first batch that is committed and applied. At the end Redis is compared with the changelog,
state by state: a figure counts only if nothing is missing.
"""

from __future__ import annotations

import argparse
import json
import signal
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any, Self

import redis
from rich.console import Console
from rich.table import Table

from bench import crew, dossiers, figures, workload
from topology.embedded import embedded_services

TARGET_S, TARGET_RATE = 3.0, 100_000


def _spread(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} (worst {max(values):.2f})" if values else "-"


ROWS: tuple[tuple[str, Callable[[dict[str, Any]], str]], ...] = (
    ("bytes a state, in the changelog", lambda s: f"{s['bytes_a_state']:,}"),
    ("bytes a state, in Redis", lambda s: f"{s['redis_bytes_a_state']:,}"),
    ("replaced, same slot: processing after s", lambda s: _spread(s["replaced_same_slot_s"])),
    ("replaced, other slot: processing after s", lambda s: _spread(s["replaced_other_slot_s"])),
    ("started on an empty Redis: states/s", lambda s: f"{s['cold']['per_second']:,}"),
    ("  processing after s", lambda s: f"{s['cold']['processing_s']:.1f}"),
    ("Redis flushed: states/s", lambda s: f"{s['flushed']['per_second']:,}"),
    ("  processing after s", lambda s: f"{s['flushed']['processing_s']:.1f}"),
    ("  CPU us a state, of the worker", lambda s: f"{s['flushed']['cpu_us_a_state']}"),
    ("  CPU us a state, of Redis", lambda s: f"{s['flushed']['redis_cpu_us_a_state']}"),
    ("the worker's peak MB", lambda s: f"{s['flushed']['peak_mb']:,}"),
)


def main() -> None:
    """Measure, verify, print, and write what was asked for."""
    options = _options()
    found = {}
    for state in options.states or crew.STATES:
        with embedded_services(heap_mb=768) as services:
            found[state] = measure(state, services.kafka_bootstrap, services.redis_url, options)
    summary = {
        "machine": figures.machine(),
        "users": options.users,
        "partitions": options.partitions,
        "states": found,
    }
    figures.write(options.json, summary)
    _print(summary)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-recovery", description=__doc__)
    parser.add_argument("states", nargs="*", default=[], choices=[*crew.STATES, []], help="whose (both)")
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--kills", type=int, default=3, help="how often a worker is replaced by one of its slot")
    parser.add_argument("--takeovers", type=int, default=1, help="how often by another, after a session's time-out")
    parser.add_argument("--rate", type=int, default=200, help="records a second that keep coming")
    parser.add_argument("--json", help="write the figures to this file")
    return parser.parse_args()


def measure(state: str, kafka: str, redis_url: str, options: argparse.Namespace) -> dict[str, Any]:
    """All of it for one kind of state."""
    prefix, config = workload.prefix(), {"bootstrap.servers": kafka}
    states = dossiers.appeals_states(crew.LIVES) if state == "appeals" else dossiers.triage_states()
    topic, changelog, rows = crew.topics(state, prefix, config, options.users, options.partitions)
    sizes = {"users": options.users, "partitions": options.partitions}
    size = crew.load(config, prefix, topic, changelog, states, **sizes)
    server = redis.Redis.from_url(redis_url)
    with crew.Live(config, topic, rows, options.rate), Replaced(state, kafka, redis_url, prefix) as workers:
        first = workers.start("0")
        cold = _shown("started on an empty Redis", first.until_processing())
        memory = _memory(server, prefix)
        time.sleep(2)
        same = [_shown("replaced, same slot", workers.replace("0").until_processing()) for _ in range(options.kills)]
        other = []
        for n in range(options.takeovers):
            time.sleep(1)
            other.append(_shown("replaced, other slot", workers.replace(str(n + 1)).until_processing()))
        worker = workers.worker
        time.sleep(2)
        worker.drain()
        server.flushall()
        before = _cpu_s(server)
        flushed = _shown("flushed", worker.until_processing())
        flushed["redis_cpu_us_a_state"] = round((_cpu_s(server) - before) / max(1, flushed["restored"]) * 1e6, 1)
    lines = crew.verify(config, changelog, server, prefix, options.users, options.partitions)
    return {
        "bytes_a_state": round(size / options.users),
        "redis_bytes_a_state": round(memory / options.users),
        "cold": cold,
        "flushed": flushed,
        "replaced_same_slot_s": [one["processing_s"] for one in same],
        "replaced_other_slot_s": [one["processing_s"] for one in other],
        "verified": lines,
    }


class Replaced:
    """The workers, one at a time."""

    def __init__(self, *where: str) -> None:
        self._where = where
        self.worker: crew.Process

    def __enter__(self) -> Self:
        return self

    def start(self, slot: str) -> crew.Process:
        """A process under this slot."""
        self.worker = crew.Process(*self._where, slot)
        return self.worker

    def replace(self, new: str) -> crew.Process:
        """Kill the one that runs in the middle of its work, and start another under this slot."""
        before = self.worker.process
        before.send_signal(signal.SIGKILL)
        before.wait()
        return self.start(new)

    def __exit__(self, *_: object) -> None:
        self.worker.stop()


def _shown(what: str, found: dict[str, Any]) -> dict[str, Any]:
    """Whoever stops it halfway has something."""
    sys.stderr.write(f"{what}: {json.dumps(found)}\n")
    return found


def _cpu_s(server: Any) -> float:
    used = server.info("cpu")
    return used["used_cpu_user"] + used["used_cpu_sys"]


def _memory(server: Any, prefix: str) -> int:
    return sum(server.memory_usage(key, samples=100) or 0 for key in server.scan_iter(f"*{prefix}*"))


def _print(summary: dict[str, Any]) -> None:
    console = Console()
    table = Table("", *summary["states"], title=f"{summary['users']:,} states, {summary['partitions']} partitions")
    for name, cell in ROWS:
        table.add_row(name, *(cell(state) for state in summary["states"].values()))
    console.print(table)
    console.print(f"wanted: processing within {TARGET_S} s, {TARGET_RATE:,} states/s", highlight=False)
    console.print(figures.told(summary["machine"]), highlight=False)


if __name__ == "__main__":
    main()
