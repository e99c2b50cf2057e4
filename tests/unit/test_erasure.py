"""A user is erased: what ends, what is forgotten, what is carried to its end first, and what comes too late."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.dossier import Stage
from processors.errors import ImpossibleInputError
from processors.fold import decode_dossier, encode_dossier, handle
from processors.growth import MAX_HOLDS, MAX_SEALED
from schemas.records import (
    EnforcementId,
    Evidence,
    Millis,
    RemedyOrdered,
    ReviewerId,
    Target,
)
from schemas.vocabulary import (
    AckStatus,
    Action,
    CaseEventKind,
    EffectKind,
    EvidenceKind,
    NoticeKind,
    Outcome,
    Redress,
    RefusalReason,
    TargetKind,
)
from tests.unit.builders import (
    DAY,
    HOUR,
    MINUTE,
    T0,
    USER,
    Life,
    a_claim,
    a_decision,
    a_hold_release,
    a_legal_hold,
    a_lift,
    a_profile,
    a_resolution,
    a_retry,
    a_withdrawal,
    after,
    an_ack,
    an_amendment,
    an_appeal,
    an_effect,
    an_enforcement,
    an_erasure,
    case_of,
    decided,
    euros,
    some_evidence,
)
from tests.unit.checkers import check_audit, check_cases, check_reversals
from tests.unit.test_random_histories import _MAKERS, Step, _steps

SEALED = "AXsecretsecretsecret"
ERASED = T0 + DAY


def texts_in(dossier: Any) -> set[str]:
    """Every text that the stored dossier has, whatever it is."""
    found: set[str] = set()

    def walk(value: Any) -> None:
        if isinstance(value, str):
            found.add(value)
        elif isinstance(value, dict):
            for key, inner in value.items():
                walk(key)
                walk(inner)
        elif isinstance(value, list):
            for inner in value:
                walk(inner)

    walk(msgspec.msgpack.decode(encode_dossier(dossier)[1:]))
    return found


def shredded(life: Life) -> int:
    """How often the key of the user's texts was shredded."""
    tombstones = [e for e in life.out if e.topic == "subject.keys"]
    assert all((e.key, e.record) == (USER, None) for e in tombstones)
    return len(tombstones)


def a_full_life() -> Life:
    """An open case with a sealed text, an appeal that waits, one that was refused, and one that was decided."""
    piece = msgspec.structs.replace(some_evidence("x-9"), sealed=SEALED)
    return after(
        a_profile(),
        an_enforcement(evidence=[piece]),
        an_enforcement(enforcement_id=EnforcementId("e-2"), target=Target(kind=TargetKind.LISTING, id="l-2")),
        an_appeal(statement_sealed=SEALED),
        an_appeal(appeal_id="a-2", enforcement_id=EnforcementId("e-2")),
        an_appeal(appeal_id="a-3", enforcement_id=EnforcementId("e-9")),
        a_claim(T0 + 2 * HOUR, appeal_id="a-2"),
        a_decision(T0 + 2 * HOUR, Outcome.UPHELD, appeal_id="a-2"),
    )


def a_running_reversal(**content: Any) -> Life:
    """A fee of 40 euros is being paid back."""
    effects = [an_effect(EffectKind.MONEY_TAKEN, amount=euros("40"))]
    return decided(Outcome.OVERTURNED, a_profile(), action=Action.FEE, effects=effects, **content)


