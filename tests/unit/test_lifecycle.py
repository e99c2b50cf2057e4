"""A case moves by the table alone: what can come, comes in every open state; what cannot, raises."""

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import processors
from processors import lifecycle
from processors.errors import ImpossibleMoveError
from processors.fold import encode_dossier
from processors.lifecycle import MOVES, OPEN, Move, go, mermaid, possible
from schemas.records import InputRecord, Millis
from schemas.vocabulary import AppealFlag, CaseEventKind, CaseState, EvidenceKind, Ground, NoticeKind, Outcome
from tests.unit.builders import (
    DAY,
    HOUR,
    MINUTE,
    T0,
    Life,
    a_lift,
    a_supply,
    a_withdrawal,
    an_amendment,
    an_appeal,
    some_evidence,
)
from tests.unit.checkers import check_all
from tests.unit.lives import OPEN_STATES, T1, life_in, opened

T2 = T1 + HOUR
RECHARGED = {"ground": Ground.DECISION_GROUND_ILLEGAL_CONTENT}

FROM_OUTSIDE = (Move.SUPPLY, Move.ANSWER, Move.OVERDUE, Move.AMEND, Move.RECHARGE, Move.ESCALATE, Move.END)
"""What nobody at a pod decides on, so that no state may lack it."""


def test_open_states_are_those_that_are_neither_decided_nor_closed() -> None:
    assert set(OPEN) == set(CaseState) - {CaseState.UNKNOWN, CaseState.DECIDED, CaseState.CLOSED}
    assert OPEN == OPEN_STATES


@pytest.mark.parametrize("state", OPEN)
@pytest.mark.parametrize("move", FROM_OUTSIDE)
def test_table_is_total_over_open_states_for_what_comes_from_outside(state: CaseState, move: Move) -> None:
    assert (state, move) in MOVES


def test_every_move_is_in_the_table() -> None:
    assert {move for _, move in MOVES} == set(Move)


def test_every_state_is_reachable_from_the_beginning() -> None:
    reached = {CaseState.QUEUED}
    while more := {after for (state, _), after in MOVES.items() if state in reached} - reached:
        reached |= more
    assert reached == set(CaseState) - {CaseState.UNKNOWN}


def test_every_open_state_can_end_and_what_has_ended_never_opens_again() -> None:
    for state in OPEN:
        assert MOVES[state, Move.END] is CaseState.DECIDED
    assert {after for (state, _), after in MOVES.items() if state not in OPEN} == {CaseState.CLOSED}
    assert not [move for (state, move) in MOVES if state is CaseState.CLOSED]


@pytest.mark.parametrize("state", [state for state in CaseState if state is not CaseState.UNKNOWN])
@pytest.mark.parametrize("move", Move)
def test_go_follows_the_table_and_raises_for_everything_else(state: CaseState, move: Move) -> None:
    case = opened().case()
    case.state = state
    assert possible(case, move) is ((state, move) in MOVES)
    if possible(case, move):
        go(case, move)
        assert case.state is MOVES[state, move]
    else:
        with pytest.raises(ImpossibleMoveError, match=f"is {state}: it cannot be {move}"):
            go(case, move)
        assert case.state is state


def test_diagram_names_every_move_between_the_states_that_it_joins() -> None:
    text = mermaid()
    assert text.startswith("stateDiagram-v2\n    [*] --> queued: opened\n")
    assert text.endswith("\n    closed --> [*]")
    edges = dict(line.strip().split(": ", 1) for line in text.splitlines() if ": " in line)
    for (state, move), after in MOVES.items():
        assert move in edges[f"{state} --> {after}"].split("<br/>")
    assert sum(len(moves.split("<br/>")) for moves in edges.values()) == len(MOVES) + 1


