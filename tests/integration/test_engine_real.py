"""The engine on the real Kafka and Redis, disturbed in the middle of its work: nothing lost, nothing doubled."""

import itertools
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
import redis
from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from tests.driver.checks import assert_each_once
from tests.topology import spending
from tests.topology.ledger import INPUTS, OUT, Sent, add, assert_chains, id_of, ledger
from tests.topology.worker import Running
from topology.engine import clients
from topology.engine.definition import EngineConfig
from topology.engine.redis_store import RedisStore, connect
from topology.engine.state import DUE_BYTES, RESERVED

_GUARD_S = 180
_PARTITIONS = 4
_ROOT = Path(__file__).parents[2]


class World:
    """The ledger's topics on one broker, what was sent, and what came out so far."""

    def __init__(self, bootstrap, redis_url, prefix):
        self.args = (bootstrap, redis_url, f"{prefix}.")
        self.app = ledger(f"{prefix}.")
        self.sent: list[Sent] = []
        self.booked: list[tuple[str, bytes]] = []
        self.outputs: list[tuple[int, bytes]] = []
        """(partition, value) of the same."""
        self.shared: dict[tuple[int, bytes], bytes] = {}
        """What the changelog holds for each partition as a whole."""
        self._kafka = {"bootstrap.servers": bootstrap, "log_level": 0}
        self._ids = itertools.count(1)
        self._rng = random.Random(7)
        self._writer = Producer({**self._kafka, "partitioner": "murmur2_random", "linger.ms": 20})
        admin = AdminClient(self._kafka)
        names = [*self.app.inputs, *map(self.app.dead_letters, self.app.inputs), f"{prefix}.{OUT}"]
        topics = [NewTopic(name, _PARTITIONS, 1) for name in names]
        topics.append(NewTopic(self.app.changelog, _PARTITIONS, 1, config={"cleanup.policy": "compact"}))
        for made in admin.create_topics(topics).values():
            made.result(_GUARD_S)
        self._reader = clients.changelog_reader(self._kafka, group=f"{prefix}-check")
        self._reader.assign([TopicPartition(f"{prefix}.{OUT}", p, 0) for p in range(_PARTITIONS)])

    def send(self, count, keys=2_000, spend=None):
        """`spend` gives, by name, the limit of an allowance and which of the events, every n-th, ask for it."""
        for n in range(count):
            asks = {name: limit for name, (limit, every) in (spend or {}).items() if n % every == 0}
            event = Sent(f"user-{self._rng.randrange(keys)}", next(self._ids), self._rng.randint(1, 99))
            topic = self.app.inputs[self._rng.randrange(len(INPUTS))]
            value = add(event.amount, id=event.id, **({"spend": asks} if asks else {}))
            while True:
                try:
                    self._writer.produce(topic, value, event.key.encode())
                    break
                except BufferError:
                    self._writer.poll(0.1)
            self.sent.append(event)
        assert self._writer.flush(_GUARD_S) == 0

    def wait_for(self, booked):
        """Read what is committed until there are so many bookings."""
        end = time.monotonic() + _GUARD_S
        while len(self.booked) < booked:
            self._read(0.1)
            assert time.monotonic() < end, f"{len(self.booked)} of {booked} bookings"

    def wait_until(self, condition):
        end = time.monotonic() + _GUARD_S
        while not condition():
            time.sleep(0.05)
            assert time.monotonic() < end

    def _read(self, timeout):
        messages = [m for m in self._reader.consume(5_000, timeout) if m.error() is None]
        self.booked += [(m.key().decode(), m.value()) for m in messages]
        self.outputs += [(m.partition(), m.value()) for m in messages]
        return messages

    def check(self):
        """Both ways, after all workers have stopped; the changelog and Redis hold the same sums."""
        while self._read(2.0):
            pass
        assert_each_once([event.id for event in self.sent], [id_of(value) for _, value in self.booked])
        assert_chains(self.booked, {event.id: event.amount for event in self.sent})
        totals: dict[str, tuple[int, int]] = {}
        for event in self.sent:
            count, total = totals.get(event.key, (0, 0))
            totals[event.key] = (count + 1, total + event.amount)
        changelog = self._changelog()
        assert {key: self._told(raw) for key, raw in changelog.items()} == totals
        stored = self._stored(changelog)
        assert stored == changelog

    def _told(self, raw):
        account = self.app.decode_state(raw[DUE_BYTES:])
        return account.count, account.total

    def _changelog(self):
        reader = clients.changelog_reader(self._kafka, group="check")
        reader.assign([TopicPartition(self.app.changelog, p, 0) for p in range(_PARTITIONS)])
        newest, self._owner, ended = {}, {}, set()
        while len(ended) < _PARTITIONS:
            for m in reader.consume(5_000, 1.0):
                if m.error() is None and m.key().startswith(RESERVED):
                    self.shared[m.partition(), m.key()] = m.value()
                elif m.error() is None:
                    newest[m.key().decode()] = m.value()
                    self._owner[m.key().decode()] = m.partition()
                elif m.error().code() == KafkaError._PARTITION_EOF:
                    ended.add(m.partition())
        reader.close()
        return newest

    def _stored(self, changelog):
        with connect(self.args[1], mode="single") as client:
            store = RedisStore(client, namespace=self.app.name)
            stored = {}
            for p in range(_PARTITIONS):
                keys = [key for key in changelog if self._owner[key] == p]
                stored |= dict(zip(keys, store.read({p: [key.encode() for key in keys]})[p][1], strict=True))
                shared = [key for q, key in self.shared if q == p]
                assert store.read({p: shared})[p][1] == [self.shared[p, key] for key in shared]
                store.reset(p)
            return stored

    def close(self):
        self._reader.close()

    def running(self, slot, **settings):
        return Running(*self.args, slot, **settings)

    def process(self, slot):
        command = [sys.executable, "-m", "tests.topology.worker", *self.args, slot]
        return subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.fixture
