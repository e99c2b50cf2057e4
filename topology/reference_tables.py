"""Follows the reference topics that decisions look at: read whole at start, then a little between two batches.

Outside the group: every worker has all of it. Nothing here holds up an appeal. A topic that is missing or silent, a
record that cannot be read, a broker that is away: each is told and counted, and means that less is known. What a
decision took from here is in its line of the audit, so what is here need not be the same twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from processors.references import References
from processors.tables import Tables
from schemas.codec import Codec
from schemas.errors import DecodeError, RegistryUnavailableError
from schemas.records import OverturnRate, PodLoad, Record
from topology import logs
from topology.engine import clients
from topology.engine.ports import ChangelogReader, Clock, Metrics, Offsets
from topology.topics import Register

RATES = "insights.overturn-rates"
LOADS = "pod.load"

LOAD_S = 30.0
"""At most so long a start waits for the topics to be read to their ends."""
_POLL_S = 0.05
_LOOK_S = 0.2
"""Between two looks for news while batches are folded."""
_AT_ONCE = 1_000
"""Records a look takes in at most; more are left for the next."""
_BROKER_S = 10.0
_EOF = KafkaError._PARTITION_EOF  # noqa: SLF001 - librdkafka's own code


class ReferenceTables:
    """Keeps `references` up to date. Called from one thread."""

    def __init__(
        self,
        tables: Tables,
        *,
        register: Register,
        codec: Codec,
        reader: ChangelogReader,
        offsets: Offsets,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self.references = References(tables)
        self._codec = codec
        self._reader = reader
        self._offsets = offsets
        self._clock = clock
        self._metrics = metrics
        self._log = logs.logger()
        self._topics = {register.on_cluster(name): register.by_name[name] for name in (RATES, LOADS)}
        self._looked = clock.monotonic()

    def load(self, within_s: float = LOAD_S) -> bool:
        """Read the topics to their ends as of now, before anything is judged.

        Returns:
            Whether all of it was read; if not, what is left comes between the batches.
        """
        open_: dict[tuple[str, int], int] = {}
        starts: list[TopicPartition] = []
        for topic in self._topics:
            for number, (start, end) in self._bounds(topic).items():
                starts.append(TopicPartition(topic, number, start))
                if start < end:
                    open_[topic, number] = end
        self._reader.assign(starts)
        until = self._clock.monotonic() + within_s
        while open_ and self._clock.monotonic() < until:
            for message in self._consume(_POLL_S):
                place = (message.topic() or "", message.partition() or 0)
                error = message.error()
                offset = message.offset() or 0
                reached = offset if error is not None and error.code() == _EOF else offset + 1
                self._take(message)
                if (error is None or error.code() == _EOF) and reached >= open_.get(place, reached + 1):
                    del open_[place]
        self._tell()
        if open_:
            places = ", ".join(f"{topic}[{number}]" for topic, number in sorted(open_))
            self._log.warning("reference_tables_late", partitions=places, waited_s=within_s)
        return not open_

    def refresh(self) -> None:
        """Take in what has come, without waiting; between batches only."""
        now = self._clock.monotonic()
        if now - self._looked < _LOOK_S:
            return
        self._looked = now
        found = self._consume(0.0)
        for message in found:
            self._take(message)
        if found:
            self._tell()

    def close(self) -> None:
        """Let go of the connection."""
        self._reader.close()

    def _bounds(self, topic: str) -> dict[int, tuple[int, int]]:
        try:
            count = self._offsets.partition_count(topic, _BROKER_S)
            return self._offsets.bounds(topic, list(range(count)), _BROKER_S)
        except KafkaException as exc:
            self._failed(exc.args[0], f"{topic} cannot be read, so nothing of it is known until the next start")
            return {}

    def _consume(self, timeout_s: float) -> list[Message]:
        try:
            return self._reader.consume(_AT_ONCE, timeout_s)
        except KafkaException as exc:
            self._failed(exc.args[0], "what was known stays")
            return []

    def _take(self, message: Message) -> None:
        error = message.error()
        if error is not None:
            if error.code() != _EOF:
                self._failed(error, "what was known stays")
            return
        topic = self._topics[message.topic() or ""]
        key = (message.key() or b"").decode(errors="replace")
        # Compaction keeps the newest record only: where that cannot be read, a worker that starts later never sees
        # the one before, so nobody may go on with it.
        record = self._decode(message, topic.allowed, key)
        if topic.name == RATES:
            self.references.set_rate(key, record if isinstance(record, OverturnRate) else None)
        else:
            self.references.set_load(key, record if isinstance(record, PodLoad) else None)
        self._metrics.count("reference_records_total", topic=topic.name)

    def _decode(self, message: Message, allowed: frozenset[type[Record]], key: str) -> Record | None:
        value = message.value()
        if value is None:
            return None
        try:
            record = self._codec.decode(value, allowed)
        except DecodeError as exc:
            return self._refuse(message, f"{exc.reason}: {exc.text}")
        except RegistryUnavailableError as exc:
            return self._refuse(message, f"schema registry: {exc}")
        called = record.rate_id if isinstance(record, OverturnRate) else getattr(record, "pod", None)
        if called != key:
            return self._refuse(message, f"the record's key is not what it calls itself, {called}")
        return record

    def _refuse(self, message: Message, why: str) -> None:
        name = self._topics[message.topic() or ""].name
        place = f"{message.topic()}[{message.partition()}]@{message.offset()}"
        self._metrics.count("reference_refused_total", topic=name)
        self._log.warning("reference_refused", place=place, why=why)

    def _failed(self, error: KafkaError, so: str) -> None:
        self._metrics.count("kafka_consumer_errors_total", error=error.name())
        self._log.warning("reference_tables_unreadable", error=error.name(), so=so)

    def _tell(self) -> None:
        self._metrics.gauge("reference_values", len(self.references))


def follow(
    kafka: Mapping[str, Any],
    tables: Tables,
    *,
    register: Register,
    codec: Codec,
    group: str,
    metrics: Metrics,
) -> ReferenceTables:
    """The tables of a real cluster; to be loaded before anything is judged."""
    return ReferenceTables(
        tables,
        register=register,
        codec=codec,
        reader=clients.changelog_reader(kafka, group=f"{group}-references"),
        offsets=clients.BrokerOffsets(kafka),
        clock=clients.SystemClock(),
        metrics=metrics,
    )
