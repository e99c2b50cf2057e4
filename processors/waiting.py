"""What a case waits for: evidence that somebody was asked for, or something outside. Only the work clock stops for it.

Whoever waits lets go of the case: it is queued again, at its old rank, once what it waits for has come or its time is
over. Then the case goes on without it, and says so.
"""

from collections.abc import Iterable

from processors import clocks, ids, standards
from processors.arbiter import Ruling, accept, current, not_allowed, not_fit, reject
from processors.context import Context
from processors.dossier import Dossier
from processors.errors import UnknownSymbolError
from processors.growth import MAX_EXHIBITS, MAX_REQUESTS, within
from processors.lifecycle import Move, go, possible
from processors.on_file import Exhibit
from processors.open_case import OpenCase, Request
from processors.outbox import case_line, notice
from processors.publishing import publish
from processors.reasons import ReviewRefusal, Wait
from schemas.records import CaseHeld, CaseResumed, Evidence, EvidenceRequested, EvidenceSupplied, Millis, ReviewerId
from schemas.vocabulary import Band, CaseEventKind, CaseState, EvidenceKind, EvidenceSupplier, NoticeKind


def ask_at_intake(dossier: Dossier, case: OpenCase, ctx: Context, cause: str) -> None:
    """Ask the appellant for what the standard plainly lacks. What is most urgent goes on meanwhile."""
    tables = ctx.rulebook.tables.review
    missing = list(standards.plainly_missing(case, tables))
    if missing and case.band is not Band.P0:
        go(case, Move.ASK)
        clocks.pause(case, ctx.now, ctx.now + tables.evidence_ms, tables)
    for position, need, short in missing:
        request = Request(
            ids.request_id(case.case_id, position),
            list(need.kinds),
            short,
            EvidenceSupplier.APPELLANT,
            Millis(ctx.now),
            Millis(ctx.now + tables.evidence_ms),
            None,
        )
        _ask(dossier, case, request, ctx, cause, actor=None)


def on_requested(dossier: Dossier, event: EvidenceRequested, ctx: Context) -> None:
    """The holder asks for evidence, and the case waits for it."""
    if event.supplier is EvidenceSupplier.UNKNOWN or EvidenceKind.UNKNOWN in event.kinds:
        raise UnknownSymbolError(f"request {event.event_id}: its supplier, or a kind, is not known to this version")
    case = current(dossier, event, ctx)
    if case is None:
        return
    tables = ctx.rulebook.tables.review
    due_at = event.due_at if event.due_at is not None else Millis(ctx.now + tables.evidence_ms)
    ruling = not_allowed(case, event.actor, Move.ASK, tables)
    if ruling is None and not event.kinds:
        ruling = Ruling(ReviewRefusal.NOTHING_ASKED)
    if ruling is None and due_at <= ctx.now:
        ruling = Ruling(ReviewRefusal.DUE_IN_THE_PAST)
    if ruling is None and (not clocks.pause_left_ms(case, tables) or len(case.requests) >= MAX_REQUESTS):
        ruling = Ruling(ReviewRefusal.PAUSE_USED_UP)
    if ruling is not None:
        reject(dossier, event, ctx, ruling, case)
        return
    kinds = list(dict.fromkeys(event.kinds))
    request = Request(event.event_id, kinds, event.at_least, event.supplier, Millis(ctx.now), due_at, event.note_ref)
    case.lease = None
    go(case, Move.ASK)
    case.version += 1
    case.last_review = event.event_id
    _ask(dossier, case, request, ctx, event.event_id, actor=event.actor)
    clocks.pause(case, ctx.now, max(r.due_at for r in case.requests), tables)
    publish(dossier, ctx, case, dossier.enforcements[case.enforcement_id])


