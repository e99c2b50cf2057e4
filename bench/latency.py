"""`make bench-latency`: from the produce call of an appeal to its case at a reader of the pod's topic, committed only.

Worker, sender and reader are processes of their own on one machine, so they read one clock (`time.monotonic_ns`). All
users have their enforcement on file before the first appeal. Two rates: 2,000 appeals a second, and a share of what the
same worker reaches when the appeals lie ready.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from confluent_kafka import Consumer, Producer, TopicPartition
from rich.console import Console
from rich.table import Table

from bench import figures, workload
from bench.contenders import Counting
from bench.live import an_appeal
from processors import ids
from schemas.codec import Codec
from schemas.records import AppealId
from topology import logs
from topology.access.redis_client import redis_client
from topology.cluster import Cluster
from topology.embedded import embedded_services
from topology.settings import Settings
from topology.topics import load_register
from topology.worker import build, tune_interpreter, wire

RATE = 2_000
"""Appeals a second."""
SHARE = 0.7
"""Of the maximum, for the second rate."""
TARGETS_MS = {"paced": (30.0, 150.0), "share": (None, 500.0)}
"""p50 and p99 that are wanted here."""
WARM_S = 30.0
"""Appeals of this time count for nothing: the broker's Java compiles what it runs for so long, on half a core."""
LATE_S = 60.0
"""How long the last may take to arrive."""


def main() -> None:
    """Measure, print, and write what was asked for."""
    if sys.argv[1:2] and sys.argv[1] in PARTS:
        PARTS[sys.argv[1]](*sys.argv[2:])
        return
    parser = argparse.ArgumentParser(prog="make bench-latency", description=__doc__)
    parser.add_argument("--rate", type=float, default=RATE, help="appeals a second")
    parser.add_argument("--share", type=float, default=SHARE, help="of the maximum, for the second rate; 0: without it")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long each rate is held, after its warm-up")
    parser.add_argument("--warm", type=float, default=WARM_S, help="seconds at each rate that count for nothing")
    parser.add_argument("--burst", type=int, default=60_000, help="appeals that lie ready, to find the maximum")
    parser.add_argument("--json", help="write the figures to this file")
    options = parser.parse_args()
    found: dict[str, dict[str, Any]] = {}
    with embedded_services() as services:
        servers = services.kafka_bootstrap, services.redis_url
        found["paced"] = paced(*servers, options.rate, options.warm, options.seconds)
        if options.share:
            maximum = _maximum(*servers, options.burst)
            share = paced(*servers, options.share * maximum, options.warm, options.seconds)
            found["share"] = share | {"maximum": maximum}
    summary = {
        "machine": figures.machine(),
        "runs": found,
    }
    figures.write(options.json, summary)
    _print(summary)


# --- the parent ---------------------------------------------------------------------------------------------------


def paced(kafka: str, redis: str, rate: float, warm_s: float, seconds: float) -> dict[str, Any]:
    """Latencies of appeals that come at this rate, and what the worker's process used for it."""
    appeals = int(rate * (warm_s + seconds))
    prefix, worker = _ready_worker(kafka, redis, appeals)
    watch = _start("watch", kafka, prefix, appeals)
    _expect(watch, "ready")
    before = _cpu_s(worker.pid)
    send = _start("send", kafka, prefix, appeals, rate)
    sent = _numbers(send)
    cpu_s = _cpu_s(worker.pid) - before
    seen = _numbers(watch)
    _stop(worker)
    if not all(seen):
        raise SystemExit(f"{seen.count(0)} of {appeals} appeals did not arrive: the figure is worth nothing")
    first = int(rate * warm_s)
    took = sorted((there - gone) / 1e6 for gone, there in zip(sent[first:], seen[first:], strict=True))
    cuts = statistics.quantiles(took, n=1000, method="inclusive")
    actual = (appeals - first) / ((sent[-1] - sent[first]) / 1e9)
    return {
        "appeals": len(took),
        "a_second": round(actual),
        "p50_ms": round(cuts[499], 1),
        "p90_ms": round(cuts[899], 1),
        "p99_ms": round(cuts[989], 1),
        "worst_ms": round(took[-1], 1),
        "worker_cpu_share": round(cpu_s / ((sent[-1] - sent[0]) / 1e9), 2),
    }


def _maximum(kafka: str, redis: str, appeals: int) -> float:
    """Appeals a second when all of them lie ready."""
    prefix, worker = _ready_worker(kafka, redis, appeals)
    _numbers(_start("send", kafka, prefix, appeals, 0))
    line = _expect(worker, "folded")
    _stop(worker)
    return float(line.split()[1])


def _ready_worker(kafka: str, redis: str, users: int) -> tuple[str, subprocess.Popen[str]]:
    """Topics' prefix, and a worker that has an enforcement on file for each user."""
    prefix, config = workload.prefix(), {"bootstrap.servers": kafka}
    Cluster(config, load_register(prefix, partitions=workload.PARTITIONS)).create_missing(1)
    workload.load(config, workload.enforcements(prefix, users))
    worker = _start("worker", kafka, redis, prefix, users)
    _expect(worker, "ready")
    return prefix, worker


