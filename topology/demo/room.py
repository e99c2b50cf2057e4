"""The demo's own room on the cluster: topics, group and keys under a name that no other run has."""

from __future__ import annotations

import concurrent.futures
import contextlib
import uuid

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from topology.access.redis_client import redis_client
from topology.cluster import Cluster
from topology.engine.errors import Retriable
from topology.engine.redis_store import RedisStore
from topology.settings import Settings, load_settings
from topology.topics import Register, Role, load_register

PARTITIONS = 4
"""Of the inputs; two workers share them evenly. Few, because each is a folder to make at start."""
_OUTPUT_PARTITIONS = 2


def new_room(kafka: str, redis: str) -> tuple[Settings, Register]:
    """Settings and topics under a fresh name."""
    name = f"demo-{uuid.uuid4().hex[:8]}"
    settings = load_settings(kafka=kafka, redis=redis, topic_prefix=f"{name}.", group=name, partitioning="")
    register = load_register(settings.topic_prefix, partitions=PARTITIONS)
    topics = tuple(
        topic.model_copy(update={"partitions": PARTITIONS if topic.in_step else _OUTPUT_PARTITIONS})
        if topic.role is Role.OUTPUT
        else topic
        for topic in register.topics
    )
    return settings, register.model_copy(update={"topics": topics})


def create_topics(settings: Settings, register: Register) -> None:
    """Make the topics; the cluster's own default says how many replicas."""
    Cluster(settings.kafka_config(), register).create_missing()


def clear(settings: Settings, register: Register) -> None:
    """Leave nothing behind on servers that are not ours. What cannot be removed now stays; nobody else uses it."""
    with contextlib.suppress(KafkaException, Retriable):
        admin = AdminClient({**settings.kafka_config(), "log_level": 2})
        names = [register.on_cluster(topic.name) for topic in register.topics]
        removals = [
            *admin.delete_topics(names).values(),
            *admin.delete_consumer_groups([settings.group, settings.topic_prefix + settings.insights_group]).values(),
        ]
        concurrent.futures.wait(removals, timeout=15)
        client = redis_client(settings)
        store = RedisStore(client, namespace=settings.group)
        for partition in range(PARTITIONS):
            store.reset(partition)
        client.close()
