"""Tokens for OAUTHBEARER, as librdkafka fetches them by itself: OAuth 2, grant `client_credentials` (RFC 6749, 4.4)."""

from __future__ import annotations

import base64
import ssl
import time

import aiohttp
from aiokafka.abc import AbstractTokenProvider

from topology.access.files import shown
from topology.access.kafka import KafkaAccess
from topology.engine.errors import EngineError, Misconfigured

_TIMEOUT_S = 20.0
_RENEWED_AT = 0.8
"""Share of a token's life after which a new one is fetched, as librdkafka does."""
_OK = 200


class NoToken(EngineError):  # noqa: N818 - a state, not an accident
    """The issuer gave none; aiokafka tries the connection again."""


class Tokens(AbstractTokenProvider):
    """Fetched when a connection needs one, and kept for most of its life."""

    def __init__(self, settings: KafkaAccess) -> None:
        self._settings = settings
        self._token = ""
        self._renewed_s = 0.0
        try:
            self._tls = ssl.create_default_context(cafile=settings.kafka_token_ca)
        except OSError as exc:  # an ssl.SSLError is one
            raise Misconfigured(f"RECOURSE_KAFKA_TOKEN_CA cannot be used: {exc}") from exc

    async def token(self) -> str:  # pyright: ignore[reportIncompatibleMethodOverride] - aiokafka forgot to say str
        """A token that is good for a while.

        Raises:
            NoToken: the issuer gave none; the text shows neither secret nor token.
        """
        if time.monotonic() >= self._renewed_s:
            self._token, life_s = await self._fetch()
            self._renewed_s = time.monotonic() + _RENEWED_AT * life_s
        return self._token

    async def _fetch(self) -> tuple[str, float]:
        settings = self._settings
        form = {"grant_type": "client_credentials"}
        if settings.kafka_scope is not None:
            form["scope"] = settings.kafka_scope
        login = f"{settings.kafka_client_id}:{shown(settings.kafka_client_secret)}".encode()
        headers = {"Authorization": f"Basic {base64.b64encode(login).decode()}"}
        limit = aiohttp.ClientTimeout(total=_TIMEOUT_S)
        url = settings.kafka_token_url or ""
        try:
            async with (
                aiohttp.ClientSession(timeout=limit, headers=headers) as session,
                session.post(url, data=form, ssl=self._tls) as answer,
            ):
                if answer.status != _OK:
                    raise NoToken(f"{url} gives no token: HTTP {answer.status}")
                told = await answer.json()
                return str(told["access_token"]), float(told.get("expires_in", 0))
        except (aiohttp.ClientError, TimeoutError, KeyError, TypeError, ValueError) as exc:
            raise NoToken(f"{url} gives no token: {type(exc).__name__}: {exc}") from exc
