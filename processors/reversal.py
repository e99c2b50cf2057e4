"""Undoing an enforcement for good: what it did, what followed from it, and that it does not happen again.

Everything that falls with it is marked before anything is sent, so that no directive names as surviving what the next
line undoes. Money is booked as returned when it is ordered, once, whatever systems answer.
"""

from collections.abc import Mapping
from typing import NamedTuple

from processors import directives, ids, immunity, saga
from processors.cascade import alive, consequences, judge
from processors.closing import close_reversed
from processors.context import Context
from processors.dossier import Dossier
from processors.growth import MAX_CASCADE_DEPTH, MAX_CONSEQUENCES
from processors.internal_case import look_again
from processors.on_file import FiledLesser
from processors.outbox import UNDETERMINED, line, notice
from processors.reasons import Consequence, RemandAnswer, Reversed
from processors.remains import strikes_left
from processors.remand import answered
from processors.undoing import UNSETTLED, Reversal
from schemas.records import AppealId, CaseId, EnforcementId, EventId, Millis
from schemas.vocabulary import CaseEventKind, CaseOrigin, NoticeKind, Outcome, ReversalCause


class Because(NamedTuple):
    """What a reversal came about by."""

    cause: ReversalCause
    reversal_id: str
    lesser: FiledLesser | None = None
    """What a decision leaves of the enforcement; none: it is overturned."""
    case_id: CaseId | None = None
    appeal_id: AppealId | None = None
    language: str | None = None
    caused_by: str | None = None
    remedy_id: str | None = None
    told: Mapping[str, str] | None = None
    """What the line about it says besides."""


class _Judged(NamedTuple):
    """One consequence."""

    enforcement_id: EnforcementId
    verdict: Consequence
    parent: str
    """The reversal that it follows from."""
    reversal_id: str | None
    """Its own; none if people look at it."""


def reverse(dossier: Dossier, enforcement_id: EnforcementId, because: Because, ctx: Context, cause: str) -> None:
    """Order the reversal of an enforcement's newest version, and of what falls with it."""
    running = _begin(dossier, enforcement_id, because, ctx)
    judged = _consequences(dossier, enforcement_id, because, ctx)
    line_id = saga.send(dossier, because.reversal_id, ctx, cause, told=because.told)
    ctx.count("reversals_ordered_total", cause=because.cause.value)
    e = dossier.enforcements[enforcement_id]
    answered(dossier, enforcement_id, RemandAnswer.REVERSED, ctx, cause)
    if because.lesser is None and because.cause is not ReversalCause.CASCADE:
        immunity.grant(dossier, because.reversal_id, running, e, ctx, cause)
    if because.case_id is None:
        _tell_user(dossier, running, line_id, ctx)
    for item in judged:
        _follow(dossier, item, ctx, cause)
    saga.refresh(dossier, ctx, cause)
    for reversal_id in (because.reversal_id, *(item.reversal_id for item in judged if item.reversal_id is not None)):
        done = all(o.stage not in UNSETTLED for o in dossier.reversals[reversal_id].orders)
        if done:  # a warning has no effects: said, and thereby done
            saga.confirm(dossier, reversal_id, ctx, cause)


def follow_late(dossier: Dossier, enforcement_id: EnforcementId, ctx: Context, cause: str) -> None:
    """An enforcement has come that rests on one which is overturned already: judge it as if it had been there.

    Not once the user is erased: nobody could look at it, and nothing new begins.
    """
    if dossier.erasing is not None and dossier.erasing.begun:
        return
    e = dossier.enforcements[enforcement_id]
    parent = None if e.caused_by is None else dossier.enforcements.get(e.caused_by)
    if parent is None or parent.reversed_version < parent.version or parent.reversal_id is None:
        return
    if not alive(e, ctx.now):  # its cause is heard of after it was undone itself
        return
    verdict = judge(dossier, enforcement_id, ctx.rulebook.tables)
    item = _Judged(enforcement_id, verdict, parent.reversal_id, None)
    if verdict is Consequence.LIFTED:
        item = item._replace(reversal_id=_own_id(dossier, enforcement_id, parent.reversal_id))
        because = _because(dossier, item)
        _line(dossier, item, ctx, cause)
        if e.case_id is not None:
            close_reversed(dossier, dossier.cases[e.case_id], e, ctx, cause, Reversed.CONSEQUENCE)
        reverse(dossier, enforcement_id, because, ctx, cause)
        return
    _follow(dossier, item, ctx, cause)


