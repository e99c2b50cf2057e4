"""Operators' commands for a remedy on a real Kafka: whole or not at all, answered by every partition, told apart.

The partitions' part is played by hand here: reports are written as the engine would.
"""

from __future__ import annotations

import io
import re
import threading
import time
from collections.abc import Callable, Iterator
from importlib import resources
from typing import Any

import msgspec
import pytest
import yaml
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from rich.console import Console

from schemas import records as r
from schemas import vocabulary as v
from schemas.codec import Codec
from topology.cluster import Cluster
from topology.engine.clients import BrokerOffsets
from topology.engine.errors import Misconfigured
from topology.remedies.command import Desk
from topology.reversals.command import Heard
from topology.settings import Settings
from topology.topics import Register, load_register

PARTITIONS = 4
CODEC = Codec()
T0 = 1_760_000_000_000
DETECTOR = r.Detector(name="fake-finder", version="7")
COHORT: dict[str, Any] = {
    "policy": None,
    "issued_from": "2025-10-01",
    "issued_until": "2025-10-02",
    "per_second": 50,
    "actor": "ops-1",
    "reason": "misfired",
}
State = v.RemedyState
Kind = v.RemedyEventKind


def a_topic(name: str, role: str, records: list[str], readers: list[str]) -> dict[str, Any]:
    return {
        "name": name,
        "purpose": "Remedies.",
        "owner": "operations",
        "key": "remedy_id",
        "records": records,
        "role": role,
        "partitions": 8,
        "cleanup": "delete",
        "retention": "forever",
        "writers": ["operators"],
        "readers": readers,
        "personal_data": "pseudonymous",
        "erasure": "names cohorts",
    }


def a_register(prefix: str) -> Register:
    """The packaged one, with the topics of remedies if it has none yet."""
    content = yaml.safe_load(resources.files("topology").joinpath("topics.yaml").read_text())
    commands = ["RemedyProposed", "RemedyApproved", "RemedySteered"]
    wanted = [
        a_topic("remedy.commands", "input", commands, ["appeals processor"]),
        a_topic("remedy.commands.dlq", "dead_letters", [], ["recourse dlq"]),
        a_topic("remedy.events", "output", ["RemedyReported"], ["operators"]),
    ]
    known = {topic["name"] for topic in content["topics"]}
    content["topics"] += [topic for topic in wanted if topic["name"] not in known]
    return load_register(prefix, yaml.safe_dump(content), partitions=PARTITIONS)


class Room:
    """An installation's remedy topics, and whoever answers in the partitions' place."""

    def __init__(self, kafka: str, name: str) -> None:
        self.settings = Settings(kafka=kafka, topic_prefix=f"{name}.", group=name)
        self.register = a_register(f"{name}.")
        Cluster(self.settings.kafka_config(), self.register).create_missing()
        for topic in ("remedy.commands", "remedy.events"):
            self._until_led(topic)
        self._producer = Producer({"bootstrap.servers": kafka, "log_level": 0})
        self._text = io.StringIO()

    def _until_led(self, name: str) -> None:
        """A topic that was just made has no leader for a moment."""
        for _ in range(100):
            try:
                offsets = BrokerOffsets(self.settings.kafka_config())
                offsets.bounds(self.register.on_cluster(name), range(PARTITIONS), 10)
            except KafkaException:
                time.sleep(0.1)
            else:
                return
        raise AssertionError(f"{name} has no leader")

    def desk(self) -> Desk:
        self._text = io.StringIO()
        return Desk(self.settings, Console(file=self._text, width=300), self.register)

    @property
    def said(self) -> str:
        return self._text.getvalue()

    def report(self, *reports: r.RemedyReported) -> None:
        for report in reports:
            topic = self.register.on_cluster("remedy.events")
            self._producer.produce(topic, CODEC.encode(report), report.remedy_id)
        assert not self._producer.flush(30)

    def commands(self) -> dict[int, list[r.Record]]:
        """What a partition's owner reads: committed records only."""
        topic = self.register.on_cluster("remedy.commands")
        reader = Consumer(
            {
                "bootstrap.servers": self.settings.kafka,
                "group.id": "partitions",
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
            }
        )
        found: dict[int, list[r.Record]] = {number: [] for number in range(PARTITIONS)}
        reader.assign([TopicPartition(topic, number, 0) for number in found])
        left = set(found)
        while left:
            for message in reader.consume(100, 0.2):
                if message.error() is not None:
                    left.discard(message.partition())
                else:
                    allowed = self.register.by_name["remedy.commands"].allowed
                    found[message.partition()].append(CODEC.decode(message.value(), allowed))
        reader.close()
        return found

    def answering(self, answer: Callable[[Any], r.RemedyReported], *, silent: int | None = None) -> threading.Thread:
        """Answer the next command in every partition but the silent one."""
        before = {number: len(of) for number, of in self.commands().items()}

        def run() -> None:
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline:
                found = self.commands()
                if all(len(of) > before[number] for number, of in found.items()):
                    self.report(*(answer(of[-1]) for number, of in found.items() if number != silent))
                    return

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread


def a_report(remedy_id: str, partition: int, seq: int = 1, **change: Any) -> r.RemedyReported:
    base = {
        "remedy_id": remedy_id,
        "partition": partition,
        "partitions": PARTITIONS,
        "seq": seq,
        "occurred_at": T0,
        "cause_id": f"timer-{partition}-{seq}",
        "kind": Kind.PREVIEWED,
        "state": State.AWAITING_APPROVAL,
        "proposed_by": "ops-1",
        "cohort": r.RemedyCounts(enforcements=10, users=8),
        "done": r.RemedyCounts(),
        "detector": DETECTOR,
        "issued_from": T0,
        "issued_until": T0 + 1,
        "per_second": 50,
    }
    return r.RemedyReported(**{**base, **change})


