"""The in-memory ends that read: group member, changelog reader, and the question about offsets."""

from __future__ import annotations

import random
from collections.abc import Sequence

from confluent_kafka import OFFSET_BEGINNING, OFFSET_INVALID, KafkaError, Message, TopicPartition

from tests.driver.broker import MemoryBroker
from tests.driver.faults import kafka
from tests.driver.groups import Member, Membership
from tests.driver.log import Record
from topology.engine.ports import RebalanceCallback

_CREATE_TIME = 1
_EOF_TEXT = "Broker: No more messages"

Place = tuple[str, int]


class _Fetcher:
    """Positions, pauses and end-of-partition events of assigned partitions, `read_committed`."""

    def __init__(self, broker: MemoryBroker, *, eof: bool, shuffle: random.Random | None) -> None:
        self._broker = broker
        self._eof = eof
        self._shuffle = shuffle
        self._positions: dict[Place, int] = {}
        self._paused: set[Place] = set()
        self._told_end: dict[Place, int] = {}
        self._fetched_ends: dict[Place, tuple[int, int]] = {}
        self._turn = 0

    def _start(self, places: dict[Place, int]) -> None:
        self._positions = places
        self._paused = set()
        self._told_end = {}

    def _fetch(self, limit: int) -> list[Message]:
        """Whole partitions in turn; with `shuffle`, pieces of any size in any order."""
        places = [place for place in self._positions if place not in self._paused]
        found: list[Message] = []
        if self._shuffle is not None:
            self._shuffle.shuffle(places)
            limit = self._shuffle.randint(1, limit)
        elif places:
            self._turn = (self._turn + 1) % len(places)
            places = places[self._turn :] + places[: self._turn]
        for place in places:
            room = limit - len(found)
            if room <= 0:
                break
            piece = room if self._shuffle is None else self._shuffle.randint(1, room)
            found += self._fetch_one(place, piece)
        return found

    def _fetch_one(self, place: Place, limit: int) -> list[Message]:
        log = self._broker.log(*place)
        records, position = log.fetch(self._positions[place], limit)
        self._positions[place] = position
        self._fetched_ends[place] = (log.start, log.high_watermark)
        found = [_message(record) for record in records]
        if self._eof and position >= log.last_stable and self._told_end.get(place) != position and len(found) < limit:
            self._told_end[place] = position
            error = KafkaError(KafkaError._PARTITION_EOF, _EOF_TEXT)
            found.append(Message(topic=place[0], partition=place[1], offset=position, error=error))
        return found


