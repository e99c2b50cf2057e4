"""Two clocks: the regulatory one never stops, the work one counts the pod's hours and stands still while it waits."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.calendar import Calendar
from processors.fold import encode_dossier, next_due
from processors.rulebook import Rulebook
from schemas.vocabulary import Action, CaseEventKind, CaseState, EvidenceKind
from tests.unit.builders import (
    DAY,
    HOUR,
    MINUTE,
    PACKAGED_SECTIONS,
    RULEBOOK,
    T0,
    Life,
    a_claim,
    a_hold,
    a_referral,
    a_release,
    a_resume,
    a_rulebook,
    a_supply,
    after,
    an_appeal,
    an_enforcement,
    an_evidence_request,
    some_evidence,
)
from tests.unit.lives import T1, claimed

HOURS = {"zone": "Europe/Berlin", "week": {day: ["09:00-17:00"] for day in ("mon", "tue", "wed", "thu", "fri")}}
CALENDAR = Calendar(HOURS["zone"], HOURS["week"])


def with_hours(*holidays: str, **review: Any) -> Rulebook:
    """All pods work office hours, but for the lead pod, which always does."""
    hours = {**HOURS, "holidays": list(holidays)}
    pods = [pod if pod["name"] == "lead" else {**pod, "hours": hours} for pod in PACKAGED_SECTIONS["pods"]]
    sections = {"second_review": None, "evidence": [], "automation": []}
    return a_rulebook(pods=pods, review={**PACKAGED_SECTIONS["review"], **review}, **sections)


def wall_ms(text: str) -> int:
    """UTC ms of a time in Berlin, without summer time."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1000 - HOUR


def opened_at(submitted_at: int, rulebook: Rulebook) -> Life:
    return after(an_enforcement(at=submitted_at - DAY), an_appeal(at=submitted_at), rulebook=rulebook)


def waited(life: Life, since: int, until: int) -> None:
    """Claimed and at once put on hold from then to then, and fired when it is due."""
    life.wait_until(since)
    life.send(a_claim(since, version=life.version()))
    life.send(a_hold(since, version=life.version(), until=until))
    life.wait_until(until)


# --- what is promised -------------------------------------------------------------------------------------------


def test_without_hours_the_promise_is_the_handling_time_after_the_submission() -> None:
    case = claimed().case()
    band = RULEBOOK.tables.band_starts[case.band]
    assert case.promised_at == case.submitted_at + band.handling_ms
    assert case.warn_at == case.submitted_at + band.handling_ms * 3 // 4
    assert case.due_at == case.submitted_at + 28 * DAY


def test_promise_counts_the_working_time_of_the_pod_over_a_weekend() -> None:
    life = opened_at(wall_ms("2026-01-09T16:00"), with_hours())  # a Friday
    case = life.case()
    assert case.handling_ms == 7 * DAY  # 168 hours of work are 21 working days
    assert case.promised_at == wall_ms("2026-02-09T16:00")
    assert case.warn_at == CALENDAR.add(case.submitted_at, 126 * HOUR)


def test_holiday_moves_the_promise_but_not_the_deadline() -> None:
    lives = [opened_at(wall_ms("2026-01-09T16:00"), with_hours(*days)) for days in ((), ("2026-01-12",))]
    plain, later = (life.case() for life in lives)
    assert later.promised_at == plain.promised_at + DAY
    assert later.due_at == plain.due_at


def test_acknowledgement_tells_the_earlier_of_promise_and_deadline() -> None:
    fast = claimed()
    assert fast.notices()[0].decide_by == fast.case().promised_at
    slow = after(an_enforcement(action=Action.WARNING), an_appeal(), rulebook=with_hours())
    assert slow.case().promised_at > slow.case().due_at
    assert slow.notices()[0].decide_by == slow.case().due_at


# --- pauses -----------------------------------------------------------------------------------------------------


def test_pause_adds_exactly_what_was_waited() -> None:
    life = claimed()
    promised, warn, due = life.case().promised_at, life.case().warn_at, life.case().due_at
    life.send(a_hold(T1 + HOUR - 1, until=T1 + 3 * HOUR))  # the claim was renewed by nobody: it ended
    assert life.kinds()[-1] is CaseEventKind.REVIEW_REJECTED
    waited(life, T1 + HOUR, T1 + 5 * HOUR + 7)
    case = life.case()
    assert case.paused_ms == 4 * HOUR + 7
    assert (case.promised_at, case.warn_at) == (promised + 4 * HOUR + 7, warn + 4 * HOUR + 7)
    assert case.due_at == due, "nothing stops the regulatory clock"


