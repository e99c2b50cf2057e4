"""A broker that lets nobody in who does not prove who it is, allows nothing that no ACL allows, and says so.

Four listeners: in the clear for the test itself (the only super user), SASL over TLS, and TLS that asks for a
certificate; the fourth is the controller's. `Issuer` gives out tokens whose signatures the broker verifies.
"""

from __future__ import annotations

import base64
import json
import ssl
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar, Self
from urllib.parse import parse_qs

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.integration.certificates import Authority, Pair
from topology.embedded import KafkaServer, silent
from topology.embedded.kafka import SHORT_LIVED
from topology.embedded.server import HOST

AUDIENCE = "kafka"
PASSWORD = "pass-of-scram"
_OAUTH = "org.apache.kafka.common.security.oauthbearer"


class Issuer:
    """Tokens for whoever knows a client's secret: OAuth 2, `client_credentials`, over HTTPS. A context manager."""

    def __init__(self, folder: Path, pair: Pair, secrets: Mapping[str, str]) -> None:
        """`secrets` by client id."""
        self.jwks = folder / "jwks.json"
        self.given = 0
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._secrets = secrets
        numbers = self._key.public_key().public_numbers()
        public = {
            "kty": "RSA",
            "alg": "RS256",
            "use": "sig",
            "kid": "1",
            "n": _number(numbers.n),
            "e": _number(numbers.e),
        }
        self.jwks.write_text(json.dumps({"keys": [public]}), encoding="utf-8")
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                client = issuer.client(self.headers.get("Authorization", ""))
                granted = client is not None and form.get("grant_type") == ["client_credentials"]
                body = {"error": "invalid_client"}
                if client is not None and granted:
                    body = {"access_token": issuer.token(client), "token_type": "Bearer", "expires_in": 300}
                data = json.dumps(body).encode()
                self.send_response(200 if granted else 401)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer((HOST, 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair.certificate, pair.key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"https://{HOST}:{self._server.server_address[1]}/token"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def client(self, authorization: str) -> str | None:
        """Who asks, if the secret is right."""
        name, _, secret = base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
        return name if self._secrets.get(name) == secret else None

    def token(self, subject: str) -> str:
        """A token for it, signed."""
        self.given += 1
        now = int(time.time())
        claims = {"iss": "test", "sub": subject, "aud": AUDIENCE, "iat": now, "exp": now + 300, "scope": "kafka"}
        head = {"alg": "RS256", "typ": "JWT", "kid": "1"}
        text = f"{_b64(json.dumps(head).encode())}.{_b64(json.dumps(claims).encode())}"
        signature = self._key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{text}.{_b64(signature)}"


class SecureKafka(KafkaServer):
    """`bootstrap` is in the clear; see `sasl` and `mtls`."""

    _port_count: ClassVar[int] = 4

    def __init__(self, folder: Path, *, authority: Authority, jwks: Path, scram: Mapping[str, str]) -> None:
        """`scram`: users by mechanism; all have the same password."""
        server = authority.issue("broker", hosts=(HOST,))
        both = folder.parent / "broker-key-and-certificate.pem"
        both.write_bytes(server.key.read_bytes() + server.certificate.read_bytes())
        users = [
            word
            for mechanism, name in scram.items()
            for word in ("--add-scram", f"{mechanism}=[name={name},password={PASSWORD}]")
        ]
        super().__init__(
            folder,
            heap_mb=384,
            jvm_options=(
                *SHORT_LIVED,
                f"-D{_OAUTH.replace('.common.security.', '.sasl.')}.allowed.urls={jwks.as_uri()}",
                # Each decision of the authorizer on its log, allowed ones too.
                "-Dorg.slf4j.simpleLogger.log.kafka.authorizer.logger=debug",
            ),
            format_arguments=users,
            settings={
                "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL:SASL_SSL,MTLS:SSL",
                "inter.broker.listener.name": "PLAINTEXT",
                "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
                "allow.everyone.if.no.acl.found": "false",
                "super.users": "User:ANONYMOUS",
                "ssl.keystore.type": "PEM",
                "ssl.keystore.location": str(both),
                "ssl.truststore.type": "PEM",
                "ssl.truststore.location": str(authority.certificate),
                "listener.name.mtls.ssl.client.auth": "required",
                "ssl.principal.mapping.rules": r"RULE:^CN=(.*)$/$1/",
                "sasl.enabled.mechanisms": "SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
                **{
                    f"listener.name.sasl.scram-sha-{bits}.sasl.jaas.config": (
                        "org.apache.kafka.common.security.scram.ScramLoginModule required;"
                    )
                    for bits in (256, 512)
                },
                "listener.name.sasl.oauthbearer.sasl.jaas.config": f"{_OAUTH}.OAuthBearerLoginModule required;",
                "listener.name.sasl.oauthbearer.sasl.server.callback.handler.class": (
                    f"{_OAUTH}.OAuthBearerValidatorCallbackHandler"
                ),
                "sasl.oauthbearer.jwks.endpoint.url": jwks.as_uri(),
                "sasl.oauthbearer.expected.audience": AUDIENCE,
            },
            keep=False,
            progress=silent,
        )

    @property
    def sasl(self) -> str:
        """Bootstrap list of the listener that wants SASL over TLS."""
        return f"{HOST}:{self._ports[2]}"

    @property
    def mtls(self) -> str:
        """Bootstrap list of the listener that wants a certificate."""
        return f"{HOST}:{self._ports[3]}"

    def _properties(self) -> str:
        clear, controller, sasl, mtls = self._ports
        clients = f"PLAINTEXT://{HOST}:{clear},SASL://{HOST}:{sasl},MTLS://{HOST}:{mtls}"
        # What comes last counts.
        return (
            f"{super()._properties()}listeners={clients},CONTROLLER://{HOST}:{controller}\n"
            f"advertised.listeners={clients}\n"
        )


def _number(value: int) -> str:
    return _b64(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
