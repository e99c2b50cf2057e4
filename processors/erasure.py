"""A user is erased: asked for, held up by legal holds, begun, done. What comes afterwards: `processors/erased.py`.

Open cases end as withdrawn, appeals that wait are taken back, the key of the user's texts is shredded, and the dossier
forgets everything but counts and the head of the audit's chain (`processors/scrubbing.py`). A reversal that runs is
carried to its end first, as the money that it moves is the user's; only what it needs outlives the request.
"""

from processors.closing import close_withdrawn
from processors.context import Context
from processors.dossier import Dossier, Erasing, Stage
from processors.errors import ImpossibleInputError
from processors.growth import MAX_HOLDS
from processors.outbox import KEYS, line
from processors.reasons import Erasure
from processors.refusal import withdraw_unopened
from processors.remedying import cause_of
from processors.scrubbing import anything_on_file, bare, scrub
from schemas.records import (
    EnforcementAmended,
    EnforcementIssued,
    InputRecord,
    LegalHoldPlaced,
    LegalHoldReleased,
    Millis,
    RemedyOrdered,
    ReviewerId,
    SubjectErasureRequested,
    TimerFired,
)
from schemas.vocabulary import CaseEventKind

_REPEATED = {
    Stage.HELD: Erasure.HELD_ALREADY,
    Stage.BEGUN: Erasure.BEGUN_ALREADY,
    Stage.DONE: Erasure.ERASED_ALREADY,
}


def on_requested(dossier: Dossier, event: SubjectErasureRequested, ctx: Context) -> None:
    """Erase the user, unless a legal hold delays it; asked again, it says what has come of it."""
    erasing = dossier.erasing
    saw = {"why": event.reason}
    if erasing is None:
        dossier.erasing = Erasing(Stage.HELD, event.occurred_at, event.event_id)
        held = sum(dossier.holds.values())
        if not held:
            _erase(dossier, ctx, event.event_id, event.actor, saw)
            return
        saw["holds"] = str(held)
        line(dossier, ctx, CaseEventKind.ERASURE_HELD, event.event_id, actor=event.actor, saw=saw)
        ctx.count("erasures_total", result="held")
        return
    if erasing.asked == event.event_id:
        return
    dossier.erasing = Erasing(erasing.stage, erasing.at, event.event_id)
    if erasing.begun:  # a text may have been sealed since with a new key, and an appeal refused
        dossier.erasing = Erasing(erasing.stage, Millis(ctx.now), event.event_id)
        dossier.answered = {}
        _shred(dossier, ctx)
    reason, kind = _REPEATED[erasing.stage], CaseEventKind.ERASURE_REPEATED
    line(dossier, ctx, kind, event.event_id, actor=event.actor, reason=reason, saw=saw)
    ctx.count("erasures_total", result="repeated")


def on_hold_placed(dossier: Dossier, event: LegalHoldPlaced, ctx: Context) -> None:
    """Nothing of the user is erased from now on; what is erased already stays so."""
    erasing = dossier.erasing
    reason = None
    if erasing is not None and erasing.begun:
        reason = _REPEATED[erasing.stage]
    elif event.hold_id in dossier.holds:
        if dossier.holds[event.hold_id]:
            return
        reason = Erasure.RELEASED_ALREADY
    else:
        _make_room(dossier)
        dossier.holds[event.hold_id] = True
        ctx.count("legal_holds_total", change="placed")
    _hold_line(dossier, event, ctx, CaseEventKind.LEGAL_HOLD_PLACED, reason)


def on_hold_released(dossier: Dossier, event: LegalHoldReleased, ctx: Context) -> None:
    """The hold is over; with the last one goes what an erasure waited for."""
    if event.hold_id not in dossier.holds:
        _hold_line(dossier, event, ctx, CaseEventKind.LEGAL_HOLD_RELEASED, Erasure.UNKNOWN_HOLD)
        return
    if not dossier.holds[event.hold_id]:
        return
    dossier.holds[event.hold_id] = False
    ctx.count("legal_holds_total", change="released")
    _hold_line(dossier, event, ctx, CaseEventKind.LEGAL_HOLD_RELEASED, None)
    erasing = dossier.erasing
    if erasing is not None and not any(dossier.holds.values()):
        _erase(dossier, ctx, event.event_id, event.actor, {"requested": erasing.asked, "requested_at": str(erasing.at)})


