"""`appeal.events`: appeals handed in and taken back."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from schemas.records.parts import AppealId, EnforcementId, Evidence, Few, Millis, Name, Record, Text, UserId
from schemas.vocabulary import AppealFlag, AppealGround


class AppealSubmitted(Record, frozen=True, kw_only=True):
    """A user asks for an enforcement to be judged again (DSA Art. 20). `user_id` is the enforcement's subject."""

    event_id: Name
    user_id: UserId
    appeal_id: AppealId
    submitted_at: Millis
    enforcement_id: EnforcementId
    enforcement_version: Annotated[int, Meta(ge=1)] | None = None
    """The version that the user was told of; none means the newest on file."""
    appellant_id: UserId
    mandate_ref: Text | None = None
    """Proof that somebody else than the subject may appeal for them."""
    language: Name
    grounds: Annotated[list[AppealGround], Few] = []
    statement_ref: Text | None = None
    statement_sha256: Text | None = None
    statement_sealed: Text | None = None
    """That text itself, sealed with the subject's key."""
    evidence: Annotated[list[Evidence], Few] = []
    flags: Annotated[list[AppealFlag], Few] = []


class AppealWithdrawn(Record, frozen=True, kw_only=True):
    """The appellant takes the appeal back."""

    event_id: Name
    user_id: UserId
    appeal_id: AppealId
    occurred_at: Millis
