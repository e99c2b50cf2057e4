"""What may happen to a case, by hand from the domain: the states that each line can lead to, and who accepts what."""

from __future__ import annotations

from schemas.records import (
    CaseClaimed,
    CaseEvent,
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
    Record,
    ReversalRetried,
)
from schemas.vocabulary import CaseEventKind, CaseState
from tests.topology.review_history import History

Kind = CaseEventKind
QUEUED, CLAIMED, AWAITING, ON_HOLD, SECOND, DECIDED, CLOSED = (
    CaseState.QUEUED,
    CaseState.CLAIMED,
    CaseState.AWAITING_EVIDENCE,
    CaseState.ON_HOLD,
    CaseState.SECOND_REVIEW,
    CaseState.DECIDED,
    CaseState.CLOSED,
)
OPEN = (QUEUED, CLAIMED, AWAITING, ON_HOLD, SECOND)

States = dict[CaseState, tuple[CaseState, ...]]
_SAME: States = {state: (state,) for state in OPEN}

TABLE: dict[CaseEventKind, States] = {
    Kind.CASE_CLAIMED: {QUEUED: (CLAIMED,), SECOND: (SECOND,)},
    Kind.CLAIM_RENEWED: {CLAIMED: (CLAIMED,), SECOND: (SECOND,)},
    Kind.CASE_RELEASED: {CLAIMED: (QUEUED,), SECOND: (SECOND,)},
    Kind.CLAIM_EXPIRED: {CLAIMED: (QUEUED,), SECOND: (SECOND,)},
    Kind.EVIDENCE_REQUESTED: {CLAIMED: (AWAITING,), QUEUED: (AWAITING, QUEUED), AWAITING: (AWAITING,)},
    Kind.EVIDENCE_SUPPLIED: {**_SAME, AWAITING: (AWAITING, QUEUED)},
    Kind.EVIDENCE_OVERDUE: {**_SAME, AWAITING: (AWAITING, QUEUED)},
    Kind.CASE_HELD: {CLAIMED: (ON_HOLD,)},
    Kind.CASE_RESUMED: {AWAITING: (QUEUED,), ON_HOLD: (QUEUED,)},
    Kind.PAUSE_CAPPED: {AWAITING: (QUEUED,), ON_HOLD: (QUEUED,)},
    Kind.CASE_REFERRED: {CLAIMED: (QUEUED,)},
    Kind.DECISION_PROPOSED: {CLAIMED: (SECOND,)},
    Kind.DECISION_RETURNED: {SECOND: (QUEUED,)},
    Kind.DECISION_DISPUTED: {SECOND: (QUEUED,)},
    Kind.ENFORCEMENT_CHANGED: {
        **_SAME,
        CLAIMED: (CLAIMED, QUEUED),
        SECOND: (QUEUED, SECOND),
        AWAITING: (AWAITING, QUEUED),
    },
    Kind.CASE_REROUTED: {**_SAME, CLAIMED: (QUEUED,)},
    Kind.STATEMENT_ADDED: {**_SAME, AWAITING: (AWAITING, QUEUED)},
    Kind.BAND_RAISED: _SAME,
    Kind.PROMISE_MISSED: _SAME,
    Kind.DEADLINE_MISSED: _SAME,
    Kind.GRANT_WITHHELD: {QUEUED: (QUEUED,)},
    Kind.CASE_ESCALATED: {**_SAME, CLAIMED: (QUEUED,), AWAITING: (QUEUED,)},
    Kind.REVIEW_REJECTED: _SAME,
    Kind.CASE_DECIDED: dict.fromkeys(OPEN, (DECIDED,)),
    Kind.CASE_CLOSED: {DECIDED: (CLOSED,)},
}
"""State before to the states that may follow, by line; a line that is not here says nothing about states."""

OF_REVERSALS = (
    Kind.REVERSAL_ORDERED,
    Kind.DIRECTIVE_SUPERSEDED,
    Kind.DIRECTIVE_APPLIED,
    Kind.DIRECTIVE_FAILED,
    Kind.DIRECTIVE_RESOLVED,
    Kind.REVERSAL_STALLED,
    Kind.REVERSAL_RETRIED,
    Kind.REVERSAL_CONFIRMED,
)
"""What the lines of a reversal are, from its order to its end."""

ACCEPTED: dict[type[Record], tuple[CaseEventKind, ...]] = {
    CaseClaimed: (Kind.CASE_CLAIMED, Kind.CLAIM_RENEWED),
    CaseReleased: (Kind.CASE_RELEASED,),
    EvidenceRequested: (Kind.EVIDENCE_REQUESTED,),
    EvidenceSupplied: (Kind.EVIDENCE_SUPPLIED,),
    CaseReferred: (Kind.CASE_REFERRED,),
    CaseHeld: (Kind.CASE_HELD,),
    CaseResumed: (Kind.CASE_RESUMED,),
    DecisionProposed: (Kind.DECISION_PROPOSED, Kind.CASE_DECIDED, Kind.DECISION_DISPUTED),
    DecisionConfirmed: (Kind.CASE_DECIDED,),
    DecisionReturned: (Kind.DECISION_RETURNED, Kind.DECISION_DISPUTED),
    ReversalRetried: (Kind.REVERSAL_RETRIED,),
    DirectiveResolved: (Kind.DIRECTIVE_RESOLVED,),
}
"""The one line that says that a reviewer's event was accepted."""


def accepted(h: History, line: CaseEvent) -> Record | None:
    """The reviewer's event that this line accepts, if it is such a line."""
    sent = h.sent.get(line.cause_id)
    if sent is None or line.kind not in ACCEPTED.get(type(sent.record), ()):
        return None
    # The decision of one case can end another one too, on what rested on the first.
    of = getattr(sent.record, "case_id", line.case_id)
    return sent.record if of == line.case_id else None
