"""The index's terms: which enforcements one version of a detector has struck, told from their dossiers.

A term is 8 bytes for the detector's version, 2 for the length of the user's id, the user's id, 8 for the time at which
the enforcement was first issued, and its id. So one version of a detector is one range, in which the enforcements of a
user lie together. The first bytes are a hash: two versions can share a range, so whoever finds a term looks at what it
is about.
"""

import struct
from collections.abc import Iterable
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple

import msgspec
from msgspec import Struct

from processors.context import Context
from processors.dossier import Dossier
from processors.errors import DossierUnreadableError
from processors.on_file import Enforcement
from schemas.records import EnforcementId

_HASH = 8
_LENGTH = 2
_TIME = 8
_END = b"\xff\xff"
"""Above every length of an id, which has at most 1,024 bytes."""
_pack_time = struct.Struct(">q").pack
"""In `_TIME` bytes."""
_NOT_RESERVED = 0x80
"""No term begins with NUL, as the engine's own names do."""


class Term(NamedTuple):
    """What a term says."""

    user_id: str
    issued_at: int
    """Of the first version, UTC ms."""
    enforcement_id: EnforcementId


def term(user_id: str, enforcement_id: str, e: Enforcement) -> bytes | None:
    """The term of an enforcement on file; None if no detector is known of it."""
    if e.detector is None or e.filed:
        return None
    return _term(user_id.encode(), enforcement_id, e.detector, e.detector_version, e.issued_at)


def terms_of(stored: bytes) -> Iterable[bytes]:
    """The terms of an encoded dossier of any format, for an index that is rebuilt.

    Reads no more of it than it needs: a rebuild looks at every dossier there is.

    Raises:
        DossierUnreadableError: it is no dossier of a format that this version reads.
    """
    decoder = PROJECTIONS.get(stored[0]) if stored else None
    if decoder is None:
        raise DossierUnreadableError(f"no terms can be read from format {stored[:1].hex() or 'missing'}")
    try:
        dossier = decoder.decode(memoryview(stored)[1:])
    except msgspec.MsgspecError as error:
        raise DossierUnreadableError(f"terms of a dossier of format {stored[0]}: {error}") from error
    return _terms(dossier)


def follow(dossier: Dossier, enforcement_id: EnforcementId, before: bytes | None, ctx: Context) -> None:
    """Let the index follow a change of an enforcement, whose term was `before`."""
    e = dossier.enforcements.get(enforcement_id)
    after = None if e is None else term(dossier.user_id, enforcement_id, e)
    if before == after:
        return
    if before is not None:
        ctx.unindex(before)
    if after is not None:
        ctx.index(after)


def term_on_file(dossier: Dossier, enforcement_id: EnforcementId) -> bytes | None:
    """The term of what is on file under this id now."""
    e = dossier.enforcements.get(enforcement_id)
    return None if e is None else term(dossier.user_id, enforcement_id, e)


def owner(found: bytes) -> bytes:
    """The key of the user whom a term is about."""
    start = _HASH + _LENGTH
    return found[start : start + int.from_bytes(found[_HASH:start], "big")]


def parse(found: bytes) -> Term:
    """What a term says."""
    user = owner(found)
    at = _HASH + _LENGTH + len(user)
    issued_at = int.from_bytes(found[at : at + _TIME], "big", signed=True)
    return Term(user.decode(), issued_at, EnforcementId(found[at + _TIME :].decode()))


def range_of(detector: str, version: str) -> tuple[bytes, bytes]:
    """All terms of one version of a detector lie strictly between these two."""
    low = _hash(detector, version)
    return low, low + _END


def _term(user: bytes, enforcement_id: str, detector: str, version: str, issued_at: int) -> bytes:
    return _hash(detector, version) + _owned(user) + _pack_time(issued_at) + enforcement_id.encode()


def _owned(user: bytes) -> bytes:
    return len(user).to_bytes(_LENGTH, "big") + user


@lru_cache(maxsize=4096)
def _hash(detector: str, version: str) -> bytes:
    digest = sha256(f"{detector}\x1f{version}".encode()).digest()
    return bytes([digest[0] | _NOT_RESERVED]) + digest[1:_HASH]


class _Filed(
    Struct,
    gc=False,
    rename={"issued_at": "i", "detector": "d", "detector_version": "dv", "filed": "fi"},
):
    """Of an `Enforcement`, what its term is made of, under the same keys."""

    issued_at: int
    detector: str | None = None
    detector_version: str = ""
    filed: bool = False


class _Projection(Struct, gc=False, rename={"user_id": "u", "enforcements": "e"}):
    """Of a `Dossier`, the same."""

    user_id: str
    enforcements: dict[str, _Filed] = {}


_decoder = msgspec.msgpack.Decoder(_Projection)
PROJECTIONS = {1: _decoder, 2: _decoder}
"""By format of the dossier (`processors/codec.py`). Both agree in what a term is made of."""


def _terms(dossier: _Projection) -> list[bytes]:
    """What `_term` says, with what all of a user's terms have in common made once."""
    owned = _owned(dossier.user_id.encode())
    return [
        _hash(e.detector, e.detector_version) + owned + _pack_time(e.issued_at) + enforcement_id.encode()
        for enforcement_id, e in dossier.enforcements.items()
        if e.detector is not None and not e.filed
    ]
