"""`recourse doctor`: is everything there that a worker needs? Each line says what to do when it is not."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from importlib.metadata import version

import confluent_kafka
from redis.exceptions import NoPermissionError, RedisError

from topology.access.redis import without_secret
from topology.access.redis_client import redis_client
from topology.acls.check import refuse_unallowed
from topology.acls.rules import WORKER
from topology.cluster import Cluster
from topology.engine.errors import Misconfigured, Retriable
from topology.privacy.opening import open_keys
from topology.registry import open_codec, probe_registry
from topology.settings import Settings
from topology.subjects import refuse_incompatible
from topology.worker import open_rulebook, wire


@dataclass(frozen=True)
class Finding:
    """One line of the answer."""

    ok: bool
    what: str
    text: str
    """What was found, or what is wrong and what to do."""


def examine(settings: Settings, only: str | None = None) -> Iterator[Finding]:
    """Check one thing after the other; a failing one does not hide the rest. `only` names the one to check."""
    for what, check in _CHECKS:
        if only not in (None, what):
            continue
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
    cluster = Cluster(settings.kafka_config(), settings.register_of_topics())
    cluster.partitions()
    return [f"answers: {', '.join(cluster.brokers())}"]


def _topics(settings: Settings) -> list[str]:
    cluster = Cluster(settings.kafka_config(), settings.register_of_topics())
    cluster.partitions()  # whether anybody answers, and lets this process in
    refuse_unallowed(settings)
    partitions = cluster.check()
    return [
        f"all there, {partitions} partitions for the inputs, and all rights that a worker needs",
        *(f"differs: {n}" for n in cluster.drift().notes),
    ]


def _redis(settings: Settings) -> list[str]:
    client = redis_client(settings)
    where = without_secret(settings.redis)
    try:
        found = [f"answers at {where}, version {client.info('server')['redis_version']}"]
    except NoPermissionError:  # the ACL user of `recourse acls` may not ask
        found = [f"answers at {where}; which version it is, this user may not ask"]
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
    told = probe_registry(settings)
    refuse_incompatible(settings, open_codec(settings), settings.register_of_topics(), WORKER)
    return [told]


def _privacy(settings: Settings) -> list[str]:
    if settings.kek is None:
        return ["no key-encryption key (RECOURSE_KEK): nothing is sealed, dead letters lie as they came"]
    try:
        with open_keys(settings, name=f"{settings.group}-doctor") as keys:
            keys.prepare()
            behind = keys.catch_up()
    except Retriable as exc:
        raise Misconfigured(str(exc)) from exc
    names = ", ".join(settings.key_encryption_keys())
    return [f"keys of users can be made and read by {names}; the view in Redis was {behind} records behind"]


def _metrics(settings: Settings) -> list[str]:
    port = settings.metrics_port
    if not port:
        return ["no port, so nobody sees how the workers are: set RECOURSE_METRICS_PORT"]
    try:
        answers = [_ask(port, path) for path in ("/livez", "/readyz")]
    except ConnectionRefusedError:
        return [f"port {port} is free for a process"]
    except (OSError, HTTPException) as exc:
        raise Misconfigured(
            f"something on port {port} does not answer as a process of Recourse does ({exc}); "
            "set RECOURSE_METRICS_PORT to another"
        ) from exc
    if any(answer.startswith("nothing here") or len(answer) > _SENTENCE for answer in answers):
        raise Misconfigured(f"port {port} belongs to something else; set RECOURSE_METRICS_PORT to another")
    return [f"a process answers on port {port}; alive: {answers[0]}, ready: {answers[1]}"]


_SENTENCE = 300


def _ask(port: int, path: str) -> str:
    connection = HTTPConnection("localhost", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().read(_SENTENCE + 1).decode(errors="replace").strip()
    finally:
        connection.close()


_CHECKS: tuple[tuple[str, Callable[[Settings], list[str]]], ...] = (
    ("versions", _versions),
    ("rulebook", _rulebook),
    ("wiring", _wiring),
    ("broker", _broker),
    ("topics", _topics),
    ("redis", _redis),
    ("registry", _registry),
    ("privacy", _privacy),
    ("metrics", _metrics),
)
