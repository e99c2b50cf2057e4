"""A running reversal: sent, answered, sent again, superseded, stalled, and confirmed once nothing of it is open.

States of a directive: ordered -> sent -> applied | failed_retryable -> sent | failed_permanent | superseded. Whatever
happens meanwhile, what is true afterwards is what the newest directive says: when the enforcements that survive change,
a directive that is still open is superseded by one that looks at them afresh, under a key of its own, as its system
may have obeyed the old one already. Money and strikes belong to their effect alone, so they are never superseded.
"""

from collections.abc import Mapping

from processors import directives, ids
from processors.context import Context
from processors.dossier import Dossier
from processors.growth import MAX_SUPERSEDED
from processors.outbox import RESOLUTIONS, closed_line, lesser_record, notice
from processors.reasons import Resend, Stall
from processors.remains import Standing, strikes_left
from processors.stalls import not_stalled, reversal_line, stall, tell_operators
from processors.standing_state import still_holds
from processors.tables import Tables
from processors.undoing import OPEN, UNSETTLED, Order, Reversal
from schemas.records import (
    CaseId,
    EventId,
    Millis,
    ReversalConfirmed,
    ReversalOrdered,
)
from schemas.vocabulary import CaseEventKind, DirectiveState, NoticeKind, Operation, Outcome


def send(
    dossier: Dossier,
    reversal_id: str,
    ctx: Context,
    cause: str,
    *,
    why: Resend | None = None,
    told: Mapping[str, str] | None = None,
) -> EventId:
    """Send what is open of a reversal, as things stand now, and wait for the answers. Returns the line about it.

    `told` is what the line says besides.
    """
    running = dossier.reversals[reversal_id]
    _renew(dossier, reversal_id, running, ctx, cause, Standing(dossier, ctx.now))
    orders = [o for o in running.orders if o.stage in OPEN]
    return _send(dossier, reversal_id, running, orders, ctx, cause, why, told or {})


def refresh(dossier: Dossier, ctx: Context, cause: str) -> None:
    """What survives may have changed: supersede the open directives of all reversals that would say something else."""
    standing = Standing(dossier, ctx.now)
    for reversal_id, running in dossier.reversals.items():
        renewed = _renew(dossier, reversal_id, running, ctx, cause, standing)
        if renewed:
            running.attempt += 1
            _send(dossier, reversal_id, running, renewed, ctx, cause, Resend.SUPERSEDED, {})
            if running.stalled:  # people would answer for a directive that nobody waits for any more
                tell_operators(dossier, reversal_id, running, ctx)


def retry(dossier: Dossier, reversal_id: str, ctx: Context, cause: str) -> None:
    """The wait for answers is over: send what is open again, or give it to people."""
    running = dossier.reversals[reversal_id]
    running.retry_at = None
    if not any(o.stage in OPEN for o in running.orders):
        return
    if running.deadline is not None and ctx.now >= running.deadline:
        stall(dossier, reversal_id, running, ctx, cause, Stall.DEADLINE)
    elif running.tries >= len(ctx.rulebook.tables.retry_waits_ms):
        stall(dossier, reversal_id, running, ctx, cause, Stall.OUT_OF_TRIES)
    else:
        running.attempt += 1
        running.tries += 1
        send(dossier, reversal_id, ctx, cause, why=Resend.RESENT)


def send_again(
    dossier: Dossier, reversal_id: str, orders: list[Order], ctx: Context, cause: str, why: Resend = Resend.BY_OPERATOR
) -> None:
    """Another round: failed directives are open again, with all their tries and time."""
    running = dossier.reversals[reversal_id]
    for item in orders:
        item.stage = DirectiveState.SENT
    running.attempt += 1
    running.tries = 1
    running.deadline = Millis(ctx.now + ctx.rulebook.tables.answer_ms)
    _renew(dossier, reversal_id, running, ctx, cause, Standing(dossier, ctx.now))
    open_now = [o for o in running.orders if o.stage in OPEN]
    _send(dossier, reversal_id, running, open_now, ctx, cause, why, {})
    if not any(o.stage is DirectiveState.FAILED_PERMANENT for o in running.orders):
        not_stalled(running, ctx, reversal_id)
    else:
        tell_operators(dossier, reversal_id, running, ctx)


