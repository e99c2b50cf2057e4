"""What comes due by itself: lease ends, parking times, ends of enforcements, deadlines, repeated directives.

Due times are data in the dossier, not callbacks: the earliest is kept in `Dossier.due`. Whatever is due is done before
anything else happens to the dossier, in due order, so that the result does not depend on when the engine got round to
firing. What came due long ago is done once, from now on, not once for each time it was missed.
"""

from typing import NamedTuple

from processors.closing import settle
from processors.context import Context
from processors.dossier import Dossier, OpenCase
from processors.intake import refuse_parked
from processors.outbox import case_line
from processors.reversal import retry
from processors.review import expire_claim
from schemas.records import CaseId, Millis
from schemas.vocabulary import CaseEventKind


class _Due(NamedTuple):
    """Sorts by time, then by kind and id, so that the order is the same everywhere."""

    at: int
    kind: str
    of: str


def reschedule(dossier: Dossier) -> None:
    """Set `Dossier.due` to the earliest timer, after anything may have changed."""
    due: int | None = None
    for parked in dossier.parked:
        if due is None or parked.until < due:
            due = parked.until
    for case in dossier.cases.values():
        if case.lease is not None and (due is None or case.lease.until < due):
            due = case.lease.until
        if case.expires_at is not None and (due is None or case.expires_at < due):
            due = case.expires_at
        if not case.overdue and (due is None or case.due_at < due):
            due = case.due_at
    for running in dossier.reversals.values():
        if running.retry_at is not None and (due is None or running.retry_at < due):
            due = running.retry_at
    dossier.due = None if due is None else Millis(due)


def fire_due(dossier: Dossier, ctx: Context) -> None:
    """Do everything that is due at or before `ctx.now`."""
    for item in sorted(due for due in _all(dossier) if due.at <= ctx.now):
        cause = f"timer:{item.kind}:{item.of}:{item.at}"
        if item.kind == "parking":
            for parked in [p for p in dossier.parked if p.appeal.appeal_id == item.of]:
                refuse_parked(dossier, parked, ctx, cause)
        elif item.kind == "retry":
            retry(dossier, item.of, ctx, cause)
        else:
            case = dossier.cases.get(CaseId(item.of))
            if case is not None:  # an earlier timer may have closed it
                _fire_for_case(dossier, case, item.kind, ctx, cause)


def _fire_for_case(dossier: Dossier, case: OpenCase, kind: str, ctx: Context, cause: str) -> None:
    if kind == "lease":
        expire_claim(dossier, case, ctx, cause)
    elif kind == "deadline":
        case.overdue = True
        saw = {"due_at": str(case.due_at)}
        case_line(dossier, ctx, CaseEventKind.DEADLINE_MISSED, cause, case, saw=saw)
    else:
        settle(dossier, case, dossier.enforcements[case.enforcement_id], ctx, cause)


def _all(dossier: Dossier) -> list[_Due]:
    due = [_Due(parked.until, "parking", parked.appeal.appeal_id) for parked in dossier.parked]
    for case in dossier.cases.values():
        if case.lease is not None:
            due.append(_Due(case.lease.until, "lease", case.case_id))
        if case.expires_at is not None:
            due.append(_Due(case.expires_at, "expiry", case.case_id))
        if not case.overdue:
            due.append(_Due(case.due_at, "deadline", case.case_id))
    due += [_Due(r.retry_at, "retry", key) for key, r in dossier.reversals.items() if r.retry_at is not None]
    return due
