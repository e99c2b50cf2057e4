"""`recourse doctor`: is everything there that a worker needs? Each line says what to do when it is not."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version

import confluent_kafka
from redis.exceptions import RedisError

from topology.cluster import Cluster
from topology.engine.errors import Misconfigured
from topology.registry import probe_registry
from topology.settings import Settings
from topology.topics import load_register
from topology.worker import open_rulebook, redis_client, wire, without_secret


@dataclass(frozen=True)
class Finding:
    """One line of the answer."""

    ok: bool
    what: str
    text: str
    """What was found, or what is wrong and what to do."""


def examine(settings: Settings) -> Iterator[Finding]:
    """Check one thing after the other; a failing one does not hide the rest."""
    for what, check in _CHECKS:
        try:
            for text in check(settings):
                yield Finding(ok=True, what=what, text=text)
        except Misconfigured as exc:
            yield Finding(ok=False, what=what, text=str(exc))


def _versions(_settings: Settings) -> list[str]:
    libraries = ", ".join(f"{name} {version(name)}" for name in ("confluent-kafka", "fastavro", "redis", "msgspec"))
    librdkafka = confluent_kafka.libversion()[0]
    return [f"recourse {version('recourse')}, Python {platform.python_version()}, librdkafka {librdkafka}, {libraries}"]


def _rulebook(settings: Settings) -> list[str]:
    rulebook = open_rulebook(settings)
    pods = ", ".join(pod.name for pod in rulebook.pods)
    return [f"{settings.rulebook or 'the packaged one'}: valid, digest {rulebook.digest}, pods {pods}"]


def _wiring(settings: Settings) -> list[str]:
    app, register, _rulebook, _codec = wire(settings)
    return [f"group {app.name}, {len(register.topics)} topics registered, every pod of the rulebook has one"]


def _broker(settings: Settings) -> list[str]:
    cluster = Cluster(settings.kafka_config(), load_register(settings.topic_prefix))
    cluster.partitions()
    return [f"answers: {', '.join(cluster.brokers())}"]


def _topics(settings: Settings) -> list[str]:
    cluster = Cluster(settings.kafka_config(), load_register(settings.topic_prefix))
    partitions = cluster.check()
    return [f"all there, {partitions} partitions for the inputs", *(f"differs: {n}" for n in cluster.drift().notes)]


def _redis(settings: Settings) -> list[str]:
    client = redis_client(settings)
    found = [f"answers at {without_secret(settings.redis)}, version {client.info('server')['redis_version']}"]
    try:
        policy = client.config_get("maxmemory-policy").get("maxmemory-policy", "unknown")
    except RedisError as exc:
        return [*found, f"its eviction policy cannot be read ({exc}); make sure that it is noeviction"]
    if policy != "noeviction":
        raise Misconfigured(
            f"maxmemory-policy is {policy}: Redis may evict a partition's dossiers, and each time the worker must "
            "rebuild it. Set it: redis-cli config set maxmemory-policy noeviction"
        )
    return found


def _registry(settings: Settings) -> list[str]:
    return [probe_registry(settings)]


_CHECKS: tuple[tuple[str, Callable[[Settings], list[str]]], ...] = (
    ("versions", _versions),
    ("rulebook", _rulebook),
    ("wiring", _wiring),
    ("broker", _broker),
    ("topics", _topics),
    ("redis", _redis),
    ("registry", _registry),
)
