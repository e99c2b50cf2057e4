"""Appeals that arrive while something else goes on, and how long each takes from its producer to a pod's topic."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

from confluent_kafka import Consumer, Producer, TopicPartition

from processors import ids
from schemas import records as r
from schemas import vocabulary as v
from schemas.codec import Codec
from topology.topics import Register

LATE_S = 30.0
"""How long the last appeals may take to arrive."""


@dataclass(frozen=True)
class Latency:
    """Of appeals, milliseconds."""

    appeals: int
    p50: float
    p99: float
    worst: float


class LiveAppeals:
    """Sends appeals at a steady rate from one thread and sees their cases, committed ones only, from another."""

    def __init__(
        self, kafka: dict[str, Any], register: Register, users: Iterable[tuple[str, str]], rate: float
    ) -> None:
        """`users` gives (user, enforcement) pairs, each for one appeal; `rate` is appeals a second."""
        self._kafka = kafka
        self._register = register
        self._users = iter(users)
        self._rate = rate
        self._codec = Codec()
        self._ending = threading.Event()
        self._sent: dict[str, float] = {}
        """By case, when it was handed to the producer (monotonic seconds)."""
        self._seen: dict[str, float] = {}
        self._ready = threading.Event()
        self._threads = [threading.Thread(target=run, daemon=True) for run in (self._watch, self._send)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join(LATE_S)

    def during(self, *windows: tuple[float, float]) -> Latency:
        """Of those that were sent within any of the windows (monotonic seconds), once all of them have arrived.

        Raises:
            SystemExit: one has not.
        """
        cases = [case for case, at in list(self._sent.items()) if any(start <= at < end for start, end in windows)]
        deadline = time.monotonic() + LATE_S
        while any(case not in self._seen for case in cases):
            if time.monotonic() > deadline:
                missing = sum(case not in self._seen for case in cases)
                raise SystemExit(f"{missing} of {len(cases)} appeals did not arrive: the figure is worth nothing")
            time.sleep(0.05)
        took = sorted((self._seen[case] - self._sent[case]) * 1_000 for case in cases)
        cuts = statistics.quantiles(took, n=100, method="inclusive")
        return Latency(len(took), cuts[49], cuts[98], took[-1])

    def _send(self) -> None:
        self._ready.wait(LATE_S)
        producer = Producer({**self._kafka, "partitioner": "murmur2_random", "linger.ms": 0})
        topic = self._register.on_cluster("appeal.events")
        due = time.monotonic()
        for number, (user, enforcement) in enumerate(self._users):
            due += 1 / self._rate
            if self._ending.wait(max(0.0, due - time.monotonic())):
                break
            appeal = an_appeal(number, user, enforcement)
            self._sent[ids.case_id(appeal.appeal_id)] = time.monotonic()
            producer.produce(topic, self._codec.encode(appeal, topic), user.encode(), timestamp=appeal.submitted_at)
            producer.poll(0)
        producer.flush(10)

    def _watch(self) -> None:
        """Pods' topics from their end on: nothing has been appealed before."""
        consumer = Consumer(
            {
                **self._kafka,
                "group.id": "bench-live",  # only a name: nothing is committed under it
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": 10,
            }
        )
        found = consumer.list_topics(timeout=10).topics
        names = [self._register.on_cluster(f"cases.{pod}") for pod in self._register.pods]
        consumer.assign([TopicPartition(name, p, 0) for name in names for p in found[name].partitions])
        self._ready.set()
        while not self._ending.is_set():
            for message in consumer.consume(500, 0.02):
                if message.error() is None:
                    self._seen.setdefault((message.key() or b"").decode(), time.monotonic())
        consumer.close()


def an_appeal(number: int, user: str, enforcement: str) -> r.AppealSubmitted:
    """The one of this number, submitted now, in the user's own name."""
    return r.AppealSubmitted(
        event_id=f"ev-live-{number}",
        user_id=r.UserId(user),
        appeal_id=r.AppealId(f"live-{number}"),
        submitted_at=r.Millis(time.time_ns() // 1_000_000),
        enforcement_id=r.EnforcementId(enforcement),
        enforcement_version=1,
        appellant_id=r.UserId(user),
        language="en",
        grounds=[v.AppealGround.FACTS_WRONG],
        statement_ref=f"s3://statements/live-{number}",
    )
