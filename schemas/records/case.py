"""`cases.<pod>`: an open case in full, as its pod sees it."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from schemas.records.parts import (
    AppealId,
    CaseId,
    Count,
    Detector,
    EnforcementId,
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
from schemas.vocabulary import (
    Action,
    AppealFlag,
    AppealGround,
    Automation,
    Band,
    CaseOrigin,
    CaseState,
    Category,
    EvidenceKind,
    EvidenceSupplier,
    Ground,
    Outcome,
)


class Component(Record, frozen=True, kw_only=True):
    """One part of the priority: `contribution` = 1000 x `weight` x `value`, with `value` in [0, 1]."""

    name: Name
    value: float
    weight: float
    contribution: float
    because: Text


class Claim(Record, frozen=True, kw_only=True):
    """Who works on the case, since when, and when the lease ends."""

    reviewer: ReviewerId
    since: Millis
    until: Millis


class Routing(Record, frozen=True, kw_only=True):
    """Why the case is on this pod: the rule that matched and what it looked at."""

    rule: Name
    pod: Name
    because: Text


class Statement(Record, frozen=True, kw_only=True):
    """A text of the appellant, by reference; a case can have several."""

    appeal_id: AppealId
    submitted_at: Millis
    ref: Text | None = None
    sha256: Text | None = None
    sealed: Text | None = None
    """The text itself, sealed with the subject's key; of several as many as a case has room for."""


class EnforcementSummary(Record, frozen=True, kw_only=True):
    """What a reviewer must know of the enforcement without asking another system."""

    enforcement_id: EnforcementId
    version: int
    issued_at: Millis
    policy: Name
    policy_version: Name
    action: Action
    ends_at: Millis | None = None
    target: Target
    ground: Ground
    category: Category
    automation: Automation
    detector: Detector | None = None
    statement_of_reasons_id: Name
    facts_ref: Text | None = None
    amount: Money | None = None
    strikes: Count = 0


class EvidenceNeed(Record, frozen=True, kw_only=True):
    """One line of the standard of evidence that a case is held to, and how far it is met."""

    kinds: Annotated[list[EvidenceKind], Few]
    at_least: Count
    supplier: EvidenceSupplier | None = None
    """Who they must come from; none: anyone."""
    outcomes: Annotated[list[Outcome], Few]
    met: bool
    waived: bool = False
    """They were asked for in time and not given: a decision may do without."""


class EvidenceRequest(Record, frozen=True, kw_only=True):
    """Evidence that somebody was asked for and has not given yet."""

    request_id: Name
    kinds: Annotated[list[EvidenceKind], Few]
    at_least: Annotated[int, Meta(ge=1)] = 1
    supplier: EvidenceSupplier
    requested_at: Millis
    due_at: Millis
    note_ref: Text | None = None


class Proposal(Record, frozen=True, kw_only=True):
    """A decision that waits for a second reviewer."""

    outcome: Outcome
    reviewer: ReviewerId
    proposed_at: Millis
    reasons_ref: Text
    cited_evidence: Annotated[list[Name], Few] = []
    lesser: Lesser | None = None
    guidance_ref: Text | None = None


class SecondReview(Record, frozen=True, kw_only=True):
    """Why a second person must look at a decision, and how."""

    because: Annotated[list[Name], Few]
    since: Millis
    blind: bool = False
    """The second reviewer decides without seeing the first decision."""


class Pause(Record, frozen=True, kw_only=True):
    """The work clock stands still: since when, and until when at the latest."""

    since: Millis
    until: Millis


class Case(Record, frozen=True, kw_only=True):
    """An appeal on its pod's topic: the newest full state, keyed by case (a tombstone when it leaves the pod)."""

    case_id: CaseId
    version: Annotated[int, Meta(ge=1)]
    user_id: UserId
    appeal_id: AppealId
    state: CaseState
    pod: Name
    band: Band
    score: int
    components: Annotated[list[Component], Few]
    rank_at: Millis
    submitted_at: Millis
    opened_at: Millis
    due_at: Millis
    """The regulatory due time: it never moves."""
    promised_at: Millis
    """Submitted plus the handling time promised for the band."""
    language: Name
    region: Name
    grounds: Annotated[list[AppealGround], Few] = []
    flags: Annotated[list[AppealFlag], Few] = []
    statements: Annotated[list[Statement], Few] = []
    evidence: Annotated[list[Evidence], Few] = []
    enforcement: EnforcementSummary
    enforcement_changed: bool = False
    """The enforcement got a new version after the case was opened."""
    excluded_reviewers: Annotated[list[ReviewerId], Few] = []
    claim: Claim | None = None
    routing: Routing
    rulebook_digest: Name
    pause: Pause | None = None
    """The work clock stands still, as the case waits for evidence or is on hold."""
    paused_ms: Count = 0
    """How long it stood still before, in milliseconds."""
    standard: Annotated[list[EvidenceNeed], Few] = []
    requests: Annotated[list[EvidenceRequest], Few] = []
    """Evidence that was asked for and has not come."""
    second_review: SecondReview | None = None
    proposal: Proposal | None = None
    """The decision that waits for a second reviewer; not shown while the review is blind."""
    guidance_ref: Text | None = None
    """Guidance of the second reviewer who gave the last proposal back."""
    escalated: bool = False
    """The regulatory due time has passed."""
    origin: CaseOrigin = CaseOrigin.APPEAL
