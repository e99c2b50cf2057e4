"""A life folded again from its inputs and its audit gives the same lines, hash by hash; a changed one does not."""

import random
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.fold import TOPIC_OF, decode_dossier, encode_dossier, handle
from processors.growth import FULL_ENFORCEMENTS
from schemas.records import CaseEvent, EnforcementId, InputRecord, Millis, RemedyOrdered, ReviewerId, TimerFired
from schemas.vocabulary import AckStatus, Action, CaseEventKind
from tests.unit.audits import BOOKS, OTHER_BOOK, Audited, at_random, lived, many_lines, steps
from tests.unit.builders import (
    DAY,
    HOUR,
    MINUTE,
    PACKAGED_RULEBOOK,
    PACKAGED_SECTIONS,
    RULEBOOK,
    T0,
    USER,
    Life,
    a_claim,
    a_decision,
    a_hold_release,
    a_legal_hold,
    a_profile,
    a_rulebook,
    a_withdrawal,
    all_but_the_audit,
    an_ack,
    an_appeal,
    an_effect,
    an_enforcement,
    an_erasure,
    euros,
)
from tests.unit.checkers import check_audit
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
        [
            [RULEBOOK, OTHER_BOOK],
            [OTHER_BOOK, PACKAGED_RULEBOOK],
            [OTHER_BOOK, RULEBOOK, PACKAGED_RULEBOOK, OTHER_BOOK],
            [RULEBOOK, OTHER_BOOK, RULEBOOK, OTHER_BOOK, RULEBOOK, OTHER_BOOK],
        ]
    ),
)
@settings(max_examples=300, deadline=None)
def test_life_comes_out_identical_when_the_rulebook_changed_in_the_middle(taken: Any, books: Any) -> None:
    audited = lived(taken, books)
    outcome = again(audited)
    assert outcome.difference is None
    assert outcome.rulebooks == len({line.rulebook_digest for line in audited.life.lines()})


class _Remedied(Audited):
    """Now and then a remedy reaches an enforcement of the user, or one that is not there."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__()
        self._chance = chance

    def fold(self, event: InputRecord | TimerFired | RemedyOrdered, at: int, sent_at: int | None = None) -> None:
        super().fold(event, at, sent_at)
        on_file = self.life.dossier.enforcements
        if on_file and self._chance.random() < 0.4:
            reached = self._chance.choice(list(on_file))
            version = on_file[reached].version - (self._chance.random() < 0.1)
            super().fold(RemedyOrdered(USER, Millis(at), "m-1", reached, version, "paul,quinn", ReviewerId("olga")), at)


@given(taken=steps, chance=at_random)
@settings(max_examples=300, deadline=None)
def test_life_that_remedies_reached_comes_out_identical(taken: Any, chance: random.Random) -> None:
    audited = lived(taken, [PACKAGED_RULEBOOK, OTHER_BOOK], audited=_Remedied(chance))
    outcome = again(audited)
    assert outcome.difference is None
    assert outcome.lines == len(audited.life.lines())


class _Forgotten(Audited):
    """At some moments holds are placed and released, and the user is erased; everything else goes on."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__()
        self._chance = chance

    def fold(self, event: InputRecord | TimerFired | RemedyOrdered, at: int, sent_at: int | None = None) -> None:
        super().fold(event, at, sent_at)
        if self._chance.random() < 0.15:
            hold_id = self._chance.choice(["h-1", "h-2"])
            made = [an_erasure(at), a_legal_hold(at, hold_id), a_hold_release(at, hold_id)]
            super().fold(self._chance.choice(made), at)


@given(taken=steps, chance=at_random)
@settings(max_examples=300, deadline=None)
def test_life_in_which_the_user_was_erased_comes_out_identical(taken: Any, chance: random.Random) -> None:
    audited = lived(taken, [PACKAGED_RULEBOOK, OTHER_BOOK], audited=_Forgotten(chance))
    outcome = again(audited)
    assert outcome.difference is None
    assert outcome.lines == len(audited.life.lines())
    check_audit(audited.life)


