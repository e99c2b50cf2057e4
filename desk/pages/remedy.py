"""Remedies: propose one for an alert, look at its dry run, approve it as another person, steer it."""

from __future__ import annotations

import time
from typing import Any, Final

from starlette.responses import Response

from desk.floor import Floor
from desk.live import stream
from desk.pages.draft import symbol
from desk.pages.visit import Visit, error_page
from desk.remedies import may_not_approve, steers
from desk.writer import now_ms
from schemas.records import RemedyReported
from schemas.remedy_whole import Whole, share
from schemas.vocabulary import RemedyEventKind, RemedyState, RemedySteer

_PER_SECOND: Final = 50
_MOST_PER_SECOND: Final = 10_000
_LONGEST_REASON: Final = 500


async def remedies_page(visit: Visit) -> Response:
    """All remedies, and alerts that one can be proposed for."""
    alerts = sorted(visit.floor.alerts.all(), key=lambda alert: alert.raised_at, reverse=True)
    return visit.page(
        "remedies.html",
        wholes=visit.floor.remedies.newest_first(),
        alerts=alerts,
        per_second=_PER_SECOND,
        now=now_ms(),
        share=share,
    )


async def remedy_page(visit: Visit) -> Response:
    """One remedy."""
    return _shown(visit, "remedy.html")


async def part(visit: Visit) -> Response:
    """The part of it that changes."""
    return _shown(visit, "_remedy.html")


async def live(visit: Visit) -> Response:
    """Tells of each report."""
    remedy_id = visit.path("remedy_id")

    def look() -> object:
        whole = visit.floor.remedies.wholes.get(remedy_id)
        return None if whole is None else sorted((n, report.seq) for n, report in whole.reports.items())

    return stream(visit.floor.bell, (f"remedy:{remedy_id}", "broker"), look)


async def propose(visit: Visit) -> Response:
    """Name the cohort of an alert."""
    alert = visit.floor.alerts.rows.get(visit.field("alert"))
    reason, pace = visit.field("reason"), visit.field("per_second")
    if alert is None or not reason or len(reason) > _LONGEST_REASON:
        return error_page(visit.request, visit.site, visit.who, 422, "unfit.reason")
    if not (pace.isdecimal() and len(pace) < 6 and 1 <= int(pace) <= _MOST_PER_SECOND):  # noqa: PLR2004
        return error_page(visit.request, visit.site, visit.who, 422, "unfit.number")
    writer = visit.floor.remedy_writer
    command = await visit.slow(writer.propose, alert, visit.who.name, reason, int(pace))
    return await _after(visit, command.remedy_id, command.event_id, "proposed")


async def approve(visit: Visit) -> Response:
    """Agree with the dry run that was shown."""
    whole = visit.floor.remedies.wholes.get(visit.path("remedy_id"))
    if whole is None:
        return error_page(visit.request, visit.site, visit.who, 404, "remedy")
    why = may_not_approve(whole, visit.who.name)
    if why is not None:
        visit.tell(f"remedy.{why}", good=False)
        return visit.go(f"/remedies/{whole.remedy_id}")
    if visit.field("enforcements") != str(whole.cohort.enforcements):
        visit.tell("remedy.changed", good=False)
        return visit.go(f"/remedies/{whole.remedy_id}")
    command = await visit.slow(visit.floor.remedy_writer.approve, whole, visit.who.name)
    return await _after(visit, whole.remedy_id, command.event_id, "approved")


async def steer(visit: Visit) -> Response:
    """Pause, resume or stop."""
    whole = visit.floor.remedies.wholes.get(visit.path("remedy_id"))
    wanted, reason = symbol(RemedySteer, visit.field("steer")), visit.field("reason")
    if whole is None:
        return error_page(visit.request, visit.site, visit.who, 404, "remedy")
    if wanted is None or not reason or len(reason) > _LONGEST_REASON:
        return error_page(visit.request, visit.site, visit.who, 422, "unfit.reason")
    command = await visit.slow(visit.floor.remedy_writer.steer, whole, wanted, visit.who.name, reason)
    return await _after(visit, whole.remedy_id, command.event_id, "steered")


def _shown(visit: Visit, template: str) -> Response:
    whole = visit.floor.remedies.wholes.get(visit.path("remedy_id"))
    if whole is None:
        return error_page(visit.request, visit.site, visit.who, 404, "remedy")
    return visit.page(template, **_context(visit, whole))


def _context(visit: Visit, whole: Whole) -> dict[str, Any]:
    examples = [(report.partition, each) for report in whole.reports.values() for each in report.examples][:12]
    return {
        "whole": whole,
        "first": whole.first,
        "why_not": may_not_approve(whole, visit.who.name),
        "waiting": set(whole.states) == {RemedyState.AWAITING_APPROVAL},
        "steers": steers(whole),
        "examples": examples,
        "share": share(whole.done, sum(whole.skipped.values()), whole.cohort),
        "now": now_ms(),
    }


async def _after(visit: Visit, remedy_id: str, event_id: str, done: str) -> Response:
    """Wait until every partition has answered, and say what they said."""
    answers = await visit.slow(_answers, visit.floor, remedy_id, event_id, visit.site.settings.answer_s)
    refused = [each for each in answers if each.kind is RemedyEventKind.REFUSED]
    if refused:
        visit.tell("remedy.refused", good=False, reason=refused[0].reason or "")
    elif not answers:
        visit.tell("remedy.unanswered", good=False)
        return visit.go("/remedies")
    else:
        visit.tell(f"remedy.{done}")
    return visit.go(f"/remedies/{remedy_id}")


def _answers(floor: Floor, remedy_id: str, event_id: str, answer_s: float) -> list[RemedyReported]:
    deadline = time.monotonic() + answer_s
    while True:
        whole = floor.remedies.wholes.get(remedy_id)
        found = {} if whole is None else whole.answers.get(event_id, {})
        if found and len(found) >= next(iter(found.values())).partitions:
            return list(found.values())
        if time.monotonic() > deadline:
            return list(found.values())
        time.sleep(0.05)