def go_on(dossier: Dossier, event: InputRecord | TimerFired | RemedyOrdered, ctx: Context) -> None:
    """After every event: once the last reversal is confirmed, nothing keeps the rest of an erasure.

    While one runs, what came is kept as bare as what was there before.
    """
    erasing = dossier.erasing
    if erasing is None or erasing.stage is not Stage.BEGUN:
        return
    if dossier.reversals:
        if isinstance(event, EnforcementIssued | EnforcementAmended):
            bare(dossier, event.enforcement_id, ctx)
        return
    match event:
        case TimerFired():
            cause = f"timer:erasure:{event.user_id}:{event.now}"
        case RemedyOrdered():
            cause = cause_of(event)
        case _:
            cause = event.event_id
    _close_all(dossier, ctx, cause, None)
    answered = dossier.answered
    _finish(dossier, ctx, cause, None, erasing, {})
    dossier.answered = answered  # appeals that were refused since: delivered again, they still are


def _erase(dossier: Dossier, ctx: Context, cause: str, actor: ReviewerId, saw: dict[str, str]) -> None:
    erasing = dossier.erasing
    if erasing is None:
        raise AssertionError("nobody asked for it")
    erasing = Erasing(erasing.stage, Millis(ctx.now), erasing.asked)
    known = anything_on_file(dossier)
    numbers = {
        "cases": len(dossier.cases),
        "parked": len(dossier.parked),
        "enforcements": len(dossier.enforcements),
        "reversals": len(dossier.reversals),
        "remands": len(dossier.remands),
    }
    saw = saw | {name: str(number) for name, number in numbers.items() if number}
    _close_all(dossier, ctx, cause, actor)
    if not dossier.reversals:
        _finish(dossier, ctx, cause, actor, erasing, saw, None if known else Erasure.NOTHING_ON_FILE)
        return
    scrub(dossier, ctx)
    _shred(dossier, ctx)
    line(dossier, ctx, CaseEventKind.ERASURE_BEGUN, cause, actor=actor, saw=saw)
    dossier.erasing = Erasing(Stage.BEGUN, erasing.at, erasing.asked)
    ctx.count("erasures_total", result="begun")


def _finish(
    dossier: Dossier,
    ctx: Context,
    cause: str,
    actor: ReviewerId | None,
    erasing: Erasing,
    saw: dict[str, str],
    reason: Erasure | None = None,
) -> None:
    scrub(dossier, ctx)
    _shred(dossier, ctx)
    line(dossier, ctx, CaseEventKind.SUBJECT_ERASED, cause, actor=actor, reason=reason, saw=saw)
    dossier.erasing = Erasing(Stage.DONE, erasing.at, erasing.asked)
    ctx.count("erasures_total", result="erased")


def _close_all(dossier: Dossier, ctx: Context, cause: str, actor: ReviewerId | None) -> None:
    """Every open case, and every appeal that waits, ends as withdrawn, with its notice."""
    for case in list(dossier.cases.values()):
        close_withdrawn(dossier, case, ctx, cause, reason=Erasure.ERASURE, actor=actor)
    for parked in dossier.parked:
        withdraw_unopened(dossier, parked.appeal, ctx, cause, Erasure.ERASURE)
    dossier.parked = []


def _shred(dossier: Dossier, ctx: Context) -> None:
    """The tombstone for the key of the user's texts, in the transaction of what it belongs to."""
    ctx.emit(KEYS, dossier.user_id, None)


def _make_room(dossier: Dossier) -> None:
    if len(dossier.holds) < MAX_HOLDS:
        return
    released = next((hold_id for hold_id, holds in dossier.holds.items() if not holds), None)
    if released is None:
        raise ImpossibleInputError(f"{MAX_HOLDS} legal holds are on the user; release some of them first")
    del dossier.holds[released]


def _hold_line(
    dossier: Dossier,
    event: LegalHoldPlaced | LegalHoldReleased,
    ctx: Context,
    kind: CaseEventKind,
    reason: Erasure | None,
) -> None:
    saw = {"hold_id": event.hold_id, "why": event.reason}
    line(dossier, ctx, kind, event.event_id, actor=event.actor, reason=reason, saw=saw)
