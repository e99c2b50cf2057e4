"""A life folded again from its inputs and its audit gives the same lines, hash by hash; a changed one does not."""

import random
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.fold import TOPIC_OF, decode_dossier, encode_dossier, handle
from processors.growth import FULL_ENFORCEMENTS
from schemas.records import CaseEvent, EnforcementId, InputRecord, Millis, TimerFired
from schemas.vocabulary import AckStatus, Action, CaseEventKind
from tests.unit.audits import BOOKS, OTHER_BOOK, Audited, at_random, lived, many_lines, steps
from tests.unit.builders import (
    DAY,
    HOUR,
    MINUTE,
    PACKAGED_RULEBOOK,
    RULEBOOK,
    T0,
    USER,
    Life,
    a_claim,
    a_decision,
    a_profile,
    a_withdrawal,
    all_but_the_audit,
    an_ack,
    an_appeal,
    an_effect,
    an_enforcement,
    euros,
)
from topology.audit.replay import Input, Outcome, replay
from topology.rulebooks import RulebookNotKept


def again(audited: Audited, lines: list[CaseEvent] | None = None) -> Outcome:
    return replay(USER, audited.life.lines() if lines is None else lines, audited.inputs, book_of)


def book_of(digest: str) -> Any:
    if digest not in BOOKS:
        raise RulebookNotKept(f"the rulebook {digest} is not there")
    return BOOKS[digest]


@given(taken=steps)
@settings(max_examples=300, deadline=None)
def test_every_life_comes_out_identical_when_it_is_folded_again(taken: Any) -> None:
    audited = lived(taken)
    outcome = again(audited)
    assert outcome.difference is None
    assert outcome.lines == len(audited.life.lines())


@given(
    taken=steps,
    books=st.sampled_from(
        [[RULEBOOK, OTHER_BOOK], [OTHER_BOOK, PACKAGED_RULEBOOK], [OTHER_BOOK, RULEBOOK, PACKAGED_RULEBOOK, OTHER_BOOK]]
    ),
)
@settings(max_examples=300, deadline=None)
def test_life_comes_out_identical_when_the_rulebook_changed_in_the_middle(taken: Any, books: Any) -> None:
    audited = lived(taken, books)
    outcome = again(audited)
    assert outcome.difference is None
    assert outcome.rulebooks == len({line.rulebook_digest for line in audited.life.lines()})


@given(audited=many_lines, at=at_random, name=st.sampled_from(CaseEvent.__struct_fields__))
@settings(max_examples=300, deadline=None)
def test_line_that_was_altered_is_the_first_that_differs(audited: Audited, at: random.Random, name: str) -> None:
    lines = audited.life.lines()
    which = at.randrange(len(lines))
    value = getattr(lines[which], name)
    other = {int: 10**9, str: "other", list: [1, 2], dict: {"x": "y"}, type(None): "other"}
    kind = next(t for t in other if isinstance(value, t))
    lines[which] = msgspec.structs.replace(lines[which], **{name: other[kind]})
    outcome = again(audited, lines)
    assert outcome.difference is not None
    assert outcome.lines <= which
    assert outcome.lines == which or name in ("folded", "cause_id", "occurred_at", "rulebook_digest")


@given(audited=many_lines, at=at_random)
@settings(max_examples=100, deadline=None)
def test_line_that_is_gone_differs(audited: Audited, at: random.Random) -> None:
    lines = audited.life.lines()
    gone = at.randrange(len(lines) - 1)
    outcome = again(audited, lines[:gone] + lines[gone + 1 :])
    assert outcome.difference is not None
    assert outcome.lines <= gone


@given(audited=many_lines, at=at_random)
@settings(max_examples=100, deadline=None)
def test_input_that_is_gone_or_exchanged_differs(audited: Audited, at: random.Random) -> None:
    counted = audited.life.lines()[-1].folded
    topic = at.choice([n for n, count in enumerate(counted) if count])
    del audited.inputs[topic][counted[topic] - 1 :]
    outcome = again(audited)
    assert outcome.difference is not None
    assert f"there are {counted[topic] - 1}" in outcome.difference.text


