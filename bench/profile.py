"""`make bench-profile`: where a worker's CPU goes, by numbered step of the batch, and in which functions.

CPU seconds, not wall seconds: a thread's clock stands still while it waits for the broker. What neither the loop's
thread nor the committer's has used is librdkafka's own: its threads fetch, compress, check and send.
"""

from __future__ import annotations

import argparse
import cProfile
import io
import json
import pstats
import subprocess
import sys
import threading
import time
from collections import Counter
from typing import Any

from rich.console import Console
from rich.table import Table

from bench import figures, workload
from bench.contenders import Counting, triage_app
from topology.access.redis_client import redis_client
from topology.cluster import Cluster
from topology.embedded import embedded_services
from topology.engine.transaction import Step
from topology.settings import Settings
from topology.topics import load_register
from topology.worker import build, tune_interpreter, wire

APPS = ("triage", "appeals")
NAMES = {
    Step.TAKE: "1 take",
    Step.READ: "2 read",
    Step.FOLD: "3 fold",
    Step.PRODUCE: "4 produce",
    Step.OFFSETS: "5 offsets",
    Step.COMMIT: "6 commit",
    Step.APPLY: "7 apply",
}
CLIENT = "client library"


class Shares:
    """CPU seconds by step: from the moment that a thread enters one until it enters the next."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self._entered = threading.local()

    def enter(self, step: Step) -> None:
        """See `Probe`."""
        now = time.thread_time()
        before: tuple[Step, float] | None = getattr(self._entered, "step", None)
        if before is not None:
            self.seconds[NAMES[before[0]]] += now - before[1]
        self._entered.step = step, now


def main() -> None:
    """Run the applications one after the other, each in its own process, and print or write their shares."""
    if sys.argv[1:2] == ["worker"]:
        _worker(*sys.argv[2:])
        return
    options = _options()
    with embedded_services() as services:
        found = {app: _profile(app, services.kafka_bootstrap, services.redis_url, options) for app in options.apps}
    summary = {
        "machine": figures.machine(),
        "events": options.events,
        "apps": found,
    }
    figures.write(options.json, summary)
    _print(summary)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-profile", description=__doc__)
    parser.add_argument("apps", nargs="*", default=APPS, metavar="APP", help="triage, appeals")
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--functions", type=int, default=0, help="so many of the loop's functions, by their own time")
    parser.add_argument("--json", help="write the figures to this file")
    return parser.parse_args()


def _profile(app: str, kafka: str, redis: str, options: argparse.Namespace) -> dict[str, Any]:
    prefix, config = workload.prefix(), {"bootstrap.servers": kafka}
    if app == "triage":
        workload.create_topics(config, [prefix + name for name in ("appeals", "appeals.dlq", "engine-cases")])
        workload.create_topics(config, [f"{prefix}engine-changelog"], **{"cleanup.policy": "compact"})
        rows = workload.small_appeals(f"{prefix}appeals", options.events, max(1, options.events // 10), 1)
    else:
        Cluster(config, load_register(prefix, partitions=workload.PARTITIONS)).create_missing(1)
        rows = workload.appeals_and_enforcements(prefix, options.events, max(1, options.events // 4), 1)
    workload.load(config, rows)
    command = [sys.executable, "-m", "bench.profile", "worker", app, kafka, redis, prefix, str(options.events)]
    command.append(str(options.functions))
    process = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=900)
    return json.loads(process.stdout.splitlines()[-1])


def _worker(app: str, kafka: str, redis: str, prefix: str, events: str, functions: str) -> None:
    settings = Settings(
        kafka=kafka,
        redis=redis,
        topic_prefix=prefix,
        group=f"{prefix}engine",
        static_membership=False,
    )
    fold: Any = triage_app(prefix) if app == "triage" else wire(settings)[0]
    counting, shares, profiler = Counting(), Shares(), cProfile.Profile()
    worker = build(
        fold, settings, settings.engine(), redis=redis_client(settings), metrics=counting, probe=shares.enter
    )
    tune_interpreter()
    worker.start()
    wall = cpu = 0.0
    while counting.folded < int(events):
        if worker.step() and not wall:
            wall, cpu = time.monotonic(), time.process_time()
            if int(functions):
                profiler.enable()
    wall, cpu = time.monotonic() - wall, time.process_time() - cpu
    profiler.disable()
    worker.close()
    seconds = {name: shares.seconds[name] for name in NAMES.values()}
    seconds[CLIENT] = max(0.0, cpu - sum(seconds.values()))
    print(
        json.dumps(
            {
                "events_per_second": round(int(events) / wall),
                "cpu_us_an_event": {name: round(each / int(events) * 1e6, 2) for name, each in seconds.items()},
                "functions": _functions(profiler, int(functions)),
            }
        )
    )


def _functions(profiler: cProfile.Profile, count: int) -> str:
    if not count:
        return ""
    out = io.StringIO()
    pstats.Stats(profiler, stream=out).sort_stats("tottime").print_stats(count)
    return out.getvalue()


def _print(summary: dict[str, Any]) -> None:
    console = Console()
    for app, found in summary["apps"].items():
        shares = found["cpu_us_an_event"]
        total = sum(shares.values())
        title = f"{app}: {found['events_per_second']:,} events/s, {total:.1f} us of CPU an event"
        table = Table("step", "us an event", "share", title=title)
        for name, each in shares.items():
            table.add_row(name, f"{each:.2f}", f"{each / total:.0%}")
        console.print(table)
        if found["functions"]:
            console.print(found["functions"], highlight=False, markup=False)


if __name__ == "__main__":
    main()
