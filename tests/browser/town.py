"""A town for the desk: topics of its own on the shared Kafka, a real engine, systems that obey, and the desk itself."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from confluent_kafka import Consumer, Producer, TopicPartition

from desk.texts import Texts
from desk.writer import now_ms
from schemas import Codec
from schemas import records as r
from schemas import vocabulary as v
from tests.unit.builders import an_appeal, an_effect, an_enforcement, case_of
from topology.demo.room import create_topics, new_room
from topology.demo.workers import _environment
from topology.embedded.process import SupervisedProcess
from topology.rulebook_file import PACKAGED

READY_S = 60
GUARD_S = 30
ANSWER_S = 5
LEAVE_S = 2
_STARTS = 4
PODS = ("general", "intellectual-property", "payments", "livestream", "accounts", "child-safety", "legal", "lead")
EVERYTHING = ",".join(
    [
        *(f"recourse-{role}" for role in ("specialist", "second-reviewer", "lead", "auditor")),
        *(f"recourse-pod-{p}" for p in PODS),
    ]
)


@dataclass
class Town:
    """Who sends, who answers, and where the desk listens."""

    settings: Any
    register: Any
    folder: Path
    address: str
    engine: SupervisedProcess
    texts: Texts
    codec: Codec
    producer: Producer
    numbers: Iterator[int]

    def send(self, topic: str, key: str, record: r.Record, partition: int = -1) -> None:
        name = self.register.on_cluster(topic)
        self.producer.produce(name, self.codec.encode(record, name), key, partition)
        assert self.producer.flush(GUARD_S) == 0

    def strike(self, **content: Any) -> r.EnforcementIssued:
        """An enforcement against a user of its own; of a listing, for which one person is enough."""
        number = next(self.numbers)
        issued = an_enforcement(
            now_ms() - 3_600_000,
            **{
                "user_id": f"user-{number}",
                "enforcement_id": f"e-{number}",
                "action": v.Action.CONTENT_REMOVAL,
                "policy": "spam",
                "target": r.Target(kind=v.TargetKind.LISTING, id=f"listing-{number}"),
                "effects": [an_effect(v.EffectKind.CONTENT_STATUS, effect_id=f"ef-{number}", system="catalogue")],
                "statement_of_reasons_id": f"sor-{number}",
                **content,
            },
        )
        self.send("enforcement.events", issued.user_id, issued)
        return issued

    def appeal(self, text: str = "I did nothing wrong.", **content: Any) -> str:
        """Somebody is struck and appeals; the id of the case to come."""
        return self.appeal_against(self.strike(**content), text)

    def appeal_against(self, issued: r.EnforcementIssued, text: str, **more: Any) -> str:
        """The user appeals; the id of the case to come."""
        appeal = an_appeal(
            now_ms(),
            **{
                "appeal_id": f"a-{issued.enforcement_id}",
                "user_id": issued.user_id,
                "appellant_id": issued.user_id,
                "enforcement_id": issued.enforcement_id,
                "statement_ref": self.texts.keep(text),
                **more,
            },
        )
        self.send("appeal.events", issued.user_id, appeal)
        return case_of(appeal.appeal_id)

    def stop_engine(self) -> None:
        """It holds still: nothing is lost, and nothing is answered."""
        self.engine.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self.engine.send_signal(signal.SIGCONT)


@contextlib.contextmanager
def a_town(kafka: str, redis: str, folder: Path, *, with_desk: bool = True) -> Generator[Town]:
    """Everything started, and ended with the block."""
    settings, register = new_room(kafka, redis)
    create_topics(settings, register)
    book = folder / "rulebook.yaml"
    sections = yaml.safe_load(PACKAGED.read_text())
    # Which cases are drawn for a second look must not depend on their ids; nothing decides by itself.
    sections["second_review"] |= {
        "share": 0,
        "blind_share": 0,
        "against_prior": {"overturn_below": 0, "uphold_above": 1},
    }
    book.write_text(yaml.safe_dump({**sections, "automation": []}))
    texts = folder / "texts"
    ours = {
        "RECOURSE_KAFKA": kafka,
        "RECOURSE_REDIS": redis,
        "RECOURSE_TOPIC_PREFIX": settings.topic_prefix,
        "RECOURSE_GROUP": settings.group,
        "RECOURSE_RULEBOOK": str(book),
        "RECOURSE_SESSION_S": "45",
    }
    desks = {
        "RECOURSE_DESK_KAFKA": kafka,
        "RECOURSE_DESK_TOPIC_PREFIX": settings.topic_prefix,
        "RECOURSE_DESK_TEXTS": str(texts),
        "RECOURSE_DESK_PORT": "0",
        "RECOURSE_DESK_SECURE_COOKIES": "false",
        "RECOURSE_DESK_ANSWER_S": str(ANSWER_S),
        "RECOURSE_DESK_LEAVE_S": str(LEAVE_S),
        "RECOURSE_DESK_LOG_FORMAT": "json",
    }
    with contextlib.ExitStack() as running:
        engine = running.enter_context(_engine(ours, folder))
        address = ""
        if with_desk:
            desk = running.enter_context(_process(desks, folder / "desk.log", "desk.server"))
            address = _told_address(folder / "desk.log", desk)
        producer = Producer({"bootstrap.servers": kafka, "partitioner": "murmur2_random"})
        town = Town(settings, register, folder, address, engine, Texts(texts), Codec(), producer, itertools.count(1))
        stop = threading.Event()
        systems = threading.Thread(target=_obey, args=(town, stop), daemon=True)
        systems.start()
        running.callback(systems.join)
        running.callback(stop.set)
        _wait_until_folding(town)
        yield town


@contextlib.contextmanager
def _engine(environment: dict[str, str], folder: Path) -> Generator[SupervisedProcess]:
    """A worker that has begun. One that finds a broker too young to answer ends, and is started again, as anywhere."""
    for attempt in range(_STARTS):
        with contextlib.ExitStack() as running:
            log = folder / f"engine-{attempt}.log"
            engine = running.enter_context(_process(environment, log, "topology.cli", "run"))
            deadline = time.monotonic() + READY_S
            while "worker_started" not in log.read_text() and engine.exit_code() is None:
                assert time.monotonic() < deadline, engine.log_tail()
                time.sleep(0.05)
            if engine.exit_code() is None:
                yield engine
                return
            assert attempt + 1 < _STARTS, engine.log_tail()


@contextlib.contextmanager
def _process(environment: dict[str, str], log: Path, *module: str) -> Generator[SupervisedProcess]:
    kept = {name: os.environ[name] for name in ("RECOURSE_CACHE",) if name in os.environ}
    with _environment({**kept, **environment}):
        process = SupervisedProcess([sys.executable, "-m", *module], log=log, cwd=Path.cwd())
    try:
        yield process
    finally:
        process.send_signal(signal.SIGCONT)
        process.send_signal(signal.SIGTERM)
        process.wait(GUARD_S)
        process.end(grace_s=0)


def _told_address(log: Path, desk: SupervisedProcess) -> str:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        for line in log.read_text().splitlines() if log.exists() else ():
            with contextlib.suppress(json.JSONDecodeError):
                told = json.loads(line)
                if told.get("event") == "desk_started":
                    return told["address"].rstrip("/")
        assert desk.exit_code() is None, desk.log_tail()
        time.sleep(0.05)
    raise AssertionError(f"the desk does not start: {desk.log_tail()}")


def _wait_until_folding(town: Town) -> None:
    """Until a first case has come out of the engine."""
    town.appeal(policy="first")
    consumer = Consumer({"bootstrap.servers": town.settings.kafka, "group.id": f"{town.settings.group}-waits"})
    name = town.register.on_cluster("cases.general")
    count = town.register.by_name["cases.general"].partitions
    consumer.assign([TopicPartition(name, number, 0) for number in range(count)])
    deadline = time.monotonic() + READY_S
    while consumer.poll(0.2) is None:
        assert town.engine.exit_code() is None, town.engine.log_tail()
        assert time.monotonic() < deadline, f"no case comes: {town.engine.log_tail()}"
    consumer.close()


def _obey(town: Town, stop: threading.Event) -> None:
    """Every system applies every directive at once."""
    consumer = Consumer(
        {
            "bootstrap.servers": town.settings.kafka,
            "group.id": f"{town.settings.group}-systems",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
        }
    )
    name = town.register.on_cluster("resolution.events")
    count = town.register.by_name["resolution.events"].partitions
    consumer.assign([TopicPartition(name, number, 0) for number in range(count)])
    allowed = town.register.by_name["resolution.events"].allowed
    while not stop.is_set():
        message = consumer.poll(0.1)
        if message is None or message.error() is not None:
            continue
        order = town.codec.decode(message.value(), allowed)
        if not isinstance(order, r.ReversalOrdered):
            continue
        for directive in order.directives:
            ack = r.DirectiveAcked(
                event_id=f"ack-{directive.directive_id}-{order.attempt}",
                user_id=order.user_id,
                reversal_id=order.reversal_id,
                directive_id=directive.directive_id,
                system=directive.system,
                status=v.AckStatus.APPLIED,
                occurred_at=now_ms(),
            )
            town.send("resolution.acks", order.user_id, ack)
    consumer.close()


def told(text: str) -> str:
    """Text of a page with single spaces."""
    return re.sub(r"\s+", " ", text)
