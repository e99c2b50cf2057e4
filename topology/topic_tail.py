"""What is committed to a topic from now on: for commands that wait for an answer."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any, Self

from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from topology.cluster import Cluster
from topology.engine.clients import BrokerOffsets, changelog_reader
from topology.engine.errors import Misconfigured
from topology.topics import Register

BROKER_S = 30.0
_POLL_S = 0.1


class TopicTail:
    """Begins where the topic ends when it is made: make it before you set off what you wait for. A context manager."""

    def __init__(self, kafka: Mapping[str, Any], register: Register, topic: str, *, name: str) -> None:
        """`name` is only what the broker's logs call it; nothing is committed under it.

        Raises:
            Misconfigured: no broker answers, or the topic is missing.
        """
        on_cluster = register.on_cluster(topic)
        partitions = Cluster(kafka, register).partitions()
        if on_cluster not in partitions:
            raise Misconfigured(f"topic {on_cluster} is missing. Run `recourse create-topics`.")
        bounds = BrokerOffsets(kafka).bounds(on_cluster, list(range(partitions[on_cluster])), BROKER_S)
        self._consumer = changelog_reader(kafka, group=name)
        self._consumer.assign([TopicPartition(on_cluster, number, end) for number, (_, end) in bounds.items()])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def follow(self, seconds: float) -> Iterator[Message]:
        """Committed records as they come; ends when so much time is over."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            for message in self._consumer.consume(100, timeout=min(_POLL_S, left)):
                error = message.error()
                if error is None:
                    yield message
                elif error.code() != KafkaError._PARTITION_EOF and not error.retriable():  # noqa: SLF001 - librdkafka's own code
                    raise KafkaException(error)
