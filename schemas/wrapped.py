"""Keys under keys: a key-encryption key wraps a few wrapping keys, and these wrap the users' keys.

The level between is there so that a key-encryption key can be changed without writing a single user's key again: a
key that is written again while its user is erased would come back to life (ADR 0027). Wrapping keys are never
shredded, so they can be written again at any time.

Each is wrapped by AES-256-GCM with a random nonce; its own name and that of what wraps it, and the user, are
authenticated with it. In records: base64url without padding of nonce, ciphertext and tag, 80 characters.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Final

from schemas import sealed
from schemas.errors import KeyEncryptionKeysError, NotGenuineError, NoWrappingKeyError
from schemas.records import Millis, SubjectKey, UserId, WrappingKey
from schemas.sealed import Key, Purpose

KEY_BYTES: Final = 32
"""AES-256."""
_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_NO_NAME: Final = "0" * 32
_KEPT: Final = 1 + sealed.KEY_ID
"""Of an envelope, what is known from elsewhere and not kept: its form, and the name of the key."""


def new_key() -> Key:
    """A key that nobody has seen."""
    return Key(os.urandom(sealed.KEY_ID).hex(), os.urandom(KEY_BYTES))


def key_encryption_keys(text: str) -> dict[str, bytes]:
    """Key-encryption keys as settings hold them: `name:key` with 32 bytes in base64url, separated by white space.

    Returns:
        By name, in their order: the first one wraps, all of them unwrap.

    Raises:
        KeyEncryptionKeysError: with a line for each fault, by the place of the entry; what was given is never shown.
    """
    found: dict[str, bytes] = {}
    faults: list[str] = []
    names: set[str] = set()
    for place, entry in enumerate(text.split(), 1):
        name, _, key = entry.partition(":")
        if not _NAME.fullmatch(name) or not key:
            faults.append(f"entry {place} is not written as name:key")
        elif name in names:
            faults.append(f"entry {place} has the name of another one")
        elif (raw := _bytes_of(key)) is None:
            faults.append(f"entry {place} has no {KEY_BYTES} bytes in base64url after its name")
        else:
            found[name] = raw
        names.add(name)
    if faults or not found:
        # Outside of any handler: a cause would hold what was given.
        raise KeyEncryptionKeysError(faults or ["holds no key"])
    return found


def wrap_wrapping(key: Key, kek_id: str, kek: bytes, created_at: Millis) -> WrappingKey:
    """A wrapping key as its record."""
    wrapped = _wrap(kek, Purpose("wrapping-key", kek_id, key.key_id), key)
    return WrappingKey(wrapping_id=key.key_id, kek_id=kek_id, wrapped=wrapped, created_at=created_at)


def unwrap_wrapping(record: WrappingKey, keks: Mapping[str, bytes]) -> Key:
    """A wrapping key from its record.

    Raises:
        NoWrappingKeyError: none of the key-encryption keys is the one that wrapped it.
        NoCipherError: `cryptography` is not installed.
    """
    kek = keks.get(record.kek_id)
    if kek is None:
        raise NoWrappingKeyError(record.wrapping_id, record.kek_id, [*keks])
    purpose = Purpose("wrapping-key", record.kek_id, record.wrapping_id)
    try:
        return Key(record.wrapping_id, _unwrap(kek, purpose, record.wrapped))
    except NotGenuineError as exc:
        raise NoWrappingKeyError(record.wrapping_id, record.kek_id, [*keks]) from exc


def wrap_subject(key: Key, user_id: str, wrapping: Key, created_at: Millis) -> SubjectKey:
    """A user's key as its record."""
    return SubjectKey(
        user_id=UserId(user_id),
        key_id=key.key_id,
        wrapped_by=wrapping.key_id,
        wrapped=_wrap(wrapping.secret, Purpose("subject-key", user_id, key.key_id), key),
        created_at=created_at,
    )


def unwrap_subject(record: SubjectKey, wrapping: Key) -> Key:
    """A user's key from its record.

    Raises:
        NotGenuineError: it is another user's, or was altered.
    """
    purpose = Purpose("subject-key", record.user_id, record.key_id)
    return Key(record.key_id, _unwrap(wrapping.secret, purpose, record.wrapped))


def _wrap(by: bytes, purpose: Purpose, key: Key) -> str:
    return sealed.to_text(sealed.seal(Key(_NO_NAME, by), purpose, key.secret)[_KEPT:])


def _unwrap(by: bytes, purpose: Purpose, wrapped: str) -> bytes:
    whole = bytes([sealed.FORM]) + bytes.fromhex(_NO_NAME) + sealed.from_text(wrapped)
    return sealed.open_(Key(_NO_NAME, by), purpose, whole)


def _bytes_of(key: str) -> bytes | None:
    try:
        raw = sealed.from_text(key)
    except NotGenuineError:
        return None
    return raw if len(raw) == KEY_BYTES else None
