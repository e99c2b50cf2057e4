"""A simulation as a page of tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

import msgspec
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from schemas.vocabulary import Band
from topology.simulate.books import BookChange
from topology.simulate.changes import Change, Kind, moment
from topology.simulate.compare import Comparison, Moved, NoLongerFits, Tally

HOUR_MS = 3_600_000
DAY_H = 24
LONG_H = 72
_SHOWN_ONCE = {Kind.SCORE: Kind.BAND, Kind.RULE: Kind.POD}
"""A difference that is no news beside another one of the same case."""
_MOMENTS = (Kind.RANK, Kind.PROMISED, Kind.DUE)


class Book(msgspec.Struct, frozen=True):
    """A rulebook, as the head names it."""

    name: str
    digest: str
    path: str


class Result(msgspec.Struct, kw_only=True):
    """Everything that a simulation says."""

    source: str
    notes: list[str]
    old: Book
    new: Book
    inputs: int
    """Records, those that could not be judged included."""
    since: int | None
    until: int | None
    rulebook: list[BookChange]
    comparison: Comparison
    seconds: float


def show(result: Result, console: Console, examples: int) -> None:
    """Print it, with at most so many examples for each kind of difference."""
    _head(result, console)
    found = result.comparison
    if not found.differs:
        console.print("[green]no difference[/]  every appeal fares the same under both rulebooks", highlight=False)
        return
    _bands(found.bands, console)
    for title, moved in (("pods", found.pods), ("answers to appeals", found.answers), ("outcomes", found.outcomes)):
        _moves(title, moved, console)
    _kept(found, console)
    _second_reviews(found, console)
    _reviews(found, console)
    _others(found, console)
    _examples(found.changes, console, examples)
    _line(console, f"[yellow]differs[/]  {found.appeals_changed:,} of {found.appeals:,} appeals fare differently")


def _head(result: Result, console: Console) -> None:
    found = result.comparison
    _line(
        console,
        f"source   {escape(result.source)}: {result.inputs:,} inputs, read and folded twice in {result.seconds:.1f} s",
    )
    for name, book in (("old", result.old), ("new", result.new)):
        _line(console, f"{name:<9}{escape(f'{book.name} {book.digest} ({book.path})')}")
    if result.since is not None or result.until is not None:
        since, until = (None if at is None else moment(at) for at in (result.since, result.until))
        _line(console, f"window   answered from {since or 'the beginning'} to {until or 'the end'} (UTC)")
    cases = found.cases
    count = f"{cases.old:,}" if cases.old == cases.new else f"{cases.old:,} -> {cases.new:,}"
    _line(console, f"compared {found.appeals:,} appeals, {count} cases")
    if found.internal.old or found.internal.new:
        _line(console, f"         {_both(found.internal)} of them without an appeal")
    for note in result.notes:
        _line(console, f"[yellow]note[/]     {escape(note)}")
    for tally in found.dead_letters:
        _line(console, f"[yellow]note[/]     dead letters, {tally.name}: {_both(tally)}")
    if result.old.digest == result.new.digest:
        _line(console, "rulebook the same content")
    for change in result.rulebook:
        _line(console, f"rulebook {escape(str(change))}")


def _bands(bands: Sequence[Moved], console: Console) -> None:
    """Old bands down, new ones across."""
    seen = {moved.old for moved in bands} | {moved.new for moved in bands}
    names = [str(band) for band in Band if str(band) in seen]
    if all(moved.old == moved.new for moved in bands):
        return
    table = _table("", *names)
    counts = {(moved.old, moved.new): moved.count for moved in bands}
    for old in names:
        cells = [counts.get((old, new), 0) for new in names]
        shown = [
            f"[dim]{n:,}[/]" if old == new and n else f"{n:,}" if n else "·"
            for new, n in zip(names, cells, strict=True)
        ]
        table.add_row(old, *shown)
    _print("bands at opening: old down, new across", table, console)


def _moves(title: str, moved: Sequence[Moved], console: Console) -> None:
    if moved:
        table = _table("old", "new", "appeals", left=2)
        for move in sorted(moved, key=lambda move: (-move.count, move.old, move.new)):
            table.add_row(escape(move.old), escape(move.new), f"{move.count:,}")
        _print(title, table, console)


def _kept(found: Comparison, console: Console) -> None:
    table = _table("", "", "old", "new", left=2)
    for title, tallies in (("deadline", found.deadlines), ("promise", found.promises), ("decided", found.decided_by)):
        if any(tally.old != tally.new for tally in tallies):
            for tally in tallies:
                table.add_row(title, tally.name, f"{tally.old:,}", f"{tally.new:,}")
    for tally in found.consequences:
        if tally.old != tally.new:
            table.add_row("judged again", escape(tally.name), f"{tally.old:,}", f"{tally.new:,}")
    if table.row_count:
        _print("deadlines, promises and automatic decisions", table, console)


def _second_reviews(found: Comparison, console: Console) -> None:
    names = sorted({*found.second_reviews_added, *found.second_reviews_removed})
    if names:
        table = _table("trigger", "added", "removed")
        for name in names:
            added, removed = found.second_reviews_added.get(name, 0), found.second_reviews_removed.get(name, 0)
            table.add_row(escape(name), f"{added:,}", f"{removed:,}")
        _print("second reviews by trigger", table, console)


def _reviews(found: Comparison, console: Console) -> None:
    for title, items in (
        ("recorded reviews that no longer fit", found.no_longer_fits),
        ("recorded reviews that fit only under the new rulebook", found.fits_only_now),
    ):
        if items:
            _line(console, f"{title}: {_counted(items)}")
    if found.cases_unfit:
        _line(console, f"  how {found.cases_unfit:,} cases with such a review end is no forecast")


def _others(found: Comparison, console: Console) -> None:
    if found.users_otherwise:
        _line(console, f"records that belong to no appeal differ for {found.users_otherwise:,} users")
    listed = ", ".join(f"{kind} {count:,}" for kind, count in found.changed.items())
    if listed:
        _line(console, f"appeals by what differs: {listed}")


def _examples(found: Sequence[Change], console: Console, limit: int) -> None:
    if not limit:
        return
    kinds: dict[str, set[tuple[str, str]]] = {}
    for change in found:
        kinds.setdefault(change.kind, set()).add((change.user_id, change.appeal_id))
    for kind, group in groupby(found, key=lambda change: change.kind):
        other = _SHOWN_ONCE.get(kind)
        told = kinds.get(other, set()) if other is not None else set[tuple[str, str]]()
        items = [change for change in group if (change.user_id, change.appeal_id) not in told]
        if items:
            console.print()
            _line(console, f"[bold]{_title(kind)}[/], {min(limit, len(items)):,} of {len(items):,}")
            for change in items[:limit]:
                _example(change, console)


def _example(change: Change, console: Console) -> None:
    which = f"appeal {change.appeal_id}" if change.case_id is None else f"case {change.case_id}"
    moved = f"  {change.old} -> {change.new}" if change.old or change.new else ""
    by = f"  ({_span(change.size)})" if change.kind in _MOMENTS else ""
    _line(console, f"  {escape(which)}{escape(moved)}{by}")
    for reason in change.because:
        _line(console, f"    {escape(reason)}")


def _title(kind: Kind) -> str:
    return f"largest changes of {kind}" if kind in _MOMENTS or kind is Kind.SCORE else kind.value


def _span(ms: int) -> str:
    hours = ms / HOUR_MS
    return f"{hours / DAY_H:.1f} days" if hours >= LONG_H else f"{hours:.1f} hours"


def _counted(items: Iterable[NoLongerFits]) -> str:
    return ", ".join(f"{item.event} {item.reason} {item.count:,}" for item in items)


def _both(tally: Tally) -> str:
    return f"{tally.old:,}" if tally.old == tally.new else f"{tally.old:,} -> {tally.new:,}"


def _table(*heads: str, left: int = 1) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for index, head in enumerate(heads):
        table.add_column(head, justify="left" if index < left else "right")
    return table


def _print(title: str, table: Table, console: Console) -> None:
    _line(console, f"[bold]{title}[/]")
    console.print(table)


def _line(console: Console, text: str) -> None:
    console.print(text, highlight=False, soft_wrap=True)
