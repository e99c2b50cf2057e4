"""`enforcement.events`: what enforcement systems did, changed and took back, and what is known of the user."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from schemas.records.parts import (
    Count,
    Detector,
    Effect,
    EnforcementId,
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
from schemas.vocabulary import Action, Automation, Category, Ground, LiftReason, SellerTier, Source


class EnforcementIssued(Record, frozen=True, kw_only=True):
    """An enforcement system did something to a user (DSA Art. 17)."""

    event_id: Name
    user_id: UserId
    enforcement_id: EnforcementId
    version: Annotated[int, Meta(ge=1)]
    issued_at: Millis
    policy: Name
    policy_version: Name
    action: Action
    ends_at: Millis | None = None
    scope: Annotated[list[Name], Few] = []
    target: Target
    ground: Ground
    category: Category
    source: Source
    detector: Detector | None = None
    automation: Automation
    decided_by: ReviewerId | None = None
    statement_of_reasons_id: Name
    facts_ref: Text | None = None
    evidence: Annotated[list[Evidence], Few] = []
    effects: Annotated[list[Effect], Few] = []
    amount: Money | None = None
    caused_by: EnforcementId | None = None
    strikes: Count = 0
    appealable: bool = True
    appeal_until: Millis | None = None


class EnforcementAmended(Record, frozen=True, kw_only=True):
    """A new version of an enforcement: the whole new content, replacing the version before."""

    event_id: Name
    user_id: UserId
    enforcement_id: EnforcementId
    version: Annotated[int, Meta(ge=2)]
    occurred_at: Millis
    reason: Text
    policy: Name
    policy_version: Name
    action: Action
    ends_at: Millis | None = None
    scope: Annotated[list[Name], Few] = []
    target: Target
    ground: Ground
    category: Category
    source: Source
    detector: Detector | None = None
    automation: Automation
    decided_by: ReviewerId | None = None
    statement_of_reasons_id: Name
    facts_ref: Text | None = None
    evidence: Annotated[list[Evidence], Few] = []
    effects: Annotated[list[Effect], Few] = []
    amount: Money | None = None
    strikes: Count = 0
    appealable: bool = True
    appeal_until: Millis | None = None


class EnforcementLifted(Record, frozen=True, kw_only=True):
    """The enforcing side took its own enforcement back, with or without an appeal."""

    event_id: Name
    user_id: UserId
    enforcement_id: EnforcementId
    occurred_at: Millis
    reason: LiftReason
    lifted_by: ReviewerId | None = None
    strikes_expunged: bool = False
    amount_returned: Money | None = None


class UserProfileUpdated(Record, frozen=True, kw_only=True):
    """What triage may know about the user; the newest replaces the one before."""

    event_id: Name
    user_id: UserId
    occurred_at: Millis
    language: Name
    region: Name
    seller_tier: SellerTier
    lifetime_value: Money | None = None
    reach: Count = 0
    joined_at: Millis | None = None
    is_minor: bool = False
    safety_flag: bool = False
