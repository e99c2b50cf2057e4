"""The two sides of a move: the same installation before and after, each with its own co-partitioned topics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from processors.outbox import CASE_EVENTS
from topology.partitioner import partition_of
from topology.settings import Settings
from topology.topics import Register, Role, Topic


@dataclass(frozen=True)
class Side:
    """One partitioning of an installation."""

    settings: Settings
    register: Register
    partitions: int
    """Of each co-partitioned topic on the cluster."""
    counts: Mapping[str, int] = field(default_factory=dict[str, int])
    """Partitions of topics that have another number, by name on the cluster."""

    @property
    def name(self) -> str:
        """Of the partitioning; empty for the first."""
        return self.settings.partitioning

    @property
    def group(self) -> str:
        """The engine's consumer group."""
        return self.settings.engine_name

    @property
    def inputs(self) -> tuple[Topic, ...]:
        """The input topics."""
        return self.register.inputs

    @property
    def changelog(self) -> str:
        """Its name on the cluster."""
        return self.register.on_cluster(self.register.changelog.name)

    def on_cluster(self, topic: Topic) -> str:
        """A topic's name on the cluster."""
        return self.register.on_cluster(topic.name)

    def count(self, topic: Topic) -> int:
        """Partitions of one topic."""
        return self.counts.get(self.on_cluster(topic), self.partitions)

    def places(self) -> Iterator[tuple[str, int]]:
        """Every partition of every input, by the names on the cluster."""
        return ((self.on_cluster(topic), number) for topic in self.inputs for number in range(self.partitions))


@dataclass(frozen=True)
class Move:
    """From where to where."""

    old: Side
    new: Side
    states_over: int
    """Over how many partitions the states lie: fewer than there are if some were added since."""

    @property
    def progress(self) -> str:
        """The group under which is kept how far it is; nobody ever joins it."""
        return progress_of(self.new.settings)

    @property
    def moving(self) -> tuple[Topic, ...]:
        """The topics whose records move; what is private to the insights, they make again."""
        return tuple(t for t in self.old.register.topics if t.of_partitioning and t.role is not Role.STATE)

    @property
    def audit(self) -> Topic:
        """The audit, which lies in step with the inputs."""
        return self.old.register.by_name[CASE_EVENTS]

    def placed(self, topic: Topic, key: bytes | None, before: int) -> int:
        """The partition of then for a record that lies in partition `before`.

        What belongs to a user goes where the user's producers will send. Anything else (records without a key, and
        commands, of which each partition had a copy) only must go to one place, so that its order is kept.
        """
        if key and self.by_user(topic):
            return partition_of(key, self.new.partitions)
        return before % self.new.partitions

    def by_user(self, topic: Topic) -> bool:
        """Whether the records of a topic are keyed by user."""
        if topic.role is Role.DEAD_LETTERS:
            topic = self.old.register.by_name[topic.name.removesuffix(".dlq")]
        return topic.key == "user_id"


def progress_of(new: Settings) -> str:
    """Of a move to the partitioning of these settings."""
    return f"{new.engine_name}.reshard"
