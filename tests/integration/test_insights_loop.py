"""Worker and insights together: a pod fills up and a detector is overturned, and the next decisions know it."""

from __future__ import annotations

import io
import time
import uuid
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
import pytest
import yaml
from confluent_kafka import Consumer, TopicPartition
from rich.console import Console

from schemas import records as r
from schemas.vocabulary import Action, CaseEventKind
from tests.integration.test_insights import Topic
from tests.integration.worker_process import Installation, Row, counted, free_port
from tests.integration.workload import HOUR, row_of
from tests.unit import builders
from topology.audit import command
from topology.exits import Exit
from topology.reference_tables import LOADS, RATES
from topology.settings import Settings

NOW = time.time_ns() // 1_000_000
ABOVE, BELOW = 5, 2
"""Marks of the pod `accounts`, whose substitute is `general`."""
POD = "accounts"


def rulebook_text(above: int = ABOVE, below: int = BELOW) -> str:
    """The packaged one with low marks, and one person a decision."""
    sections = builders.PACKAGED_SECTIONS
    marks = {"above": above, "below": below, "fresh": "1h"}
    pods = [{**pod, "overflow": marks} if pod["name"] == POD else pod for pod in sections["pods"]]
    alone = {"pods": pods, "second_review": None, "evidence": [], "automation": []}
    return yaml.safe_dump({**sections, **alone}, sort_keys=False)


class Story:
    """Users who are banned by the same detector version and appeal; reviewers who overturn."""

    def __init__(self, installation: Installation, port: int) -> None:
        self._installation = installation
        self._port = port
        self._loads = Topic(installation, LOADS)
        self._ends = Consumer({"bootstrap.servers": installation.kafka, "group.id": "unused"})
        self.seen: list[r.PodLoad] = []
        """What was published of the pod, in order."""

    def appeal(self, *users: str) -> None:
        """Each is banned, and its appeal is folded."""
        rows: list[Row] = []
        for user in users:
            about = {"user_id": r.UserId(user), "enforcement_id": f"e-{user}"}
            issued = builders.an_enforcement(
                NOW - HOUR, event_id=f"i-{user}", action=Action.BAN, policy="spam", **about
            )
            appeal = builders.an_appeal(NOW - HOUR, f"a-{user}", appellant_id=user, event_id=f"s-{user}", **about)
            rows += [row_of(issued, NOW - HOUR), row_of(appeal, NOW - HOUR + 1)]
        self._send(rows)

    def overturn(self, *users: str) -> None:
        """Each case is claimed and decided for the appellant."""
        rows: list[Row] = []
        for user in users:
            claim = builders.a_claim(NOW, appeal_id=f"a-{user}")
            decision = builders.a_decision(NOW + 1, appeal_id=f"a-{user}")
            rows += [row_of(msgspec.structs.replace(e, user_id=r.UserId(user)), NOW) for e in (claim, decision)]
        self._send(rows)

    def until_published(self, *, open_: int, overflowing: bool) -> None:
        """The insights say so of the pod, and the worker has read all that they have said until then."""
        self._installation.until(lambda: self._newest() == (open_, overflowing), f"{POD}: {open_}, {overflowing}")
        said = sum(self._end(topic) for topic in (LOADS, RATES))
        nudges = iter(range(1_000))

        def read() -> bool:
            # A worker looks between two batches: something to fold comes until it has seen everything.
            self._send([row_of(builders.a_profile(NOW, user_id=r.UserId(f"u-nudge-{next(nudges)}")), NOW)])
            return counted(self._port, "reference_records_total") >= said

        self._installation.until(read, "the worker has read what the insights say")

    def _newest(self) -> tuple[int, bool] | None:
        before = len(self._loads.all)
        self._loads.read()
        for value in self._loads.all[before:]:
            load = self._loads.decoded(value)
            if isinstance(load, r.PodLoad) and load.pod == POD:
                self.seen.append(load)
        return (self.seen[-1].open, self.seen[-1].overflowing) if self.seen else None

    def _end(self, topic: str) -> int:
        where = TopicPartition(self._installation.register.on_cluster(topic), 0)
        return self._ends.get_watermark_offsets(where, timeout=30)[1]

    def _send(self, rows: list[Row]) -> None:
        self._installation.send(rows)
        self._installation.until_done()

    def close(self) -> None:
        self._loads.close()
        self._ends.close()


class Told(NamedTuple):
    """What the story has left."""

    installation: Installation
    lines: dict[str, r.CaseEvent]
    """The opening of each user's case."""
    loads: list[r.PodLoad]