def test_open_cases_end_as_withdrawn_each_with_one_notice_and_leave_their_pods() -> None:
    life = a_full_life()
    before = len(life.out)
    life.send(an_erasure())
    new = Life(out=life.out[before:])
    [line] = new.lines(CaseEventKind.CASE_DECIDED)
    assert (line.case_id, line.outcome, line.reason, line.actor) == (case_of(), Outcome.WITHDRAWN, "erasure", "dpo-1")
    assert [each.case_id for each in new.lines(CaseEventKind.CASE_CLOSED)] == [case_of()]
    told = new.notices(NoticeKind.DECIDED)
    assert {(n.appeal_id, n.template) for n in told} == {("a-1", "case.erased"), ("a-3", "appeal.erased")}
    assert len(told) == len(new.notices()) == 2
    assert all(n.reasons == ["erasure"] and Redress.APPEAL_AGAIN not in n.redress for n in told)
    assert life.on_pods() == {}
    assert [each.appeal_id for each in new.lines(CaseEventKind.APPEAL_WITHDRAWN_UNOPENED)] == ["a-3"]
    check_audit(life)


def test_dossier_forgets_everything_but_counts_and_the_head_of_the_chain() -> None:
    life = a_full_life()
    assert texts_in(life.dossier) >= {SEALED, "a-2", "s3://statements/a-1", "l-2", "fake-finder"}
    life.send(an_erasure())
    request = life.dossier.erasing
    assert request is not None
    assert request.stage is Stage.DONE
    assert texts_in(life.dossier) == {*msgspec.msgpack.decode(encode_dossier(life.dossier)[1:]), USER, "done"} | {
        request.asked
    }
    counts = life.dossier.counts
    assert (counts.appeals, counts.opened, counts.upheld, counts.withdrawn) == (3, 2, 1, 2)
    assert life.dossier.head.hex() == life.lines()[-1].hash
    assert life.dossier.due is None
    assert life.terms == set(), "no remedy finds them"
    assert decode_dossier(encode_dossier(life.dossier)) == life.dossier


def test_key_is_shredded_by_the_batch_that_erases() -> None:
    life = a_full_life()
    request = an_erasure()
    life.send(request)
    assert shredded(life) == 1
    [line] = life.lines(CaseEventKind.SUBJECT_ERASED)
    assert (line.actor, line.reason, line.cause_id) == ("dpo-1", None, request.event_id)
    assert line.saw == {"why": "ticket 8", "cases": "1", "parked": "1", "enforcements": "2"}
    assert life.counted["erasures_total", "erased"] == 1


def test_request_delivered_twice_is_one() -> None:
    life = a_full_life()
    request = an_erasure()
    life.send(request)
    lines, dossier = len(life.lines()), encode_dossier(life.dossier)
    life.send(request)
    assert len(life.lines()) == lines
    assert msgspec.msgpack.decode(encode_dossier(life.dossier)[1:]) | {"f": 0} == (
        msgspec.msgpack.decode(dossier[1:]) | {"f": 0}
    )
    assert shredded(life) == 1


def test_second_request_says_that_it_was_done_and_shreds_what_was_sealed_since() -> None:
    life = a_full_life()
    life.send(an_erasure())
    life.send(an_erasure(T0 + 2 * DAY))
    [line] = life.lines(CaseEventKind.ERASURE_REPEATED)
    assert line.reason == "erased_already"
    assert shredded(life) == 2
    assert len(life.lines(CaseEventKind.SUBJECT_ERASED)) == 1


def test_user_whom_nobody_knows_is_erased_too_so_that_what_comes_late_is_not_kept() -> None:
    life = after(an_erasure())
    [line] = life.lines()
    assert (line.kind, line.reason) == (CaseEventKind.SUBJECT_ERASED, "nothing_on_file")
    assert shredded(life) == 1, "a text may have been sealed before the appeal that it belongs to arrived"
    life.send(an_enforcement(at=T0))
    assert life.dossier.enforcements == {}


