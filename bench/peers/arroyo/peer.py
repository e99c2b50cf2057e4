"""The triage step as an Arroyo consumer, histories in Redis: `peer.py KAFKA REDIS PREFIX FOLDER`."""

from __future__ import annotations

import signal
import struct
import sys
from collections.abc import Mapping
from typing import Any

import redis
import step
from arroyo.backends.kafka import (
    KafkaConsumer,
    KafkaPayload,
    KafkaProducer,
    build_kafka_consumer_configuration,
    build_kafka_producer_configuration,
)
from arroyo.processing import StreamProcessor
from arroyo.processing.strategies import (
    BatchStep,
    CommitOffsets,
    ProcessingStrategy,
    ProcessingStrategyFactory,
    Produce,
    RunTask,
    Unfold,
)
from arroyo.processing.strategies.batching import ValuesBatch
from arroyo.types import BaseValue, Commit, Message, Partition, Topic, Value

BATCH = 2_000
WITHIN_S = 0.05
_pair = struct.Struct(">qq")

Batch = ValuesBatch[KafkaPayload]


class Triage(ProcessingStrategyFactory[KafkaPayload]):
    """Batches, so that Redis is asked once for many users."""

    def __init__(self, histories: redis.Redis, prefix: str, producer: KafkaProducer) -> None:
        self._histories = histories
        self._prefix = f"{prefix}arroyo:"
        self._producer = producer
        self._cases = Topic(f"{prefix}arroyo-cases")

    def create_with_partitions(
        self, commit: Commit, partitions: Mapping[Partition, int]
    ) -> ProcessingStrategy[KafkaPayload]:
        """See arroyo."""
        del partitions
        produce = Produce(self._producer, self._cases, CommitOffsets(commit), max_buffer_size=20_000)
        unfold: Unfold[Any, KafkaPayload] = Unfold(lambda values: values, produce)
        return BatchStep(BATCH, WITHIN_S, RunTask(self.fold, unfold))

    def fold(self, message: Message[Batch]) -> list[BaseValue[KafkaPayload]]:
        """A batch of appeals to cases; all its histories are read, changed and written at once."""
        appeals = [(value, step.decode(value.payload.value)) for value in message.payload]
        users = list({appeal["user_id"] for _, appeal in appeals})
        keys = [self._prefix + user for user in users]
        found = self._histories.mget(keys)
        histories = {u: _pair.unpack(bytes_) if bytes_ else (0, 0) for u, bytes_ in zip(users, found, strict=True)}
        cases: list[BaseValue[KafkaPayload]] = []
        for value, appeal in appeals:
            user = appeal["user_id"]
            before, cents = histories[user]
            histories[user] = before + 1, cents + appeal["amount_cents"]
            case = KafkaPayload(value.payload.key, step.encode(step.triage(before, appeal)), [])
            cases.append(Value(case, value.committable, value.timestamp))
        self._histories.mset({self._prefix + user: _pair.pack(*history) for user, history in histories.items()})
        return cases


def main() -> None:
    """Run until told to stop."""
    kafka, redis_url, prefix = sys.argv[1:4]
    consumer = KafkaConsumer(
        build_kafka_consumer_configuration(
            {},
            group_id=f"{prefix}arroyo",
            auto_offset_reset="earliest",
            bootstrap_servers=[kafka],
        )
    )
    producer = KafkaProducer(
        build_kafka_producer_configuration(
            {},
            bootstrap_servers=[kafka],
            override_params={
                "partitioner": "murmur2_random",
                "linger.ms": 5,
                "queue.buffering.max.messages": 500_000,
            },
        )
    )
    factory = Triage(redis.Redis.from_url(redis_url), prefix, producer)
    processor = StreamProcessor(consumer, Topic(f"{prefix}appeals"), factory)
    signal.signal(signal.SIGTERM, lambda *_: processor.signal_shutdown())
    processor.run()


if __name__ == "__main__":
    main()
