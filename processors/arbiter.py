"""Who is right when several write at once: the first valid event of a reviewer wins, every other one is answered.

A refusal is one ``ReviewRejected`` line with a reason from a closed list, in the same batch, and changes nothing else.
An accepted event that is delivered again is silent.
"""

from typing import NamedTuple

from processors.context import Context
from processors.dossier import Dossier
from processors.durations import MINUTE_MS
from processors.lifecycle import Move, possible
from processors.open_case import OpenCase
from processors.outbox import case_line, line
from processors.publishing import publish
from processors.reasons import ReviewRefusal
from processors.review_tables import ReviewTables
from schemas.records import EventId, ReviewerId, ReviewEvent
from schemas.vocabulary import CaseEventKind

MAX_SKEW_MS = 5 * MINUTE_MS
"""How far a reviewer tool's clock may be behind before its word is not believed."""


class Ruling(NamedTuple):
    """Why an event is refused, and what its sender needs to know."""

    reason: ReviewRefusal
    detail: str = ""


def current(dossier: Dossier, event: ReviewEvent, ctx: Context) -> OpenCase | None:
    """The open case that the event is about and up to date with; None: the event has been answered."""
    case = dossier.cases.get(event.case_id)
    if case is None:
        decided = dossier.decided.get(event.case_id)
        if decided is None:
            reject(dossier, event, ctx, Ruling(ReviewRefusal.UNKNOWN_CASE), None)
        elif decided.last_review != event.event_id:
            reject(dossier, event, ctx, Ruling(ReviewRefusal.CASE_CLOSED), None)
        return None
    if case.last_review == event.event_id:
        return None
    if event.expected_version != case.version:
        reject(dossier, event, ctx, Ruling(ReviewRefusal.STALE_VERSION), case)
        return None
    if event.occurred_at < case.submitted_at - MAX_SKEW_MS:
        reject(dossier, event, ctx, Ruling(ReviewRefusal.BEFORE_THE_APPEAL), case)
        return None
    return case


def barred(case: OpenCase) -> list[ReviewerId]:
    """Who must not touch the case now: in a second review, whoever proposed the decision too."""
    return case.excluded if case.proposal is None else [*case.excluded, case.proposal.reviewer]


def not_fit(case: OpenCase, actor: ReviewerId, tables: ReviewTables) -> Ruling | None:
    """Whether the reviewer may not judge this case at all."""
    listed = tables.reviewers.get(case.pod)
    if listed is not None and actor not in listed:
        return Ruling(ReviewRefusal.UNKNOWN_REVIEWER)
    return Ruling(ReviewRefusal.REVIEWER_EXCLUDED) if actor in barred(case) else None


def not_allowed(case: OpenCase, actor: ReviewerId, move: Move, tables: ReviewTables) -> Ruling | None:
    """Whether the holder of a claim may not do this now."""
    if case.lease is None:
        return Ruling(ReviewRefusal.NOT_CLAIMED)
    if case.lease.reviewer != actor:
        return Ruling(ReviewRefusal.NOT_THE_HOLDER)
    if not possible(case, move):
        return Ruling(ReviewRefusal.WRONG_STATE)
    return not_fit(case, actor, tables)


def accept(
    dossier: Dossier,
    event: ReviewEvent,
    ctx: Context,
    case: OpenCase,
    kind: CaseEventKind,
    *,
    reason: str | None = None,
    saw: dict[str, str] | None = None,
) -> EventId:
    """The case has changed: its next version, a line, and the case on its topic."""
    case.version += 1
    case.last_review = event.event_id
    line_id = case_line(dossier, ctx, kind, event.event_id, case, actor=event.actor, reason=reason, saw=saw)
    publish(dossier, ctx, case, dossier.enforcements[case.enforcement_id])
    return line_id


def reject(dossier: Dossier, event: ReviewEvent, ctx: Context, ruling: Ruling, case: OpenCase | None) -> None:
    """Answer an event that changes nothing."""
    expected = event.expected_version
    saw = {"event": type(event).__name__, "expected_version": "none" if expected is None else str(expected)}
    if ruling.detail:
        saw["detail"] = ruling.detail
    kind, reason = CaseEventKind.REVIEW_REJECTED, ruling.reason
    if case is None:
        line(dossier, ctx, kind, event.event_id, case_id=event.case_id, actor=event.actor, reason=reason, saw=saw)
    else:
        case_line(dossier, ctx, kind, event.event_id, case, actor=event.actor, reason=reason, saw=saw)
