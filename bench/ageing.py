"""`make bench-ageing`: a day of timers for a million users, as fast as one worker can live it.

The users' dossiers lie in the changelog, with the deadlines of their open cases as timers. The worker follows the
records' time (`clock: stream`): a record for each partition and simulated minute lets a day pass. The figure counts
only if afterwards no timer is left that was due in that day, nothing became a dead letter, and Redis equals the
changelog, state by state.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Iterator
from typing import Any

import redis
from rich.console import Console

from bench import crew, dossiers, figures, workload
from bench.verify import committed
from schemas.codec import Codec
from schemas.records import UserId
from topology.embedded import embedded_services
from topology.engine.state import due_of
from topology.partitioner import partition_of

MINUTE_MS = 60_000


def main() -> None:
    """Measure, verify, print, and write what was asked for."""
    options = _options()
    with embedded_services(heap_mb=768) as services:
        summary = measure(services.kafka_bootstrap, services.redis_url, options)
    figures.write(options.json, summary)
    console = Console()
    console.print_json(data=summary)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-ageing", description=__doc__)
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--hours", type=int, default=24)
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--cached", type=int, default=20_000, help="states that the worker keeps decoded")
    parser.add_argument("--json", help="write the figures to this file")
    return parser.parse_args()


def measure(kafka: str, redis_url: str, options: argparse.Namespace) -> dict[str, Any]:
    """All of it."""
    prefix, config, partitions = workload.prefix(), {"bootstrap.servers": kafka}, options.partitions
    topic, changelog, _ = crew.topics("appeals", prefix, config, options.users, partitions)
    # A broker takes no record from the future.
    start = workload.START_MS - options.hours * 60 * MINUTE_MS
    states = dossiers.appeals_states(10_000, now=start)
    size = crew.load(config, prefix, topic, changelog, states, users=options.users, partitions=partitions)
    end = start + options.hours * 60 * MINUTE_MS
    due = sum((due_of(states(user)[1]) or end + 1) <= end for user in range(options.users))
    ticks = list(_ticks(prefix, partitions, start, options.hours))
    server = redis.Redis.from_url(redis_url)
    worker = crew.Process("appeals", kafka, redis_url, prefix, "0", clock="stream", cached_states=options.cached)
    try:
        ready = worker.until_ready()
        began = time.monotonic()
        workload.load(config, ticks)
        told = _until(worker, len(ticks))
    finally:
        worker.stop()
    fired = int(sum(one["by"] for one in told if one["what"] == "fired"))
    seconds = told[-1]["at"] - began
    return {
        "machine": figures.machine(),
        "users": options.users,
        "hours": options.hours,
        "bytes_a_state": round(size / options.users),
        "timers_due_at_the_start": due,
        "timers_fired": fired,
        "seconds": round(seconds, 1),
        "timers_per_second": round(fired / seconds),
        "worker_mb_when_ready": ready["rss_mb"],
        "worker_mb_at_most": max(one["rss_mb"] for one in told),
        "redis_mb": server.info("memory")["used_memory"] >> 20,
        "verified": _verify(config, changelog, server, prefix, options, end),
    }


def _ticks(prefix: str, partitions: int, start: int, hours: int) -> Iterator[workload.Row]:
    """An enforcement of somebody else in each partition, every minute."""
    codec, rng, topic = Codec(), random.Random(3), f"{prefix}enforcement.events"
    names = iter(f"clock-{n}" for n in range(10_000))
    clocks: dict[int, str] = {}
    while len(clocks) < partitions:
        name = next(names)
        clocks.setdefault(partition_of(name.encode(), partitions), name)
    for minute in range(1, hours * 60 + 1):
        at = start + minute * MINUTE_MS
        for partition, name in sorted(clocks.items()):
            record = workload.enforcement(rng, minute, at, UserId(name), f"tick-{partition}-{minute}")
            yield topic, name.encode(), codec.encode(record, topic), at


def _until(worker: crew.Process, records: int) -> list[dict[str, Any]]:
    """Until so many records are folded: what it told."""
    told: list[dict[str, Any]] = []
    folded = 0.0
    deadline = time.monotonic() + 3_600
    while folded < records:
        one = worker.next(deadline)
        if one["what"] == "dead":
            raise SystemExit("a timer became a dead letter: the figures are worth nothing")
        told.append(one)
        folded += one["by"] if one["what"] == "folded" else 0
    time.sleep(1)  # it tells of a batch's timers after its records
    return told + worker.drain()


def _verify(
    config: dict[str, Any], changelog: str, server: Any, prefix: str, options: argparse.Namespace, end: int
) -> str:
    newest = {message.key(): due_of(message.value() or b"") for message in committed(config, changelog)}
    late = sum(due is not None and due <= end for due in newest.values())
    if late:
        raise SystemExit(f"{late} timers that were due have not fired: the figures are worth nothing")
    total = options.users + options.partitions
    return "no timer is late; " + crew.verify(config, changelog, server, prefix, total, options.partitions)


if __name__ == "__main__":
    main()
