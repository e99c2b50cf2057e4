"""Whatever is done to the lines of an audit, `verify` finds it, and names the line and where it is."""

import random
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.chain import hash_of
from schemas.records import CaseEvent
from tests.unit.audits import Audited, at_random, lived, many_lines, placed, steps
from tests.unit.builders import USER, Life, decided
from topology.audit.broken import Fault, FaultKind
from topology.audit.lines import Head, Place, Placed
from topology.audit.verify import Report, verify


def found(lines: list[CaseEvent] | list[Placed], head: Head | None) -> list[Fault]:
    return report(lines, head).faults


def report(lines: list[CaseEvent] | list[Placed], head: Head | None) -> Report:
    on_topic = [line if isinstance(line, Placed) else placed([line])[0] for line in lines]
    laid = [replace(one, place=Place("case.events", 3, offset)) for offset, one in enumerate(on_topic)]
    return verify(laid, {} if head is None else {USER: head})


def told(faults: list[Fault]) -> list[tuple[FaultKind, int | None]]:
    return [(fault.kind, fault.seq) for fault in faults]


@given(taken=steps)
@settings(max_examples=150, deadline=None)
def test_chain_of_every_life_verifies(taken: Any) -> None:
    audited = lived(taken)
    lines = audited.life.lines()
    result = report(lines, audited.head)
    assert result.faults == []
    assert (result.lines, result.unchained) == (len(lines), 0)


@given(audited=many_lines, at=at_random)
@settings(max_examples=100, deadline=None)
def test_line_that_is_gone_is_named_with_the_place_where_it_should_be(audited: Audited, at: random.Random) -> None:
    lines = audited.life.lines()
    gone = at.randrange(len(lines) - 1)
    [fault] = found(lines[:gone] + lines[gone + 1 :], audited.head)
    assert (fault.kind, fault.seq, str(fault.place)) == (FaultKind.MISSING, gone + 1, f"case.events[3]@{gone}")


@given(audited=many_lines, at=at_random)
@settings(max_examples=100, deadline=None)
def test_tail_that_is_cut_off_is_found_by_the_dossier(audited: Audited, at: random.Random) -> None:
    lines = audited.life.lines()
    left = at.randrange(1, len(lines))
    assert told(found(lines[:left], audited.head)) == [(FaultKind.TRUNCATED, left + 1)]
    assert told(found([], audited.head)) == [(FaultKind.TRUNCATED, 1)]


@given(audited=many_lines, at=at_random, name=st.sampled_from(CaseEvent.__struct_fields__))
@settings(max_examples=300, deadline=None)
def test_any_field_that_is_altered_is_named(audited: Audited, at: random.Random, name: str) -> None:
    lines = audited.life.lines()
    which = at.randrange(len(lines))
    lines[which] = msgspec.structs.replace(lines[which], **{name: other_than(getattr(lines[which], name), at)})
    faults = found(lines, audited.head)
    assert told(faults) == [(FaultKind.ALTERED, which + 1)] or name in ("seq", "user_id")
    assert (FaultKind.ALTERED, f"case.events[3]@{which}") in [(f.kind, str(f.place)) for f in faults]


def other_than(value: Any, at: random.Random) -> Any:
    match value:
        case bool() | None:
            return "other"
        case int():
            return value + at.choice([1, -1, 1_000_000_000])
        case str():
            return value + "x"
        case list():
            return [*value, 1]
        case _:
            return {**value, "x": "y"}


@given(audited=many_lines, at=at_random)
@settings(max_examples=100, deadline=None)
def test_line_that_is_altered_and_given_a_hash_of_its_own_is_named(audited: Audited, at: random.Random) -> None:
    lines = audited.life.lines()
    which = at.randrange(len(lines))
    forged = msgspec.structs.replace(lines[which], reason="forged")
    lines[which] = msgspec.structs.replace(forged, hash=hash_of(forged))
    assert told(found(lines, audited.head)) == [(FaultKind.ALTERED, which + 1)]


