"""How far the workers have come: what their group has committed against what the input topics hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from confluent_kafka import Consumer, TopicPartition

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
        self._consumer = Consumer({**kafka, "group.id": group, "enable.auto.commit": False, "log_level": 2})
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
