"""The balance as a table by year, and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from topology.engine.errors import Misconfigured
from topology.replay.balance import Balance, Dropped, Line

WIDEST = 1_000
"""Columns of an imagined screen, to see how wide a table would like to be."""


def write_json(balance: Balance, path: Path) -> None:
    """Write the balance; the same results give the same bytes.

    Raises:
        Misconfigured: the file cannot be written.
    """
    document = {"even": balance.even, **msgspec.to_builtins(balance)}
    try:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n")
    except OSError as exc:
        raise Misconfigured(f"{path}: cannot be written: {exc.strerror}") from exc


def show(balance: Balance, console: Console) -> None:
    """Print the table by year, what made no record, and whether the balance is even."""
    table = _table(balance, each=True)
    if Measurement.get(console, console.options.update(width=WIDEST), table).maximum > console.width:
        table = _table(balance, each=False)
    console.print(table)
    _show_dropped("rows that made no record", balance.rows_skipped, console)
    _show_dropped("users named that made no record", balance.users_unmatched, console)
    for title, counts in (
        ("refused", balance.total.refused),
        ("decided", balance.total.decided),
        ("reviews rejected", balance.reviews_rejected),
        ("dead letters", balance.dead_letters),
    ):
        if counts:
            console.print(f"{title}: {_listed(counts)}", highlight=False)
    if not balance.processed:
        return
    total = balance.total
    console.print(
        f"{total.appeals} appeals = {total.cases} cases + {sum(total.refused.values())} refused + {total.parked} "
        f"parked + {total.withdrawn} withdrawn before a case",
        highlight=False,
    )
    console.print(f"digest of all outputs: {balance.digest[:16]}", highlight=False)
    for fault in balance.faults:
        console.print(f"[red]uneven[/]  {fault}", highlight=False)
    if balance.even:
        console.print("[green]even[/]    every appeal ended exactly once")


def _table(balance: Balance, *, each: bool) -> Table:
    """By year; with `each`, a column for each reason and outcome, else their sums."""
    lines = [*balance.years.items(), ("total", balance.total)]
    heads = [name for name, _ in _cells(balance, balance.total, each=each)]
    table = Table(
        title=f"{balance.file}, mapping {balance.mapping}",
        caption="An appeal and what became of it count in the year in which it arrived.",
        box=box.SIMPLE_HEAD,
        padding=0 if not each else (0, 1, 0, 0),
        pad_edge=False,
    )
    table.add_column("year")
    for head in heads:
        table.add_column(head, justify="right")
    for index, (name, line) in enumerate(lines):
        cells = [f"{n:,}" if n else "·" for _, n in _cells(balance, line, each=each)]
        table.add_row(name, *cells, end_section=index == len(lines) - 2)
    return table


def _cells(balance: Balance, line: Line, *, each: bool) -> Iterator[tuple[str, int]]:
    yield from (("enforce-\nments", line.enforcements), ("lifted", line.lifted), ("appeals", line.appeals))
    if not balance.processed:
        return
    yield "cases", line.cases
    yield from _spread("refused", line.refused, balance.total.refused, each=each)
    yield from (("parked", line.parked), ("with-\ndrawn", line.withdrawn))
    yield from _spread("decided", line.decided, balance.total.decided, each=each)
    yield from (("open", line.open), ("dead\nletters", line.dead_letters))


def _spread(what: str, counts: dict[str, int], all_counts: dict[str, int], *, each: bool) -> Iterator[tuple[str, int]]:
    if not each:
        yield what, sum(counts.values())
        return
    for name in sorted(all_counts):
        yield "\n".join((what, *name.split("_"))), counts.get(name, 0)


def _show_dropped(title: str, dropped: Iterable[Dropped], console: Console) -> None:
    counts: dict[str, int] = {}
    for item in dropped:
        name = f"{item.kind} {item.reason}"
        counts[name] = counts.get(name, 0) + item.count
    if counts:
        console.print(f"{title}: {_listed(counts)}", highlight=False)


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()))
