"""What comes due is done once, in due order, whenever the engine gets round to it."""

import pytest

from processors import timers
from processors.fold import decode_dossier, encode_dossier, next_due
from schemas.records import EnforcementId, Millis
from schemas.vocabulary import CaseEventKind, CaseState
from tests.unit.builders import (
    DAY,
    HOUR,
    MINUTE,
    T0,
    a_claim,
    a_lift,
    a_profile,
    a_resume,
    after,
    an_appeal,
    an_enforcement,
    decided,
)
from tests.unit.lives import OPEN_STATES, life_in


def test_nothing_is_due_for_a_quiet_user() -> None:
    assert next_due(after(a_profile(), an_enforcement(ends_at=T0 + DAY)).dossier) is None


def test_next_timer_is_the_earliest_of_all() -> None:
    life = after(an_appeal(at=T0, appeal_id="parked", enforcement_id=EnforcementId("e-9")))
    assert next_due(life.dossier) == T0 + 7 * DAY
    life.send(an_enforcement(ends_at=T0 + 3 * DAY))
    life.send(an_appeal())
    assert next_due(life.dossier) == T0 + 3 * DAY
    life.send(a_claim(T0 + 2 * HOUR))
    assert next_due(life.dossier) == T0 + 2 * HOUR + 30 * MINUTE


def test_timer_before_its_time_does_nothing() -> None:
    life = after(an_enforcement(), an_appeal())
    before = encode_dossier(life.dossier)
    assert life.wait_until(T0 + HOUR + 1) == []
    assert encode_dossier(life.dossier) == before


def test_missed_deadline_is_said_once() -> None:
    life = after(an_enforcement(), an_appeal())
    due_at = life.case().due_at
    assert due_at == T0 + HOUR + 28 * DAY
    life.wait_until(due_at - 1)
    assert life.lines(CaseEventKind.DEADLINE_MISSED) == []
    life.wait_until(due_at)
    life.wait_until(due_at + 90 * DAY)
    assert len(life.lines(CaseEventKind.DEADLINE_MISSED)) == 1
    assert life.case().state is CaseState.QUEUED
    assert next_due(life.dossier) is None


def test_much_that_is_due_at_once_is_done_in_due_order() -> None:
    life = after(
        an_enforcement(ends_at=T0 + 20 * DAY, strikes=1),
        an_appeal(),
        an_appeal(appeal_id="parked", enforcement_id=EnforcementId("e-9"), at=T0 + 2 * HOUR),
        a_claim(T0 + 2 * HOUR),
    )
    life.out.clear()
    life.wait_until(T0 + 90 * DAY)
    assert [(line.kind, line.cause_id.split(":")[1]) for line in life.lines()] == [
        (CaseEventKind.CLAIM_EXPIRED, "lease"),
        (CaseEventKind.BAND_RAISED, "promise_warning"),
        (CaseEventKind.PROMISE_MISSED, "promise"),
        (CaseEventKind.APPEAL_REFUSED, "parking"),
        (CaseEventKind.ENFORCEMENT_CHANGED, "expiry"),
        (CaseEventKind.BAND_RAISED, "deadline_warning"),
        (CaseEventKind.DEADLINE_MISSED, "deadline"),
        (CaseEventKind.CASE_ESCALATED, "deadline"),
    ]


def test_case_that_an_earlier_timer_closed_has_no_later_ones() -> None:
    life = after(an_enforcement(ends_at=T0 + DAY), an_appeal())
    life.wait_until(T0 + 90 * DAY)
    assert life.kinds() == [CaseEventKind.CASE_OPENED, CaseEventKind.CASE_DECIDED, CaseEventKind.CASE_CLOSED]


def test_result_does_not_depend_on_whether_the_timer_or_the_next_event_came_first() -> None:
    before = an_enforcement(ends_at=T0 + DAY, strikes=1), an_appeal(at=T0)
    lives = [after(*before) for _ in range(2)]
    lift = a_lift(at=T0 + 40 * DAY)
    lives[0].wait_until(T0 + 40 * DAY)
    for life in lives:
        life.send(lift)
    first, second = ([line.kind for line in life.lines()] for life in lives)
    assert first == second
    assert encode_dossier(lives[0].dossier) == encode_dossier(lives[1].dossier)


@pytest.mark.parametrize("resumed", [False, True])
@pytest.mark.parametrize("state", OPEN_STATES)
def test_next_timer_is_the_earliest_of_those_that_would_fire(state: CaseState, *, resumed: bool) -> None:
    life = life_in(state, ends_at=Millis(T0 + 25 * DAY), strikes=1)
    if resumed and life.case().waiting is not None:  # what was asked for is still asked for
        life.send(a_resume(life.now + 1, version=life.version()))
    for _ in range(20):
        due = next_due(life.dossier)
        found = [item.at for item in timers._all(life.dossier, life)]
        assert due == min(found, default=None)
        if due is None:
            return
        assert due > life.now
        life.wait_until(due)
    pytest.fail("timers without an end")


def test_timers_survive_storage() -> None:
    life = decided()
    due = next_due(life.dossier)
    assert due is not None
    life.dossier = decode_dossier(encode_dossier(life.dossier))
    assert next_due(life.dossier) == due
    life.wait_until(due)
    assert life.orders()[-1].attempt == 2
