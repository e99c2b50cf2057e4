"""As time runs out the band rises once for each clock, the breach is counted once, and the lead pod takes over."""

from typing import Any

import pytest

from processors.clocks import due_warning_at
from schemas.records import Millis
from schemas.vocabulary import (
    Action,
    AppealFlag,
    Band,
    CaseEventKind,
    CaseState,
    Ground,
    NoticeKind,
    Outcome,
    Redress,
)
from tests.unit.builders import (
    DAY,
    HOUR,
    MINUTE,
    RULEBOOK,
    T0,
    Life,
    a_claim,
    a_decision,
    a_rulebook,
    after,
    an_amendment,
    an_appeal,
    an_enforcement,
    an_evidence_request,
)
from tests.unit.lives import OPEN_STATES, life_in, opened

BANDS = [band for band in Band if band is not Band.UNKNOWN]
NO_LEAD = a_rulebook(review={"lease": "30min", "deadline": "28d"}, second_review=None, evidence=[], automation=[])


def above(band: Band) -> Band:
    return BANDS[BANDS.index(band) - 1]


@pytest.mark.parametrize("action", [Action.WARNING, Action.SUSPENSION])
def test_most_of_the_promised_time_raises_the_band_once_and_the_rank_never_goes_back(action: Action) -> None:
    life = after(an_enforcement(action=action), an_appeal())
    before = life.on_pods().popitem()[1]
    warn_at = life.case().warn_at
    life.wait_until(warn_at - 1)
    assert life.lines(CaseEventKind.BAND_RAISED) == []
    life.wait_until(warn_at)
    life.wait_until(warn_at + MINUTE)
    [line] = life.lines(CaseEventKind.BAND_RAISED)
    after_it = life.on_pods().popitem()[1]
    assert (line.reason, line.band, line.saw["from"]) == ("work", above(before.band), before.band)
    assert (after_it.band, after_it.version) == (above(before.band), before.version)
    assert line.saw["rank_at"] == str(after_it.rank_at)
    higher = RULEBOOK.tables.band_starts[above(before.band)]
    assert after_it.rank_at == min(before.rank_at, before.promised_at - higher.handling_ms)
    assert after_it.rank_at <= before.rank_at
    assert after_it.promised_at == before.promised_at, "a promise is kept, not renewed"


def test_most_of_the_regulatory_time_raises_it_once_more() -> None:
    life = after(an_enforcement(action=Action.WARNING), an_appeal())
    case = life.case()
    start = case.band
    at = due_warning_at(case, 0.75)
    assert at == case.submitted_at + 21 * DAY
    life.wait_until(at - 1)
    rank = life.case().rank_at
    life.wait_until(at)
    life.wait_until(case.due_at - 1)
    assert [line.reason for line in life.lines(CaseEventKind.BAND_RAISED)] == ["work", "regulatory"]
    assert life.case().band is above(above(start))
    assert life.case().rank_at <= rank


def test_highest_band_stays_where_it_is() -> None:
    life = after(an_enforcement(), an_appeal(flags=[AppealFlag.LEGAL_ORDER]))
    version = life.version()
    life.wait_until(life.case().due_at - 1)
    assert life.kinds()[1:] == [CaseEventKind.PROMISE_MISSED]
    assert (life.case().band, life.version()) == (Band.P0, version)


def test_case_that_is_raised_to_the_highest_band_is_not_raised_further() -> None:
    life = opened()
    life.case().band = Band.P1
    life.wait_until(life.case().due_at - 1)
    assert [line.band for line in life.lines(CaseEventKind.BAND_RAISED)] == [Band.P0]


def test_missed_promise_is_counted_once_even_if_the_case_waits_afterwards() -> None:
    life = opened()
    promised = life.case().promised_at
    life.wait_until(promised - 1)
    assert life.lines(CaseEventKind.PROMISE_MISSED) == []
    life.wait_until(promised)
    [line] = life.lines(CaseEventKind.PROMISE_MISSED)
    assert (line.saw["promised_at"], line.saw["paused_ms"]) == (str(promised), "0")
    life.send(a_claim(promised + 1, version=life.version()))
    life.send(an_evidence_request(promised + 2, version=life.version(), due_at=promised + DAY))
    life.wait_until(promised + 5 * DAY)
    assert life.case().promised_at > promised
    assert len(life.lines(CaseEventKind.PROMISE_MISSED)) == 1


def overdue(life: Life) -> Life:
    life.wait_until(life.case().due_at)
    return life


def brought_forward(life: Life, due_at: int) -> Life:
    """As if the case were due then."""
    life.case().due_at = life.dossier.due = Millis(due_at)
    return life


