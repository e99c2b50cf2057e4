"""A case waits for evidence or for something outside; whoever is asked may answer, and then it goes on."""

from typing import Any

import pytest

from processors.errors import UnknownSymbolError
from processors.growth import MAX_EXHIBITS, MAX_REQUESTS
from processors.rulebook import Rulebook
from schemas.records import InputRecord
from schemas.vocabulary import (
    AppealFlag,
    Band,
    CaseEventKind,
    CaseState,
    EvidenceKind,
    EvidenceSupplier,
    HoldReason,
    NoticeKind,
    Outcome,
)
from tests.unit.builders import (
    DAY,
    HOUR,
    MINUTE,
    T0,
    Life,
    a_claim,
    a_decision,
    a_hold,
    a_lift,
    a_resume,
    a_rulebook,
    a_supply,
    after,
    an_amendment,
    an_appeal,
    an_enforcement,
    an_evidence_request,
    some_evidence,
)
from tests.unit.lives import OPEN_STATES, T1, claimed, life_in, opened

LICENCE, ORDER, PASSPORT = EvidenceKind.LICENCE, EvidenceKind.COURT_ORDER, EvidenceKind.IDENTITY_DOCUMENT
ASKS = a_rulebook(
    second_review=None,
    automation=[],
    evidence=[
        {
            "name": "identity",
            "needs": [
                {"kinds": ["identity_document"], "supplier": "appellant", "ask": True},
                {"kinds": ["licence"], "supplier": "appellant", "ask": True, "at_least": 2},
                {"kinds": ["notice"], "supplier": "enforcement"},
            ],
        }
    ],
)


def a_licence(name: str = "y-1") -> Any:
    return some_evidence(name, LICENCE)


def a_passport(name: str = "y-9") -> Any:
    return some_evidence(name, PASSPORT)


# --- asked at intake --------------------------------------------------------------------------------------------


def asked(rulebook: Rulebook = ASKS, **appeal: Any) -> Life:
    return after(an_enforcement(), an_appeal(**appeal), rulebook=rulebook)


def test_appellant_is_asked_at_intake_for_what_is_plainly_missing() -> None:
    life = asked()
    first, second = life.lines(CaseEventKind.EVIDENCE_REQUESTED)
    assert (first.saw["kinds"], first.saw["at_least"], first.reason) == ("identity_document", "1", "asked_at_intake")
    assert (second.saw["kinds"], second.saw["at_least"], second.actor) == ("licence", "2", None)
    assert first.saw["request_id"] != second.saw["request_id"]
    notices = life.notices(NoticeKind.EVIDENCE_REQUESTED)
    assert [n.evidence_kinds for n in notices] == [[PASSPORT], [LICENCE]]
    assert {n.evidence_due_at for n in notices} == {T0 + HOUR + 7 * DAY}
    assert {n.template for n in notices} == {"case.evidence_requested"}


def test_case_waits_for_it_and_its_work_clock_stands_still() -> None:
    life = asked()
    [case] = life.published()
    assert (case.state, len(case.requests)) == (CaseState.AWAITING_EVIDENCE, 2)
    assert case.pause is not None
    assert (case.pause.since, case.pause.until) == (T0 + HOUR, T0 + HOUR + 7 * DAY)
    promised = case.promised_at
    life.send(a_supply(T0 + DAY + HOUR, a_licence("y-1"), a_licence("y-2"), a_passport()))
    assert life.case().promised_at == promised + DAY
    assert life.case().state is CaseState.QUEUED


def test_most_urgent_case_is_asked_too_but_does_not_wait() -> None:
    life = asked(flags=[AppealFlag.LEGAL_ORDER])
    case = life.case()
    assert (case.band, case.state, case.waiting, len(case.requests)) == (Band.P0, CaseState.QUEUED, None, 2)
    assert len(life.notices(NoticeKind.EVIDENCE_REQUESTED)) == 2
    life.send(a_supply(T1, a_licence("y-1"), a_licence("y-2"), a_passport()))
    assert (case.state, case.requests) == (CaseState.QUEUED, [])


