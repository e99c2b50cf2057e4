"""Every way to prove who one is, on a broker and a Redis that ask; and the engine under no more than it needs."""

from __future__ import annotations

import asyncio
import gc
import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from confluent_kafka.admin import AdminClient
from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth

from tests.integration.certificates import Authority
from tests.integration.secure_world import CLIENTS, SCRAM, World, secure_world
from tests.integration.worker_process import GUARD_S, PARTITIONS, Installation
from tests.integration.workload import Row, workload
from topology.acls import redis as redis_acls
from topology.acls.check import denied, refuse_unallowed
from topology.acls.rules import INSIGHTS, OPERATORS, WORKER, Acl, Operation, Resource, acls
from topology.cluster import Cluster
from topology.engine.errors import Misconfigured
from topology.exits import Exit
from topology.insights.settings import credentials
from topology.settings import Settings
from topology.topics import Role, load_register

WORKERS = ("worker-256", "worker-512", "worker-oauth", "worker-tls")
WAYS = (*SCRAM.values(), *CLIENTS, "worker-tls")
REDIS_USER, REDIS_PASSWORD = "recourse-worker", "password-of-redis"
KEK = f"k-1:{'A' * 43}"
"""With it they need the topics of keys too: 32 bytes in base64url."""


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with secure_world(tmp_path_factory.mktemp("secure")) as made:
        yield made


@pytest.fixture
def installation(world: World, app_id: str, tmp_path: Path):
    with Installation(world.kafka.bootstrap, world.redis.url, app_id, tmp_path, output_partitions=PARTITIONS) as made:
        del made.environment["RECOURSE_KAFKA"], made.environment["RECOURSE_REDIS"]
        yield made


def settings_of(installation: Installation, **more: object) -> Settings:
    return Settings(topic_prefix=installation.prefix, group=installation.name, **more)


def redis_user(world: World, settings: Settings) -> dict[str, object]:
    """Make the ACL user that `recourse acls --format redis` says; the settings by which it is used."""
    command = redis_acls.command(settings).replace(">PASSWORD", f">{REDIS_PASSWORD}")
    world.redis.admin().execute_command(*command.split())
    return {
        "redis": world.redis.tls_url,
        "redis_username": REDIS_USER,
        "redis_password": REDIS_PASSWORD,
        "redis_ca": world.authority.certificate,
    }


def rights(installation: Installation, role: str, principal: str) -> list[Acl]:
    return acls(settings_of(installation), only=[role], principals={role: f"User:{principal}"})


def soon(reached: Callable[[], object]) -> None:
    """Brokers learn of an ACL a moment after it was made."""
    deadline = time.monotonic() + GUARD_S
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# --- who one is --------------------------------------------------------------------------------------------------


# aiokafka does not wait until its connections are closed: asyncio complains of those on which TLS says good-bye yet.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("way", WAYS)
def test_both_clients_come_in_by_the_same_settings(world, way):
    settings = Settings(**world.ways[way])
    Cluster(settings.kafka_config(), load_register("nobody.")).partitions()

    async def ask() -> None:
        client = AIOKafkaAdminClient(
            bootstrap_servers=settings.kafka, **credentials_to_aiokafka_auth(credentials(settings))
        )
        await client.start()
        await client.close()

    asyncio.run(ask())
    gc.collect()  # what is complained of belongs to this test


@pytest.mark.parametrize(
    ("way", "wrong", "told"),
    [
        ("worker-512", {"kafka_password": "wrong-one"}, "RECOURSE_KAFKA_USERNAME or RECOURSE_KAFKA_PASSWORD"),
        ("worker-512", {"kafka_ca": "other"}, "Is RECOURSE_KAFKA_CA right?"),
        ("worker-oauth", {"kafka_client_secret": "wrong-one"}, "RECOURSE_KAFKA_TOKEN_URL, _CLIENT_ID, _CLIENT_SECRET"),
        ("worker-oauth", {"kafka_token_ca": "other"}, "RECOURSE_KAFKA_TOKEN_URL"),
        ("worker-tls", {"kafka_key_password": "wrong-one"}, "RECOURSE_KAFKA_CA, _CERTIFICATE, _KEY and _KEY_PASSWORD"),
    ],
)
def test_whoever_is_not_believed_is_told_which_setting_to_look_at(world, way, wrong, told, tmp_path):
    if "other" in wrong.values():
        wrong = dict.fromkeys(wrong, Authority(tmp_path, "another authority").certificate)
    settings = Settings(**world.ways[way] | wrong)

    with pytest.raises(Misconfigured) as refused:
        Cluster(settings.kafka_config(), load_register("nobody.")).partitions()

    assert told in str(refused.value)
    assert "wrong-one" not in str(refused.value)


