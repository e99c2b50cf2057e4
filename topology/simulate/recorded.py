"""Recorded inputs in memory, by partition and topic, as a fold takes them; here those that a file makes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from schemas.records import Record
from topology.engine import deadletter
from topology.engine.definition import EngineConfig
from topology.engine.errors import Poison
from topology.partitioner import partition_of
from topology.replay.mapper import Made
from topology.topics import Register

EARLIEST_MS: int = EngineConfig.earliest_ms
LATEST_MS: int = EngineConfig.latest_ms


class Input(NamedTuple):
    """One record of an input topic."""

    turn: int
    """Its time, UTC ms; 0 if that is implausible, so that it moves no clock."""
    topic: int
    """Index of the input topic in the register: breaks ties of time."""
    key: str
    event: Any
    """What was decoded, or the `Poison` that says why nothing could be."""


@dataclass
class Recorded:
    """All inputs of a simulation."""

    source: str
    """Where they come from, for the head of the report."""
    lanes: dict[int, list[list[Input]]] = field(default_factory=dict[int, list[list[Input]]])
    """By partition: one list for each input topic, in the topic's order."""
    notes: list[str] = field(default_factory=list[str])
    """What a reader of the results must know about the inputs."""

    @property
    def count(self) -> int:
        """How many records there are, good and bad."""
        return sum(len(lane) for lanes in self.lanes.values() for lane in lanes)

    def add(self, partition: int, topics: int, item: Input) -> None:
        """Put a record behind those of its topic and partition; there are so many input `topics`."""
        lanes = self.lanes.get(partition)
        if lanes is None:
            lanes = self.lanes[partition] = [[] for _ in range(topics)]
        lanes[item.topic].append(item)


def turn_of(timestamp: int) -> int:
    """The time at which a record with this timestamp has its turn: 0 when the timestamp must be a mistake."""
    return timestamp if EARLIEST_MS <= timestamp < LATEST_MS else 0


def implausible(timestamp: int) -> Poison:
    """What becomes of a record with such a timestamp."""
    text = f"the record's timestamp {timestamp} ms is outside [{EARLIEST_MS}, {LATEST_MS})"
    return Poison(deadletter.IMPLAUSIBLE_TIME, text)


def from_made(made: Iterable[Made], register: Register, source: str) -> Recorded:
    """The records of a mapped file, on the partitions where a producer would put them.

    Raises:
        Misconfigured: a row does not fit the mapping; the text names its line.
    """
    topics = _topics(register)
    partitions = register.changelog.partitions
    recorded = Recorded(source)
    known: dict[str, int] = {}
    for timestamp, record in made:
        key = str(record.user_id)  # type: ignore[attr-defined]
        partition = known.get(key)
        if partition is None:
            partition = known[key] = partition_of(key.encode(), partitions)
        turn = turn_of(timestamp)
        event = record if turn else implausible(timestamp)
        recorded.add(partition, len(register.inputs), Input(turn, topics[type(record)], key, event))
    return recorded


def _topics(register: Register) -> dict[type[Record], int]:
    return {kind: index for index, topic in enumerate(register.inputs) for kind in topic.allowed}