def applied(dossier: Dossier, reversal_id: str, item: Order, ctx: Context, cause: str) -> None:
    """The directive's state is true: the reversal is confirmed if that was the last one.

    Unless that state is not what must hold any more: what has failed for good is not kept up to date, so applied late
    it may undo what was done since. Then another directive takes its place.
    """
    running = dossier.reversals[reversal_id]
    late = item.stage is DirectiveState.FAILED_PERMANENT and _is_late(dossier, running, item, ctx)
    if late and item.operation is Operation.RESTORE:
        send_again(dossier, reversal_id, [item], ctx, cause, Resend.SUPERSEDED)
        return
    if late:  # its money is back; what must hold goes after it
        item.stage = DirectiveState.SENT
        refresh(dossier, ctx, cause)
    item.stage = DirectiveState.APPLIED
    if not any(o.stage in UNSETTLED for o in running.orders):
        confirm(dossier, reversal_id, ctx, cause)
    elif running.stalled:
        tell_operators(dossier, reversal_id, running, ctx)


def confirm(dossier: Dossier, reversal_id: str, ctx: Context, cause: str) -> None:
    """Every directive is applied: only now is the user told that it is done."""
    running = dossier.reversals.pop(reversal_id)
    decided = None if running.case_id is None else dossier.decided.get(running.case_id)
    if decided is not None and running.case_id is not None:
        dossier.decided[running.case_id] = type(decided)(
            decided.appeal_id, decided.outcome, decided.version, decided.last_review, confirmed=True
        )
    done = [o.directive_id for o in running.orders if o.stage is DirectiveState.APPLIED]
    record = ReversalConfirmed(
        reversal_id=reversal_id,
        user_id=dossier.user_id,
        case_id=running.case_id or CaseId(reversal_id),
        enforcement_id=running.enforcement_id,
        confirmed_at=Millis(ctx.now),
        directive_ids=done,
        remedy_id=running.remedy_id,
    )
    line_id = reversal_line(dossier, reversal_id, running, ctx, CaseEventKind.REVERSAL_CONFIRMED, cause, None, {
        "attempt": str(running.attempt),
        "directives": str(len(done)),
    })  # fmt: skip
    ctx.emit(RESOLUTIONS, dossier.user_id, record)
    not_stalled(running, ctx, reversal_id)
    ctx.count("reversals_confirmed_total", cause=running.cause.value)
    if running.case_id is not None:
        closed_line(dossier, ctx, cause, running)
    notice(
        dossier,
        ctx,
        NoticeKind.REVERSAL_CONFIRMED,
        "reversal.confirmed",
        line_id,
        language=running.language,
        appeal_id=running.appeal_id,
        case_id=running.case_id,
        enforcement_id=running.enforcement_id,
    )


def _is_late(dossier: Dossier, running: Reversal, item: Order, ctx: Context) -> bool:
    """Whether what survives has changed since this directive told it."""
    if item.operation not in (Operation.RESTORE, Operation.RELEASE):
        return False
    newest = item if item.operation is Operation.RESTORE else _newest(running, item)
    now = directives.state_now(dossier, running, item, Standing(dossier, ctx.now))
    return now != still_holds(newest.told, ctx.now)


def _renew(
    dossier: Dossier, reversal_id: str, running: Reversal, ctx: Context, cause: str, standing: Standing
) -> list[Order]:
    """Look at what survives afresh; the directives that take the place of those that would say something else."""
    renewed: list[Order] = []
    for item in running.orders:
        if item.stage in OPEN and item.operation in (Operation.RESTORE, Operation.RELEASE):
            following = _brought_up_to_date(dossier, running, item, standing)
            renewed += [] if following is None else [following]
    for item in renewed:
        if item.supersedes is None:
            continue
        saw = {"directive_id": item.supersedes or "", "by": item.directive_id, "effect_id": item.effect_id}
        reversal_line(dossier, reversal_id, running, ctx, CaseEventKind.DIRECTIVE_SUPERSEDED, cause, None, saw)
    if renewed:
        running.orders = [*running.orders, *renewed]
        gone = [o for o in running.orders if o.stage is DirectiveState.SUPERSEDED][:-MAX_SUPERSEDED]
        running.orders = [o for o in running.orders if o not in gone]
    return renewed


