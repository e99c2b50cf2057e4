"""The in-memory broker: topics, transactions and groups, with Kafka's visibility rules."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass

from confluent_kafka import KafkaError

from tests.driver.clock import ManualClock
from tests.driver.faults import Faults, fenced, kafka
from tests.driver.groups import Group, Membership
from tests.driver.log import Fate, Header, Log, Record, Transaction
from topology.partitioner import partition_of

OFFSETS_TOPIC = "__consumer_offsets"

Written = tuple[bytes | None, bytes | None, int, tuple[Header, ...]]
"""(key, value, timestamp UTC ms or 0 for now, headers)."""


@dataclass
class _Coordinated:
    """What the transaction coordinator knows of one `transactional.id`."""

    epoch: int = -1
    transaction: Transaction | None = None
    last: Transaction | None = None


class MemoryBroker:
    """One broker. Its lock is reentrant: a pipelined worker calls from two threads."""

    def __init__(self, clock: ManualClock, *, session_s: float = 10.0, default_partitions: int = 0) -> None:
        """With `default_partitions`, topics are made when they are first used."""
        self.clock = clock
        self.faults = Faults()
        self.lock = threading.RLock()
        self.session_s = session_s
        self._default_partitions = default_partitions
        self.max_message_bytes = 4_000_000
        self.forgets_where = False
        """Tells producers that a record is taken, but not where: as if its first answer had been lost."""
        self.late_offsets = 0
        """So many times producers' offsets are under way for so long that the producer gives up waiting for them."""
        self._under_way: list[tuple[str, int, Membership, dict[tuple[str, int], tuple[int, str]]]] = []
        self._topics: dict[str, list[Log]] = {}
        self._groups: dict[str, Group] = {}
        self._producers: dict[str, _Coordinated] = {}
        self._held: dict[tuple[str, int], list[Transaction] | None] = {}
        self._keyless = 0

    # --- topics -----------------------------------------------------------------------------------------------

    def create_topic(self, name: str, partitions: int) -> None:
        """Make a topic that is not there yet."""
        self._topics.setdefault(name, [Log(name, p) for p in range(partitions)])

    def add_partitions(self, count: int) -> None:
        """All topics have so many from now on; keys move, as they do on a cluster."""
        for name, logs in self._topics.items():
            logs += [Log(name, p) for p in range(len(logs), count)]

    def partitions(self, topic: str) -> int:
        """How many partitions a topic has; 0 when it does not exist."""
        if topic not in self._topics and self._default_partitions:
            self.create_topic(topic, self._default_partitions)
        return len(self._topics.get(topic, ()))

    def log(self, topic: str, partition: int) -> Log:
        """The log of one partition."""
        if not self.partitions(topic):
            raise kafka(KafkaError._UNKNOWN_TOPIC, f"unknown topic {topic}")
        if not 0 <= partition < self.partitions(topic):
            raise kafka(KafkaError._UNKNOWN_PARTITION, f"{topic} has no partition {partition}")
        return self._topics[topic][partition]

    def partition_for(self, topic: str, key: bytes | None) -> int:
        """`murmur2_random`; records without a key go round in turn, so that runs are repeatable."""
        count = self.partitions(topic)
        if not count:
            raise kafka(KafkaError._UNKNOWN_TOPIC, f"unknown topic {topic}")
        if key is None:
            self._keyless += 1
            return self._keyless % count
        return partition_of(key, count)

    def append(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        *,
        partition: int | None = None,
        timestamp: int = 0,
        headers: Iterable[Header] = (),
    ) -> tuple[int, int]:
        """Write outside any transaction; returns (partition, offset)."""
        with self.lock:
            chosen = self.partition_for(topic, key) if partition is None else partition
            stamp = timestamp or self.clock.now_ms()
            return chosen, self.log(topic, chosen).append(key, value, stamp, tuple(headers), None)

    def read(self, topic: str, *, committed: bool = True) -> list[Record]:
        """All records, by partition and offset."""
        with self.lock:
            logs = self._topics.get(topic, ())
            return [record for log in logs for record in log.fetch(0, log.high_watermark, committed=committed)[0]]

    # --- transactions -----------------------------------------------------------------------------------------

    def init_producer(self, transactional_id: str) -> int:
        """Fence the older producer, settle its transaction; returns the new epoch."""
        with self.lock:
            known = self._producers.setdefault(transactional_id, _Coordinated())
            if any(known.last in (waiting or ()) for waiting in self._held.values()):
                raise kafka(KafkaError.CONCURRENT_TRANSACTIONS, "its markers are being written", retriable=True)
            if known.transaction is not None:
                self._decide(known, Fate.ABORTED)
            known.epoch += 1
            return known.epoch

    def open_transaction(self, transactional_id: str, epoch: int, timeout_s: float) -> Transaction:
        """The producer's running transaction, begun with its first write."""
        known = self._fence(transactional_id, epoch)
        if known.transaction is None:
            known.transaction = known.last = Transaction(transactional_id, self.clock.monotonic(), timeout_s)
        return known.transaction

    def transactional_append(self, transaction: Transaction, topic: str, partition: int, record: Written) -> int:
        """Write within a transaction; returns the offset."""
        key, value, timestamp, headers = record
        transaction.touched.add((topic, partition))
        stamp = timestamp or self.clock.now_ms()
        return self.log(topic, partition).append(key, value, stamp, headers, transaction)

    def add_offsets(
        self, transaction: Transaction, membership: Membership, offsets: dict[tuple[str, int], tuple[int, str]]
    ) -> None:
        """Pending group offsets, fenced by the group's generation."""
        group = self.group(membership.group)
        self.expire()
        group.check(membership)
        transaction.offsets.setdefault(group.name, {}).update(offsets)

    def delay_offsets(
        self, transactional_id: str, epoch: int, membership: Membership, offsets: dict[tuple[str, int], tuple[int, str]]
    ) -> None:
        """They arrive when this id next adds offsets; who adds them then is told by the epoch alone (KAFKA-14402)."""
        self._under_way.append((transactional_id, epoch, membership, offsets))

    def let_late_offsets_arrive(self, transactional_id: str, transaction: Transaction) -> None:
        """What was under way comes right before what the id adds now, unless its epoch is over."""
        arrived = [late for late in self._under_way if late[0] == transactional_id]
        for late in arrived:
            self._under_way.remove(late)
            _, epoch, membership, offsets = late
            if epoch == self._producers[transactional_id].epoch:
                self.add_offsets(transaction, membership, offsets)

    def end_transaction(self, transactional_id: str, epoch: int, fate: Fate) -> None:
        """Commit or abort. Asked again for the fate it has, it agrees; asked for the other one, it fences."""
        known = self._fence(transactional_id, epoch)
        if known.transaction is not None:
            self._decide(known, fate)
        elif known.last is not None and known.last.fate is not fate:
            raise fenced()

    def expire(self) -> None:
        """What passes with time: transactions past their limit are aborted, silent members removed."""
        now_s = self.clock.monotonic()
        for known in self._producers.values():
            open_ = known.transaction
            if open_ is not None and now_s - open_.began_s > open_.timeout_s:
                self._decide(known, Fate.ABORTED)
                known.epoch += 1
        for group in self._groups.values():
            group.expire(now_s, self.session_s)

    def _fence(self, transactional_id: str, epoch: int) -> _Coordinated:
        self.expire()
        known = self._producers[transactional_id]
        if known.epoch != epoch:
            raise fenced()
        return known

    def _decide(self, known: _Coordinated, fate: Fate) -> None:
        transaction = known.transaction
        assert transaction is not None
        transaction.fate = fate
        known.transaction = None
        for where in sorted(transaction.touched):
            self._mark(where, transaction)
        if transaction.offsets:
            self._mark((OFFSETS_TOPIC, 0), transaction)

    def _mark(self, where: tuple[str, int], transaction: Transaction) -> None:
        waiting = self._held.get(where)
        if waiting is not None:
            waiting.append(transaction)
        elif where[0] == OFFSETS_TOPIC:
            transaction.offsets_settled = True
            if transaction.fate is Fate.COMMITTED:
                for group, offsets in transaction.offsets.items():
                    self.group(group).offsets.update(offsets)
        else:
            self.log(*where).mark(transaction)

    def hold_markers(self, topic: str, partition: int = 0) -> None:
        """From now on, decided transactions are not known in this partition (KAFKA-10167's moment)."""
        with self.lock:
            self._held.setdefault((topic, partition), [])

    def release_markers(self) -> None:
        """The markers arrive."""
        with self.lock:
            held, self._held = self._held, {}
            for where, waiting in held.items():
                for transaction in waiting or ():
                    self._mark(where, transaction)

    # --- groups -----------------------------------------------------------------------------------------------

    def group(self, name: str) -> Group:
        """The group, made when first asked for."""
        return self._groups.setdefault(name, Group(name, self.partitions))

    def unsettled(self, group: str, topic: str, partition: int) -> bool:
        """Is a transactional commit of this offset neither committed nor aborted yet?"""
        self.expire()
        candidates = [known.transaction for known in self._producers.values()]
        candidates += [transaction for waiting in self._held.values() for transaction in waiting or ()]
        return any(
            t is not None and not t.offsets_settled and (topic, partition) in t.offsets.get(group, {})
            for t in candidates
        )

    def lag(self, group: str, topics: Iterable[str]) -> int:
        """Partitions that hold a visible record which the group has not committed."""
        with self.lock:
            offsets = self.group(group).offsets
            return sum(
                bool(log.fetch(offsets.get((topic, log.partition), (0, ""))[0], 1)[0])
                for topic in topics
                for log in self._topics.get(topic, ())
            )
