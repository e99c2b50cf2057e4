"""Each kind of difference is found, counted and explained; the same rulebook makes none."""

import msgspec
import pytest

from schemas.records import (
    CaseEvent,
    EnforcementId,
    EventId,
    Lesser,
    Millis,
)
from schemas.vocabulary import AckStatus, Action, Outcome
from tests.unit.builders import (
    DAY,
    HOUR,
    MINUTE,
    PACKAGED_RULEBOOK,
    T0,
    USER,
    Life,
    a_claim,
    a_decision,
    a_lift,
    a_rulebook,
    a_withdrawal,
    an_ack,
    an_amendment,
    an_appeal,
    an_effect,
    an_enforcement,
    case_of,
)
from topology.rulebook_file import PACKAGED, parse_rulebook
from topology.simulate.books import book_changes
from topology.simulate.changes import Kind
from topology.simulate.compare import Moved, NoLongerFits, Tally, Window, compare
from topology.simulate.fates import Recorder

RULEBOOK = PACKAGED_RULEBOOK
TEXT = PACKAGED.read_text(encoding="utf-8")
CASE = (an_enforcement(), an_appeal())
DECIDED = (*CASE, a_claim(T0 + 2 * HOUR), a_decision(T0 + 2 * HOUR + MINUTE))


def a_book(*changes):
    """The packaged rulebook with these replacements."""
    text = TEXT
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    return parse_rulebook(text)


def fates(book, events, until=T0 + 60 * DAY, edit=None):
    """What becomes of the events' appeals; `edit` changes what is emitted, for what no rulebook can bring about yet."""
    life, recorder = Life(rulebook=book), Recorder()
    for event in events:
        emitted = [(e.topic, e.key, e.record) for e in life.send(event)]
        recorder.take(0, USER, emitted if edit is None else edit(emitted), life.now)
    while (due := life.dossier.due) is not None and due <= until:
        recorder.take(0, USER, [(e.topic, e.key, e.record) for e in life.wait_until(due)], life.now)
    recorder.end(0, until)
    return recorder.fates


def differences(*changes, events=CASE, window=None, **more):
    """Compare the packaged rulebook with one that has these changes."""
    new = a_book(*changes)
    options = {} if window is None else {"window": window}
    old_fates, new_fates = (fates(book, events, **more) for book in (RULEBOOK, new))
    return compare(old_fates, new_fates, books=book_changes(RULEBOOK, new), **options)


def the(comparison, kind):
    """The one change of this kind."""
    [change] = [change for change in comparison.changes if change.kind is kind]
    return change


@pytest.mark.parametrize("events", [(), CASE, DECIDED, (an_appeal(),), (*CASE, an_appeal(T0 + DAY, "a-2"))])
def test_the_same_content_under_another_name_makes_no_difference_at_all(events):
    found = differences(("name: default", "name: other"), events=events)
    assert not found.differs
    assert found.changes == []
    assert found.changed == {}
    assert (found.users_otherwise, found.no_longer_fits, found.fits_only_now) == (0, [], [])


def test_a_band_that_starts_elsewhere_moves_the_case_and_its_promise():
    score = fates(RULEBOOK, CASE).appeals[USER, "a-1"].first.score
    assert 250 <= score < 400  # P3
    found = differences(("at: 400", f"at: {score}"))
    assert found.bands == [Moved("P3", "P2", 1)]
    band = the(found, Kind.BAND)
    assert (band.old, band.new, band.case_id) == ("P3", "P2", case_of())
    assert band.because == (f"score {score} in P3 -> {score} in P2", f"rulebook bands[P2].at: 400 -> {score}")
    assert the(found, Kind.PROMISED).size == 4 * DAY
    assert found.appeals_changed == 1
    assert set(found.changed) == {"band", "promised_at"}


def test_cases_that_keep_their_band_are_in_the_matrix_too():
    assert differences(("lease: 30min", "lease: 31min")).bands == [Moved("P3", "P3", 1)]


def test_a_score_is_explained_by_the_components_that_differ():
    found = differences(("suspension: 0.85", "suspension: 0.95"))
    score = the(found, Kind.SCORE)
    assert int(score.new) - int(score.old) == score.size == 30
    assert score.because[0].startswith("severity 255 (weight 0.3, value 0.85: ")
    assert " -> severity" not in score.because[0]
    assert "-> 285 (weight 0.3, value 0.95: " in score.because[0]
    assert len(score.because) == 2
    rank = the(found, Kind.RANK)
    assert rank.size > 0
    assert rank.old > rank.new