def _start(part: str, *args: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "bench.latency", part, *map(str, args)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _expect(process: subprocess.Popen[str], word: str) -> str:
    line = _output(process).readline()
    if not line.startswith(word):
        raise SystemExit(f"{process.args} ended early")
    return line


def _numbers(process: subprocess.Popen[str]) -> list[int]:
    """What a part has measured, by appeal: nanoseconds, 0 for one that never came."""
    with _output(process) as lines:
        found = json.loads(lines.readline() or "null")
    if process.wait(LATE_S) or found is None:
        raise SystemExit(f"{process.args} failed")
    return found


def _output(process: subprocess.Popen[str]) -> IO[str]:
    if process.stdout is None:
        raise AssertionError("started without a pipe")
    return process.stdout


def _stop(worker: subprocess.Popen[str]) -> None:
    worker.terminate()
    worker.wait(LATE_S)
    _output(worker).close()


def _cpu_s(pid: int) -> float:
    """CPU seconds that a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# --- the parts ----------------------------------------------------------------------------------------------------


def _worker(kafka: str, redis: str, prefix: str, users: str) -> None:
    """As `recourse run` is, with its defaults: tells when all enforcements are on file, and how fast appeals went."""
    logs.configure("json")  # to standard error: the parent reads standard output
    settings = Settings(kafka=kafka, redis=redis, topic_prefix=prefix, group=f"{prefix}engine", static_membership=False)
    app, *_ = wire(settings)
    counting = Counting()
    worker = build(app, settings, settings.engine(), redis=redis_client(settings), metrics=counting)
    tune_interpreter()
    worker.start()
    filed = int(users)
    while counting.folded < filed or not worker.idle:
        worker.step()
    print("ready", flush=True)
    while counting.folded == filed:
        worker.step()
    started, before = time.monotonic(), counting.folded
    while counting.folded < 2 * filed:
        worker.step()
    print("folded", (counting.folded - before) / (time.monotonic() - started), flush=True)
    while True:
        worker.step()


def _send(kafka: str, prefix: str, appeals: str, rate: str) -> None:
    """Produce at this rate (0: as fast as it goes), and tell when each was handed to the client."""
    producer = Producer(
        {
            "bootstrap.servers": kafka,
            "partitioner": "murmur2_random",
            # At a rate as by default: who asks for less sends a request an appeal, and measures the broker's patience.
            "linger.ms": 5 if float(rate) else 20,
            "queue.buffering.max.messages": 1_000_000,
        }
    )
    codec, topic = Codec(), load_register(prefix).on_cluster("appeal.events")
    # Made before the clock runs: the sender must keep the pace.
    rows = [(number, *_row(codec, topic, number)) for number in range(int(appeals))]
    producer.list_topics(topic, timeout=10)
    sent = array("q", [0]) * len(rows)
    gap = 1e9 / float(rate) if float(rate) else 0.0
    start = time.monotonic_ns()
    for number, key, value in rows:
        due = start + int(number * gap)
        while (now := time.monotonic_ns()) < due:
            # Not `producer.poll(seconds)`: less than a millisecond is none to it, and a spinning sender takes a core.
            time.sleep((due - now) / 1e9)
        producer.poll(0)
        sent[number] = now
        producer.produce(topic, value, key)
    producer.flush(LATE_S)
    print(json.dumps(sent.tolist()), flush=True)


def _row(codec: Codec, topic: str, number: int) -> tuple[bytes, bytes]:
    user = workload.user_of(number)
    return user.encode(), codec.encode(an_appeal(number, user, workload.enforcement_of(number)), topic)


def _watch(kafka: str, prefix: str, appeals: str) -> None:
    """Read the pods' topics from their end on and tell when each case came."""
    number_of = {ids.case_id(AppealId(f"live-{number}")).encode(): number for number in range(int(appeals))}
    consumer = Consumer(
        {
            "bootstrap.servers": kafka,
            "group.id": "bench-latency",  # only a name: nothing is committed under it
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": 500,
        }
    )
    register = load_register(prefix)
    names = [register.on_cluster(f"cases.{pod}") for pod in register.pods]
    consumer.assign([TopicPartition(name, p, 0) for name in names for p in range(workload.PARTITIONS)])
    consumer.poll(1.0)
    print("ready", flush=True)
    seen = array("q", [0]) * len(number_of)
    left, quiet_since = len(number_of), time.monotonic()
    while left and time.monotonic() - quiet_since < LATE_S:
        # One at a time, as `consume` waits until it has as many as were asked for, or its time is over.
        message = consumer.poll(0.5)
        if message is None or message.error() is not None:
            continue
        number = number_of.get(message.key() or b"")
        if number is not None and not seen[number]:
            seen[number] = time.monotonic_ns()
            left -= 1
            quiet_since = time.monotonic()
    consumer.close()
    print(json.dumps(seen.tolist()), flush=True)


PARTS: dict[str, Callable[..., None]] = {"worker": _worker, "send": _send, "watch": _watch}


def _print(summary: dict[str, Any]) -> None:
    console = Console()
    table = Table(
        "appeals/s", "p50 ms", "p90 ms", "p99 ms", "worst ms", "worker's CPU", title="produce to committed case"
    )
    for run in summary["runs"].values():
        table.add_row(
            f"{run['a_second']:,}",
            *(f"{run[name]:.1f}" for name in ("p50_ms", "p90_ms", "p99_ms", "worst_ms")),
            f"{run['worker_cpu_share']:.0%} of a core",
        )
    console.print(table)
    for line in _verdicts(summary["runs"]):
        console.print(line, highlight=False)
    console.print(figures.told(summary["machine"]), highlight=False)


def _verdicts(runs: dict[str, dict[str, Any]]) -> Iterator[str]:
    for name, run in runs.items():
        p50, p99 = TARGETS_MS[name]
        wanted = " and ".join(f"{what} {most:.0f} ms" for what, most in (("p50", p50), ("p99", p99)) if most)
        share = f", {run['a_second'] / run['maximum']:.0%} of the maximum" if "maximum" in run else ""
        yield f"{run['a_second']:,} appeals/s{share}: wanted at most {wanted}"


if __name__ == "__main__":
    main()
