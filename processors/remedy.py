"""A remedy in one partition: proposed, tried dry, approved by two, then run through its cohort in chunks.

Its commands come from several people, and partitions may meet them in different orders. So where it stands is a
function of what is known, not of when it became known: approvals are a set, of pauses and resumptions the latest by
its own time counts, whether the remedy runs yet or not, and a stop is final. What differs is only how far it came.
"""

from collections.abc import Callable
from typing import Any

from processors import cohort as index
from processors.errors import ImpossibleInputError, UnknownRecordError, UnknownSymbolError
from processors.remedy_reasons import RemedyRefusal
from processors.remedy_report import Command, answer, refuse, report
from processors.remedy_run import PREVIEW_TERMS, RemedyContext, next_chunk, preview, run, terms_a_chunk
from processors.remedy_state import Cohort, Proposal, Remedy, Steered
from schemas.records import (
    Millis,
    RemedyApproved,
    RemedyDue,
    RemedyProposed,
    RemedySteered,
)
from schemas.vocabulary import RemedyEventKind, RemedyState, RemedySteer

MAX_COMMANDS = 64
MAX_APPROVALS = 16

AT_REST = RemedyState.UNKNOWN, RemedyState.STOPPED, RemedyState.DONE
"""In these it does nothing any more; in the first one, as long as nobody proposes it."""


def handle(remedy: Remedy, event: Any, ctx: RemedyContext) -> None:  # noqa: ANN401 - see the table
    """Change the remedy in place, and report."""
    if getattr(event, "remedy_id", None) != remedy.remedy_id:
        raise ImpossibleInputError(f"{type(event).__name__} of another remedy than the state's")
    match event:
        case RemedyProposed():
            _command(remedy, event, ctx, lambda: on_proposed(remedy, event, ctx))
        case RemedyApproved():
            _command(remedy, event, ctx, lambda: on_approved(remedy, event, ctx))
        case RemedySteered():
            _command(remedy, event, ctx, lambda: on_steered(remedy, event, ctx))
        case RemedyDue():
            on_timer(remedy, event, ctx)
        case _:
            raise UnknownRecordError(f"no remedy has a handler for {type(event).__name__}")


def scan(remedy: Remedy) -> tuple[bytes, bytes, int] | None:
    """What the next chunk wants to look at: terms after the first, before the second, at most so many."""
    if remedy.proposal is None:
        return None
    wanted = remedy.proposal.cohort
    low, high = index.range_of(wanted.detector, wanted.version)
    match remedy.state:
        case RemedyState.PREVIEWING:
            return remedy.cursor or low, high, PREVIEW_TERMS
        case RemedyState.RUNNING:
            return remedy.cursor or low, high, terms_a_chunk(remedy, remedy.proposal)
        case _:
            return None


def on_proposed(remedy: Remedy, event: RemedyProposed, ctx: RemedyContext) -> RemedyRefusal | None:
    """Begin the dry run, or say why not."""
    if event.issued_from >= event.issued_until:
        empty = event.issued_from == event.issued_until
        return RemedyRefusal.EMPTY_RANGE if empty else RemedyRefusal.FROM_AFTER_UNTIL
    proposal = Proposal(
        event_id=event.event_id,
        proposer=event.actor,
        reason=event.reason,
        cohort=Cohort(event.detector.name, event.detector.version, event.policy, event.issued_from, event.issued_until),
        per_second=event.per_second,
        partition=event.partition,
        partitions=event.partitions,
    )
    if remedy.proposal is not None:
        if proposal.same_as(remedy.proposal):
            return RemedyRefusal.PROPOSED_ALREADY
        # Another partition may have met the two the other way round: none of them may run.
        remedy.stopped = not remedy.finished
        return RemedyRefusal.PROPOSED_DIFFERENTLY
    remedy.proposal = proposal
    remedy.commands = [event.event_id]  # what was refused before, because nobody had proposed, may be sent again
    answer(remedy, event, RemedyEventKind.PROPOSED, ctx, reason=event.reason)
    return None


