"""A sealed text: AES-256-GCM under the subject's key, bound to the user and the record that it belongs to.

    1 byte   the form, 1
    16 bytes the name of the key
    12 bytes the nonce
    rest     ciphertext, and at its end the tag of 16 bytes

In records it is base64url without padding. What is authenticated besides (AAD) is `recourse`, a zero byte, and then
purpose, user and record, each as four bytes of length, big endian, and UTF-8: so a text cannot be passed off as another
user's, another record's, or another kind of text.

AES comes from `cryptography`, which is imported where something is sealed or opened: whoever only carries sealed texts
does without it (extra `privacy`).

Nonces are drawn at random for each text. NIST SP 800-38D, 8.3, allows 2^32 texts under one key then; a user has some
thousands at most.
"""

from __future__ import annotations

import base64
import os
from typing import Any, Final, NamedTuple

from schemas.errors import NoCipherError, NotGenuineError

FORM: Final = 1
KEY_ID: Final = 16
NONCE: Final = 12
TAG: Final = 16
HEAD: Final = 1 + KEY_ID + NONCE
STATEMENT: Final = "statement"
EVIDENCE: Final = "evidence"
DEAD_LETTER: Final = "dead-letter"
"""Kinds of texts."""


class Purpose(NamedTuple):
    """What a text is, of whom, and where it belongs."""

    kind: str
    """`STATEMENT`, `EVIDENCE` or `DEAD_LETTER`; keys under keys have kinds of their own (`schemas.wrapped`)."""
    user_id: str
    record_id: str
    """The appeal's id, or the evidence's; a dead letter's time in its own header."""

    def authenticated(self) -> bytes:
        """As what it is authenticated besides."""
        parts = (part.encode() for part in self)
        return b"recourse\0" + b"".join(len(part).to_bytes(4, "big") + part for part in parts)


class Key(NamedTuple):
    """A key and its name. Never shown."""

    key_id: str
    secret: bytes

    def __repr__(self) -> str:
        return f"Key({self.key_id})"


def seal(key: Key, purpose: Purpose, text: bytes) -> bytes:
    """Seal it; twice gives two different results.

    Raises:
        NoCipherError: `cryptography` is not installed.
    """
    nonce = os.urandom(NONCE)
    head = bytes([FORM]) + bytes.fromhex(key.key_id) + nonce
    return head + _cipher(key).encrypt(nonce, text, purpose.authenticated())


def key_id_of(sealed: bytes) -> str:
    """The name of the key that opens it.

    Raises:
        NotGenuineError: it is no sealed text.
    """
    if len(sealed) < HEAD + TAG or sealed[0] != FORM:
        raise NotGenuineError("this is no sealed text of a form that this version knows")
    return sealed[1 : 1 + KEY_ID].hex()


def open_(key: Key, purpose: Purpose, sealed: bytes) -> bytes:
    """The text.

    Raises:
        NotGenuineError: it was altered, or is not what `purpose` says, or sealed with another key.
        NoCipherError: `cryptography` is not installed.
    """
    if key_id_of(sealed) != key.key_id:
        raise NotGenuineError("it is sealed with another key")
    cipher = _cipher(key)
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - see `_cipher`

    try:
        return cipher.decrypt(sealed[1 + KEY_ID : HEAD], sealed[HEAD:], purpose.authenticated())
    except InvalidTag as exc:
        raise NotGenuineError(
            f"the sealed text is not the {purpose.kind} of this user and record, or it was altered"
        ) from exc


def to_text(raw: bytes) -> str:
    """As it stands in a record: base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def from_text(text: str) -> bytes:
    """From a record; padded or not.

    Raises:
        NotGenuineError: it is no base64url.
    """
    try:
        raw = text.rstrip("=").encode("ascii")
        return base64.b64decode(raw + b"=" * (-len(raw) % 4), altchars=b"-_", validate=True)
    except ValueError as exc:
        raise NotGenuineError("this is no sealed text: not base64url") from exc


def require_cipher() -> None:
    """Look at start whether anything can be sealed or opened here.

    Raises:
        NoCipherError: `cryptography` is not installed.
    """
    _cipher(Key("", bytes(32)))


def _cipher(key: Key) -> Any:  # noqa: ANN401 - of a library that need not be there
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - an extra
    except ImportError as exc:
        raise NoCipherError("nothing is sealed or read without `pip install 'recourse[privacy]'`") from exc
    return AESGCM(key.secret)