class Watched(Audited):
    """Folds every input that writes no line a second time, elsewhere, as `processors/fold.py` says it may be."""

    before: tuple[InputRecord, bytes] | None = None
    """The silent input just before, and the dossier before it."""

    def fold(self, event: InputRecord | TimerFired, at: int, sent_at: int | None = None) -> None:
        life = self.life
        due, earlier, stored, sent = life.dossier.due, life.now, encode_dossier(life.dossier), len(life.out)
        super().fold(event, at, sent_at)
        if isinstance(event, TimerFired) or len(life.out) > sent or (due is not None and due <= at):
            self.before = None
            return
        self.same(stored, earlier, event)
        if self.before is not None and TOPIC_OF[type(self.before[0])] != TOPIC_OF[type(event)]:
            self.same(self.before[1], earlier, event, self.before[0])
        self.before = event, stored

    def same(self, stored: bytes, now: int, *events: InputRecord) -> None:
        other = Life(self.life.rulebook, now, decode_dossier(stored))
        for event in events:
            handle(other.dossier, event, other)
        assert other.out == []
        assert all_but_the_audit(other.dossier) == all_but_the_audit(self.life.dossier)


@given(taken=steps)
@settings(max_examples=300, deadline=None)
def test_input_that_writes_no_line_does_not_look_at_the_clock_and_commutes_with_those_of_other_topics(
    taken: Any,
) -> None:
    lived(taken, audited=Watched())


def test_allowance_that_was_used_up_is_used_up_when_the_life_is_folded_again() -> None:
    """The third appeal came when others had spent it: the audit says so, and nothing else does."""
    for allowance in (0, 1, 2, 3):
        audited = Audited(Life(OTHER_BOOK, allowance=allowance))
        for number in range(3):
            key = EnforcementId(f"e-{number}")
            audited.fold(an_enforcement(enforcement_id=key, action=Action.WARNING, policy="spam"), T0 + number)
            audited.fold(an_appeal(appeal_id=f"a-{number}", enforcement_id=key), T0 + HOUR + number)
        withheld = [line for line in audited.life.lines(CaseEventKind.GRANT_WITHHELD) if line.reason == "daily_cap"]
        assert len(withheld) == 3 - allowance
        assert again(audited).difference is None


def test_life_with_silent_inputs_of_every_topic_and_timers_between_its_lines_comes_out_identical() -> None:
    audited = Audited()
    audited.fold(a_profile(), T0)
    audited.fold(a_withdrawal(T0, "a-2"), T0 + 1)
    audited.fold(an_enforcement(), T0 + 2)
    audited.fold(again_ := an_enforcement(enforcement_id=EnforcementId("e-2")), T0 + 3)
    audited.fold(appeal := an_appeal(), T0 + HOUR)
    audited.fold(again_, T0 + HOUR)
    audited.fold(appeal, T0 + HOUR + 1)
    audited.fold(claim := a_claim(T0 + 2 * HOUR), T0 + 2 * HOUR)
    audited.fold(claim, T0 + 2 * HOUR + 1)
    audited.fold(a_profile(), T0 + 3 * HOUR)  # sets off the end of the claim
    audited.fold(a_profile(), T0 + 3 * HOUR + 1)
    audited.fold(TimerFired(USER, Millis(T0 + 200 * DAY)), T0 + 200 * DAY)
    assert CaseEventKind.CLAIM_EXPIRED in audited.life.kinds()
    causes = {line.cause_id for line in audited.life.lines() if not line.cause_id.startswith("timer:")}
    assert (sum(map(len, audited.inputs)), len(causes)) == (11, 2)
    outcome = again(audited)
    assert (outcome.difference, outcome.lines) == (None, len(audited.life.lines()))


def test_life_comes_out_identical_when_old_enforcements_were_filed_away_out_of_a_backlog() -> None:
    """Filing writes no line: had it gone by when it was folded, the appeal would find another dossier now."""
    audited = Audited()
    for number in range(FULL_ENFORCEMENTS + 40):
        enforcement = an_enforcement(T0 + number * HOUR, enforcement_id=EnforcementId(f"e-{number}"))
        audited.fold(enforcement, T0 + 400 * DAY, T0 + number * HOUR)
    audited.fold(an_appeal(T0 + 100 * DAY), T0 + 400 * DAY + 1, T0 + 100 * DAY)
    assert audited.life.kinds() == [CaseEventKind.CASE_OPENED]
    assert again(audited).difference is None


