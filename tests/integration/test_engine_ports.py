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
from redis.client import Pipeline

from tests.driver.broker_contract import WAIT_S, BrokerContract
from tests.driver.store_contract import StoreContract, dossier
from topology.embedded import RedisServer, silent
from topology.engine import clients, redis_store
from topology.engine.definition import ClockKind, EngineConfig
from topology.engine.errors import StoreDown
from topology.engine.ports import Apply
from topology.engine.redis_store import RedisStore, connect
from topology.engine.timers import ALWAYS, BEFORE_ALL


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
    def lose(self, client, app_id):
        return lambda _store, partition, part: client.unlink(f"{{{app_id}:{partition}}}:{part}")

    @pytest.fixture
    def store(self, client, app_id):
        yield RedisStore(client, namespace=app_id)
        for partition in (0, 1):
            RedisStore(client, namespace=app_id).reset(partition)

    def test_a_script_that_redis_forgot_is_sent_again(self, store, client):
        store.apply([Apply(0, None, 1, [dossier("ann")])])
        client.script_flush()

        assert store.apply([Apply(0, 1, 2, [dossier("ann", "B")]), Apply(1, None, 1, [])]) == {
            0: (True, 2),
            1: (True, 1),
        }
        assert store.read({0: [b"ann"]}) == {0: (2, [b"B"])}

    @pytest.mark.rule(2)
    def test_all_keys_of_a_partition_share_one_hash_tag(self, store, client, app_id):
        store.apply([Apply(1, None, 1, [dossier("ann", due=1)])])

        tag = f"{{{app_id}:1}}:"
        keys = [f"{tag}{part}".encode() for part in ("dossiers", "index", "timers")]
        assert sorted(client.scan_iter(f"*{app_id}:1*")) == keys

    @pytest.mark.rule(3)
    def test_a_redis_of_before_there_was_an_index_holds_nothing_that_counts(self, store, client, app_id):
        """What an older version has left: dossiers and timers, each with its checkpoint."""
        tag = f"{{{app_id}:0}}:"
        client.hset(f"{tag}dossiers", mapping={b"ann": b"A", b"\0checkpoint": 7})
        client.zadd(f"{tag}timers", {b"ann": 50, b"\0checkpoint": -8})

        assert store.checkpoints([0]) == {0: None}
        assert store.apply([Apply(0, 7, 9, [])]) == {0: (False, None)}

    @pytest.mark.rule(2)
    @pytest.mark.rule(3)
    @pytest.mark.parametrize(
        ("part", "member", "score"), [("timers", b"\0checkpoint", -7), ("index", b"\0checkpoint\x006", 0)]
    )
    def test_a_part_with_an_older_checkpoint_is_not_whole(self, store, client, app_id, part, member, score):
        """As one that a worker of an older version has not moved on, or that came back from a backup."""
        store.apply([Apply(0, None, 7, [dossier("ann", "A", 50)], [(b"t", True)])])
        key = f"{{{app_id}:0}}:{part}"
        client.zrem(key, b"\0checkpoint", b"\0checkpoint\x007")
        client.zadd(key, {member: score})

        assert store.checkpoints([0]) == {0: None}
        assert store.apply([Apply(0, 7, 9, [])]) == {0: (False, None)}

    @pytest.mark.rule(3)
    def test_a_flush_between_a_page_and_its_proof_is_seen(self, client, app_id):
        """Whatever is lost before the proof is taken shows in the proof, which is why it comes second."""
        store = RedisStore(client, namespace=app_id, pipelines=False)
        store.apply([Apply(0, None, 7, [], [(b"t/ann", True)])])
        ask = client.zrangebylex

        def ask_and_lose(*args):
            answer = ask(*args)
            client.unlink(f"{{{app_id}:0}}:index")
            return answer

        client.zrangebylex = ask_and_lose
        assert store.scan(0, b"t", b"u", 9)[0] is None
        store.reset(0)

    @pytest.mark.rule(2)
    def test_of_calls_in_parts_none_follows_one_that_was_refused(self, store, client, app_id):
        store.apply([Apply(0, None, 7, [dossier("ann", "A")])])
        many = [dossier(f"u{n}") for n in range(50_000)]

        assert store.apply([Apply(0, 6, 9, many, [(b"t", True)])]) == {0: (False, 7)}
        assert client.hlen(f"{{{app_id}:0}}:dossiers") == 2
        assert store.scan(0, b"", b"\xff", 9) == (7, [])


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
    def lose(self, cluster, app_id):
        return lambda _store, partition, part: cluster.unlink(f"{{{app_id}:{partition}}}:{part}")

    @pytest.fixture
    def store(self, cluster, app_id):
        return RedisStore(cluster, namespace=app_id, pipelines=False)