def test_tail_that_is_written_anew_from_a_line_on_is_found_by_the_dossier() -> None:
    life = decided()
    lines = life.lines()
    before = lines[1].hash
    for position in range(2, len(lines)):
        forged = msgspec.structs.replace(lines[position], prev_hash=before, actor="somebody")
        lines[position] = msgspec.structs.replace(forged, hash=hash_of(forged))
        before = lines[position].hash
    assert told(found(lines, head_of(life))) == [(FaultKind.ALTERED, len(lines))]


def head_of(life: Life) -> Head:
    return Head(life.dossier.seq, life.dossier.head.hex() or None)


@given(audited=many_lines, at=at_random)
@settings(max_examples=100, deadline=None)
def test_two_lines_that_are_swapped_are_found(audited: Audited, at: random.Random) -> None:
    lines = audited.life.lines()
    one, other = sorted(at.sample(range(len(lines)), 2))
    lines[one], lines[other] = lines[other], lines[one]
    faults = found(lines, audited.head)
    assert {fault.kind for fault in faults} == {FaultKind.REORDERED}
    # Of three in a row with the outer ones swapped, any two may have been moved.
    assert {fault.seq for fault in faults} <= {one + 1, other + 1} or other - one == 2
    assert {str(fault.place) for fault in faults} == {
        f"case.events[3]@{one + other + 1 - fault.seq}" for fault in faults
    }


@given(audited=many_lines, at=at_random)
@settings(max_examples=100, deadline=None)
def test_line_that_is_there_twice_is_named_with_the_place_of_the_second(audited: Audited, at: random.Random) -> None:
    lines = audited.life.lines()
    which, again = at.randrange(len(lines)), at.randrange(len(lines))
    where = max(which, again) + 1
    faults = found([*lines[:where], lines[which], *lines[where:]], audited.head)
    assert [(f.kind, f.seq, str(f.place)) for f in faults] == [
        (FaultKind.DUPLICATED, which + 1, f"case.events[3]@{where}")
    ]


@given(audited=many_lines, at=at_random)
@settings(max_examples=150, deadline=None)
def test_however_much_is_done_to_a_chain_something_is_found(audited: Audited, at: random.Random) -> None:
    lines = audited.life.lines()
    before = list(lines)
    for _ in range(at.randrange(1, 6)):
        which, other = at.randrange(len(lines)), at.randrange(len(lines))
        match at.randrange(4) if len(lines) > 2 else 3:
            case 0:
                del lines[which]
            case 1:
                lines[which], lines[other] = lines[other], lines[which]
            case 2:
                name = at.choice(CaseEvent.__struct_fields__)
                lines[which] = msgspec.structs.replace(
                    lines[which], **{name: other_than(getattr(lines[which], name), at)}
                )
            case _:
                lines.insert(other, lines[which])
    assert (found(lines, audited.head) == []) == (lines == before)


def test_every_line_that_is_gone_in_a_row_is_counted() -> None:
    life = decided()
    lines = life.lines()
    [fault] = found([lines[0], *lines[3:]], head_of(life))
    assert (fault.kind, fault.seq) == (FaultKind.MISSING, 2)
    assert "lines 2 to 3 are not there before line 4" in fault.text


def test_number_that_claims_a_billion_lines_costs_no_more_than_another() -> None:
    life = decided()
    forged = msgspec.structs.replace(life.lines()[0], seq=10**15)
    faults = found([*life.lines(), msgspec.structs.replace(forged, hash=hash_of(forged))], head_of(life))
    assert (FaultKind.MISSING, len(life.lines()) + 1) in told(faults)


def test_record_that_is_no_line_and_line_of_another_user_are_named_and_change_nothing_else() -> None:
    life = decided()
    lines = placed(life.lines())
    strange = msgspec.structs.replace(life.lines()[1], user_id="u-2")
    odd = [Placed(Place("case.events", 0, 0), USER, None, "cut off"), *placed([strange])]
    faults = found([lines[0], *odd, *lines[1:]], head_of(life))
    assert [(fault.kind, str(fault.place)) for fault in faults] == [
        (FaultKind.ALTERED, "case.events[3]@1"),
        (FaultKind.ALTERED, "case.events[3]@2"),
    ]
    assert "cut off" in faults[0].text
    assert "u-2" in faults[1].text


