"""Signing in where no proxy says who somebody is: in the demo as anybody, else at an OpenID provider."""

from __future__ import annotations

from typing import Any, Final

from authlib.integrations.starlette_client import OAuth, OAuthError
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from desk.identity import Role, Untrusted, keep_in_session, person
from desk.pages.visit import Site, Visit, rendered
from desk.security import TOKEN, shows_token, token_of

_NOBODY: Final = ""


def demo_routes(site: Site) -> list[Route]:
    """A form where everybody may be anybody. Settings let this listen on loopback only."""

    async def form(request: Request) -> Response:
        context = {
            "roles": list(Role),
            "all_pods": list(site.floor.client.queues),
            "token": token_of(request, site.secret, _NOBODY),
            "where": request.query_params.get("pod", "general"),
        }
        return HTMLResponse(rendered(request, site, None, "sign_in.html", context))

    async def sign_in(request: Request) -> Response:
        sent = await request.form(max_files=0, max_fields=100)
        shown = sent.get(TOKEN)
        if not isinstance(shown, str) or not shows_token(request, site.secret, _NOBODY, shown):
            return PlainTextResponse("This form is not ours, or too old: load it anew.", 403)
        groups = [f"recourse-{str(each).replace('_', '-')}" for each in sent.getlist("role")]
        groups += [f"recourse-pod-{each}" for each in sent.getlist("pod")]
        try:
            who = person(str(sent.get("name", "")).strip(), groups, {})
        except Untrusted as error:
            return PlainTextResponse(str(error), 422)
        keep_in_session(request, who)
        return RedirectResponse("/", 303)

    return [Route("/sign-in", form, methods=["GET"]), Route("/sign-in", sign_in, methods=["POST"])]


def oidc_routes(site: Site) -> list[Route]:
    """The authorization code flow with PKCE; roles come from a claim of the id token or of the user info."""
    settings = site.settings
    oauth: Any = OAuth()
    oauth.register(
        "provider",
        server_metadata_url=f"{(settings.oidc_issuer or '').rstrip('/')}/.well-known/openid-configuration",
        client_id=settings.oidc_client_id,
        client_secret=None if settings.oidc_client_secret is None else settings.oidc_client_secret.get_secret_value(),
        client_kwargs={"scope": "openid profile", "code_challenge_method": "S256"},
    )

    async def sign_in(request: Request) -> Response:
        return await oauth.provider.authorize_redirect(request, str(request.url_for("callback")))

    async def callback(request: Request) -> Response:
        try:
            told = await oauth.provider.authorize_access_token(request)
            claims: dict[str, Any] = told.get("userinfo") or {}
            groups = claims.get(settings.oidc_groups_claim) or []
            who = person(str(claims.get(settings.oidc_user_claim, "")), map(str, groups), settings.groups)
        except (OAuthError, Untrusted) as error:
            return PlainTextResponse(f"Signing in did not work: {type(error).__name__}.", 403)
        keep_in_session(request, who)
        return RedirectResponse("/", 303)

    return [Route("/sign-in", sign_in), Route("/signed-in", callback, name="callback")]


async def sign_out(visit: Visit) -> Response:
    """Forget who this is."""
    visit.request.session.clear()
    return visit.go("/sign-in" if visit.site.settings.identity != "header" else "/")
