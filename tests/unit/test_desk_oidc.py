"""Signing in at an OpenID provider: the code flow with PKCE, against a small provider of our own."""

from __future__ import annotations

import base64
import threading
import time
from hashlib import sha256
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
import uvicorn
from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from desk.app import build_app
from tests.unit.desk_house import House

SECRET = "the-client's-secret"


class Provider:
    """Says that everybody who comes is Zoe, a specialist."""

    def __init__(self) -> None:
        self.key = RSAKey.generate_key(2048, parameters={"kid": "k-1"})
        self.asked: dict[str, dict[str, str]] = {}
        self.claims = {"preferred_username": "zoe", "groups": ["recourse-specialist", "recourse-pod-legal"]}
        self.issuer = ""
        routes = [
            Route("/.well-known/openid-configuration", self.about),
            Route("/authorize", self.authorize),
            Route("/token", self.token, methods=["POST"]),
            Route("/jwks", self.keys),
        ]
        self.server = uvicorn.Server(uvicorn.Config(Starlette(routes=routes), port=0, log_config=None))

    async def about(self, _request: Request) -> JSONResponse:
        return JSONResponse(
            {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/jwks",
                "id_token_signing_alg_values_supported": ["RS256"],
            }
        )

    async def authorize(self, request: Request) -> RedirectResponse:
        query = dict(request.query_params)
        assert query["code_challenge_method"] == "S256"
        code = f"code-{len(self.asked)}"
        self.asked[code] = query
        return RedirectResponse(f"{query['redirect_uri']}?code={code}&state={query['state']}")

    async def token(self, request: Request) -> JSONResponse:
        form = await request.form()
        asked = self.asked.pop(str(form["code"]))
        digest = sha256(str(form["code_verifier"]).encode()).digest()
        assert base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == asked["code_challenge"]
        told = {"iss": self.issuer, "aud": "desk", "sub": "1", "iat": int(time.time()), "exp": int(time.time()) + 60}
        signed = jwt.encode({"alg": "RS256", "kid": "k-1"}, {**told, "nonce": asked["nonce"], **self.claims}, self.key)
        return JSONResponse({"access_token": "x", "token_type": "Bearer", "id_token": signed})

    async def keys(self, _request: Request) -> JSONResponse:
        return JSONResponse({"keys": [self.key.as_dict(private=False)]})


@pytest.fixture
def provider():
    provider = Provider()
    thread = threading.Thread(target=provider.server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not provider.server.started:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    port = provider.server.servers[0].sockets[0].getsockname()[1]
    provider.issuer = f"http://127.0.0.1:{port}"
    yield provider
    provider.server.should_exit = True
    thread.join(20)


@pytest.fixture
def browser(provider, tmp_path):
    house = House(
        tmp_path, identity="oidc", oidc_issuer=provider.issuer, oidc_client_id="desk", oidc_client_secret=SECRET,
        secret="0123456789" * 5,
    )  # fmt: skip
    with TestClient(build_app(house.settings, house), follow_redirects=False) as client:
        yield client


def signed_in(provider: Provider, browser: TestClient):
    """Follow the way to the provider and back."""
    there = browser.get("/sign-in")
    back = httpx2.get(there.headers["location"]).headers["location"]
    assert urlsplit(back).path == "/signed-in"
    return browser.get(f"/signed-in?{urlsplit(back).query}")


def test_somebody_is_whom_the_provider_says_with_the_roles_that_it_says(provider, browser):
    assert browser.get("/").headers["location"] == "/sign-in"
    assert signed_in(provider, browser).status_code == 303
    page = browser.get("/pods/legal")
    assert page.status_code == 200
    assert "zoe" in page.text
    assert browser.get("/board").status_code == 403
    cookie = browser.get("/sign-in").headers["set-cookie"].lower()
    assert "samesite=lax" in cookie
    assert "httponly" in cookie


def test_an_answer_that_nobody_asked_for_signs_nobody_in(provider, browser):
    there = parse_qs(urlsplit(browser.get("/sign-in").headers["location"]).query)
    assert there["response_type"] == ["code"]
    answer = browser.get("/signed-in?code=code-0&state=of-somebody-else")
    assert answer.status_code == 403
    assert browser.get("/pods/legal").status_code == 303


def test_who_has_no_id_there_is_nobody_here(provider, browser):
    provider.claims = {"groups": ["recourse-lead"]}
    assert signed_in(provider, browser).status_code == 403
    assert browser.get("/board").status_code == 303
