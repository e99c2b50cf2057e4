"""What a user's privacy asks for: erasure, legal holds, and the wrapped keys of texts (`topology/privacy`)."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from schemas.records.parts import Millis, Name, Record, ReviewerId, Text, UserId

KeyId = Annotated[str, Meta(pattern="^[0-9a-f]{32}$", max_length=32)]
"""Name of a random key."""
Wrapped = Annotated[str, Meta(min_length=80, max_length=80)]
"""Nonce (12 bytes), ciphertext (32) and tag (16) of AES-256-GCM, base64url without padding."""


class SubjectErasureRequested(Record, frozen=True, kw_only=True):
    """What is known of a user must be erased (GDPR Art. 17): their texts' key, their open cases, their dossier."""

    event_id: Name
    user_id: UserId
    occurred_at: Millis
    actor: ReviewerId
    reason: Text
    """Words without personal data: the audit keeps them."""


class LegalHoldPlaced(Record, frozen=True, kw_only=True):
    """Nothing of a user may be erased until this hold is released (GDPR Art. 17(3)(e))."""

    event_id: Name
    user_id: UserId
    hold_id: Name
    occurred_at: Millis
    actor: ReviewerId
    reason: Text


class LegalHoldReleased(Record, frozen=True, kw_only=True):
    """The hold is over; an erasure that waited for it, and for no other, happens now."""

    event_id: Name
    user_id: UserId
    hold_id: Name
    occurred_at: Millis
    actor: ReviewerId
    reason: Text


class SubjectKey(Record, frozen=True, kw_only=True):
    """The key of one user's texts, wrapped. A tombstone in its place shreds it."""

    user_id: UserId
    key_id: KeyId
    wrapped_by: KeyId
    wrapped: Wrapped
    created_at: Millis


class WrappingKey(Record, frozen=True, kw_only=True):
    """A key that wraps users' keys, itself wrapped by a key-encryption key that no topic holds."""

    wrapping_id: KeyId
    kek_id: Name
    wrapped: Wrapped
    created_at: Millis
    """When it was made; wrapped anew it keeps this. The newest one wraps."""