def test_legal_hold_delays_the_erasure_until_the_last_one_is_released() -> None:
    life = a_full_life()
    life.send(a_legal_hold())
    life.send(a_legal_hold(hold_id="h-2"))
    request = an_erasure()
    life.send(request)
    [held] = life.lines(CaseEventKind.ERASURE_HELD)
    assert held.saw == {"why": "ticket 8", "holds": "2"}
    assert shredded(life) == 0
    assert life.case_count() == 1
    life.send(a_claim(T0 + DAY + HOUR, version=1))
    assert life.lines(CaseEventKind.CASE_CLAIMED), "until then nothing is different"
    life.send(a_hold_release(hold_id="h-2"))
    assert life.case_count() == 1
    life.send(a_hold_release())
    assert life.case_count() == 0
    assert shredded(life) == 1
    [line] = life.lines(CaseEventKind.SUBJECT_ERASED)
    assert line.saw["requested"] == request.event_id
    assert line.actor == "legal-1"
    assert texts_in(life.dossier) & {"h-1", "h-2"} == set()


def test_hold_that_is_released_before_anybody_asks_delays_nothing() -> None:
    life = a_full_life()
    life.send(a_legal_hold())
    life.send(a_hold_release(T0 + 2 * HOUR))
    life.send(an_erasure())
    assert life.lines(CaseEventKind.SUBJECT_ERASED)


def test_request_that_is_held_can_be_repeated_and_is_done_once() -> None:
    life = a_full_life()
    life.send(a_legal_hold())
    life.send(an_erasure())
    life.send(an_erasure(T0 + DAY + HOUR))
    assert [line.reason for line in life.lines(CaseEventKind.ERASURE_REPEATED)] == ["held_already"]
    life.send(a_hold_release())
    assert len(life.lines(CaseEventKind.SUBJECT_ERASED)) == shredded(life) == 1


def test_copy_of_an_old_hold_does_not_place_it_anew() -> None:
    life = a_full_life()
    hold = a_legal_hold()
    life.send(hold)
    life.send(hold)
    assert len(life.lines(CaseEventKind.LEGAL_HOLD_PLACED)) == 1
    life.send(a_hold_release())
    life.send(hold)
    assert life.lines(CaseEventKind.LEGAL_HOLD_PLACED)[-1].reason == "released_already"
    life.send(an_erasure(T0 + 3 * DAY))
    assert life.lines(CaseEventKind.SUBJECT_ERASED)


def test_release_of_a_hold_that_nobody_placed_says_so() -> None:
    life = after(a_hold_release())
    assert [(line.kind, line.reason) for line in life.lines()] == [(CaseEventKind.LEGAL_HOLD_RELEASED, "unknown_hold")]


def test_hold_that_comes_after_the_erasure_says_that_it_is_too_late() -> None:
    life = a_full_life()
    life.send(an_erasure())
    life.send(a_legal_hold(T0 + 2 * DAY))
    [line] = life.lines(CaseEventKind.LEGAL_HOLD_PLACED)
    assert line.reason == "erased_already"
    assert life.dossier.holds == {}


def test_too_many_holds_are_refused_not_forgotten() -> None:
    life = Life()
    for number in range(MAX_HOLDS):
        life.send(a_legal_hold(hold_id=f"h-{number}"))
    with pytest.raises(ImpossibleInputError):
        life.send(a_legal_hold(hold_id="one-more"))
    life.send(a_hold_release(hold_id="h-3"))
    life.send(a_legal_hold(T0 + 3 * DAY, hold_id="one-more"))
    assert sum(life.dossier.holds.values()) == len(life.dossier.holds) == MAX_HOLDS


def test_running_reversal_is_carried_to_its_end_before_the_rest_is_forgotten() -> None:
    life = a_running_reversal()
    life.send(an_enforcement(enforcement_id=EnforcementId("e-7"), target=Target(kind=TargetKind.LISTING, id="l-7")))
    life.send(an_erasure())
    [begun] = life.lines(CaseEventKind.ERASURE_BEGUN)
    assert begun.saw["reversals"] == "1"
    assert shredded(life) == 1, "texts are not needed for it"
    assert life.dossier.profile is None
    assert not texts_in(life.dossier) & {"s3://statements/a-1", "a-9", "fake-finder", "sor-1"}
    assert not life.lines(CaseEventKind.SUBJECT_ERASED)
    order = life.orders()[-1]
    life.send(an_ack(order, occurred_at=Millis(T0 + 2 * DAY)))
    assert [record.reversal_id for record in life.confirmations()] == [order.reversal_id]
    assert life.notices(NoticeKind.REVERSAL_CONFIRMED)
    assert [line.kind for line in life.lines()][-1] is CaseEventKind.SUBJECT_ERASED
    assert life.dossier.enforcements == {}
    assert life.dossier.reversals == {}
    assert life.counted["erasures_total", "begun"] == life.counted["erasures_total", "erased"] == 1
    check_reversals(life)
    check_audit(life)


