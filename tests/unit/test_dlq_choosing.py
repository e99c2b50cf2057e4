"""Which dead letters an order settles: never one that would overtake an older record of its key, never one twice."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.records import DeadLetterSettled
from schemas.vocabulary import DeadLetterAction
from topology.dlq.choosing import State, Wanted, Why, choose, missing, state_of
from topology.dlq.letters import DeadLetter, Kind, parse_place
from topology.engine import deadletter
from topology.engine.errors import Misconfigured, Poison

REPLAYED, DISCARDED = DeadLetterAction.REPLAYED, DeadLetterAction.DISCARDED
AT = 1_764_072_000_000


def a_letter(
    offset=0, key=b"u", *, code="undecodable", topic="appeal.events.dlq", at=AT, own=(), was=None, kind=Kind.RECORD
):
    why = deadletter.about(
        Poison(code, "it is wrong"), code, topic="blue.appeal.events", partition=1, offset=100 + offset
    )
    more = {
        Kind.RECORD: [(deadletter.TIMESTAMP, str(at if was is None else was).encode())],
        Kind.TIMER: [],
        Kind.TELL: [(deadletter.TOLD, b"u"), (deadletter.TELLER, b"\0remedy/r")],
        Kind.FOREIGN: [("whatever", b"")],
    }[kind]
    value = b"bytes" if kind in (Kind.RECORD, Kind.FOREIGN) else None
    return DeadLetter(topic.removesuffix(".dlq"), topic, 1, offset, at, key, value, (*own, *why, *more))


def settled(letter, action):
    return {
        letter.place: DeadLetterSettled(
            event_id="e",
            letter=letter.place,
            action=action,
            actor="ann",
            occurred_at=AT,
            reason="r",
            code="c",
            origin="o",
        )
    }


def why(choice):
    return [(left.place, left.why) for left in choice.left]


ANY = Wanted()


def test_pending_letters_are_chosen_in_their_order():
    letters = [a_letter(n, key) for n, key in enumerate((b"u", b"v", b"u"))]
    choice = choose(letters, {}, ANY, REPLAYED)
    assert list(choice.chosen) == [letter.place for letter in letters]
    assert choice.left == []


def test_a_letter_is_held_back_by_an_older_pending_one_of_its_key_and_holds_back_the_next():
    older, other, newer, newest = a_letter(0, code="a"), a_letter(1, b"v"), a_letter(2), a_letter(3)
    choice = choose([older, other, newer, newest], {}, Wanted(codes=frozenset({"undecodable"})), REPLAYED)
    assert list(choice.chosen) == [other.place]
    assert why(choice) == [(newer.place, Why.HELD_BACK), (newest.place, Why.HELD_BACK)]
    assert all(older.place in left.text for left in choice.left)


@pytest.mark.parametrize("action", [REPLAYED, DISCARDED])
def test_an_older_letter_that_is_settled_holds_nobody_back(action):
    older, newer = a_letter(0), a_letter(1)
    choice = choose([older, newer], settled(older, action), ANY, REPLAYED)
    assert list(choice.chosen) == [newer.place]


def test_an_order_without_places_does_not_speak_of_what_is_settled():
    letter = a_letter()
    assert choose([letter], settled(letter, DISCARDED), ANY, REPLAYED).left == []


def test_the_same_order_again_finds_its_letter_settled_and_misses_nothing():
    letter = a_letter()
    choice = choose([letter], settled(letter, REPLAYED), Wanted(places=frozenset({letter.place})), REPLAYED)
    assert (list(choice.chosen), why(choice), choice.refused) == ([], [(letter.place, Why.DONE_ALREADY)], [])


@pytest.mark.parametrize(("before", "now"), [(DISCARDED, REPLAYED), (REPLAYED, DISCARDED)])
def test_what_is_settled_one_way_is_not_settled_the_other(before, now):
    letter = a_letter()
    choice = choose([letter], settled(letter, before), Wanted(places=frozenset({letter.place})), now)
    assert not choice.chosen
    assert why(choice) == [(letter.place, Why.SETTLED_OTHERWISE)]
    assert "ann" in choice.left[0].text


@pytest.mark.parametrize(("kind", "said"), [(Kind.TIMER, "fires again"), (Kind.TELL, "propose the remedy again")])
def test_a_letter_without_record_is_not_replayed_and_the_text_says_what_to_do_instead(kind, said):
    letter = a_letter(kind=kind)
    assert letter.kind is kind
    choice = choose([letter, a_letter(1)], {}, ANY, REPLAYED)
    assert why(choice) == [(letter.place, Why.NO_RECORD)]
    assert said in choice.left[0].text
    # It is no record of its key, so nothing waits for it.
    assert list(choice.chosen) == [a_letter(1).place]
    assert list(choose([letter], {}, ANY, DISCARDED).chosen) == [letter.place]


def test_a_record_that_no_worker_set_aside_can_only_be_discarded():
    letter = a_letter(kind=Kind.FOREIGN)
    assert why(choose([letter], {}, ANY, REPLAYED)) == [(letter.place, Why.NOT_OURS)]
    assert list(choose([letter], {}, ANY, DISCARDED).chosen) == [letter.place]


def test_a_timestamp_that_kafka_cannot_be_told_needs_a_new_one():
    letter = a_letter(was=-1)
    assert why(choose([letter], {}, ANY, REPLAYED)) == [(letter.place, Why.NO_TIME)]
    assert list(choose([letter], {}, ANY, REPLAYED, new_time=True).chosen) == [letter.place]


def test_letters_without_a_key_have_no_order():
    letters = [a_letter(0, None, code="a"), a_letter(1, None)]
    assert list(choose(letters, {}, Wanted(codes=frozenset({"undecodable"})), REPLAYED).chosen) == [letters[1].place]


def test_keys_of_other_topics_are_other_keys():
    letters = [a_letter(0, code="a"), a_letter(1, topic="review.events.dlq")]
    assert list(choose(letters, {}, Wanted(codes=frozenset({"undecodable"})), REPLAYED).chosen) == [letters[1].place]


@pytest.mark.parametrize(
    ("wanted", "offsets"),
    [
        (Wanted(key=b"v"), [1]),
        (Wanted(codes=frozenset({"a", "b"})), [0, 1]),
        (Wanted(since_ms=AT + 1), [1, 2]),
        (Wanted(until_ms=AT + 2), [0, 1]),
        (Wanted(since_ms=AT + 1, until_ms=AT + 2, key=b"v"), [1]),
        (Wanted(places=frozenset({"appeal.events.dlq[1]@2"})), [2]),
    ],
)
def test_a_filter_takes_what_meets_all_of_it(wanted, offsets):
    letters = [
        a_letter(n, key, code=code, at=AT + n) for n, (key, code) in enumerate([(b"u", "a"), (b"v", "b"), (b"w", "c")])
    ]
    assert [letter.offset for letter in letters if wanted.takes(letter)] == offsets


def test_a_place_at_which_nothing_lies_is_missing():
    assert missing(Wanted(places=frozenset({"a[0]@1", "a[0]@2"})), {"a[0]@1"}) == ["a[0]@2"]


@pytest.mark.parametrize("text", ["a", "a[0]", "a[x]@1", "a[0]@-1", "[0]@1"])
def test_what_is_no_place_is_refused(text):
    with pytest.raises(Misconfigured, match="no place of a dead letter"):
        parse_place(text)


def test_original_headers_are_those_before_ours_even_if_they_are_called_like_ours():
    own = ((deadletter.REASON, b"theirs"), ("empty", None), (deadletter.TIMESTAMP, b"7"))
    letter = a_letter(own=own, was=5)
    assert letter.original_headers == list(own)
    assert (letter.code, letter.original_at_ms, letter.kind) == ("undecodable", 5, Kind.RECORD)


LETTERS = st.lists(
    st.tuples(st.sampled_from([b"u", b"v", None]), st.sampled_from("ab"), st.sampled_from([None, REPLAYED, DISCARDED])),
    max_size=12,
)


@given(LETTERS, st.sets(st.sampled_from("ab")), st.none() | st.integers(1, 4))
def test_whatever_is_asked_for_no_letter_is_replayed_before_an_older_pending_one_of_its_key(drawn, codes, limit):
    letters = [a_letter(n, key, code=code) for n, (key, code, _) in enumerate(drawn)]
    done = {}
    for letter, (_, _, action) in zip(letters, drawn, strict=True):
        done |= settled(letter, action) if action else {}
    choice = choose(letters, done, Wanted(codes=frozenset(codes)), REPLAYED, limit=limit)
    for n, letter in enumerate(letters):
        if letter.place not in choice.chosen:
            continue
        assert state_of(letter.place, done) is State.PENDING
        older = [o for o in letters[:n] if letter.key is not None and o.key == letter.key and o.place not in done]
        assert all(o.place in choice.chosen for o in older)
    assert list(choice.chosen) == [letter.place for letter in letters if letter.place in choice.chosen]
    assert limit is None or len(choice.chosen) <= limit
