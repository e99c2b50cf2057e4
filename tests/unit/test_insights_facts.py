"""What each kind of line adds to which counts; and that the engine's lines really carry it."""

from __future__ import annotations

from collections import Counter

import pytest

from processors.insights.facts import Measure, of_enforcement, of_line, time_bin
from processors.insights.slices import parts_of, place, slice_key
from schemas.records import CaseEvent, Detector
from schemas.vocabulary import Band, CaseEventKind, CaseOrigin, Outcome
from tests.unit.builders import HOUR, MINUTE, T0, a_confirmation, a_decision, a_return, decided
from tests.unit.insights_lines import a_decided, a_line, issued
from tests.unit.lives import LOOKED_AT, T1, looked_at

Kind = CaseEventKind


def counted(line: CaseEvent) -> dict[str, dict[int, int]]:
    found: dict[str, Counter[int]] = {}
    for fact in of_line(line):
        found.setdefault(fact.key, Counter()).update(dict(fact.counts))
    return {key: {m: n for m, n in by.items() if m < 100} for key, by in found.items()}


def test_overturned_appeal_counts_in_every_slice_that_it_belongs_to():
    line = a_decided(outcome=Outcome.OVERTURNED, saw={"decided_by": "mod-7"})
    both = {Measure.DECIDED: 1, Measure.OVERTURNED: 1}
    assert counted(line) == {
        "overall": both,
        "detector|fees|d|1|AUTOMATED_DECISION_FULLY": both,
        "detector_version|d|1": both,
        "policy|fees": both,
        "decider|mod-7": both,
        "reviewer|r-1": both,
        "language|de": both,
        "region|DE": both,
        "misfire|d|1|fees": both,
        "load|general|P2": {Measure.ENDED: 1},
    }


def test_misfire_is_counted_by_when_the_enforcement_was_issued_and_all_else_by_when_it_was_decided():
    times = {fact.key.partition("|")[0]: fact.at for fact in of_line(a_decided(T0))}
    assert times.pop("misfire") == T0 - HOUR
    assert set(times.values()) == {T0}


@pytest.mark.parametrize(
    "line",
    [
        a_decided(outcome=Outcome.OVERTURNED, saw={"how": "rule"}),
        a_decided(outcome=Outcome.OVERTURNED, saw={"how": ""}),
        a_decided(outcome=Outcome.WITHDRAWN),
        a_decided(outcome=Outcome.MOOT),
        a_decided(outcome=Outcome.DISMISSED),
        a_decided(outcome=Outcome.REMANDED),
        a_decided(outcome=Outcome.OVERTURNED, saw={"origin": CaseOrigin.CASCADE.value}),
    ],
    ids=["rule", "remedy", "withdrawn", "moot", "dismissed", "remanded", "no appeal"],
)
def test_what_no_person_decided_on_the_merits_of_an_appeal_ends_a_case_and_counts_for_nothing_else(line: CaseEvent):
    assert counted(line) == {"load|general|P2": {Measure.ENDED: 1}}


def test_modified_is_decided_and_not_overturned():
    assert counted(a_decided(outcome=Outcome.MODIFIED))["overall"] == {Measure.DECIDED: 1, Measure.MODIFIED: 1}


def test_confirmed_decision_is_a_comparison_that_agreed_in_the_samples_that_drew_it():
    saw = {"how": "confirmed", "first_reviewer": "r-1", "second_reviewer": "r-2", "because": "amount,quality_sample"}
    found = counted(a_decided(saw=saw))
    agreed = {
        Measure.COMPARED: 1,
        Measure.COMPARED_QUALITY: 1,
        Measure.AGREED: 1,
        Measure.AGREED_QUALITY: 1,
    }
    assert found["overall"] == {Measure.DECIDED: 1} | agreed
    assert found["reviewer|r-1"] == {Measure.DECIDED: 1} | agreed
    assert "reviewer|r-2" not in found