def test_another_pod_is_told_with_the_rule_and_its_reason():
    rule = "  - name: fakes\n    when: {policies: [counterfeit]}\n    pod: legal\n"
    found = differences(("routing:\n", "routing:\n" + rule))
    assert found.pods == [Moved("intellectual-property", "legal", 1)]
    pod = the(found, Kind.POD)
    assert pod.because[0] == ("rule counterfeit (policy=counterfeit) -> fakes (policy=counterfeit)")
    assert pod.because[1].startswith("rulebook routing[fakes]: (none) -> ")
    assert the(found, Kind.RULE).new == "fakes"


def test_the_largest_changes_come_first_within_their_kind():
    others = {"enforcement_id": EnforcementId("e-2"), "action": Action.WARNING}
    events = (*CASE, an_enforcement(T0 + 1, **others), an_appeal(T0 + DAY, "a-2", enforcement_id=EnforcementId("e-2")))
    found = differences(("at_zero: 14d", "at_zero: 20d"), events=events)
    sizes = [change.size for change in found.changes if change.kind is Kind.RANK]
    assert len(sizes) == 2
    assert sizes[0] > sizes[1]
    assert found.changes[0].appeal_id == "a-2"  # the warning's score is the lower one


def test_a_refusal_that_becomes_a_case_is_another_answer():
    late = (an_enforcement(), an_appeal(T0 + 200 * DAY))
    found = differences(("appeal_window: 184d", "appeal_window: 365d"), events=late, until=T0 + 201 * DAY)
    assert found.answers == [Moved("refused: untimely", "case", 1)]
    assert found.cases == Tally("cases", 0, 1)
    assert the(found, Kind.ANSWER).because == ("rulebook intake.appeal_window: 184d -> 365d",)
    assert found.bands == []


def test_a_deadline_that_is_missed_only_under_the_new_one_is_counted():
    events = (*CASE, a_claim(T0 + 20 * DAY, version=1), a_decision(T0 + 20 * DAY + 1, version=2))
    found = differences(("deadline: 28d", "deadline: 15d"), events=events)
    assert found.deadlines == [Tally("met", 1, 0), Tally("missed", 0, 1)]
    assert the(found, Kind.DUE).size == 13 * DAY
    assert (the(found, Kind.DEADLINE).old, the(found, Kind.DEADLINE).new) == ("met", "missed")


@pytest.mark.parametrize(("days", "status"), [(20, "open"), (40, "missed")])
def test_a_case_that_nobody_decides_is_open_until_its_deadline_and_missed_after_it(days, status):
    found = compare(*(fates(RULEBOOK, CASE, until=T0 + days * DAY) for _ in range(2)))
    assert found.deadlines == [Tally(status, 1, 1)]
    assert found.promises == [Tally("missed", 1, 1)]


def test_a_promise_is_kept_when_the_band_gives_it_longer():
    events = (*CASE, a_claim(T0 + 8 * DAY, version=1), a_decision(T0 + 8 * DAY + 1, version=2))
    found = differences(("handling: 7d", "handling: 9d"), events=events)
    assert found.promises == [Tally("met", 0, 1), Tally("missed", 1, 0)]
    assert the(found, Kind.PROMISE).old == "missed"


def test_recorded_reviews_that_no_longer_fit_are_counted_by_reason_and_both_ways():
    events = (*CASE, a_claim(T0 + 2 * HOUR), a_decision(T0 + 2 * HOUR + 20 * MINUTE))
    found = differences(("lease: 30min", "lease: 10min"), events=events)
    assert found.no_longer_fits == [NoLongerFits("DecisionProposed", "stale_version", 1)]
    assert found.cases_unfit == 1
    assert found.outcomes == [Moved("overturned", "open (queued)", 1)]
    back = compare(fates(a_book(("lease: 30min", "lease: 10min")), events), fates(RULEBOOK, events))
    assert back.fits_only_now == [NoLongerFits("DecisionProposed", "stale_version", 1)]
    assert back.no_longer_fits == []
    assert back.cases_unfit == 0


def test_a_review_that_fits_under_neither_is_no_difference_unless_the_reason_is_another():
    stale = (*CASE, a_claim(T0 + 2 * HOUR), a_decision(T0 + 2 * HOUR + MINUTE, version=7))
    found = differences(("ban: 1.00", "ban: 0.99"), events=stale)
    assert (found.no_longer_fits, found.fits_only_now, found.differs) == ([], [], False)
    expired = (*CASE, a_claim(T0 + 2 * HOUR), a_decision(T0 + 2 * HOUR + 20 * MINUTE, actor="r-2", version=2))
    other = differences(("lease: 30min", "lease: 10min"), events=expired)
    assert other.no_longer_fits == [NoLongerFits("DecisionProposed", "stale_version", 1)]
    assert other.fits_only_now == [NoLongerFits("DecisionProposed", "not_the_holder", 1)]


