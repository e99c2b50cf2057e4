"""Where the consumer reads on."""

from __future__ import annotations

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from topology.engine.errors import NotFetched
from topology.engine.ports import Consumer


def seek(consumer: Consumer, partition: TopicPartition) -> None:
    """Read on from its offset, which is a real one: a logical one is looked up behind the caller's back.

    Raises:
        NotFetched: the consumer has given the partition up, and will say why when it is next asked for records; or it
            has not begun to read it.
    """
    try:
        consumer.seek(partition)
    except KafkaException as exc:
        if exc.args[0].code() != KafkaError._STATE:  # noqa: SLF001 - librdkafka's own code
            raise
        raise NotFetched(f"{partition.topic}[{partition.partition}] is not read at the moment: {exc}") from exc