class Between:
    """Does something else at a chosen moment of the next watched transactions."""

    def __init__(self, monkeypatch, call, act):
        original = getattr(Pipeline, call)
        self.pipes = []

        def intercepted(pipe, *args, **kwargs):
            if pipe.watching:
                self.pipes.append(pipe)
                return act(lambda: original(pipe, *args, **kwargs))
            return original(pipe, *args, **kwargs)

        monkeypatch.setattr(Pipeline, call, intercepted)


MANY = 1_000
"""States that are written by a watched transaction instead of a Lua call."""


class TestMuchAtOnce:
    """Rule 2 where a transaction of plain commands takes the place of the Lua call."""

    @pytest.fixture
    def client(self, redis_url):
        with connect(redis_url, mode="single") as client:
            yield client

    @pytest.fixture
    def store(self, client, app_id):
        store = RedisStore(client, namespace=app_id)
        many = [dossier(f"u{n}", f"old-{n}", n) for n in range(MANY)]
        terms = [(b"t/u%d" % n, True) for n in range(MANY)]
        assert store.apply([Apply(0, None, 7, many, terms)]) == {0: (True, 7)}
        yield store
        for partition in (0, 1):
            store.reset(partition)

    def much(self, partition=0, expected=7):
        """States that are new, changed, without a timer any more, or gone; and terms that come and go."""
        writes = [dossier(f"u{n}", f"new-{n}", n + 5 if n % 2 else None) for n in range(1, MANY)]
        terms = [(b"t/u%d" % n, n % 2 == 0) for n in range(MANY)] + [(b"t/new", True)]
        return Apply(partition, expected, 9, [(b"u0", None, None), *writes, dossier("eve", "E", 3)], terms)

    def assert_old(self, store):
        assert store.checkpoints([0]) == {0: 7}
        assert store.read({0: [b"u0", b"u1", b"eve"]}) == {0: (7, [b"old-0", b"old-1", None])}
        assert store.timers(0, BEFORE_ALL, 10**6).pairs == [(n, b"u%d" % n) for n in range(MANY)]
        assert len(store.scan(0, b"t", b"u", 10**6)[1]) == MANY

    def assert_new(self, store):
        assert store.checkpoints([0]) == {0: 9}
        assert store.read({0: [b"u0", b"u1", b"eve"]}) == {0: (9, [None, b"new-1", b"E"])}
        held = sorted([(n + 5, b"u%d" % n) for n in range(1, MANY, 2)] + [(3, b"eve")])
        assert store.timers(0, BEFORE_ALL, 10**6) == (9, held, ALWAYS)
        assert store.scan(0, b"t", b"u", 10**6) == (
            9,
            sorted([b"t/u%d" % n for n in range(0, MANY, 2)] + [b"t/new"]),
        )

    @pytest.mark.rule(2)
    def test_it_writes_what_the_script_writes(self, store, monkeypatch):
        seen = Between(monkeypatch, "multi", lambda go_on: go_on())
        assert store.apply([self.much()]) == {0: (True, 9)}
        assert len(seen.pipes) == 1
        self.assert_new(store)

        store.reset(0)
        many = [dossier(f"u{n}", f"old-{n}", n) for n in range(MANY)]
        store.apply([Apply(0, None, 7, many, [(b"t/u%d" % n, True) for n in range(MANY)])])
        monkeypatch.setattr(redis_store, "_FEW_ARGUMENTS", 10**9)
        before = len(seen.pipes)
        assert store.apply([self.much()]) == {0: (True, 9)}
        assert len(seen.pipes) == before
        self.assert_new(store)

    @pytest.mark.rule(2)
    @pytest.mark.parametrize("expected", [None, 6, 8])
    def test_another_expectation_writes_nothing_and_the_other_partition_is_written(self, store, expected):
        assert store.apply([self.much(expected=expected), self.much(1, None)]) == {0: (False, 7), 1: (True, 9)}
        self.assert_old(store)
        assert store.read({1: [b"u1"]}) == {1: (9, [b"new-1"])}

    @pytest.mark.rule(2)
    def test_who_writes_between_look_and_write_wins(self, store, monkeypatch, client, app_id):
        zombie = RedisStore(client, namespace=app_id)

        def first(go_on):
            assert zombie.apply([Apply(0, 7, 8, [dossier("u1", "first")])]) == {0: (True, 8)}
            go_on()

        Between(monkeypatch, "multi", first)
        assert store.apply([self.much()]) == {0: (False, 8)}
        assert store.read({0: [b"u0", b"u1", b"eve"]}) == {0: (8, [b"old-0", b"first", None])}

    @pytest.mark.rule(2)
    @pytest.mark.rule(3)
    @pytest.mark.parametrize("parts", [["dossiers"], ["timers"], ["index"], ["dossiers", "timers", "index"]])
    def test_what_is_lost_between_look_and_write_is_noticed(self, store, monkeypatch, client, app_id, parts):
        def first(go_on):
            client.unlink(*(f"{{{app_id}:0}}:{part}" for part in parts))
            go_on()

        Between(monkeypatch, "multi", first)
        assert store.apply([self.much()]) == {0: (False, None)}
        assert store.checkpoints([0]) == {0: None}

    @pytest.mark.rule(2)
    @pytest.mark.parametrize("done", [True, False], ids=["it was done", "it was not"])
    def test_an_answer_that_is_lost_leaves_it_done_once(self, store, monkeypatch, done):
        def loses(go_on):
            if done:
                go_on()
                pipes[-1].watching = True  # as the client still thinks when no answer has come
            raise redis.ConnectionError("the answer is lost")

        pipes = Between(monkeypatch, "_execute_transaction", loses).pipes
        assert store.apply([self.much()]) == {0: (False, 9) if done else (True, 9)}
        self.assert_new(store)

    def test_a_change_that_changes_nothing_does_not_hold_it_up(self, store, monkeypatch, client, app_id):
        def first(go_on):
            client.hset(f"{{{app_id}:0}}:dossiers", "u5", "old-5")
            go_on()

        Between(monkeypatch, "multi", first)
        assert store.apply([self.much()]) == {0: (True, 9)}
        self.assert_new(store)