def on_supplied(dossier: Dossier, event: EvidenceSupplied, ctx: Context) -> None:
    """Evidence has come, in whatever state the case is; if all that was asked for is there, it goes on."""
    if event.supplier is EvidenceSupplier.UNKNOWN:
        raise UnknownSymbolError(f"evidence {event.event_id}: its supplier is not known to this version")
    case = _supplied_to(dossier, event, ctx)
    if case is None:
        return
    added = add_evidence(case, event.evidence, event.supplier)
    if not added:
        reject(dossier, event, ctx, Ruling(ReviewRefusal.NOTHING_NEW), case)
        return
    answer(case, added, event.supplier, ctx)
    saw = {
        "supplier": event.supplier.value,
        "evidence": ",".join(exhibit.evidence_id for exhibit in added)[:4_000],
        "still_asked": str(len(case.requests)),
    }
    line_id = accept(dossier, event, ctx, case, CaseEventKind.EVIDENCE_SUPPLIED, saw=saw)
    if event.supplier is EvidenceSupplier.APPELLANT:
        notice(
            dossier,
            ctx,
            NoticeKind.EVIDENCE_RECEIVED,
            "case.evidence_received",
            line_id,
            case=case,
            decide_by=Millis(min(case.promised_at, case.due_at)),
        )


def on_held(dossier: Dossier, event: CaseHeld, ctx: Context) -> None:
    """The holder lets the case wait for something outside."""
    case = current(dossier, event, ctx)
    if case is None:
        return
    tables = ctx.rulebook.tables.review
    left_ms = clocks.pause_left_ms(case, tables)
    ruling = not_allowed(case, event.actor, Move.HOLD, tables)
    if ruling is None and event.until is not None and event.until <= ctx.now:
        ruling = Ruling(ReviewRefusal.DUE_IN_THE_PAST)
    if ruling is None and not left_ms:
        ruling = Ruling(ReviewRefusal.PAUSE_USED_UP)
    if ruling is not None:
        reject(dossier, event, ctx, ruling, case)
        return
    case.lease = None
    go(case, Move.HOLD)
    clocks.pause(case, ctx.now, event.until if event.until is not None else ctx.now + left_ms + 1, tables)
    until = 0 if case.waiting is None else case.waiting.until
    saw = {"until": str(until)}
    if event.note_ref is not None:
        saw["note_ref"] = event.note_ref
    accept(dossier, event, ctx, case, CaseEventKind.CASE_HELD, reason=event.reason, saw=saw)


def on_resumed(dossier: Dossier, event: CaseResumed, ctx: Context) -> None:
    """Somebody who may judge the case says that it need not wait any longer."""
    case = current(dossier, event, ctx)
    if case is None:
        return
    tables = ctx.rulebook.tables.review
    ruling = not_fit(case, event.actor, tables)
    if ruling is None and not possible(case, Move.GO_ON):
        ruling = Ruling(ReviewRefusal.WRONG_STATE, case.state)
    if ruling is not None:
        reject(dossier, event, ctx, ruling, case)
        return
    go(case, Move.GO_ON)
    clocks.run_on(case, ctx.now, tables)
    accept(dossier, event, ctx, case, CaseEventKind.CASE_RESUMED, reason=Wait.RESUMED)


def end_waiting(dossier: Dossier, case: OpenCase, ctx: Context, cause: str) -> None:
    """The waiting has lasted as long as it was to, or as all of it together may."""
    waiting = case.waiting
    if waiting is None:
        return
    capped = waiting.capped
    go(case, Move.GO_ON)
    clocks.run_on(case, ctx.now, ctx.rulebook.tables.review)
    case.version += 1
    kind = CaseEventKind.PAUSE_CAPPED if capped else CaseEventKind.CASE_RESUMED
    saw = {"paused_ms": str(case.paused_ms)}
    case_line(dossier, ctx, kind, cause, case, reason=None if capped else Wait.OVER, saw=saw)
    publish(dossier, ctx, case, dossier.enforcements[case.enforcement_id])


