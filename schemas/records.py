"""The typed records that flow on the topics: one frozen class a record, equal field by field to its ``.avsc``.

Times are UTC milliseconds since the epoch (`Millis`), amounts are exact decimals with an ISO 4217 currency,
texts of people travel by reference, never by value. ``tests/contract`` proves that classes and schemas agree.
Vocabulary: EU Digital Services Act (Regulation 2022/2065), Art. 17, 20, 21 and its Transparency Database.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, NewType

import msgspec
from msgspec import Meta

from schemas.vocabulary import (
    AckStatus,
    Action,
    AppealFlag,
    AppealGround,
    Automation,
    Band,
    CaseEventKind,
    CaseState,
    Category,
    DismissalReason,
    EffectKind,
    EvidenceKind,
    EvidenceSupplier,
    Ground,
    HoldReason,
    LiftReason,
    NoticeKind,
    Operation,
    Outcome,
    Redress,
    ReferralReason,
    RefusalReason,
    SellerTier,
    Source,
    TargetKind,
)

MAX_STRING = 4_096
"""Characters a string may have. Longer texts travel by reference."""
MAX_ITEMS = 1_000
"""Items an array or a map may have."""

Text = Annotated[str, Meta(max_length=MAX_STRING)]
Name = Annotated[str, Meta(min_length=1, max_length=256)]
Currency = Annotated[str, Meta(pattern="^[A-Z]{3}$", max_length=3)]
"""The length is not redundant: `$` also matches before a final line feed."""

if TYPE_CHECKING:
    _Id = str
else:
    _Id = Name  # a checker wants a class, msgspec the bounds: ids are keys, so none is empty or huge
UserId = NewType("UserId", _Id)
EnforcementId = NewType("EnforcementId", _Id)
AppealId = NewType("AppealId", _Id)
CaseId = NewType("CaseId", _Id)
EventId = NewType("EventId", _Id)
ReviewerId = NewType("ReviewerId", _Id)
Millis = NewType("Millis", int)

Count = Annotated[int, Meta(ge=0)]
Few = Meta(max_length=MAX_ITEMS)


class Record(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Base of all records: immutable, built by keyword, compared by value."""


# --- parts -------------------------------------------------------------------------------------------------


class Money(Record, frozen=True, kw_only=True):
    """An exact amount: at most 18 digits, 4 of them after the point; the sign is the reader's to check."""

    value: Decimal
    currency: Currency


class Target(Record, frozen=True, kw_only=True):
    """What an enforcement hit. `content_hash` ties a later strike at the same content to an earlier one."""

    kind: TargetKind
    id: Name
    content_hash: Text | None = None


class Detector(Record, frozen=True, kw_only=True):
    """The automated means that found the violation (DSA Art. 17(3)(c))."""

    name: Name
    version: Name


class Evidence(Record, frozen=True, kw_only=True):
    """A piece of evidence by reference: where it lies and what it must hash to."""

    evidence_id: Name
    kind: EvidenceKind
    ref: Text
    sha256: Text | None = None
    supplied_by: EvidenceSupplier = EvidenceSupplier.UNKNOWN
    """Who it came from, by the engine's own account; what a sender writes here is not looked at."""


class Effect(Record, frozen=True, kw_only=True):
    """One thing that an enforcement really did in one system, and that a reversal must undo there."""

    effect_id: Name
    system: Name
    kind: EffectKind
    params: Annotated[dict[str, Text], Few] = {}
    amount: Money | None = None


# --- enforcement.events ------------------------------------------------------------------------------------


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


# --- appeal.events -----------------------------------------------------------------------------------------


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
    evidence: Annotated[list[Evidence], Few] = []
    flags: Annotated[list[AppealFlag], Few] = []


class AppealWithdrawn(Record, frozen=True, kw_only=True):
    """The appellant takes the appeal back."""

    event_id: Name
    user_id: UserId
    appeal_id: AppealId
    occurred_at: Millis


# --- review.events -----------------------------------------------------------------------------------------


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
    lesser_action: Action | None = None
    dismissal: DismissalReason | None = None
    """Why; with outcome ``dismissed``."""
    substituted_policy: Name | None = None
    """The rule that the enforcement stands on after all; with outcome ``upheld_ground_changed``."""


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


# --- resolution.acks ---------------------------------------------------------------------------------------


class DirectiveAcked(Record, frozen=True, kw_only=True):
    """An enforcement system answers one directive of a reversal."""

    event_id: Name
    user_id: UserId
    reversal_id: Name
    directive_id: Name
    system: Name
    status: AckStatus
    occurred_at: Millis
    detail: Text | None = None


# --- cases.<pod> -------------------------------------------------------------------------------------------


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


# --- resolution.events -------------------------------------------------------------------------------------


class Survivor(Record, frozen=True, kw_only=True):
    """Another enforcement of the same user that still stands on the same target."""

    enforcement_id: EnforcementId
    action: Action
    ends_at: Millis | None = None
    scope: Annotated[list[Name], Few] = []


class Directive(Record, frozen=True, kw_only=True):
    """What one system must make true: `surviving` is the state that must hold afterwards, not a step back."""

    directive_id: Name
    system: Name
    operation: Operation
    target: Target
    effect_id: Name
    params: Annotated[dict[str, Text], Few] = {}
    amount: Money | None = None
    surviving: Annotated[list[Survivor], Few] = []
    idempotency_key: Name


class ReversalOrdered(Record, frozen=True, kw_only=True):
    """A decision undoes an enforcement: one directive for each effect; sent again with the same keys."""

    reversal_id: Name
    user_id: UserId
    case_id: CaseId
    enforcement_id: EnforcementId
    enforcement_version: int
    ordered_at: Millis
    attempt: Annotated[int, Meta(ge=1)]
    outcome: Outcome
    strikes_expunged: Count
    directives: Annotated[list[Directive], Few]


class ReversalConfirmed(Record, frozen=True, kw_only=True):
    """Every directive of a reversal was applied: the wrong is undone."""

    reversal_id: Name
    user_id: UserId
    case_id: CaseId
    enforcement_id: EnforcementId
    confirmed_at: Millis
    directive_ids: Annotated[list[Name], Few]


# --- case.events -------------------------------------------------------------------------------------------


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


# --- appellant.notices -------------------------------------------------------------------------------------


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


# --- topology's own input ----------------------------------------------------------------------------------


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
