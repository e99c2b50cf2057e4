"""`make bench`: the engine against its baselines, on one broker and one Redis, in one run.

Absolute figures depend on the machine and on who else uses it; the ratios are what to look at. The contenders run one
after the other, each in its own process, over records that were loaded before; `--rounds` repeats the whole and takes
each contender's median.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from bench import figures, workload
from bench.contenders import OUTPUTS, TOPICS, History
from bench.measure import Result
from bench.verify import committed
from topology.cluster import Cluster
from topology.embedded import embedded_services
from topology.engine.state import DUE_BYTES
from topology.topics import load_register

TARGETS = (
    ("engine / naive", "engine", "naive", 8.0),
    ("engine / raw", "engine", "raw", 0.3),
)
APPEALS_TARGET = 12_000
"""Inputs a second that the appeals topology should reach on one worker."""


def main() -> None:
    """Measure, verify, print, and write what was asked for."""
    options = _options()
    with embedded_services() as services:
        kafka, redis = services.kafka_bootstrap, services.redis_url
        rounds = [_round(kafka, redis, options.events, seed=number) for number in range(options.rounds)]
    results = {
        name: sorted((r[name] for r in rounds), key=lambda result: result.rate)[len(rounds) // 2] for name in rounds[0]
    }
    summary = _summary(results, rounds)
    figures.write(options.json, summary)
    if not options.quiet:
        _print(results, summary)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make bench", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--events", type=int, default=200_000, help="records for each contender (the naive loop: a fifth)"
    )
    parser.add_argument("--rounds", type=int, default=3, help="how often; the median is shown")
    parser.add_argument("--json", help="write the figures to this file")
    parser.add_argument("--quiet", action="store_true", help="print nothing")
    return parser.parse_args()


def _round(kafka: str, redis: str, events: int, seed: int) -> dict[str, Result]:
    """Load fresh topics, run all contenders one after the other, verify each."""
    prefix = workload.prefix()
    config = {"bootstrap.servers": kafka}
    names = sorted({name for topics in TOPICS.values() for name in topics})
    workload.create_topics(config, [prefix + name for name in names])
    workload.create_topics(config, [f"{prefix}engine-changelog"], **{"cleanup.policy": "compact"})
    Cluster(config, load_register(prefix, partitions=workload.PARTITIONS)).create_missing(1)
    workload.load(config, workload.small_appeals(f"{prefix}appeals", events, max(1, events // 10), seed))
    # Two enforcements and two appeals a user on average, all of the cases still open: more than a marketplace sees.
    workload.load(config, workload.appeals_and_enforcements(prefix, events, max(1, events // 4), seed))
    results: dict[str, Result] = {}
    for name in ("raw", "naive", "engine", "appeals"):
        count = max(1, events // 5) if name == "naive" else events
        results[name] = _contender(name, kafka, redis, prefix, count)
    _verify(config, prefix, results, events)
    return results


def _contender(name: str, kafka: str, redis: str, prefix: str, events: int) -> Result:
    command = [sys.executable, "-m", "bench.contenders", name, kafka, redis, prefix, str(events)]
    process = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=900)
    return Result(**json.loads(process.stdout.splitlines()[-1]))


def _verify(config: dict[str, Any], prefix: str, results: dict[str, Result], events: int) -> None:
    """A figure counts only if the work was done: one output an input, and the right counters in the state.

    Raises:
        SystemExit: a contender lost or doubled something.
    """
    for name, topic in OUTPUTS.items():
        found = sum(1 for _ in committed(config, prefix + topic))
        if found != results[name].events:
            raise SystemExit(f"{name}: {found} records came out of {results[name].events}: the figure is worth nothing")
    history: dict[bytes, bytes] = {
        m.key() or b"": m.value() or b"" for m in committed(config, f"{prefix}engine-changelog")
    }
    counted = sum(_appeals(value) for value in history.values())
    if counted != events:
        raise SystemExit(f"engine: its states count {counted} appeals of {events}: the figure is worth nothing")
    register = load_register(prefix)
    cases = {m.key() for pod in register.pods for m in committed(config, f"{prefix}cases.{pod}")}
    if len(cases) != events // 2:
        raise SystemExit(f"appeals: {len(cases)} cases for {events // 2} appeals: the figure is worth nothing")


def _appeals(wrapped: bytes) -> int:
    """How many appeals a state of (c) has counted."""
    return msgspec.msgpack.decode(wrapped[DUE_BYTES:], type=History).appeals


def _summary(results: dict[str, Result], rounds: list[dict[str, Result]]) -> dict[str, Any]:
    ratios = {
        label: {
            "median": statistics.median(r[top].rate / r[bottom].rate for r in rounds),
            "all": [round(r[top].rate / r[bottom].rate, 3) for r in rounds],
            "target": target,
        }
        for label, top, bottom, target in TARGETS
    }
    return {
        "machine": figures.machine(),
        "contenders": {
            name: {
                "events": result.events,
                "events_per_second": round(result.rate),
                "cpu_seconds_per_million": round(result.cpu_per_million, 1),
                "peak_mb": round(result.peak_mb),
            }
            for name, result in results.items()
        },
        "ratios": ratios,
        "appeals_per_second_target": APPEALS_TARGET,
    }


def _print(results: dict[str, Result], summary: dict[str, Any]) -> None:
    console = Console()
    table = Table(
        "contender", "events", "events/s", "CPU s / million", "peak MB", title="one worker, median of the rounds"
    )
    what = {
        "raw": "(a) raw transactional copy",
        "naive": "(b) poll, HGETALL, HSET, produce, commit every 500",
        "engine": "(c) engine, the same step as (b), exactly once",
        "appeals": "(d) whole appeals topology, exactly once",
    }
    for name, result in results.items():
        table.add_row(
            what[name],
            f"{result.events:,}",
            f"{result.rate:,.0f}",
            f"{result.cpu_per_million:.1f}",
            f"{result.peak_mb:.0f}",
        )
    console.print(table)
    for label, ratio in summary["ratios"].items():
        console.print(
            f"{label}: {ratio['median']:.2f} (wanted {ratio['target']}), rounds {ratio['all']}", highlight=False
        )
    console.print(f"appeals: {results['appeals'].rate:,.0f} inputs/s (wanted {APPEALS_TARGET:,})", highlight=False)
    console.print(figures.told(summary["machine"]), highlight=False)


if __name__ == "__main__":
    main()