def _writes_state(path: Path) -> list[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [
        f"{path.name}:{node.lineno}"
        for node in ast.walk(tree)
        if (isinstance(node, ast.Attribute) and node.attr == "state" and not isinstance(node.ctx, ast.Load))
        or (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "setattr")
        or (isinstance(node, ast.Call) and ast.unparse(node.func) == "OpenCase" and _gives_state(node))
    ]


def _gives_state(call: ast.Call) -> bool:
    return any(keyword.arg in ("state", None) for keyword in call.keywords)


def test_no_other_module_writes_the_state_of_a_case() -> None:
    found = {path.name: _writes_state(path) for path in Path(processors.__file__).parent.glob("*.py")}
    assert found.pop(Path(lifecycle.__file__).name), "the search finds nothing at all"
    assert [place for places in found.values() for place in places] == []


# --- what comes from outside, in every open state -----------------------------------------------------------

Outside = Callable[[], InputRecord]
OUTSIDE: dict[str, Outside] = {
    "evidence of the appellant": lambda: a_supply(T2, some_evidence("y-1", EvidenceKind.LICENCE)),
    "another statement": lambda: an_appeal(at=T2, appeal_id="a-2", flags=[AppealFlag.LEGAL_ORDER]),
    "amended": lambda: an_amendment(at=T2),
    "amended, charging something else": lambda: an_amendment(at=T2, **RECHARGED),
    "lifted": lambda: a_lift(at=T2),
    "withdrawn": lambda: a_withdrawal(at=T2),
}


@pytest.mark.parametrize("state", OPEN)
@pytest.mark.parametrize("what", OUTSIDE)
def test_whatever_comes_from_outside_is_taken_in_every_open_state(state: CaseState, what: str) -> None:
    life = life_in(state)
    life.send(OUTSIDE[what]())
    appeals = {"a-1", "a-2"} if what == "another statement" else {"a-1"}
    check_all(life, appeals)
    life.wait_until(T0 + 90 * DAY)
    check_all(life, appeals)


@pytest.mark.parametrize("state", OPEN)
def test_case_waits_exactly_in_the_states_of_waiting(state: CaseState) -> None:
    case = life_in(state).case()
    assert (case.waiting is not None) is (state in (CaseState.AWAITING_EVIDENCE, CaseState.ON_HOLD))
    assert (case.proposal is not None) is (state is CaseState.SECOND_REVIEW)
    assert (case.lease is not None) is (state is CaseState.CLAIMED)


def _ended(life: Life, outcome: Outcome, reason: str | None) -> None:
    """Decided once, closed, off its pod, the user told, and nothing is due any more."""
    [line] = life.lines(CaseEventKind.CASE_DECIDED)
    assert (line.outcome, line.state, line.reason, line.actor) == (outcome, CaseState.DECIDED, reason, None)
    [closed] = life.lines(CaseEventKind.CASE_CLOSED)
    assert (closed.state, closed.seq) == (CaseState.CLOSED, line.seq + 1)
    assert life.on_pods() == {}
    assert life.case_count() == 0
    assert life.dossier.due is None
    [notice] = life.notices(NoticeKind.DECIDED)
    assert (notice.outcome, notice.template) == (outcome, f"case.decided.{outcome}")
    assert notice.reasons == ([] if reason is None else [reason])
    assert (notice.policy, notice.action, notice.statement_of_reasons_id) == ("counterfeit", "suspension", "sor-1")


@pytest.mark.parametrize("state", OPEN)
def test_withdrawal_ends_a_case_in_every_open_state(state: CaseState) -> None:
    life = life_in(state)
    life.send(a_withdrawal(at=T2))
    _ended(life, Outcome.WITHDRAWN, None)


@pytest.mark.parametrize("state", OPEN)
def test_lift_makes_a_case_moot_in_every_open_state(state: CaseState) -> None:
    life = life_in(state)
    life.send(a_lift(at=T2))
    _ended(life, Outcome.MOOT, "lifted")


@pytest.mark.parametrize("state", OPEN)
def test_end_of_the_enforcement_makes_a_case_moot_in_every_open_state(state: CaseState) -> None:
    life = life_in(state, ends_at=Millis(T1 + 10 * MINUTE))
    life.wait_until(T1 + 10 * MINUTE)
    _ended(life, Outcome.MOOT, "expired")


@pytest.mark.parametrize("state", OPEN)
def test_lift_that_leaves_a_strike_changes_nothing_but_says_so(state: CaseState) -> None:
    life = life_in(state, strikes=1)
    before = life.on_pods()
    life.send(a_lift(at=T1 + 2 * MINUTE))
    assert life.lines()[-1].reason == "lifted_with_remains"
    assert life.case().state is state
    assert life.on_pods() == before


@pytest.mark.parametrize("change", [{}, RECHARGED], ids=["amended", "recharged"])
@pytest.mark.parametrize("state", OPEN)
def test_amendment_is_told_and_leads_where_the_table_says(state: CaseState, change: dict[str, Any]) -> None:
    life = life_in(state)
    waiting = life.case().waiting
    life.send(an_amendment(at=T1 + 2 * MINUTE, **change))
    case = life.case()
    recharged = bool(change)
    assert case.state is MOVES[state, Move.RECHARGE if recharged else Move.AMEND]
    assert case.waiting == waiting, "the work clock has nothing to do with it"
    assert (case.lease is not None) is (state is CaseState.CLAIMED and not recharged)
    assert case.proposal is None
    [line] = life.lines(CaseEventKind.ENFORCEMENT_CHANGED)
    assert line.reason == ("charge_changed" if recharged else "amended")
    assert ("claim_dropped" in line.saw) is (state is CaseState.CLAIMED and recharged)
    assert ("proposal_dropped" in line.saw) is (state is CaseState.SECOND_REVIEW)
    [notice] = life.notices(NoticeKind.ENFORCEMENT_CHANGED)
    assert notice.reasons == [line.reason]
    assert notice.decide_by == min(case.promised_at, case.due_at)
    [published] = life.on_pods().values()
    assert published.enforcement.version == 2
    assert published.enforcement_changed


def test_no_state_makes_a_dossier_much_larger() -> None:
    sizes = {state: len(encode_dossier(life_in(state).dossier)) for state in OPEN}
    assert max(sizes.values()) < 2 * sizes[CaseState.QUEUED]
