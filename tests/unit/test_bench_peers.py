"""The comparison with the peers: all do the same step, are timed alike, and the table says what the rounds say."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from bench import triage, workload
from bench.peers import environments, report, step, truth
from bench.peers.observer import SETTLED_S, Figures, Sample, StalledError, figures, watch
from bench.peers.registry import CONTENDERS, History, Run
from bench.peers.table import summary, target_lines


def test_the_peers_step_gives_the_bytes_that_ours_gives():
    for before, (_, _, value, _) in enumerate(workload.small_appeals("appeals", 200, 20, seed=3)):
        _, _, case = triage.triage(before, 0, triage.decode(value))
        assert step.encode(step.triage(before, step.decode(value))) == triage.encode(case)


@pytest.mark.parametrize(("file", "ours"), [("SmallAppeal", workload.SMALL_APPEAL), ("Triaged", triage.TRIAGED)])
def test_the_peers_schemas_are_ours(file: str, ours: dict[str, object]):
    schema = json.loads((environments.PEERS / "avro" / f"{file}.avsc").read_text())
    assert f"{schema['namespace']}.{schema['name']}" == ours["name"]
    assert schema["fields"] == ours["fields"]


@pytest.mark.parametrize("name", ["quix", "faust", "arroyo"])
def test_each_requirement_of_a_peer_is_pinned(name: str):
    lines = (environments.PEERS / name / "requirements.txt").read_text().split()
    assert lines
    assert [line for line in lines if line.count("==") != 1] == []


@dataclass(frozen=True)
class Record:
    """As a client's message is read."""

    record: tuple[bytes, bytes]

    def key(self) -> bytes:
        return self.record[0]

    def value(self) -> bytes:
        return self.record[1]


Work = tuple[list[tuple[bytes, bytes]], list[History]]
"""Cases on the topic and histories, as a contender leaves them."""


def right_work(appeals: list[workload.Row]) -> Work:
    cases: list[tuple[bytes, bytes]] = []
    histories: dict[bytes, History] = {}
    for _, key, value, _ in appeals:
        before, cents = histories.get(key, (0, 0))
        appeal = step.decode(value)
        cases.append((key, step.encode(step.triage(before, appeal))))
        histories[key] = before + 1, cents + appeal["amount_cents"]
    return cases, list(histories.values())


def check(work: Work, appeals: list[workload.Row], monkeypatch: pytest.MonkeyPatch) -> None:
    known = truth.Truth()
    assert list(known.passing(appeals)) == appeals
    monkeypatch.setattr(truth, "committed", lambda _kafka, _topic: map(Record, work[0]))
    contender = replace(CONTENDERS["quix"], histories=lambda _run: iter(work[1]))
    known.check(contender, Run(kafka="", redis="", prefix="", folder="", events=len(appeals)))


APPEALS = list(workload.small_appeals("appeals", 60, 6, seed=1))


def test_right_work_passes_in_whatever_order_its_partitions_are_read(monkeypatch: pytest.MonkeyPatch):
    cases, histories = right_work(APPEALS)
    check((cases[30:] + cases[:30], histories), APPEALS, monkeypatch)


WRONGS: dict[str, Callable[[Work], Work]] = {
    "a case lost": lambda work: (work[0][:-1], work[1]),
    "a case doubled": lambda work: (work[0] + work[0][:1], work[1]),
    "one lost, one doubled": lambda work: (work[0][:-1] + work[0][:1], work[1]),
    "a case changed": lambda work: ([*work[0][:-1], (work[0][-1][0], b"other")], work[1]),
    "a case under another key": lambda work: ([*work[0][:-1], (b"other", work[0][-1][1])], work[1]),
    "an appeal counted twice": lambda work: (work[0], [(work[1][0][0] + 1, work[1][0][1]), *work[1][1:]]),
    "cents not counted": lambda work: (work[0], [(work[1][0][0], 0), *work[1][1:]]),
    "a user lost": lambda work: (work[0], work[1][1:]),
}


