"""The users' keys of an installation, put together from its settings."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from schemas.codec import Codec
from topology.access.redis_client import redis_client
from topology.cluster import Cluster
from topology.engine.errors import Misconfigured
from topology.privacy.kafka_log import KafkaLog
from topology.privacy.redis_view import RedisView
from topology.privacy.subject_keys import SubjectKeys
from topology.registry import open_codec
from topology.settings import Settings
from topology.topics import KEYS, Register


def keys_of(
    settings: Settings,
    register: Register,
    codec: Codec,
    redis: Any,  # noqa: ANN401 - redis-py's clients share no base
    *,
    partitions: int,
    name: str,
) -> tuple[SubjectKeys, KafkaLog]:
    """The keys, and the log to close; for one thread.

    Args:
        settings: where, and the key-encryption keys.
        register: the topics.
        codec: how records are read and written.
        redis: a client.
        partitions: of the topic of users' keys.
        name: what the broker's logs call its reader.
    """
    log = KafkaLog(settings.kafka_config(), register, codec, partitions=partitions, name=name)
    view = RedisView(redis, namespace=settings.group)
    topic = register.on_cluster(KEYS)
    return SubjectKeys(log, view, codec, settings.key_encryption_keys(), topic=topic), log


def partitions_of_keys(settings: Settings, register: Register) -> int:
    """How many the topic of users' keys has.

    Raises:
        Misconfigured: the topic is missing, or no broker answers.
    """
    found = Cluster(settings.kafka_config(), register).partitions()
    name = register.on_cluster(KEYS)
    if name not in found:
        raise Misconfigured(f"topic {name} is missing. Run `recourse create-topics`.")
    return found[name]


@contextmanager
def open_keys(settings: Settings, *, name: str, register: Register | None = None) -> Generator[SubjectKeys]:
    """The keys for as long as the context is open.

    Raises:
        Misconfigured: no key-encryption key is set, or something does not answer.
    """
    if settings.kek is None:
        raise Misconfigured(
            "no key-encryption key is set, so nothing sealed can be read or made here: see RECOURSE_KEK"
        )
    register = register or settings.register_of_topics()
    partitions = partitions_of_keys(settings, register)
    redis = redis_client(settings)
    keys, log = keys_of(settings, register, open_codec(settings), redis, partitions=partitions, name=name)
    try:
        yield keys
    finally:
        log.close()
        redis.close()
