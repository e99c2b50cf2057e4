"""Says on a terminal what the audit holds and what was found in it. What others wrote is never read as markup."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from schemas.records import Case, CaseEvent, ReversalConfirmed, ReversalOrdered
from topology.audit.replay import Difference, Outcome
from topology.audit.story import Story
from topology.audit.verify import Report

_as_json = msgspec.json.Encoder(order="sorted")


def at(millis: int) -> str:
    """UTC, to the millisecond."""
    return f"{datetime.fromtimestamp(millis / 1000, UTC):%Y-%m-%d %H:%M:%S}.{millis % 1000:03}"


def as_json(line: CaseEvent) -> str:
    """One line of the audit on one line: its canonical form and its hash."""
    return _as_json.encode(line).decode()


def show_story(story: Story, console: Console) -> None:
    """A case's whole life."""
    for name, found in (
        ("case", story.case_ids),
        ("appeal", story.appeal_ids),
        ("enforcement", story.enforcement_ids),
        ("user", [story.user_id]),
    ):
        console.print(Text(f"{name:<12} {', '.join(found) or 'none'}"), soft_wrap=True)
    console.print(_timeline(story.lines))
    _show_seen(story.lines, console)
    for record in story.reversals:
        _show_reversal(record, story, console)
    if story.case is not None:
        _show_open(story.case, console)


def _timeline(lines: list[CaseEvent]) -> Table:
    table = _table("What happened (UTC)", "time", "line", "what", "who", "version", "state", "pod", "band", "reason")
    for line in lines:
        reason = " ".join(str(part) for part in (line.outcome, line.reason) if part is not None)
        _row(
            table,
            at(line.occurred_at),
            line.seq,
            line.kind,
            line.actor,
            line.case_version,
            line.state,
            line.pod,
            line.band,
            reason,
        )
    return table


def _show_seen(lines: list[CaseEvent], console: Console) -> None:
    table = _table("What each step saw, and by which rulebook", "line", "what", "saw", "rulebook")
    for line in lines:
        seen = "\n".join(f"{name}={_readable(name, value)}" for name, value in sorted(line.saw.items()))
        _row(table, line.seq, line.kind, seen, line.rulebook_digest)
    console.print(table)


def _readable(name: str, value: str) -> str:
    """Times are milliseconds in the audit, and dates here."""
    is_time = name.endswith(("_at", "until")) and value.isdecimal()
    return f"{value} ({at(int(value))})" if is_time else value


def _show_reversal(record: ReversalOrdered | ReversalConfirmed, story: Story, console: Console) -> None:
    if isinstance(record, ReversalConfirmed):
        text = (
            f"Reversal {record.reversal_id} confirmed {at(record.confirmed_at)}: {len(record.directive_ids)} directives"
        )
        console.print(Text(text), soft_wrap=True)
        return
    answers = story.answers()
    title = f"Reversal {record.reversal_id} ordered {at(record.ordered_at)}, attempt {record.attempt}"
    table = _table(title, "directive", "system", "operation", "target", "effect", "amount", "surviving", "answer")
    for directive in record.directives:
        answer = answers.get(directive.directive_id)
        amount = directive.amount
        _row(
            table,
            directive.directive_id,
            directive.system,
            directive.operation,
            f"{directive.target.kind} {directive.target.id}",
            directive.effect_id,
            None if amount is None else f"{amount.value} {amount.currency}",
            ", ".join(f"{s.enforcement_id} ({s.action})" for s in directive.surviving),
            "none yet" if answer is None else f"{answer.reason} {at(answer.occurred_at)}",
        )
    console.print(table)


def _show_open(case: Case, console: Console) -> None:
    table = _table("The case is open", "what", "is")
    claim = case.claim
    _row(table, "state", f"{case.state}, version {case.version}, with {case.pod}")
    _row(table, "claim", "none" if claim is None else f"{claim.reviewer}, until {at(claim.until)}")
    _row(table, "due", f"{at(case.due_at)}; promised {at(case.promised_at)}; ranked at {at(case.rank_at)}")
    _row(table, "routing", f"{case.routing.rule}: {case.routing.because}")
    for part in case.components:
        _row(table, f"  {part.name}", f"{part.contribution:.0f} of {case.score}: {part.because}")
    if case.pause is not None:
        _row(table, "waits", _as_json.encode(case.pause).decode())
    if case.second_review is not None:
        _row(table, "second review", _as_json.encode(case.second_review).decode())
    if case.proposal is not None:
        _row(table, "proposal", _as_json.encode(case.proposal).decode())
    console.print(table)


def show_report(report: Report, console: Console) -> None:
    """What `verify` found."""
    for fault in report.faults:
        where = "" if fault.place is None else f"{fault.place}  "
        which = "" if fault.seq is None else f"line {fault.seq}  "
        console.print(Text(f"{fault.kind:<11} {where}user {fault.user_id}  {which}{fault.text}"), soft_wrap=True)
    found = _many(len(report.faults), "fault") if report.faults else "every chain is whole"
    text = f"{_many(report.users, 'user')}, {_many(report.lines, 'line')} verified: {found}"
    if report.unchained:
        text += f" ({report.unchained} lines are from before there was a chain: verified by number only)"
    console.print(Text(text), soft_wrap=True)
    if any(fault.kind == "altered" for fault in report.faults):
        text = "To an older version a line that a newer one wrote can look altered: verify with the newest that wrote."
        console.print(Text(text), soft_wrap=True)


def show_outcome(user_id: str, total: int, outcome: Outcome, console: Console) -> None:
    """What `replay` found."""
    same = f"{outcome.lines} of {_many(total, 'line')} came out identical"
    text = f"{user_id}: {same}, from {_many(outcome.inputs, 'input')}"
    console.print(Text(f"{text} under {_many(outcome.rulebooks, 'rulebook')}"), soft_wrap=True)
    if outcome.difference is not None:
        _show_difference(outcome.difference, console)


def _show_difference(difference: Difference, console: Console) -> None:
    console.print(Text(f"line {difference.seq} differs: {difference.text}"), soft_wrap=True)
    audit, replayed = _fields(difference.audit), _fields(difference.replayed)
    if not replayed and audit:
        console.print(Text(f"audit   {as_json(difference.audit)}"), soft_wrap=True)  # type: ignore[arg-type]
        return
    table = _table("First line that differs", "field", "audit", "replay")
    for name in sorted(audit.keys() | replayed.keys()):
        if audit.get(name) != replayed.get(name):
            _row(table, name, audit.get(name), replayed.get(name))
    console.print(table)


def _fields(line: CaseEvent | None) -> dict[str, object]:
    return {} if line is None else msgspec.json.decode(_as_json.encode(line))


def _table(title: str, *headings: str) -> Table:
    table = Table(*headings, title=Text(title), title_justify="left")
    for column in table.columns:
        column.overflow = "fold"
    return table


def _row(table: Table, *cells: object) -> None:
    table.add_row(*(Text("" if cell is None else str(cell)) for cell in cells))


def _many(number: int, what: str) -> str:
    """A count with its noun in the right number."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