@pytest.mark.parametrize("wrong", WRONGS)
def test_wrong_work_has_no_figure(wrong: str, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(truth.WrongResultError, match="quix: "):
        check(WRONGS[wrong](right_work(APPEALS)), APPEALS, monkeypatch)


class World:
    """Time that passes only by sleeping, and a topic that grows by it."""

    def __init__(self, growth: Callable[[float], int], ends_at: float = float("inf")) -> None:
        self.now = 0.0
        self._growth = growth
        self._ends_at = ends_at

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def cpu(self) -> float:
        return self.now / 2

    def watch(self, events: int) -> list[Sample]:
        return watch(
            events,
            lambda: self._growth(self.now),
            [self],
            lambda: self.now < self._ends_at,
            machine=lambda: self.now * 0.75,
            clock=lambda: self.now,
            sleep=self.sleep,
        )


def test_starting_and_stopping_are_in_nobodys_figure():
    # 30 s to start, then 1,000 a second by half a CPU.
    world = World(lambda now: min(10_000, max(0, int((now - 30) * 1_000))))
    found = figures(10_000, world.watch(10_000), peak_mb=1)
    assert found.rate == pytest.approx(1_000, rel=0.01)
    assert found.cpu_per_million[0] == pytest.approx(500, rel=0.01)
    assert found.others == pytest.approx(0.25, rel=0.01)


def test_the_second_half_is_told_apart():
    # 1,000 a second until half is done, then 4,000.
    world = World(lambda now: min(8_000, int(now * 1_000) if now < 4 else 4_000 + int((now - 4) * 4_000)))
    found = figures(8_000, world.watch(8_000), peak_mb=1)
    assert found.warm_rate == pytest.approx(4_000, rel=0.02)
    assert found.rate == pytest.approx(1_600, rel=0.01)
    assert found.warm_cpu == pytest.approx(125, rel=0.02)


def test_markers_of_transactions_count_as_no_events():
    # Eleven offsets for ten events.
    world = World(lambda now: min(11_000, int(now * 1_100)))
    assert figures(10_000, world.watch(10_000), peak_mb=1).rate == pytest.approx(1_000, rel=0.01)


def test_a_contender_that_ends_too_early_has_no_figure():
    world = World(lambda now: min(5_000, int(now * 1_000)), ends_at=5)
    with pytest.raises(StalledError, match="5000 of 10000"):
        world.watch(10_000)
    assert world.now < 5 + 2 * SETTLED_S


def test_a_contender_that_hangs_has_no_figure():
    with pytest.raises(StalledError, match="0 of 10"):
        World(lambda _now: 0).watch(10)


def figures_of(rate: float, cpu: float = 10) -> Figures:
    return Figures(1_000, rate, rate, (cpu, 1.0), cpu, 50, 0.1)


def test_ratios_are_taken_within_a_round_and_their_median_shown():
    rounds = [
        {"engine": figures_of(300), "quix": figures_of(100)},
        {"engine": figures_of(20), "quix": figures_of(10)},  # somebody else used the machine
        {"engine": figures_of(280), "quix": figures_of(100)},
    ]
    found = summary("throughput", rounds, ["broker"])
    assert found["contenders"]["quix"]["engine_ratio"] == {"median": 2.8, "rounds": [3.0, 2.0, 2.8]}
    assert found["contenders"]["quix"]["events_per_second"] == 100
    assert found["contenders"]["engine"]["servers_cpu_seconds_per_million"] == {"broker": 1.0}
    assert [(t["ratio"], t["median"], t["met"]) for t in found["targets"]] == [("engine / quix, rate", 2.8, True)]


@pytest.mark.parametrize(
    ("rate", "cpu", "met"), [(100, 5, [True, True]), (99, 6, [False, True]), (200, 6.1, [True, False])]
)
def test_a_target_is_a_least_rate_or_a_most_cpu(rate: float, cpu: float, met: list[bool]):
    found = summary("long", [{"engine": figures_of(rate, cpu), "kafka-streams": figures_of(100, 10)}], ["broker"])
    assert [target["met"] for target in found["targets"]] == met
    assert [line.startswith("met: ") for line in target_lines(found)] == met


def test_without_the_engine_there_are_no_ratios():
    found = summary("throughput", [{"quix": figures_of(100)}], ["broker"])
    assert found["contenders"]["quix"]["engine_ratio"] is None
    assert found["targets"] == []


def a_run() -> dict[str, object]:
    rounds = [{"engine": figures_of(300), "quix": figures_of(100)}]
    return {
        "machine": {"cores": 2, "memory_gb": 24, "python": "3.11.7", "system": "Linux"},
        "left_out": {"kafka-streams": "no Maven (mvn) on the PATH to build it with"},
        "throughput": summary("throughput", rounds, ["broker"]),
        "recovery": None,
    }


def test_a_report_tells_figures_targets_and_who_was_left_out(tmp_path: Path):
    page = tmp_path / "page.md"
    page.write_text(f"# Benchmarks\n\n{report.BEGIN}\nolder figures\n{report.END}\n\nThe end.\n")
    report.write(page, a_run())
    text = page.read_text()
    assert text.startswith("# Benchmarks\n")
    assert text.endswith(f"{report.END}\n\nThe end.\n")
    assert "older" not in text
    assert "| Quix Streams, RocksDB | exactly once | 1,000 | 100 | 100 | 10.0 | 10.0 | 1.0 | 50 | 0.10 | 3.00 |" in text
    assert "- met: engine / quix, rate: 3.00 (wanted at least 2.5)" in text
    assert "- kafka-streams was left out: no Maven" in text
    report.write(page, a_run())
    assert page.read_text() == text


def test_a_page_without_marks_is_left_alone(tmp_path: Path):
    page = tmp_path / "page.md"
    page.write_text("# Something else\n")
    with pytest.raises(SystemExit, match="no <!-- measured"):
        report.write(page, a_run())
    assert page.read_text() == "# Something else\n"
