"""What the insights do with a record and on a tick; state, shares and figures leave through an `Out`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from processors.insights.shard import ENFORCEMENTS, LINES, Fate, Shard
from processors.insights.totals import Totals, partition_of
from processors.overflow import Marks
from schemas import Codec, DecodeError
from schemas.records import CaseEvent, EnforcementIssued, MisfireSuspected, Record
from topology import logs
from topology.engine.ports import Metrics
from topology.insights.in_force import InForce
from topology.topics import Topic

FUTURE_MS = 24 * 3_600_000
"""How far ahead of the clock a record may be, as in the engine."""
_SHARD, _TOTALS = "a", "b"


class Out(Protocol):
    """Where a tick writes. Writes of one partition keep their order; none of them is waited for."""

    def keep(self, partition: int, key: bytes, value: bytes | None) -> None:
        """Write state of a partition, to be given back by `Service.assign`."""
        ...

    def share(self, partition: int, key: bytes, value: bytes | None) -> None:
        """Send a share to where it is added up."""
        ...

    def publish(self, topic: str, key: bytes, record: Record | None) -> None:
        """Publish a figure, or its tombstone."""
        ...


class Service:
    """One process's partitions of the insights.

    Args:
        partitions: how many the inputs have.
        codec: reads records.
        allowed: the register's entries of the two inputs, by source.
        metrics: where fates are counted.
        grace_ms: how much later than the newest an event may be and still count.
        prior: Beta prior of overturn rates.
        marks: by pod, when it overflows.
        rulebook: digest of the rulebook that has these marks.
        wall: whether windows end with the machine's clock, or with the newest event.
    """

    def __init__(
        self,
        *,
        partitions: int,
        codec: Codec,
        allowed: dict[str, Topic],
        metrics: Metrics,
        grace_ms: int,
        prior: tuple[float, float],
        wall: bool,
        marks: Mapping[str, Marks] | None = None,
        rulebook: str = "",
    ) -> None:
        self.in_force = InForce(rulebook)
        self._partitions = partitions
        self._codec = codec
        self._allowed = {source: topic.allowed for source, topic in allowed.items()}
        self._metrics = metrics
        self._grace_ms = grace_ms
        self._prior = prior
        self._marks = marks
        self._wall = wall
        self.shards: dict[int, Shard] = {}
        self.totals: dict[int, Totals] = {}

    def assign(self, partitions: Iterable[int], kept: Iterable[tuple[bytes, bytes]]) -> None:
        """Hold these partitions from now on, and no others, with the state that was kept of them."""
        by_partition: dict[int, list[tuple[str, bytes]]] = {p: [] for p in partitions}
        for key, value in kept:
            number, _, rest = key.decode().partition("|")
            if int(number) in by_partition:
                by_partition[int(number)].append((rest, value))
        self.shards, self.totals = {}, {}
        for partition, items in by_partition.items():
            shard = Shard(self._grace_ms)
            totals = Totals(grace_ms=self._grace_ms, prior=self._prior, marks=self._marks)
            shard.load((key[2:], value) for key, value in items if key.startswith(_SHARD))
            totals.load((key[2:], value) for key, value in items if key.startswith(_TOTALS))
            self.shards[partition], self.totals[partition] = shard, totals

    def go_by(self, rulebook: str, marks: Mapping[str, Marks]) -> None:
        """Another rulebook is in force: its digest, and when its pods overflow."""
        self.in_force.digest, self._marks = rulebook, marks
        for totals in self.totals.values():
            totals.go_by(marks)

    def position(self, source: str, partition: int) -> int | None:
        """The newest offset whose effect is kept; None: nothing is, so the input is read from its beginning.

        `source` is one of the inputs, or anything else for the shares.
        """
        if source in self._allowed:
            shard = self.shards.get(partition)
            offset = -1 if shard is None else shard.position(source).offset
        else:
            totals = self.totals.get(partition)
            offset = -1 if totals is None else totals.offset
        return None if offset < 0 else offset

    def take(self, source: str, partition: int, offset: int, value: bytes | None, now: int) -> None:
        """Count a record of an input."""
        shard = self.shards.get(partition)
        if shard is None or offset <= shard.position(source).offset:
            return  # it was given away meanwhile, and whoever has it now reads it; or it is counted already
        fate = self._fate(shard, source, offset, value, now)
        if fate is not None:
            self._metrics.count("insights_records_total", source=source, fate=fate.value)

    def _fate(self, shard: Shard, source: str, offset: int, value: bytes | None, now: int) -> Fate | None:
        try:
            record = None if value is None else self._codec.decode(value, self._allowed[source])
        except DecodeError:
            shard.moved(source, offset, Fate.UNREADABLE)
            return Fate.UNREADABLE
        wanted = record if isinstance(record, CaseEvent | EnforcementIssued) else None
        if isinstance(wanted, CaseEvent):
            self.in_force.saw(wanted, now)
        return shard.take(source, offset, wanted, now + FUTURE_MS if self._wall else None)

    def take_share(self, partition: int, offset: int, key: bytes, value: bytes | None) -> None:
        """Take a partition's share of a slice."""
        totals = self.totals.get(partition)
        if totals is not None:
            totals.take(offset, key.decode(), value)

    def tick(self, wall_ms: int, out: Out) -> int:
        """Write state behind, send shares on, publish what is new.

        Args:
            wall_ms: the machine's clock.
            out: where to.

        Returns:
            How many figures were published.
        """
        for partition, shard in self.shards.items():
            shard.expire(self.now_of(shard, wall_ms))
            for key, value in shard.partials():
                full = f"{partition}|{key}"
                out.share(partition_of(full, self._partitions), full.encode(), value)
            for key, value in shard.writes():
                out.keep(partition, f"{partition}|{_SHARD}|{key}".encode(), value)
        published = 0
        for partition, totals in self.totals.items():
            for figure in totals.publish(self.now(totals, wall_ms)):
                published += 1
                if isinstance(figure.record, MisfireSuspected):
                    self._metrics.count("insights_misfires_total", kind=figure.record.kind.value)
                    self._alert(figure.record)
                out.publish(figure.topic, figure.key.encode(), figure.record)
            for key, value in totals.writes():
                out.keep(partition, f"{partition}|{_TOTALS}|{key}".encode(), value)
        return published

    @staticmethod
    def _alert(found: MisfireSuspected) -> None:
        logs.logger().warning(
            "misfire_suspected",
            kind=found.kind.value,
            detector=found.detector.name,
            version=found.detector.version,
            rate=round(found.rate, 4),
            baseline=round(found.baseline, 4),
            baseline_of=found.baseline_of.value,
            n=found.n,
        )

    def now_of(self, shard: Shard, wall_ms: int) -> int:
        """By which clock what is open in a partition grows old."""
        return wall_ms if self._wall else shard.position(LINES).newest

    def now(self, totals: Totals, wall_ms: int) -> int:
        """By which clock windows end."""
        return wall_ms if self._wall else totals.newest

    def sources(self) -> Iterator[str]:
        """The inputs."""
        yield from (LINES, ENFORCEMENTS)