def test_reviews_of_cases_outside_the_window_are_not_counted():
    events = (*CASE, a_claim(T0 + 2 * HOUR), a_decision(T0 + 2 * HOUR + 20 * MINUTE))
    found = differences(("lease: 30min", "lease: 10min"), events=events, window=Window(T0 + 2 * HOUR, None))
    assert (found.appeals, found.no_longer_fits, found.differs) == (0, [], False)


def test_a_later_triage_is_compared_where_the_opening_was_the_same():
    events = (*CASE, an_amendment(T0 + DAY, action=Action.BAN))
    found = differences(("ban: 1.00", "ban: 0.90"), events=events)
    assert set(found.changed) == {"later triage"}
    assert the(found, Kind.LATER_TRIAGE).because[0].startswith("severity 300 (")


def test_what_no_other_kind_names_is_still_a_difference():
    events = (an_enforcement(effects=[an_effect()]), *DECIDED[1:])
    found = differences(("tries: 8", "tries: 5"), events=events)
    assert found.differs
    other = the(found, Kind.OTHER)
    assert "order of a reversal 8 -> 5" in other.because
    assert other.because[-1] == "rulebook reversal.tries: 8 -> 5"


def test_a_text_added_to_a_case_counts_with_that_case_and_not_with_the_appeal_that_brought_it():
    found = differences(("at: 400", "at: 300"), events=(*CASE, an_appeal(T0 + DAY, "a-2")))
    assert {change.appeal_id for change in found.changes} == {"a-1"}


def test_only_appeals_answered_within_the_window_are_compared():
    change = ("deadline: 28d", "deadline: 27d")
    e2 = {"enforcement_id": EnforcementId("e-2")}
    events = (*DECIDED, an_enforcement(T0 + DAY, **e2), an_appeal(T0 + 2 * DAY, "a-2", **e2))
    assert {c.appeal_id for c in differences(change, events=events).changes} == {"a-1", "a-2"}
    first = differences(change, events=events, window=Window(None, T0 + 2 * DAY))
    second = differences(change, events=events, window=Window(T0 + 2 * DAY, T0 + 3 * DAY))
    assert {c.appeal_id for c in first.changes} == {"a-1"}
    assert {c.appeal_id for c in second.changes} == {"a-2"}
    assert (first.appeals, second.appeals) == (1, 1)


def test_an_end_by_itself_is_no_automatic_decision():
    for events in ((*CASE, a_withdrawal()), (*CASE, a_lift())):
        [fate] = fates(RULEBOOK, events).appeals.values()
        assert fate.outcome in {Outcome.WITHDRAWN, Outcome.MOOT}
        assert not fate.by_rule


def second_looks(**triggers):
    return fates(a_rulebook(second_review=triggers, evidence=[]), DECIDED)


def test_second_reviews_are_counted_by_what_triggered_them():
    plain, one = second_looks(), second_looks(severity_at_least=0.8, share=1.0)
    two = second_looks(severity_at_least=0.8)
    added = compare(plain, one)
    assert added.second_reviews_added == {"severity": 1, "quality_sample": 1}
    assert (the(added, Kind.SECOND_REVIEW).old, the(added, Kind.SECOND_REVIEW).new) == (
        "none",
        "quality_sample, severity",
    )
    assert added.outcomes == [Moved("overturned", "open (second_review)", 1)]
    fewer = compare(one, two)
    assert (fewer.second_reviews_added, fewer.second_reviews_removed) == ({}, {"quality_sample": 1})


def test_a_decision_by_a_rule_is_automatic():
    rule = {"name": "all of them", "when": {"policies": ["counterfeit"]}, "do": "grant", "daily_cap": 5}
    granting, withholding = (
        fates(a_rulebook(automation=[rule | {"audit_share": share}]), DECIDED) for share in (0.0, 1.0)
    )
    found = compare(fates(RULEBOOK, DECIDED), granting)
    assert found.decided_by == [Tally("by a rule", 0, 1), Tally("not by a rule", 1, 0)]
    assert the(found, Kind.AUTOMATIC).new == "by a rule"
    [fate] = withholding.appeals.values()
    assert (fate.withheld, fate.by_rule) == (True, False)


def test_ids_of_lines_and_their_chain_are_no_difference():
    def renumbered(emitted):
        return [
            (t, k, msgspec.structs.replace(r, event_id=EventId("x"), seq=r.seq + 5, prev_hash="p", hash="h"))
            if isinstance(r, CaseEvent)
            else (t, k, r)
            for t, k, r in emitted
        ]

    assert not compare(fates(RULEBOOK, DECIDED), fates(RULEBOOK, DECIDED, edit=renumbered)).differs