def _begin(dossier: Dossier, enforcement_id: EnforcementId, because: Because, ctx: Context) -> Reversal:
    """Plan the directives, and count the enforcement as reversed from here on; nothing is said yet."""
    e = dossier.enforcements[enforcement_id]
    before = strikes_left(e)
    orders = directives.plan(because.reversal_id, e, because.lesser)
    if because.lesser is None:
        e.reversed_version = e.version
    else:
        e.lesser = because.lesser
    e.reversal_id = because.reversal_id
    language = because.language or (UNDETERMINED if dossier.profile is None else dossier.profile.language)
    running = dossier.reversals[because.reversal_id] = Reversal(
        case_id=because.case_id,
        appeal_id=because.appeal_id,
        enforcement_id=enforcement_id,
        version=e.version,
        target_kind=e.target_kind,
        target_id=e.target_id,
        content_hash=e.content_hash,
        ordered_at=Millis(ctx.now),
        language=language,
        strikes=before - strikes_left(e),
        orders=orders,
        deadline=Millis(ctx.now + ctx.rulebook.tables.answer_ms),
        outcome=Outcome.OVERTURNED if because.lesser is None else Outcome.MODIFIED,
        cause=because.cause,
        caused_by=because.caused_by,
        remedy_id=because.remedy_id,
    )
    return running


def _consequences(dossier: Dossier, root: EnforcementId, because: Because, ctx: Context) -> list[_Judged]:
    """Everything that falls with it, or that people must look at, breadth first; each once, so circles end.

    What other strikes still reach is judged anew when those fall as well.
    """
    judged: dict[EnforcementId, _Judged] = {}
    queue = [(root, because.reversal_id, because.lesser is None, 1)]
    while queue:
        of, parent, gone, depth = queue.pop(0)
        fewer = dossier.reversals[parent].strikes > 0
        found = list(consequences(dossier, of, ctx.now, ctx.rulebook.tables, gone=gone, fewer_strikes=fewer))
        for enforcement_id, verdict in found:
            before = judged.get(enforcement_id)
            reached = before is not None and before.verdict is Consequence.STILL_REACHED
            falls = verdict is Consequence.LIFTED
            if enforcement_id == root or (before is not None and not (reached and falls)):
                continue
            judged.pop(enforcement_id, None)  # it is told after what it follows from
            if not falls:
                judged[enforcement_id] = _Judged(enforcement_id, verdict, parent, None)
            elif depth > MAX_CASCADE_DEPTH or len(judged) >= MAX_CONSEQUENCES:
                judged[enforcement_id] = _Judged(enforcement_id, Consequence.TOO_DEEP, parent, None)
            else:
                item = _Judged(enforcement_id, verdict, parent, _own_id(dossier, enforcement_id, parent))
                judged[enforcement_id] = item
                _begin(dossier, enforcement_id, _because(dossier, item), ctx)
                queue.append((enforcement_id, item.reversal_id or "", True, depth + 1))
    return list(judged.values())


def _follow(dossier: Dossier, item: _Judged, ctx: Context, cause: str) -> None:
    """Say what became of a consequence, and do it."""
    e = dossier.enforcements[item.enforcement_id]
    _line(dossier, item, ctx, cause)
    if item.reversal_id is None:
        look_again(dossier, item.enforcement_id, e, CaseOrigin.CASCADE, item.parent, ctx, cause)
        return
    case = None if e.case_id is None else dossier.cases[e.case_id]
    if case is not None:
        close_reversed(dossier, case, e, ctx, cause, Reversed.CONSEQUENCE)
    line_id = saga.send(dossier, item.reversal_id, ctx, cause)
    ctx.count("reversals_ordered_total", cause=ReversalCause.CASCADE.value)
    answered(dossier, item.enforcement_id, RemandAnswer.REVERSED, ctx, cause)
    if case is None:
        _tell_user(dossier, dossier.reversals[item.reversal_id], line_id, ctx)


def _line(dossier: Dossier, item: _Judged, ctx: Context, cause: str) -> None:
    saw = {"caused_by": item.parent}
    if item.reversal_id is not None:
        saw["reversal_id"] = item.reversal_id
    kind = CaseEventKind.CONSEQUENCE_JUDGED
    line(dossier, ctx, kind, cause, enforcement_id=item.enforcement_id, reason=item.verdict, saw=saw)


def _own_id(dossier: Dossier, enforcement_id: EnforcementId, parent: str) -> str:
    """The reversal of a consequence: its open case's, if it has one, as each case leads to one reversal at most."""
    e = dossier.enforcements[enforcement_id]
    return ids.consequence_id(parent, enforcement_id, e.version) if e.case_id is None else ids.reversal_id(e.case_id)


def _because(dossier: Dossier, item: _Judged) -> Because:
    """Why a consequence is reversed, while the case on it is still open."""
    case_id = dossier.enforcements[item.enforcement_id].case_id
    case = None if case_id is None else dossier.cases[case_id]
    return Because(
        ReversalCause.CASCADE,
        item.reversal_id or "",
        case_id=case_id,
        appeal_id=None if case is None else case.appeal_id,
        language=None if case is None else case.language,
        caused_by=item.parent,
    )


def _tell_user(dossier: Dossier, running: Reversal, line_id: EventId, ctx: Context) -> None:
    """Nobody decided a case about it, so nobody has told the user yet that it is being undone."""
    notice(
        dossier,
        ctx,
        NoticeKind.REVERSED,
        f"reversal.ordered.{running.cause}",
        line_id,
        language=running.language,
        enforcement_id=running.enforcement_id,
        outcome=running.outcome,
        reasons=[running.cause],
    )