def world(kafka, redis_url, app_id):
    world = World(kafka, redis_url, app_id)
    yield world
    world.close()


@pytest.mark.rule(1)
@pytest.mark.rule(6)
def test_a_worker_that_joins_and_one_that_leaves_cost_and_double_nothing(world):
    world.send(12_000)
    with world.running("0", session_s=6.0) as first:
        world.wait_for(1_500)
        with world.running("1", session_s=6.0) as second:
            world.wait_for(5_000)
            world.send(4_000)
            while not second.worker.partitions:
                world.wait_for(len(world.booked))
                time.sleep(0.05)
            first.stop()
            world.send(2_000)
            world.wait_for(18_000)
            assert len(second.worker.partitions) == _PARTITIONS
    world.check()


@pytest.mark.rule(5)
def test_a_worker_killed_again_and_again_in_the_middle_of_20_000_records_leaves_each_booked_once(world):
    world.send(20_000)
    for booked in (1_000, 6_000, 11_000):
        process = world.process("0")
        world.wait_for(booked)
        process.send_signal(signal.SIGKILL)
        process.wait()
    with world.running("0"):
        world.wait_for(20_000)
    world.check()


@pytest.mark.rule(5)
def test_two_workers_of_which_one_is_killed_give_an_allowance_exactly_as_far_as_the_inputs_ask_for_it(world):
    limits = {"grants": 40, "coupons": 16_000}
    asks = {"grants": (limits["grants"], 400), "coupons": (limits["coupons"], 1)}
    with world.running("0") as first:
        process = world.process("1")
        world.wait_until(lambda: len(first.worker.partitions) == _PARTITIONS // 2)
        for number in range(3):
            world.send(8_000, spend=asks)
            # So many that the second worker is at them too, and is not done.
            world.wait_for(8_000 * number + 4_500)
            process.send_signal(signal.SIGKILL)
            process.wait()
            if number < 2:
                process = world.process("1")
        with world.running("1"):
            world.wait_for(24_000)
    world.check()

    answers = spending.answers(world.outputs)
    spending.assert_spent(answers, {p: raw for (p, _), raw in world.shared.items()}, limits, _PARTITIONS)
    given = Counter(answer.name for answer in answers if answer.granted)
    assert given >= Counter(limits), "each partition was asked for more than its share, so nothing may be left"


@pytest.mark.rule(3)
def test_redis_flushed_in_the_middle_again_and_again_is_rebuilt_before_anything_is_judged(kafka, redis_server, app_id):
    server = redis_server()
    world = World(kafka, server.url, app_id)
    world.send(12_000)
    with world.running("0", cached_states=400) as running, redis.Redis.from_url(server.url) as client:
        for booked in (1_000, 4_000, 8_000):
            world.wait_for(booked)
            client.flushall()
        world.send(2_000)
        world.wait_for(14_000)
        assert running.counts["redis_rebuilt_total"] > _PARTITIONS
    world.check()
    world.close()


@pytest.mark.rule(9)
def test_redis_restarted_empty_in_the_middle_is_waited_for(kafka, redis_server, app_id):
    server = redis_server()
    world = World(kafka, server.url, app_id)
    world.send(8_000)
    with world.running("0", cached_states=400) as running:
        world.wait_for(1_000)
        server.kill()
        time.sleep(3)
        server.start()
        world.send(1_000)  # whoever had folded all before would not look at Redis again
        world.wait_for(9_000)
        assert running.counts["rebalances_total"] == 1
    world.check()
    world.close()


@pytest.mark.rule(1)
def test_a_second_producer_with_the_workers_id_is_fenced_off_in_its_turn(world):
    world.send(12_000)
    config = EngineConfig(slot="0")
    kafka = {"bootstrap.servers": world.args[0], "log_level": 0}
    with world.running("0") as running:
        for booked in (1_000, 4_000):
            world.wait_for(booked)
            rival = clients.producer(kafka, group=world.app.name, config=config)
            rival.init_transactions(_GUARD_S)
        world.wait_for(12_000)
        world.send(500)
        world.wait_for(12_500)
        # Fenced off mostly; or aborted, as the rival's start aborts what is open, and then replaced in any case.
        assert running.counts["producer_renewals_total"] > 1
        with pytest.raises(KafkaException) as raised:
            _write_in_transaction(rival, f"{world.args[2]}{OUT}")
        assert raised.value.args[0].fatal()
    world.check()


def _write_in_transaction(producer, topic):
    producer.begin_transaction()
    producer.produce(topic, b"{}", b"rival")
    producer.commit_transaction(_GUARD_S)


@pytest.mark.rule(5)
def test_a_broker_killed_in_the_middle_and_started_again_costs_and_doubles_nothing(kafka_server, redis_url, app_id):
    server = kafka_server()
    world = World(server.bootstrap, redis_url, app_id)
    world.send(10_000)
    with world.running("0"):
        for booked in (1_000, 4_000):
            world.wait_for(booked)
            server.kill()
            server.start()
        world.send(2_000)
        world.wait_for(12_000)
    world.check()
    world.close()
