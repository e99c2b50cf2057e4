"""Tables on a terminal. What others wrote is never read as markup, and nothing is cut off."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table
from rich.text import Text


def table(title: str, headings: Iterable[str]) -> Table:
    """An empty one."""
    made = Table(*headings, title=Text(title), title_justify="left")
    for column in made.columns:
        column.overflow = "fold"
    return made


def row(made: Table, *cells: object) -> None:
    """One more row; None is an empty cell."""
    made.add_row(*(Text("" if cell is None else str(cell)) for cell in cells))
