"""The in-memory twins keep the contracts that the real Kafka and Redis keep."""

import uuid

import pytest

from tests.driver.broker import MemoryBroker
from tests.driver.broker_contract import BrokerContract
from tests.driver.clock import ManualClock
from tests.driver.consumer import MemoryConsumer, MemoryOffsets, MemoryReader
from tests.driver.producer import MemoryProducer
from tests.driver.store import MemoryStore
from tests.driver.store_contract import StoreContract


class MemoryWorld:
    def __init__(self):
        self.broker = MemoryBroker(ManualClock())
        self.offsets = MemoryOffsets(self.broker)

    def topic(self, partitions=1):
        name = uuid.uuid4().hex
        self.broker.create_topic(name, partitions)
        return name

    def producer(self, transactional_id="writer"):
        return MemoryProducer(self.broker, transactional_id)

    def reader(self):
        return MemoryReader(self.broker)

    def consumer(self, instance=None):
        return MemoryConsumer(self.broker, group="group", instance=instance)

    def write(self, topic, key, value):
        return self.broker.append(topic, key, value)


class TestMemoryBroker(BrokerContract):
    @pytest.fixture
    def world(self):
        return MemoryWorld()


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def store(self):
        return MemoryStore()

    @pytest.fixture
    def lose(self):
        return lambda store, partition, part: getattr(store, f"lose_{part}")(partition)
