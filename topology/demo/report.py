"""How the balance is printed."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from topology.demo.balance import Line
from topology.demo.scene import Scene


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
    seconds, total = scene.elapsed_s, lines[0].total if lines else 0
    console.print(f"\n{total:,} records in {seconds:.0f} s, draining included", highlight=False)
    if faults or not all(line.even for line in lines):
        console.print("[bold red]It does not come out even.[/]")
    else:
        console.print("[bold green]Even.[/] Every appeal ended in exactly one way, and nothing was done twice.")


def _told(line: Line) -> Text:
    text = Text(" + ".join(f"{count:,} {name}" for name, count in line.parts.items()))
    if not line.even:
        text.append(f"\ndifference {line.difference:+,}: {'; '.join(line.faults)}", style="red")
    return text
