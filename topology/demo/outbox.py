"""How the simulated world writes: one producer, and a ledger of what the broker has confirmed."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import KafkaError, Message, Producer

from schemas.codec import Codec
from schemas.records import AppealSubmitted, Record
from topology.engine.clients import IN_TURN
from topology.topics import Register

Place = tuple[str, int, int]
"""Topic (without prefix), partition, offset."""

_POLL_S = 0.1


@dataclass
class Ledger:
    """What the broker has confirmed. Written by the outbox's own thread only."""

    by_topic: Counter[str] = field(default_factory=Counter[str])
    appeals: set[str] = field(default_factory=set[str])
    """Ids of well-formed appeals, each once however often it was sent."""
    broken: set[Place] = field(default_factory=set[Place])
    """Where the records lie that must become dead letters."""
    refused: Counter[str] = field(default_factory=Counter[str])
    """Records that the broker did not take, by its reason."""

    @property
    def records(self) -> int:
        """All that was confirmed."""
        return sum(self.by_topic.values())


class Outbox:
    """A producer that any thread may use; its own thread hears of deliveries."""

    def __init__(self, kafka: dict[str, Any], register: Register, codec: Codec) -> None:
        # The partitioner of Java's clients, as the engine's own producer: equal keys meet whoever wrote them.
        self._producer = Producer(
            {
                **kafka,
                **IN_TURN,
                "enable.idempotence": True,
                "partitioner": "murmur2_random",
                "linger.ms": 5,
                "log_level": 2,
            }
        )
        self._register = register
        self._codec = codec
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._poll, name="demo-outbox", daemon=True)
        self._thread.start()
        self.ledger = Ledger()
        self.appealed_s: dict[str, float] = {}
        """Monotonic seconds at which each appeal was handed to the producer for the first time."""

    def send(self, topic: str, key: str, record: Record | bytes, *, broken: bool = False) -> None:
        """Publish; `broken` says that it must become a dead letter."""
        physical = self._register.on_cluster(topic)
        data = record if isinstance(record, bytes) else self._codec.encode(record, physical)
        appeal = record.appeal_id if isinstance(record, AppealSubmitted) and not broken else None
        if appeal is not None:
            self.appealed_s.setdefault(appeal, time.monotonic())

        def delivered(error: KafkaError | None, message: Message) -> None:
            self._book(topic, error, message, appeal=appeal, broken=broken)

        self._producer.produce(physical, data, key, on_delivery=delivered)

    def flush(self, timeout_s: float) -> None:
        """Wait until the broker has confirmed what was sent."""
        deadline = time.monotonic() + timeout_s
        while len(self._producer) and time.monotonic() < deadline:
            time.sleep(_POLL_S / 4)

    def close(self) -> None:
        """Send what is left and end the thread."""
        self.flush(10)
        self._stop.set()
        self._thread.join()

    def _poll(self) -> None:
        while not self._stop.is_set():
            self._producer.poll(_POLL_S)

    def _book(
        self, topic: str, error: KafkaError | None, message: Message, *, appeal: str | None, broken: bool
    ) -> None:
        if error is not None:
            self.ledger.refused[error.str()] += 1
            return
        self.ledger.by_topic[topic] += 1
        if appeal is not None:
            self.ledger.appeals.add(appeal)
        if broken:
            self.ledger.broken.add((topic, message.partition() or 0, message.offset() or 0))
