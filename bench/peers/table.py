"""What the rounds say: medians, ratios to the engine within each round, and whether a target is met."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rich.table import Table

from bench.peers.latency import Latency
from bench.peers.observer import Figures
from bench.peers.registry import CONTENDERS

ENGINE = "engine"
Rounds = Sequence[Mapping[str, Figures]]


@dataclass(frozen=True)
class Target:
    """What the engine should reach beside a peer, in the same run."""

    peer: str
    what: Literal["rate", "cpu"]
    bound: float
    """At least this ratio of the rates, or at most this one of the CPU seconds an event."""

    def met(self, ratio: float) -> bool:
        """Is it?"""
        return ratio >= self.bound if self.what == "rate" else ratio <= self.bound


TARGETS = {
    "throughput": (Target("quix", "rate", 2.5), Target("faust-take", "rate", 10.0)),
    "long": (Target("kafka-streams", "rate", 1.0), Target("kafka-streams", "cpu", 0.6)),
}
"""By stage."""


def summary(stage: str, rounds: Rounds, servers: Sequence[str]) -> dict[str, Any]:
    """Of a stage's rounds.

    Args:
        stage: Whose targets.
        rounds: Figures by contender; all rounds have the same ones.
        servers: Names of the process trees besides the contender's own.
    """
    contenders: dict[str, Any] = {}
    for name in rounds[0]:
        middle = sorted((r[name] for r in rounds), key=lambda figures: figures.rate)[len(rounds) // 2]
        contenders[name] = {
            "title": CONTENDERS[name].title,
            "guarantee": CONTENDERS[name].guarantee,
            "events": middle.events,
            "events_per_second": round(middle.rate),
            "second_half_events_per_second": round(middle.warm_rate),
            "cpu_seconds_per_million": round(middle.cpu_per_million[0], 1),
            "second_half_cpu_seconds_per_million": round(middle.warm_cpu, 1),
            "servers_cpu_seconds_per_million": {
                server: round(cpu, 1) for server, cpu in zip(servers, middle.cpu_per_million[1:], strict=True)
            },
            "peak_mb": round(middle.peak_mb),
            "processors_busy_with_others": round(middle.others, 2),
            "engine_ratio": _ratio(rounds, name, "rate") if ENGINE in rounds[0] else None,
            "events_per_second_by_round": [round(r[name].rate) for r in rounds],
        }
    return {"rounds": len(rounds), "contenders": contenders, "targets": _targets(stage, rounds)}


def _targets(stage: str, rounds: Rounds) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for target in TARGETS[stage]:
        if ENGINE in rounds[0] and target.peer in rounds[0]:
            ratio = _ratio(rounds, target.peer, target.what)
            found.append(
                {
                    "ratio": f"engine / {target.peer}, {target.what}",
                    "median": ratio["median"],
                    "rounds": ratio["rounds"],
                    "wanted": target.bound,
                    "met": target.met(ratio["median"]),
                }
            )
    return found


def _ratio(rounds: Rounds, peer: str, what: Literal["rate", "cpu"]) -> dict[str, Any]:
    """Engine to peer, each round on its own: what disturbs a whole round cancels out."""
    ratios = [_quantity(r[ENGINE], what) / _quantity(r[peer], what) for r in rounds]
    return {"median": round(statistics.median(ratios), 3), "rounds": [round(ratio, 3) for ratio in ratios]}


def _quantity(figures: Figures, what: Literal["rate", "cpu"]) -> float:
    return figures.rate if what == "rate" else figures.cpu_per_million[0]


def throughput_table(title: str, found: Mapping[str, Any]) -> Table:
    """For the terminal."""
    contenders = found["contenders"]
    servers = list(next(iter(contenders.values()))["servers_cpu_seconds_per_million"])
    table = Table(
        "contender",
        "guarantee",
        "events",
        "events/s",
        "2nd half",
        "CPU s/M",
        "2nd half",
        *(f"{server} CPU s/M" for server in servers),
        "peak MB",
        "others",
        "engine ÷ it",
        title=title,
    )
    for one in contenders.values():
        ratio = one["engine_ratio"]
        table.add_row(
            one["title"],
            one["guarantee"],
            f"{one['events']:,}",
            f"{one['events_per_second']:,}",
            f"{one['second_half_events_per_second']:,}",
            f"{one['cpu_seconds_per_million']:.1f}",
            f"{one['second_half_cpu_seconds_per_million']:.1f}",
            *(f"{cpu:.1f}" for cpu in one["servers_cpu_seconds_per_million"].values()),
            f"{one['peak_mb']:,}",
            f"{one['processors_busy_with_others']:.2f}",
            "" if ratio is None else f"{ratio['median']:.2f}",
        )
    return table


def target_lines(found: Mapping[str, Any]) -> list[str]:
    """One a target."""
    return [
        f"{'met' if target['met'] else 'NOT met'}: {target['ratio']}: {target['median']:.2f} "
        f"(wanted {'at least' if target['ratio'].endswith('rate') else 'at most'} {target['wanted']}), "
        f"rounds {target['rounds']}"
        for target in found["targets"]
    ]


def latency_table(found: Mapping[str, Latency], rate: int) -> Table:
    """For the terminal."""
    table = Table(
        "contender",
        "guarantee",
        "appeals",
        "p50 ms",
        "p99 ms",
        "worst ms",
        title=f"{rate:,} appeals a second, produced until visible to read_committed",
    )
    for name, one in found.items():
        contender = CONTENDERS[name]
        cells = (f"{one.appeals:,}", f"{one.p50:.0f}", f"{one.p99:.0f}", f"{one.worst:.0f}")
        table.add_row(contender.title, contender.guarantee, *cells)
    return table
