"""Claims and referrals: a claim is a lease with an end, and whoever holds it can hand the case on.

A claim is no promise that the regulatory clock stops: only a decision ends a case. Whatever way a case is handed
back, its `rank_at` stays what it was.
"""

from processors import clocks
from processors.arbiter import Ruling, accept, current, not_allowed, not_fit, reject
from processors.context import Context
from processors.dossier import Dossier
from processors.lifecycle import Move, go, possible
from processors.open_case import Lease, OpenCase
from processors.outbox import case_line
from processors.publishing import publish, withdraw
from processors.reasons import ReviewRefusal
from processors.review_tables import ReviewTables
from processors.routing import nobody_independent
from schemas.records import CaseClaimed, CaseReferred, CaseReleased, Millis
from schemas.vocabulary import CaseEventKind

_MAY_LET_GO = frozenset({ReviewRefusal.REVIEWER_EXCLUDED, ReviewRefusal.UNKNOWN_REVIEWER})
"""Who may not judge a case, any more, may still hand it back."""


def on_claimed(dossier: Dossier, event: CaseClaimed, ctx: Context) -> None:
    """Give, or renew, the lease on a case, or on the second look at its proposed decision."""
    case = current(dossier, event, ctx)
    if case is None:
        return
    tables = ctx.rulebook.tables.review
    lease = case.lease
    ruling = not_fit(case, event.actor, tables)
    if ruling is None and lease is not None and lease.reviewer != event.actor:
        ruling = Ruling(ReviewRefusal.ALREADY_CLAIMED, lease.reviewer)
    if ruling is None and not possible(case, Move.CLAIM):
        ruling = Ruling(ReviewRefusal.WRONG_STATE, case.state)
    if ruling is not None:
        reject(dossier, event, ctx, ruling, case)
        return
    now = Millis(ctx.now)
    until = Millis(now + tables.lease_ms)
    case.lease = Lease(event.actor, now if lease is None else lease.since, until)
    go(case, Move.CLAIM)
    kind = CaseEventKind.CASE_CLAIMED if lease is None else CaseEventKind.CLAIM_RENEWED
    accept(dossier, event, ctx, case, kind, saw={"until": str(until)})


def on_released(dossier: Dossier, event: CaseReleased, ctx: Context) -> None:
    """Take the case back from its holder."""
    case = current(dossier, event, ctx)
    if case is None:
        return
    ruling = not_allowed(case, event.actor, Move.GIVE_BACK, ctx.rulebook.tables.review)
    if ruling is not None and ruling.reason not in _MAY_LET_GO:
        reject(dossier, event, ctx, ruling, case)
        return
    drop_claim(case)
    accept(dossier, event, ctx, case, CaseEventKind.CASE_RELEASED)


def on_referred(dossier: Dossier, event: CaseReferred, ctx: Context) -> None:
    """Hand the case to another pod, where somebody independent must be left to judge it."""
    case = current(dossier, event, ctx)
    if case is None:
        return
    tables = ctx.rulebook.tables.review
    ruling = not_allowed(case, event.actor, Move.REFER, tables) or _no_way_there(case, event, tables)
    if ruling is not None:
        reject(dossier, event, ctx, ruling, case)
        return
    was = case.pod
    go(case, Move.REFER)
    move_to(case, event.to_pod, "referral", f"referred by {event.actor}: {event.reason}", ctx)
    saw = {"from": was}
    if event.note_ref is not None:
        saw["note_ref"] = event.note_ref
    accept(dossier, event, ctx, case, CaseEventKind.CASE_REFERRED, reason=event.reason, saw=saw)


def expire_claim(dossier: Dossier, case: OpenCase, ctx: Context, cause: str) -> None:
    """The lease has ended without a decision: the case is anybody's again, at its old rank."""
    actor = None if case.lease is None else case.lease.reviewer
    drop_claim(case)
    case.version += 1
    case_line(dossier, ctx, CaseEventKind.CLAIM_EXPIRED, cause, case, actor=actor)
    publish(dossier, ctx, case, dossier.enforcements[case.enforcement_id])


def drop_claim(case: OpenCase) -> None:
    """Nobody holds the case any more."""
    if case.lease is not None:
        case.lease = None
        go(case, Move.GIVE_BACK)


def move_to(case: OpenCase, pod: str, rule: str, because: str, ctx: Context) -> None:
    """Off the topic of its pod and out of whoever's hands; on the new one when it is published next."""
    withdraw(ctx, case)
    case.lease = None
    case.pod, case.rule, case.because, case.overflowed_from = pod, rule, because, ""
    clocks.promise(case, ctx.rulebook.tables.review)


def _no_way_there(case: OpenCase, event: CaseReferred, tables: ReviewTables) -> Ruling | None:
    if event.to_pod not in tables.calendars:
        return Ruling(ReviewRefusal.UNKNOWN_POD, f"the pods are {', '.join(tables.calendars)}")
    if event.to_pod == case.pod:
        return Ruling(ReviewRefusal.SAME_POD)
    if nobody_independent(case, tables.reviewers.get(event.to_pod)):
        return Ruling(ReviewRefusal.NOBODY_INDEPENDENT)
    return None