def evidence_overdue(dossier: Dossier, case: OpenCase, request_id: str, ctx: Context, cause: str) -> None:
    """What was asked for has not come: the case goes on without it, and says so."""
    request = next(r for r in case.requests if r.request_id == request_id)
    case.requests = [r for r in case.requests if r.request_id != request_id]
    if request.supplier is EvidenceSupplier.APPELLANT:
        case.waived += [kind for kind in request.kinds if kind not in case.waived]
    if case.state is CaseState.AWAITING_EVIDENCE and not case.requests:
        go(case, Move.OVERDUE)
        clocks.run_on(case, min(ctx.now, request.due_at), ctx.rulebook.tables.review)
    case.version += 1
    saw = _asked(request) | {"still_asked": str(len(case.requests))}
    case_line(dossier, ctx, CaseEventKind.EVIDENCE_OVERDUE, cause, case, saw=saw)
    publish(dossier, ctx, case, dossier.enforcements[case.enforcement_id])


def answer(case: OpenCase, added: list[Exhibit], supplier: EvidenceSupplier, ctx: Context) -> None:
    """Strike off what was asked for and has come now, by whatever record; if that was all, the case goes on."""
    if not added:
        return
    case.requests = [left for request in case.requests if (left := _after(request, added, supplier)) is not None]
    if case.requests or case.state is not CaseState.AWAITING_EVIDENCE:
        go(case, Move.SUPPLY)
    else:
        go(case, Move.ANSWER)
        clocks.run_on(case, ctx.now, ctx.rulebook.tables.review)


def add_evidence(case: OpenCase, evidence: Iterable[Evidence | Exhibit], supplier: EvidenceSupplier) -> list[Exhibit]:
    """Put further evidence on the case, by id and within the bound; returns what is new."""
    known = {exhibit.evidence_id for exhibit in case.evidence}
    added: list[Exhibit] = []
    for item in evidence:
        if item.evidence_id not in known and len(case.evidence) + len(added) < MAX_EXHIBITS:
            known.add(item.evidence_id)
            sealed = item.sealed
            if sealed is not None:
                sealed = within(sealed, case.sealed_characters() + sum(len(each.sealed or "") for each in added))
            added.append(Exhibit(item.evidence_id, item.kind, item.ref, item.sha256, supplier, sealed))
    case.evidence += added
    return added


def _supplied_to(dossier: Dossier, event: EvidenceSupplied, ctx: Context) -> OpenCase | None:
    """The case that evidence is for. An appellant's is taken whatever version of the case they know of."""
    if event.supplier is EvidenceSupplier.SPECIALIST:
        case = current(dossier, event, ctx)
        ruling = None if case is None else not_fit(case, event.actor, ctx.rulebook.tables.review)
        if case is None or ruling is None:
            return case
        reject(dossier, event, ctx, ruling, case)
        return None
    case = dossier.cases.get(event.case_id)
    if case is not None and event.expected_version is None:
        return None if case.last_review == event.event_id else case
    return current(dossier, event, ctx)


def _ask(
    dossier: Dossier, case: OpenCase, request: Request, ctx: Context, cause: str, *, actor: ReviewerId | None
) -> None:
    case.requests.append(request)
    reason = Wait.ASKED_AT_INTAKE if actor is None else None
    saw = _asked(request)
    line_id = case_line(
        dossier, ctx, CaseEventKind.EVIDENCE_REQUESTED, cause, case, actor=actor, reason=reason, saw=saw
    )
    if request.supplier is EvidenceSupplier.APPELLANT:
        notice(
            dossier,
            ctx,
            NoticeKind.EVIDENCE_REQUESTED,
            "case.evidence_requested",
            line_id,
            case=case,
            evidence_kinds=request.kinds,
            evidence_due_at=request.due_at,
            reasons_ref=request.note_ref,
        )


def _asked(request: Request) -> dict[str, str]:
    return {
        "request_id": request.request_id,
        "supplier": request.supplier.value,
        "kinds": ",".join(request.kinds)[:4_000],
        "at_least": str(request.at_least),
        "due_at": str(request.due_at),
    }


def _after(request: Request, added: list[Exhibit], supplier: EvidenceSupplier) -> Request | None:
    """What is left of a request after this; None: it is answered."""
    if request.supplier is not supplier:
        return request
    short = request.at_least - sum(exhibit.kind in request.kinds for exhibit in added)
    if short == request.at_least:
        return request
    if short <= 0:
        return None
    return Request(
        request.request_id, request.kinds, short, supplier, request.requested_at, request.due_at, request.note_ref
    )