@pytest.fixture(scope="module")
def told(kafka: str, redis_url: str, tmp_path_factory: Any) -> Iterator[Told]:
    """Six appeals fill the pod; two and then two more are decided; after each, somebody else appeals.

    Then workers start with a rulebook by which less is too much, and the insights are left alone.
    """
    name, port = f"loop-{uuid.uuid4().hex[:10]}", free_port()
    folder = tmp_path_factory.mktemp(name)
    book = folder / "rulebook.yaml"
    book.write_text(rulebook_text(), encoding="utf-8")
    settings: dict[str, object] = {"rulebook": book, "insights_tick_s": 0.1}
    with Installation(kafka, redis_url, name, folder, partitions=1, output_partitions=1, **settings) as installation:
        worker = installation.start(metrics_port=port)
        insights = installation.start("-m", "topology.cli", "insights")
        story = Story(installation, port)
        first = [f"u-{n}" for n in range(ABOVE + 1)]
        story.appeal(*first)
        story.until_published(open_=6, overflowing=True)
        story.appeal("u-full")
        story.overturn(*first[:2])
        story.until_published(open_=4, overflowing=True)
        story.appeal("u-between-going-down")
        story.overturn(*first[2:4])
        story.until_published(open_=BELOW, overflowing=False)
        story.appeal("u-room")
        story.until_published(open_=BELOW + 1, overflowing=False)
        story.appeal("u-between-going-up")
        before_stricter = len(story.seen)
        assert worker.stop() == Exit.OK, worker.text()
        book.write_text(rulebook_text(3, 1), encoding="utf-8")
        worker = installation.start(metrics_port=port)
        story.appeal("u-stricter")  # its line is the first to bear the other rulebook's digest
        story.until_published(open_=BELOW + 3, overflowing=True)
        story.appeal("u-full-by-stricter")
        assert worker.stop() == Exit.OK, worker.text()
        assert insights.stop() == Exit.OK, insights.text()
        lines = {x.user_id: x for x in installation.arrived().lines if x.kind is CaseEventKind.CASE_OPENED}
        yield Told(installation, lines, story.seen[:before_stricter])
        story.close()


def test_cases_overflow_while_the_pod_has_too_much_and_their_lines_say_which_pod_was_full(told: Told) -> None:
    usual = {told.lines[f"u-{n}"].pod for n in range(ABOVE + 1)}
    assert usual == {POD}
    full = told.lines["u-full"]
    assert (full.pod, full.saw["full_pods"], full.saw["full_backlogs"]) == ("general", POD, "6")
    assert all("full_pods" not in told.lines[f"u-{n}"].saw for n in range(ABOVE + 1))


def test_between_the_marks_routing_stays_as_it_was_whichever_way_the_load_goes(told: Told) -> None:
    down, room, up = (told.lines[f"u-{name}"] for name in ("between-going-down", "room", "between-going-up"))
    assert (down.pod, down.saw["full_pods"], down.saw["full_backlogs"]) == ("general", POD, "4")
    assert [line.pod for line in (room, up)] == [POD, POD]
    assert not {"full_pods"} & {*room.saw, *up.saw}


def test_the_pod_began_and_ended_to_overflow_once(told: Told) -> None:
    states = [load.overflowing for load in told.loads]
    changes = [(a, b) for a, b in zip([False, *states], states, strict=False) if a != b]
    assert changes == [(False, True), (True, False)]


def test_insights_follow_the_workers_rulebook_while_they_run(told: Told) -> None:
    by, full = told.lines["u-stricter"], told.lines["u-full-by-stricter"]
    assert by.rulebook_digest == full.rulebook_digest != told.lines["u-room"].rulebook_digest
    assert (by.pod, full.pod, full.saw["full_backlogs"]) == (POD, "general", str(BELOW + 3))


def test_the_score_rises_with_what_the_insights_counted_and_the_line_has_the_counts(told: Told) -> None:
    before, after = told.lines["u-0"], told.lines["u-room"]
    assert "rate_decided" not in before.saw
    assert (after.saw["rate_overturned"], after.saw["rate_decided"]) == ("4", "4")
    assert after.score > before.score


def test_every_life_is_folded_again_to_the_same_lines(told: Told) -> None:
    settings = Settings(
        kafka=told.installation.kafka, topic_prefix=told.installation.prefix, group=told.installation.name
    )
    for user in ("u-full", "u-between-going-down", "u-room", "u-0"):
        console = Console(file=io.StringIO(), record=True, width=400)
        assert command.replay(f"a-{user}", settings, console), console.export_text()
