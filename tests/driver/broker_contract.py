"""What the engine relies on in a broker and its clients: run on the in-memory twin and on a real Kafka."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Protocol

import pytest
from confluent_kafka import OFFSET_INVALID, KafkaError, KafkaException, Message, TopicPartition

from topology.engine.errors import is_fence, kafka_error
from topology.engine.ports import ChangelogReader, Consumer, Offsets, Producer
from topology.partitioner import partition_of

WAIT_S = 30.0


class World(Protocol):
    """One broker to play with; names are fresh for each test."""

    offsets: Offsets

    def topic(self, partitions: int = 1) -> str: ...
    def producer(self, transactional_id: str = "writer") -> Producer: ...
    def reader(self) -> ChangelogReader: ...
    def consumer(self, instance: str | None = None) -> Consumer: ...
    def write(self, topic: str, key: bytes | None, value: bytes | None) -> tuple[int, int]: ...


class Reading:
    """One reader on one partition, from an offset on."""

    def __init__(self, world: World, topic: str, offset: int = 0) -> None:
        self._reader = world.reader()
        self._reader.assign([TopicPartition(topic, 0, offset)])
        self.values: list[bytes | None] = []
        self.offsets: list[int] = []

    def to_end(self) -> int:
        """Read until the next end-of-partition event; returns its offset."""
        for _ in range(int(WAIT_S / 0.1)):
            for message in self._reader.consume(1_000, 0.1):
                if message.error() is None:
                    self.values.append(message.value())
                    self.offsets.append(message.offset())
                elif message.error().code() == KafkaError._PARTITION_EOF:
                    return message.offset()
        raise AssertionError("no end of partition")


def begin(producer: Producer, topic: str, *values: bytes) -> None:
    producer.begin_transaction()
    for value in values:
        producer.produce(topic, value, b"k", 0)
    assert producer.flush(WAIT_S) == 0


def commit(producer: Producer, topic: str, *values: bytes) -> None:
    begin(producer, topic, *values)
    producer.commit_transaction(WAIT_S)


def abort(producer: Producer, topic: str, *values: bytes) -> None:
    begin(producer, topic, *values)
    producer.abort_transaction(WAIT_S)


def ready(world: World, name: str = "writer") -> Producer:
    producer = world.producer(name)
    producer.init_transactions(WAIT_S)
    return producer


def join(consumer: Consumer, topic: str, *others: Consumer) -> list[tuple[str, list[int]]]:
    """Subscribe and poll until assigned; what the callbacks say is added to the list that is returned."""
    told: list[tuple[str, list[int]]] = []

    def tell(what: str) -> Callable[[Any, list[TopicPartition]], None]:
        def callback(consumer: Any, partitions: list[TopicPartition]) -> None:
            told.append((what, sorted(tp.partition for tp in partitions)))
            if what == "assign":
                consumer.assign(partitions)

        return callback

    consumer.subscribe([topic], on_assign=tell("assign"), on_revoke=tell("revoke"), on_lost=tell("lost"))
    for _ in range(int(WAIT_S / 0.05)):
        for one in (consumer, *others):
            one.consume(1_000, 0.05)
        if told:
            return told
    raise AssertionError("no assignment")


def gather(consumer: Consumer, count: int) -> list[Message]:
    """Poll until `count` records came."""
    found: list[Message] = []
    for _ in range(int(WAIT_S / 0.05)):
        found += [m for m in consumer.consume(1_000, 0.05) if m.error() is None]
        if len(found) >= count:
            return found
    raise AssertionError(f"{len(found)} of {count} records")


def bounds(world: World, topic: str) -> tuple[int, int]:
    return world.offsets.bounds(topic, [0], WAIT_S)[0]


class BrokerContract:
    """Subclasses give `world`."""

    @pytest.fixture
    def world(self) -> World:
        raise NotImplementedError

    # --- topics -----------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("partitions", [1, 3])
    def test_the_partitions_of_a_topic_are_counted(self, world, partitions):
        assert world.offsets.partition_count(world.topic(partitions), WAIT_S) == partitions

    def test_a_topic_that_is_not_there_has_no_count_but_an_error(self, world):
        with pytest.raises(KafkaException) as raised:
            world.offsets.partition_count(f"{world.topic()}-gone", WAIT_S)
        assert raised.value.args[0].code() in (KafkaError._UNKNOWN_TOPIC, KafkaError.UNKNOWN_TOPIC_OR_PART)

    # --- visibility (rules 4 and 5) ----------------------------------------------------------------------------

    def test_records_of_an_open_transaction_are_seen_only_after_the_commit(self, world):
        topic, producer = world.topic(), ready(world)
        begin(producer, topic, b"1", b"2")
        reading = Reading(world, topic)

        assert (reading.to_end(), reading.values) == (0, [])

        producer.commit_transaction(WAIT_S)
        assert (reading.to_end(), reading.values) == (3, [b"1", b"2"])

    def test_aborted_records_are_never_delivered_and_take_offsets(self, world):
        topic, producer = world.topic(), ready(world)
        abort(producer, topic, b"no", b"no")
        commit(producer, topic, b"yes")
        reading = Reading(world, topic)

        assert (reading.to_end(), reading.values, reading.offsets) == (5, [b"yes"], [3])

    def test_abort_drops_what_was_not_flushed(self, world):
        topic, producer = world.topic(), ready(world)
        producer.begin_transaction()
        producer.produce(topic, b"no", b"k", 0)
        producer.abort_transaction(WAIT_S)
        commit(producer, topic, b"yes")
        reading = Reading(world, topic)
        reading.to_end()

        assert reading.values == [b"yes"]

    @pytest.mark.rule(4)
    def test_end_of_partition_counts_control_records_and_aborted_records(self, world):
        topic, producer = world.topic(), ready(world)
        commit(producer, topic, b"1", b"2", b"3", b"4", b"5")
        abort(producer, topic, b"a", b"b", b"c")
        reading = Reading(world, topic)

        assert (reading.to_end(), len(reading.values)) == (10, 5)
        assert bounds(world, topic) == (0, 10)

    @pytest.mark.rule(4)
    def test_an_open_transaction_holds_the_end_of_partition_below_the_high_watermark(self, world):
        topic, producer = world.topic(), ready(world)
        commit(producer, topic, b"1")
        begin(producer, topic, b"open")
        reading = Reading(world, topic)

        assert reading.to_end() == 2
        assert bounds(world, topic) == (0, 3)

        producer.abort_transaction(WAIT_S)
        assert (reading.to_end(), reading.values) == (4, [b"1"])

    def test_a_read_that_starts_at_the_end_is_told_the_end_at_once(self, world):
        topic, producer = world.topic(), ready(world)
        commit(producer, topic, b"1")

        assert Reading(world, topic, 2).to_end() == 2

    def test_the_end_of_an_empty_partition_is_nought(self, world):
        topic = world.topic()

        assert Reading(world, topic).to_end() == 0
        assert bounds(world, topic) == (0, 0)

    # --- fencing (rule 1) --------------------------------------------------------------------------------------

    @pytest.mark.rule(1)
    def test_a_second_producer_with_the_same_id_fences_the_first_and_aborts_what_it_left_open(self, world):
        topic, first = world.topic(), ready(world)
        begin(first, topic, b"left open")

        second = ready(world)

        with pytest.raises(KafkaException) as raised:
            first.commit_transaction(WAIT_S)
        error = kafka_error(raised.value)
        assert error is not None
        assert (error.fatal(), error.retriable(), is_fence(error)) == (True, False, True)
        commit(second, topic, b"new")
        reading = Reading(world, topic)
        reading.to_end()
        assert reading.values == [b"new"]

    @pytest.mark.rule(1)
    def test_a_fenced_producer_can_do_no_more(self, world):
        topic, first = world.topic(), ready(world)
        begin(first, topic, b"1")
        ready(world)

        for call in (lambda: first.commit_transaction(WAIT_S), lambda: first.abort_transaction(WAIT_S)):
            with pytest.raises(KafkaException) as raised:
                call()
            assert raised.value.args[0].fatal()

    def test_a_delivery_report_names_the_offset_within_the_open_transaction(self, world):
        topic, producer = world.topic(), ready(world)
        commit(producer, topic, b"1")
        told = []
        producer.begin_transaction()
        for value in (b"2", b"3"):
            producer.produce(topic, value, b"k", 0, on_delivery=lambda error, m: told.append((error, m.offset())))
        producer.flush(WAIT_S)

        assert told == [(None, 2), (None, 3)]

    def test_given_by_position_the_first_name_of_the_delivery_report_counts_even_if_it_is_none(self, world):
        topic, producer = world.topic(), ready(world)
        told = []
        producer.begin_transaction()
        for value in (b"first", b"second"):
            report = lambda _error, m, value=value: told.append((value, m.offset()))  # noqa: E731
            names = (report, None) if value == b"first" else (None, report)
            producer.produce(topic, value, b"k", 0, *names, 1_764_000_000_000, None)
        producer.flush(WAIT_S)

        assert told == [(b"first", 0)]

    # --- offsets within transactions (rules 1 and 4a) -----------------------------------------------------------

    @pytest.mark.rule(4)
    def test_offsets_count_only_once_their_transaction_is_committed_and_asking_waits_for_it(self, world):
        topic, producer, consumer = world.topic(), ready(world), world.consumer()
        join(consumer, topic)
        where = [TopicPartition(topic, 0)]
        assert consumer.committed(where, timeout=WAIT_S)[0].offset == OFFSET_INVALID
        begin(producer, topic, b"1")
        position = TopicPartition(topic, 0, 7, "clock=5")
        producer.send_offsets_to_transaction([position], consumer.consumer_group_metadata(), WAIT_S)

        with pytest.raises(KafkaException):
            consumer.committed(where, timeout=1.0)

        producer.commit_transaction(WAIT_S)
        (answer,) = consumer.committed(where, timeout=WAIT_S)
        assert (answer.offset, answer.metadata, answer.error) == (7, "clock=5", None)

    @pytest.mark.rule(4)
    def test_offsets_of_an_aborted_transaction_never_count(self, world):
        topic, producer, consumer = world.topic(), ready(world), world.consumer()
        join(consumer, topic)
        begin(producer, topic, b"1")
        producer.send_offsets_to_transaction([TopicPartition(topic, 0, 7)], consumer.consumer_group_metadata(), WAIT_S)
        producer.abort_transaction(WAIT_S)

        assert consumer.committed([TopicPartition(topic, 0)], timeout=WAIT_S)[0].offset == OFFSET_INVALID

    @pytest.mark.rule(1)
    def test_a_member_of_an_older_generation_cannot_send_offsets(self, world):
        topic, producer = world.topic(2), ready(world)
        first, second = world.consumer(), world.consumer()
        told = join(first, topic)
        stale = first.consumer_group_metadata()
        others = join(second, topic, first)
        while told[-1][0] != "assign":
            first.consume(1, 0.05)
        assert told[:2] == [("assign", [0, 1]), ("revoke", [0, 1])]
        assert sorted(told[-1][1] + others[-1][1]) == [0, 1]
        begin(producer, topic, b"1")
        producer.send_offsets_to_transaction([], stale, WAIT_S)  # without any offset nothing is fenced

        with pytest.raises(KafkaException) as raised:
            producer.send_offsets_to_transaction([TopicPartition(topic, 0, 1)], stale, WAIT_S)

        error = raised.value.args[0]
        assert (error.txn_requires_abort(), error.fatal(), is_fence(error)) == (True, False, True)
        producer.abort_transaction(WAIT_S)
        commit(producer, topic, b"2")

    # --- the consumer ------------------------------------------------------------------------------------------

    def test_before_the_first_fetch_no_end_is_known(self, world):
        topic, consumer = world.topic(), world.consumer()

        assert consumer.get_watermark_offsets(TopicPartition(topic, 0), cached=True) == (OFFSET_INVALID,) * 2

    def test_a_paused_partition_delivers_nothing_until_resumed(self, world):
        topic, consumer = world.topic(), world.consumer()
        join(consumer, topic)
        consumer.pause([TopicPartition(topic, 0)])
        world.write(topic, b"k", b"1")

        assert [m for _ in range(10) for m in consumer.consume(10, 0.05) if m.error() is None] == []

        consumer.resume([TopicPartition(topic, 0)])
        assert [m.value() for m in gather(consumer, 1)] == [b"1"]

    def test_seek_goes_back_and_forth(self, world):
        topic, consumer = world.topic(), world.consumer()
        join(consumer, topic)
        for n in range(5):
            world.write(topic, b"k", b"%d" % n)
        gather(consumer, 5)  # a partition whose fetching has not begun refuses to seek ("Erroneous state")
        for offset in (3, 0, 4):
            consumer.seek(TopicPartition(topic, 0, offset))
            assert gather(consumer, 1)[0].offset() == offset

    def test_the_end_known_from_the_newest_fetch_counts_open_transactions(self, world):
        topic, producer, consumer = world.topic(), ready(world), world.consumer()
        where = TopicPartition(topic, 0)
        commit(producer, topic, b"1", b"2")
        begin(producer, topic, b"open")
        join(consumer, topic)

        for _ in range(20):
            consumer.consume(10, 0.05)

        assert consumer.get_watermark_offsets(where, cached=True) == (0, 4)
        producer.abort_transaction(WAIT_S)

    # --- the partitioner ---------------------------------------------------------------------------------------

    def test_keys_go_to_the_partition_of_javas_hash(self, world):
        topic = world.topic(7)
        rng = random.Random(5)
        keys = [rng.randbytes(rng.randint(0, 40)) for _ in range(60)]

        assert [world.write(topic, key, b"v")[0] for key in keys] == [partition_of(key, 7) for key in keys]