def test_chain_that_was_copied_to_another_users_key_is_no_chain_of_that_user() -> None:
    life = decided()
    faults = verify(placed(life.lines(), "u-2"), {"u-2": head_of(life)}).faults
    assert {(fault.kind, fault.user_id) for fault in faults} == {
        (FaultKind.ALTERED, "u-2"),
        (FaultKind.TRUNCATED, "u-2"),
    }


def test_user_without_a_dossier_has_an_end_that_cannot_be_proven() -> None:
    assert told(found(decided().lines(), None)) == [(FaultKind.NO_DOSSIER, len(decided().lines()))]


def test_lines_that_were_written_after_the_dossier_was_read_are_no_fault() -> None:
    life = decided()
    lines = life.lines()
    assert found(lines, Head(2, lines[1].hash)) == []
    assert told(found(lines, Head(2, lines[0].hash))) == [(FaultKind.ALTERED, 2)]


def unchained(lines: list[CaseEvent]) -> list[CaseEvent]:
    return [msgspec.structs.replace(line, hash=None, prev_hash=None, folded=[]) for line in lines]


def chained(lines: list[CaseEvent]) -> list[CaseEvent]:
    made: list[CaseEvent] = []
    for line in lines:
        bare = msgspec.structs.replace(line, hash=None, prev_hash=made[-1].hash if made else None)
        made.append(msgspec.structs.replace(bare, hash=hash_of(bare)))
    return made


def test_lines_from_before_the_chain_count_apart_and_are_verified_by_number() -> None:
    lines = decided().lines()
    old, new = unchained(lines[:2]), chained(lines[2:])
    result = report([*old, *new], Head(len(lines), new[-1].hash))
    assert (result.faults, result.unchained, result.lines) == ([], 2, len(lines))
    assert told(found([old[0], *new], Head(len(lines), new[-1].hash))) == [(FaultKind.MISSING, 2)]
    assert told(found(old, Head(2, None))) == []


def test_line_whose_hashes_were_taken_away_is_not_taken_for_one_from_before_the_chain() -> None:
    life = decided()
    lines = life.lines()
    assert told(found([*unchained(lines[:1]), *lines[1:]], head_of(life))) == [(FaultKind.ALTERED, 1)]
    assert told(found([*lines[:-1], *unchained(lines[-1:])], head_of(life))) == [(FaultKind.ALTERED, len(lines))]
    assert found(unchained(lines), head_of(life)) != []
    bare = msgspec.structs.replace(lines[-1], hash=None)
    before_it = Head(len(lines) - 1, lines[-2].hash)  # so the dossier does not tell
    assert told(found([*lines[:-1], bare], before_it)) == [(FaultKind.ALTERED, len(lines))]


@pytest.mark.parametrize("users", [("u-1", "u-2")])
def test_chains_of_users_that_lie_mixed_are_walked_apart(users: tuple[str, str]) -> None:
    lives = [decided(), decided()]
    mixed = [
        Placed(Place("case.events", 0, 0), user, msgspec.structs.replace(line, user_id=user, hash=None))
        for pair in zip(lives[0].lines(), lives[1].lines(), strict=True)
        for user, line in zip(users, pair, strict=True)
    ]
    heads: dict[str, Head] = {}
    laid: list[Placed] = []
    for one in mixed:
        assert one.line is not None
        before = heads.get(one.user_id)
        bare = msgspec.structs.replace(one.line, prev_hash=None if before is None else before.hash)
        line = msgspec.structs.replace(bare, hash=hash_of(bare))
        heads[one.user_id] = Head(line.seq, line.hash)
        laid.append(replace(one, line=line))
    result = verify(laid, heads)
    assert (result.users, result.lines, result.faults) == (2, len(laid), [])
    assert [(f.kind, f.user_id, f.seq) for f in verify(laid[:-1], heads).faults] == [
        (FaultKind.TRUNCATED, "u-2", len(laid) // 2)
    ]
