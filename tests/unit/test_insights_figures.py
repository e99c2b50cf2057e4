"""What is published of the counts: rates, load, agreement, times; each when it changes, and a tombstone at its end."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from prometheus_client import generate_latest

from processors.insights.cells import WINDOWS
from processors.insights.facts import Measure, time_bin
from processors.insights.load import pod_load
from processors.insights.quality import Times, decision_time, review_agreement
from processors.insights.rates import overturn_rate
from processors.insights.shard import LINES, Shard
from processors.insights.totals import Published, Totals
from processors.overflow import Marks
from schemas.codec import Codec
from schemas.records import CaseEvent, DecisionTime, Detector, OverturnRate, PodLoad, ReviewAgreement
from schemas.vocabulary import Automation, Band, CaseState, Dimension, Outcome, ReviewSample
from schemas.vocabulary import CaseEventKind as Kind
from tests.unit.builders import DAY, HOUR, MINUTE, T0
from tests.unit.insights_lines import a_decided, a_line
from topology.insights.app import INPUTS
from topology.insights.gauges import OTHER, TOP, show
from topology.insights.in_force import ALONE_MS, NEW_MS, InForce
from topology.insights.run import service_of
from topology.insights.service import Service
from topology.metrics.prometheus import PrometheusMetrics
from topology.rulebook_file import PACKAGED
from topology.settings import Settings
from topology.topics import load_register

DAYS28 = WINDOWS[2]
NOW = T0 // HOUR * HOUR + 30 * MINUTE


def test_rate_says_what_it_was_computed_from():
    counts = {Measure.DECIDED: 40, Measure.OVERTURNED: 12, Measure.MODIFIED: 3}
    key = "detector|fees|d|7|AUTOMATED_DECISION_FULLY"
    rate = overturn_rate(key, counts, DAYS28, NOW, (4.0, 6.0))
    assert rate is not None
    assert (rate.rate_id, rate.dimension, rate.policy) == (f"{key}|2419200", Dimension.DETECTOR, "fees")
    assert (rate.detector, rate.automation) == (Detector(name="d", version="7"), Automation.AUTOMATED_DECISION_FULLY)
    assert (rate.decided, rate.overturned, rate.modified, rate.mean) == (40, 12, 3, 16 / 50)
    assert rate.low < rate.mean < rate.high
    assert rate.window_end - DAY <= NOW < rate.window_end
    assert overturn_rate(key, {Measure.OVERTURNED: 0}, DAYS28, NOW, (4.0, 6.0)) is None


@pytest.mark.parametrize(
    ("key", "fields"),
    [
        ("overall", {"dimension": Dimension.OVERALL, "value": None, "detector": None}),
        ("detector|fees|||", {"policy": "fees", "detector": None, "automation": Automation.UNKNOWN}),
        ("detector_version|a%7Cb|1", {"detector": Detector(name="a|b", version="1"), "policy": None}),
        ("policy|fees", {"dimension": Dimension.POLICY, "value": "fees", "policy": "fees"}),
        ("decider|mod-7", {"dimension": Dimension.DECIDER, "value": "mod-7"}),
        ("region|DE", {"dimension": Dimension.REGION, "value": "DE"}),
    ],
)
def test_slice_is_described_by_its_fields(key: str, fields: dict[str, object]):
    rate = overturn_rate(key, {Measure.DECIDED: 1}, DAYS28, NOW, (4.0, 6.0))
    assert {name: getattr(rate, name) for name in fields} == fields
    assert Codec().decode(Codec().encode(rate), frozenset({OverturnRate})) == rate


def test_load_tells_pace_and_wait_by_band_and_the_urgent_wait_only_for_the_urgent():
    opened = {"P0": [2, 1, 0, 1], "P2": [8, 2, 3, 0]}
    flow = {"P0": {Measure.ARRIVED: 1, Measure.ENDED: 1}, "P2": {Measure.ARRIVED: 3, Measure.ENDED: 4}}
    begun = (NOW // MINUTE // 5 - 11) * 5 * MINUTE
    load = pod_load("general", opened, flow, begun + 30 * MINUTE + 0, begun - HOUR)
    assert (load.open, load.claimed, load.waiting, load.overdue) == (10, 3, 3, 1)
    load = pod_load("general", opened, flow, NOW, NOW - 30 * MINUTE)
    assert (load.arriving_per_hour, load.decided_per_hour) == (8.0, 10.0)
    urgent, rest = load.bands
    assert (urgent.band, urgent.expected_wait_s) == (Band.P0, 720)
    assert (rest.band, rest.expected_wait_s, load.expected_wait_s) == (Band.P2, 3_600, 3_600)


def test_wait_is_unknown_where_nothing_is_decided():
    load = pod_load("general", {"P2": [5, 0, 0, 0]}, {"P2": {Measure.ARRIVED: 5}}, NOW, NOW - HOUR)
    assert load.expected_wait_s is None
    assert load.bands[0].expected_wait_s is None
    assert pod_load("general", {}, {}, NOW, 0).bands == []


def test_agreement_is_told_of_each_sample_apart():
    counts = {Measure.COMPARED: 50, Measure.AGREED: 30, Measure.COMPARED_QUALITY: 20, Measure.AGREED_QUALITY: 19}
    quality = review_agreement("language|de", ReviewSample.QUALITY_SAMPLE, counts, DAYS28, NOW)
    assert quality is not None
    assert (quality.compared, quality.agreed, quality.value) == (20, 19, "de")
    assert quality.mean == pytest.approx(19.5 / 21)
    assert review_agreement("language|de", ReviewSample.BLIND_SAMPLE, counts, DAYS28, NOW) is None


def test_times_are_the_quantiles_of_what_was_counted_within_a_bin():
    seconds = [60 * n for n in range(1, 1_001)]
    counts: dict[int, int] = {}
    for each in seconds:
        counts[time_bin(each)] = counts.get(time_bin(each), 0) + 1
    found = decision_time("region|DE", counts, DAYS28, NOW)
    assert found is not None
    assert found.decided == 1_000
    assert found.median_s == pytest.approx(30_000, rel=0.05)
    assert found.p90_s == pytest.approx(54_000, rel=0.05)
    assert found.median_low_s < found.median_s < found.median_high_s
    assert found.median_high_s / found.median_low_s < 1.25
    assert decision_time("region|DE", {Measure.DECIDED: 3}, DAYS28, NOW) is None
    assert Times({8: 1}).at(1) == pytest.approx(2 ** (9 / 4))


def figures(totals: Totals, now: int) -> list[Published]:
    return totals.publish(now)


def told(*lines: object, totals: Totals | None = None, shard: Shard | None = None) -> tuple[Totals, Shard]:
    totals = totals or Totals(grace_ms=HOUR, prior=(4.0, 6.0))
    shard = shard or Shard(HOUR)
    for line in lines:
        shard.take(LINES, shard.position(LINES).offset + 1, line)  # type: ignore[arg-type]
    for key, value in shard.partials():
        totals.take(totals.offset + 1, f"0|{key}", value)
    return totals, shard


def test_what_has_not_changed_is_not_published_again_and_after_a_start_all_of_it_is():
    totals, shard = told(a_decided(NOW, outcome=Outcome.OVERTURNED))
    first = figures(totals, NOW)
    assert {type(p.record) for p in first} == {OverturnRate, PodLoad, DecisionTime}
    assert figures(totals, NOW) == []
    told(a_decided(NOW, "c-2"), totals=totals, shard=shard)
    assert {p.key for p in figures(totals, NOW)} == {p.key for p in first}
    again = Totals(grace_ms=HOUR, prior=(4.0, 6.0))
    again.load((key, value) for key, value in totals.writes() if value is not None)
    assert {p.key for p in figures(again, NOW)} == {p.key for p in first}


def test_figure_ends_with_a_tombstone_when_its_window_has_passed():
    totals, _ = told(a_decided(NOW, outcome=Outcome.OVERTURNED))
    figures(totals, NOW)
    after = {p.key: p.record for p in figures(totals, NOW + HOUR + 5 * MINUTE) if p.topic != "pod.load"}
    assert after["region|DE|3600"] is None
    assert after["time|region|DE|3600"] is None
    assert "region|DE|86400" not in after


def test_second_looks_are_published_as_agreement():
    saw = {"how": "confirmed", "first_reviewer": "r-1", "second_reviewer": "r-2", "because": "quality_sample"}
    totals, _ = told(a_decided(NOW, saw=saw))
    found = [p.record for p in figures(totals, NOW) if isinstance(p.record, ReviewAgreement)]
    assert {(a.dimension, a.sample) for a in found if a.window_s == 3_600} == {
        (dimension, sample)
        for dimension in (Dimension.OVERALL, Dimension.POLICY, Dimension.REVIEWER, Dimension.LANGUAGE, Dimension.REGION)
        for sample in (ReviewSample.ALL, ReviewSample.QUALITY_SAMPLE)
    }


def test_case_that_moves_leaves_one_pod_and_adds_to_the_other():
    totals, _ = told(
        a_line(Kind.CASE_OPENED, NOW),
        a_line(Kind.PROMISE_MISSED, NOW),
        a_line(Kind.CASE_REFERRED, NOW, pod="legal", band=Band.P1, saw={"from": "general"}),
        a_line(Kind.CASE_HELD, NOW, pod="legal", band=Band.P1),
    )
    [general, legal] = sorted((p.record for p in figures(totals, NOW)), key=lambda load: load.pod)  # type: ignore[union-attr]
    assert isinstance(general, PodLoad)
    assert isinstance(legal, PodLoad)
    assert (general.open, [b.open for b in general.bands]) == (0, [0])
    assert (legal.open, legal.waiting, legal.overdue, legal.bands[0].band) == (1, 1, 1, Band.P1)


# --- the service around them


def a_service(metrics: PrometheusMetrics, *, wall: bool = True) -> Service:
    register = load_register()
    return Service(
        partitions=2,
        codec=Codec(),
        allowed={source: register.by_name[name] for source, name in INPUTS.items()},
        metrics=metrics,
        grace_ms=HOUR,
        prior=(4.0, 6.0),
        wall=wall,
    )


class Wire:
    """Keeps what a service writes, and hands shares back to it."""

    def __init__(self, service: Service) -> None:
        self.kept: dict[bytes, bytes] = {}
        self.published: list[tuple[str, bytes, object]] = []
        self._service = service
        self._ends = [0, 0]

    def keep(self, partition: int, key: bytes, value: bytes | None) -> None:
        assert key.startswith(b"%d|" % partition)
        if value is None:
            self.kept.pop(key, None)
        else:
            self.kept[key] = value

    def share(self, partition: int, key: bytes, value: bytes | None) -> None:
        self._service.take_share(partition, self._ends[partition], key, value)
        self._ends[partition] += 1

    def publish(self, topic: str, key: bytes, record: object) -> None:
        self.published.append((topic, key, record))


def fed(metrics: PrometheusMetrics, *lines: object, wall: bool = True) -> tuple[Service, Wire]:
    return fed_to(a_service(metrics, wall=wall), *lines)


def fed_to(service: Service, *lines: object) -> tuple[Service, Wire]:
    service.assign(range(2), ())
    wire = Wire(service)
    for offset, line in enumerate(lines):
        service.take(LINES, offset % 2, offset, Codec().encode(line), NOW)  # type: ignore[arg-type]
    service.tick(NOW, wire)
    service.tick(NOW, wire)
    return service, wire


def test_pods_overflow_by_the_marks_of_the_installations_rulebook(tmp_path: Path):
    rulebook = tmp_path / "rulebook.yaml"
    rulebook.write_text(PACKAGED.read_text().replace("{above: 500, below: 400}", "{above: 2, below: 1}"))
    full = {}
    for book in (None, rulebook):
        settings = Settings(rulebook=book)
        service = service_of(
            settings, load_register(), Codec(), PrometheusMetrics(role="insights", strict=True), partitions=2
        )
        _, wire = fed_to(service, *(a_line(Kind.CASE_OPENED, NOW, f"c-{n}", pod="payments") for n in range(3)))
        [load] = [record for topic, _, record in wire.published if topic == "pod.load"][-1:]
        assert isinstance(load, PodLoad)
        full[book] = load.overflowing
    assert full == {None: False, rulebook: True}


def exposed(metrics: PrometheusMetrics) -> list[str]:
    return [line for line in generate_latest(metrics.registry).decode().splitlines() if not line.startswith("#")]


def test_partitions_are_added_up_and_taken_up_again_from_what_was_kept():
    service, wire = fed(PrometheusMetrics(role="insights", strict=True), *(a_decided(NOW, f"c-{n}") for n in range(7)))
    rates = {key: record for topic, key, record in wire.published if topic == "insights.overturn-rates"}
    assert rates[b"overall|3600"].decided == 7  # type: ignore[attr-defined]
    assert [service.position(LINES, p) for p in (0, 1)] == [6, 5]
    again = a_service(PrometheusMetrics(role="insights", strict=True))
    again.assign([1], wire.kept.items())
    assert [again.position(LINES, p) for p in (0, 1)] == [None, 5]
    assert again.position("shares", 1) == service.position("shares", 1)


def test_unreadable_records_and_those_of_others_are_counted_as_such_and_passed():
    metrics = PrometheusMetrics(role="insights", strict=True)
    service, _ = fed(metrics, a_decided(NOW))
    service.take(LINES, 0, 5, b"nonsense", NOW)
    service.take(LINES, 0, 6, None, NOW)
    service.take(LINES, 9, 6, b"nonsense", NOW)
    shown = [line for line in exposed(metrics) if line.startswith("recourse_insights_records_total")]
    found = {line.split("{")[1] for line in shown if not line.endswith(" 0.0")}
    assert found == {
        'fate="counted",source="lines"} 1.0',
        'fate="unreadable",source="lines"} 1.0',
        'fate="unaffected",source="lines"} 1.0',
    }
    assert service.position(LINES, 0) == 6


def test_by_the_clock_of_the_records_windows_end_with_the_newest_of_them():
    line = a_decided(NOW - 300 * DAY)
    _, by_wall = fed(PrometheusMetrics(role="insights", strict=True), line)
    _, by_records = fed(PrometheusMetrics(role="insights", strict=True), line, wall=False)
    assert b"overall|3600" not in {key for _, key, record in by_wall.published if record is not None}
    assert b"overall|3600" in {key for _, key, record in by_records.published if record is not None}


def test_labels_are_bounded_and_what_has_gone_is_not_shown():
    metrics = PrometheusMetrics(role="insights", strict=True)
    lines = [a_decided(NOW, f"c-{n}", saw={"detector_version": str(min(n, 40))}) for n in range(60)]
    service, _ = fed(metrics, *lines)
    show(service, metrics, NOW)
    shown = [line for line in exposed(metrics) if "insights_decided_appeals{" in line and 'window_s="3600"' in line]
    versions = [line for line in shown if 'dimension="detector_version"' in line]
    assert len(versions) == TOP + 1
    assert sum(float(line.split()[-1]) for line in versions) == 60
    assert any(f'of="{OTHER}"' in line for line in versions)
    assert not any("r-1" in line for line in exposed(metrics))
    show(service, metrics, NOW + 40 * DAY)
    gone = [line for line in exposed(metrics) if "insights_decided_appeals{" in line]
    assert {line.split()[-1] for line in gone} <= {"0.0"}
    service.assign([], ())
    show(service, metrics, NOW)
    assert not any("insights_decided_appeals{" in line for line in exposed(metrics))


def test_pods_are_shown_by_band_and_state():
    metrics = PrometheusMetrics(role="insights", strict=True)
    service, _ = fed(metrics, a_line(Kind.CASE_OPENED, NOW), a_line(Kind.CASE_CLAIMED, NOW, "c-2"))
    show(service, metrics, NOW)
    assert 'recourse_cases_open{band="P2",pod="general",state="queued"} 1.0' in exposed(metrics)
    assert 'recourse_cases_open{band="P2",pod="general",state="claimed"} 1.0' in exposed(metrics)
    assert 'recourse_cases_overdue{band="P2",pod="general"} 0.0' in exposed(metrics)


def test_cases_are_shown_in_the_states_that_they_are_in_and_add_up():
    metrics = PrometheusMetrics(role="insights", strict=True)
    states = [CaseState.QUEUED, CaseState.CLAIMED, CaseState.AWAITING_EVIDENCE, CaseState.ON_HOLD]
    states += [CaseState.SECOND_REVIEW] * 2
    opened = [a_line(Kind.CASE_OPENED, NOW, f"c-{n}") for n in range(len(states))]
    moved = [a_line(Kind.CASE_HELD, NOW + n, f"c-{n}", state=state) for n, state in enumerate(states)]
    missed = [a_line(Kind.DEADLINE_MISSED, NOW + 9, "c-0", state=CaseState.QUEUED)]
    ended = [a_decided(NOW + 10, "c-1"), a_decided(NOW + 11, "c-0")]
    service, _ = fed(metrics, *opened, *moved, *missed)
    show(service, metrics, NOW)
    lines = [line for line in exposed(metrics) if line.startswith(("recourse_cases_open", "recourse_cases_overdue"))]
    shown = {line.split('state="')[1].split('"')[0] if "state" in line else "overdue": line[-3:] for line in lines}
    wanted = dict.fromkeys(["queued", "claimed", "awaiting_evidence", "on_hold", "overdue"], "1.0")
    assert shown == wanted | {"second_review": "2.0"}
    service, _ = fed(metrics, *opened, *moved, *missed, *ended)
    show(service, metrics, NOW)
    labels = 'band="P2",deadline="{}",pod="general",result="{}",window_s="3600"'
    for deadline, result, number in (
        ("promised", "met", 2), ("promised", "missed", 0), ("regulatory", "met", 1), ("regulatory", "missed", 1),
    ):  # fmt: skip
        assert f"recourse_deadlines{{{labels.format(deadline, result)}}} {number}.0" in exposed(metrics)


def test_reversals_are_shown_by_state_and_age_and_the_oldest_of_each():
    metrics = PrometheusMetrics(role="insights", strict=True)
    ages = {"r-1": 30 * MINUTE, "r-2": 5 * HOUR, "r-3": 6 * DAY, "r-4": 9 * DAY}
    about = {"pod": None, "band": None, "state": None}
    ordered = [
        a_line(Kind.REVERSAL_ORDERED, NOW - age, name, saw={"reversal_id": name}, **about)
        for name, age in sorted(ages.items(), reverse=True)
    ]
    stalled = a_line(Kind.REVERSAL_STALLED, NOW, "r-4", seq=2, saw={"reversal_id": "r-4"}, **about)
    done = a_line(Kind.REVERSAL_CONFIRMED, NOW, "r-1", seq=2, saw={"reversal_id": "r-1"}, **about)
    service, _ = fed(metrics, *ordered, stalled)
    show(service, metrics, NOW)
    lines = [line for line in exposed(metrics) if line.startswith("recourse_reversal") and not line.endswith(" 0.0")]
    assert lines == [
        'recourse_reversals_open{age="1h",state="running"} 1.0',
        'recourse_reversals_open{age="1d",state="running"} 1.0',
        'recourse_reversals_open{age="7d",state="running"} 1.0',
        'recourse_reversals_open{age="older",state="stalled"} 1.0',
        f'recourse_reversal_oldest_seconds{{state="running"}} {float(6 * DAY // 1_000)}',
        f'recourse_reversal_oldest_seconds{{state="stalled"}} {float(9 * DAY // 1_000)}',
    ]
    service, _ = fed(metrics, *ordered, stalled, done)
    show(service, metrics, NOW)
    assert 'recourse_reversals_open{age="1h",state="running"} 0.0' in exposed(metrics)


def test_misfire_is_published_before_it_is_kept_that_it_is_known():
    lines = [a_decided(NOW, f"c-{n}", Outcome.OVERTURNED) for n in range(60)]
    metrics = PrometheusMetrics(role="insights", strict=True)
    service = a_service(metrics)
    service.assign(range(2), ())
    wire = Wire(service)
    for offset, line in enumerate(lines):
        service.take(LINES, offset % 2, offset, Codec().encode(line), NOW)
    service.tick(NOW, wire)
    while not any(topic == "misfire.alerts" for topic, _, _ in wire.published):
        service.tick(NOW, wire)
    known = [key for key in wire.kept if b"|b|m|" in key]
    assert known == []  # a crash here tells it again, under the same id
    again = a_service(PrometheusMetrics(role="insights", strict=True))
    again.assign(range(2), wire.kept.items())
    other = Wire(again)
    again.tick(NOW, other)
    [alert] = [record for topic, _, record in other.published if topic == "misfire.alerts"]
    [first] = [record for topic, _, record in wire.published if topic == "misfire.alerts"]
    assert msgspec.structs.replace(first, raised_at=0) == msgspec.structs.replace(alert, raised_at=0)  # type: ignore[type-var]
    service.tick(NOW, wire)
    assert [key for key in wire.kept if b"|b|m|" in key]


def test_overflow_is_a_latch_that_survives_a_restart():
    marks = {"general": Marks(above=4, below=2, fresh_ms=HOUR)}
    totals = Totals(grace_ms=HOUR, prior=(4.0, 6.0), marks=marks)
    shard = Shard(HOUR)
    kept: dict[str, bytes | None] = {}

    def overflowing(*lines: object) -> bool:
        nonlocal totals
        told(*lines, totals=totals, shard=shard)
        [load] = [p.record for p in totals.publish(NOW) if isinstance(p.record, PodLoad)]
        kept.update(totals.writes())
        totals = Totals(grace_ms=HOUR, prior=(4.0, 6.0), marks=marks)
        totals.load((key, value) for key, value in kept.items() if value is not None)
        return load.overflowing

    assert not overflowing(*(a_line(Kind.CASE_OPENED, NOW, f"c-{n}") for n in range(4)))
    assert not overflowing(a_line(Kind.CASE_HELD, NOW, "c-9"))  # waits for something else than a specialist
    assert overflowing(a_line(Kind.CASE_OPENED, NOW, "c-5"))
    assert overflowing(a_decided(NOW, "c-1"), a_decided(NOW, "c-2"))
    assert not overflowing(a_decided(NOW, "c-3"))


def test_figures_that_stay_as_they_are_are_told_again_so_that_their_age_shows_that_somebody_looks():
    totals, _ = told(a_line(Kind.CASE_OPENED, NOW), a_decided(NOW - 30 * MINUTE, "c-2"))
    totals.publish(NOW)
    assert [p.key for p in totals.publish(NOW + 5 * MINUTE) if p.topic == "pod.load"] == ["general"]
    again = [p.record for n in range(1, 5) for p in totals.publish(NOW + n * 5 * MINUTE) if p.key == "overall|3600"]
    assert len(again) == 1
    assert isinstance(again[0], OverturnRate)
    assert again[0].window_end > NOW + 5 * MINUTE


# --- the rulebook in force


def by_rulebook(digest: str, at: int, case: str) -> CaseEvent:
    return a_line(Kind.CASE_OPENED, at, case, rulebook_digest=digest)


def test_another_rulebook_is_in_force_when_its_lines_have_been_alone_for_a_while():
    in_force = InForce("old")
    in_force.saw(by_rulebook("old", NOW, "c-1"), NOW)
    in_force.saw(by_rulebook("new", NOW, "c-2"), NOW)
    assert in_force.changed_to(NOW + ALONE_MS - 1) is None
    in_force.saw(by_rulebook("old", NOW, "c-3"), NOW + 1_000)  # a worker that has not been replaced yet
    assert in_force.changed_to(NOW + 10 * ALONE_MS) is None
    in_force.saw(by_rulebook("new", NOW, "c-4"), NOW + 2_000)
    assert in_force.changed_to(NOW + 2_000 + ALONE_MS - 1) is None
    assert in_force.changed_to(NOW + 2_000 + ALONE_MS) == "new"


def test_old_lines_that_are_read_late_do_not_tell_what_is_in_force():
    in_force = InForce("now")
    in_force.saw(by_rulebook("then", NOW - NEW_MS, "c-1"), NOW)
    assert in_force.changed_to(NOW + DAY) is None


def test_rulebook_that_cannot_be_had_is_asked_for_once():
    in_force = InForce("old")
    in_force.saw(by_rulebook("lost", NOW, "c-1"), NOW)
    assert in_force.changed_to(NOW + DAY) == "lost"
    in_force.give_up("lost")
    assert in_force.changed_to(NOW + DAY) is None
    in_force.saw(by_rulebook("new", NOW, "c-2"), NOW)
    assert in_force.changed_to(NOW + DAY) == "new"


def test_rulebook_that_cannot_be_read_now_is_asked_for_again():
    in_force = InForce("old")
    in_force.saw(by_rulebook("new", NOW, "c-1"), NOW)
    in_force.try_later(NOW + DAY)
    assert in_force.changed_to(NOW + DAY + ALONE_MS - 1) is None
    assert in_force.changed_to(NOW + DAY + ALONE_MS) == "new"


def test_loads_are_looked_at_anew_by_the_marks_of_another_rulebook():
    opened = (a_line(Kind.CASE_OPENED, NOW - MINUTE, f"c-{n}") for n in range(3))
    service, wire = fed(PrometheusMetrics(role="insights", strict=True), *opened)

    def overflowing() -> list[bool]:
        return [record.overflowing for _, _, record in wire.published if isinstance(record, PodLoad)]

    assert overflowing()[-1:] == [False]
    service.go_by("new", {"general": Marks(above=2, below=1, fresh_ms=HOUR)})
    service.tick(NOW, wire)
    assert (service.in_force.digest, overflowing()[-1:]) == ("new", [True])
