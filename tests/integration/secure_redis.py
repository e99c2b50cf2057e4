"""A redis-server that speaks TLS, from Debian's archive: the one in the wheel was built without.

It also listens in the clear, for the test itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import redis

from tests.integration.certificates import Authority
from topology.embedded import RedisServer, silent
from topology.embedded.debian import program_with_libraries
from topology.embedded.server import HOST


class SecureRedis(RedisServer):
    """`url` is in the clear; see `tls_url`."""

    _port_count: ClassVar[int] = 2

    def __init__(self, folder: Path, *, authority: Authority, arguments: Sequence[str] = ()) -> None:
        server = authority.issue("redis", hosts=(HOST,))
        named = {
            "tls-cert-file": str(server.certificate),
            "tls-key-file": str(server.key),
            "tls-ca-cert-file": str(authority.certificate),
            "tls-auth-clients": "optional",
        }
        words = [word for name, value in named.items() for word in (f"--{name}", value)]
        super().__init__(folder, arguments=(*words, *arguments), keep=False, progress=silent)

    @property
    def tls_url(self) -> str:
        """The URL of the port that speaks TLS only."""
        return f"rediss://{HOST}:{self._ports[1]}/0"

    def admin(self) -> redis.Redis:
        """The test's own client, which may do everything."""
        return redis.Redis.from_url(self.url, decode_responses=True)

    def _provision(self) -> Sequence[str]:
        return program_with_libraries("redis-server", package="redis-server", progress=silent)

    def _prepare(self, command: Sequence[str]) -> Sequence[str]:
        return [*super()._prepare(command), "--tls-port", str(self._ports[1])]
