"""The desk as one ASGI application: routes, layers and life, each written once."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Final

import anyio.to_thread
import structlog
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from desk.floor import Floor
from desk.identity import Role, Untrusted
from desk.pages import acts, board, case, life, queue, remedy, second, sign_in
from desk.pages.telling import amount_of, time_of
from desk.pages.visit import Site, act, choose_language, error_page, page, person_of
from desk.presence import Presence
from desk.security import Hardened
from desk.settings import Settings

_THREADS: Final = 150
"""Who waits for the engine, or for Kafka, waits in a thread: so many people may at once."""
_SEE: Final = (Role.SPECIALIST, Role.SECOND_REVIEWER, Role.LEAD)
_WORK: Final = (Role.SPECIALIST, Role.LEAD)
_SECOND: Final = (Role.SECOND_REVIEWER, Role.LEAD)


def build_app(settings: Settings, floor: Floor) -> Starlette:
    """The application. It starts and closes the floor with itself.

    Args:
        settings: Identity, cookies, times.
        floor: Not started yet.
    """
    over_tls = settings.secure_cookies and settings.identity != "demo"

    async def gone(person: str, case_id: str) -> None:
        await acts.hand_back_left(floor, person, case_id)

    site = Site(settings, floor, templates(), settings.signing_secret(), Presence(settings.leave_s, gone))

    @contextlib.asynccontextmanager
    async def life_of(_app: Starlette) -> AsyncGenerator[None]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = _THREADS
        floor.bell.bind()
        floor.start()
        try:
            yield
        finally:
            await anyio.to_thread.run_sync(floor.close)

    async def not_found(request: Request, _error: Exception) -> Response:
        try:
            who = person_of(request, site)
        except Untrusted:
            return PlainTextResponse("Nobody who is trusted says who you are.", 403)
        return error_page(request, site, who, 404, "page")

    async def broken(request: Request, error: Exception) -> Response:
        structlog.get_logger().error("defect", path=request.url.path, exc_info=error)
        return PlainTextResponse("Something is wrong with the desk itself; its log says what.", 500)

    return Starlette(
        routes=_routes(site),
        middleware=[
            Middleware(Hardened, over_tls=over_tls),
            Middleware(
                SessionMiddleware,
                secret_key=site.secret,
                session_cookie="__Host-desk" if over_tls else "desk",
                max_age=int(settings.session_s),
                # An OpenID provider sends people back from another site.
                same_site="lax" if settings.identity == "oidc" else "strict",
                https_only=over_tls,
            ),
        ],
        exception_handlers={404: not_found, 500: broken},
        lifespan=life_of,
    )


def templates() -> Environment:
    """Everything is escaped; a name that a page does not have is a fault, not an empty place."""
    environment = Environment(
        loader=PackageLoader("desk"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["moment"] = time_of
    environment.filters["amount"] = amount_of
    return environment


def _routes(site: Site) -> list[BaseRoute]:
    static = StaticFiles(directory=Path(__file__).with_name("static"))

    async def ready(_request: Request) -> Response:
        floor = site.floor
        whole = all(each.whole.is_set() for each in floor.client.queues.values())
        good = whole and floor.failure is None and floor.pulse.lost_at is None
        return PlainTextResponse("ready\n" if good else "not ready\n", 200 if good else 503)

    async def alive(_request: Request) -> Response:
        failure = site.floor.failure
        return PlainTextResponse("alive\n" if failure is None else f"{failure!r}\n", 200 if failure is None else 500)

    signing_in = {"demo": sign_in.demo_routes, "oidc": sign_in.oidc_routes}.get(site.settings.identity)
    one = "/cases/{case_id}"
    return [
        Mount("/static", static),
        Route("/readyz", ready),
        Route("/livez", alive),
        *([] if signing_in is None else signing_in(site)),
        act(site, "/sign-out", sign_in.sign_out),
        act(site, "/language", choose_language),
        page(site, "/", queue.first),
        page(site, "/no-pod", queue.no_pod),
        page(site, "/pods/{pod}", queue.queue_page, *_SEE),
        page(site, "/pods/{pod}/rows", queue.rows, *_SEE),
        page(site, "/pods/{pod}/live", queue.live, *_SEE),
        act(site, "/pods/{pod}/next", queue.claim_next, *_WORK),
        page(site, one, case.case_page),
        page(site, f"{one}/state", case.state),
        page(site, f"{one}/live", case.live),
        act(site, f"{one}/claim", acts.claim, *_SEE),
        act(site, f"{one}/renew", acts.renew, *_SEE),
        act(site, f"{one}/release", acts.release, *_SEE),
        act(site, f"{one}/evidence", acts.request_evidence, *_WORK),
        act(site, f"{one}/refer", acts.refer, *_WORK),
        act(site, f"{one}/hold", acts.hold, *_WORK),
        act(site, f"{one}/resume", acts.resume, *_WORK),
        act(site, f"{one}/preview", acts.preview, *_SEE),
        act(site, f"{one}/decide", acts.decide, *_SEE),
        act(site, f"{one}/confirm", acts.confirm, *_SECOND),
        act(site, f"{one}/return", acts.give_back, *_SECOND),
        act(site, f"{one}/move", acts.move, Role.LEAD),
        page(site, "/second", second.second_page, *_SECOND),
        page(site, "/second/rows", second.rows, *_SECOND),
        page(site, "/second/live", second.live, *_SECOND),
        page(site, "/board", board.board_page, Role.LEAD),
        page(site, "/board/parts", board.parts, Role.LEAD),
        page(site, "/board/live", board.live, Role.LEAD),
        page(site, "/remedies", remedy.remedies_page, Role.LEAD),
        act(site, "/remedies", remedy.propose, Role.LEAD),
        page(site, "/remedies/{remedy_id}", remedy.remedy_page, Role.LEAD),
        page(site, "/remedies/{remedy_id}/part", remedy.part, Role.LEAD),
        page(site, "/remedies/{remedy_id}/live", remedy.live, Role.LEAD),
        act(site, "/remedies/{remedy_id}/approve", remedy.approve, Role.LEAD),
        act(site, "/remedies/{remedy_id}/steer", remedy.steer, Role.LEAD),
        page(site, "/audit", life.search_page, Role.AUDITOR, Role.LEAD),
        act(site, "/audit", life.search, Role.AUDITOR, Role.LEAD),
        page(site, "/audit/{case_id}", life.life_page, Role.AUDITOR, Role.LEAD),
        page(site, "/audit/{case_id}/lines.jsonl", life.export, Role.AUDITOR, Role.LEAD),
    ]