def test_remedy_s_line_that_does_not_say_who_approved_it_cannot_be_folded_again() -> None:
    audited = Audited()
    audited.fold(an_enforcement(), T0)
    audited.fold(
        RemedyOrdered(USER, Millis(T0 + HOUR), "m-1", EnforcementId("e-1"), 1, "paul,quinn", ReviewerId("olga")),
        T0 + HOUR,
    )
    lines = audited.life.lines()
    assert again(audited).difference is None
    assert lines[0].saw["approved_by"] == "paul,quinn"
    for name in ("approved_by", "proposed_by", "remedy_id", "version"):
        silent = {key: value for key, value in lines[0].saw.items() if key != name}
        difference = again(audited, [msgspec.structs.replace(lines[0], saw=silent), *lines[1:]]).difference
        assert difference is not None
        assert "approved_by" in difference.text
    other = {**lines[0].saw, "approved_by": "paul,rosa"}
    assert again(audited, [msgspec.structs.replace(lines[0], saw=other), *lines[1:]]).difference is not None


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


def test_timer_that_another_rulebook_had_set_is_fired_again_when_that_rulebook_left_no_line() -> None:
    """A clock that warns earlier came into force, and what the dossier was looked at for then wrote no line."""
    audited = Audited()
    audited.fold(an_enforcement(), T0)
    audited.fold(an_appeal(), T0 + HOUR)
    audited.fold(TimerFired(USER, Millis(T0 + 175 * HOUR)), T0 + 175 * HOUR)
    audited.life.rulebook = OTHER_BOOK
    silent_from, due = len(audited.life.lines()), audited.life.dossier.due
    audited.fold(TimerFired(USER, Millis(T0 + 176 * HOUR)), T0 + 176 * HOUR)
    assert len(audited.life.lines()) == silent_from
    assert due is not None
    assert audited.life.dossier.due is not None
    assert audited.life.dossier.due < T0 + 177 * HOUR < due
    audited.fold(TimerFired(USER, Millis(T0 + 177 * HOUR)), T0 + 177 * HOUR)
    assert audited.life.kinds()[silent_from:] == [CaseEventKind.BAND_RAISED]
    outcome = again(audited)
    assert (outcome.difference, outcome.lines) == (None, len(audited.life.lines()))


def test_timer_s_line_that_says_it_fired_too_early_differs() -> None:
    audited = decided_life(2)
    audited.fold(TimerFired(USER, Millis(T0 + 175 * HOUR)), T0 + 175 * HOUR)
    lines = audited.life.lines()
    assert again(audited).difference is None
    early = [
        msgspec.structs.replace(line, occurred_at=Millis(T0 + 2 * HOUR)) if line.cause_id.startswith("timer:") else line
        for line in lines
    ]
    difference = again(audited, early).difference
    assert difference is not None
    assert difference.text == "nothing writes this line again"


def filed_by_one_rulebook_and_not_by_the_other(*, told: bool) -> Outcome:
    """Old enforcements are filed away while nothing writes a line, and then the time to appeal becomes longer."""
    intake = PACKAGED_SECTIONS["intake"]
    short, long = (a_rulebook(intake={**intake, "appeal_window": window}) for window in ("184d", "400d"))
    audited = Audited(Life(short))
    audited.fold(an_enforcement(), T0)
    audited.fold(an_appeal(), T0 + HOUR)
    for number in range(FULL_ENFORCEMENTS + 40):
        at = T0 + 2 * HOUR + number * 3 * DAY
        audited.fold(an_enforcement(at, enforcement_id=EnforcementId(f"f-{number}")), at)
    last = T0 + 330 * DAY
    if told:  # a line by the rulebook that filed them
        audited.fold(an_appeal(last - DAY, "a-2", enforcement_id=EnforcementId("f-90")), last)
    audited.life.rulebook = long
    audited.fold(an_appeal(last, "a-3", enforcement_id=EnforcementId("f-0")), last + 1)
    books = {book.digest: book for book in (short, long)}
    return replay(USER, audited.life.lines(), audited.inputs, books.__getitem__)


def test_replay_says_so_where_the_record_does_not_tell_which_rulebook_a_silent_input_was_folded_by() -> None:
    outcome = filed_by_one_rulebook_and_not_by_the_other(told=False)
    assert outcome.difference is not None
    assert "not decidable from the record: enforcement.events[0]@" in outcome.difference.text
    assert filed_by_one_rulebook_and_not_by_the_other(told=True).difference is None


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
