"""Metrics are rows of data; a name outside of the table is a defect."""

import re
from pathlib import Path

import pytest
from prometheus_client import generate_latest

from topology.metrics import ROWS, PrometheusMetrics

ROOT = Path(__file__).parents[2]


def test_every_row_becomes_a_metric_with_its_help():
    metrics = PrometheusMetrics()
    for row in ROWS:
        labels = dict.fromkeys(row.labels, "x")
        {"counter": metrics.count, "gauge": metrics.gauge, "histogram": metrics.observe}[row.kind](
            row.name, 1, **labels
        )
    text = generate_latest(metrics.registry).decode()
    for row in ROWS:
        assert f"recourse_{row.name}" in text
        assert row.help in text


def test_a_name_that_is_not_in_the_table_is_a_defect():
    with pytest.raises(KeyError):
        PrometheusMetrics().count("typo_total")


def test_the_engine_uses_only_names_of_the_table_with_their_labels():
    used = set()
    for path in (ROOT / "topology").rglob("*.py"):
        used |= set(re.findall(r'metrics\.(?:count|gauge|observe)\(\s*"(\w+)"', path.read_text()))
    assert used
    assert used <= {row.name for row in ROWS}
    assert {row.name for row in ROWS} - used == set(), "a row that nothing counts"
