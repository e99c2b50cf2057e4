"""The typed records that flow on the topics: one frozen class a record, equal field by field to its ``.avsc``.

Times are UTC milliseconds since the epoch (`Millis`), amounts are exact decimals with an ISO 4217 currency,
texts of people travel by reference or sealed with a key of theirs, never in clear. ``tests/contract`` proves that
classes and schemas agree.
Vocabulary: EU Digital Services Act (Regulation 2022/2065), Art. 17, 20, 21 and its Transparency Database.
One module a topic; this one lists which records come in and which go out.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from operator import attrgetter

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
from schemas.records.dead_letter import DeadLetterSettled
from schemas.records.enforcement import EnforcementAmended, EnforcementIssued, EnforcementLifted, UserProfileUpdated
from schemas.records.insights import (
    BandLoad,
    DecisionTime,
    MisfireSuspected,
    OverturnRate,
    PodLoad,
    ReviewAgreement,
)
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
    Lesser,
    Millis,
    Money,
    Name,
    Record,
    ReviewerId,
    Target,
    Text,
    UserId,
)
from schemas.records.privacy import (
    LegalHoldPlaced,
    LegalHoldReleased,
    SubjectErasureRequested,
    SubjectKey,
    WrappingKey,
)
from schemas.records.remedy import (
    RemedyApproved,
    RemedyCounts,
    RemedyExample,
    RemedyProposed,
    RemedyReported,
    RemedySteered,
)
from schemas.records.resolution import (
    Directive,
    DirectiveAcked,
    EnforcementRemanded,
    ImmunityGranted,
    OpenDirective,
    Restriction,
    ReversalConfirmed,
    ReversalOrdered,
    ReversalStalled,
    Survivor,
)
from schemas.records.review import (
    CaseClaimed,
    CaseHeld,
    CaseReferred,
    CaseReleased,
    CaseResumed,
    DecisionConfirmed,
    DecisionProposed,
    DecisionReturned,
    DirectiveResolved,
    EvidenceRequested,
    EvidenceSupplied,
    ReversalRetried,
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
    "BandLoad",
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
    "DeadLetterSettled",
    "DecisionConfirmed",
    "DecisionProposed",
    "DecisionReturned",
    "DecisionTime",
    "Detector",
    "Directive",
    "DirectiveAcked",
    "DirectiveResolved",
    "Effect",
    "EnforcementAmended",
    "EnforcementEvent",
    "EnforcementId",
    "EnforcementIssued",
    "EnforcementLifted",
    "EnforcementRemanded",
    "EnforcementSummary",
    "EventId",
    "Evidence",
    "EvidenceNeed",
    "EvidenceRequest",
    "EvidenceRequested",
    "EvidenceSupplied",
    "Few",
    "ImmunityGranted",
    "InputRecord",
    "LegalHoldPlaced",
    "LegalHoldReleased",
    "Lesser",
    "Millis",
    "MisfireSuspected",
    "Money",
    "Name",
    "OpenDirective",
    "OperatorEvent",
    "OutputRecord",
    "OverturnRate",
    "Pause",
    "PodLoad",
    "PrivacyEvent",
    "Proposal",
    "Record",
    "RemedyApproved",
    "RemedyCommand",
    "RemedyCounts",
    "RemedyDue",
    "RemedyExample",
    "RemedyOrdered",
    "RemedyProposed",
    "RemedyReported",
    "RemedySteered",
    "Restriction",
    "ReversalConfirmed",
    "ReversalOrdered",
    "ReversalRetried",
    "ReversalStalled",
    "ReviewAgreement",
    "ReviewEvent",
    "ReviewerId",
    "Routing",
    "SecondReview",
    "Statement",
    "SubjectErasureRequested",
    "SubjectKey",
    "Survivor",
    "Target",
    "Text",
    "TimerFired",
    "UserId",
    "UserProfileUpdated",
    "WrappingKey",
    "event_time",
]


class TimerFired(msgspec.Struct, frozen=True, gc=False):
    """A due dossier enters its own batch. Never on a topic, so it has no schema."""

    user_id: UserId
    now: Millis


class RemedyDue(msgspec.Struct, frozen=True, gc=False):
    """A due remedy enters the batch of its partition. Never on a topic, so it has no schema."""

    remedy_id: str
    now: Millis


class RemedyOrdered(msgspec.Struct, frozen=True, gc=False):
    """A remedy reaches one enforcement of its cohort. Never on a topic, so it has no schema."""

    user_id: UserId
    now: Millis
    remedy_id: str
    enforcement_id: EnforcementId
    version: int
    """The version that the remedy saw."""
    approved_by: str
    """All who approved it by then, joined by commas."""
    proposed_by: ReviewerId


EnforcementEvent = EnforcementIssued | EnforcementAmended | EnforcementLifted | UserProfileUpdated
PrivacyEvent = SubjectErasureRequested | LegalHoldPlaced | LegalHoldReleased
"""On the topic of enforcements and profiles, as the order among these matters."""
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
OperatorEvent = ReversalRetried | DirectiveResolved
"""On the topic of reviews too, but about a reversal, which has no version that could be stale."""
RemedyCommand = RemedyProposed | RemedyApproved | RemedySteered
InputRecord = EnforcementEvent | PrivacyEvent | AppealEvent | ReviewEvent | OperatorEvent | DirectiveAcked
"""What a user's dossier is folded from."""
OutputRecord = (
    Case
    | ReversalOrdered
    | ReversalConfirmed
    | ReversalStalled
    | ImmunityGranted
    | EnforcementRemanded
    | CaseEvent
    | AppellantNotice
    | RemedyReported
)

INPUT_RECORDS: tuple[type[Record], ...] = (
    EnforcementIssued,
    EnforcementAmended,
    EnforcementLifted,
    UserProfileUpdated,
    SubjectErasureRequested,
    LegalHoldPlaced,
    LegalHoldReleased,
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
    ReversalRetried,
    DirectiveResolved,
    RemedyProposed,
    RemedyApproved,
    RemedySteered,
)
OUTPUT_RECORDS: tuple[type[Record], ...] = (
    Case,
    ReversalOrdered,
    ReversalConfirmed,
    ReversalStalled,
    ImmunityGranted,
    EnforcementRemanded,
    CaseEvent,
    AppellantNotice,
    RemedyReported,
    DeadLetterSettled,
    SubjectKey,
    WrappingKey,
    OverturnRate,
    PodLoad,
    MisfireSuspected,
    ReviewAgreement,
    DecisionTime,
)


def event_time(record: Record) -> int:
    """When the input happened, UTC ms, by the record's own word."""
    return _time_of(type(record))(record)


@cache
def _time_of(kind: type[Record]) -> Callable[[Record], int]:
    names = ("occurred_at", "issued_at", "submitted_at")
    return attrgetter(next(name for name in names if name in kind.__struct_fields__))
