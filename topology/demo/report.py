"""How the balance is printed."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from topology.demo import rates
from topology.demo.balance import Line
from topology.demo.scene import Scene
from topology.demo.traffic import first_burst_s


def show(console: Console, lines: Sequence[Line], faults: Sequence[str], scene: Scene) -> None:
    """Print every line with its verdict, then what else went wrong, then the sum of it."""
    console.print("\n[bold]Balance[/], read back from the topics with read_committed")
    table = Table.grid(padding=(0, 1))
    for _ in range(2):
        table.add_column(justify="right", no_wrap=True)
    for line in lines:
        mark = Text(" ✓", style="bold green") if line.even else Text(" ✗", style="bold red")
        table.add_row(mark, f"{line.total:,}", line.whole, "=", _told(line))
    console.print(table, highlight=False)
    for fault in faults:
        console.print(Text(f"  ✗ {fault}", style="red"), soft_wrap=True)
    for told in suspected(scene):
        console.print(told, highlight=False, soft_wrap=True)
    seconds, total = scene.elapsed_s, lines[0].total if lines else 0
    console.print(f"\n{total:,} records in {seconds:.0f} s, draining included", highlight=False)
    if faults or not all(line.even for line in lines):
        console.print("[bold red]It does not come out even.[/]")
    else:
        console.print("[bold green]Even.[/] Every appeal ended in exactly one way, and nothing was done twice.")


def suspected(scene: Scene) -> list[str]:
    """What the insights found, and how long after the detector version had begun to strike wrongly.

    No part of the balance: what they have not found yet, they may find a second later.
    """
    misfires = list(scene.view.totals.misfires.values())
    burst_s = scene.began_s + first_burst_s(scene.plan)
    lines = ["\n[bold]Insights[/], read from misfire.alerts"]
    for misfire in misfires:
        on_purpose = misfire.alert.detector == rates.MISFIRE
        when = f", {misfire.at_s - burst_s:.1f} s after it began" if on_purpose else ""
        lines.append(f"  {misfire}{when}")
    if not any(misfire.alert.detector == rates.MISFIRE for misfire in misfires):
        made = f"{rates.MISFIRE.name} {rates.MISFIRE.version}"
        lines.append(f"  {made}, which strikes wrongly on purpose, was not found in this time")
    return lines


def _told(line: Line) -> Text:
    text = Text(" + ".join(f"{count:,} {name}" for name, count in line.parts.items()))
    if not line.even:
        text.append(f"\ndifference {line.difference:+,}: {'; '.join(line.faults)}", style="red")
    return text