def test_pause_of_a_pod_with_hours_adds_the_working_time_waited() -> None:
    life = opened_at(wall_ms("2026-01-09T10:00"), with_hours())
    promised = life.case().promised_at
    waited(life, wall_ms("2026-01-09T16:00"), wall_ms("2026-01-12T11:00"))  # an hour on Friday, two on Monday
    case = life.case()
    assert case.paused_work_ms == 3 * HOUR
    assert case.paused_ms == 2 * DAY + 19 * HOUR
    assert case.promised_at == CALENDAR.add(promised, 3 * HOUR)


@pytest.mark.parametrize("late", [0, HOUR, 10 * DAY])
def test_pause_ends_when_it_was_to_however_late_its_timer_is_fired(late: int) -> None:
    life = claimed()
    life.send(a_hold(T1 + 1, until=T1 + 1 + 2 * HOUR))
    life.wait_until(T1 + 1 + 2 * HOUR + late)
    assert life.case().paused_ms == 2 * HOUR


def test_late_engine_gives_the_same_clocks_as_a_punctual_one() -> None:
    events = (an_enforcement(), an_appeal(), a_claim(T1), an_evidence_request(T1 + 1, due_at=T1 + DAY))
    lives = [after(*events), after(*events)]
    for at in range(T1 + HOUR, T1 + 40 * DAY, 6 * HOUR):
        lives[0].wait_until(at)
    for life in lives:
        life.wait_until(T1 + 40 * DAY)
    assert lives[0].kinds() == lives[1].kinds()
    for life in lives:
        life.dossier.head = b""  # the lines say when they were written
    assert encode_dossier(lives[0].dossier) == encode_dossier(lives[1].dossier)
    assert lives[0].case().paused_ms == DAY - 1


def test_what_a_timer_makes_due_is_done_with_it() -> None:
    """The lead pod has no hours: moved there, the case's promise is over already."""
    life = after(an_enforcement(action=Action.WARNING), an_appeal(), rulebook=with_hours())
    assert life.case().promised_at > life.case().due_at
    life.wait_until(life.case().due_at)
    assert life.kinds()[-1] is CaseEventKind.PROMISE_MISSED
    assert next_due(life.dossier) is None


def test_case_that_waits_is_not_warned_and_misses_no_promise_but_its_deadline() -> None:
    life = claimed(with_hours())
    life.send(a_hold(T1 + 1, until=T1 + 13 * DAY))
    life.wait_until(T1 + 13 * DAY - 1)
    assert life.kinds()[3:] == []
    life = claimed()
    life.case().due_at = T1 + 2 * DAY
    life.send(a_hold(T1 + 1, until=T1 + 13 * DAY))
    life.wait_until(T1 + 13 * DAY - 1)
    assert life.kinds()[3:] == [
        CaseEventKind.BAND_RAISED,
        CaseEventKind.DEADLINE_MISSED,
        CaseEventKind.CASE_ESCALATED,
    ]


# --- the cap ----------------------------------------------------------------------------------------------------


def test_waiting_is_capped_over_several_pauses() -> None:
    life = claimed()
    start = T1 + HOUR
    for n in range(2):
        waited(life, start + 6 * n * DAY, start + (6 * n + 5) * DAY)
    assert life.case().paused_ms == 10 * DAY
    life.send(a_claim(start + 12 * DAY, version=life.version()))
    life.send(a_hold(start + 12 * DAY, version=life.version(), until=start + 20 * DAY))
    [published] = life.on_pods().values()
    assert published.pause is not None
    assert published.pause.until == start + 16 * DAY, "four of fourteen days were left"
    life.wait_until(start + 16 * DAY)
    line = life.lines(CaseEventKind.PAUSE_CAPPED)[0]
    assert (line.saw["paused_ms"], line.state) == (str(14 * DAY), CaseState.QUEUED)
    assert life.case().paused_ms == 14 * DAY
    for event in (a_hold, an_evidence_request):
        life.send(a_claim(life.now + 1, version=life.version()))
        life.send(event(life.now + 1, version=life.version()))
        assert life.lines()[-1].reason == "pause_used_up"