def test_a_redis_that_is_away_is_down_and_comes_back(redis_server):
    server = redis_server()
    with connect(server.url, mode="single", timeout_s=0.5) as client:
        store = RedisStore(client, namespace="test")
        store.apply([Apply(0, None, 1, [dossier("ann")])])
        server.kill()

        for call in (
            lambda: store.read({0: [b"ann"]}),
            lambda: store.apply([Apply(0, 1, 2, [])]),
            lambda: store.timers(0, BEFORE_ALL, 9),
            lambda: store.scan(0, b"", b"t", 1),
            lambda: store.checkpoints([0]),
            lambda: store.reset(0),
        ):
            with pytest.raises(StoreDown):
                call()

        server.start()
        assert store.checkpoints([0]) == {0: None}
        assert store.apply([Apply(0, None, 5, [])]) == {0: (True, 5)}


@pytest.mark.rule(2)
def test_an_apply_whose_answer_is_lost_and_which_is_sent_again_is_applied_once(redis_url, app_id):
    with LossyProxy(redis_url) as proxy, connect(proxy.url, mode="single") as client:
        store = RedisStore(client, namespace=app_id)
        store.apply([Apply(0, None, 1, [dossier("ann", "A")])])

        proxy.lose_next_answer = True
        batch = [Apply(0, 1, 2, [dossier("ann", "B")])]
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
