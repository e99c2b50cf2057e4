"""Says on a terminal what the audit holds and what was found in it. What others wrote is never read as markup."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from schemas.records import Case, CaseEvent
from schemas.vocabulary import CaseEventKind
from topology import tables
from topology.audit.replay import Difference, Outcome
from topology.audit.story import Story
from topology.audit.verify import Report
from topology.reversals.show import show_life

_FOLLOWED = {
    CaseEventKind.IMMUNITY_GRANTED: "against {policy} by detector {detector} until {until}, for enforcement {e}",
    CaseEventKind.IMMUNITY_BREACHED: "enforcement {e} strikes what reversal {reversal_id} made immune",
    CaseEventKind.ENFORCEMENT_REMANDED: "{e} went back with the guidance {guidance_ref}, to be answered by {answer_by}",
    CaseEventKind.REMAND_ANSWERED: "the enforcing side answered about {e}: {reason}",
    CaseEventKind.REMAND_OVERDUE: "the enforcing side has not answered about {e}",
    CaseEventKind.INTERNAL_CASE_OPENED: "case {case} on {e} with {pod}, because of the {origin} ({because})",
}
"""What lines say that are about more than the case itself."""
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
    for life in story.lives():
        show_life(life, console)
    _show_followed(story, console)
    if story.case is not None:
        _show_open(story.case, console)


def _timeline(lines: list[CaseEvent]) -> Table:
    table = tables.table(
        "What happened (UTC)", ("time", "line", "what", "who", "version", "state", "pod", "band", "reason")
    )
    for line in lines:
        reason = " ".join(str(part) for part in (line.outcome, line.reason) if part is not None)
        tables.row(
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
    table = tables.table("What each step saw, and by which rulebook", ("line", "what", "saw", "rulebook"))
    for line in lines:
        seen = "\n".join(f"{name}={_readable(name, value)}" for name, value in sorted(line.saw.items()))
        tables.row(table, line.seq, line.kind, seen, line.rulebook_digest)
    console.print(table)


def _readable(name: str, value: str) -> str:
    """Times are milliseconds in the audit, and dates here."""
    is_time = name.endswith(("_at", "until", "_by")) and value.isdecimal()
    return f"{value} ({at(int(value))})" if is_time else value


def _show_followed(story: Story, console: Console) -> None:
    """What else came of it: consequences, immunity, and a remand with its answer."""
    for line, led_to in story.consequences():
        about = f"enforcement {line.enforcement_id}, which rested on what reversal {line.saw.get('caused_by')} undoes"
        console.print(Text(f"Consequence {at(line.occurred_at)}: {about}: {line.reason}, so {led_to}"), soft_wrap=True)
    for line in story.lines:
        told = _told(line)
        if told is not None:
            console.print(Text(f"{line.kind} {at(line.occurred_at)}: {told}"), soft_wrap=True)


def _told(line: CaseEvent) -> str | None:
    template = _FOLLOWED.get(line.kind)
    if template is None:
        return None
    seen: defaultdict[str, str] = defaultdict(lambda: "unknown")
    seen.update({name: _readable(name, value) for name, value in line.saw.items() if value})
    seen.update(e=line.enforcement_id or "", case=line.case_id or "", pod=line.pod or "", reason=line.reason or "")
    return template.format_map(seen)


def _show_open(case: Case, console: Console) -> None:
    table = tables.table("The case is open", ("what", "is"))
    claim = case.claim
    tables.row(table, "state", f"{case.state}, version {case.version}, with {case.pod}")
    tables.row(table, "claim", "none" if claim is None else f"{claim.reviewer}, until {at(claim.until)}")
    tables.row(table, "due", f"{at(case.due_at)}; promised {at(case.promised_at)}; ranked at {at(case.rank_at)}")
    tables.row(table, "routing", f"{case.routing.rule}: {case.routing.because}")
    for part in case.components:
        tables.row(table, f"  {part.name}", f"{part.contribution:.0f} of {case.score}: {part.because}")
    if case.pause is not None:
        tables.row(table, "waits", _as_json.encode(case.pause).decode())
    if case.second_review is not None:
        tables.row(table, "second review", _as_json.encode(case.second_review).decode())
    if case.proposal is not None:
        tables.row(table, "proposal", _as_json.encode(case.proposal).decode())
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
    table = tables.table("First line that differs", ("field", "audit", "replay"))
    for name in sorted(audit.keys() | replayed.keys()):
        if audit.get(name) != replayed.get(name):
            tables.row(table, name, audit.get(name), replayed.get(name))
    console.print(table)


def _fields(line: CaseEvent | None) -> dict[str, object]:
    return {} if line is None else msgspec.json.decode(_as_json.encode(line))


def _many(number: int, what: str) -> str:
    """A count with its noun in the right number."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
