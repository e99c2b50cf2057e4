"""The in-memory transactional producer, with librdkafka's error states."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from types import EllipsisType
from typing import TypeVar

from confluent_kafka import OFFSET_INVALID, KafkaError, KafkaException, Message, TopicPartition

from tests.driver.broker import MemoryBroker, Written
from tests.driver.faults import kafka
from tests.driver.groups import Membership
from tests.driver.log import Fate, Transaction
from topology.engine.ports import DeliveryCallback, Headers

T = TypeVar("T")

ANY_PARTITION = -1


class MemoryProducer:
    """`topology.engine.ports.Producer`. Records wait in a local queue until `flush`, as with librdkafka."""

    def __init__(
        self, broker: MemoryBroker, transactional_id: str, *, timeout_s: float = 60.0, queue_records: int = 500_000
    ) -> None:
        self._broker = broker
        self._id = transactional_id
        self._timeout_s = timeout_s
        self._queue_records = queue_records
        self._queue: list[tuple[str, int, Written, DeliveryCallback | None]] = []
        self._epoch: int | None = None
        self._began = False
        self._stuck: KafkaException | None = None
        """The fatal or abortable error that all further calls repeat."""

    def init_transactions(self, timeout: float) -> None:
        def init() -> None:
            self._epoch = self._broker.init_producer(self._id)

        self._call("init_transactions", init)

    def begin_transaction(self) -> None:
        with self._faulty("begin_transaction"):
            self._guard()
            if self._epoch is None or self._began:
                raise kafka(KafkaError._STATE, "a transaction cannot begin now")
            self._began = True

    def produce(
        self,
        topic: str,
        value: bytes | None = None,
        key: bytes | None = None,
        partition: int = ANY_PARTITION,
        callback: DeliveryCallback | EllipsisType | None = ...,
        on_delivery: DeliveryCallback | None = None,
        timestamp: int = 0,
        headers: Headers | None = None,
    ) -> None:
        # Two names of one argument: the client heeds the first if it is given at all, even if it is None.
        report = on_delivery if callback is ... else callback
        with self._faulty("produce"):
            self._guard()
            if not self._began:
                raise kafka(KafkaError._STATE, "no transaction has begun")
            if len(self._queue) >= self._queue_records:
                raise BufferError("Local: Queue full")
            if len(value or b"") + len(key or b"") > self._broker.max_message_bytes:
                raise kafka(KafkaError.MSG_SIZE_TOO_LARGE, "Broker: Message size too large")
            chosen = self._broker.partition_for(topic, key) if partition == ANY_PARTITION else partition
            self._broker.log(topic, chosen)
            self._queue.append((topic, chosen, (key, value, timestamp, tuple(headers or ())), report))

    def poll(self, timeout: float) -> int:
        self._broker.clock.sleep(timeout)
        return self._send()

    def flush(self, timeout: float) -> int:
        self._call("flush", self._send)
        return len(self._queue)

    def send_offsets_to_transaction(
        self, positions: list[TopicPartition], group_metadata: object, timeout: float
    ) -> None:
        assert isinstance(group_metadata, Membership)
        if not positions:
            return  # as the real client: nothing is sent, so nothing is fenced
        offsets = {(tp.topic, tp.partition): (tp.offset, tp.metadata or "") for tp in positions}

        def add() -> None:
            transaction, broker = self._transaction(), self._broker
            if broker.late_offsets:
                broker.late_offsets -= 1
                assert self._epoch is not None
                broker.delay_offsets(self._id, self._epoch, group_metadata, offsets)
                raise kafka(KafkaError._TIMED_OUT, "no answer in time", abort=True)
            broker.let_late_offsets_arrive(self._id, transaction)
            broker.add_offsets(transaction, group_metadata, offsets)

        self._call("send_offsets_to_transaction", add)

    def commit_transaction(self, timeout: float) -> None:
        def commit() -> None:
            self._send()
            self._end(Fate.COMMITTED)

        self._call("commit_transaction", commit)
        self._began = False

    def abort_transaction(self, timeout: float) -> None:
        """Unflushed records are dropped; nothing of the transaction is ever delivered."""
        stuck = self._stuck
        if stuck is not None and not stuck.args[0].fatal():
            self._stuck = None
        self._queue.clear()
        self._call("abort_transaction", lambda: self._end(Fate.ABORTED))
        self._began = False

    # ---------------------------------------------------------------------------------------------------------

    def _faulty(self, call: str) -> AbstractContextManager[None]:
        return self._broker.faults.around(call, self._id)

    def _call(self, name: str, call: Callable[[], T]) -> T:
        """Outside the lock, an injected fault may block without stopping the whole world."""
        with self._faulty(name), self._broker.lock:
            self._guard()
            try:
                return call()
            except KafkaException as exc:
                if exc.args[0].fatal() or exc.args[0].txn_requires_abort():
                    self._stuck = exc
                raise

    def _guard(self) -> None:
        if self._stuck is not None:
            raise self._stuck

    def _transaction(self) -> Transaction:
        assert self._epoch is not None
        return self._broker.open_transaction(self._id, self._epoch, self._timeout_s)

    def _end(self, fate: Fate) -> None:
        if self._epoch is None or not self._began:
            raise kafka(KafkaError._STATE, "no transaction has begun")
        self._broker.end_transaction(self._id, self._epoch, fate)

    def _send(self) -> int:
        """Write the queue to the broker and report what came of it."""
        queue, self._queue = self._queue, []
        for topic, partition, record, on_delivery in queue:
            offset = self._broker.transactional_append(self._transaction(), topic, partition, record)
            if on_delivery is not None:
                told = OFFSET_INVALID if self._broker.forgets_where else offset
                on_delivery(None, Message(topic=topic, partition=partition, offset=told, key=record[0]))
        return len(queue)
