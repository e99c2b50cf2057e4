"""The figures of a run as Markdown, between the two marks of a page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from bench.peers.registry import CONTENDERS
from bench.peers.table import target_lines

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


def write(page: Path, found: dict[str, Any]) -> None:
    """Put the figures between the marks; what is around them stays.

    Raises:
        SystemExit: the page has no marks.
    """
    text = page.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{page} has no {BEGIN} and {END} to write the figures between")
    page.write_text(f"{before}{BEGIN}\n\n{markdown(found)}\n\n{END}{after}", encoding="utf-8")


def markdown(found: dict[str, Any]) -> str:
    """Of what `--json` holds; a stage that was not run is not told of."""
    parts = [part for stage, part in _PARTS.items() if found.get(stage)]
    lines = [_machine(found["machine"]), *(line for part in parts for line in ("", *part(found)))]
    if found.get("left_out"):
        lines += ["", *(f"- {name} was left out: {why.splitlines()[0]}" for name, why in found["left_out"].items())]
    return "\n".join(lines)


def _machine(machine: dict[str, Any]) -> str:
    return (
        f"Measured with `make bench-peers` on a shared machine of {machine['cores']} cores and {machine['memory_gb']} "
        f"GB that also ran the broker and Redis, Python {machine['python']}."
    )


def _throughput(found: dict[str, Any]) -> Iterable[str]:
    yield "### Throughput"
    yield ""
    yield from _rounds(found["throughput"])


def _long(found: dict[str, Any]) -> Iterable[str]:
    yield "### Over more events, when a JVM is warm"
    yield ""
    yield from _rounds(found["long"])


def _rounds(stage: dict[str, Any]) -> Iterable[str]:
    contenders = stage["contenders"].values()
    servers = list(next(iter(contenders))["servers_cpu_seconds_per_million"])
    yield f"One worker, the median of {stage['rounds']} rounds; CPU in seconds a million events."
    yield "Others: how many cores were busy with what belongs neither to the contender nor to broker and Redis."
    yield ""
    yield from _table(
        ["", "guarantee", "events", "events/s", "second half", "CPU", "second half"]
        + [f"{server} CPU" for server in servers]
        + ["peak MB", "others", "engine ÷ it"],
        [
            [
                one["title"],
                one["guarantee"],
                f"{one['events']:,}",
                f"{one['events_per_second']:,}",
                f"{one['second_half_events_per_second']:,}",
                f"{one['cpu_seconds_per_million']:.1f}",
                f"{one['second_half_cpu_seconds_per_million']:.1f}",
                *(f"{one['servers_cpu_seconds_per_million'][server]:.1f}" for server in servers),
                f"{one['peak_mb']:,}",
                f"{one['processors_busy_with_others']:.2f}",
                f"{one['engine_ratio']['median']:.2f}" if one["engine_ratio"] else "",
            ]
            for one in contenders
        ],
    )
    yield ""
    yield from (f"- {line}" for line in target_lines(stage))


def _latency(found: dict[str, Any]) -> Iterable[str]:
    stage = found["latency"]
    yield "### Latency"
    yield ""
    yield f"{stage['rate']:,} appeals a second; milliseconds from `produce` until a `read_committed` reader has it."
    yield ""
    yield from _table(
        ["", "guarantee", "appeals", "p50", "p99", "worst"],
        [
            [
                CONTENDERS[name].title,
                CONTENDERS[name].guarantee,
                f"{one['appeals']:,}",
                *(f"{one[figure]:,.0f}" for figure in ("p50", "p99", "worst")),
            ]
            for name, one in stage["contenders"].items()
        ],
    )


def _recovery(found: dict[str, Any]) -> Iterable[str]:
    one = found["recovery"]
    yield "### Recovery of Kafka Streams without a standby"
    yield ""
    yield f"{one['users']:,} users of {one['history_bytes']} bytes; seconds from when it has its partitions."
    yield ""
    yield from _table(
        [
            "",
            "records restored",
            "restored after",
            "records/s",
            "first new case after",
            "JVM and joining, before",
            "CPU s",
        ],
        [
            [
                title,
                f"{back['restored']:,}",
                f"{back['restore_s']:.1f}",
                f"{back['records_per_second']:,.0f}",
                f"{back['first_case_s']:.1f}",
                f"{back['to_assignment_s']:.1f}",
                f"{back['cpu_s']:.0f}",
            ]
            for title, back in (
                ("killed, local state still there", one["killed"]),
                ("stopped, local state lost", one["lost"]),
            )
        ],
    )


_PARTS = {"throughput": _throughput, "long": _long, "latency": _latency, "recovery": _recovery}


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterable[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{' --- |' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
