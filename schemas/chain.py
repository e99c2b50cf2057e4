"""The chain over one user's audit: each line holds the hash of the line before it and its own.

`hash` is SHA-256 over the line's canonical form, which anybody can make again from the line alone: JSON in UTF-8 with
sorted keys and no whitespace, and every field left out that equals its default, `hash` always. So a field that a later
version adds with a default changes no old hash. `docs/audit.md` has the rules in full and a worked example.
"""

from hashlib import sha256

from msgspec.json import Encoder
from msgspec.structs import force_setattr, replace

from schemas.records import CaseEvent

_encode = Encoder(order="sorted").encode


def canonical(line: CaseEvent) -> bytes:
    """The bytes that the line's hash is over."""
    return _encode(line if line.hash is None else replace(line, hash=None))


def hash_of(line: CaseEvent) -> str:
    """What `hash` of this line must be, in hexadecimal."""
    return sha256(canonical(line)).hexdigest()


def seal(line: CaseEvent) -> bytes:
    """Set `hash` of a line that has none, and give it as 32 bytes.

    Changes a frozen record, before anybody else has seen it: to build it twice would cost as much as to hash it.
    """
    digest = sha256(_encode(line))
    force_setattr(line, "hash", digest.hexdigest())
    return digest.digest()