def test_directive_that_is_sent_again_after_the_request_still_says_what_survives() -> None:
    life = decided(Outcome.OVERTURNED)
    life.send(an_enforcement(at=T0 + 3 * HOUR, enforcement_id=EnforcementId("e-2"), action=Action.BAN))
    told = life.orders()[-1].directives[0].state
    assert [held.enforcement_id for held in told] == ["e-2"]
    life.send(an_erasure())
    life.wait_until(T0 + 2 * DAY)
    assert life.orders()[-1].attempt > 1
    assert life.orders()[-1].directives[0].state == told, "the account must not be freed by forgetting its ban"


def test_enforcement_that_comes_while_a_reversal_runs_is_what_must_hold_after_it() -> None:
    life = decided(Outcome.OVERTURNED)
    life.send(an_erasure())
    life.send(an_enforcement(at=T0 + 2 * DAY, enforcement_id=EnforcementId("e-2"), action=Action.BAN))
    newest = life.orders()[-1]
    assert [held.enforcement_id for held in newest.directives[0].state] == ["e-2"]
    life.send(an_ack(newest, occurred_at=Millis(T0 + 3 * DAY)))
    assert life.lines(CaseEventKind.SUBJECT_ERASED)
    assert life.dossier.enforcements == {}
    assert life.terms == set()


def test_enforcement_that_comes_while_a_reversal_runs_is_kept_without_its_texts() -> None:
    life = decided(Outcome.OVERTURNED)
    life.send(an_erasure())
    piece = msgspec.structs.replace(some_evidence("x-8"), sealed=SEALED)
    about: dict[str, Any] = {"enforcement_id": EnforcementId("e-2"), "evidence": [piece], "facts_ref": "s3://facts/2"}
    life.send(an_enforcement(at=T0 + 2 * DAY, **about))
    life.send(an_amendment(at=T0 + 3 * DAY, **about, action=Action.BAN))
    assert not texts_in(life.dossier) & {SEALED, "x-8", "s3://evidence/x-8", "s3://facts/2", "fake-finder", "sor-1"}
    assert life.terms == set(), "no remedy finds it"
    assert [(held.action, held.enforcement_id) for held in life.orders()[-1].directives[0].state] == [
        (Action.BAN, "e-2")
    ]


def test_what_is_over_stays_over_while_a_reversal_is_carried_to_its_end() -> None:
    life = decided(Outcome.OVERTURNED)
    lifted, overturned, early = (
        an_enforcement(at=T0, enforcement_id=EnforcementId(key), action=Action.BAN, effects=[])
        for key in ("e-2", "e-3", "e-4")
    )
    life.send(lifted)
    life.send(a_lift(at=T0 + 3 * HOUR, enforcement_id="e-2"))
    life.send(overturned)
    life.send(an_appeal(at=T0 + 3 * HOUR, appeal_id="a-3", enforcement_id=EnforcementId("e-3")))
    life.send(a_claim(T0 + 3 * HOUR, appeal_id="a-3"))
    life.send(a_decision(T0 + 3 * HOUR, Outcome.OVERTURNED, appeal_id="a-3"))
    life.send(a_lift(at=T0 + 3 * HOUR, enforcement_id="e-4"))
    assert len(life.dossier.reversals) == 1, "nothing had to be undone for e-3"
    life.send(an_erasure())
    for late in (lifted, overturned, early):
        life.send(late, T0 + 2 * DAY)
        assert life.orders()[-1].directives[0].state == [], f"{late.enforcement_id} is over, whatever comes again"