def on_approved(remedy: Remedy, event: RemedyApproved, ctx: RemedyContext) -> RemedyRefusal | None:
    """Keep the approval of somebody who did not propose it; also before the dry run has ended."""
    if remedy.proposal is None:
        return RemedyRefusal.UNKNOWN_REMEDY
    if event.actor == remedy.proposal.proposer:
        return RemedyRefusal.OWN_PROPOSAL
    if event.actor in remedy.approvals:
        return RemedyRefusal.APPROVED_ALREADY
    if remedy.finished or remedy.stopped:
        return _over(remedy)
    if len(remedy.approvals) >= MAX_APPROVALS:
        return RemedyRefusal.APPROVED_ENOUGH
    remedy.approvals = dict(sorted({**remedy.approvals, event.actor: event.enforcements}.items()))
    # Whether they saw what the dry run found everywhere cannot be told here; the report lets it be told.
    answer(remedy, event, RemedyEventKind.APPROVED, ctx, reason=str(event.enforcements))
    return None


def on_steered(remedy: Remedy, event: RemedySteered, ctx: RemedyContext) -> RemedyRefusal | None:
    """Pause, resume or stop, as far as nothing later says otherwise."""
    if event.steer is RemedySteer.UNKNOWN:
        raise UnknownSymbolError(f"steering {event.event_id}: what it asks for is not known to this version")
    if remedy.proposal is None:
        return RemedyRefusal.UNKNOWN_REMEDY
    if remedy.finished or remedy.stopped:
        return _over(remedy)
    if event.steer is RemedySteer.STOP:
        remedy.stopped = True
        answer(remedy, event, RemedyEventKind.STOPPED, ctx, reason=event.reason)
        return None
    steered = Steered(event.occurred_at, event.event_id, event.steer is RemedySteer.PAUSE)
    if remedy.steered is not None and steered < remedy.steered:
        return RemedyRefusal.OVERTAKEN
    remedy.steered = steered
    kind = RemedyEventKind.PAUSED if steered.paused else RemedyEventKind.RESUMED
    answer(remedy, event, kind, ctx, reason=event.reason)
    return None


def on_timer(remedy: Remedy, event: RemedyDue, ctx: RemedyContext) -> None:
    """Go through the next chunk."""
    cause = f"timer:{event.now}"
    match remedy.state, remedy.proposal:
        case RemedyState.PREVIEWING, Proposal() as proposal:
            preview(remedy, proposal, ctx, cause)
        case RemedyState.RUNNING, Proposal() as proposal:
            run(remedy, proposal, ctx, cause)
        case _:
            pass
    _go_on(remedy, ctx, cause)


def _command(remedy: Remedy, event: Command, ctx: RemedyContext, take: Callable[[], RemedyRefusal | None]) -> None:
    if event.event_id in remedy.commands:
        return  # the same command, delivered twice
    remedy.commands = [*remedy.commands, event.event_id][-MAX_COMMANDS:]
    misled = (event.partition, event.partitions) != (ctx.partition, ctx.partitions)
    refusal = RemedyRefusal.OTHER_PARTITION if misled else take()
    if refusal is not None:
        refuse(remedy, event, refusal, ctx)
    _go_on(remedy, ctx, event.event_id)


def _over(remedy: Remedy) -> RemedyRefusal:
    return RemedyRefusal.ALREADY_DONE if remedy.finished else RemedyRefusal.ALREADY_STOPPED


def _go_on(remedy: Remedy, ctx: RemedyContext, cause: str) -> None:
    """After anything: start what may start, and say when the next chunk is due."""
    enough = len(remedy.approvals) >= ctx.rulebook.remedy.approvals
    if remedy.state is RemedyState.AWAITING_APPROVAL and enough:
        remedy.started = True
        report(remedy, RemedyEventKind.STARTED, cause, ctx)
    match remedy.state:
        case RemedyState.PREVIEWING:
            if remedy.due is None or remedy.due <= ctx.now:
                remedy.due = Millis(ctx.now + 1)
        case RemedyState.RUNNING:
            if remedy.proposal is not None and (remedy.due is None or remedy.due <= ctx.now):
                remedy.due = next_chunk(remedy, remedy.proposal, ctx.now)
        case state:
            remedy.due = None
            if state in AT_REST:  # what stays is to recognise it, and to tell what it did
                remedy.cursor, remedy.credit, remedy.examples = b"", 0, []
