"""What people of the enforcing side do about decisions: look again at what is sent back, vouch for what is stuck."""

from __future__ import annotations

from random import Random
from typing import Any

from schemas.records import (
    DirectiveResolved,
    EnforcementAmended,
    EnforcementIssued,
    EnforcementLifted,
    EnforcementRemanded,
    Millis,
    OpenDirective,
    ReversalOrdered,
    ReviewerId,
)
from schemas.vocabulary import LiftReason
from topology.demo.clock import now_ms

OPERATOR = ReviewerId("operator-1")
_LIFTS = 0.4
"""Of measures that are sent back, how many are taken back; of the others, half of the strikes are."""


def answered(
    event_id: str, remanded: EnforcementRemanded, known: EnforcementIssued | EnforcementAmended
) -> EnforcementAmended | EnforcementLifted:
    """The answer to a remand of this newest version of a measure."""
    at = Millis(now_ms())
    if Random(remanded.remand_id).random() < _LIFTS:
        return EnforcementLifted(
            event_id=event_id,
            user_id=known.user_id,
            enforcement_id=known.enforcement_id,
            occurred_at=at,
            reason=LiftReason.RETRACTED,
            strikes_expunged=True,
        )
    content: dict[str, Any] = {
        name: getattr(known, name) for name in EnforcementAmended.__struct_fields__ if hasattr(known, name)
    }
    content |= {
        "event_id": event_id,
        "version": known.version + 1,
        "occurred_at": at,
        "reason": f"sent back: {remanded.guidance_ref}",
        "strikes": known.strikes // 2,
    }
    return EnforcementAmended(**content)


def resolved(event_id: str, order: ReversalOrdered, item: OpenDirective) -> DirectiveResolved:
    """An operator vouches that it is done."""
    return DirectiveResolved(
        event_id=event_id,
        user_id=order.user_id,
        reversal_id=order.reversal_id,
        directive_id=item.directive_id,
        actor=OPERATOR,
        occurred_at=Millis(now_ms()),
        reason=f"done by hand: {item.detail}",
    )
