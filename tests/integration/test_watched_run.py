"""A real run under a real Prometheus: every query of every dashboard answers with data, every rule can be judged."""

from __future__ import annotations

import json
import signal
import time

import pytest

from deploy.dashboards.build import FOLDER
from deploy.dashboards.pictures import draw
from deploy.dashboards.scraped_run import Answers, scraped_run
from topology.embedded import silent

PAGES = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}
LONGEST_S = 300
"""The demo is stopped as soon as everything has been seen."""
GUARD_S = 150


@pytest.fixture(scope="module")
def run(kafka, redis_url, tmp_path_factory):
    servers = {"RECOURSE_KAFKA": kafka, "RECOURSE_REDIS": redis_url, "RECOURSE_METRICS_STRICT": "true"}
    folder = tmp_path_factory.mktemp("watched")
    arguments = ("--rate", "120", "--appeal-share", "6")
    with scraped_run(folder, seconds=LONGEST_S, arguments=arguments, servers=servers, progress=silent) as run:
        yield run


@pytest.fixture(scope="module")
def answers(run) -> Answers:
    return run.watch(PAGES, at_least_s=0, at_most_s=GUARD_S)


@pytest.mark.parametrize("name", PAGES)
def test_every_query_of_a_dashboard_answers_with_data(answers, name: str):
    silent_ones = [
        f"{panel}, {letter}: {query.expr}"
        for (page, panel, letter), (query, series) in answers.items()
        if page == name and not series
    ]
    assert not silent_ones, "\n".join(silent_ones)
    assert [place for place in answers if place[0] == name]


def test_legends_tell_the_series_of_a_query_apart(answers):
    for place, (query, series) in answers.items():
        if not query.instant:
            names = [query.name(one) for one in series]
            assert all(names), place
            assert len(set(names)) == len(names), f"{place}: {sorted(names)}"


def test_rules_are_judged_without_errors(run):
    judged = run.prometheus.rules()
    assert len(judged) > 15
    assert {rule["health"] for rule in judged} == {"ok"}, [rule for rule in judged if rule["health"] != "ok"]


def test_each_kind_of_panel_can_be_drawn_from_real_answers(run, answers, tmp_path):
    """One of each, as drawing all of them takes long."""
    kinds = {(panel["type"], name): panel for name, page in PAGES.items() for panel in reversed(page["panels"])}
    chosen = {kind: (name, panel) for (kind, name), panel in kinds.items() if kind != "row"}
    assert chosen.keys() == {"stat", "timeseries", "heatmap", "table"}
    wanted = {(name, panel["title"]) for name, panel in chosen.values()}
    found = {place[1:]: answer for place, answer in answers.items() if place[:2] in wanted}
    page = {"title": "One of each", "panels": [panel for _, panel in chosen.values()]}
    draw(page, found, start_s=run.start_s, end_s=time.time(), path=tmp_path / "drawn.png")
    assert (tmp_path / "drawn.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.long  # on a loaded machine too little happens in its time for a bad detector to be found
def test_the_run_that_was_watched_ends_even(run):
    """Last: labels were strict, and a metric outside its table would have ended a process."""
    run.demo.send_signal(signal.SIGINT)
    assert "Even." in run.finish()
