"""The demo's screen: fits the terminal it is given, and tells the essentials in each."""

import io
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from processors.fold import handle, new_dossier
from schemas.records import MisfireSuspected, UserId
from schemas.vocabulary import MisfireBaseline, MisfireKind
from tests.unit.builders import RULEBOOK, T0, a_profile, an_appeal, an_enforcement
from topology.appeals import AppealsContext
from topology.demo import rates, report, screen
from topology.demo.outbox import Ledger
from topology.demo.reading import Arrived
from topology.demo.scene import Scene
from topology.demo.traffic import Plan
from topology.demo.view import View
from topology.topics import load_register

PODS = load_register().pods


def some_emissions() -> list[tuple[str, str, Any]]:
    """What the real fold publishes for one appeal."""
    ctx = AppealsContext(RULEBOOK, None)
    ctx.now = T0
    dossier = new_dossier(UserId("u-1"))
    for event in (a_profile(), an_enforcement(), an_appeal()):
        handle(dossier, event, ctx)
    return ctx.emitted


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    outbox: Any = SimpleNamespace(ledger=Ledger(), appealed_s={})
    view = View(SimpleNamespace(), outbox)  # type: ignore[arg-type]
    for number, (topic, key, record) in enumerate(some_emissions()):
        view.receive(Arrived(topic=topic, partition=0, offset=number, key=key, record=record, headers={}))
    view.receive(
        Arrived(
            topic="appeal.events.dlq",
            partition=0,
            offset=0,
            key="u-1",
            record=None,
            headers={"recourse.reason": b"undecodable", "__streams.errors.message": b"starts with 7b 22"},
        )
    )
    return Scene(
        plan=Plan(seed=1, seconds=60, rate=400, appeal_times=3, start_ms=T0),
        outbox=outbox,
        view=view,
        systems=SimpleNamespace(in_hand={}),  # type: ignore[arg-type]
        folder=tmp_path,
        servers="Kafka 127.0.0.1:9092",
        workers=2,
        specialists=40,
        phase="live",
    )


def picture(scene: Scene, width: int, height: int) -> list[str]:
    console = Console(width=width, height=height, record=True, force_terminal=True, file=io.StringIO())
    console.print(screen.Screen(scene, PODS))
    return console.export_text().rstrip("\n").split("\n")


@pytest.mark.parametrize(("width", "height"), [(100, 40), (140, 50), (96, 40), (96, 37), (80, 24), (72, 24)])
def test_picture_fits_and_tells_the_essentials(scene, width, height):
    lines = picture(scene, width, height)
    assert len(lines) <= height
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    for word in ("3 times the published rate", "severity", "vulnerability", "under way", "undecodable", *PODS):
        assert word in text
    assert "data " in lines[-1] or "data " in lines[-2]


def test_bars_are_as_long_as_the_values(scene):
    case = scene.case()
    assert case is not None
    lines = "\n".join(picture(scene, 100, 40))
    for part in case.components:
        assert f"{part.contribution:.0f}" in lines


def test_line_tells_the_same_in_one_line(scene):
    told = screen.line(scene)
    assert "cases 1 (1 open)" in told
    assert "dead letters 1" in told
    assert "\n" not in told


@pytest.mark.parametrize(("width", "height"), [(100, 40), (72, 24)])
def test_misfire_is_shown_and_reported_with_its_delay(scene, width, height):
    assert "not found in this time" in "\n".join(report.suspected(scene))
    alert = MisfireSuspected(
        alert_id="m-1",
        kind=MisfireKind.APPEAL_RATE,
        detector=rates.MISFIRE,
        raised_at=T0,
        baseline_of=MisfireBaseline.PREDECESSOR,
        predecessor="4.2.0",
        baseline=0.1,
        rate=0.3,
        n=120,
        hits=36,
        statistic=40.0,
        threshold=6.9,
        since=T0,
        until=T0,
        issued_from=T0,
        issued_until=T0,
    )
    for offset in range(2):  # told twice, shown once
        arrived = Arrived(topic="misfire.alerts", partition=0, offset=offset, key="d", record=alert, headers={})
        scene.view.receive(arrived)
    lines = picture(scene, width, height)
    assert len(lines) <= height
    assert sum("image-match" in line for line in lines) == 1
    [told] = report.suspected(scene)[1:]
    assert re.search(r"image-match 4.3.0: 30% of 120 appealed against, expected at most 10%, -?[\d.]+ s after", told)
    assert "misfires 4.3.0" in screen.line(scene)