def test_listener_that_wants_something_else_is_told_with_what_to_look_at(world, monkeypatch):
    monkeypatch.setattr("topology.cluster.TIMEOUT_S", 2.0)
    wants_certificate = Settings(kafka=world.kafka.mtls, kafka_security="SSL", kafka_ca=world.authority.certificate)
    for settings in (wants_certificate, Settings(kafka=world.kafka.sasl)):
        with pytest.raises(Misconfigured, match=r"does it speak RECOURSE_KAFKA_SECURITY, and does it want a certif"):
            Cluster(settings.kafka_config(), load_register("nobody.")).partitions()


# --- what one may do ---------------------------------------------------------------------------------------------


def test_workers_that_come_in_each_by_another_way_process_under_exactly_the_rights_that_are_printed(
    world, installation
):
    granted = rights(installation, WORKER, "x")
    since = world.log_bytes()
    redis = redis_user(world, settings_of(installation))
    for slot, way in enumerate(WORKERS):
        world.allow(rights(installation, WORKER, way))
        installation.start(slot=slot, kek=KEK, **world.ways[way], **redis)
        # The first keeps its rulebook, and those that follow find it.
        installation.until(installation.owners, "a worker has partitions")
    installation.until(lambda: len(installation.owners()) == len(WORKERS), "each worker has a partition")
    poison = [Row(topic.name, b"somebody", b"no record", 0, None) for topic in installation.register.inputs]
    installation.send([*workload(400, seed=5), *poison])
    installation.until_done()
    for worker in installation.processes:
        assert worker.stop() == Exit.OK, worker.text()

    used = set().union(*(world.used(f"User:{way}", since) for way in WORKERS))
    unused = {str(acl) for acl in granted if not was_used(acl, used)}
    reached = {topic.name for topic, _ in installation.messages(Role.OUTPUT, Role.DEAD_LETTERS)}
    outputs = {t.name for t in installation.register.topics if WORKER in t.writers and t.role is Role.OUTPUT}
    assert {topic.name for topic in installation.register.topics if topic.role is Role.DEAD_LETTERS} <= reached
    assert len(outputs & reached) > len(outputs) / 2
    # Some pods had no case: only there was nothing to be allowed.
    assert unused == {f"Write on topic {installation.register.on_cluster(name)}" for name in outputs - reached}


def was_used(acl: Acl, used: set[tuple[str, str, str]]) -> bool:
    """Has the broker let somebody in by this rule? By its own log."""
    wanted = {"DescribeConfigs": "DESCRIBE_CONFIGS"}.get(acl.operation, acl.operation.upper())
    kind = {Resource.TRANSACTIONAL_ID: "TransactionalId"}.get(acl.resource, acl.resource.capitalize())
    return any(
        operation == wanted and kind == of and (name.startswith(acl.name) if acl.prefixed else name == acl.name)
        for operation, of, name in used
    )


def test_each_right_that_is_missing_is_named(world, installation):
    granted = rights(installation, WORKER, "worker-512")
    world.allow(granted)
    settings = settings_of(installation, **world.ways["worker-512"])
    soon(lambda: not refusal(settings))
    asker = AdminClient(settings.kafka_config())
    for acl in granted:
        if acl.prefixed:
            continue  # a transactional id, of which no broker tells beforehand
        world.forbid([acl])
        soon(lambda: denied(asker, granted))
        told = denied(asker, granted)
        assert acl in told
        # Whoever may neither read, write nor describe a topic is not told what else of it is allowed.
        assert {(one.resource, one.name) for one in told} == {(acl.resource, acl.name)}
        world.allow([acl])
        soon(lambda: not denied(asker, granted))


