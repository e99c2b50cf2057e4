"""The queue of a pod: who waits, most urgent first, and why; claim the next with one key."""

from __future__ import annotations

from typing import Any, Final

from markupsafe import Markup
from starlette.responses import Response

from desk.answers import Answer
from desk.identity import Person, Role
from desk.live import stream
from desk.pages.telling import tell_answer
from desk.pages.visit import Visit, error_page
from desk.queue import Entry, PodQueue
from desk.writer import now_ms
from schemas import DecodeError
from schemas.vocabulary import CaseState

PAGE: Final = 50
_TRIES: Final = 4
_FRESH_MS: Final = 30_000
"""A page counts its clocks down by itself."""
_WAITING: Final = frozenset({CaseState.AWAITING_EVIDENCE, CaseState.ON_HOLD})
SHOWN: Final = ("open", "mine", "second", "waiting", "all")
WORKERS: Final = (Role.SPECIALIST, Role.SECOND_REVIEWER, Role.LEAD)


def shown(queue: PodQueue, show: str, who: Person) -> list[Entry] | None:
    """What a tab of the queue shows to this person; None: everything."""
    match show:
        case "open":
            free = queue.selection("open", lambda entry: entry.state is CaseState.QUEUED and entry.holder is None)
            barred = queue.selection("barred", lambda entry: bool(entry.excluded))
            if any(who.name in entry.excluded for entry in barred):
                return [entry for entry in free if who.name not in entry.excluded]
            return free
        case "mine":
            held = queue.selection("held", lambda entry: entry.holder is not None)
            return [entry for entry in held if entry.holder == who.name]
        case "second":
            return queue.selection("second", lambda entry: entry.state is CaseState.SECOND_REVIEW)
        case "waiting":
            return queue.selection("waiting", lambda entry: entry.state in _WAITING)
        case _:
            return None


async def first(visit: Visit) -> Response:
    """Where somebody begins: their pod's queue, the board, or the audit."""
    pods = [pod for pod in visit.floor.client.queues if visit.who.works_at(pod)]
    if visit.who.may(Role.SPECIALIST) and pods:
        return visit.go(f"/pods/{pods[0]}")
    if visit.who.may(Role.LEAD):
        return visit.go("/board")
    if visit.who.may(Role.SECOND_REVIEWER):
        return visit.go("/second")
    return visit.go("/audit" if visit.who.may(Role.AUDITOR) else "/no-pod")


async def no_pod(visit: Visit) -> Response:
    """Somebody has a role, and no pod to have it at."""
    return error_page(visit.request, visit.site, visit.who, 403, "no_pod")


async def queue_page(visit: Visit) -> Response:
    """The whole page."""
    queue = _queue(visit)
    return _no_such_pod(visit) if queue is None else visit.page("queue.html", **_context(visit, queue))


async def rows(visit: Visit) -> Response:
    """The part of it that changes."""
    queue = _queue(visit)
    return _no_such_pod(visit) if queue is None else visit.page("_rows.html", **_context(visit, queue))


async def live(visit: Visit) -> Response:
    """Tells when what this page shows has become another."""
    queue = _queue(visit)
    if queue is None:
        return _no_such_pod(visit)
    show, number = _where(visit)

    def look() -> object:
        entries, total = _entries(queue, show, visit.who, number)
        return total, [(each.case_id, each.version, each.band) for each in entries], visit.floor.pulse.lost_at

    return stream(visit.floor.bell, (f"pod:{queue.pod}", "broker"), look)


async def claim_next(visit: Visit) -> Response:
    """Take the most urgent case that is this person's to take; if somebody was quicker, the one after it."""
    queue = _queue(visit)
    if queue is None:
        return _no_such_pod(visit)
    answer: Answer | None = None
    for _ in range(_TRIES):
        case = queue.next_for(visit.who.name, visit.site.reached_for)
        if case is None:
            visit.tell("queue.none_left", good=False)
            return visit.go(f"/pods/{queue.pod}")
        visit.site.reached_for.add(case.case_id)
        try:
            answer = await visit.slow(visit.floor.client.writer.claim, case, visit.who.name)
            # Until the queue shows whose it is: else the next to ask would be given it too.
            await visit.slow(queue.wait_for, case.case_id, answer.line.case_version or case.version + 1, 2.0)
        finally:
            visit.site.reached_for.discard(case.case_id)
        if answer.accepted:
            visit.tell("claimed")
            return visit.go(f"/cases/{case.case_id}")
    if answer is not None:
        await tell_answer(visit, queue, answer)
    return visit.go(f"/pods/{queue.pod}")


def _queue(visit: Visit) -> PodQueue | None:
    pod = visit.path("pod")
    return visit.floor.client.queues.get(pod) if visit.who.works_at(pod) else None


def _no_such_pod(visit: Visit) -> Response:
    return error_page(visit.request, visit.site, visit.who, 404, "pod")


def _where(visit: Visit) -> tuple[str, int]:
    query = visit.request.query_params
    show, number = query.get("show", "open"), query.get("page", "1")
    return show if show in SHOWN else "open", max(1, int(number[:6])) if number.isdecimal() else 1


def _entries(queue: PodQueue, show: str, who: Person, number: int) -> tuple[list[Entry], int]:
    found, begin = shown(queue, show, who), PAGE * (number - 1)
    if found is None:
        return queue.page(begin, PAGE), len(queue)
    return found[begin : begin + PAGE], len(found)


def _context(visit: Visit, queue: PodQueue) -> dict[str, Any]:
    show, number = _where(visit)
    entries, total = _entries(queue, show, visit.who, number)
    states, now = queue.states(), now_ms()
    return {
        "queue": queue,
        "rows": [row for entry in entries if (row := _row(visit, queue, entry, now))],
        "show": show,
        "tabs": SHOWN,
        "page": number,
        "pages": max(1, -(-total // PAGE)),
        "total": total,
        "first": PAGE * (number - 1),
        "waiting": sum(states[state] for state in _WAITING),
        "second": states[CaseState.SECOND_REVIEW],
    }


def _row(visit: Visit, queue: PodQueue, entry: Entry, now: int) -> Markup | None:
    """A row as this person sees it; drawn once for all who see the same, and anew when its clocks have gone on.

    None: the case cannot be read.
    """
    who = visit.who.name
    look = (visit.words.language, entry.holder == who, who in entry.excluded)
    kept = None if entry.drawn is None else entry.drawn.get(look)
    if kept is not None and now - kept[0] < _FRESH_MS:
        return Markup(kept[1])  # noqa: S704 - rendered by a template, which has escaped it
    try:
        case = queue.whole_case(entry)
    except DecodeError:
        return None
    told = {"entry": entry, "case": case, "e": case.enforcement, "own": look[1], "barred": look[2], "now": now}
    text = visit.site.templates.get_template("_row.html").render(t=visit.words, label=visit.words.label, **told)
    entry.drawn = {**(entry.drawn or {}), look: (now, text)}
    return Markup(text)  # noqa: S704
