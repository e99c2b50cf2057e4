"""The balance: even when every appeal ended once, and what it says when not."""

import io
from collections import Counter
from pathlib import Path

import msgspec
from rich.console import Console

from topology.replay.balance import balance
from topology.replay.mapping_file import load_mapping
from topology.replay.outcome import Outcomes
from topology.replay.plan import Plan
from topology.replay.report import show, write_json


def a_plan(**appeals):
    records = Counter({(year, "AppealSubmitted"): 1 for year in appeals.values()})
    return Plan(Path("events.csv"), load_mapping("dmca"), records=records, appeals=dict(appeals))


def test_one_end_for_each_appeal_is_even():
    outcomes = Outcomes(parked={"c", "d"})
    outcomes.opened["a"] += 1
    outcomes.decided["a"].append("moot")
    outcomes.refused["b"].append("untimely")
    outcomes.opened["c"] += 1
    outcomes.withdrawn["e"] += 1
    result = balance(a_plan(a=2014, b=2015, c=2015, d=2015, e=2016), outcomes)
    assert result.even
    year = result.years["2015"]
    assert (year.appeals, year.cases, year.refused, year.parked, year.joined_after_parking) == (
        3,
        1,
        {"untimely": 1},
        1,
        1,
    )
    assert (result.total.decided, result.total.open, result.total.withdrawn) == ({"moot": 1}, 1, 1)


def test_an_appeal_without_a_trace_is_named():
    result = balance(a_plan(a=2014), Outcomes())
    assert not result.even
    assert result.faults[0] == "1 appeals left no trace in the audit, e.g. a"


def test_an_appeal_that_ended_twice_is_named_even_if_the_sum_is_right():
    outcomes = Outcomes()
    outcomes.opened["a"] += 1
    outcomes.refused["a"].append("duplicate")
    result = balance(a_plan(a=2014, b=2014), outcomes)
    assert any("1 appeals ended more than once, e.g. a" in fault for fault in result.faults)
    assert any("left no trace" in fault for fault in result.faults)


def test_an_appeal_that_nobody_sent_is_named():
    outcomes = Outcomes()
    outcomes.opened.update(["a", "ghost"])
    result = balance(a_plan(a=2014), outcomes)
    assert result.faults == ["1 appeals are in the audit, but not in the file, e.g. ghost"]


def test_without_outcomes_only_what_went_in_is_told():
    result = balance(a_plan(a=2014), None)
    assert result.even
    assert not result.processed
    out = io.StringIO()
    show(result, Console(width=200, file=out))
    assert "appeals" in out.getvalue()
    assert "cases" not in out.getvalue()
    assert "ended exactly once" not in out.getvalue()


def test_table_and_json_tell_the_same(tmp_path):
    outcomes = Outcomes()
    outcomes.refused["a"].append("untimely")
    result = balance(a_plan(a=2014), outcomes)
    out = io.StringIO()
    show(result, Console(width=200, file=out))
    assert "1 appeals = 0 cases + 1 refused + 0 parked + 0 withdrawn before a case" in out.getvalue()
    write_json(result, tmp_path / "balance.json")
    document = msgspec.json.decode((tmp_path / "balance.json").read_bytes())
    assert document["even"] is True
    assert document["total"]["refused"] == {"untimely": 1}


def test_on_a_narrow_screen_reasons_are_summed_in_the_table_and_listed_below():
    outcomes = Outcomes()
    outcomes.refused["a"].append("untimely")
    outcomes.refused["b"].append("duplicate")
    result = balance(a_plan(a=2014, b=2014), outcomes)
    narrow, wide = io.StringIO(), io.StringIO()
    show(result, Console(width=80, file=narrow))
    show(result, Console(width=200, file=wide))
    table = narrow.getvalue().split("An appeal and what")[0]
    assert "untimely" not in table
    assert "…" not in table
    assert "refused: duplicate 1, untimely 1" in narrow.getvalue()
    assert "untimely" in wide.getvalue().split("An appeal and what")[0]