def _brought_up_to_date(dossier: Dossier, running: Reversal, item: Order, standing: Standing) -> Order | None:
    """The directive that says what must hold now, if this open one, and whatever follows it, says something else."""
    state = directives.state_now(dossier, running, item, standing)
    if item.stage is DirectiveState.ORDERED:
        item.told = state
        return None
    newest = item if item.operation is Operation.RESTORE else _newest(running, item)
    if (newest is not item and newest.stage in OPEN) or state == still_holds(newest.told, standing.at):
        return None
    # The system may have obeyed a release already, and never looks at its key again: what must hold goes beside it.
    following = _superseding(dossier, item) if item.operation is Operation.RESTORE else _following(dossier, item)
    following.told = state
    return following


def _newest(running: Reversal, item: Order) -> Order:
    """The newest directive about the same status: one that follows a release answers for it from then on."""
    return next(
        o
        for o in reversed(running.orders)
        if o.effect_id == item.effect_id and o.stage is not DirectiveState.SUPERSEDED
    )


def _following(dossier: Dossier, release: Order) -> Order:
    """What must hold now, beside a release that is still open: its money goes back under its own key."""
    following = _superseding(dossier, release)
    release.stage = DirectiveState.SENT
    following.operation = Operation.RESTORE
    following.supersedes = None
    return following


def _superseding(dossier: Dossier, old: Order) -> Order:
    old.stage = DirectiveState.SUPERSEDED
    return Order(
        ids.superseding_id(old.directive_id, dossier.seq),
        old.system,
        old.operation,
        old.effect_id,
        old.params,
        None,
        DirectiveState.ORDERED,
        kind=old.kind,
        supersedes=old.directive_id,
    )


def _send(
    dossier: Dossier,
    reversal_id: str,
    running: Reversal,
    orders: list[Order],
    ctx: Context,
    cause: str,
    why: Resend | None,
    told: Mapping[str, str],
) -> EventId:
    e = dossier.enforcements.get(running.enforcement_id)
    lesser = None
    if e is not None and running.outcome is Outcome.MODIFIED and e.reversed_version < running.version:
        lesser = e.lesser  # else it was overturned since, and systems that go by this would put it back
    standing = directives.standing_records(dossier, running, ctx.now)
    saw = {"attempt": str(running.attempt), "directives": str(len(orders)), "surviving": str(len(standing)), **told}
    line_id = reversal_line(dossier, reversal_id, running, ctx, CaseEventKind.REVERSAL_ORDERED, cause, why, saw)
    revision = dossier.seq  # of the line just written: rises with everything that the user's systems are told
    for item in orders:
        item.stage = DirectiveState.SENT
        if item.operation is Operation.RELEASE:
            # Whoever obeys it only now must not go back to what held when it was first sent.
            item.told = _newest(running, item).told
    record = ReversalOrdered(
        reversal_id=reversal_id,
        user_id=dossier.user_id,
        case_id=running.case_id or CaseId(reversal_id),
        enforcement_id=running.enforcement_id,
        enforcement_version=running.version,
        ordered_at=running.ordered_at,
        attempt=running.attempt,
        outcome=running.outcome,
        strikes_expunged=running.strikes,
        directives=[directives.record_of(running, item, standing, revision) for item in orders],
        cause=running.cause,
        caused_by=running.caused_by,
        remedy_id=running.remedy_id,
        lesser=None if lesser is None else lesser_record(lesser),
        strikes_left=sum(strikes_left(other) for other in dossier.enforcements.values()),
    )
    ctx.emit(RESOLUTIONS, dossier.user_id, record)
    if orders:
        running.retry_at = _next_try(reversal_id, running, ctx)
    return line_id


def _next_try(reversal_id: str, running: Reversal, ctx: Context) -> Millis:
    at = ctx.now + _wait_ms(reversal_id, running.tries, ctx.rulebook.tables)
    return Millis(at if running.deadline is None else min(at, max(running.deadline, ctx.now + 1)))


def _wait_ms(reversal_id: str, tries: int, tables: Tables) -> int:
    """The back-off, spread by up to the jitter so that one outage is not followed by one thundering herd."""
    waits = tables.retry_waits_ms
    wait = waits[min(tries, len(waits)) - 1]
    return wait + int(wait * tables.retry_jitter * ids.fraction(reversal_id, tries))
