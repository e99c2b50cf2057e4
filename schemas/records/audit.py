"""`case.events` and `appellant.notices`: what happened, and what the user is told of it."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from schemas.records.parts import (
    AppealId,
    CaseId,
    Count,
    EnforcementId,
    Few,
    Millis,
    Name,
    Record,
    ReviewerId,
    Text,
    UserId,
)
from schemas.vocabulary import (
    Action,
    Band,
    CaseEventKind,
    CaseState,
    EvidenceKind,
    NoticeKind,
    Outcome,
    Redress,
    RefusalReason,
)


class CaseEvent(Record, frozen=True, kw_only=True, omit_defaults=True):
    """One line of the audit: what happened, what caused it and what the decision saw.

    Defaults are left out of its JSON, as that is what is hashed: a later field with a default changes no old hash.
    """

    event_id: Name
    user_id: UserId
    seq: Annotated[int, Meta(ge=1)]
    """Counts this user's lines from 1 without a gap."""
    case_id: CaseId | None = None
    appeal_id: AppealId | None = None
    enforcement_id: EnforcementId | None = None
    occurred_at: Millis
    kind: CaseEventKind
    cause_id: Name
    """`event_id` of the input, or the name of the timer, that caused this line."""
    actor: ReviewerId | None = None
    case_version: int | None = None
    state: CaseState | None = None
    pod: Name | None = None
    band: Band | None = None
    score: int | None = None
    outcome: Outcome | None = None
    reason: Text | None = None
    """A code from a closed list, e.g. of a refusal or a rejected review."""
    saw: Annotated[dict[str, Text], Few] = {}
    """The values that the decision rested on, by name."""
    rulebook_digest: Name
    folded: Annotated[list[Count], Few] = []
    """How many inputs of this user were folded when it was written, its cause included, by topic: enforcement,
    appeal, review, acks."""
    prev_hash: Text | None = None
    """`hash` of this user's line before; none for the first."""
    hash: Text | None = None
    """SHA-256 over the line's canonical form, `prev_hash` included."""


class AppellantNotice(Record, frozen=True, kw_only=True):
    """What the user must be told, complete enough to be sent without asking anyone (DSA Art. 20(5))."""

    notice_id: Name
    user_id: UserId
    kind: NoticeKind
    occurred_at: Millis
    language: Name
    template: Name
    appeal_id: AppealId | None = None
    case_id: CaseId | None = None
    enforcement_id: EnforcementId | None = None
    refusal: RefusalReason | None = None
    outcome: Outcome | None = None
    reasons_ref: Text | None = None
    decide_by: Millis | None = None
    """When the user can expect the decision."""
    redress: Annotated[list[Redress], Few] = []
    policy: Name | None = None
    """The rule that the enforcement rests on (DSA Art. 17(3)(d), (e))."""
    policy_version: Name | None = None
    action: Action | None = None
    statement_of_reasons_id: Name | None = None
    reasons: Annotated[list[Name], Few] = []
    """Codes of what led to it, from closed lists."""
    evidence_kinds: Annotated[list[EvidenceKind], Few] = []
    """Kinds of evidence that the user is asked for."""
    evidence_due_at: Millis | None = None
