"""Says on a terminal what is known of remedies. What others wrote is never read as markup."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from schemas.records import RemedyCounts, RemedyReported
from schemas.remedy_whole import Whole, share
from schemas.vocabulary import RemedyEventKind
from topology import tables
from topology.reversals import words

COLUMNS = ("partition", "state", "enforcements", "users", "to give back", "spared", "skipped", "done", "share done")


def show_list(found: Iterable[Whole], console: Console) -> None:
    """All remedies, one line each."""
    table = tables.table(
        "Remedies", ("remedy", "state", "detector", "enforcements", "done", "partitions", "proposed by")
    )
    for whole in found:
        first = whole.first
        tables.row(
            table,
            whole.remedy_id,
            states(whole),
            f"{first.detector.name} {first.detector.version}",
            whole.cohort.enforcements,
            whole.done.enforcements,
            f"{len(whole.reports)} of {whole.partitions}",
            first.proposed_by,
        )
    console.print(table)


def told(whole: Whole) -> RenderableType:
    """One remedy: what it is about, who wants it, each partition and the sum, examples."""
    first = whole.first
    issued = f"issued {words.at(first.issued_from)} to {words.at(first.issued_until)} (UTC, the end not included)"
    detector = f"detector {first.detector.name} {first.detector.version}"
    lines = [
        f"Remedy {whole.remedy_id}: {states(whole)}",
        f"  cohort     {detector}, policy {first.policy or 'any'}, {issued}",
        f"  speed      at most {first.per_second} a second",
        f"  proposed   by {first.proposed_by}",
        f"  approved   by {', '.join(whole.approved_by) or 'nobody yet'}",
        f"  answered   {len(whole.reports)} of {whole.partitions} partitions have answered",
        f"  actions    {_named(whole.cohort.by_action)}",
    ]
    return Group(*map(Text, lines), _partitions(whole), _examples(whole))


def states(whole: Whole) -> str:
    """The state, or how many partitions are in each."""
    found = whole.states
    if len(found) == 1:
        return str(next(iter(found)))
    return ", ".join(f"{state} {number}" for state, number in sorted(found.items()))


def tell_answers(answers: Mapping[int, RemedyReported], partitions: int, console: Console) -> None:
    """What partitions said to a command, refusals by reason."""
    said: Counter[tuple[str, str]] = Counter()
    for report in answers.values():
        refused = report.kind is RemedyEventKind.REFUSED
        said[str(report.kind), (report.reason or "no reason") if refused else str(report.state)] += 1
    for (kind, what), number in sorted(said.items()):
        text = f"{kind}: {what}" if kind == RemedyEventKind.REFUSED else f"{kind}, now {what}"
        say(console, f"answer   {number} of {partitions} partitions {text}")


def say(console: Console, text: str) -> None:
    """One line, never markup."""
    console.print(Text(text), soft_wrap=True)


def _partitions(whole: Whole) -> Table:
    table = tables.table("By partition", COLUMNS)
    for number in range(whole.partitions):
        report = whole.reports.get(number)
        if report is None:
            tables.row(table, number, "no answer yet")
        else:
            tables.row(table, number, report.state, *_cells(report.cohort, report.spared, report.skipped, report.done))
    table.add_section()
    tables.row(table, "all", states(whole), *_cells(whole.cohort, whole.spared, whole.skipped, whole.done))
    return table


def _cells(
    cohort: RemedyCounts, spared: Mapping[str, int], skipped: Mapping[str, int], done: RemedyCounts
) -> list[str]:
    part = share(done, sum(skipped.values()), cohort)
    return [
        str(cohort.enforcements),
        str(cohort.users),
        "\n".join(words.money(amount) for amount in cohort.money),
        _named(spared),
        _named(skipped),
        str(done.enforcements),
        f"{part:.0%}",
    ]


def _examples(whole: Whole) -> Table:
    table = tables.table("Examples", ("user", "enforcement", "action", "issued (UTC)", "amount"))
    for _, report in sorted(whole.reports.items()):
        for one in report.examples:
            issued, amount = words.at(one.issued_at), words.money(one.amount)
            tables.row(table, one.user_id, one.enforcement_id, one.action, issued, amount)
    return table


def _named(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {number}" for name, number in sorted(counts.items())) or "none"
