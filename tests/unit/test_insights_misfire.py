"""A detector version that goes wrong is found, against what it was compared with; one that does not is left alone."""

from __future__ import annotations

import json
import random
from itertools import product
from math import comb, exp
from typing import Any

import pytest

from bench.misfire import Steady, Turned, alarm_after, exactly, main
from processors.insights.cells import Cube
from processors.insights.facts import Measure
from processors.insights.misfire import RULES, STARTS, findings, log_ratio, suffixes
from processors.insights.watch import Struck, Watch, evidence, predecessor
from schemas.records import MisfireSuspected
from schemas.vocabulary import MisfireBaseline, MisfireKind
from tests.unit.builders import DAY, HOUR, T0

NOW = T0 // DAY * DAY + 12 * HOUR
OVERTURNS = MisfireKind.OVERTURN_RATE


def a_cube(*counted: tuple[int, int, int], of: Measure = Measure.DECIDED, hits: Measure = Measure.OVERTURNED) -> Cube:
    """At so many ms ago: n and hits."""
    cube = Cube(rings=[])
    for ago, n, hit in counted:
        cube.add(NOW - ago, ((of, n), (hits, hit)), HOUR)
    return cube


def look(struck: Struck, watch: Watch | None = None, now: int = NOW) -> list[MisfireSuspected]:
    alerts, _ = (watch or Watch()).look("d", struck, now)
    return [alert for _, alert in alerts]


def test_version_that_is_overturned_far_more_often_than_before_is_named_with_its_cohort():
    cube = a_cube((9 * DAY, 400, 20), (2 * HOUR, 20, 12), (HOUR, 20, 11))
    [alert] = look({"1": {"fees": [cube]}})
    assert alert.kind is OVERTURNS
    assert alert.baseline_of is MisfireBaseline.OWN
    assert (alert.n, alert.hits, alert.rate) == (40, 23, 23 / 40)
    assert 0.05 < alert.baseline < 0.1
    assert alert.statistic > alert.threshold
    assert alert.since == alert.issued_from == (NOW - 2 * HOUR) // HOUR * HOUR
    assert alert.until == alert.issued_until == alert.raised_at == NOW
    assert (alert.detector.name, alert.detector.version, alert.policy) == ("d", "1", "fees")


def test_new_version_is_compared_with_the_one_before_it_from_its_first_case_on():
    old, new = a_cube((20 * DAY, 300, 15)), a_cube((3 * HOUR, 60, 30))
    [alert] = look({"2": {"fees": [new]}, "1": {"fees": [old]}})
    assert (alert.detector.version, alert.baseline_of, alert.predecessor) == ("2", MisfireBaseline.PREDECESSOR, "1")


def test_predecessor_is_the_newest_version_before_of_which_enough_is_known():
    struck: Struck = {
        "old": {"": [a_cube((20 * DAY, 300, 15))]},
        "mid": {"": [a_cube((9 * DAY, 300, 15))]},
        "few": {"": [a_cube((5 * DAY, 10, 1))]},
        "new": {"": [a_cube((HOUR, 10, 1))]},
    }
    seen = evidence(struck, RULES[OVERTURNS], NOW)
    assert list(seen) == ["old", "mid", "few", "new"]
    found = {version: predecessor(version, seen, RULES[OVERTURNS]) for version in seen}
    assert found == {"old": None, "mid": "old", "few": "mid", "new": "mid"}


def test_version_without_history_or_predecessor_is_held_against_what_is_assumed():
    [alert] = look({"1": {"fees": [a_cube((HOUR, 60, 55))]}})
    assert (alert.baseline_of, alert.baseline) == (MisfireBaseline.ASSUMED, 0.5)
    assert look({"1": {"fees": [a_cube((HOUR, 60, 33))]}}) == []


@pytest.mark.parametrize("version", [{"fees": [a_cube((9 * DAY, 400, 170), (HOUR, 60, 27))]}, {"fees": []}])
def test_usual_rate_and_no_cases_raise_nothing(version: Any):
    assert look({"1": version}) == []


def test_a_handful_of_overturns_is_not_enough_however_low_the_baseline():
    assert look({"1": {"fees": [a_cube((9 * DAY, 5_000, 0), (HOUR, 4, 4))]}}) == []


