"""What comes due by itself: leases, waiting, evidence, both clocks, parking, ends of enforcements, repeated directives.

Due times are data in the dossier, not callbacks: the earliest is kept in `Dossier.due`. Whatever is due is done before
anything else happens to the dossier, in due order, so that the result does not depend on when the engine got round to
firing. What came due long ago is done once, from now on, not once for each time it was missed.
"""

from collections.abc import Iterator
from typing import NamedTuple

from processors import clocks, overdue, review, waiting
from processors.closing import settle
from processors.context import Context
from processors.dossier import Dossier
from processors.intake import refuse_parked
from processors.open_case import OpenCase
from processors.remand import overdue as remand_overdue
from processors.saga import retry
from schemas.records import CaseId, EnforcementId, Millis

_NEVER = 1 << 62


class _Due(NamedTuple):
    """Sorts by time, then by kind and id, so that the order is the same everywhere."""

    at: int
    kind: str
    of: str
    part: str = ""


def reschedule(dossier: Dossier, ctx: Context) -> None:
    """Set `Dossier.due` to the earliest timer, after anything may have changed."""
    due = _NEVER
    for parked in dossier.parked:
        due = min(due, parked.until)
    share = ctx.rulebook.tables.review.warn_share
    for case in dossier.cases.values():
        due = _earliest(case, share, due)
    for running in dossier.reversals.values():
        if running.retry_at is not None and running.retry_at < due:
            due = running.retry_at
    for sent_back in dossier.remands.values():
        due = min(due, sent_back.answer_by)
    dossier.due = None if due == _NEVER else Millis(due)


def fire_due(dossier: Dossier, ctx: Context) -> None:
    """Do everything that is due at or before `ctx.now`, and what that makes due.

    The earliest is looked for anew after each: it may have closed a case, changed what it waits for, or made
    something due that was not (a case that goes on, or to a pod with other hours, can be past its promise).
    """
    done: set[_Due] = set()
    while (item := min(_all(dossier, ctx), default=None)) is not None and item.at <= ctx.now:
        cause = f"timer:{item.kind}:{item.part or item.of}:{item.at}"
        if item in done:
            raise AssertionError(f"{cause} was done and is due again: time would stand still")
        done.add(item)
        if item.kind == "parking":
            for parked in [p for p in dossier.parked if p.appeal.appeal_id == item.of]:
                refuse_parked(dossier, parked, ctx, cause)
        elif item.kind == "retry":
            retry(dossier, item.of, ctx, cause)
        elif item.kind == "remand":
            remand_overdue(dossier, EnforcementId(item.of), ctx, cause)
        else:
            _fire_for_case(dossier, dossier.cases[CaseId(item.of)], item, ctx, cause)


def _fire_for_case(dossier: Dossier, case: OpenCase, item: _Due, ctx: Context, cause: str) -> None:
    match item.kind:
        case "lease":
            review.expire_claim(dossier, case, ctx, cause)
        case "evidence":
            waiting.evidence_overdue(dossier, case, item.part, ctx, cause)
        case "waiting":
            waiting.end_waiting(dossier, case, ctx, cause)
        case "promise_warning":
            overdue.warn_of_promise(dossier, case, ctx, cause)
        case "promise":
            overdue.miss_promise(dossier, case, ctx, cause)
        case "deadline_warning":
            overdue.warn_of_deadline(dossier, case, ctx, cause)
        case "deadline":
            overdue.miss_deadline(dossier, case, ctx, cause)
        case "expiry":
            settle(dossier, case, dossier.enforcements[case.enforcement_id], ctx, cause)
        case other:
            raise AssertionError(f"no timer is called {other}")


def _all(dossier: Dossier, ctx: Context) -> Iterator[_Due]:
    for parked in dossier.parked:
        yield _Due(parked.until, "parking", parked.appeal.appeal_id)
    share = ctx.rulebook.tables.review.warn_share
    for case in dossier.cases.values():
        yield from _of_case(case, share)
    for key, running in dossier.reversals.items():
        if running.retry_at is not None:
            yield _Due(running.retry_at, "retry", key)
    for key, sent_back in dossier.remands.items():
        yield _Due(sent_back.answer_by, "remand", key)


def _of_case(case: OpenCase, share: float) -> Iterator[_Due]:
    of = case.case_id
    if case.lease is not None:
        yield _Due(case.lease.until, "lease", of)
    if case.expires_at is not None:
        yield _Due(case.expires_at, "expiry", of)
    for request in case.requests:
        yield _Due(request.due_at, "evidence", of, request.request_id)
    if case.waiting is not None:
        yield _Due(case.waiting.until, "waiting", of)
    else:  # the work clock stands still while the case waits
        if not case.warned and case.warn_at:  # cases stored before there were warnings have none
            yield _Due(case.warn_at, "promise_warning", of)
        if not case.promise_missed:
            yield _Due(case.promised_at, "promise", of)
    if not case.due_warned:
        yield _Due(clocks.due_warning_at(case, share), "deadline_warning", of)
    if not case.overdue:
        yield _Due(case.due_at, "deadline", of)


def _earliest(case: OpenCase, share: float, due: int) -> int:
    """The earliest of `due` and the case's timers: the times of `_of_case`, without its names, on every event."""
    if case.lease is not None and case.lease.until < due:
        due = case.lease.until
    if case.expires_at is not None and case.expires_at < due:
        due = case.expires_at
    for request in case.requests:
        due = min(due, request.due_at)
    if case.waiting is not None:
        due = min(due, case.waiting.until)
    else:
        if not case.warned and case.warn_at and case.warn_at < due:
            due = case.warn_at
        if not case.promise_missed and case.promised_at < due:
            due = case.promised_at
    if not case.due_warned and (warning := clocks.due_warning_at(case, share)) < due:
        due = warning
    if not case.overdue and case.due_at < due:
        due = case.due_at
    return due
