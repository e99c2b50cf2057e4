"""`make bench-peers`: the engine beside Kafka Streams, Quix Streams, arroyo and Faust, on one broker and one Redis.

Stages: throughput (all, 200,000 events, the slow ones a tenth), long (engine and Kafka Streams over a million, when a
JVM is warm), latency (at 2,000 a second), recovery (Kafka Streams killed, and without its local state). Each stage's
ratios are of its own run. The environments are made on first use and need a package registry then.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from bench.figures import machine
from bench.peers import report
from bench.peers.environments import UnavailableError
from bench.peers.latency import measure_latency
from bench.peers.recovery import measure_recovery
from bench.peers.registry import CONTENDERS, Contender, Run
from bench.peers.table import latency_table, summary, target_lines, throughput_table
from bench.peers.throughput import measure_round
from topology.embedded import Services, embedded_services

LONG = ("engine", "kafka-streams")
PACED = ("engine", "kafka-streams", "quix", "arroyo", "naive", "faust-take")
STAGES = ("throughput", "long", "latency", "recovery")
WARM_UP = 20_000


def main() -> None:
    """Measure what is asked for, print it, write it down."""
    options = _options()
    available, left_out = _available(options.only)
    console = Console(width=max(180, Console().width))
    found: dict[str, Any] = {
        "machine": machine() | {"memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9)},
        "left_out": left_out,
    }
    with embedded_services(heap_mb=1024) as services:
        for stage in options.stages:
            found[stage] = _STAGES[stage](services, available, options, console)
            if options.json:
                _write(Path(options.json), found)
    if options.report:
        report.write(Path(options.report), json.loads(Path(options.json).read_text()) if options.json else found)
    for name, why in left_out.items():
        console.print(f"{name} was left out: {why}", highlight=False)
    on = found["machine"]
    console.print(
        f"{on['cores']} cores, {on['memory_gb']} GB, broker and Redis on them too; "
        f"Python {on['python']}, {on['system']}",
        highlight=False,
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make bench-peers", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--stages", type=_several(STAGES), default=STAGES, help="comma-separated; all by default")
    parser.add_argument("--only", type=_several(CONTENDERS), help="contenders, comma-separated; all by default")
    parser.add_argument("--events", type=int, default=200_000, help="records for each contender")
    parser.add_argument("--long-events", type=int, default=1_000_000, help="the same in the stage `long`")
    parser.add_argument("--rounds", type=int, default=3, help="how often; the median is shown")
    parser.add_argument("--rate", type=int, default=2_000, help="appeals a second in the stage `latency`")
    parser.add_argument("--warm-seconds", type=float, default=10, help="that are sent before, uncounted")
    parser.add_argument("--seconds", type=float, default=20, help="that are counted")
    parser.add_argument("--users", type=int, default=1_000_000, help="in the stage `recovery`")
    parser.add_argument("--history-bytes", type=int, default=16, help="of a user in the stage `recovery`")
    parser.add_argument("--json", help="write the figures to this file; other stages in it stay")
    parser.add_argument("--report", help="write them into this page too (docs/benchmarks.md)")
    return parser.parse_args()


def _several(known: Sequence[str] | dict[str, Any]) -> Any:
    def names(text: str) -> tuple[str, ...]:
        given = tuple(text.split(","))
        if unknown := [name for name in given if name not in known]:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: known are {', '.join(known)}")
        return given

    return names


def _available(only: Sequence[str] | None) -> tuple[list[Contender], dict[str, str]]:
    """Those that can be run here, and why the others cannot. One that was asked for by name must be there."""
    nowhere = Run(kafka="", redis="", prefix="", folder="", events=0)
    found: list[Contender] = []
    left_out: dict[str, str] = {}
    for contender in CONTENDERS.values():
        if only and contender.name not in only:
            continue
        try:
            contender.command(nowhere)
        except UnavailableError as unavailable:
            if only:
                raise SystemExit(f"{contender.name}: {unavailable}") from unavailable
            print(f"{contender.name}: {unavailable}", file=sys.stderr)
            left_out[contender.name] = str(unavailable)
        else:
            found.append(contender)
    return found, left_out


def _throughput(
    services: Services, available: Sequence[Contender], options: argparse.Namespace, console: Console
) -> Any:
    return _rounds("throughput", services, available, options.events, options.rounds, console)


def _long(services: Services, available: Sequence[Contender], options: argparse.Namespace, console: Console) -> Any:
    these = [contender for contender in available if contender.name in LONG]
    return _rounds("long", services, these, options.long_events, options.rounds, console)


def _rounds(
    stage: str, services: Services, contenders: Sequence[Contender], events: int, count: int, console: Console
) -> Any:
    # Whoever came first would otherwise meet a broker that has just been started.
    measure_round(services, [CONTENDERS["raw"]], max(WARM_UP, events // 4), count)
    servers = [name for name, server in (("broker", services.kafka), ("Redis", services.redis)) if server is not None]
    found = summary(stage, [measure_round(services, contenders, events, n) for n in range(count)], servers)
    console.print(throughput_table(f"{stage}: {events:,} events, one worker, median of {count} rounds", found))
    for line in target_lines(found):
        console.print(line, highlight=False)
    return found


def _latency(services: Services, available: Sequence[Contender], options: argparse.Namespace, console: Console) -> Any:
    paced = [contender for contender in available if contender.name in PACED]
    # Whoever came first would otherwise meet a broker whose Java still compiles what it runs, on half a core.
    for first in paced[:1]:
        measure_latency(services, first, options.rate, options.warm_seconds, options.seconds)
    found = {
        contender.name: measure_latency(services, contender, options.rate, options.warm_seconds, options.seconds)
        for contender in paced
    }
    console.print(latency_table(found, options.rate))
    return {"rate": options.rate, "contenders": {name: asdict(one) for name, one in found.items()}}


def _recovery(services: Services, available: Sequence[Contender], options: argparse.Namespace, console: Console) -> Any:
    if all(contender.name != "kafka-streams" for contender in available):
        return None
    found = measure_recovery(services, options.users, options.history_bytes)
    for how, back in (("killed", found.killed), ("its local state lost", found.lost)):
        console.print(
            f"Kafka Streams, {found.users:,} users of {found.history_bytes} bytes, {how}: {back.restored:,} records "
            f"restored in {back.restore_s:.1f} s ({back.records_per_second:,.0f}/s), first case "
            f"{back.first_case_s:.1f} s after it had its partitions, "
            f"{back.to_assignment_s:.1f} s before that for starting and joining",
            highlight=False,
        )
    return asdict(found)


def _write(file: Path, found: dict[str, Any]) -> None:
    before = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps(before | found, indent=2) + "\n")


_STAGES = {"throughput": _throughput, "long": _long, "latency": _latency, "recovery": _recovery}

if __name__ == "__main__":
    main()
