"""`resolution.events` and `resolution.acks`: what must be undone, what must not be done again, and the answers."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from schemas.records.parts import (
    CaseId,
    Count,
    EnforcementId,
    Few,
    Lesser,
    Millis,
    Money,
    Name,
    Record,
    Target,
    Text,
    UserId,
)
from schemas.vocabulary import AckStatus, Action, DirectiveState, Operation, Outcome, ReversalCause


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
    amount: Money | None = None
    """Money that was really moved, if the system says."""


class Survivor(Record, frozen=True, kw_only=True):
    """Another enforcement of the same user that still stands on the same target."""

    enforcement_id: EnforcementId
    action: Action
    ends_at: Millis | None = None
    scope: Annotated[list[Name], Few] = []


class Restriction(Record, frozen=True, kw_only=True):
    """One restriction that must hold after a directive; of several, each holds where and as long as it says."""

    action: Action
    territory: Name | None = None
    """None: everywhere."""
    ends_at: Millis | None = None
    enforcement_id: EnforcementId


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
    state: Annotated[list[Restriction], Few] = []
    """The union of what survives and bears on this effect, without what something harder covers."""
    strikes_kept: Count | None = None
    """Of this enforcement; with operation ``expunge``."""
    deadline: Millis | None = None
    """When people look into it if it is not answered."""
    revision: Count = 0
    """Rises with every directive of the user: the state of the highest counts, whenever it is obeyed."""
    supersedes: Name | None = None
    """The directive whose place this one takes: that one need not be obeyed any more."""


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
    cause: ReversalCause = ReversalCause.DECISION
    caused_by: Name | None = None
    """The reversal that this one follows from; with cause ``cascade``."""
    remedy_id: Name | None = None
    lesser: Lesser | None = None
    """What is left of the enforcement; with outcome ``modified``."""
    strikes_left: Count | None = None
    """On the user's record afterwards, over all enforcements."""


class ReversalConfirmed(Record, frozen=True, kw_only=True):
    """Every directive of a reversal was applied: the wrong is undone."""

    reversal_id: Name
    user_id: UserId
    case_id: CaseId
    enforcement_id: EnforcementId
    confirmed_at: Millis
    directive_ids: Annotated[list[Name], Few]
    remedy_id: Name | None = None


class OpenDirective(Record, frozen=True, kw_only=True):
    """A directive of a stalled reversal that is not applied."""

    directive_id: Name
    system: Name
    operation: Operation
    effect_id: Name
    state: DirectiveState
    amount: Money | None = None
    detail: Text | None = None
    """What the system said last."""


class ReversalStalled(Record, frozen=True, kw_only=True):
    """A reversal needs people: the newest state, until it is confirmed."""

    reversal_id: Name
    user_id: UserId
    case_id: CaseId
    enforcement_id: EnforcementId
    reason: Name
    """A code from a closed list."""
    stalled_at: Millis
    attempt: Annotated[int, Meta(ge=1)]
    directives: Annotated[list[OpenDirective], Few]
    remedy_id: Name | None = None


class ImmunityGranted(Record, frozen=True, kw_only=True):
    """What was struck wrongly must not be struck by the same detector for the same reason again."""

    immunity_id: Name
    user_id: UserId
    reversal_id: Name
    enforcement_id: EnforcementId
    target: Target
    policy: Name
    detector: Name | None = None
    """None: all."""
    granted_at: Millis
    until: Millis


class EnforcementRemanded(Record, frozen=True, kw_only=True):
    """A decision sends an enforcement back to the enforcing side, which must amend or lift it in time."""

    remand_id: Name
    user_id: UserId
    case_id: CaseId
    enforcement_id: EnforcementId
    enforcement_version: int
    reasons_ref: Text
    guidance_ref: Text
    remanded_at: Millis
    answer_by: Millis
