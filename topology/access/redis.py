"""Redis' settings, and what they are in redis-py's words."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, model_validator
from pydantic_settings import SettingsConfigDict

from topology.access.files import Secret, refuse, shown, unreadable

SCHEMES = ("redis", "rediss", "unix")


class RedisAccess(BaseModel):
    """Where Redis is, and how this process shows who it is."""

    model_config = SettingsConfigDict(frozen=True, use_attribute_docstrings=True)

    redis: str = Field(default="redis://localhost:6379/0", repr=False)
    """URL of the server, `rediss://` for TLS; with `sentinel`, of a sentinel."""
    redis_mode: Literal["single", "sentinel", "cluster"] = "single"
    """What the URL leads to: `single`, `sentinel` or `cluster`."""
    redis_sentinel_service: str = "recourse"
    """Name under which the sentinels know the master."""
    redis_username: str | None = None
    """ACL user; none: `default`."""
    redis_password: Secret = None
    """Of that user."""
    redis_ca: Path | None = None
    """PEM file with the authorities that Redis' certificate must come from; none: those of the system."""
    redis_certificate: Path | None = None
    """PEM file with this client's certificate, for a Redis that asks for one."""
    redis_key: Path | None = None
    """PEM file with its private key."""
    redis_sentinel_username: str | None = None
    """ACL user at the sentinels."""
    redis_sentinel_password: Secret = None
    """Of that user."""

    @model_validator(mode="after")
    def _redis_agrees(self) -> Self:
        refuse([*self._redis_faults()])
        return self

    def _redis_faults(self) -> list[str]:
        faults: list[str] = []
        scheme = self.redis.partition("://")[0]
        if scheme not in SCHEMES or not _is_url(self.redis):
            # The text is not shown: it may hold a password, and the library's own words do, in part.
            faults.append("RECOURSE_REDIS is no URL like redis://host:port/db or rediss://host:port/db")
        elif self.redis_password is not None and "@" in self.redis:
            faults.append("RECOURSE_REDIS names a user or password, and RECOURSE_REDIS_PASSWORD too: keep the latter")
        files = {"CA": self.redis_ca, "CERTIFICATE": self.redis_certificate, "KEY": self.redis_key}
        if scheme != "rediss":
            faults += [
                f"RECOURSE_REDIS_{name} is set, but RECOURSE_REDIS begins with {scheme}:// and not with rediss://"
                for name, path in files.items()
                if path is not None
            ]
        if (self.redis_certificate is None) != (self.redis_key is None):
            faults.append("RECOURSE_REDIS_CERTIFICATE and RECOURSE_REDIS_KEY go together")
        if self.redis_username is not None and self.redis_password is None:
            faults.append("RECOURSE_REDIS_PASSWORD is missing, RECOURSE_REDIS_USERNAME needs it")
        faults += unreadable(**{f"RECOURSE_REDIS_{name}": path for name, path in files.items()})
        return faults

    def redis_options(self) -> dict[str, Any]:
        """What every Redis client of this process starts from, in redis-py's words. Holds secrets."""
        named = {"username": self.redis_username, "password": shown(self.redis_password), **self._tls_options()}
        return {name: value for name, value in named.items() if value is not None}

    def sentinel_options(self) -> dict[str, Any]:
        """The same for the sentinels."""
        named = {
            "username": self.redis_sentinel_username,
            "password": shown(self.redis_sentinel_password),
            **self._tls_options(),
        }
        if self.redis.startswith("rediss://"):
            named["ssl"] = True
        return {name: value for name, value in named.items() if value is not None}

    def _tls_options(self) -> dict[str, Any]:
        if not self.redis.startswith("rediss://"):
            return {}
        files = {"ssl_ca_certs": self.redis_ca, "ssl_certfile": self.redis_certificate, "ssl_keyfile": self.redis_key}
        named = {name: str(path) for name, path in files.items() if path is not None}
        # redis-py checks names by default since version 6; said here, as older habits did not.
        return {**named, "ssl_cert_reqs": "required", "ssl_check_hostname": True}


def without_secret(url: str) -> str:
    """The URL without user and password."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


def _is_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return (bool(parts.hostname) and parts.port != 0) or (parts.scheme == "unix" and bool(parts.path))
    except ValueError:
        return False
