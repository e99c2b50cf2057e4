"""What a person does with a case: claim, hand back, ask, refer, hold, decide, look a second time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import structlog
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, Response

from desk.answers import Answer
from desk.errors import DeskError
from desk.floor import Floor
from desk.identity import Role
from desk.pages.case import Found, digest, find, standing_for
from desk.pages.draft import Draft, draft_of, moment, symbol
from desk.pages.telling import tell_answer
from desk.pages.visit import Visit, error_page
from desk.texts import MAX_CHARACTERS
from desk.writer import Decision, now_ms
from schemas.records import Case
from schemas.vocabulary import (
    CaseEventKind,
    CaseState,
    EvidenceKind,
    EvidenceSupplier,
    HoldReason,
    NoticeKind,
    Outcome,
    Redress,
    ReferralReason,
)

_REDRESS: dict[Outcome, Sequence[Redress]] = {
    Outcome.DISMISSED: (Redress.APPEAL_AGAIN, Redress.OUT_OF_COURT_SETTLEMENT, Redress.COURT)
}
_ALWAYS_LEFT = (Redress.OUT_OF_COURT_SETTLEMENT, Redress.COURT)
"""What every decision tells the user is left (docs/notices.md)."""


async def claim(visit: Visit) -> Response:
    """Take the case, or the second look at its decision."""
    found = find(visit)
    if found is not None and not _may_judge(visit, found.case):
        return error_page(visit.request, visit.site, visit.who, 403, "role")
    return await _do(visit, "claimed", lambda case: visit.floor.client.writer.claim(case, visit.who.name))


async def renew(visit: Visit) -> Response:
    """Go on holding it: sent by the page while its holder is at work."""
    found = find(visit)
    if found is None or not found.held_by(visit.who):
        return HTMLResponse("", 409)
    answer = await visit.slow(visit.floor.client.writer.claim, found.case, visit.who.name)
    return HTMLResponse("", 204 if answer.accepted else 409)


async def release(visit: Visit) -> Response:
    """Hand it back, and go on to the queue."""
    return await _do(
        visit,
        "released",
        lambda case: visit.floor.client.writer.release(case, visit.who.name, "handed_back"),
        onward=lambda found: f"/pods/{found.queue.pod}",
    )


async def request_evidence(visit: Visit) -> Response:
    """Ask somebody for evidence; the case waits for it."""
    kinds = [kind for text in visit.fields("kinds") if (kind := symbol(EvidenceKind, text)) is not None]
    supplier = symbol(EvidenceSupplier, visit.field("supplier"))
    number = visit.field("at_least") or "1"
    if not kinds or supplier is None or not (number.isdecimal() and 1 <= int(number[:4]) <= 100):  # noqa: PLR2004
        return _unfit(visit, "kinds")
    note = await _kept(visit, "note")
    if isinstance(note, Response):
        return note
    return await _do(
        visit,
        "requested",
        lambda case: visit.floor.client.writer.request_evidence(
            case, visit.who.name, kinds=kinds, supplier=supplier, at_least=int(number), note_ref=note
        ),
    )


async def refer(visit: Visit) -> Response:
    """Hand it on to another pod."""
    to_pod, reason = visit.field("to_pod"), symbol(ReferralReason, visit.field("reason"))
    if to_pod not in visit.floor.client.queues or reason is None:
        return _unfit(visit, "to_pod")
    note = await _kept(visit, "note")
    if isinstance(note, Response):
        return note
    return await _do(
        visit,
        "referred",
        lambda case: visit.floor.client.writer.refer(case, visit.who.name, to_pod=to_pod, reason=reason, note_ref=note),
        onward=lambda found: f"/pods/{found.queue.pod}",
    )


async def hold(visit: Visit) -> Response:
    """Let it wait for something outside."""
    reason = symbol(HoldReason, visit.field("reason"))
    try:
        until = moment(visit.field("until"))
    except (ValueError, OverflowError):
        return _unfit(visit, "until")
    if reason is None:
        return _unfit(visit, "reason")
    note = await _kept(visit, "note")
    if isinstance(note, Response):
        return note
    return await _do(
        visit,
        "held",
        lambda case: visit.floor.client.writer.hold(case, visit.who.name, reason=reason, until=until, note_ref=note),
    )


async def resume(visit: Visit) -> Response:
    """Let it go on."""
    return await _do(visit, "resumed", lambda case: visit.floor.client.writer.resume(case, visit.who.name))


async def preview(visit: Visit) -> Response:
    """What the decision in the form lacks, what it would undo, and what the user would be told."""
    found = find(visit)
    if found is None:
        return HTMLResponse("", 404)
    draft = draft_of(visit)
    return visit.page("_preview.html", **await visit.slow(_previewed, visit, found.case, draft))


async def decide(visit: Visit) -> Response:
    """Send the decision, if it lacks nothing."""
    found = find(visit)
    if found is None:
        return _gone(visit)
    if not _may_judge(visit, found.case):
        return error_page(visit.request, visit.site, visit.who, 403, "role")
    draft = draft_of(visit)
    # As the person saw it: what is cited may be gone, and is then the engine's to refuse.
    if draft.lacks(found.case) or draft.outcome is None:
        return _unfit(visit, "lacking")
    reasons, guidance = await _kept(visit, "reasons"), await _kept(visit, "guidance")
    if isinstance(reasons, Response):
        return reasons
    if isinstance(guidance, Response):
        return guidance
    decision = Decision(
        outcome=draft.outcome,
        reasons_ref=reasons or "",
        cited_evidence=sorted(draft.cited),
        dismissal=draft.dismissal,
        substituted_policy=draft.substituted_policy or None,
        lesser=draft.lesser,
        guidance_ref=guidance if draft.outcome is Outcome.REMANDED else None,
    )
    return await _do(visit, "decided", lambda case: visit.floor.client.writer.propose(case, visit.who.name, decision))


async def confirm(visit: Visit) -> Response:
    """Agree with the proposed decision."""
    reasons = await _kept(visit, "reasons")
    if isinstance(reasons, Response):
        return reasons
    return await _do(visit, "confirmed", lambda case: visit.floor.client.writer.confirm(case, visit.who.name, reasons))


async def give_back(visit: Visit) -> Response:
    """Return the proposed decision with guidance."""
    guidance = await _kept(visit, "guidance")
    if isinstance(guidance, Response):
        return guidance
    if guidance is None:
        return _unfit(visit, "guidance")
    return await _do(
        visit, "returned", lambda case: visit.floor.client.writer.give_back(case, visit.who.name, guidance)
    )


async def move(visit: Visit) -> Response:
    """By a lead: take a case that nobody holds, and hand it to another pod."""
    found = find(visit)
    to_pod, reason = visit.field("to_pod"), symbol(ReferralReason, visit.field("reason"))
    if found is None:
        return _gone(visit)
    if to_pod not in visit.floor.client.queues or to_pod == found.queue.pod or reason is None:
        return _unfit(visit, "to_pod")
    writer, who = visit.floor.client.writer, visit.who.name
    answer = await visit.slow(writer.claim, _as_seen(visit, found), who)
    if answer.accepted:
        claimed = msgspec.structs.replace(found.case, version=answer.line.case_version or found.case.version + 1)
        answer = await visit.slow(writer.refer, claimed, who, to_pod=to_pod, reason=reason)
        if not answer.accepted:
            await visit.slow(writer.release, claimed, who, "not_moved")
    await tell_answer(visit, found.queue, answer, "moved")
    return visit.go("/board")


async def hand_back_left(floor: Floor, person: str, case_id: str) -> None:
    """The holder of a case has closed its page: it goes back, as if they had handed it back."""
    place = floor.client.find(case_id)
    case = None if place is None else place[0].case(case_id)
    if case is None or case.claim is None or case.claim.reviewer != person:
        return
    if case.state not in (CaseState.CLAIMED, CaseState.SECOND_REVIEW):
        return
    try:
        await run_in_threadpool(floor.client.writer.release, case, person, "left")
    except DeskError as error:
        # Nobody waits for it, and a claim that cannot be handed back ends by its own time.
        structlog.get_logger().warning("not_handed_back", case=case_id, who=person, why=str(error))


async def _do(
    visit: Visit,
    done: str,
    write: Callable[[Case], Answer],
    onward: Callable[[Found], str] | None = None,
) -> Response:
    """Write an event about the case as it was seen, wait, and say what came of it."""
    found = find(visit)
    if found is None:
        return _gone(visit)
    answer = await visit.slow(write, _as_seen(visit, found))
    if answer.accepted:
        await visit.slow(found.queue.wait_for, found.case.case_id, answer.line.case_version or 0, 2.0)
        waits = answer.line.kind is CaseEventKind.DECISION_PROPOSED
        visit.tell("proposed" if waits else done)
        return visit.go(f"/cases/{found.case.case_id}" if onward is None else onward(found))
    await tell_answer(visit, found.queue, answer)
    return visit.go(f"/cases/{found.case.case_id}")


def _as_seen(visit: Visit, found: Found) -> Case:
    """The case at the version that the person saw: the newest one, if nothing that is looked at has changed since."""
    version = visit.field("version")
    if visit.field("seen") == digest(found.case) or not version.isdecimal():
        return found.case
    return msgspec.structs.replace(found.case, version=int(version[:12]))


async def _kept(visit: Visit, name: str) -> str | Response | None:
    """The reference of a text in the form; None: there is none."""
    text = visit.field(name)
    if not text:
        return None
    if len(text) > MAX_CHARACTERS:
        return _unfit(visit, "too_long")
    return await visit.slow(visit.floor.texts.keep, text)


def _previewed(visit: Visit, case: Case, draft: Draft) -> dict[str, Any]:
    standing = standing_for(visit.floor, case)
    overturns = draft.outcome in (Outcome.OVERTURNED, Outcome.MODIFIED)
    return {
        "case": case,
        "draft": draft,
        "lacks": draft.lacks(case),
        "undone": standing.undone(case.enforcement, now_ms()) if overturns else [],
        "effects_known": case.enforcement.enforcement_id in standing.enforcements,
        "overturns": overturns,
        "message": "" if draft.outcome is None else f"case.decided.{draft.outcome}",
        "kind": NoticeKind.DECIDED,
        "redress": [] if draft.outcome is None else _REDRESS.get(draft.outcome, _ALWAYS_LEFT),
        "Outcome": Outcome,
    }


def _may_judge(visit: Visit, case: Case) -> bool:
    """Second looks are for second reviewers, first ones for specialists; a lead does both."""
    role = Role.SECOND_REVIEWER if case.state is CaseState.SECOND_REVIEW else Role.SPECIALIST
    return visit.who.may(role, Role.LEAD)


def _unfit(visit: Visit, what: str) -> Response:
    return error_page(visit.request, visit.site, visit.who, 422, f"unfit.{what}")


def _gone(visit: Visit) -> Response:
    visit.tell("gone", good=False)
    return visit.go(f"/cases/{visit.path('case_id')}")
