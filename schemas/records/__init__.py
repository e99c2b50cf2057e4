"""The typed records that flow on the topics: one frozen class a record, equal field by field to its ``.avsc``.

Times are UTC milliseconds since the epoch (`Millis`), amounts are exact decimals with an ISO 4217 currency,
texts of people travel by reference, never by value. ``tests/contract`` proves that classes and schemas agree.
Vocabulary: EU Digital Services Act (Regulation 2022/2065), Art. 17, 20, 21 and its Transparency Database.
One module a topic; this one lists which records come in and which go out.
"""

from __future__ import annotations

import msgspec

from schemas.records.appeal import AppealSubmitted, AppealWithdrawn
from schemas.records.audit import AppellantNotice, CaseEvent
from schemas.records.case import (
    Case,
    Claim,
    Component,
    EnforcementSummary,
    EvidenceNeed,
    EvidenceRequest,
    Pause,
    Proposal,
    Routing,
    SecondReview,
    Statement,
)
from schemas.records.enforcement import EnforcementAmended, EnforcementIssued, EnforcementLifted, UserProfileUpdated
from schemas.records.parts import (
    MAX_ITEMS,
    MAX_STRING,
    AppealId,
    CaseId,
    Count,
    Currency,
    Detector,
    Effect,
    EnforcementId,
    EventId,
    Evidence,
    Few,
    Millis,
    Money,
    Name,
    Record,
    ReviewerId,
    Target,
    Text,
    UserId,
)
from schemas.records.resolution import Directive, DirectiveAcked, ReversalConfirmed, ReversalOrdered, Survivor
from schemas.records.review import (
    CaseClaimed,
    CaseHeld,
    CaseReferred,
    CaseReleased,
    CaseResumed,
    DecisionConfirmed,
    DecisionProposed,
    DecisionReturned,
    EvidenceRequested,
    EvidenceSupplied,
)

__all__ = [
    "INPUT_RECORDS",
    "MAX_ITEMS",
    "MAX_STRING",
    "OUTPUT_RECORDS",
    "AppealEvent",
    "AppealId",
    "AppealSubmitted",
    "AppealWithdrawn",
    "AppellantNotice",
    "Case",
    "CaseClaimed",
    "CaseEvent",
    "CaseHeld",
    "CaseId",
    "CaseReferred",
    "CaseReleased",
    "CaseResumed",
    "Claim",
    "Component",
    "Count",
    "Currency",
    "DecisionConfirmed",
    "DecisionProposed",
    "DecisionReturned",
    "Detector",
    "Directive",
    "DirectiveAcked",
    "Effect",
    "EnforcementAmended",
    "EnforcementEvent",
    "EnforcementId",
    "EnforcementIssued",
    "EnforcementLifted",
    "EnforcementSummary",
    "EventId",
    "Evidence",
    "EvidenceNeed",
    "EvidenceRequest",
    "EvidenceRequested",
    "EvidenceSupplied",
    "Few",
    "InputRecord",
    "Millis",
    "Money",
    "Name",
    "OutputRecord",
    "Pause",
    "Proposal",
    "Record",
    "ReversalConfirmed",
    "ReversalOrdered",
    "ReviewEvent",
    "ReviewerId",
    "Routing",
    "SecondReview",
    "Statement",
    "Survivor",
    "Target",
    "Text",
    "TimerFired",
    "UserId",
    "UserProfileUpdated",
    "event_time",
]


class TimerFired(msgspec.Struct, frozen=True, gc=False):
    """A due dossier enters its own batch. Never on a topic, so it has no schema."""

    user_id: UserId
    now: Millis


EnforcementEvent = EnforcementIssued | EnforcementAmended | EnforcementLifted | UserProfileUpdated
AppealEvent = AppealSubmitted | AppealWithdrawn
ReviewEvent = (
    CaseClaimed
    | CaseReleased
    | DecisionProposed
    | EvidenceRequested
    | EvidenceSupplied
    | CaseReferred
    | CaseHeld
    | CaseResumed
    | DecisionConfirmed
    | DecisionReturned
)
InputRecord = EnforcementEvent | AppealEvent | ReviewEvent | DirectiveAcked
OutputRecord = Case | ReversalOrdered | ReversalConfirmed | CaseEvent | AppellantNotice

INPUT_RECORDS: tuple[type[Record], ...] = (
    EnforcementIssued,
    EnforcementAmended,
    EnforcementLifted,
    UserProfileUpdated,
    AppealSubmitted,
    AppealWithdrawn,
    CaseClaimed,
    CaseReleased,
    DecisionProposed,
    EvidenceRequested,
    EvidenceSupplied,
    CaseReferred,
    CaseHeld,
    CaseResumed,
    DecisionConfirmed,
    DecisionReturned,
    DirectiveAcked,
)
OUTPUT_RECORDS: tuple[type[Record], ...] = (
    Case,
    ReversalOrdered,
    ReversalConfirmed,
    CaseEvent,
    AppellantNotice,
)


def event_time(record: Record) -> int:
    """When the input happened, UTC ms, by the record's own word."""
    at = getattr(record, "occurred_at", None)
    if at is None:
        at = getattr(record, "issued_at", None) or record.submitted_at  # type: ignore[attr-defined]
    return at
