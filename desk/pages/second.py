"""Decisions that wait for a second person: whose they may be, and who may not look."""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import Response

from desk.live import stream
from desk.pages.visit import Visit
from desk.queue import Entry, PodQueue
from desk.writer import now_ms
from schemas.vocabulary import CaseState

_MOST: Final = 100


async def second_page(visit: Visit) -> Response:
    """The whole page."""
    return visit.page("second.html", **_context(visit))


async def rows(visit: Visit) -> Response:
    """The part that changes."""
    return visit.page("_second.html", **_context(visit))


async def live(visit: Visit) -> Response:
    """Tells when it has become another."""
    pods = _queues(visit)

    def look() -> object:
        return [(entry.case_id, entry.version) for _, entry in _waiting(pods)], visit.floor.pulse.lost_at

    return stream(visit.floor.bell, (*(f"pod:{queue.pod}" for queue in pods), "broker"), look)


def _queues(visit: Visit) -> list[PodQueue]:
    return [queue for pod, queue in visit.floor.client.queues.items() if visit.who.works_at(pod)]


def _waiting(pods: list[PodQueue]) -> list[tuple[PodQueue, Entry]]:
    waiting = [(queue, queue.selection("second", lambda e: e.state is CaseState.SECOND_REVIEW)) for queue in pods]
    found = [(queue, entry) for queue, entries in waiting for entry in entries]
    return sorted(found, key=lambda each: each[1].rank_at)[:_MOST]


def _context(visit: Visit) -> dict[str, Any]:
    found = [(queue, entry, queue.whole_case(entry)) for queue, entry in _waiting(_queues(visit))]
    mine = [each for each in found if visit.who.name not in each[1].excluded]
    barred = [each for each in found if visit.who.name in each[1].excluded]
    return {"mine": mine, "barred": barred, "now": now_ms()}
