"""The dashboards are made from the table of metrics, and what is committed is what is made."""

import json
import math
import re
from pathlib import Path

import pytest

from deploy.dashboards import build, promql
from deploy.dashboards.panels import Panel
from deploy.dashboards.scraped_run import RULES, queries
from deploy.dashboards.units import shown
from topology.metrics.table import BY_NAME, PROMISED_S, ROWS
from topology.topics import load_register

FILES = build.files()


def exprs() -> list[str]:
    return [query.expr for page in build.DASHBOARDS for panel in page.panels for query in panel.queries]


def test_committed_json_is_what_the_builder_makes():
    committed = {path.name: path.read_text() for path in build.FOLDER.glob("*.json")}
    assert committed.keys() == FILES.keys(), "run `make dashboards`"
    for name, text in FILES.items():
        assert committed[name] == text, f"{name} is not what the builder makes: run `make dashboards`"


def test_every_metric_in_a_query_is_in_the_table():
    recorded = set(re.findall(r"record: (\S+)", RULES.read_text()))
    for expr in exprs():
        for name in promql.metrics_of(expr):
            assert name in BY_NAME, f"{name} in {expr}"
        assert set(re.findall(r"recourse:\w+:\w+", expr)) <= recorded


def test_every_metric_of_the_table_is_on_a_dashboard():
    asked = {name for expr in exprs() for name in promql.metrics_of(expr)}
    assert {row.name for row in ROWS if row.kind != "info"} - asked == set()


def test_query_for_what_the_table_does_not_have_is_refused():
    for wrong, says in (
        (lambda: promql.total("worker_redy"), "not in"),
        (lambda: promql.a_second("worker_ready"), "is a gauge"),
        (lambda: promql.total("cases_open", "region"), "no label region"),
        (lambda: promql.total("cases_open", "pod", 'flavour="x"'), "no label flavour"),
        (lambda: promql.within(31.0, "appeal_to_case_seconds"), "no bucket up to 31"),
    ):
        with pytest.raises(ValueError, match=says):
            wrong()


def test_units_are_the_tables():
    assert promql.highest("input_behind_seconds").unit == "s"
    assert promql.a_second("kafka_bytes_total").unit == "Bps"
    assert promql.a_second("records_folded_total").unit == "cps"
    assert promql.quantile(0.99, "batch_records").unit == "short"
    mixed = (promql.total("worker_ready"), promql.highest("input_behind_seconds"))
    with pytest.raises(ValueError, match="different units: s, short"):
        _ = Panel("Mixed", "", mixed).unit


def test_buckets_keep_the_le_that_prometheus_has():
    assert f'{{le="{PROMISED_S}"}}' in promql.within(PROMISED_S, "appeal_to_case_seconds").expr


@pytest.mark.parametrize("name", FILES)
def test_panels_lie_beside_each_other_and_have_numbers_of_their_own(name: str):
    panels = json.loads(FILES[name])["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        box = panel["gridPos"]
        cells = {(box["x"] + x, box["y"] + y) for x in range(box["w"]) for y in range(box["h"])}
        assert box["x"] + box["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells


@pytest.mark.parametrize("name", FILES)
def test_panel_says_what_to_think_of_it_and_asks_the_chosen_prometheus(name: str):
    for panel in json.loads(FILES[name])["panels"]:
        if panel["type"] != "row":
            assert panel["description"].endswith(".")
            assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
            assert panel["targets"]


def test_titles_of_a_dashboard_differ():
    for page in build.DASHBOARDS:
        titles = [panel.title for panel in page.panels]
        assert len(set(titles)) == len(titles)


def test_pods_to_choose_from_are_those_of_the_register():
    page = json.loads(FILES["recourse-domain.json"])
    [pod] = [variable for variable in page["templating"]["list"] if variable["name"] == "pod"]
    assert [option["value"] for option in pod["options"]] == list(load_register().pods)


def test_a_query_is_asked_with_its_variables_filled_in():
    asked = queries(json.loads(FILES["recourse-domain.json"]), range_s=3_600)
    assert not [query.expr for query in asked if "$" in query.expr]
    [pods] = [query for query in asked if query.panel == "Overflowed"]
    assert pods.expr == 'sum by (pod) (increase(recourse_cases_overflowed_total{pod=~".*"}[3600s]))'


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0012, "s", "1.20 ms"),
        (90, "s", "1.50 min"),
        (0, "s", "0 s"),
        (0.42, "percentunit", "42 %"),
        (1_234, "short", "1.23k"),
        (12.5, "cps", "12.5/s"),
        (3 * 2**20, "bytes", "3 MiB"),
        (math.nan, "s", "no data"),
    ],
)
def test_values_of_pictures_are_written_with_their_units(value: float, unit: str, text: str):
    assert shown(value, unit) == text


def test_decimals_are_kept_where_a_panel_asks_for_them():
    assert shown(0.9995, "percentunit", 3) == "99.950 %"


def test_runbooks_that_panels_name_are_there():
    root = Path(__file__).parents[2]
    named = {found for text in FILES.values() for found in re.findall(r"docs/runbooks/[\w-]+\.md", text)}
    assert named
    for name in named:
        assert (root / name).is_file(), name
