"""Reads whole topics, committed records only, up to where they ended when asked: for commands, outside the group."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from confluent_kafka import Message

from topology.cluster import Cluster
from topology.engine.errors import Misconfigured
from topology.partition_reader import PartitionReader
from topology.topics import Register


class TopicReader(PartitionReader):
    """Topics by their names in the register. A context manager."""

    def __init__(self, kafka: Mapping[str, Any], register: Register, *, name: str) -> None:
        """`name` is only what the broker's logs call it; nothing is committed under it.

        Raises:
            Misconfigured: no broker answers.
        """
        self._register = register
        self._found = Cluster(kafka, register).partitions()
        super().__init__(kafka, name=name)

    def read(self, topic: str, partitions: Iterable[int] | None = None) -> Iterator[Message]:
        """All committed records, each partition in its order, to the *uncommitted* end as of now.

        The last stable offset can hide a transaction that has committed (KAFKA-10167): what another topic shows of a
        transaction, this one shows too if it is read after the other.

        Args:
            topic: by its name in the register.
            partitions: only these; all by default.

        Raises:
            Misconfigured: the topic is missing, or a transaction in it does not end.
        """
        name = self._register.on_cluster(topic)
        if name not in self._found:
            raise Misconfigured(f"topic {name} is missing. Run `recourse create-topics`.")
        numbers = list(range(self._found[name]) if partitions is None else partitions)
        yield from self.between(name, self.bounds(name, numbers))

    def starts(self, topic: str) -> dict[int, int]:
        """Offset of the oldest record that each partition still has."""
        name = self._register.on_cluster(topic)
        return {number: start for number, (start, _) in self.bounds(name, list(range(self._found[name]))).items()}
