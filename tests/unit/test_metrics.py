"""Metrics are rows of data with closed label sets; a name, a label or a value outside of them is a defect."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from prometheus_client import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from processors.insights.cells import WINDOWS
from processors.insights.shard import ENFORCEMENTS, LINES, Fate
from processors.reasons import Stall
from processors.remedy_reasons import Spared
from schemas.errors import DecodeReason
from schemas.vocabulary import Action, Band, CaseState, Dimension, MisfireKind, ReversalCause, ReviewSample
from topology import appeals
from topology.engine import deadletter
from topology.engine.errors import BatchFailed
from topology.engine.transaction import Step
from topology.insights import gauges
from topology.metrics import table
from topology.metrics.labels import NotInSetError, Sets
from topology.metrics.prometheus import PrometheusMetrics
from topology.metrics.row import OTHER, Label, Set
from topology.metrics.table import BY_NAME, PREFIX, PROMISED_S, ROWS

ROOT = Path(__file__).parents[2]
SETS = Sets(pods=("general", "legal"), inputs=("appeal.events",), references=("pod.load",), partitions=("0", "1"))


def text(metrics: PrometheusMetrics) -> str:
    return generate_latest(metrics.registry).decode()


def some_value(label: Label) -> str:
    return (SETS.values(label) or ("x",))[0]


def test_every_row_becomes_a_metric_with_its_help():
    metrics = PrometheusMetrics(SETS, role="all", strict=True)
    live = [(row.name, 1, {label.name: some_value(label) for label in row.labels}) for row in ROWS if row.live]
    metrics.watch(lambda: live)
    put = {"counter": metrics.count, "gauge": metrics.gauge, "histogram": metrics.observe}
    for row in ROWS:
        labels = {label.name: some_value(label) for label in row.labels}
        if row.kind == "info":
            metrics.say(row.name, **labels)
        elif not row.live:
            put[row.kind](row.name, 1, **labels)
    shown = text(metrics)
    for row in ROWS:
        assert re.search(rf"^recourse_{row.name}(_bucket|_info)?[ {{]", shown, re.MULTILINE), row.name
        assert row.help in shown
    assert {family.name for family in text_string_to_metric_families(shown)}, "it can be read back"


def test_a_name_that_is_not_in_the_table_is_a_defect():
    with pytest.raises(KeyError):
        PrometheusMetrics().count("typo_total")


def test_labels_of_another_row_are_a_defect():
    metrics = PrometheusMetrics()
    for labels in ({}, {"reason": "null_key"}, {"reason": "null_key", "input": "appeal.events", "pod": "general"}):
        with pytest.raises(ValueError, match="dead_letters_total has the labels input, reason"):
            metrics.count("dead_letters_total", **labels)


def test_value_outside_its_closed_set_is_loud_where_it_is_to_be():
    metrics = PrometheusMetrics(SETS, role="all", strict=True)
    with pytest.raises(NotInSetError, match="pod='spam'"):
        metrics.count("cases_overflowed_total", pod="spam")
    metrics.watch(lambda: [("input_behind_records", 1, {"input": "appeal.events", "partition": "2"})])
    with pytest.raises(NotInSetError, match="partition='2'"):
        text(metrics)


def test_value_outside_its_closed_set_is_counted_as_other_in_production():
    metrics = PrometheusMetrics(SETS, role="all")
    for pod in ("spam", "eggs", "spam"):
        metrics.count("cases_overflowed_total", pod=pod)
    shown = text(metrics)
    assert 'recourse_cases_overflowed_total{pod="other"} 3.0' in shown
    assert "spam" not in shown
    assert 'recourse_label_values_refused_total{metric="cases_overflowed_total"} 2.0' in shown, "once a value"


def test_what_is_expected_beside_the_list_is_other_and_no_defect():
    metrics = PrometheusMetrics(SETS, strict=True)
    metrics.count("kafka_consumer_errors_total", error="_SOMETHING_NEW")
    assert 'recourse_kafka_consumer_errors_total{error="other"} 1.0' in text(metrics)


def test_names_from_records_are_bounded_and_another_set_of_them_can_be_shown():
    metrics = PrometheusMetrics(SETS, role="insights")
    labels = {"dimension": "policy", "window_s": "3600"}
    for n in range(table.OF.limit + 2):
        metrics.gauge("insights_decided_appeals", n, of=f"policy-{n}", **labels)
    assert text(metrics).count("insights_decided_appeals{") == table.OF.limit + 1
    metrics.forget("insights_decided_appeals")
    metrics.gauge("insights_decided_appeals", 1, of="policy-99", **labels)
    assert text(metrics).count("insights_decided_appeals{") == 1


def test_what_can_be_counted_is_shown_as_nothing_before_it_is():
    shown = text(PrometheusMetrics(SETS))
    assert 'recourse_dead_letters_total{input="appeal.events",reason="handler_raised"} 0.0' in shown
    assert "recourse_transactions_fenced_total 0.0" in shown
    assert 'recourse_appeal_to_case_seconds_bucket{le="30.0"} 0.0' in shown
    assert "insights_" not in shown, "another process's"


def test_histogram_counts_as_prometheus_does():
    metrics = PrometheusMetrics(SETS)
    metrics.observe_all("appeal_to_case_seconds", [0.0, 0.01, 29.9, 30.0, 30.1, 10_000.0])
    found = {
        sample.labels.get("le", sample.name): sample.value
        for family in text_string_to_metric_families(text(metrics))
        if family.name == "recourse_appeal_to_case_seconds"
        for sample in family.samples
    }
    assert (found["0.01"], found["20.0"], found["30.0"], found["45.0"], found["+Inf"]) == (2, 2, 4, 5, 6)
    assert found["recourse_appeal_to_case_seconds_count"] == 6
    assert found["recourse_appeal_to_case_seconds_sum"] == pytest.approx(10_090.01)


def test_native_histogram_is_told_to_whoever_can_read_it():
    metrics = PrometheusMetrics(SETS)
    metrics.observe_all("appeal_to_case_seconds", [0.0, 0.5, 1.0, 1.0, 1.05, 30.0])
    [told] = re.findall(
        r"^recourse_appeal_to_case_seconds (\{.*\})$",
        openmetrics(metrics.with_natives(), version="2.0.0").decode(),
        re.MULTILINE,
    )
    # Bucket i holds (2^((i-1)/8), 2^(i/8)]: 0.5 is -8, 1 is 0, 1.05 is 1, 30 is 40 (2^4.907 = 30.0).
    spans = "positive_spans:[-8:1,7:2,38:1],positive_deltas:[1,1,-1,0]"
    assert told == f"{{count:6,sum:33.55,schema:3,zero_threshold:0.0009765625,zero_count:1,{spans}}}"
    for older in (text(metrics), openmetrics(metrics.with_natives(), version="1.0.0").decode()):
        assert not re.search(r"^recourse_appeal_to_case_seconds ", older, re.MULTILINE)


def test_promise_is_an_edge_of_the_buckets():
    assert PROMISED_S in BY_NAME["appeal_to_case_seconds"].buckets


def test_engine_and_handlers_use_only_names_of_the_table():
    used = set(gauges.GAUGES)
    for path in (*(ROOT / "topology").rglob("*.py"), *(ROOT / "processors").rglob("*.py")):
        text = path.read_text()
        used |= set(
            re.findall(r"(?:(?:metrics|ctx)\.(?:count|gauge|observe|observe_all|say|timed)|rise)\(\s*\"(\w+)\"", text)
        )
        used |= set(re.findall(r"^ +yield \"(\w+)\", .*(?:labels|\})$", text, re.MULTILINE))
    assert used
    assert used <= {row.name for row in ROWS}
    assert {row.name for row in ROWS} - used - {"label_values_refused_total"} == set(), "a row that nothing counts"


def values_of(*names: str) -> set[str]:
    """The listed values of a row's label."""
    row, label = names
    [found] = [each for each in BY_NAME[row].labels if each.name == label]
    assert found.of is Set.LISTED
    return set(found.values)


