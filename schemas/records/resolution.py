"""`resolution.events` and `resolution.acks`: what must be undone, and what the systems answer."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from schemas.records.parts import CaseId, Count, EnforcementId, Few, Millis, Money, Name, Record, Target, Text, UserId
from schemas.vocabulary import AckStatus, Action, Operation, Outcome


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
