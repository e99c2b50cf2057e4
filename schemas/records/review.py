"""`review.events`: what reviewers do with a case; each names its actor and the version that the actor saw."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from schemas.records.parts import CaseId, Count, Evidence, Few, Lesser, Millis, Name, Record, ReviewerId, Text, UserId
from schemas.vocabulary import (
    DismissalReason,
    EvidenceKind,
    EvidenceSupplier,
    HoldReason,
    Outcome,
    ReferralReason,
)


class CaseClaimed(Record, frozen=True, kw_only=True):
    """A reviewer takes a case: a lease with an end; sent again by its holder it renews the lease."""

    event_id: Name
    user_id: UserId
    case_id: CaseId
    actor: ReviewerId
    expected_version: Count
    occurred_at: Millis


class CaseReleased(Record, frozen=True, kw_only=True):
    """The holder of a claim hands the case back; it keeps its `rank_at`."""

    event_id: Name
    user_id: UserId
    case_id: CaseId
    actor: ReviewerId
    expected_version: Count
    occurred_at: Millis
    reason: Text | None = None


class DecisionProposed(Record, frozen=True, kw_only=True):
    """The holder of a claim proposes an outcome with its reasons and cited evidence."""

    event_id: Name
    user_id: UserId
    case_id: CaseId
    actor: ReviewerId
    expected_version: Count
    occurred_at: Millis
    outcome: Outcome
    reasons_ref: Text
    policy_version: Name
    cited_evidence: Annotated[list[Name], Few] = []
    dismissal: DismissalReason | None = None
    """Why; with outcome ``dismissed``."""
    substituted_policy: Name | None = None
    """The rule that the enforcement stands on after all; with outcome ``upheld_ground_changed``."""
    lesser: Lesser | None = None
    """What is left of the enforcement; with outcome ``modified``."""
    guidance_ref: Text | None = None
    """What the enforcing side must look at again; with outcome ``remanded``."""


class EvidenceRequested(Record, frozen=True, kw_only=True):
    """The holder of a claim asks for evidence; the case waits for it."""

    event_id: Name
    user_id: UserId
    case_id: CaseId
    actor: ReviewerId
    expected_version: Count
    occurred_at: Millis
    kinds: Annotated[list[EvidenceKind], Few]
    at_least: Annotated[int, Meta(ge=1)] = 1
    supplier: EvidenceSupplier = EvidenceSupplier.APPELLANT
    due_at: Millis | None = None
    """When the case goes on without it; none: after the time of the rulebook."""
    note_ref: Text | None = None


class EvidenceSupplied(Record, frozen=True, kw_only=True):
    """Evidence for an open case, from the appellant, a specialist or an enforcement system."""

    event_id: Name
    user_id: UserId
    case_id: CaseId
    actor: ReviewerId
    expected_version: Count | None = None
    """An appellant, who sees no versions, leaves it out."""
    occurred_at: Millis
    supplier: EvidenceSupplier
    evidence: Annotated[list[Evidence], Few]


class CaseReferred(Record, frozen=True, kw_only=True):
    """The holder of a claim hands the case to another pod; it keeps its `rank_at`."""

    event_id: Name
    user_id: UserId
    case_id: CaseId
    actor: ReviewerId
    expected_version: Count
    occurred_at: Millis
    to_pod: Name
    reason: ReferralReason
    note_ref: Text | None = None


class CaseHeld(Record, frozen=True, kw_only=True):
    """The holder of a claim lets the case wait for something outside; its work clock stops."""

    event_id: Name
    user_id: UserId
    case_id: CaseId
    actor: ReviewerId
    expected_version: Count
    occurred_at: Millis
    reason: HoldReason
    until: Millis | None = None
    """When it goes on by itself; none: as late as the rulebook allows."""
    note_ref: Text | None = None


class CaseResumed(Record, frozen=True, kw_only=True):
    """A case that waits goes on."""

    event_id: Name
    user_id: UserId
    case_id: CaseId
    actor: ReviewerId
    expected_version: Count
    occurred_at: Millis
    note_ref: Text | None = None


class DecisionConfirmed(Record, frozen=True, kw_only=True):
    """The second reviewer agrees with the proposed decision: the case is decided."""

    event_id: Name
    user_id: UserId
    case_id: CaseId
    actor: ReviewerId
    expected_version: Count
    occurred_at: Millis
    reasons_ref: Text | None = None


class DecisionReturned(Record, frozen=True, kw_only=True):
    """The second reviewer gives the proposed decision back, with guidance."""

    event_id: Name
    user_id: UserId
    case_id: CaseId
    actor: ReviewerId
    expected_version: Count
    occurred_at: Millis
    guidance_ref: Text


class ReversalRetried(Record, frozen=True, kw_only=True):
    """An operator has open directives of a reversal sent again."""

    event_id: Name
    user_id: UserId
    reversal_id: Name
    actor: ReviewerId
    occurred_at: Millis
    reason: Text
    directive_id: Name | None = None
    """Only this one; none: all that are not applied."""


class DirectiveResolved(Record, frozen=True, kw_only=True):
    """An operator vouches that what a directive asks for is true, whatever its system said."""

    event_id: Name
    user_id: UserId
    reversal_id: Name
    directive_id: Name
    actor: ReviewerId
    occurred_at: Millis
    reason: Text
