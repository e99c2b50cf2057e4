"""The life of a case as one table: what can happen in which state, and which state it leads to.

The table is the only place that changes a state, and the diagram in the docs is made from it. A reviewer's event that
the table has no move for is rejected; a move of the engine's own that it lacks is a defect and raises.
"""

from enum import StrEnum

from processors.errors import ImpossibleMoveError
from processors.open_case import OpenCase
from schemas.vocabulary import CaseState

QUEUED = CaseState.QUEUED
CLAIMED = CaseState.CLAIMED
AWAITING = CaseState.AWAITING_EVIDENCE
ON_HOLD = CaseState.ON_HOLD
SECOND = CaseState.SECOND_REVIEW
DECIDED = CaseState.DECIDED
CLOSED = CaseState.CLOSED

OPEN = (QUEUED, CLAIMED, AWAITING, ON_HOLD, SECOND)
"""States of a case that is on a pod's topic."""


class Move(StrEnum):
    """What can happen to a case."""

    CLAIM = "claimed or renewed"
    GIVE_BACK = "handed back, or the lease ends"
    ASK = "evidence requested"
    SUPPLY = "evidence supplied"
    ANSWER = "everything asked for is supplied"
    OVERDUE = "evidence overdue"
    HOLD = "held"
    GO_ON = "resumed, or the waiting is over"
    REFER = "referred to another pod"
    PROPOSE = "decision proposed, second review needed"
    RETURN = "proposal returned"
    DISPUTE = "reviewers disagree, to the lead pod"
    DECIDE = "decided"
    GRANT = "granted by a rule"
    AMEND = "enforcement amended"
    RECHARGE = "enforcement charges something else"
    ESCALATE = "regulatory due time passed, to the lead pod"
    END = "withdrawn or moot"
    REVERSE = "reversed with its cause, or by a remedy"
    CLOSE = "nothing is left to undo"


def _everywhere(move: Move, **elsewhere: CaseState) -> dict[tuple[CaseState, Move], CaseState]:
    """A move that leaves every open state as it is, but for those named."""
    return {(state, move): elsewhere.get(state.value, state) for state in OPEN}


MOVES: dict[tuple[CaseState, Move], CaseState] = {
    (QUEUED, Move.CLAIM): CLAIMED,
    (CLAIMED, Move.CLAIM): CLAIMED,
    (SECOND, Move.CLAIM): SECOND,
    (CLAIMED, Move.GIVE_BACK): QUEUED,
    (SECOND, Move.GIVE_BACK): SECOND,
    (QUEUED, Move.ASK): AWAITING,  # at intake, where a kind is plainly missing
    (CLAIMED, Move.ASK): AWAITING,
    **_everywhere(Move.SUPPLY),
    **_everywhere(Move.ANSWER, awaiting_evidence=QUEUED),
    **_everywhere(Move.OVERDUE, awaiting_evidence=QUEUED),
    (CLAIMED, Move.HOLD): ON_HOLD,
    (AWAITING, Move.GO_ON): QUEUED,
    (ON_HOLD, Move.GO_ON): QUEUED,
    (CLAIMED, Move.REFER): QUEUED,
    (CLAIMED, Move.PROPOSE): SECOND,
    (SECOND, Move.RETURN): QUEUED,
    (SECOND, Move.DISPUTE): QUEUED,
    (CLAIMED, Move.DECIDE): DECIDED,
    (SECOND, Move.DECIDE): DECIDED,
    (QUEUED, Move.GRANT): DECIDED,
    # A proposal about an older version of the enforcement is none about this one.
    **_everywhere(Move.AMEND, second_review=QUEUED),
    **_everywhere(Move.RECHARGE, claimed=QUEUED, second_review=QUEUED),
    # What is waited for outside, such as a court, does not come sooner for being late.
    **_everywhere(Move.ESCALATE, claimed=QUEUED, awaiting_evidence=QUEUED),
    **{(state, move): DECIDED for state in OPEN for move in (Move.END, Move.REVERSE)},
    (DECIDED, Move.CLOSE): CLOSED,
}


def possible(case: OpenCase, move: Move) -> bool:
    """Whether the case's state allows the move."""
    return (case.state, move) in MOVES


def go(case: OpenCase, move: Move) -> None:
    """Change the state by the table; `ImpossibleMoveError` if it has no such move."""
    state = MOVES.get((case.state, move))
    if state is None:
        raise ImpossibleMoveError(f"case {case.case_id} is {case.state}: it cannot be {move}")
    case.state = state


def mermaid() -> str:
    """The table as a state diagram for the docs."""
    edges: dict[tuple[CaseState, CaseState], list[str]] = {}
    for (state, move), after in MOVES.items():
        edges.setdefault((state, after), []).append(move)
    lines = ["stateDiagram-v2", f"    [*] --> {QUEUED}: opened"]
    lines += [f"    {state} --> {after}: {'<br/>'.join(moves)}" for (state, after), moves in edges.items()]
    return "\n".join([*lines, f"    {CLOSED} --> [*]"])