def test_worker_that_lacks_a_right_does_not_start_and_names_it(world, installation):
    granted = rights(installation, WORKER, "worker-512")
    lacking = next(acl for acl in granted if acl.operation is Operation.WRITE and "case.events" in acl.name)
    world.allow(set(granted) - {lacking})
    settings = settings_of(installation, **world.ways["worker-512"])
    soon(lambda: str(lacking) in refusal(settings) and len(refusal(settings)) < len(granted))
    installation.start(**world.ways["worker-512"], **redis_user(world, settings))

    why = ended(installation)

    assert str(lacking) in why
    assert 'recourse acls --role "appeals processor"' in why


def refusal(settings: Settings) -> list[str]:
    try:
        refuse_unallowed(settings)
    except Misconfigured as exc:
        return [line.strip() for line in str(exc).splitlines() if line.startswith("  ")]
    return []


def ended(installation: Installation) -> str:
    """Why the newest worker stopped by itself: an operator's message, no traceback."""
    worker = installation.processes.pop()
    assert worker.ended() == Exit.MISCONFIGURED, worker.text()
    assert "Traceback" not in worker.text()
    # librdkafka may have its say too.
    lines = [json.loads(line) for line in worker.text().splitlines() if line.startswith("{")]
    return next(line["why"] for line in reversed(lines) if line["event"] == "worker_refused")


def test_transactional_id_that_may_not_be_used_is_told_with_what_prints_the_right(world, installation):
    granted = rights(installation, WORKER, "worker-256")
    world.allow([acl for acl in granted if acl.resource is not Resource.TRANSACTIONAL_ID])
    soon(lambda: not refusal(settings_of(installation, **world.ways["worker-256"])))
    installation.start(**world.ways["worker-256"], **redis_user(world, settings_of(installation)))

    why = ended(installation)

    assert "Transactional Id authorization failed" in why
    assert "`recourse acls` prints every right" in why


@pytest.mark.parametrize(
    ("topic", "operation"),
    [("case.events", Operation.WRITE), ("appeal.events", Operation.READ), (None, Operation.READ)],
)
def test_right_that_is_taken_from_a_running_worker_ends_it_with_nothing_committed(
    world, installation, topic, operation
):
    granted = rights(installation, WORKER, "worker-512")
    world.allow(granted)
    settings = settings_of(installation, **world.ways["worker-512"])
    soon(lambda: not refusal(settings))
    installation.start(**world.ways["worker-512"], **redis_user(world, settings))
    installation.until(installation.owners, "the worker has its partitions")
    kind = Resource.TOPIC if topic else Resource.GROUP
    name = installation.register.on_cluster(topic) if topic else settings.engine_name
    taken = [acl for acl in granted if (acl.resource, acl.name, acl.operation) == (kind, name, operation)]
    world.forbid(taken)
    soon(lambda: refusal(settings))
    installation.send(workload(60, seed=6))

    why = ended(installation)

    assert "authorization failed" in why or "does not allow" in why
    assert "recourse acls" in why
    assert installation.done() == 0


def test_insights_and_operators_do_their_work_under_the_rights_of_their_roles(world, installation):
    world.allow(rights(installation, WORKER, "worker-512"))
    world.allow(rights(installation, INSIGHTS, "insights-oauth"))
    world.allow(rights(installation, OPERATORS, "worker-tls"))
    redis = redis_user(world, settings_of(installation))
    soon(lambda: not refusal(settings_of(installation, **world.ways["worker-512"])))
    installation.start(**world.ways["worker-512"], **redis)
    installation.start("-m", "topology.cli", "insights", **world.ways["insights-oauth"])
    installation.send(workload(200, seed=7))
    installation.until_done()
    installation.until(
        lambda: [1 for topic, _ in installation.messages(Role.REFERENCE) if topic.name == "pod.load"], ""
    )

    way = world.ways["worker-tls"]
    for command, told in (
        (("case", "verify"), "whole"),
        (("dlq", "list"), ""),
        (("reversal", "list"), ""),
    ):
        done = installation.recourse(*command, **way)
        assert done.returncode == Exit.OK, done.stdout + done.stderr
        assert told in done.stdout
    others = installation.recourse("create-topics", **way | {"topic_prefix": f"{installation.prefix}more."})
    assert others.returncode == Exit.MISCONFIGURED
    assert "Authorization failed" in others.stderr
    for process in installation.processes:
        assert process.stop() == Exit.OK, process.text()
