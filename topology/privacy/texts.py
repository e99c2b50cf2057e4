"""Texts of people, for whoever takes them in and whoever reads them: sealed into records, and read from them."""

from __future__ import annotations

from msgspec.structs import replace

from schemas.records import MAX_STRING, AppealId, AppealSubmitted, Evidence, Statement
from schemas.sealed import EVIDENCE, HEAD, STATEMENT, TAG, Purpose, from_text, key_id_of, open_, seal, to_text
from topology.engine.errors import EngineError
from topology.privacy.errors import as_ours
from topology.privacy.subject_keys import SubjectKeys

MAX_BYTES = MAX_STRING * 3 // 4 - HEAD - TAG
"""Of a text in UTF-8; a longer one lies elsewhere, sealed too if it is to be shredded with the others."""


class TooLong(EngineError):  # noqa: N818 - a state, not an accident
    """The text does not fit into a record."""


class Texts:
    """Seals and reads with the users' keys. Used from one thread."""

    def __init__(self, keys: SubjectKeys) -> None:
        self._keys = keys

    def seal(self, kind: str, user_id: str, record_id: str, text: str) -> str:
        """A text as it may stand in a record; the user's key is made if there is none.

        Args:
            kind: `STATEMENT` or `EVIDENCE`.
            user_id: the subject, whose key it is.
            record_id: the appeal's id, or the evidence's.
            text: what somebody wrote.

        Raises:
            TooLong: more than `MAX_BYTES` in UTF-8.
            Retriable: Kafka, Redis or the registry does not answer now.
        """
        raw = text.encode()
        if len(raw) > MAX_BYTES:
            raise TooLong(f"a text of {len(raw)} bytes does not fit into a record, which takes {MAX_BYTES}")
        key = self._keys.for_sealing([user_id])[user_id]
        with as_ours():
            return to_text(seal(key, Purpose(kind, user_id, record_id), raw))

    def read(self, kind: str, user_id: str, record_id: str, sealed: str) -> str:
        """The text.

        Raises:
            Erased: its key has been shredded.
            NotGenuine: it is not that text of this user and record.
            Retriable: Kafka, Redis or the registry does not answer now.
        """
        with as_ours():
            raw = from_text(sealed)
            key = self._keys.for_reading(user_id, key_id_of(raw))
            return open_(key, Purpose(kind, user_id, record_id), raw).decode()

    def in_appeal(self, appeal: AppealSubmitted, text: str) -> AppealSubmitted:
        """The appeal with this statement. Without its hash: a short text can be guessed by that for ever."""
        sealed = self.seal(STATEMENT, appeal.user_id, appeal.appeal_id, text)
        return replace(appeal, statement_sealed=sealed, statement_sha256=None)

    def in_evidence(self, user_id: str, evidence: Evidence, text: str) -> Evidence:
        """The piece of evidence with this text."""
        return replace(evidence, sealed=self.seal(EVIDENCE, user_id, evidence.evidence_id, text), sha256=None)

    def of_appeal(self, appeal: AppealSubmitted) -> str | None:
        """The statement of an appeal; None: it lies elsewhere, or there is none."""
        return self._statement(appeal.user_id, appeal.appeal_id, appeal.statement_sealed)

    def of_statement(self, user_id: str, statement: Statement) -> str | None:
        """The statement in a case of this user."""
        return self._statement(user_id, statement.appeal_id, statement.sealed)

    def of_evidence(self, user_id: str, evidence: Evidence) -> str | None:
        """The piece of evidence itself, if it is a short text."""
        if evidence.sealed is None:
            return None
        return self.read(EVIDENCE, user_id, evidence.evidence_id, evidence.sealed)

    def _statement(self, user_id: str, appeal_id: AppealId, sealed: str | None) -> str | None:
        return None if sealed is None else self.read(STATEMENT, user_id, appeal_id, sealed)
