"""`recourse case`: show, verify and replay, from settings to what is printed."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from schemas.vocabulary import CaseEventKind
from topology.audit.reader import AuditReader
from topology.audit.replay import replay as fold_again
from topology.audit.show import as_json, show_outcome, show_report, show_story
from topology.audit.story import Story, lines_about
from topology.audit.verify import verify as walk
from topology.engine.errors import Misconfigured
from topology.settings import Settings


def show(wanted: str, settings: Settings, console: Console, *, json: bool = False) -> None:
    """Print the life of a case, by its own id or an appeal's.

    Raises:
        Misconfigured: nothing is known of it.
    """
    with AuditReader(settings) as reader:
        user_id = reader.user_of(wanted)
        placed = [one.line for one in reader.lines(user_id)]
        story = Story(user_id, lines_about(wanted, [line for line in placed if line is not None]))
        if json:
            for line in story.lines:
                print(as_json(line))  # noqa: T201 - for a pipe: no colours, no wrapping
            return
        case_ids = story.case_ids
        reversals = reader.reversals(user_id, story.reversed_for)
        decided = {line.case_id for line in story.lines if line.kind is CaseEventKind.CASE_DECIDED}
        open_cases = (reader.open_case(case_id, story.pods) for case_id in case_ids if case_id not in decided)
        case = next((one for one in open_cases if one is not None), None)
    show_story(Story(user_id, story.lines, reversals, case), console)


def verify(settings: Settings, console: Console, *, user_id: str | None = None, wanted: str | None = None) -> bool:
    """Walk the chains of all users, or of one, and print what is wrong.

    Args:
        settings: where.
        console: where to.
        user_id: only this user's chain.
        wanted: only the chain of the user whose case or appeal this is.

    Returns:
        Whether all of it is as it was written.

    Raises:
        Misconfigured: nothing is known of the user, case or appeal.
    """
    with AuditReader(settings) as reader:
        if wanted is not None:
            user_id = reader.user_of(wanted)
        heads = reader.heads(user_id)  # before the lines: see `verify.verify`
        report = walk(reader.lines(user_id), heads)
    if user_id is not None and not report.lines and not report.faults:
        raise Misconfigured(f"the audit has no line of a user {user_id}, and no dossier says that it should")
    show_report(report, console)
    return not report.faults


def replay(wanted: str, settings: Settings, console: Console) -> bool:
    """Fold the life of the user whose case or appeal this is again, and print whether the lines come out identical.

    Raises:
        Misconfigured: nothing is known of it, or its inputs do not belong together.
    """
    with AuditReader(settings) as reader:
        user_id = reader.user_of(wanted)
        placed = list(reader.lines(user_id))
        broken = next((one for one in placed if one.line is None), None)
        if broken is not None:
            raise Misconfigured(f"{broken.place} is no line of the audit ({broken.unreadable}); `recourse case verify`")
        lines = [one.line for one in placed if one.line is not None]
        outcome = fold_again(user_id, lines, reader.inputs(user_id), reader.rulebooks())
        cut = reader.beginnings_cut() if outcome.difference is not None else []
    show_outcome(user_id, len(lines), outcome, console)
    if cut:
        text = f"Inputs that are no longer there may be why: {', '.join(cut)}"
        console.print(Text(text), soft_wrap=True)
    return outcome.difference is None
