"""The balance as a table by year, and as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from topology.engine.errors import Misconfigured
from topology.replay.balance import Balance, Dropped, Line


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
    console.print(_table(balance))
    _show_dropped("rows that made no record", balance.rows_skipped, console)
    _show_dropped("users named that made no record", balance.users_unmatched, console)
    for title, counts in (("reviews rejected", balance.reviews_rejected), ("dead letters", balance.dead_letters)):
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


def _table(balance: Balance) -> Table:
    title = f"{balance.file}, mapping {balance.mapping}"
    table = Table(title=title, caption="An appeal and what became of it count in the year in which it arrived.")
    table.add_column("year")
    reasons = sorted(balance.total.refused)
    outcomes = sorted(balance.total.decided)
    heads = ["enforce-\nments", "lifted", "appeals"]
    if balance.processed:
        heads += ["cases", *(f"refused\n{reason.replace('_', ' ')}" for reason in reasons), "parked", "with-\ndrawn"]
        heads += [*(f"decided\n{outcome}" for outcome in outcomes), "open", "dead\nletters"]
    for head in heads:
        table.add_column(head, justify="right")
    lines = [*balance.years.items(), ("total", balance.total)]
    for index, (name, line) in enumerate(lines):
        cells = [line.enforcements, line.lifted, line.appeals]
        if balance.processed:
            cells += _outcome_cells(line, reasons, outcomes)
        table.add_row(name, *(f"{n:,}" if n else "·" for n in cells), end_section=index >= len(lines) - 2)
    return table


def _outcome_cells(line: Line, reasons: list[str], outcomes: list[str]) -> list[int]:
    return [
        line.cases,
        *(line.refused.get(reason, 0) for reason in reasons),
        line.parked,
        line.withdrawn,
        *(line.decided.get(outcome, 0) for outcome in outcomes),
        line.open,
        line.dead_letters,
    ]


def _show_dropped(title: str, dropped: Iterable[Dropped], console: Console) -> None:
    counts: dict[str, int] = {}
    for item in dropped:
        name = f"{item.kind} {item.reason}"
        counts[name] = counts.get(name, 0) + item.count
    if counts:
        console.print(f"{title}: {_listed(counts)}", highlight=False)


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()))
