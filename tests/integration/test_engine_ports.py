"""The engine's ports on the real Kafka and Redis: the contracts of the in-memory twins, and what only they can do."""

import contextlib
import itertools
import socket
import socketserver
import threading
import time
from urllib.parse import urlsplit

import pytest
import redis
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from tests.driver.broker_contract import WAIT_S, BrokerContract
from tests.driver.store_contract import StoreContract, dossier
from topology.embedded import RedisServer, silent
from topology.engine import clients
from topology.engine.definition import ClockKind, EngineConfig
from topology.engine.errors import StoreDown
from topology.engine.redis_store import RedisStore, connect


class KafkaWorld:
    """A broker with names of its own for one test."""

    def __init__(self, bootstrap, prefix, closing):
        self._kafka = {"bootstrap.servers": bootstrap, "log_level": 0}
        self._prefix = prefix
        self._closing = closing
        self._numbers = itertools.count()
        self._admin = AdminClient(self._kafka)
        self._config = EngineConfig(slot="0", clock=ClockKind.STREAM)
        self._writer = Producer({**self._kafka, "partitioner": "murmur2_random"})
        self.offsets = clients.BrokerOffsets(self._kafka)

    def topic(self, partitions=1):
        name = f"{self._prefix}-{next(self._numbers)}"
        topic = NewTopic(name, partitions, 1, config={"retention.ms": "-1"})
        for done in self._admin.create_topics([topic]).values():
            done.result(WAIT_S)
        return name

    def producer(self, transactional_id="writer"):
        group = f"{self._prefix}-{transactional_id}"
        return clients.producer(self._kafka, group=group, config=self._config)

    def reader(self):
        reader = clients.changelog_reader(self._kafka, group=self._prefix)
        self._closing.callback(reader.close)
        return reader

    def consumer(self, instance=None):
        consumer = clients.consumer(self._kafka, group=self._prefix, config=self._config, static=False, session_s=10)
        self._closing.callback(consumer.close)
        return consumer

    def write(self, topic, key, value):
        told = []
        self._writer.produce(topic, value, key, on_delivery=lambda error, m: told.append((error, m)))
        assert self._writer.flush(WAIT_S) == 0
        ((error, message),) = told
        assert error is None
        return message.partition(), message.offset()


class TestKafka(BrokerContract):
    @pytest.fixture
    def world(self, kafka, app_id):
        with contextlib.ExitStack() as closing:
            yield KafkaWorld(kafka, app_id, closing)


class TestRedis(StoreContract):
    @pytest.fixture
    def client(self, redis_url):
        with connect(redis_url, mode="single") as client:
            yield client

    @pytest.fixture
    def store(self, client, app_id):
        yield RedisStore(client, namespace=app_id)
        for partition in (0, 1):
            RedisStore(client, namespace=app_id).reset(partition)

    def test_a_script_that_redis_forgot_is_sent_again(self, store, client):
        store.apply([(0, None, 1, [dossier("ann")])])
        client.script_flush()

        assert store.apply([(0, 1, 2, [dossier("ann", "B")]), (1, None, 1, [])]) == {0: (True, 2), 1: (True, 1)}
        assert store.read({0: [b"ann"]}) == {0: (2, [b"B"])}

    @pytest.mark.rule(2)
    def test_all_keys_of_a_partition_share_one_hash_tag(self, store, client, app_id):
        store.apply([(1, None, 1, [dossier("ann", due=1)])])

        tag = f"{{{app_id}:1}}:"
        assert sorted(client.scan_iter(f"*{app_id}:1*")) == [f"{tag}dossiers".encode(), f"{tag}timers".encode()]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cluster")
    arguments = ("--cluster-enabled", "yes")
    with RedisServer(folder, keep=False, progress=silent, arguments=arguments) as server:
        with redis.Redis.from_url(server.url) as node:
            node.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
            _wait_for(lambda: node.cluster("INFO")["cluster_state"] == "ok")
        with contextlib.closing(connect(server.url, mode="cluster")) as client:
            yield client


class TestRedisCluster(StoreContract):
    """One node that owns all slots: keys and scripts are checked as on a big cluster."""

    @pytest.fixture
    def store(self, cluster, app_id):
        return RedisStore(cluster, namespace=app_id, pipelines=False)


def test_a_redis_that_is_away_is_down_and_comes_back(redis_server):
    server = redis_server()
    with connect(server.url, mode="single", timeout_s=0.5) as client:
        store = RedisStore(client, namespace="test")
        store.apply([(0, None, 1, [dossier("ann")])])
        server.kill()

        for call in (
            lambda: store.read({0: [b"ann"]}),
            lambda: store.apply([(0, 1, 2, [])]),
            lambda: store.timers(0),
            lambda: store.reset(0),
        ):
            with pytest.raises(StoreDown):
                call()

        server.start()
        assert store.checkpoints([0]) == {0: None}
        assert store.apply([(0, None, 5, [])]) == {0: (True, 5)}


@pytest.mark.rule(2)
def test_an_apply_whose_answer_is_lost_and_which_is_sent_again_is_applied_once(redis_url, app_id):
    with LossyProxy(redis_url) as proxy, connect(proxy.url, mode="single") as client:
        store = RedisStore(client, namespace=app_id)
        store.apply([(0, None, 1, [dossier("ann", "A")])])

        proxy.lose_next_answer = True
        batch = [(0, 1, 2, [dossier("ann", "B")])]
        try:
            answer = store.apply(batch)  # some versions of the client send it again by themselves
        except StoreDown:
            answer = store.apply(batch)

        assert not proxy.lose_next_answer
        assert answer == {0: (False, 2)}, "refused, and the checkpoint shows why: it is done"
        assert store.read({0: [b"ann"]}) == {0: (2, [b"B"])}
        store.reset(0)


class LossyProxy:
    """Stands before Redis; on demand it passes a request on and breaks the connection instead of answering."""

    def __init__(self, url):
        target = urlsplit(url)
        proxy = self

        class Connection(socketserver.BaseRequestHandler):
            def handle(self):
                with socket.create_connection((target.hostname, target.port)) as redis_side:
                    while request := self.request.recv(1 << 20):
                        redis_side.sendall(request)
                        answer = redis_side.recv(1 << 20)
                        if proxy.lose_next_answer:
                            proxy.lose_next_answer = False
                            return
                        self.request.sendall(answer)

        self.lose_next_answer = False
        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Connection)
        self._server.daemon_threads = True
        self.url = f"redis://127.0.0.1:{self._server.server_address[1]}{target.path}"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()


def _wait_for(condition):
    for _ in range(int(WAIT_S / 0.05)):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it did not happen")
