"""The fold: one event at a time changes one user's dossier and says what follows. The engine calls nothing else.

The same dossier, event, `now` and rulebook give the same dossier and the same emissions, byte for byte. A refusal is
an emission; only a defect, or an input that no decision can rest on, raises (`processors/errors.py`).

Order within a user is kept by each topic but not between topics. What becomes of an appeal (a case, withdrawn, or a
refusal and its reason) does not depend on that order, but for what lies in the matter itself:

- whether it was parked first, and whether the parking time ran out before a late topic caught up;
- whether "nothing is left to restore" is told as ``already_reversed`` or as a ``moot`` case, or is overtaken by a
  withdrawal, when a lift or an end is read before or after the appeal;
- which of several appeals against one enforcement opens the case, when one of them waits for a newer version or is
  withdrawn while it waits; and whether a further one is a ``duplicate`` or comes after the decision;
- of two events that race (a decision with a lift, an amendment or a withdrawal), which came first;
- what triage had seen of profile and history, and so score and pod.

The audit tells that order: every line carries how many inputs of each topic were folded when it was written, so a
user's life can be folded again to the same hashes (`topology/audit`). What it does not tell is when an input was folded
that wrote no line, and in which order two such of different topics were. So an input that writes no line must leave the
same dossier whatever `now` is, and commute with those of the other topics.
"""

from collections.abc import Callable
from typing import Any, get_args

from processors import (
    acks,
    deciding,
    enforcement,
    erased,
    erasure,
    intake,
    operators,
    remedying,
    review,
    timers,
    waiting,
)
from processors.codec import decode_dossier, encode_dossier
from processors.context import Context
from processors.dossier import Dossier
from processors.errors import ImpossibleInputError, UnknownRecordError
from schemas.records import (
    AppealEvent,
    AppealSubmitted,
    AppealWithdrawn,
    CaseClaimed,
    CaseHeld,
    CaseReferred,
    CaseReleased,
    CaseResumed,
    DecisionConfirmed,
    DecisionProposed,
    DecisionReturned,
    DirectiveAcked,
    DirectiveResolved,
    EnforcementAmended,
    EnforcementEvent,
    EnforcementIssued,
    EnforcementLifted,
    EvidenceRequested,
    EvidenceSupplied,
    InputRecord,
    LegalHoldPlaced,
    LegalHoldReleased,
    OperatorEvent,
    PrivacyEvent,
    RemedyOrdered,
    ReversalRetried,
    ReviewEvent,
    SubjectErasureRequested,
    TimerFired,
    UserId,
    UserProfileUpdated,
)

__all__ = ["HANDLERS", "TOPIC_OF", "decode_dossier", "encode_dossier", "handle", "new_dossier", "next_due"]


def _on_timer(_dossier: Dossier, _event: TimerFired, _ctx: Context) -> None:
    """Nothing is left to do: `handle` has done what was due."""


HANDLERS: dict[type, Callable[[Dossier, Any, Context], None]] = {
    EnforcementIssued: enforcement.on_issued,
    EnforcementAmended: enforcement.on_amended,
    EnforcementLifted: enforcement.on_lifted,
    UserProfileUpdated: enforcement.on_profile,
    SubjectErasureRequested: erasure.on_requested,
    LegalHoldPlaced: erasure.on_hold_placed,
    LegalHoldReleased: erasure.on_hold_released,
    AppealSubmitted: intake.on_submitted,
    AppealWithdrawn: intake.on_withdrawn,
    CaseClaimed: review.on_claimed,
    CaseReleased: review.on_released,
    CaseReferred: review.on_referred,
    EvidenceRequested: waiting.on_requested,
    EvidenceSupplied: waiting.on_supplied,
    CaseHeld: waiting.on_held,
    CaseResumed: waiting.on_resumed,
    DecisionProposed: deciding.on_proposed,
    DecisionConfirmed: deciding.on_confirmed,
    DecisionReturned: deciding.on_returned,
    ReversalRetried: operators.on_retried,
    DirectiveResolved: operators.on_resolved,
    DirectiveAcked: acks.on_acked,
    RemedyOrdered: remedying.on_ordered,
    TimerFired: _on_timer,
}
"""The one table from type to handler."""

_TOPICS = (
    (*get_args(EnforcementEvent), *get_args(PrivacyEvent)),
    get_args(AppealEvent),
    (*get_args(ReviewEvent), *get_args(OperatorEvent)),
    (DirectiveAcked,),
)
TOPIC_OF: dict[type, int] = {kind: place for place, kinds in enumerate(_TOPICS) for kind in kinds}
"""Place of an input's topic in `Dossier.folded` and `CaseEvent.folded`."""


def new_dossier(user_id: str) -> Dossier:
    """The dossier of a user of whom nothing is known yet."""
    return Dossier(UserId(user_id))


def next_due(dossier: Dossier) -> int | None:
    """UTC ms of the next timer; after a `TimerFired` always later than its `now`."""
    return dossier.due


def handle(dossier: Dossier, event: InputRecord | TimerFired | RemedyOrdered, ctx: Context) -> None:
    """Change the dossier in place by what is due and then by the event, and emit what follows.

    If it raises, dossier and emissions are to be thrown away.
    """
    handler = HANDLERS.get(type(event))
    if handler is None:
        raise UnknownRecordError(f"no handler for {type(event).__name__}")
    if event.user_id != dossier.user_id:  # keyed wrongly: another user's rights would be decided by it
        raise ImpossibleInputError(f"{type(event).__name__} of another user than the dossier's")
    if dossier.due is not None and dossier.due <= ctx.now:
        timers.fire_due(dossier, ctx)
    topic = TOPIC_OF.get(type(event))
    if topic is not None:  # a timer or a remedy's order is no input: its lines are told by their cause
        dossier.folded = folded = [*dossier.folded] or [0] * len(_TOPICS)
        folded[topic] += 1
    if dossier.erasing is None:
        handler(dossier, event, ctx)
    else:
        if not erased.answered(dossier, event, ctx):
            handler(dossier, event, ctx)
        erasure.go_on(dossier, event, ctx)
    timers.reschedule(dossier, ctx)
