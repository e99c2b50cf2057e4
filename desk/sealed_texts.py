"""Texts that travel sealed in a case (docs/privacy.md), opened for the moment in which a page is made.

The key of a user is looked up, unwrapped and forgotten for each page, so no key lies open in memory between two, and
a user whose key was shredded is unreadable as soon as the tombstone has come. Nothing here writes a text, or anything
made from one, anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import structlog

from desk.errors import DeskError, Misconfigured
from desk.names import KEYS, READ, WRAPPING
from desk.newest_bytes import NewestBytes
from schemas import Codec, RecordError
from schemas.errors import NoCipherError, NotGenuineError, NoWrappingKeyError
from schemas.records import Case, Evidence, Statement, SubjectKey, WrappingKey
from schemas.sealed import EVIDENCE, STATEMENT, Key, Purpose, from_text, key_id_of, open_, require_cipher
from schemas.wrapped import unwrap_subject, unwrap_wrapping

UNHEARD_S: Final = 30.0
"""For how long the keys that are here count while the broker does not answer: one may have been shredded since."""


class State(StrEnum):
    """What became of a sealed text; `text.<state>` in the wording says it to people."""

    HERE = "here"
    SEALED = "sealed"
    """This desk has no key-encryption key."""
    LOCKED = "locked"
    """It has, but not the one that is needed."""
    FORGED = "forged"
    """It is not the text of this user and record, or was altered."""
    ERASED = "erased"
    """The user's key is gone."""
    OTHER_KEY = "other_key"
    """The user has a key, and this text is sealed with another one."""
    READING = "reading"
    """The keys have not been read to their end yet."""
    UNREAD = "unread"
    """Kafka or the registry does not say now which key it is."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A sealed text, or why it is not shown."""

    state: State
    text: str | None = field(default=None, repr=False)


class SealedTexts:
    """Opens what is sealed in cases.

    Args:
        codec: Of the process.
        keks: Key-encryption keys by name; none: nothing is opened.
        keys: A view of `subject.keys`.
        wrapping: A view of `wrapping.keys`.
        heard: Whether a tombstone would have been heard of within `UNHEARD_S`.

    Raises:
        Misconfigured: there are key-encryption keys, and the library that opens is missing.
    """

    def __init__(
        self,
        codec: Codec,
        keks: Mapping[str, bytes],
        keys: NewestBytes,
        wrapping: NewestBytes,
        heard: Callable[[], bool],
    ) -> None:
        self._codec = codec
        self._keks = keks
        self._keys = keys
        self._wrapping = wrapping
        self._heard = heard
        self._told: set[tuple[str, str]] = set()
        if keks:
            try:
                require_cipher()
            except NoCipherError as error:
                raise Misconfigured(f"RECOURSE_DESK_KEK: {error}") from error

    def statements(self, case: Case) -> list[tuple[Statement, Opened | None]]:
        """What the appellant says; None beside what is not sealed."""
        found = [(STATEMENT, each.appeal_id, each.sealed) for each in case.statements]
        return list(zip(case.statements, self._opened(case.user_id, found), strict=True))

    def evidence(self, case: Case) -> list[tuple[Evidence, Opened | None]]:
        """The pieces of evidence; None beside what is not sealed."""
        found = [(EVIDENCE, each.evidence_id, each.sealed) for each in case.evidence]
        return list(zip(case.evidence, self._opened(case.user_id, found), strict=True))

    def _opened(self, user_id: str, texts: Sequence[tuple[str, str, str | None]]) -> list[Opened | None]:
        """Of one user: kind, record id and sealed text of each."""
        at_hand: dict[str, Key | State] = {}
        return [
            None if sealed is None else self._open(Purpose(kind, user_id, record_id), sealed, at_hand)
            for kind, record_id, sealed in texts
        ]

    def _open(self, purpose: Purpose, sealed: str, at_hand: dict[str, Key | State]) -> Opened:
        if not self._keks:
            return Opened(State.SEALED)
        try:
            raw = from_text(sealed)
            key_id = key_id_of(raw)
            if key_id not in at_hand:
                at_hand[key_id] = self._key(purpose.user_id, key_id)
            key = at_hand[key_id]
            if isinstance(key, State):
                return Opened(key)
            # Whatever bytes were sealed: a fault of decoding would hold them.
            return Opened(State.HERE, open_(key, purpose, raw).decode(errors="replace"))
        except NotGenuineError:
            return Opened(State.FORGED)

    def _key(self, user_id: str, key_id: str) -> Key | State:
        """The user's key of this name, or why there is none."""
        if not self._heard():
            return State.UNREAD
        if not (self._keys.whole.is_set() and self._wrapping.whole.is_set()):
            return State.READING
        try:
            return self._looked_up(user_id, key_id)
        except NotGenuineError:
            return State.FORGED
        except NoWrappingKeyError as error:
            self._tell(error)
            return State.LOCKED
        except (DeskError, RecordError) as error:
            structlog.get_logger().warning("keys_unread", why=str(error))
            return State.UNREAD

    def _looked_up(self, user_id: str, key_id: str) -> Key | State:
        record = self._subject_key(user_id)
        if record is None or record.key_id != key_id:
            self._keys.read_on()
            record = self._subject_key(user_id)
        if record is None:
            return State.ERASED
        if record.key_id != key_id:
            return State.OTHER_KEY
        return unwrap_subject(record, unwrap_wrapping(self._wrapping_key(record.wrapped_by), self._keks))

    def _subject_key(self, user_id: str) -> SubjectKey | None:
        data = self._keys.get(user_id)
        record = None if data is None else self._codec.decode(data, READ[KEYS])
        if isinstance(record, SubjectKey) and record.user_id != user_id:
            raise NotGenuineError(f"a record of {self._keys.topic} is not of the user that it is keyed by")
        return record if isinstance(record, SubjectKey) else None

    def _wrapping_key(self, wrapping_id: str) -> WrappingKey:
        data = self._wrapping.get(wrapping_id)
        if data is None:
            self._wrapping.read_on()
            data = self._wrapping.get(wrapping_id)
        record = None if data is None else self._codec.decode(data, READ[WRAPPING])
        if isinstance(record, WrappingKey):
            return record
        raise DeskError(f"{self._wrapping.topic} does not have the wrapping key {wrapping_id}")

    def _tell(self, error: NoWrappingKeyError) -> None:
        """Once: whoever runs the desk can mend it, and people meet it on every page."""
        what = (error.wrapping_id, error.kek_id)
        if what not in self._told:
            self._told.add(what)
            structlog.get_logger().warning("key_encryption_key_missing", why=str(error), held=error.held)
