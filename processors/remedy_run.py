"""What one chunk of a remedy does: the dry run counts, a sweep orders as much as the rate allows."""

from typing import NamedTuple, Protocol

from processors import cohort as index
from processors.context import Context
from processors.dossier import Dossier
from processors.remedy_judging import example, in_time, judge, tally
from processors.remedy_reasons import Spared
from processors.remedy_report import report
from processors.remedy_state import Cohort, Proposal, Remedy
from schemas.records import Millis, RemedyOrdered, UserId
from schemas.vocabulary import RemedyEventKind

PREVIEW_TERMS = 64
"""Terms that one chunk of the dry run looks at."""
RUN_TERMS = 64
"""Terms that one chunk of a sweep looks at, at most."""
FEW_TERMS = 16
"""Terms that one chunk of the first sweep looks at even when it may order fewer: most of them may be spared."""
TICK_MS = 250
"""Between two chunks of a run that has used up what it may order."""
MAX_SWEEPS = 5
"""Passages through the cohort, so that what came late is met, and yet there is an end."""
MAX_EXAMPLES = 5

_COST = 1_000
"""Of one order, times the number of partitions; see `Remedy.credit`."""


class RemedyContext(Context, Protocol):
    """What a remedy may know and do besides: the engine shows it what the index finds for its `scan`."""

    @property
    def partition(self) -> int:
        """The one whose copy this is."""
        ...

    @property
    def partitions(self) -> int:
        """Of the inputs."""
        ...

    found: tuple[bytes, ...]
    """For a timer: the terms after `scan`'s first bound and before its second, as many as it asked for."""

    def peek(self, key: str) -> Dossier | None:
        """The dossier of the owner of a found term, to look at."""
        ...

    def tell(self, key: str, event: RemedyOrdered) -> None:
        """Have the event folded into the dossier of the owner of a found term, right after this one."""
        ...


def preview(remedy: Remedy, proposal: Proposal, ctx: RemedyContext, cause: str) -> None:
    """The dry run counts: nothing is changed but the remedy itself."""
    wanted = proposal.cohort
    for found in ctx.found:
        term, dossier, spared = _look(found, wanted, ctx)
        if spared is not None or dossier is None:
            _note(remedy.spared, spared or Spared.NOT_ON_FILE)
            continue
        e = dossier.enforcements[term.enforcement_id]
        tally(remedy.cohort, term, e)
        if len(remedy.examples) < MAX_EXAMPLES:
            remedy.examples = [*remedy.examples, example(term, e)]
    if len(ctx.found) < PREVIEW_TERMS:
        remedy.previewed = True
        remedy.cursor = b""
        report(remedy, RemedyEventKind.PREVIEWED, cause, ctx)
    else:
        remedy.cursor = ctx.found[-1]
        report(remedy, RemedyEventKind.PROGRESSED, cause, ctx)


def run(remedy: Remedy, proposal: Proposal, ctx: RemedyContext, cause: str) -> None:
    """Order as much of what was found as the rate allows, and remember how far that is."""
    cost = _COST * proposal.partitions
    asked = terms_a_chunk(remedy, proposal)
    told: set[str] = set()
    looked = 0
    for found in ctx.found:
        term, dossier, spared = _look(found, proposal.cohort, ctx)
        if spared is None and dossier is not None:
            if remedy.credit < cost or (term.user_id in told and _rests_on_another(dossier)):
                break
            _order(remedy, proposal, dossier, term, ctx)
            remedy.credit -= cost
            told.add(term.user_id)
        elif spared is not None and remedy.sweep == 1:
            _note(remedy.skipped, spared)
            ctx.count("remedy_spared_total", reason=spared.value)
        looked += 1
        remedy.cursor = found
    if looked == len(ctx.found) < asked:
        _end_sweep(remedy)
    report(remedy, RemedyEventKind.DONE if remedy.finished else RemedyEventKind.PROGRESSED, cause, ctx)


def _order(remedy: Remedy, proposal: Proposal, dossier: Dossier, term: index.Term, ctx: RemedyContext) -> None:
    e = dossier.enforcements[term.enforcement_id]
    tally(remedy.done, term, e)
    remedy.ordered += 1
    ctx.count("remedy_reversals_total", action=e.action.value)
    ctx.tell(
        term.user_id,
        RemedyOrdered(
            user_id=UserId(term.user_id),
            now=Millis(ctx.now),
            remedy_id=remedy.remedy_id,
            enforcement_id=term.enforcement_id,
            version=e.version,
            approved_by=",".join(remedy.approvals),
            proposed_by=proposal.proposer,
        ),
    )


class _Met(NamedTuple):
    term: index.Term
    dossier: Dossier | None
    spared: Spared | None


def _look(found: bytes, wanted: Cohort, ctx: RemedyContext) -> _Met:
    term = index.parse(found)
    if not in_time(term, wanted):
        return _Met(term, None, Spared.NOT_IN_COHORT)
    dossier = ctx.peek(term.user_id)
    return _Met(term, dossier, judge(dossier, term, wanted, ctx.now))


def _rests_on_another(dossier: Dossier) -> bool:
    """Whether reversing one of the user's enforcements may reverse others: then each is judged after the other."""
    return any(e.caused_by is not None for e in dossier.enforcements.values())


def _end_sweep(remedy: Remedy) -> None:
    """What came while it ran may lie before where it was: begin again, until there is nothing new or enough of it."""
    remedy.finished = remedy.ordered == 0 or remedy.sweep >= MAX_SWEEPS
    remedy.sweep += not remedy.finished
    remedy.ordered = 0
    remedy.cursor = b""
    remedy.done.last_user = ""


def terms_a_chunk(remedy: Remedy, proposal: Proposal) -> int:
    """In the first sweep about what it may order; later nearly all is done, and looking costs less than ordering."""
    if remedy.sweep > 1:
        return RUN_TERMS
    return min(RUN_TERMS, max(FEW_TERMS, remedy.credit // (_COST * proposal.partitions)))


def next_chunk(remedy: Remedy, proposal: Proposal, now: int) -> Millis:
    """When the next chunk is due: at once while something may be ordered, else when that is saved up.

    Chunks follow each other in time as they were due, so one that is late makes the others no later; what is more than
    a tick late is lost. So no second sees more orders than were allowed, but for those of one tick.
    """
    missing = _COST * proposal.partitions - remedy.credit
    if missing <= 0:
        return Millis(now + 1)
    wait_ms = max(TICK_MS, -(-missing // proposal.per_second))
    remedy.credit += wait_ms * proposal.per_second
    since = now if remedy.due is None else remedy.due
    return Millis(max(now + 1, since + wait_ms))


def _note(reasons: dict[str, int], reason: Spared) -> None:
    reasons[reason.value] = reasons.get(reason.value, 0) + 1
