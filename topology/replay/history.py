"""Topics for records that are years old: what their age does to them, and topics to which it does nothing.

Brokers count a record's age from its own timestamp. Retention by time deletes history as soon as it is written; and a
segment is closed when its records span more than `segment.ms`, so ten years with the default of a week leave five
hundred files, thrice over, in each partition.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.admin._resource import ResourceType
from confluent_kafka.cimpl import NewTopic

from topology.engine.errors import Misconfigured
from topology.topics import Register

TIMEOUT_S = 30.0
CENTURY_MS = 100 * 365 * 86_400_000
MANY_SEGMENTS = 100


def create_topics(kafka: Mapping[str, Any], register: Register) -> None:
    """Create all topics of the register so that old records stay, in one segment a partition.

    Raises:
        Misconfigured: the broker does not create one, or it exists.
    """
    keep = {"retention.ms": "-1", "segment.ms": str(CENTURY_MS)}
    new = [
        NewTopic(register.on_cluster(t.name), num_partitions=t.partitions, config={**t.config, **keep})
        for t in register.topics
    ]
    admin = AdminClient(dict(kafka))  # held until the answers are in: they die with it
    for name, future in admin.create_topics(new, request_timeout=TIMEOUT_S).items():
        try:
            future.result()
        except KafkaException as exc:
            raise Misconfigured(f"cannot create {name}: {exc.args[0].str()}") from exc


def warnings(kafka: Mapping[str, Any], register: Register, first_ms: int, last_ms: int) -> list[str]:
    """What the topics' settings would do to records of this age."""
    resources = {ConfigResource(ResourceType.TOPIC, register.on_cluster(t.name)): t.name for t in register.topics}
    found: list[str] = []
    now_ms = time.time_ns() // 1_000_000
    admin = AdminClient(dict(kafka))
    for resource, future in admin.describe_configs(list(resources), request_timeout=TIMEOUT_S).items():
        try:
            config = {name: entry.value for name, entry in future.result().items()}
        except KafkaException as exc:
            raise Misconfigured(f"cannot read the settings of {resource.name}: {exc.args[0].str()}") from exc
        found += _of_topic(resource.name, config, age_ms=now_ms - first_ms, span_ms=last_ms - first_ms)
    return sorted(found)


def _of_topic(name: str, config: Mapping[str, str | None], *, age_ms: int, span_ms: int) -> list[str]:
    found: list[str] = []
    retention_ms = int(config.get("retention.ms") or -1)
    deletes = "delete" in str(config.get("cleanup.policy"))
    if deletes and 0 <= retention_ms < age_ms:
        found.append(
            f"{name}: retention.ms is {retention_ms}, and the oldest record is {age_ms // 86_400_000} days old: the "
            "broker will delete it. Set retention.ms to -1 before you replay."
        )
    segments = span_ms // max(1, int(config.get("segment.ms") or CENTURY_MS))
    if segments > MANY_SEGMENTS:
        found.append(
            f"{name}: the records span {segments} times segment.ms, so each partition may get that many segments. "
            f"Set segment.ms to {CENTURY_MS} before you replay."
        )
    return found