def test_appeals_alone_raise_an_alert_before_anything_is_decided():
    cube = a_cube((9 * DAY, 2_000, 40), (3 * HOUR, 300, 45), of=Measure.ISSUED, hits=Measure.APPEALED)
    [alert] = look({"1": {"fees": [cube]}})
    assert (alert.kind, alert.n, alert.hits) == (MisfireKind.APPEAL_RATE, 300, 45)


def test_each_misfire_is_told_once_and_again_after_it_was_gone():
    watch = Watch()
    bad: Struck = {"1": {"fees": [a_cube((9 * DAY, 400, 20), (2 * HOUR, 40, 23))]}}
    assert len(look(bad, watch)) == 1
    assert look(bad, watch) == []
    better: Struck = {"1": {"fees": [a_cube((9 * DAY, 400, 20), (2 * HOUR, 40, 2))]}}
    _, cleared = watch.look("d", better, NOW)
    assert cleared == ["overturn_rate|misfire|d|1"]
    assert len(look(bad, watch)) == 1


def test_policy_is_named_only_if_the_version_erred_under_no_other():
    wrong = a_cube((9 * DAY, 200, 10), (2 * HOUR, 40, 23))
    right = a_cube((9 * DAY, 200, 10), (2 * HOUR, 20, 0))
    [alert] = look({"1": {"fees": [wrong], "fraud": [right]}})
    assert alert.policy == "fees"
    [alert] = look({"1": {"fees": [wrong], "fraud": [wrong]}})
    assert alert.policy is None


def test_ratio_is_a_supermartingale_so_that_looking_often_does_no_harm():
    """Its mean over all outcomes of n cases is at most 1 at the baseline and below."""
    for rate in (0.05, 0.03):
        for n in (1, 5, 40):
            mean = sum(comb(n, k) * rate**k * (1 - rate) ** (n - k) * exp(log_ratio(n, k, 0.05)) for k in range(n + 1))
            assert mean <= 1 + 1e-9
            assert rate < 0.05 or mean == pytest.approx(1)


def test_starts_share_one_bet_so_that_many_of_them_accuse_nobody():
    """Its mean over all outcomes at the assumed rate is the share of the starts that saw anything."""
    rules = RULES[OVERTURNS]._replace(least_hits=0)
    now, mean = T0 // DAY * DAY + 12 * HOUR, 0.0
    for outcomes in product((0, 1), repeat=6):
        hours = {now // HOUR - n: {Measure.DECIDED: 1, Measure.OVERTURNED: hit} for n, hit in enumerate(outcomes)}
        days = {now // DAY: {Measure.DECIDED: 6, Measure.OVERTURNED: sum(outcomes)}}
        [found] = findings(suffixes(hours, days, rules), rules, None)
        mean += exp(found.statistic) / 2**6
    assert mean == pytest.approx(7 / STARTS)


def test_steady_versions_are_hardly_ever_accused_and_bad_ones_soon():
    """Small runs of `bench/misfire.py`, which has the table: the promises must hold with room to spare."""
    assert sum(alarm_after(Steady(0.05), random.Random(seed)) is not None for seed in range(15)) <= 1
    delays = [alarm_after(Turned(0.05, 0.30), random.Random(seed)) for seed in range(5)]
    assert all(delay is not None and delay <= 150 for delay in delays)


def test_interval_of_a_share_is_that_of_clopper_and_pearson():
    assert exactly(0, 400) == (0.0, pytest.approx(1 - 0.025 ** (1 / 400)))
    assert exactly(400, 400) == (pytest.approx(0.025 ** (1 / 400)), 1.0)
    low, high = exactly(2, 30)
    assert sum(comb(30, k) * high**k * (1 - high) ** (30 - k) for k in range(3)) == pytest.approx(0.025)
    assert sum(comb(30, k) * low**k * (1 - low) ** (30 - k) for k in range(2, 31)) == pytest.approx(0.025)


def test_simulation_gives_the_same_figures_over_any_number_of_processes(capsys: pytest.CaptureFixture[str]):
    found: list[object] = []
    for processes in ("1", "2"):
        assert main(["--runs", "0", "--wrong", "6", "--only", "20 % to", "--json", "--processes", processes]) == 0
        found.append(json.loads(capsys.readouterr().out))
    assert found[0] == found[1]
    [delays] = found[0]["delays"].values()  # type: ignore[index]
    assert len(delays) == 6
    assert any(delays)
