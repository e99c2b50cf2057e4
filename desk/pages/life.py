"""The auditor's place: a case's life, line by line, with its user's chain verified, and as a file to take away."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote

from starlette.responses import Response

from desk.audit import Link, as_json_lines
from desk.pages.visit import Visit, error_page
from desk.writer import now_ms

_ID: Final = re.compile(r"[\w.:@+-]{1,256}", re.ASCII)


async def search_page(visit: Visit) -> Response:
    """Where to begin."""
    log = visit.floor.lines
    return visit.page("audit.html", whole=log.whole.is_set(), lines=len(log), asked="", unknown=False)


async def search(visit: Visit) -> Response:
    """Find a case by its id or an appeal's; what was typed stays out of the address until it is known to be one."""
    asked = visit.field("id")
    user_id = visit.floor.audit.user_of(asked)
    if user_id is None or _ID.fullmatch(asked) is None:
        log = visit.floor.lines
        return visit.page("audit.html", 404, whole=log.whole.is_set(), lines=len(log), asked=asked, unknown=True)
    case_id = await visit.slow(_case_of, visit, user_id, asked)
    return visit.go(f"/audit/{quote(case_id, safe='')}")


async def life_page(visit: Visit) -> Response:
    """The life of a case."""
    case_id = visit.path("case_id")
    links = await visit.slow(_links, visit, case_id)
    mine = [link for link in links if link.line.case_id == case_id]
    if not mine:
        return error_page(visit.request, visit.site, visit.who, 404, "case")
    faults = [link for link in links if link.fault]
    return visit.page(
        "life.html",
        case_id=case_id,
        links=mine,
        chain=len(links),
        unchained=sum(link.line.hash is None for link in links),
        faults=faults,
        last=links[-1].line,
        user_id=mine[0].line.user_id,
        whole=visit.floor.lines.whole.is_set(),
        now=now_ms(),
    )


async def export(visit: Visit) -> Response:
    """The lines of a case, each as one line of JSON, in the form that is hashed."""
    case_id = visit.path("case_id")
    links = [link for link in await visit.slow(_links, visit, case_id) if link.line.case_id == case_id]
    if not links:
        return error_page(visit.request, visit.site, visit.who, 404, "case")
    name = f"case-{case_id}.jsonl" if _ID.fullmatch(case_id) else "case.jsonl"
    return Response(
        b"".join(as_json_lines(links)),
        media_type="application/jsonl",
        headers={"content-disposition": f'attachment; filename="{name}"'},
    )


def _links(visit: Visit, case_id: str) -> list[Link]:
    user_id = visit.floor.audit.user_of(case_id)
    return [] if user_id is None else visit.floor.audit.life(user_id)


def _case_of(visit: Visit, user_id: str, asked: str) -> str:
    """The case of an appeal's id, or the id itself."""
    for link in visit.floor.audit.life(user_id):
        if link.line.appeal_id == asked and link.line.case_id is not None:
            return link.line.case_id
    return asked