def previewed(room: Room, remedy_id: str = "m-1", **change: Any) -> None:
    room.report(*(a_report(remedy_id, number, **change) for number in range(PARTITIONS)))


def taken(command: Any) -> r.RemedyReported:
    return a_report(command.remedy_id, command.partition, 5, cause_id=command.event_id, kind=Kind.APPROVED)


@pytest.fixture
def room(kafka: str, app_id: str) -> Iterator[Room]:
    room = Room(kafka, app_id)
    yield room
    admin = Cluster(room.settings.kafka_config(), room.register)._admin
    for future in admin.delete_topics([room.register.on_cluster(t.name) for t in room.register.topics]).values():
        future.result()


def test_command_reaches_every_partition_once_as_equal_copies(room):
    assert room.desk().propose(DETECTOR, **COHORT, wait_s=0) is Heard.ACCEPTED

    found = room.commands()
    assert {number: [c.partition for c in of] for number, of in found.items()} == {n: [n] for n in range(PARTITIONS)}
    copies = [of[0] for of in found.values()]
    assert len({msgspec.structs.replace(copy, partition=0) for copy in copies}) == 1
    assert copies[0].remedy_id in room.said
    assert copies[0].event_id in room.said


def test_command_that_breaks_a_bound_is_written_nowhere(room):
    with pytest.raises(Misconfigured, match="Nothing was written"):
        room.desk().propose(DETECTOR, **{**COHORT, "reason": "x" * 5_000}, wait_s=0)
    assert not any(room.commands().values())


def test_command_that_was_left_half_way_counts_for_nothing_and_does_not_block_the_next(room):
    topic = room.register.on_cluster("remedy.commands")
    config = {**room.settings.kafka_config(), "transactional.id": f"{room.settings.group}-remedy-commands"}
    broken = Producer(config)
    broken.init_transactions(30)
    broken.begin_transaction()
    for number in range(PARTITIONS - 1):
        broken.produce(topic, b"half", b"m-0", number)
    broken.flush(30)

    assert room.desk().propose(DETECTOR, **COHORT, wait_s=0) is Heard.ACCEPTED

    assert [len(of) for of in room.commands().values()] == [1] * PARTITIONS


def test_approval_tells_what_it_saw_and_waits_for_every_partition(room):
    previewed(room)
    answering = room.answering(taken)
    asked: list[str] = []

    heard = room.desk().approve("m-1", actor="lead-1", confirm=lambda text: not asked.append(text), wait_s=60)

    answering.join()
    assert heard is Heard.ACCEPTED
    assert asked == ["Approve the reversal of 40 enforcements as lead-1?"]
    assert [of[0].enforcements for of in room.commands().values()] == [40] * PARTITIONS
    assert "answer   4 of 4 partitions approved, now awaiting_approval" in room.said
    assert "4 of 4 partitions have answered" in room.said


def test_partition_that_does_not_answer_is_named(room):
    previewed(room)
    answering = room.answering(taken, silent=2)
    heard = room.desk().approve("m-1", actor="lead-1", confirm=lambda _: True, wait_s=8)
    answering.join()
    assert heard is Heard.NOTHING_YET
    assert "no answer yet from partitions 2" in room.said


def test_refusals_are_told_by_reason(room):
    previewed(room, state=State.DONE)

    def refused(command: Any) -> r.RemedyReported:
        reason = "not_running" if command.partition else "stopped_already"
        return msgspec.structs.replace(taken(command), kind=Kind.REFUSED, reason=reason)

    answering = room.answering(refused)
    heard = room.desk().steer("m-1", v.RemedySteer.PAUSE, actor="ops-1", reason="look first", wait_s=60)
    answering.join()
    assert heard is Heard.REJECTED
    assert "answer   3 of 4 partitions refused: not_running" in room.said
    assert "answer   1 of 4 partitions refused: stopped_already" in room.said


@pytest.mark.parametrize(
    ("reports", "actor", "why"),
    [
        (range(2), "lead-1", "partitions 2, 3 have not previewed"),
        (range(PARTITIONS), "ops-1", "has proposed it"),
        (range(0), "lead-1", "no partition has reported about a remedy m-1"),
    ],
)
def test_approval_that_cannot_be_writes_nothing(room, reports, actor, why):
    room.report(*(a_report("m-1", number) for number in reports))
    with pytest.raises(Misconfigured, match=why):
        room.desk().approve("m-1", actor=actor, confirm=lambda _: True, wait_s=0)
    assert not any(room.commands().values())


def test_who_says_no_writes_nothing(room):
    previewed(room)
    assert room.desk().approve("m-1", actor="lead-1", confirm=lambda _: False, wait_s=0) is None
    assert not any(room.commands().values())


def test_list_and_show_tell_the_newest_and_watching_ends_with_the_remedy(room):
    previewed(room)
    previewed(room, "m-2", seq=7, state=State.DONE, done=r.RemedyCounts(enforcements=10, users=8))
    previewed(room, "m-2", seq=6, state=State.RUNNING)
    desk = room.desk()
    desk.list_()
    assert re.search(r"m-1 +│ awaiting_approval +│ fake-finder 7 +│ 40 +│ 0 +│ 4 of 4 +│ ops-1", room.said)
    assert re.search(r"m-2 +│ done +│ fake-finder 7 +│ 40 +│ 40 ", room.said)
    later = threading.Timer(2, lambda: previewed(room, seq=9, state=State.STOPPED))
    later.start()
    desk = room.desk()
    desk.show("m-1", watch=True)
    later.join()
    assert "Remedy m-1: stopped" in room.said