class MemoryConsumer(_Fetcher):
    """A member of a group: `topology.engine.ports.Consumer`."""

    def __init__(
        self,
        broker: MemoryBroker,
        *,
        group: str,
        instance: str | None = None,
        eof: bool = False,
        shuffle: random.Random | None = None,
    ) -> None:
        super().__init__(broker, eof=eof, shuffle=shuffle)
        self._group = broker.group(group)
        self._instance = instance
        self._topics: list[str] = []
        self._callbacks: dict[str, RebalanceCallback] = {}
        self._member: Member | None = None
        self._left: Member | None = None
        self.goes_on_at: dict[Place, int] = {}
        """Where the next seek of a partition leads, wherever it was told to (librdkafka #3471)."""
        self.jumps_to: dict[Place, int] = {}
        """Where the next fetch of a partition goes on, whatever it has read so far."""

    def subscribe(
        self,
        topics: list[str],
        *,
        on_assign: RebalanceCallback,
        on_revoke: RebalanceCallback,
        on_lost: RebalanceCallback,
    ) -> None:
        self._topics = topics
        self._callbacks = {"assign": on_assign, "revoke": on_revoke, "lost": on_lost}
        with self._broker.lock:
            self._join()

    def consume(self, num_messages: int, timeout: float) -> list[Message]:
        faults = self._broker.faults
        with self._broker.lock, faults.around("consume", self._instance or ""):
            self._broker.expire()
        fence = self._serve_group()
        if fence is not None:
            return [fence]
        with self._broker.lock:
            for place in self.jumps_to.keys() & self._positions.keys():
                self._positions[place] = self.jumps_to.pop(place)
            found = self._fetch(num_messages)
            if not found:
                self._broker.clock.sleep(timeout)
            return found

    def assign(self, partitions: list[TopicPartition]) -> None:
        with self._broker.lock:
            self._start({(tp.topic, tp.partition): self._first(tp) for tp in partitions})

    def unassign(self) -> None:
        self._start({})

    def pause(self, partitions: list[TopicPartition]) -> None:
        self._paused.update((tp.topic, tp.partition) for tp in partitions)

    def resume(self, partitions: list[TopicPartition]) -> None:
        for tp in partitions:
            self._paused.discard((tp.topic, tp.partition))
            self._told_end.pop((tp.topic, tp.partition), None)

    def seek(self, partition: TopicPartition) -> None:
        place = (partition.topic, partition.partition)
        if place not in self._positions:
            raise kafka(KafkaError._STATE, f"{place} is not assigned")
        with self._broker.lock, self._broker.faults.around("seek", self._instance or ""):
            log = self._broker.log(*place)
            told = log.start if partition.offset == OFFSET_BEGINNING else partition.offset
            self._positions[place] = self.goes_on_at.pop(place, told)
            self._told_end.pop(place, None)

    def committed(self, partitions: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        with self._broker.lock, self._broker.faults.around("committed", self._instance or ""):
            if any(self._broker.unsettled(self._group.name, tp.topic, tp.partition) for tp in partitions):
                self._broker.clock.sleep(timeout)
                raise kafka(KafkaError._TIMED_OUT, "Failed to get committed offsets")
            return [self._committed(tp) for tp in partitions]

    def get_watermark_offsets(
        self,
        partition: TopicPartition,
        timeout: float = -1.0,
        cached: bool = False,  # noqa: FBT001, FBT002 - confluent-kafka's signature
    ) -> tuple[int, int]:
        assert cached, "the engine asks nobody"
        return self._fetched_ends.get((partition.topic, partition.partition), (OFFSET_INVALID, OFFSET_INVALID))

    def consumer_group_metadata(self) -> Membership:
        member = self._member
        if member is None:
            return Membership(self._group.name, "", -1, self._instance)
        return Membership(self._group.name, member.id, member.generation, self._instance)

    def close(self) -> None:
        """Give up the partitions and leave; a static member stays known to the group, as with KIP-345."""
        if self._member is not None and self._positions:
            self._give_up("revoke")
        with self._broker.lock:
            if self._member is not None and self._instance is None:
                self._group.remove(self._member.id)
            self.die()
            self._left, self._member = self._member or self._left, None

    # --- what only tests call ---------------------------------------------------------------------------------

    def leave(self) -> None:
        """Leave for good, static or not (what `kafka-consumer-groups --remove-member` does)."""
        self.close()
        with self._broker.lock:
            if self._left is not None:
                self._group.remove(self._left.id)

    def evict(self) -> None:
        """The group gives up on this member, which does not know yet."""
        with self._broker.lock:
            if self._member is not None:
                self._group.remove(self._member.id)

    def die(self) -> None:
        """The process is gone: no more heartbeats."""
        if self._member is not None:
            self._member.alive = False

    # --- membership -------------------------------------------------------------------------------------------

    def _join(self) -> None:
        self._member = self._group.join(self._instance, self._topics, self._broker.clock.monotonic())

    def _serve_group(self) -> Message | None:
        """Heartbeat, then whichever callback is due. Callbacks run without the broker's lock, as on a network."""
        member = self._member
        if member is None:
            return None
        if member.id in self._group.fenced:
            error = KafkaError(KafkaError.FENCED_INSTANCE_ID, "another process has the instance id", True)
            return Message(error=error)
        if member.id not in self._group.members:
            self._give_up("lost")
            with self._broker.lock:
                self._join()
            return None
        if self._group.rebalancing and not member.rejoined:
            self._give_up("revoke")
            with self._broker.lock:
                self._group.rejoin(member)
        if not self._group.rebalancing and member.generation != self._group.generation:
            member.generation = self._group.generation
            self._callbacks["assign"](self, [TopicPartition(*place) for place in member.assignment])
        return None

    def _give_up(self, how: str) -> None:
        if self._positions:
            self._callbacks[how](self, [TopicPartition(*place) for place in self._positions])
        self._start({})

    def _first(self, tp: TopicPartition) -> int:
        return tp.offset if tp.offset >= 0 else max(0, self._committed(tp).offset)

    def _committed(self, tp: TopicPartition) -> TopicPartition:
        offset, metadata = self._group.offsets.get((tp.topic, tp.partition), (OFFSET_INVALID, ""))
        return TopicPartition(tp.topic, tp.partition, offset, metadata)


class MemoryReader(_Fetcher):
    """Reads by assignment: `topology.engine.ports.ChangelogReader`."""

    def __init__(self, broker: MemoryBroker, *, shuffle: random.Random | None = None) -> None:
        super().__init__(broker, eof=True, shuffle=shuffle)

    def assign(self, partitions: list[TopicPartition]) -> None:
        with self._broker.lock:
            self._start({(tp.topic, tp.partition): max(0, tp.offset) for tp in partitions})

    def consume(self, num_messages: int, timeout: float) -> list[Message]:
        with self._broker.lock, self._broker.faults.around("reader.consume"):
            self._broker.expire()
            found = self._fetch(num_messages)
            if not found:
                self._broker.clock.sleep(timeout)
            return found

    def close(self) -> None:
        self._start({})


class MemoryOffsets:
    """Both ends of partitions: `topology.engine.ports.Offsets`."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker

    def bounds(self, topic: str, partitions: Sequence[int], timeout: float) -> dict[int, tuple[int, int]]:
        with self._broker.lock, self._broker.faults.around("bounds"):
            logs = [self._broker.log(topic, p) for p in partitions]
            return {log.partition: (log.start, log.high_watermark) for log in logs}

    def partition_count(self, topic: str, timeout: float) -> int:
        with self._broker.lock, self._broker.faults.around("partition_count"):
            self._broker.log(topic, 0)
            return self._broker.partitions(topic)


def _message(record: Record) -> Message:
    return Message(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        key=record.key,
        value=record.value,
        headers=list(record.headers) or None,
        timestamp=(_CREATE_TIME, record.timestamp),
    )