def test_nothing_new_begins_about_a_user_whose_reversal_is_carried_to_its_end() -> None:
    life = decided(Outcome.OVERTURNED)
    life.send(an_erasure())
    resting = an_enforcement(at=T0 + 2 * DAY, enforcement_id=EnforcementId("e-2"), caused_by=EnforcementId("e-1"))
    life.send(resting)
    life.send(resting)
    assert life.case_count() == 0, "nobody could look at it"
    assert not life.lines(CaseEventKind.CONSEQUENCE_JUDGED)
    assert len(life.dossier.reversals) == 1
    life.send(an_ack(life.orders()[-1], occurred_at=Millis(T0 + 3 * DAY)))
    assert life.lines(CaseEventKind.SUBJECT_ERASED)


@pytest.mark.parametrize("help_on", [a_retry, a_resolution])
def test_operators_can_help_a_stuck_reversal_on_after_the_request(help_on: Any) -> None:
    life = a_running_reversal()
    [order] = life.orders()
    life.send(an_ack(order, status=AckStatus.FAILED_PERMANENT))
    life.send(an_erasure())
    life.send(help_on(order, T0 + 2 * DAY))
    if help_on is a_retry:
        life.send(an_ack(life.orders()[-1], occurred_at=Millis(T0 + 3 * DAY)))
    assert life.lines(CaseEventKind.SUBJECT_ERASED)
    assert {e.key: e.record for e in life.out if e.topic == "reversals.stalled"} == {order.reversal_id: None}


def test_remedy_of_what_came_while_a_reversal_runs_is_done_first() -> None:
    life = a_running_reversal()
    [order] = life.orders()
    life.send(an_erasure())
    life.send(an_enforcement(at=T0 + 2 * DAY, enforcement_id=EnforcementId("e-5"), action=Action.WARNING, effects=[]))
    life.send(an_ack(order, occurred_at=Millis(T0 + 2 * DAY)))
    assert not life.dossier.enforcements
    late = RemedyOrdered(USER, Millis(T0 + 3 * DAY), "m-1", EnforcementId("e-5"), 1, "ann,bo", ReviewerId("cy"))
    life.now = T0 + 3 * DAY
    lines = len(life.lines())
    handle(life.dossier, late, life)
    assert len(life.lines()) == lines


LATE: list[tuple[Any, CaseEventKind, str]] = [
    (an_enforcement(at=T0), CaseEventKind.INPUT_IGNORED, "subject_erased"),
    (an_enforcement(at=T0 + 3 * DAY), CaseEventKind.INPUT_IGNORED, "subject_erased"),
    (an_amendment(at=T0 + 3 * DAY), CaseEventKind.INPUT_IGNORED, "subject_erased"),
    (a_lift(at=T0 + 3 * DAY), CaseEventKind.INPUT_IGNORED, "subject_erased"),
    (a_profile(at=T0 + 3 * DAY), CaseEventKind.INPUT_IGNORED, "subject_erased"),
    (an_appeal(at=T0 + HOUR), CaseEventKind.INPUT_IGNORED, "subject_erased"),
    (a_withdrawal(at=T0 + 3 * DAY), CaseEventKind.INPUT_IGNORED, "subject_erased"),
    (a_claim(T0 + 3 * DAY), CaseEventKind.REVIEW_REJECTED, "subject_erased"),
    (a_decision(T0 + 3 * DAY), CaseEventKind.REVIEW_REJECTED, "subject_erased"),
    (an_appeal(at=T0 + 3 * DAY, appeal_id="a-7"), CaseEventKind.APPEAL_REFUSED, "no_enforcement_on_file"),
]