def test_what_came_with_the_appeal_is_not_asked_for() -> None:
    life = asked(evidence=[a_passport(), a_licence()])
    [line] = life.lines(CaseEventKind.EVIDENCE_REQUESTED)
    assert (line.saw["kinds"], line.saw["at_least"]) == ("licence", "1")
    complete = asked(evidence=[a_passport(), a_licence("y-1"), a_licence("y-2")])
    assert complete.case().state is CaseState.QUEUED
    assert not complete.notices(NoticeKind.EVIDENCE_REQUESTED)


def test_same_request_has_the_same_id_on_every_run() -> None:
    names = {asked().lines(CaseEventKind.EVIDENCE_REQUESTED)[0].saw["request_id"] for _ in range(2)}
    assert len(names) == 1


def test_nobody_is_asked_for_anything_in_a_case_that_is_moot_at_once() -> None:
    parked = after(an_appeal(at=T0), rulebook=ASKS)
    parked.send(a_lift(at=T0 + MINUTE))
    parked.send(an_enforcement(at=T0 - DAY))
    assert parked.lines(CaseEventKind.CASE_DECIDED)[0].outcome is Outcome.MOOT
    assert not parked.notices(NoticeKind.EVIDENCE_REQUESTED)


# --- asked by a reviewer ----------------------------------------------------------------------------------------


def requested(**change: Any) -> Life:
    life = claimed()
    life.send(an_evidence_request(T1 + MINUTE, **change))
    return life


def test_holder_asks_lets_go_and_the_case_waits_with_a_deadline() -> None:
    life = requested(kinds=[LICENCE, ORDER, LICENCE], at_least=2)
    case = life.on_pods().popitem()[1]
    assert (case.state, case.claim, case.version) == (CaseState.AWAITING_EVIDENCE, None, 3)
    [request] = case.requests
    assert (request.kinds, request.at_least, request.note_ref) == ([LICENCE, ORDER], 2, "s3://note/1")
    assert (request.requested_at, request.due_at) == (T1 + MINUTE, T1 + MINUTE + 7 * DAY)
    [line] = life.lines(CaseEventKind.EVIDENCE_REQUESTED)
    assert (line.actor, line.reason, line.saw["supplier"]) == ("r-1", None, "appellant")
    [notice] = life.notices(NoticeKind.EVIDENCE_REQUESTED)
    assert (notice.evidence_kinds, notice.evidence_due_at) == ([LICENCE, ORDER], request.due_at)
    assert notice.reasons_ref == "s3://note/1"


def test_holder_may_set_the_deadline() -> None:
    assert requested(due_at=T1 + DAY).case().requests[0].due_at == T1 + DAY


def test_enforcing_side_is_asked_without_a_word_to_the_appellant() -> None:
    life = requested(supplier=EvidenceSupplier.ENFORCEMENT)
    assert not life.notices(NoticeKind.EVIDENCE_REQUESTED)
    assert life.case().state is CaseState.AWAITING_EVIDENCE


def test_request_delivered_again_is_silent() -> None:
    life = claimed()
    event = an_evidence_request(T1 + 1)
    assert life.send(event)
    assert life.send(event) == []


@pytest.mark.parametrize(
    "event",
    [
        an_evidence_request(T1 + 1, supplier=EvidenceSupplier.UNKNOWN),
        an_evidence_request(T1 + 1, kinds=[LICENCE, EvidenceKind.UNKNOWN]),
        a_supply(T1 + 1, a_licence(), supplier=EvidenceSupplier.UNKNOWN),
    ],
    ids=["asked of whom", "asked for what", "supplied by whom"],
)
def test_symbol_of_a_newer_version_is_a_dead_letter(event: InputRecord) -> None:
    with pytest.raises(UnknownSymbolError):
        claimed().send(event)


def test_requests_are_of_a_bounded_number() -> None:
    life = claimed()
    for n in range(MAX_REQUESTS):
        life.send(an_evidence_request(T1 + n, version=life.version()))
        life.send(a_resume(T1 + n, version=life.version()))
        life.send(a_claim(T1 + n, version=life.version()))
    assert len(life.case().requests) == MAX_REQUESTS
    life.send(an_evidence_request(T1 + MINUTE, version=life.version()))
    assert life.lines()[-1].reason == "pause_used_up"
    assert len(life.case().requests) == MAX_REQUESTS