def test_dead_letters_that_only_one_rulebook_makes_are_a_difference():
    old, new = fates(RULEBOOK, CASE), fates(RULEBOOK, CASE)
    new.dead_letters = {"handler_raised": 2}
    found = compare(old, new)
    assert found.dead_letters == [Tally("handler_raised", 0, 2)]
    assert found.differs


# --- what a reversal leads to -------------------------------------------------------------------------------------

ALONE = a_rulebook(second_review=None, evidence=[], automation=[])
STRIKES = [
    an_enforcement(T0 + n, enforcement_id=EnforcementId(f"s-{n}"), action=Action.WARNING, effects=[], strikes=1)
    for n in range(3)
]
BAN = an_enforcement(
    T0 + 9, enforcement_id=EnforcementId("ban"), action=Action.BAN, caused_by=EnforcementId("s-2"), effects=[]
)


def a_threshold(at):
    thresholds = [{"at": at, "actions": ["ban"]}]
    sections = {"strikes": {"lapse": "365d", "thresholds": thresholds}}
    return a_rulebook(second_review=None, evidence=[], automation=[], **sections)


def overturned(*, appealed=False):
    """The third strike is overturned, on which a ban rests; perhaps that was appealed against too."""
    more = [an_appeal(T0 + HOUR, "a-ban", enforcement_id=EnforcementId("ban"))] if appealed else []
    appeal = an_appeal(T0 + HOUR, enforcement_id=EnforcementId("s-2"))
    return [*STRIKES, BAN, *more, appeal, a_claim(T0 + 2 * HOUR), a_decision(T0 + 2 * HOUR + MINUTE)]


def test_a_threshold_that_other_strikes_still_reach_is_told_by_verdict_with_the_case_that_it_leads_to():
    lifted, looked_at = (fates(a_threshold(at), overturned()) for at in (3, 2))
    found = compare(lifted, looked_at)
    assert found.consequences == [
        Tally("consequence: lifted", 1, 0),
        Tally("consequence: threshold_still_reached", 0, 1),
    ]
    assert found.internal == Tally("internal", 0, 1)
    assert (found.appeals, found.differs) == (1, True)
    assert [(move.old, move.new) for move in found.answers] == [("none", "a case without an appeal")]


def test_a_case_that_ends_with_another_one_is_told_as_its_consequence():
    lifted, looked_at = (fates(a_threshold(at), overturned(appealed=True)) for at in (3, 2))
    found = compare(looked_at, lifted)
    assert found.outcomes == [Moved("open (queued)", "overturned", 1)]
    assert the(found, Kind.AUTOMATIC).new == "as a consequence"


@pytest.mark.parametrize(
    ("outcome", "more"),
    [
        (Outcome.MODIFIED, {"lesser": Lesser(action=Action.WARNING)}),
        (Outcome.REMANDED, {"guidance_ref": "s3://guidance/1"}),
    ],
)
def test_a_milder_measure_and_a_remand_are_outcomes_of_their_own(outcome, more):
    events = (*CASE, a_claim(T0 + 2 * HOUR), a_decision(T0 + 2 * HOUR + 20 * MINUTE, outcome, **more))
    assert fates(ALONE, events).appeals[USER, "a-1"].outcome is outcome


def superseded(parking):
    """An overturned suspension, sent anew as another one comes: its directives have ids of a line's number."""
    intake = {"parking_time": parking, "appeal_window": "184d"}
    life = Life(rulebook=a_rulebook(second_review=None, evidence=[], automation=[], intake=intake))
    in_vain = an_appeal(T0 - HOUR, "a-9", enforcement_id=EnforcementId("e-9"), event_id="in-vain")
    another = an_enforcement(T0 + 3 * HOUR, enforcement_id=EnforcementId("e-2"), event_id="another")
    for event in (in_vain, *DECIDED, another):
        life.send(event)
    for order, status in ((0, AckStatus.APPLIED), (-1, AckStatus.FAILED_PERMANENT), (-1, AckStatus.APPLIED)):
        told = {"occurred_at": Millis(life.now), "event_id": f"ack-{order}-{status}"}
        life.send(an_ack(life.orders()[order], status=status, **told))
    recorder = Recorder()
    recorder.take(0, USER, [(e.topic, e.key, e.record) for e in life.out], life.now)
    return recorder.fates


def test_directives_whose_ids_come_from_another_line_are_no_difference():
    late, early = superseded("7d"), superseded("1min")
    kinds = late.appeals[USER, "a-1"].trace.kinds
    assert kinds["DirectiveSuperseded"] == kinds["tombstone on reversals.stalled"] == 1
    assert kinds["ImmunityGranted"] == 2  # the line and the record
    assert {change.appeal_id for change in compare(late, early).changes} == {"a-9"}