@pytest.mark.parametrize(("late", "kind", "reason"), LATE)
def test_what_comes_after_the_erasure_is_answered_by_name_and_not_kept(
    late: Any, kind: CaseEventKind, reason: str
) -> None:
    life = a_full_life()
    life.send(an_erasure())
    before = texts_in(life.dossier)
    lines, notices = len(life.lines()), len(life.notices())
    life.send(late)
    [line] = life.lines()[lines:]
    assert (line.kind, line.reason, line.cause_id) == (kind, reason, late.event_id)
    if kind is CaseEventKind.APPEAL_REFUSED:
        [told] = life.notices()[notices:]
        assert told.refusal is RefusalReason.NO_ENFORCEMENT_ON_FILE
        assert texts_in(life.dossier) - before == {"a", "a-7"}, "so that it is refused once"
        life.send(late)
        assert len(life.lines()) == lines + 1
        life.send(an_erasure(T0 + 4 * DAY))
        assert "a-7" not in texts_in(life.dossier)
    else:
        assert len(life.notices()) == notices
        assert texts_in(life.dossier) == before
    assert life.case_count() == 0


def test_appeal_that_was_refused_while_a_reversal_ran_is_refused_once() -> None:
    life = a_running_reversal()
    life.send(an_erasure())
    late = an_appeal(at=T0 + 2 * DAY, appeal_id="a-7")
    life.send(late)
    life.send(an_ack(life.orders()[-1], occurred_at=Millis(T0 + 3 * DAY)))
    assert life.lines(CaseEventKind.SUBJECT_ERASED)
    life.send(late)
    assert [line.appeal_id for line in life.lines(CaseEventKind.APPEAL_REFUSED)] == ["a-7"]
    life.send(an_erasure(T0 + 4 * DAY))
    life.send(late)
    assert [line.appeal_id for line in life.lines(CaseEventKind.APPEAL_REFUSED)] == ["a-7"]
    assert [line.appeal_id for line in life.lines(CaseEventKind.INPUT_IGNORED)] == ["a-7"]


def test_late_answer_of_a_system_and_word_of_an_operator_are_answered_by_name() -> None:
    life = a_running_reversal()
    [order] = life.orders()
    life.send(an_ack(order))
    life.send(an_erasure())
    life.send(an_ack(order, occurred_at=Millis(T0 + 2 * DAY)))
    life.send(a_retry(order, T0 + 2 * DAY))
    late = life.lines()[-2:]
    assert [(line.kind, line.reason) for line in late] == [
        (CaseEventKind.ACK_IGNORED, "subject_erased"),
        (CaseEventKind.REVIEW_REJECTED, "subject_erased"),
    ]


def test_remand_and_immunity_are_forgotten_and_no_timer_is_left() -> None:
    life = after(an_enforcement(), an_appeal(), a_claim(T0 + 2 * HOUR))
    life.send(a_decision(T0 + 2 * HOUR, Outcome.REMANDED, guidance_ref="s3://guidance/1"))
    assert life.dossier.remands
    life.send(a_withdrawal(appeal_id="a-0"))
    life.send(an_erasure())
    assert (life.dossier.remands, life.dossier.early_withdrawals, life.dossier.due) == ({}, [], None)
    life.wait_until(T0 + 400 * DAY)
    assert [line.kind for line in life.lines()][-1] is CaseEventKind.SUBJECT_ERASED


def test_sealed_texts_reach_the_pod_and_have_a_bound() -> None:
    long = "A" * 4_000
    life = after(an_enforcement(), an_appeal(statement_ref=None, grounds=[], statement_sealed=SEALED))
    assert life.published()[-1].statements[0].sealed == SEALED, "a sealed text alone is an appeal"
    for number in range(40):
        life.send(an_appeal(at=T0 + 2 * HOUR, appeal_id=f"b-{number}", statement_sealed=long))
    statements = life.published()[-1].statements
    assert len(statements) == 41
    assert sum(len(each.sealed or "") for each in statements) <= MAX_SEALED
    assert statements[-1].sealed is None
    assert statements[-1].ref == "s3://statements/b-39", "what is beyond stays where it lies"
    piece = Evidence(evidence_id="x-1", kind=EvidenceKind.OTHER, ref="", sealed=long)
    life = after(an_enforcement(evidence=[piece, some_evidence("x-2")]), an_appeal())
    assert [each.sealed for each in life.published()[-1].evidence] == [long, None]


