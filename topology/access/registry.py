"""The schema registry's settings, and what they are in its client's words."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, model_validator
from pydantic_settings import SettingsConfigDict

from topology.access.files import Secret, refuse, shown, unreadable

TIMEOUT_S = 5
"""Of one question."""


class RegistryAccess(BaseModel):
    """Where the schema registry is, and how this process shows who it is."""

    model_config = SettingsConfigDict(frozen=True, use_attribute_docstrings=True)

    registry: str | None = Field(default=None, repr=False)
    """Schema registry's URL; none: Avro single-object encoding, which needs no registry."""
    registry_username: str | None = None
    """For HTTP basic authentication."""
    registry_password: Secret = None
    """For HTTP basic authentication."""
    registry_ca: Path | None = None
    """PEM file with the authorities that its certificate must come from; none: those of the system."""
    registry_certificate: Path | None = None
    """PEM file with this client's certificate, for a registry that asks for one."""
    registry_key: Path | None = None
    """PEM file with its private key."""

    @model_validator(mode="after")
    def _registry_agrees(self) -> Self:
        refuse([*self._registry_faults()])
        return self

    def _registry_faults(self) -> list[str]:
        faults: list[str] = []
        if self.registry is not None and not _is_url(self.registry):
            faults.append("RECOURSE_REGISTRY is no URL like https://host:port/path")
        elif self.registry is not None and "@" in self.registry:
            faults.append(
                "RECOURSE_REGISTRY names a user: RECOURSE_REGISTRY_USERNAME and RECOURSE_REGISTRY_PASSWORD are for that"
            )
        if (self.registry_username is None) != (self.registry_password is None):
            faults.append("RECOURSE_REGISTRY_USERNAME and RECOURSE_REGISTRY_PASSWORD go together")
        if (self.registry_certificate is None) != (self.registry_key is None):
            faults.append("RECOURSE_REGISTRY_CERTIFICATE and RECOURSE_REGISTRY_KEY go together")
        files = {"CA": self.registry_ca, "CERTIFICATE": self.registry_certificate, "KEY": self.registry_key}
        faults += unreadable(**{f"RECOURSE_REGISTRY_{name}": path for name, path in files.items()})
        return faults

    def registry_config(self) -> dict[str, Any]:
        """What its client takes. Holds secrets."""
        user = None
        if self.registry_username is not None:
            user = f"{self.registry_username}:{shown(self.registry_password)}"
        named = {
            "url": self.registry,
            "basic.auth.user.info": user,
            "ssl.ca.location": self.registry_ca,
            "ssl.certificate.location": self.registry_certificate,
            "ssl.key.location": self.registry_key,
        }
        # The client's own default waits for ever, and records with it.
        limits = {"timeout": TIMEOUT_S, "max.retries": 1}
        return {name: str(value) for name, value in named.items() if value is not None} | limits


def _is_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