# --- supplied ---------------------------------------------------------------------------------------------------


def test_appellant_supplies_without_knowing_a_version() -> None:
    life = requested()
    life.send(a_supply(T1 + HOUR, a_licence()))
    case = life.on_pods().popitem()[1]
    assert (case.state, case.pause, case.requests, case.version) == (CaseState.QUEUED, None, [], 4)
    assert [(x.evidence_id, x.supplied_by) for x in case.evidence] == [
        ("x-1", EvidenceSupplier.ENFORCEMENT),
        ("y-1", EvidenceSupplier.APPELLANT),
    ]
    [line] = life.lines(CaseEventKind.EVIDENCE_SUPPLIED)
    assert (line.saw["evidence"], line.saw["supplier"], line.saw["still_asked"]) == ("y-1", "appellant", "0")
    [notice] = life.notices(NoticeKind.EVIDENCE_RECEIVED)
    assert (notice.template, notice.decide_by) == ("case.evidence_received", case.promised_at)


@pytest.mark.parametrize("state", OPEN_STATES)
def test_appellant_may_supply_in_every_open_state_and_only_waiting_for_it_ends(state: CaseState) -> None:
    life = life_in(state)
    before = life.case().waiting
    life.send(a_supply(T1 + HOUR // 3, a_licence()))
    case = life.case()
    assert case.evidence[-1].evidence_id == "y-1"
    awaited = state is CaseState.AWAITING_EVIDENCE
    assert case.state is (CaseState.QUEUED if awaited else state)
    assert case.waiting == (None if awaited else before)


def test_appellant_who_names_a_version_must_name_the_right_one() -> None:
    life = requested()
    life.send(a_supply(T1 + HOUR, a_licence(), version=1))
    assert life.lines()[-1].reason == "stale_version"
    life.send(a_supply(T1 + HOUR, a_licence(), version=3))
    assert life.kinds()[-1] is CaseEventKind.EVIDENCE_SUPPLIED


@pytest.mark.parametrize(("version", "reason"), [(None, "stale_version"), (2, "stale_version"), (3, None)])
def test_specialist_supplies_only_with_the_right_version(version: int | None, reason: str | None) -> None:
    life = requested(supplier=EvidenceSupplier.SPECIALIST)
    by = {"actor": "r-5", "supplier": EvidenceSupplier.SPECIALIST}
    life.send(a_supply(T1 + HOUR, a_licence(), version=version, **by))
    assert life.lines()[-1].reason == reason
    assert life.case().state is (CaseState.AWAITING_EVIDENCE if reason else CaseState.QUEUED)
    assert not life.notices(NoticeKind.EVIDENCE_RECEIVED), "the appellant has sent nothing"


def test_original_decider_supplies_nothing_as_a_specialist_but_may_for_the_enforcing_side() -> None:
    life = requested()
    life.send(a_supply(T1 + 2 * MINUTE, a_licence(), actor="r-9", version=3, supplier=EvidenceSupplier.SPECIALIST))
    assert life.lines()[-1].reason == "reviewer_excluded"
    life.send(a_supply(T1 + 2 * MINUTE, a_licence(), actor="r-9", supplier=EvidenceSupplier.ENFORCEMENT))
    assert life.case().evidence[-1].supplier is EvidenceSupplier.ENFORCEMENT


def test_request_is_answered_only_by_whom_it_was_made_to() -> None:
    life = requested()
    life.send(a_supply(T1 + HOUR, a_licence(), supplier=EvidenceSupplier.ENFORCEMENT))
    assert (life.case().state, len(life.case().requests)) == (CaseState.AWAITING_EVIDENCE, 1)
    life.send(a_supply(T1 + HOUR, a_licence("y-2")))
    assert life.case().state is CaseState.QUEUED


def test_partly_supplied_request_asks_for_what_is_left() -> None:
    life = requested(at_least=3, kinds=[LICENCE, ORDER])
    life.send(a_supply(T1 + HOUR, a_licence(), some_evidence("z-1")))
    [request] = life.case().requests
    assert (request.at_least, request.due_at) == (2, T1 + MINUTE + 7 * DAY)
    assert life.case().state is CaseState.AWAITING_EVIDENCE
    life.send(a_supply(T1 + 2 * HOUR, a_licence("y-2"), some_evidence("y-3", ORDER)))
    assert (life.case().state, life.case().requests) == (CaseState.QUEUED, [])


def test_case_waits_until_all_that_was_asked_for_is_there() -> None:
    life = asked()
    life.send(a_supply(T1, a_licence("y-1"), a_licence("y-2")))
    assert (life.case().state, len(life.case().requests)) == (CaseState.AWAITING_EVIDENCE, 1)
    assert life.lines()[-1].saw["still_asked"] == "1"
    life.send(a_supply(T1 + 1, a_passport()))
    assert life.case().state is CaseState.QUEUED


def test_evidence_that_comes_with_another_statement_answers_the_request() -> None:
    life = requested()
    life.send(an_appeal(at=T1 + HOUR, appeal_id="a-2", evidence=[a_licence()]))
    case = life.on_pods().popitem()[1]
    assert (case.state, case.pause, case.requests) == (CaseState.QUEUED, None, [])
    assert life.case().paused_ms == HOUR - MINUTE
    life.wait_until(T1 + 9 * DAY)
    assert not life.lines(CaseEventKind.EVIDENCE_OVERDUE)
    assert life.case().waived == []


def test_evidence_of_an_amendment_answers_what_the_enforcing_side_was_asked_for() -> None:
    life = requested(supplier=EvidenceSupplier.ENFORCEMENT)
    life.send(an_amendment(at=T1 + HOUR, evidence=[a_licence()]))
    case = life.on_pods().popitem()[1]
    assert (case.state, case.pause, case.requests) == (CaseState.QUEUED, None, [])


def test_evidence_delivered_again_is_silent_and_known_evidence_is_nothing_new() -> None:
    life = requested()
    event = a_supply(T1 + HOUR, a_licence())
    assert life.send(event)
    assert life.send(event) == []
    life.send(a_supply(T1 + 2 * HOUR, a_licence()))
    assert life.lines()[-1].reason == "nothing_new"


def test_evidence_on_a_case_is_bounded_whoever_adds_it() -> None:
    life = claimed()
    for n in range(3):
        life.send(a_supply(T1 + n, *(some_evidence(f"y-{n}-{i}") for i in range(90))))
    assert len(life.case().evidence) == MAX_EXHIBITS
    life.send(an_amendment(at=T1 + HOUR, evidence=[some_evidence(f"z-{i}") for i in range(90)]))
    assert len(life.case().evidence) == MAX_EXHIBITS


# --- overdue ----------------------------------------------------------------------------------------------------


def test_case_goes_on_without_what_did_not_come_and_says_so() -> None:
    life = requested()
    due_at = T1 + MINUTE + 7 * DAY
    life.wait_until(due_at - 1)
    assert life.case().state is CaseState.AWAITING_EVIDENCE
    life.wait_until(due_at)
    [line] = life.lines(CaseEventKind.EVIDENCE_OVERDUE)
    assert (line.saw["kinds"], line.saw["still_asked"], line.state) == ("licence", "0", CaseState.QUEUED)
    case = life.on_pods().popitem()[1]
    assert (case.state, case.pause, case.requests, case.paused_ms) == (CaseState.QUEUED, None, [], 7 * DAY)
    assert life.case().waived == [LICENCE]
    assert life.kinds().count(CaseEventKind.CASE_RESUMED) == 0, "said once, by the line that says why"


@pytest.mark.parametrize("supplier", [EvidenceSupplier.ENFORCEMENT, EvidenceSupplier.SPECIALIST])
def test_nothing_is_waived_for_what_somebody_else_was_asked_for(supplier: EvidenceSupplier) -> None:
    life = requested(supplier=supplier)
    life.wait_until(T1 + 8 * DAY)
    assert life.lines(CaseEventKind.EVIDENCE_OVERDUE)[0].saw["supplier"] == supplier
    assert (life.case().waived, life.case().state) == ([], CaseState.QUEUED)


def test_each_request_has_its_own_deadline() -> None:
    life = requested(due_at=T1 + 2 * DAY)
    life.send(a_resume(T1 + HOUR))
    life.send(a_claim(T1 + HOUR, version=4))
    life.send(an_evidence_request(T1 + HOUR, version=5, kinds=[ORDER], due_at=T1 + 4 * DAY))
    life.wait_until(T1 + 3 * DAY)
    assert (life.case().state, life.case().waived) == (CaseState.AWAITING_EVIDENCE, [LICENCE])
    life.wait_until(T1 + 4 * DAY)
    assert (life.case().state, life.case().waived) == (CaseState.QUEUED, [LICENCE, ORDER])


def test_evidence_that_comes_too_late_is_still_taken() -> None:
    life = requested()
    life.wait_until(T1 + 8 * DAY)
    life.send(a_supply(T1 + 8 * DAY + 1, a_licence()))
    assert life.case().evidence[-1].evidence_id == "y-1"
    assert len(life.notices(NoticeKind.EVIDENCE_RECEIVED)) == 1


# --- held -------------------------------------------------------------------------------------------------------


def test_holder_lets_the_case_wait_for_something_outside() -> None:
    life = claimed()
    life.send(a_hold(T1 + MINUTE, until=T1 + DAY, note_ref="s3://note/2"))
    case = life.on_pods().popitem()[1]
    assert (case.state, case.claim) == (CaseState.ON_HOLD, None)
    assert case.pause is not None
    assert (case.pause.since, case.pause.until) == (T1 + MINUTE, T1 + DAY)
    line = life.lines()[-1]
    assert (line.kind, line.reason, line.actor) == (CaseEventKind.CASE_HELD, HoldReason.LEGAL_PROCEEDINGS, "r-1")
    assert line.saw == {"until": str(T1 + DAY), "note_ref": "s3://note/2"}


def test_hold_ends_by_itself() -> None:
    life = claimed()
    life.send(a_hold(T1 + MINUTE, until=T1 + DAY))
    life.wait_until(T1 + DAY)
    line = life.lines()[-1]
    assert (line.kind, line.reason, line.actor) == (CaseEventKind.CASE_RESUMED, "waiting_over", None)
    assert (life.case().state, life.case().paused_ms) == (CaseState.QUEUED, DAY - MINUTE)


@pytest.mark.parametrize("state", [CaseState.ON_HOLD, CaseState.AWAITING_EVIDENCE])
def test_person_who_may_judge_the_case_lets_it_go_on(state: CaseState) -> None:
    life = life_in(state)
    life.send(a_resume(T1 + HOUR, actor="r-5"))
    line = life.lines()[-1]
    assert (line.kind, line.reason, line.actor) == (CaseEventKind.CASE_RESUMED, "resumed_by_a_person", "r-5")
    assert (life.case().state, life.case().paused_ms) == (CaseState.QUEUED, HOUR - MINUTE)
    assert len(life.case().requests) == (state is CaseState.AWAITING_EVIDENCE)


def test_person_who_may_not_judge_it_does_not() -> None:
    life = life_in(CaseState.ON_HOLD)
    life.send(a_resume(T1 + HOUR, actor="r-9"))
    assert life.lines()[-1].reason == "reviewer_excluded"
    assert life.case().state is CaseState.ON_HOLD


def test_case_that_waits_is_claimed_by_nobody_and_decided_by_nobody() -> None:
    for state in (CaseState.ON_HOLD, CaseState.AWAITING_EVIDENCE):
        life = life_in(state)
        life.send(a_claim(T1 + HOUR, version=3))
        assert life.lines()[-1].reason == "wrong_state"
        life.send(a_decision(T1 + HOUR, version=3))
        assert life.lines()[-1].reason == "not_claimed"


def test_queued_case_has_nothing_to_resume() -> None:
    life = opened()
    life.send(a_resume(T1, version=1))
    assert life.lines()[-1].reason == "wrong_state"
