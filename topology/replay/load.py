"""Writes records to the input topics, with their own timestamps and, if asked, not faster than a rate."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from confluent_kafka import KafkaError, Message, Producer

from schemas.codec import Codec
from schemas.errors import EncodeError
from schemas.records import Record
from topology.engine.clients import IN_TURN
from topology.engine.errors import Misconfigured
from topology.replay.mapper import Made
from topology.topics import Register

FLUSH_S = 120.0
"""The broker has this long to take what is on the way at the end."""

Progress = Callable[[int], None]
"""Told how many records are done so far."""


def no_progress(done: int) -> None:
    """Tell nobody."""
    del done


class Pacer:
    """Keeps a steady rate: item n is let through n / rate seconds after the first, never earlier."""

    def __init__(
        self,
        rate: float | None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`rate` in items a second; None is no limit."""
        self._rate = rate
        self._clock = clock
        self._sleep = sleep
        self._start: float | None = None
        self._count = 0

    def wait(self) -> None:
        """Return when the next item may go."""
        if self._rate is None:
            return
        if self._start is None:
            self._start = self._clock()
        ahead = self._start + self._count / self._rate - self._clock()
        if ahead > 0:
            self._sleep(ahead)
        self._count += 1


def load(
    kafka: Mapping[str, Any],
    made: Iterable[Made],
    *,
    register: Register,
    codec: Codec,
    pacer: Pacer,
    progress: Progress = no_progress,
) -> int:
    """Produce all records, keyed by user, in order; each carries its row's time as Kafka timestamp.

    A run that was cut short can be repeated: the ids are derived, so the engine knows what it has seen.

    Returns:
        How many records were taken by the broker.

    Raises:
        Misconfigured: the broker does not take them, or a record breaks a bound of the wire.
    """
    loader = _Loader(kafka, register, codec)
    done = 0
    for timestamp, record in made:
        pacer.wait()
        loader.send(timestamp, record)
        done += 1
        if done % 500 == 0:
            progress(done)
    loader.finish()
    progress(done)
    return done


class _Loader:
    def __init__(self, kafka: Mapping[str, Any], register: Register, codec: Codec) -> None:
        self._codec = codec
        self._topics = {kind: register.on_cluster(topic.name) for topic in register.inputs for kind in topic.allowed}
        self._failed: KafkaError | None = None
        self._producer = Producer(
            {
                **kafka,
                **IN_TURN,
                # Java's partitioner, as everyone who keys by user_id; order is kept over retries.
                "partitioner": "murmur2_random",
                "enable.idempotence": True,
                "linger.ms": 20,
                "queue.buffering.max.messages": 500_000,
            },
            logger=logging.getLogger("librdkafka"),
        )

    def send(self, timestamp: int, record: Record) -> None:
        """Hand one record to the producer, waiting while its queue is full."""
        topic = self._topics[type(record)]
        try:
            value = self._codec.encode(record, topic)
        except EncodeError as exc:
            raise Misconfigured(f"a {type(record).__name__} of the mapping cannot be written: {exc}") from exc
        key = str(record.user_id).encode()  # type: ignore[attr-defined]
        while True:
            self._check()
            try:
                self._producer.produce(topic, value, key, timestamp=timestamp, on_delivery=self._delivered)
                self._producer.poll(0)
            except BufferError:
                self._producer.poll(0.1)
            else:
                return

    def finish(self) -> None:
        """Wait until the broker has taken everything."""
        left = self._producer.flush(FLUSH_S)
        self._check()
        if left:
            raise Misconfigured(f"the broker did not take {left} records within {FLUSH_S:.0f} s; run the replay again")

    def _delivered(self, error: KafkaError | None, _message: Message) -> None:
        self._failed = self._failed or error

    def _check(self) -> None:
        if self._failed is not None:
            raise Misconfigured(f"the broker refuses records: {self._failed.str()}; run the replay again when it is up")