@pytest.mark.parametrize(
    ("row", "label", "values"),
    [
        ("batch_step_seconds", "step", {step.name.lower() for step in Step}),
        ("reversals_ordered_total", "cause", {*ReversalCause} - {ReversalCause.UNKNOWN}),
        ("reversals_stalled_total", "reason", {*Stall}),
        ("remedy_reversals_total", "action", {*Action}),
        ("remedy_spared_total", "reason", {*Spared}),
        ("cases_open", "band", {*Band}),
        ("cases_open", "state", {*CaseState} - {CaseState.UNKNOWN, CaseState.DECIDED, CaseState.CLOSED}),
        ("insights_records_total", "fate", {*Fate}),
        ("insights_records_total", "source", {LINES, ENFORCEMENTS}),
        ("insights_misfires_total", "kind", {*MisfireKind} - {MisfireKind.UNKNOWN}),
        ("insights_decided_appeals", "dimension", {dimension.value for dimension in gauges.SHOWN}),
        ("insights_decided_appeals", "window_s", {str(window.seconds) for window in WINDOWS}),
        ("insights_review_agreement", "sample", {*ReviewSample} - {ReviewSample.UNKNOWN}),
    ],
)
def test_listed_sets_are_those_that_values_come_from(row: str, label: str, values: set[str]):
    assert values_of(row, label) == {str(value) for value in values}


def test_every_reason_of_a_dead_letter_is_in_the_set():
    engine = {getattr(deadletter, name) for name in vars(deadletter) if name.endswith(("_RAISED", "_KEY", "_VALUE"))}
    ours = {appeals.KEY_MISMATCH, appeals.NULL_VALUE, appeals.FUTURE_EVENT, appeals.IMPOSSIBLE_INPUT}
    assert values_of("dead_letters_total", "reason") == engine | ours | {str(reason) for reason in DecodeReason}


def test_every_way_in_which_a_batch_fails_is_in_the_set():
    ways, found = set(), [BatchFailed]
    while found:
        found = [below for way in found for below in way.__subclasses__() if below.__module__.startswith("topology")]
        ways |= {way.__name__ for way in found}
    assert values_of("batches_failed_total", "kind") == ways


def test_a_name_ends_in_its_unit_or_kind():
    for row in ROWS:
        assert re.fullmatch(r"[a-z][a-z_]*[a-z]", row.name)
        assert row.name.endswith("_total") == (row.kind == "counter"), row.name
        stem = row.name.removesuffix("_total")
        if row.unit in ("seconds", "bytes"):
            assert stem.endswith(row.unit), row.name
        assert bool(row.buckets) == (row.kind == "histogram"), row.name
        assert list(row.buckets) == sorted(set(row.buckets))


def test_names_are_those_that_dashboards_know():
    assert PREFIX == "recourse_"
    assert OTHER not in {value for row in ROWS for label in row.labels for value in label.values}
    assert Dimension.REVIEWER.value not in values_of("insights_decided_appeals", "dimension"), "people are not ranked"
