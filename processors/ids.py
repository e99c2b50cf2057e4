"""Ids are derived from what caused them, so that a consumer that reads twice can tell.

Each is a version-5 UUID (RFC 9562, section 5.5) in the project's own namespace. Written by hand because
`uuid.uuid5` builds an object and parses it back: three times the cost on the hottest path.
"""

from hashlib import sha1
from uuid import UUID

from schemas.records import AppealId, CaseId, EventId

NAMESPACE = UUID("6a0b6f6e-3c0e-5b0e-9d35-0f6f2a1c7e11")
"""Changing it changes every id that was ever given out."""

_SEED = sha1(NAMESPACE.bytes, usedforsecurity=False)
_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}
_SEPARATOR = "\x1f"  # joins parts that may hold any printable character


def uuid5(name: str) -> str:
    """The same string as ``str(uuid.uuid5(NAMESPACE, name))``."""
    digest = _SEED.copy()
    digest.update(name.encode())
    x = digest.hexdigest()
    return f"{x[:8]}-{x[8:12]}-5{x[13:16]}-{_VARIANT[x[16]]}{x[17:20]}-{x[20:32]}"


def case_id(appeal_id: AppealId) -> CaseId:
    """The case that this appeal opens, if it opens one."""
    return CaseId(uuid5("case" + _SEPARATOR + appeal_id))


def event_id(user_id: str, cause_id: str, kind: str, seq: int) -> EventId:
    """One line of a user's audit."""
    # Joined, as formatting an enum's member costs as much as the hash.
    return EventId(uuid5(_SEPARATOR.join(("event", user_id, cause_id, kind, str(seq)))))


def notice_id(line_id: EventId) -> str:
    """The notice that tells the user of this line."""
    return uuid5("notice" + _SEPARATOR + line_id)


def request_id(of_case: CaseId, position: int) -> str:
    """The request that intake makes for the need at this position of the case's standard."""
    return uuid5(f"request\x1f{of_case}\x1f{position}")


def reversal_id(of_case: CaseId) -> str:
    """The one reversal that a case can lead to."""
    return uuid5("reversal" + _SEPARATOR + of_case)


def directive_id(of_reversal: str, effect_id: str) -> str:
    """The directive that undoes one effect; its idempotency key too, as it never changes over resends."""
    return uuid5(f"directive\x1f{of_reversal}\x1f{effect_id}")


def fraction(of_id: str, attempt: int) -> float:
    """A number in [0, 1) that depends on nothing but the arguments: jitter that can be replayed."""
    digest = sha1(f"{of_id}\x1f{attempt}".encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest[:4], "big") / 4_294_967_296


def consequence_id(of_reversal: str, enforcement_id: str, version: int) -> str:
    """The reversal of a version of an enforcement that rested on what this reversal undoes.

    A later version rests on it as well, and has directives under keys of their own.
    """
    return uuid5(f"consequence\x1f{of_reversal}\x1f{enforcement_id}\x1f{version}")


def remedy_reversal_id(remedy_id: str, enforcement_id: str, version: int) -> str:
    """The reversal of one enforcement of a remedy's cohort, where no case is open on it."""
    return uuid5(f"remedy\x1f{remedy_id}\x1f{enforcement_id}\x1f{version}")


def superseding_id(superseded: str, revision: int) -> str:
    """The directive that takes the place of this one, by the user's revision at which it does."""
    return uuid5(f"superseding\x1f{superseded}\x1f{revision}")


def internal_appeal_id(cause: str, enforcement_id: str, version: int) -> AppealId:
    """Stands where a case has its appeal, for a case that came about without one."""
    return AppealId(uuid5(f"internal\x1f{cause}\x1f{enforcement_id}\x1f{version}"))


def immunity_id(of_reversal: str) -> str:
    """What a reversal makes immune."""
    return uuid5("immunity" + _SEPARATOR + of_reversal)


def remand_id(of_case: CaseId) -> str:
    """The remand that a case can lead to."""
    return uuid5("remand" + _SEPARATOR + of_case)