def test_timer_that_writes_no_line_does_not_hold_back_the_clock_of_what_comes_after_it() -> None:
    audited = Audited()
    audited.fold(an_enforcement(effects=[an_effect()]), T0)
    audited.fold(an_appeal(), T0 + HOUR)
    audited.fold(a_claim(T0 + HOUR), T0 + HOUR)
    audited.fold(a_decision(T0 + HOUR), T0 + HOUR)
    order = audited.life.orders()[0]
    audited.fold(an_ack(order, 0, AckStatus.FAILED_PERMANENT), T0 + HOUR + 1)
    assert audited.life.dossier.due is not None  # to send again; but nothing is left that could be
    silent_from = len(audited.life.lines())
    for number in range(FULL_ENFORCEMENTS + 40):
        at = T0 + 10 * DAY + number * 5 * DAY
        audited.fold(an_enforcement(at, enforcement_id=EnforcementId(f"f-{number}")), at)
    assert len(audited.life.lines()) == silent_from
    last = T0 + 10 * DAY + (FULL_ENFORCEMENTS + 39) * 5 * DAY
    audited.fold(an_appeal(T0 + 20 * DAY, "a-7", enforcement_id=EnforcementId("f-0")), last)
    assert audited.life.kinds()[-1] is CaseEventKind.APPEAL_REFUSED
    assert again(audited).difference is None


def test_record_whose_sender_has_a_fast_clock_sets_off_no_timer() -> None:
    audited = decided_life(3)
    audited.fold(a_profile(), T0 + HOUR + 5 * MINUTE, sent_at=T0 + 10 * HOUR)
    audited.fold(TimerFired(USER, Millis(T0 + 2 * HOUR)), T0 + 2 * HOUR)
    assert audited.life.kinds()[-1] is CaseEventKind.CLAIM_EXPIRED
    assert again(audited).difference is None


def test_difference_shows_both_sides() -> None:
    audited = decided_life()
    lines = audited.life.lines()
    lines[1] = msgspec.structs.replace(lines[1], actor="r-9")
    difference = again(audited, lines).difference
    assert difference is not None
    assert (difference.seq, difference.audit) == (2, lines[1])
    assert difference.replayed == audited.life.lines()[1]


def decided_life(events: int = 4) -> Audited:
    """Enforcement, appeal, claim and decision, a minute between them; or only the first of these."""
    audited = Audited()
    steps_to_it = [an_enforcement(), an_appeal(), a_claim(T0 + HOUR), a_decision(T0 + HOUR)]
    for minute, event in enumerate(steps_to_it[:events]):
        audited.fold(event, T0 + HOUR + minute * MINUTE)
    return audited


def test_line_that_replay_writes_beyond_the_audit_differs() -> None:
    audited = decided_life()
    outcome = again(audited, audited.life.lines()[:-1])
    assert outcome.difference is not None
    assert (outcome.difference.audit, outcome.difference.replayed) == (None, audited.life.lines()[-1])


def test_other_rulebook_than_the_one_in_force_differs_or_is_told_to_be_missing() -> None:
    audited = decided_life()
    lines = audited.life.lines()
    outcome = replay(USER, lines, audited.inputs, lambda _digest: OTHER_BOOK)
    assert outcome.difference is not None
    assert outcome.difference.replayed is not None
    lost = msgspec.structs.replace(lines[0], rulebook_digest="gone")
    difference = again(audited, [lost, *lines[1:]]).difference
    assert difference is not None
    assert "the rulebook gone is not there" in difference.text


def test_lines_from_before_inputs_were_counted_cannot_be_folded_again_and_say_so() -> None:
    audited = decided_life()
    lines = [msgspec.structs.replace(line, folded=[]) for line in audited.life.lines()]
    difference = again(audited, lines).difference
    assert difference is not None
    assert "does not count the inputs" in difference.text


def test_input_that_raises_when_it_is_folded_again_is_named() -> None:
    audited = decided_life()
    [first, *rest] = audited.inputs[0]
    negative = an_enforcement(event_id=first.record.event_id, amount=euros("-1"))
    audited.inputs[0] = [Input(first.place, negative, first.at), *rest]
    difference = again(audited).difference
    assert difference is not None
    assert "folding enforcement.events[0]@0 raises ImpossibleInputError" in difference.text
