"""How far the workers have come: what their group has committed against what the input topics hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from topology.engine.errors import Misconfigured
from topology.topics import Register

_TIMEOUT_S = 15.0


@dataclass(frozen=True)
class Standing:
    """One partition of an input topic."""

    committed: int
    end: int


Reached = dict[tuple[str, int], Standing]
"""By input topic (without prefix) and partition."""


class Lag:
    """Asks the broker. A member of no group: it only looks at the workers'."""

    def __init__(self, kafka: dict[str, Any], register: Register, group: str) -> None:
        # A worker that was killed within a transaction leaves offsets pending, and `read_committed` waits for them for
        # as long as a transaction may take: how far the group is now is what is asked.
        own = {"group.id": group, "enable.auto.commit": False, "isolation.level": "read_uncommitted", "log_level": 2}
        self._consumer = Consumer({**kafka, **own})
        self._names = {register.on_cluster(topic.name): topic.name for topic in register.inputs}
        metadata = self._consumer.list_topics(timeout=_TIMEOUT_S).topics
        self._places = [(name, p) for name in self._names for p in metadata[name].partitions]

    def read(self) -> Reached:
        """Committed offset and end, by partition."""
        reached: Reached = {}
        places = [TopicPartition(name, partition) for name, partition in self._places]
        for place in self._consumer.committed(places, timeout=_TIMEOUT_S):
            low, end = self._consumer.get_watermark_offsets(place, timeout=_TIMEOUT_S)
            reached[self._names[place.topic], place.partition] = Standing(max(place.offset, low), end)
        return reached

    def unread(self) -> int:
        """Records that the workers have yet to judge."""
        return sum(max(0, standing.end - standing.committed) for standing in self.read().values())

    def close(self) -> None:
        """Let go of the connections."""
        self._consumer.close()


def holders(kafka: dict[str, Any], register: Register, group: str) -> dict[tuple[str, int], str]:
    """Which member of the group holds a partition, by input topic (without prefix) and partition.

    A member is told by its slot where membership is static, else by its client id, and by its host.

    Raises:
        Misconfigured: the broker does not tell.
    """
    names = {register.on_cluster(topic.name): topic.name for topic in register.inputs}
    admin = AdminClient({"log_level": 2, **kafka})
    try:
        found = admin.describe_consumer_groups([group], request_timeout=_TIMEOUT_S)[group].result()
    except KafkaException as exc:
        raise Misconfigured(
            f"the brokers do not tell who is in the group {group} ({exc.args[0].str()}). Do they answer, and may this "
            "client describe groups? If no worker has run yet, there is none"
        ) from exc
    return {
        (names[place.topic], place.partition): f"{member.group_instance_id or member.client_id} on {member.host}"
        for member in found.members
        if member.assignment is not None
        for place in member.assignment.topic_partitions
        if place.topic in names
    }