def test_case_comes_to_a_pod_when_opened_and_when_it_moves_there():
    opened = a_line(Kind.CASE_OPENED)
    assert counted(opened)["load|general|P2"] == {Measure.ARRIVED: 1}
    assert counted(opened)["misfire|d|1|fees"] == {Measure.APPEALED: 1}
    moved = a_line(Kind.CASE_REFERRED, pod="legal", band=Band.P1, saw={"from": "general"})
    assert counted(moved) == {"load|legal|P1": {Measure.ARRIVED: 1}}
    stayed = a_line(Kind.CASE_ESCALATED, pod="lead", saw={"from": "lead"})
    assert counted(stayed) == {}
    assert counted(a_line(Kind.BAND_RAISED, saw={"from": "P3"})) == {}


def test_enforcement_counts_for_its_detector_version_and_rule_and_without_a_detector_for_nothing():
    [fact] = of_enforcement(issued(T0, version="2"))
    assert (fact.key, fact.at, fact.counts) == ("misfire|d|2|counterfeit", T0, ((Measure.ISSUED, 1),))
    assert of_enforcement(issued(T0, detector=None)) == []


def test_bars_and_percent_signs_in_names_do_not_mix_slices_up():
    names = ["a|b", "%7C", "%", "", "|"]
    keys = {slice_key("policy", name) for name in names}
    assert len(keys) == len(names)
    assert [parts_of(slice_key("policy", name)) for name in names] == [["policy", name] for name in names]


def test_versions_of_a_detector_and_bands_of_a_pod_are_added_up_in_one_place():
    for partitions in (1, 3, 8):
        assert len({place(slice_key("misfire", "d", v, p), partitions) for v in "abcdef" for p in "xyz"}) == 1
        assert len({place(slice_key(k, "general", *rest), partitions) for k, *rest in (("load", "P0"), ("open",))}) == 1
    assert len({place(slice_key("policy", str(n)), 8) for n in range(100)}) == 8


def test_time_bins_are_a_fourth_of_a_doubling():
    assert [time_bin(s) - 100 for s in (0, 1, 2, 3, 4, 1024, 1e300)] == [0, 0, 4, 6, 8, 40, 150]


# --- the engine's own lines


def test_engines_line_of_a_decision_says_who_decided_the_enforcement_and_when_it_was_issued():
    life = decided(Outcome.OVERTURNED, detector=Detector(name="d", version="7"), decided_by="mod-7")
    [line] = life.lines(Kind.CASE_DECIDED)
    found = counted(line)
    assert found["decider|mod-7"] == found["detector_version|d|7"] == {Measure.DECIDED: 1, Measure.OVERTURNED: 1}
    assert {f.at for f in of_line(line) if f.key.startswith("misfire")} == {T0}
    [opened] = life.lines(Kind.CASE_OPENED)
    assert [f.at for f in of_line(opened) if f.key == "misfire|d|7|" + line.saw["policy"]] == [T0]


def test_engines_lines_of_second_looks_say_why_and_whether_they_agreed():
    life = looked_at(LOOKED_AT)
    life.send(a_return(T1 + 3 * MINUTE, version=life.version()))
    [returned] = life.lines(Kind.DECISION_RETURNED)
    assert counted(returned)["region|" + returned.saw["region"]][Measure.COMPARED] == 1
    assert returned.saw["because"]
    life = looked_at(LOOKED_AT)
    life.send(a_confirmation(T1 + 3 * MINUTE, version=life.version()))
    [line] = life.lines(Kind.CASE_DECIDED)
    assert counted(line)["overall"][Measure.AGREED] == 1
    life = looked_at(LOOKED_AT)
    life.send(a_decision(T1 + 3 * MINUTE, Outcome.OVERTURNED, actor="r-2", version=life.version(), cited=["x-1"]))
    [disputed] = life.lines(Kind.DECISION_DISPUTED)
    assert counted(disputed)["overall"][Measure.COMPARED] == 1
    assert Measure.AGREED not in counted(disputed)["overall"]
    assert disputed.saw["because"]
