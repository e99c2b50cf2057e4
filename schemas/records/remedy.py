"""`remedy.commands` and `remedy.events`: a cohort of enforcements that went wrong together, and its reversal.

A command concerns the whole installation: its sender writes one copy to every partition of `remedy.commands`, equal
but for `partition`. Each partition answers for itself, and whoever wants the whole adds the newest reports up.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from schemas.records.parts import (
    Count,
    Detector,
    EnforcementId,
    Few,
    Millis,
    Money,
    Name,
    Record,
    ReviewerId,
    Text,
    UserId,
)
from schemas.vocabulary import Action, RemedyEventKind, RemedyState, RemedySteer


class RemedyProposed(Record, frozen=True, kw_only=True):
    """An operator names a cohort; nothing is reversed before a dry run and two approvals."""

    event_id: Name
    remedy_id: Name
    partition: Count
    partitions: Annotated[int, Meta(ge=1)]
    actor: ReviewerId
    occurred_at: Millis
    reason: Text
    detector: Detector
    policy: Name | None = None
    """None: under whatever rule."""
    issued_from: Millis
    issued_until: Millis
    """The first moment that is not in it any more."""
    per_second: Annotated[int, Meta(ge=1)]
    """At most so many reversals a second, over all partitions."""


class RemedyApproved(Record, frozen=True, kw_only=True):
    """A person agrees with what the dry run found."""

    event_id: Name
    remedy_id: Name
    partition: Count
    partitions: Annotated[int, Meta(ge=1)]
    actor: ReviewerId
    occurred_at: Millis
    enforcements: Count
    """How many the dry run found over all partitions, as the approver saw it."""


class RemedySteered(Record, frozen=True, kw_only=True):
    """An operator pauses, resumes or stops a remedy."""

    event_id: Name
    remedy_id: Name
    partition: Count
    partitions: Annotated[int, Meta(ge=1)]
    actor: ReviewerId
    occurred_at: Millis
    reason: Text
    steer: RemedySteer


class RemedyCounts(Record, frozen=True, kw_only=True):
    """Enforcements of a remedy in one partition, counted."""

    enforcements: Count = 0
    users: Count = 0
    by_action: Annotated[dict[str, Count], Few] = {}
    money: Annotated[list[Money], Few] = []
    """To give back, one sum a currency."""


class RemedyExample(Record, frozen=True, kw_only=True):
    """One enforcement of a cohort, to look at before approving."""

    user_id: UserId
    enforcement_id: EnforcementId
    action: Action
    issued_at: Millis
    amount: Money | None = None


class RemedyReported(Record, frozen=True, kw_only=True):
    """How far a remedy is in one partition: each report replaces the ones before."""

    remedy_id: Name
    partition: Count
    partitions: Annotated[int, Meta(ge=1)]
    seq: Annotated[int, Meta(ge=1)]
    """Counts the reports of this partition about this remedy."""
    occurred_at: Millis
    cause_id: Name
    kind: RemedyEventKind
    state: RemedyState
    actor: ReviewerId | None = None
    reason: Text | None = None
    """A code from a closed list of refusals, or what the operator gave."""
    proposed_by: ReviewerId
    approved_by: Annotated[list[ReviewerId], Few] = []
    cohort: RemedyCounts
    """What the dry run found to be reversed."""
    spared: Annotated[dict[str, Count], Few] = {}
    """What the dry run found not to be reversed, by reason."""
    done: RemedyCounts
    """What has been ordered so far."""
    skipped: Annotated[dict[str, Count], Few] = {}
    """What was met and not reversed while it ran, by reason."""
    examples: Annotated[list[RemedyExample], Few] = []
    detector: Detector
    policy: Name | None = None
    issued_from: Millis
    issued_until: Millis
    per_second: Annotated[int, Meta(ge=1)]
