"""The demo's balance: every kind of imbalance is found, also one that the sums do not show."""

from collections import Counter
from collections.abc import Callable

import pytest

from topology.demo.balance import Facts, Line, balance


def facts() -> Facts:
    """Seven appeals of every fate, three cases, four directives of two reversals, one broken record; all even."""
    return Facts(
        records_sent=20,
        records_on_topics=20,
        appeals_sent={"a1", "a2", "a3", "a4", "a5", "a6", "a7"},
        opened=Counter(["a1", "a2", "a3"]),
        refused=Counter(["a4", "a5"]),
        withdrawn_unopened=Counter(["a6"]),
        parked={"a1", "a6", "a7"},
        cases=Counter(["c1", "c2", "c3"]),
        decided=Counter(["c1", "c2"]),
        open=Counter(["c3"]),
        directives={"d0": "r1", "d1": "r1", "d2": "r1", "d3": "r2"},
        applied=Counter(["d1", "d2"]),
        superseded=Counter(["d0"]),
        in_hand={"d3"},
        reversals={"r1": "u1", "r2": "u2"},
        confirmed=Counter(["r1"]),
        struck={"u1", "u2", "u3"},
        amiss={"u2": "what its reversal has still to undo"},
        broken_sent={("appeal.events", 0, 7)},
        dead_letters=Counter([("appeal.events", 0, 7)]),
    )


def line_of(found: Facts, whole: str) -> Line:
    return next(line for line in balance(found) if line.whole == whole)


def test_even_balance_has_no_fault():
    assert all(line.even and line.difference == 0 for line in balance(facts()))


def test_parked_counts_only_appeals_that_still_wait():
    assert line_of(facts(), "appeals in").parts == {
        "cases": 3,
        "refused": 2,
        "parked": 1,
        "withdrawn before opening": 1,
    }


def test_records_that_a_person_at_the_desk_wrote_are_no_strays():
    found = facts()
    found.records_on_topics += 2
    found.records_by_hand = 2
    assert line_of(found, "records sent").even


def lost_record(f: Facts) -> None:
    f.records_on_topics -= 1


def lost_appeal(f: Facts) -> None:
    del f.refused["a4"]


def appeal_answered_twice(f: Facts) -> None:
    f.refused["a1"] += 1


def appeal_that_nobody_sent(f: Facts) -> None:
    f.refused["a9"] += 1


def doubled_case(f: Facts) -> None:
    f.cases["c1"] += 1


def case_decided_twice(f: Facts) -> None:
    f.decided["c1"] += 1


def lost_case(f: Facts) -> None:
    del f.open["c3"]


def decided_case_that_stands_on_its_pod(f: Facts) -> None:
    f.open["c1"] += 1


def unacked_directive(f: Facts) -> None:
    f.in_hand.clear()


def directive_applied_twice(f: Facts) -> None:
    f.applied["d1"] += 1


def directive_that_was_never_ordered(f: Facts) -> None:
    f.applied["d9"] += 1


def reversal_confirmed_too_early(f: Facts) -> None:
    f.confirmed["r2"] += 1


def reversal_never_confirmed(f: Facts) -> None:
    del f.confirmed["r1"]


def directive_superseded_and_applied(f: Facts) -> None:
    f.applied["d0"] += 1


def superseded_directive_forgotten(f: Facts) -> None:
    f.superseded.clear()


def user_left_as_nobody_wanted(f: Facts) -> None:
    f.amiss["u1"] = "restricts account/u1/account_status: nothing, not [('ban', '', 0)]"


def user_undone_who_was_never_struck(f: Facts) -> None:
    f.amiss["u9"] = "money e-1/EUR: 3.00, not nothing"


def broken_record_swallowed(f: Facts) -> None:
    f.dead_letters.clear()


def good_record_made_a_dead_letter(f: Facts) -> None:
    f.dead_letters["review.events", 1, 3] += 1


def dead_letter_written_twice(f: Facts) -> None:
    f.dead_letters["appeal.events", 0, 7] += 1


@pytest.mark.parametrize(
    ("damage", "whole", "word"),
    [
        (lost_record, "records sent", "-1"),
        (lost_appeal, "appeals in", "1 lost, e.g. a4"),
        (appeal_answered_twice, "appeals in", "1 doubled, e.g. a1"),
        (appeal_that_nobody_sent, "appeals in", "1 stray, e.g. a9"),
        (doubled_case, "cases", "1 doubled, e.g. c1"),
        (case_decided_twice, "cases", "1 doubled, e.g. c1"),
        (lost_case, "cases", "1 lost, e.g. c3"),
        (decided_case_that_stands_on_its_pod, "cases", "1 doubled, e.g. c1"),
        (unacked_directive, "directives ordered", "1 lost, e.g. d3"),
        (directive_applied_twice, "directives ordered", "1 doubled, e.g. d1"),
        (directive_that_was_never_ordered, "directives ordered", "1 stray, e.g. d9"),
        (reversal_confirmed_too_early, "reversals ordered", "1 doubled, e.g. r2"),
        (reversal_never_confirmed, "reversals ordered", "1 lost, e.g. r1"),
        (directive_superseded_and_applied, "directives ordered", "1 doubled, e.g. d0"),
        (user_left_as_nobody_wanted, "users struck", "1 amiss, e.g. u1 restricts account"),
        (user_undone_who_was_never_struck, "users struck", "1 amiss, e.g. u9 money"),
        (broken_record_swallowed, "broken records sent", "1 lost, e.g. appeal.events[0]@7"),
        (good_record_made_a_dead_letter, "broken records sent", "1 stray, e.g. review.events[1]@3"),
        (dead_letter_written_twice, "broken records sent", "1 doubled, e.g. appeal.events[0]@7"),
    ],
)
def test_imbalance_is_found_in_its_line_and_in_no_other(damage: Callable[[Facts], None], whole: str, word: str):
    found = facts()
    damage(found)
    uneven = [line for line in balance(found) if not line.even]
    assert [line.whole for line in uneven] == [whole]
    assert word in " ".join(uneven[0].faults)


def test_superseded_directive_that_nobody_counts_is_lost_and_its_reversal_not_over():
    found = facts()
    superseded_directive_forgotten(found)
    assert {line.whole for line in balance(found) if not line.even} == {"directives ordered", "reversals ordered"}


def test_user_whose_reversal_is_under_way_is_not_judged_yet():
    assert line_of(facts(), "users struck").parts == {"as if what was overturned had never been": 2, "being undone": 1}


def test_one_lost_and_one_doubled_do_not_cancel_out():
    found = facts()
    lost_appeal(found)
    appeal_answered_twice(found)
    line = line_of(found, "appeals in")
    assert line.difference == 0
    assert not line.even
    assert len(line.faults) == 2


def test_what_workers_had_not_read_is_told_apart_and_is_no_fault():
    found = facts()
    found.appeals_sent.add("a8")
    found.unread_appeals.add("a8")
    found.in_hand.clear()
    found.unread_answers.add("d3")
    found.broken_sent.add(("appeal.events", 0, 9))
    found.unread_broken.add(("appeal.events", 0, 9))
    assert all(line.even for line in balance(found))
    assert line_of(found, "appeals in").parts["unread"] == 1
    assert line_of(found, "directives ordered").parts["answer unread"] == 1
