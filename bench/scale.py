"""`make bench-scale`: does an event cost the same however many users there are, and what do more workers bring?

For each number of users: their states are loaded, a worker rebuilds Redis from them, and then folds the same number of
events about users drawn from all of them; the clock runs from the first batch to the last. Then the same with as many
workers as partitions, on this machine's cores, which broker and Redis use too.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from typing import Any

import redis
from rich.console import Console
from rich.table import Table

from bench import crew, dossiers, figures, workload
from topology.embedded import embedded_services

USERS = (10_000, 100_000, 1_000_000)
WORKERS = (1, 2, 4)
WITHIN = 0.2
"""Throughput with the most users may be so much less than with the fewest."""


def main() -> None:
    """Measure, print, and write what was asked for."""
    options = _options()
    rows = [_fresh(options, users, partitions=4, workers=1) for users in options.users]
    rows += [_fresh(options, options.users[0], partitions=workers, workers=workers) for workers in options.workers]
    if options.many:
        rows.append(_fresh(options, options.users[-1], partitions=options.many, workers=1))
    summary = {
        "machine": figures.machine(),
        "state": options.state,
        "events": options.events,
        "rows": rows,
    }
    figures.write(options.json, summary)
    _print(summary)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-scale", description=__doc__)
    parser.add_argument("state", nargs="?", default="triage", choices=crew.STATES)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--users", type=int, nargs="*", default=list(USERS))
    parser.add_argument("--workers", type=int, nargs="*", default=list(WORKERS))
    parser.add_argument("--many", type=int, default=32, help="partitions of one worker, for the memory of each; 0: not")
    parser.add_argument("--cached", type=int, default=200_000, help="states that a worker keeps decoded")
    parser.add_argument("--json", help="write the figures to this file")
    return parser.parse_args()


def _fresh(options: argparse.Namespace, users: int, *, partitions: int, workers: int) -> dict[str, Any]:
    with embedded_services(heap_mb=768) as services:
        return measure(services.kafka_bootstrap, services.redis_url, options, users, partitions, workers)


def measure(
    kafka: str, redis_url: str, options: argparse.Namespace, users: int, partitions: int, workers: int
) -> dict[str, Any]:
    """One row."""
    prefix, config, state = workload.prefix(), {"bootstrap.servers": kafka}, options.state
    topic, changelog, _ = crew.topics(state, prefix, config, users, partitions)
    states = dossiers.appeals_states(crew.LIVES) if state == "appeals" else dossiers.triage_states()
    crew.load(config, prefix, topic, changelog, states, users=users, partitions=partitions)
    # Made beforehand: to make them takes longer than to fold them.
    events = list(_events(state, topic, prefix, options.events, users))
    where = (state, kafka, redis_url, prefix)
    processes = [crew.Process(*where, str(n), cached_states=options.cached) for n in range(workers)]
    try:
        ready = [process.until_ready() for process in processes]
        while True:  # a member that joined later has taken partitions from the first ones
            time.sleep(3)
            later = [[told for told in process.drain() if told["what"] == "ready"] for process in processes]
            ready = [(more or [one])[-1] for more, one in zip(later, ready, strict=True)]
            if not any(later):
                break
        workload.load(config, events)
        told = _until_folded(processes, options.events)
    finally:
        for process in processes:
            process.stop()
    used = redis.Redis.from_url(redis_url).info("memory")["used_memory"]
    first = min(one[0]["at"] for one in told)
    last = max(one[-1]["at"] for one in told)
    # The first batches tell when they are durable: what they folded was done before the clock began.
    counted = sum(one["by"] for each in told for one in each if one["at"] > first)
    cpu = sum(each[-1]["cpu"] - each[0]["cpu"] for each in told)
    return {
        "users": users,
        "partitions": partitions,
        "workers": workers,
        "events_per_second": round(counted / (last - first)),
        "cpu_us_an_event": round(cpu / counted * 1e6, 1),
        "ready_mb": max(one["rss_mb"] for one in ready),
        "peak_mb": max(each[-1]["peak_mb"] for each in told),
        "redis_mb": round(used / 2**20),
    }


def _events(state: str, topic: str, prefix: str, events: int, users: int) -> Iterator[workload.Row]:
    if state == "triage":
        return workload.small_appeals(topic, events, users, seed=7)
    return workload.appeals_and_enforcements(prefix, events, users, seed=7)


def _until_folded(processes: list[crew.Process], events: int) -> list[list[dict[str, Any]]]:
    """By worker that folded any, its batches."""
    told: list[list[dict[str, Any]]] = [[] for _ in processes]
    deadline = time.monotonic() + crew.PATIENCE_S
    while sum(one["by"] for each in told for one in each) < events:
        if time.monotonic() > deadline:
            raise SystemExit("the events are not folded in time")
        time.sleep(0.1)
        for each, process in zip(told, processes, strict=True):
            for one in process.drain():
                if one["what"] == "dead":
                    raise SystemExit("an event became a dead letter: the figure is worth nothing")
                if one["what"] == "folded":
                    each.append(one)
    return [each for each in told if each]


def _print(summary: dict[str, Any]) -> None:
    console = Console()
    names = ("users", "partitions", "workers", "events/s", "CPU us an event", "MB when ready", "peak MB", "Redis MB")
    table = Table(*names, title=f"{summary['state']}: {summary['events']:,} events")
    for row in summary["rows"]:
        table.add_row(*(f"{value:,}" for value in row.values()))
    console.print(table)
    rates = [row["events_per_second"] for row in summary["rows"] if row["workers"] == 1 and row["partitions"] == 4]
    if len(rates) > 1:
        console.print(
            f"most users / fewest: {rates[-1] / rates[0]:.2f} (wanted {1 - WITHIN:.2f} or more)", highlight=False
        )
    console.print(figures.told(summary["machine"]), highlight=False)


if __name__ == "__main__":
    main()
