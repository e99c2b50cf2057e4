"""What every answer carries and every change must show: headers, a token of one's own, and where the request is from.

The pages have no inline script and no inline style, so the policy allows neither. A change must come from a page of
ours: its form has a token bound to session and person, and the browser says that it is the same origin.
"""

from __future__ import annotations

import hmac
import secrets
from hashlib import sha256
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; font-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS: Final = {
    "x-content-type-options": "nosniff",
    # Not `no-referrer`: then browsers hide the origin of forms, by which changes from elsewhere are told apart.
    "referrer-policy": "same-origin",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
TOKEN: Final = "token"  # noqa: S105 - the name of a field
TOKEN_HEADER: Final = "x-desk-token"  # noqa: S105
_SEED: Final = "seed"
_MOST_BYTES: Final = 200_000
"""Of a form: texts are bounded, and nobody uploads anything."""


def token_of(connection: HTTPConnection, secret: str, who: str) -> str:
    """The token that this person's forms carry in this session."""
    seed = connection.session.get(_SEED)
    if not isinstance(seed, str):
        seed = connection.session[_SEED] = secrets.token_urlsafe(24)
    return hmac.new(secret.encode(), f"{seed}\x1f{who}".encode(), sha256).hexdigest()


def shows_token(connection: HTTPConnection, secret: str, who: str, shown: str) -> bool:
    """Whether a change comes from a page that this person was given in this session."""
    return _SEED in connection.session and hmac.compare_digest(token_of(connection, secret, who), shown)


class Hardened:
    """ASGI: headers on every answer, and changes from other origins refused before anything looks at them.

    Args:
        app: What is guarded.
        over_tls: Whether browsers reach it by TLS.
    """

    def __init__(self, app: ASGIApp, *, over_tls: bool) -> None:
        self._app = app
        self._more = {"strict-transport-security": "max-age=31536000"} if over_tls else {}

    async def __call__(  # noqa: D102 - ASGI
        self, scope: Scope, receive: Receive, send: Send
    ) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        static = scope["path"].startswith("/static/")

        async def hardened(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update({**_HEADERS, **self._more, "content-security-policy": POLICY})
                headers["cache-control"] = "public, max-age=3600" if static else "no-store"
            await send(message)

        headers = Headers(scope=scope)
        why = None if scope["method"] in _SAFE else _foreign(headers)
        if why is not None:
            await hardened(
                {"type": "http.response.start", "status": 403, "headers": [(b"content-type", b"text/plain")]}
            )
            await hardened({"type": "http.response.body", "body": why.encode()})
            return
        await self._app(scope, receive, hardened)


def _foreign(headers: Headers) -> str | None:
    """Why a change is not from a page of ours; None: it is, as far as the browser says."""
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return "This request comes from another site."
    origin = headers.get("origin")
    if origin is not None and origin.partition("://")[2] != headers.get("host", ""):
        return "This request comes from another origin."
    if int(headers.get("content-length") or 0) > _MOST_BYTES:
        return "This form is larger than any of ours."
    return None
