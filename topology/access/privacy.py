"""The key-encryption keys of this process: what they are called, and that they are what they must be."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, model_validator
from pydantic_settings import SettingsConfigDict

from schemas.errors import KeyEncryptionKeysError
from schemas.wrapped import key_encryption_keys
from topology.access.files import Secret, refuse, shown


class PrivacyAccess(BaseModel):
    """What wraps the keys of users' texts; none: nothing is sealed or read here."""

    model_config = SettingsConfigDict(frozen=True, use_attribute_docstrings=True)

    kek: Secret = None
    """Key-encryption keys, each as `name:key` with 32 bytes in base64url (`recourse privacy new-kek`), separated by
    white space; the first one wraps, all of them unwrap. None: nothing is sealed."""

    @model_validator(mode="after")
    def _privacy_agrees(self) -> Self:
        faults: list[str] = []
        try:
            self.key_encryption_keys()
        except KeyEncryptionKeysError as exc:
            faults = [f"RECOURSE_KEK: {fault}" for fault in exc.faults]
        refuse(faults)
        return self

    def key_encryption_keys(self) -> dict[str, bytes]:
        """By name, the one that wraps first; empty if none is set."""
        text = shown(self.kek)
        return {} if text is None else key_encryption_keys(text)