def test_deadline_is_counted_told_and_the_lead_pod_takes_the_case() -> None:
    life = opened()
    pod, due_at = life.case().pod, life.case().due_at
    overdue(life)
    [missed] = life.lines(CaseEventKind.DEADLINE_MISSED)
    [line] = life.lines(CaseEventKind.CASE_ESCALATED)
    assert (missed.pod, missed.saw["due_at"], line.pod, line.saw["from"]) == (pod, str(due_at), "lead", pod)
    assert "claim_dropped" not in line.saw
    [((topic, _), case)] = life.on_pods().items()
    assert (topic, case.escalated, case.routing.rule) == ("cases.lead", True, "overdue")
    [notice] = life.notices(NoticeKind.DELAYED)
    assert (notice.template, notice.case_id) == ("case.delayed", case.case_id)
    assert notice.redress == [Redress.OUT_OF_COURT_SETTLEMENT, Redress.COURT]
    life.wait_until(due_at + 90 * DAY)
    assert len(life.notices(NoticeKind.DELAYED)) == 1


@pytest.mark.parametrize("state", OPEN_STATES)
def test_deadline_leads_on_from_every_state_and_only_a_hold_goes_on(state: CaseState) -> None:
    life = life_in(state)
    case = life.case()
    proposal = case.proposal
    overdue(brought_forward(life, life.now + 10 * MINUTE))
    on = state if state in (CaseState.ON_HOLD, CaseState.SECOND_REVIEW) else CaseState.QUEUED
    assert (case.state, case.pod, case.lease) == (on, "lead", None)
    assert (case.waiting is not None) is (state is CaseState.ON_HOLD)
    assert case.proposal == proposal
    [line] = life.lines(CaseEventKind.CASE_ESCALATED)
    assert line.saw.get("claim_dropped") == ("r-1" if state is CaseState.CLAIMED else None)
    if state is CaseState.AWAITING_EVIDENCE:
        assert case.paused_ms == 10 * MINUTE
        assert len(case.requests) == 1, "it may still come"


def test_second_look_that_is_overdue_goes_on_at_the_lead_pod() -> None:
    life = life_in(CaseState.SECOND_REVIEW)
    brought_forward(life, life.now + MINUTE)
    life.send(a_claim(life.now, actor="r-2", version=life.version()))
    overdue(life)
    assert life.lines(CaseEventKind.CASE_ESCALATED)[0].saw["claim_dropped"] == "r-2"
    life.send(a_claim(life.now + 1, actor="r-3", version=life.version()))
    assert life.case().lease is not None


def test_without_a_lead_pod_it_stays_where_it_is() -> None:
    life = after(an_enforcement(), an_appeal(), rulebook=NO_LEAD)
    pod = life.case().pod
    overdue(life)
    assert (life.case().pod, life.case().escalated) == (pod, True)
    assert {topic for topic, _ in life.on_pods()} == {f"cases.{pod}"}
    assert life.lines(CaseEventKind.CASE_ESCALATED)[0].saw == {"from": pod}
    assert len(life.notices(NoticeKind.DELAYED)) == 1


def test_case_that_is_with_the_lead_pod_already_is_not_taken_off_its_topic() -> None:
    life = overdue(opened())
    life.case().overdue = False
    brought_forward(life, life.now + 1)
    life.out.clear()
    overdue(life)
    assert [e.record is None for e in life.out if e.topic.startswith("cases.")] == [False]


def test_overdue_case_is_decided_like_any_other() -> None:
    life = overdue(opened())
    life.send(a_claim(life.now + 1, version=life.version()))
    life.send(a_decision(life.now + 2, Outcome.UPHELD, version=life.version()))
    assert life.lines(CaseEventKind.CASE_DECIDED)[0].pod == "lead"


# --- what time has raised stays raised --------------------------------------------------------------------------

CHANGES: list[dict[str, Any]] = [
    {"ground": Ground.DECISION_GROUND_ILLEGAL_CONTENT},
    {"policy": "other", "action": Action.WARNING},
]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("days", [6, 22])
def test_band_that_time_has_raised_is_not_lost_when_the_case_is_ranked_afresh(
    change: dict[str, Any], days: int
) -> None:
    raised, never = (after(an_enforcement(), an_appeal()) for _ in range(2))
    raised.wait_until(T0 + HOUR + days * DAY)
    times = len(raised.lines(CaseEventKind.BAND_RAISED))
    assert times == (1 if days < 21 else 2)
    for life in (raised, never):
        life.send(an_amendment(at=T0 + HOUR, **change))
    expected = never.case().band
    for _ in range(times):
        expected = above(expected)
    assert raised.case().band is expected
    assert raised.case().rank_at <= never.case().rank_at
    assert len(raised.lines(CaseEventKind.BAND_RAISED)) == times, "nothing new is told"


def test_overdue_case_stays_with_the_lead_pod_when_it_is_triaged_again() -> None:
    life = overdue(opened())
    life.send(an_amendment(at=life.now + 1, action=Action.FEE))
    life.send(an_appeal(at=life.now + 2, appeal_id="a-2", flags=[AppealFlag.LEGAL_ORDER]))
    assert (life.case().pod, life.case().rule) == ("lead", "overdue")
    assert {topic for topic, _ in life.on_pods()} == {"cases.lead"}
    assert not life.lines(CaseEventKind.CASE_REROUTED)
