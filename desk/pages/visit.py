"""One request of one person: who it is, in which language, with which form, and how it is answered.

Every route is made here, so none is reachable without a person, a role, and, where it changes something, the token of
a page that this person was given.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import structlog
from jinja2 import Environment
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from desk.errors import DeskError, NoAnswer, NotWritten
from desk.floor import Floor
from desk.identity import Person, Role, Untrusted, from_headers, from_session
from desk.presence import Presence
from desk.security import TOKEN, TOKEN_HEADER, shows_token, token_of
from desk.settings import Settings
from desk.wording import Words, preferred, words
from desk.writer import now_ms

T = TypeVar("T")
_LANGUAGE = "language"
_FLASH = "flash"
_MOST_FIELDS = 1_200
"""Of a form: a case may have a thousand pieces of evidence to cite."""


@dataclass(frozen=True)
class Site:
    """What all visits share."""

    settings: Settings
    floor: Floor
    templates: Environment
    secret: str
    presence: Presence
    reached_for: set[str] = field(default_factory=set[str])
    """Cases that somebody's `claim_next` is about: fifty who press the key at once each get another one."""


@dataclass(frozen=True)
class Visit:
    """A request of somebody who may make it."""

    request: Request
    site: Site
    who: Person
    form: FormData

    @property
    def floor(self) -> Floor:
        """What the desk knows."""
        return self.site.floor

    @functools.cached_property
    def words(self) -> Words:
        """In the person's language."""
        return words_of(self.request)

    def field(self, name: str) -> str:
        """A field of the form, without the spaces around it; empty if it is not there."""
        value = self.form.get(name)
        return value.strip() if isinstance(value, str) else ""

    def fields(self, name: str) -> list[str]:
        """All fields of this name."""
        return [value for value in self.form.getlist(name) if isinstance(value, str)]

    def path(self, name: str) -> str:
        """A part of the path."""
        return str(self.request.path_params[name])

    def page(self, template: str, status: int = 200, **context: Any) -> Response:  # noqa: ANN401
        """A page, or a part of one, in the person's language."""
        return HTMLResponse(rendered(self.request, self.site, self.who, template, context), status)

    def tell(self, key: str, *, good: bool = True, **values: str) -> None:
        """Say something on the next page. Values are ids and codes: they travel in a cookie."""
        self.request.session[_FLASH] = [key, "good" if good else "bad", values]

    def go(self, path: str) -> Response:
        """On to another page."""
        return RedirectResponse(path, 303)

    async def slow(self, call: Callable[..., T], *args: Any, **kwargs: Any) -> T:  # noqa: ANN401
        """Call something that waits for the engine or for Kafka, while others are served."""
        return await run_in_threadpool(functools.partial(call, *args, **kwargs))


Handler = Callable[[Visit], Awaitable[Response]]


def page(site: Site, path: str, handler: Handler, *roles: Role) -> Route:
    """A route that shows something; without roles, to everybody who has any."""
    return Route(path, _guarded(site, handler, roles, changes=False), methods=["GET"])


def act(site: Site, path: str, handler: Handler, *roles: Role) -> Route:
    """A route that changes something."""
    return Route(path, _guarded(site, handler, roles, changes=True), methods=["POST"])


def rendered(request: Request, site: Site, who: Person | None, template: str, context: dict[str, Any]) -> str:
    """A template with what all of them may ask for."""
    told = words_of(request)
    flash = None if template.startswith("_") else _flashed(request, told)
    return site.templates.get_template(template).render(
        {
            "t": told,
            "label": told.label,
            "who": who,
            "Role": Role,
            "token": "" if who is None else token_of(request, site.secret, who.name),
            "now": now_ms(),
            "path": request.url.path,
            "flash": flash,
            "lost_at": site.floor.pulse.lost_at,
            "failure": site.floor.failure,
            "pods": [] if who is None else [pod for pod in site.floor.client.queues if who.works_at(pod)],
            "identity": site.settings.identity,
            **context,
        }
    )


def _flashed(request: Request, told: Words) -> tuple[str, str] | None:
    """What the page before this one wanted to be said, and whether it is good news."""
    kept = request.session.pop(_FLASH, None)
    if not isinstance(kept, list):
        return None
    key, kind, values = kept
    if "reason" in values:
        values = {**values, "reason": told.code("reason", values["reason"])}
    return told(f"flash.{key}", **values), kind


def words_of(request: Request) -> Words:
    """The language that was chosen, else the one that the browser prefers."""
    chosen = request.session.get(_LANGUAGE)
    return words(chosen if isinstance(chosen, str) else preferred(request.headers.get("accept-language", "")))


async def choose_language(visit: Visit) -> Response:
    """Remember a language for the session."""
    visit.request.session[_LANGUAGE] = visit.field("language")
    back = visit.field("back")
    return visit.go(back if back.startswith("/") and not back.startswith(("//", "/\\")) else "/")


def error_page(request: Request, site: Site, who: Person | None, status: int, key: str, **values: str) -> Response:
    """Says what is wrong and what can be done."""
    context = {"key": key, "values": values, "status": status}
    return HTMLResponse(rendered(request, site, who, "error.html", context), status)


def person_of(request: Request, site: Site) -> Person | None:
    """Who makes the request; None: nobody has signed in.

    Raises:
        Untrusted: somebody who is not trusted says who it is.
    """
    return from_headers(request, site.settings) if site.settings.identity == "header" else from_session(request)


def _guarded(
    site: Site, handler: Handler, roles: tuple[Role, ...], *, changes: bool
) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        found = await _admitted(request, site, roles, changes=changes)
        return found if isinstance(found, Response) else await _answered(found, handler)

    return endpoint


async def _admitted(request: Request, site: Site, roles: tuple[Role, ...], *, changes: bool) -> Visit | Response:
    """The visit, if it may be made."""
    log = structlog.get_logger()
    try:
        who = person_of(request, site)
    except Untrusted as error:
        log.warning("refused", path=request.url.path, why=str(error))
        return PlainTextResponse("Nobody who is trusted says who you are.", 403)
    if who is None:
        if changes or request.headers.get("hx-request"):
            return PlainTextResponse("Your session has ended: load the page anew.", 401)
        return RedirectResponse("/sign-in", 303)
    if not who.roles or (roles and not who.may(*roles)):
        log.warning("role_missing", path=request.url.path, who=who.name)
        return error_page(request, site, who, 403, "role")
    form = FormData()
    if changes:
        form = await request.form(max_files=0, max_fields=_MOST_FIELDS)
        shown = request.headers.get(TOKEN_HEADER) or form.get(TOKEN)
        if not isinstance(shown, str) or not shows_token(request, site.secret, who.name, shown):
            log.warning("token_missing", path=request.url.path, who=who.name)
            return error_page(request, site, who, 403, "token")
    return Visit(request, site, who, form)


async def _answered(visit: Visit, handler: Handler) -> Response:
    """What the handler says, or what kept it from saying anything."""
    try:
        return await handler(visit)
    except DeskError as error:
        match error:
            case NoAnswer():
                status, key = 504, "no_answer"
            case NotWritten():
                status, key = 503, "not_written"
            case _:
                status, key = 503, "failed"
        path, who = visit.request.url.path, visit.who
        structlog.get_logger().warning(key, path=path, who=who.name, why=str(error))
        seconds = f"{visit.site.settings.answer_s:g}"
        return error_page(visit.request, visit.site, who, status, key, seconds=seconds)
