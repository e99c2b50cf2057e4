"""The queue that the desk makes of a pod's topic: order, leaving, who may take what, old writers."""

import random
import threading

import msgspec
import pytest

from desk.queue import PodQueue
from schemas import Codec, DecodeError
from schemas.catalog import ROOT, history
from schemas.json_form import from_json
from schemas.nodes import parse
from schemas.projection import compile_projection
from schemas.records import AppealWithdrawn, Case, CaseId, Claim
from schemas.vocabulary import Band, CaseState
from tests.unit.builders import T0, a_withdrawal

CODEC = Codec()
TYPICAL = from_json(Case, (ROOT / "examples/Case/typical.json").read_text())


def a_case(number: int = 1, **change: object) -> Case:
    base = {"case_id": f"c-{number}", "state": CaseState.QUEUED, "claim": None, "proposal": None, "second_review": None}
    return msgspec.structs.replace(TYPICAL, **{**base, "rank_at": T0 + number, **change})


def put(queue: PodQueue, case: Case) -> None:
    queue.put(case.case_id, CODEC.encode(case))


def a_queue(*cases: Case) -> PodQueue:
    queue = PodQueue("general", CODEC)
    for case in cases:
        put(queue, case)
    queue.caught_up()
    return queue


def test_cases_are_in_the_order_of_rank_at_whatever_order_they_came_in():
    numbers = list(range(200))
    random.Random(3).shuffle(numbers)
    queue = a_queue(*(a_case(n) for n in numbers[:100]))
    for n in numbers[100:]:
        put(queue, a_case(n))
    assert [entry.rank_at - T0 for entry in queue.in_order()] == sorted(numbers)
    assert [entry.rank_at - T0 for entry in queue.page(50, 10)] == list(range(50, 60))
    assert queue.place("c-120") == 120


def test_a_tombstone_takes_a_case_out_before_and_after_the_end_is_reached():
    queue = PodQueue("general", CODEC)
    put(queue, a_case(1))
    put(queue, a_case(2))
    queue.put("c-1", None)
    queue.caught_up()
    assert [entry.case_id for entry in queue.in_order()] == ["c-2"]
    queue.put("c-2", None)
    queue.put("c-2", None)
    assert len(queue) == 0
    assert queue.states()[CaseState.QUEUED] == 0


def test_a_newer_version_takes_the_place_of_the_one_before():
    queue = a_queue(a_case(1), a_case(2))
    put(queue, a_case(1, rank_at=T0 + 9, version=7, band=Band.P4))
    assert [(entry.case_id, entry.version) for entry in queue.in_order()] == [("c-2", 3), ("c-1", 7)]
    assert queue.bands()[Band.P4] == 1
    assert len(queue) == 2


def test_the_next_case_is_the_first_that_this_person_may_take():
    held = Claim(reviewer="r-2", since=T0, until=T0 + 2)
    queue = a_queue(
        a_case(1, claim=held, state=CaseState.CLAIMED),
        a_case(2, excluded_reviewers=["r-1"]),
        a_case(3, state=CaseState.AWAITING_EVIDENCE),
        a_case(4),
    )
    assert queue.next_for("r-1").case_id == "c-4"
    assert queue.next_for("r-9").case_id == "c-2"
    assert a_queue().next_for("r-1") is None


def test_what_is_no_case_is_counted_and_left_out():
    queue = a_queue(a_case(1))
    queue.put("c-2", b"\xc3\x01nonsense")
    queue.put("c-3", CODEC.encode(a_withdrawal()))
    queue.put("c-4", CODEC.encode(a_case(4))[:-3])
    assert (len(queue), queue.unreadable) == (1, 3)
    put(queue, a_case(2))
    assert len(queue) == 2


def test_a_case_that_has_become_unreadable_leaves_the_queue_rather_than_stay_as_it_was():
    queue = a_queue(a_case(1))
    queue.put("c-1", b"\x00")
    assert len(queue) == 0


def test_the_whole_case_is_what_was_written():
    case = a_case(1, claim=Claim(reviewer="r-2", since=T0, until=T0 + 2), state=CaseState.CLAIMED)
    queue = a_queue(case)
    assert queue.case("c-1") == case
    entry = queue.entry("c-1")
    assert (entry.holder, entry.held_until, entry.excluded) == ("r-2", T0 + 2, tuple(case.excluded_reviewers))
    assert queue.case("c-2") is None


def test_cases_of_writers_that_knew_less_are_read_too():
    oldest = parse(history(Case)[0].schema)
    names = {field.name for field in oldest.fields}
    assert "escalated" not in names, "the oldest version has all fields by now: choose another test"
    with pytest.raises(Exception, match="escalated"):
        compile_projection(oldest, read=["escalated"])
    queue = a_queue()
    queue._glances[CODEC.encode(a_case(1))[:10]] = (None, 10)
    put(queue, a_case(1, claim=Claim(reviewer="r-2", since=T0, until=T0 + 2)))
    assert queue.entry("c-1").holder == "r-2"


def test_whoever_waits_for_a_version_is_woken_by_it():
    queue = a_queue(a_case(1, version=1))
    later = threading.Timer(0.05, lambda: put(queue, a_case(1, version=2)))
    later.start()
    assert queue.wait_for("c-1", 2, 10).version == 2
    later = threading.Timer(0.05, lambda: queue.put("c-1", None))
    later.start()
    assert queue.wait_for("c-1", 3, 10) is None


def test_each_change_is_told_but_not_what_is_read_at_first():
    told: list[CaseId] = []
    queue = PodQueue("general", CODEC, told.append)
    put(queue, a_case(1))
    queue.caught_up()
    assert told == []
    put(queue, a_case(2))
    queue.put("c-1", None)
    assert told == ["c-2", "c-1"]


def test_a_selection_is_kept_until_something_changes():
    queue = a_queue(a_case(1), a_case(2))
    asked: list[str] = []

    def all_of_them(entry):
        asked.append(entry.case_id)
        return True

    assert queue.selection("all", all_of_them) is queue.selection("all", all_of_them)
    assert asked == ["c-1", "c-2"]
    put(queue, a_case(3))
    assert [entry.case_id for entry in queue.selection("all", all_of_them)] == ["c-1", "c-2", "c-3"]
    queue.put("c-1", None)
    assert [entry.case_id for entry in queue.selection("all", all_of_them)] == ["c-2", "c-3"]


def test_the_codec_tells_with_which_schema_bytes_were_written():
    kind, node, begin = CODEC.written_with(CODEC.encode(a_withdrawal()))
    assert (kind, node.name, begin) == (AppealWithdrawn, "recourse.v1.AppealWithdrawn", 10)
    with pytest.raises(DecodeError, match="neither"):
        CODEC.written_with(b"x")
