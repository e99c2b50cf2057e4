"""What the engine needs from outside: consumer, producer, store, clock, metrics, as contracts.

`Consumer` and `Producer` are the parts of confluent-kafka's classes that the engine calls, with their signatures:
the real ones fit without an adapter, and the tests' in-memory broker implements the same. All raise
`KafkaException`; which error means what is decided in one place, `errors`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from confluent_kafka import KafkaError, Message, TopicPartition

from topology.engine.carried import Folded

RebalanceCallback = Callable[[Any, list[TopicPartition]], None]


DeliveryCallback = Callable[[KafkaError | None, Message], None]
Headers = list[tuple[str, str | bytes | None]]


class Consumer(Protocol):
    """A member of the consumer group. Called from the loop's thread only: a second caller would starve."""

    def subscribe(
        self,
        topics: list[str],
        *,
        on_assign: RebalanceCallback,
        on_revoke: RebalanceCallback,
        on_lost: RebalanceCallback,
    ) -> None:
        """Join the group; the callbacks run inside `consume`."""
        ...

    def consume(self, num_messages: int, timeout: float) -> list[Message]:
        """Up to `num_messages` records, waiting `timeout` seconds at most; counts as a poll."""
        ...

    def assign(self, partitions: list[TopicPartition]) -> None:
        """Take exactly these partitions."""
        ...

    def pause(self, partitions: list[TopicPartition]) -> None:
        """Deliver nothing of these until `resume`."""
        ...

    def resume(self, partitions: list[TopicPartition]) -> None:
        """Deliver again."""
        ...

    def seek(self, partition: TopicPartition) -> None:
        """The next record delivered of this partition is the one at `partition.offset`, or after."""
        ...

    def committed(self, partitions: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        """The group's offsets; with `read_committed` waits until pending transactional commits are settled."""
        ...

    def get_watermark_offsets(
        self,
        partition: TopicPartition,
        timeout: float = ...,
        cached: bool = ...,  # noqa: FBT001 - confluent-kafka's signature
    ) -> tuple[int, int] | None:
        """With `cached`: (low, end) as of the newest fetch, without asking; negative before the first fetch.

        Not from another thread: the client lets one in at a time, and a loop that consumes leaves no gap.
        """
        ...

    def consumer_group_metadata(self) -> object:
        """Opaque proof of membership and generation for `send_offsets_to_transaction` (KIP-447)."""
        ...

    def close(self) -> None:
        """Leave the group."""
        ...


class Producer(Protocol):
    """A transactional producer. Called from one thread at a time."""

    def init_transactions(self, timeout: float) -> None:
        """Fence older incarnations of the same `transactional.id` and settle their open transaction."""
        ...

    def begin_transaction(self) -> None:
        """Start."""
        ...

    def produce(
        self,
        topic: str,
        value: bytes | None = ...,
        key: bytes | None = ...,
        partition: int = ...,
        callback: DeliveryCallback | None = ...,
        on_delivery: DeliveryCallback | None = ...,
        timestamp: int = ...,
        headers: Headers | None = ...,
    ) -> None:
        """Queue one record; `BufferError` when the local queue is full.

        Given by position, a `callback` of None silences `on_delivery`, which is its other name.
        """
        ...

    def poll(self, timeout: float) -> int:
        """Serve delivery reports."""
        ...

    def flush(self, timeout: float) -> int:
        """Wait until all is delivered; returns what is left."""
        ...

    def send_offsets_to_transaction(
        self, positions: list[TopicPartition], group_metadata: object, timeout: float
    ) -> None:
        """Commit offsets within the transaction, fenced by the group's generation."""
        ...

    def commit_transaction(self, timeout: float) -> None:
        """All of it becomes visible, or an error says which."""
        ...

    def abort_transaction(self, timeout: float) -> None:
        """None of it ever becomes visible."""
        ...


class ChangelogReader(Protocol):
    """Reads changelog partitions, outside the group, with `read_committed` and end-of-partition events."""

    def assign(self, partitions: list[TopicPartition]) -> None:
        """Read exactly these, each from its offset."""
        ...

    def consume(self, num_messages: int, timeout: float) -> list[Message]:
        """Records and `_PARTITION_EOF` events."""
        ...

    def close(self) -> None:
        """Give the connection back."""
        ...


class Offsets(Protocol):
    """Asks the broker about partitions and their ends."""

    def bounds(self, topic: str, partitions: Sequence[int], timeout: float) -> dict[int, tuple[int, int]]:
        """For each partition (log start, high watermark), the latter *uncommitted* (rule 4b, KAFKA-10167)."""
        ...

    def partition_count(self, topic: str, timeout: float) -> int:
        """How many partitions the topic has; an unknown topic is an error."""
        ...


Write = tuple[bytes, bytes | None, int | None]
"""(key, dossier or None for a tombstone, UTC ms of its next timer or None)."""

Indexing = tuple[bytes, bool]
"""(term, whether it is in the index from now on)."""


class DuePage(NamedTuple):
    """Some of a partition's timers."""

    checkpoint: int | None
    """That the timers belong to; None: the store holds none."""
    pairs: Sequence[tuple[int, bytes]]
    """(due, key), earliest first."""
    until: int
    """UTC ms up to which these are all."""


class Apply(NamedTuple):
    """What is to be written of one partition, all of it or nothing."""

    partition: int
    expected: int | None
    """The checkpoint that the store must have; None: it holds nothing of the partition."""
    new: int
    """The checkpoint afterwards."""
    writes: Sequence[Write]
    terms: Sequence[Indexing] = ()


class StateStore(Protocol):
    """The view of the changelog: dossiers, timers and index by partition, each partition with its checkpoint.

    The checkpoint is the changelog offset up to which the store holds the fold. Every answer carries it, so a
    reader can tell a user without history from a store that lost data. Raises `StoreDown` when unreachable.
    """

    def read(self, wanted: Mapping[int, Sequence[bytes]]) -> dict[int, tuple[int | None, list[bytes | None]]]:
        """By partition: its checkpoint (None: the store holds nothing) and the dossiers in the order asked."""
        ...

    def apply(self, batch: Iterable[Apply]) -> dict[int, tuple[bool, int | None]]:
        """For each partition: write all if dossiers, timers and index agree on the expected checkpoint, else nothing.

        Returns by partition (applied?, the checkpoint found; None: there is none, or they do not agree).
        """
        ...

    def checkpoints(self, partitions: Sequence[int]) -> dict[int, int | None]:
        """The checkpoints now; None where there is none, or where dossiers, timers and index do not agree on it."""
        ...

    def reset(self, partition: int) -> None:
        """Forget all of the partition, checkpoint included."""
        ...

    def timers(self, partition: int, after: int, limit: int) -> DuePage:
        """The timers due after `after` (UTC ms), about `limit` of them, `until` a moment that is not cut in two.

        So there are more of them if many are due at the same moment. The checkpoint is looked at last, as by `scan`.
        """
        ...

    def scan(self, partition: int, low: bytes, high: bytes, limit: int) -> tuple[int | None, list[bytes]]:
        """The checkpoint that the index belongs to, and its terms after `low` and before `high`, first in byte order.

        At most `limit` of them. The checkpoint is looked at after the page: whatever was lost before the page was
        taken is told by it, and what is lost in between takes it away too. The other way round, a flush between
        the two would give an empty page with a checkpoint that was good.
        """
        ...


class Clock(Protocol):
    """Times: the wall's for the domain, a monotonic one for deadlines."""

    def now_ms(self) -> int:
        """UTC milliseconds."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class Tracer(Protocol):
    """Who collects spans. Nothing that is published rests on it."""

    def folded(self, spans: Sequence[Folded], begun_ms: int, committed_ms: int) -> None:
        """These events were folded and are durable; their batch was folded from then (UTC ms) and committed then."""
        ...


class Metrics(Protocol):
    """Where the engine's figures go; names and labels are those of `topology.metrics`."""

    def count(self, name: str, by: float = 1, **labels: str) -> None:
        """Add to a counter."""
        ...

    def gauge(self, name: str, value: float, **labels: str) -> None:
        """Set a gauge."""
        ...

    def observe(self, name: str, value: float, **labels: str) -> None:
        """Add to a histogram."""
        ...

    def observe_all(self, name: str, values: Sequence[float], **labels: str) -> None:
        """Add all of these to a histogram."""
        ...