def test_hold_that_ends_where_the_cap_does_was_not_capped() -> None:
    life = claimed()
    life.send(a_hold(T1 + 1, until=T1 + 1 + 14 * DAY))
    life.wait_until(T1 + 1 + 14 * DAY)
    assert not life.lines(CaseEventKind.PAUSE_CAPPED)
    assert life.lines(CaseEventKind.CASE_RESUMED)[0].reason == "waiting_over"


def test_hold_without_an_end_lasts_as_long_as_the_cap() -> None:
    life = claimed()
    life.send(a_hold(T1 + 1))
    assert life.lines(CaseEventKind.CASE_HELD)[0].saw["until"] == str(T1 + 1 + 14 * DAY)
    life.wait_until(T1 + 1 + 14 * DAY)
    assert len(life.lines(CaseEventKind.PAUSE_CAPPED)) == 1
    assert life.case().state is CaseState.QUEUED


def test_evidence_that_is_awaited_beyond_the_cap_is_still_awaited_after_it() -> None:
    life = claimed()
    life.send(an_evidence_request(T1 + 1, due_at=T1 + 20 * DAY))
    life.wait_until(T1 + 1 + 14 * DAY)
    assert life.kinds()[-1] is CaseEventKind.PAUSE_CAPPED
    assert (life.case().state, len(life.case().requests)) == (CaseState.QUEUED, 1)
    life.wait_until(T1 + 20 * DAY)
    assert CaseEventKind.EVIDENCE_OVERDUE in life.kinds()
    assert life.case().waived == [EvidenceKind.LICENCE]


# --- the rank never gets later ----------------------------------------------------------------------------------


def test_no_way_of_handing_a_case_back_moves_its_rank() -> None:
    life = claimed()
    rank = life.case().rank_at
    steps = [
        a_release(T1 + 1),
        a_claim(T1 + 2, version=3),
        a_referral(T1 + 3, version=4),
        a_claim(T1 + 4, version=5),
        a_hold(T1 + 5, version=6),
        a_resume(T1 + 6, version=7),
        a_claim(T1 + 7, version=8),
        an_evidence_request(T1 + 8, version=9),
        a_supply(T1 + 9, some_evidence("y-1", EvidenceKind.LICENCE)),
        a_claim(T1 + 10, version=11),
    ]
    for step in steps:
        life.send(step)
        assert life.case().rank_at == rank
    assert CaseEventKind.REVIEW_REJECTED not in life.kinds()
    life.wait_until(T1 + 10 + 30 * MINUTE)
    assert life.kinds()[-1] is CaseEventKind.CLAIM_EXPIRED
    assert {case.rank_at for case in life.published()} == {rank}


@given(waits=st.lists(st.tuples(st.integers(0, 3 * DAY), st.integers(1, 6 * DAY)), max_size=8))
@settings(max_examples=60, deadline=None)
def test_any_waiting_is_added_in_working_time_up_to_the_cap(waits: list[tuple[int, int]]) -> None:
    rulebook = with_hours(deadline="400d", pause_cap="9d")
    life = opened_at(T0, rulebook)
    submitted, whole, total, at = life.case().submitted_at, life.case().handling_ms, 0, T0
    rank, worked = life.case().rank_at, 0
    for gap, wait in waits:
        at += gap
        life.send(a_claim(at, version=life.version()))
        life.send(a_hold(at, version=life.version(), until=at + wait))
        if life.lines()[-1].reason == "pause_used_up":
            assert total == 9 * DAY
            at = life.now + HOUR
            life.wait_until(at)
            continue
        end = min(at + wait, at + 9 * DAY - total)
        life.wait_until(at + wait)
        total, worked, at = total + end - at, worked + CALENDAR.between(at, end), at + wait
        case = life.case()
        assert (case.paused_ms, case.paused_work_ms) == (total, worked)
        assert case.promised_at == CALENDAR.add(submitted, whole + worked)
        assert case.rank_at <= rank
        rank = case.rank_at
    assert life.case().paused_ms <= 9 * DAY


def test_hours_of_a_pod_are_part_of_the_digest() -> None:
    assert with_hours().digest != with_hours("2026-01-12").digest != RULEBOOK.digest
