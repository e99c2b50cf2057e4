"""The real ends of the engine's ports: confluent-kafka and the machine's clocks, with every option's reason."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, cast

from confluent_kafka import Consumer, IsolationLevel, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec

from topology.engine.definition import EngineConfig

IN_TURN: Mapping[str, Any] = {"max.in.flight.requests.per.connection": 1}
"""For every producer. Idempotence does not keep the order of a producer's first requests to a partition: a broker
accepts any first sequence from a producer that it does not know there (KAFKA-15591, mended in 4.5). So if it refuses
the first request, as it does while it is becoming the leader, and takes the second, the client believes that both were
taken, within a transaction too, and the records of the first are lost (tests/faults/test_first_requests.py)."""

_SETTLING = frozenset(
    {
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.UNKNOWN_LEADER_EPOCH,
    }
)
"""What a broker says of a partition that has just been made, or has just got another leader."""
_SETTLES_S = 5.0


class SystemClock:
    """The machine's clocks."""

    def now_ms(self) -> int:
        """UTC milliseconds."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


class NoMetrics:
    """Counts nothing."""

    def count(self, name: str, by: float = 1, **labels: str) -> None:
        """Ignore."""

    def gauge(self, name: str, value: float, **labels: str) -> None:
        """Ignore."""

    def observe(self, name: str, value: float, **labels: str) -> None:
        """Ignore."""

    def observe_all(self, name: str, values: Sequence[float], **labels: str) -> None:
        """Ignore."""


class BrokerOffsets:
    """Asks about partitions, and for their ends by the isolation level that rule 4(b) needs.

    A `read_committed` consumer's watermarks answer the last stable offset, which can hide a transaction that has
    committed already, because markers reach partitions at different moments (KAFKA-10167).
    """

    def __init__(self, kafka: Mapping[str, Any]) -> None:
        self._kafka = dict(kafka)
        self._admin = AdminClient(self._kafka)
        self._asked = False

    def bounds(self, topic: str, partitions: Sequence[int], timeout: float) -> dict[int, tuple[int, int]]:
        """See `ports.Offsets.bounds`."""
        until = time.monotonic() + min(timeout, _SETTLES_S)
        while True:
            try:
                return self._bounds(topic, partitions, timeout)
            except KafkaException as exc:
                # The client asks with the leader epoch that it remembers, and does not look again when the broker says
                # that it is an old one (FENCED_LEADER_EPOCH): a new client knows nothing old.
                self._admin = AdminClient(self._kafka)
                self._asked = False
                if exc.args[0].code() not in _SETTLING or time.monotonic() >= until:
                    raise
            time.sleep(0.1)

    def _bounds(self, topic: str, partitions: Sequence[int], timeout: float) -> dict[int, tuple[int, int]]:
        if not self._asked:
            # A client that has never asked for metadata sometimes waits three seconds before its first `list_offsets`.
            self._admin.list_topics(topic, timeout=timeout)
            self._asked = True
        ends: list[dict[int, int]] = []
        for spec in cast("tuple[OffsetSpec, OffsetSpec]", (OffsetSpec.earliest(), OffsetSpec.latest())):
            futures = self._admin.list_offsets(
                {TopicPartition(topic, p): spec for p in partitions},
                isolation_level=IsolationLevel.READ_UNCOMMITTED,
                request_timeout=timeout,
            )
            ends.append({tp.partition: future.result().offset for tp, future in futures.items()})
        return {p: (ends[0][p], ends[1][p]) for p in partitions}

    def partition_count(self, topic: str, timeout: float) -> int:
        """See `ports.Offsets.partition_count`."""
        found = self._admin.list_topics(topic, timeout=timeout).topics[topic]
        if found.error is not None:
            raise KafkaException(found.error)
        return len(found.partitions)


def consumer(
    kafka: Mapping[str, Any], *, group: str, config: EngineConfig, static: bool, session_s: float, **more: Any
) -> Consumer:
    """A group member for the input topics."""
    options: dict[str, Any] = {
        **kafka,
        "group.id": group,
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
        # Keeps partition p of all inputs with one member: the fold of a user is local.
        "partition.assignment.strategy": "range",
        "session.timeout.ms": int(session_s * 1000),
        # A member learns of a rebalance from its next heartbeat, so this delays everybody who joins.
        "heartbeat.interval.ms": int(min(3.0, session_s / 4) * 1000),
        # Past it the group takes the partitions away, and `/livez` asks for a restart.
        "max.poll.interval.ms": int(1000 * config.longest_step_s),
        # Tells the merge that an input has no more for now, so that nothing waits for it.
        "enable.partition.eof": True,
        # A broker that answers with the first byte answers once for each record that arrives, and at 1,000 a second
        # that is most of what it does: here it collects for 10 ms, less than a batch waits for the one before it.
        "fetch.min.bytes": 65_536,
        "fetch.wait.max.ms": 10,
        "fetch.queue.backoff.ms": 20,
        "queued.max.messages.kbytes": 32_768,
        "topic.metadata.refresh.interval.ms": 60_000,
        **more,
    }
    if static:
        # A restarted worker gets its partitions back without a rebalance (KIP-345).
        options["group.instance.id"] = f"{group}-{config.slot}"
    return Consumer(options)


def producer(kafka: Mapping[str, Any], *, group: str, config: EngineConfig, **more: Any) -> Producer:
    """The transactional producer of one slot."""
    return Producer(
        {
            **kafka,
            **IN_TURN,
            "transactional.id": f"{group}-{config.slot}",
            "transaction.timeout.ms": int(config.commit_s * 1000),
            # Java's partitioner: whoever keys by user_id, in any language, must reach the same partition.
            "partitioner": "murmur2_random",
            "linger.ms": 2,
            # The broker answers CONCURRENT_TRANSACTIONS while the transaction before is being completed, which takes
            # it some milliseconds; the default back-off makes each batch wait 100 ms for that.
            "retry.backoff.ms": 5,
            "retry.backoff.max.ms": 200,
            "queue.buffering.max.messages": 500_000,
            "queue.buffering.max.kbytes": 524_288,
            "message.max.bytes": 4_000_000,
            # The default, "rebootstrap", forgets all brokers when none answers; sending offsets then waits for ever,
            # whatever its time-out, for a group coordinator that is gone (librdkafka #5456 and #5511).
            "metadata.recovery.strategy": "none",
            **more,
        }
    )


def changelog_reader(kafka: Mapping[str, Any], *, group: str, **more: Any) -> Consumer:
    """Reads changelog partitions by assignment. The group id is only a name: nothing is committed under it."""
    return Consumer(
        {
            **kafka,
            "group.id": f"{group}-restore",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 50,
            # By default the client, once it has fetched all that it may hold, looks again only after a second.
            "fetch.queue.backoff.ms": 20,
            "queued.max.messages.kbytes": 65_536,
            **more,
        }
    )