# --- whatever happened before and after ---------------------------------------------------------------------


@given(before=_steps, later=st.lists(st.sampled_from(["issue", "amend", "lift", "appeal", "ack"]), max_size=6))
@settings(max_examples=150, deadline=None)
def test_whatever_happened_before_nothing_but_counts_is_left_and_money_is_paid(
    before: list[Step], later: list[str]
) -> None:
    life, at = Life(), T0
    planted: set[str] = set()
    for step in before:
        at += step.wait
        event = _MAKERS[step.what](step, life, at)
        if event is not None:
            life.now = at
            handle(life.dossier, event, life)
    planted = texts_in(life.dossier)
    still_open = set(life.dossier.cases)
    running = set(life.dossier.reversals)
    before_it = len(life.out)
    life.send(an_erasure(at + 1))
    new = Life(out=life.out[before_it:])
    ended = [line for line in new.lines(CaseEventKind.CASE_DECIDED) if line.reason == "erasure"]
    assert {line.case_id for line in ended} == {*still_open} - _closed_by_a_timer(new)
    told = [n.case_id for n in new.notices(NoticeKind.DECIDED) if n.outcome is Outcome.WITHDRAWN and n.case_id]
    assert sorted(told) == sorted({line.case_id for line in ended if line.case_id}), "each with exactly one notice"
    assert life.on_pods() == {}
    assert set(life.dossier.reversals) >= running
    for what in later:
        step = Step(what, 1, 1, 1, 0, MINUTE, twice=False)
        event = _MAKERS[what](step, life, at + 1)
        if event is not None:
            life.send(event, at + 1)
    at = _confirm_all(life, at + 2)
    life.wait_until(at + 400 * DAY)
    assert life.dossier.erasing is not None
    assert life.dossier.erasing.stage is Stage.DONE
    assert len(life.lines(CaseEventKind.SUBJECT_ERASED)) == 1
    assert running <= {c.reversal_id for c in life.confirmations()}, "a reversal that ran was carried to its end"
    counts = life.dossier.counts
    allowed = {USER, "done", life.dossier.erasing.asked, *life.dossier.answered}
    keys = set(msgspec.msgpack.decode(encode_dossier(life.dossier)[1:]))
    assert texts_in(life.dossier) <= allowed | keys
    assert not texts_in(life.dossier) & (planted - allowed - keys)
    assert counts.appeals == len({line.appeal_id for line in life.lines() if line.kind in _ENDS})
    assert not life.terms
    check_audit(life)
    check_cases(life)
    check_reversals(life)


_ENDS = {CaseEventKind.CASE_OPENED, CaseEventKind.APPEAL_REFUSED, CaseEventKind.APPEAL_WITHDRAWN_UNOPENED}


def _closed_by_a_timer(new: Life) -> set[str]:
    """Cases that came due before the request was folded, with which they have nothing to do."""
    kind = CaseEventKind.CASE_DECIDED
    return {line.case_id for line in new.lines(kind) if line.cause_id.startswith("timer:") and line.case_id}


def _confirm_all(life: Life, at: int) -> int:
    """Every system answers at last."""
    while life.dossier.reversals:
        at += MINUTE
        reversal_id, running = next(iter(life.dossier.reversals.items()))
        order = next(o for o in reversed(life.orders()) if o.reversal_id == reversal_id)
        open_now = [o for o in running.orders if o.stage not in ("applied", "superseded")]
        item = open_now[0]
        event = a_resolution(order, at, directive_id=item.directive_id) if order.directives else None
        assert event is not None
        life.send(event, at)
    return at
