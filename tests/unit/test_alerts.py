"""Rules, runbooks and the rules' own tests belong together; promtool runs the latter in tests/integration."""

import re
from collections import defaultdict
from pathlib import Path

import pytest
import yaml

from deploy.dashboards.promql import metrics_of
from deploy.dashboards.scraped_run import RULES
from topology.metrics.table import BY_NAME, PROMISED_S, PROMISED_SHARE

ROOT = Path(__file__).parents[2]
RUNBOOKS = ROOT / "docs" / "runbooks"
KINDS = ("fires", "stays silent", "at the boundary")
HEADINGS = ["## What it means", "## How it works", "## Investigate", "## Fix"]


def rules() -> list[dict]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


ALERTS = {rule["alert"]: rule for rule in rules() if "alert" in rule}
TESTS = [
    test for path in sorted(RULES.parent.glob("*.test.yaml")) for test in yaml.safe_load(path.read_text())["tests"]
]


def test_every_metric_in_a_rule_is_in_the_table():
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    for rule in rules():
        found = list(metrics_of(rule["expr"]))
        assert found or re.search(r"recourse:", rule["expr"])
        for name in found:
            assert name in BY_NAME, f"{name} in {rule}"
        assert set(re.findall(r"recourse:\w+:\w+", rule["expr"])) <= recorded


def test_every_label_value_in_a_rule_is_one_that_the_metric_can_have():
    for rule in rules():
        for name, where in re.findall(r"recourse_(\w+)\{([^}]*)\}", rule["expr"]):
            row = BY_NAME.get(name.removesuffix("_bucket")) or BY_NAME[name]
            labels = {label.name: label.values for label in row.labels}
            for label, value in re.findall(r'(\w+)="([^"]*)"', where):
                if label != "le":
                    assert label in labels, f"{label} in {rule}"
                    assert not labels[label] or value in labels[label], f"{value} in {rule}"


def test_service_level_in_the_rules_is_the_one_that_is_promised():
    recorded = [rule["expr"] for rule in rules() if "record" in rule]
    assert recorded
    for expr in recorded:
        assert re.findall(r'le="([^"]+)"', expr) == [str(PROMISED_S)]
    factors = {
        "RecourseServiceLevelBurnsFast": "14.4",
        "RecourseServiceLevelBurns": "6",
        "RecourseServiceLevelBurnsSlowly": "1",
    }
    for name, factor in factors.items():
        assert set(re.findall(r"> (\S+) \* (\S+)", ALERTS[name]["expr"])) == {(factor, f"{1 - PROMISED_SHARE:.3f}")}
    [wait] = re.findall(r"> (\d+)", ALERTS["RecourseAppealsWait"]["expr"])
    assert float(wait) == PROMISED_S


@pytest.mark.parametrize("name", ALERTS)
def test_alert_says_how_urgent_it_is_and_has_a_runbook(name: str):
    alert = ALERTS[name]
    assert alert["labels"]["severity"] in {"page", "ticket"}
    page = ROOT / alert["annotations"]["runbook"]
    assert page.parent == RUNBOOKS
    assert f"`{name}`" in page.read_text(), f"{page.name} does not name {name}"


def test_every_runbook_has_an_alert_and_the_same_parts():
    named = {Path(alert["annotations"]["runbook"]).name for alert in ALERTS.values()}
    pages = {path.name: path.read_text() for path in RUNBOOKS.glob("*.md") if path.name != "README.md"}
    assert pages.keys() == named
    for name, text in pages.items():
        assert re.findall(r"^## .*$", text, re.MULTILINE) == HEADINGS, name
        assert set(re.findall(r"`(Recourse\w+)`", text)) <= set(ALERTS), name
    index = (RUNBOOKS / "README.md").read_text()
    assert set(re.findall(r"\]\(([\w-]+\.md)\)", index)) == named
    assert set(re.findall(r"`(Recourse\w+)`", index)) == set(ALERTS)


def test_every_alert_is_tested_to_fire_to_stay_silent_and_at_the_boundary():
    tested: dict[str, set[str]] = defaultdict(set)
    for test in TESTS:
        name, _, rest = test["name"].partition(" ")
        kind = next(kind for kind in KINDS if rest.startswith(f"{kind}:"))
        outcomes = {bool(one["exp_alerts"]) for one in test["alert_rule_test"] if one["alertname"] == name}
        expected = {"fires": {True}, "stays silent": {False}, "at the boundary": {True, False}}[kind]
        assert outcomes == expected, test["name"]
        tested[name].add(kind)
    assert tested == {name: set(KINDS) for name in ALERTS}
