"""Who takes part: how each is started, what it promises, where its cases and histories can be read."""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
import redis

from bench.peers import environments
from bench.verify import committed
from topology.engine.state import DUE_BYTES

History = tuple[int, int]
"""How many appeals, and how many cents were at stake."""

_PAIR = struct.Struct(">qq")


def clients(kafka: str) -> dict[str, Any]:
    """Configuration of the clients that look on."""
    return {"bootstrap.servers": kafka, "log_level": 3}  # errors: not that a new broker makes them try again


@dataclass(frozen=True, kw_only=True)
class Run:
    """Where a contender works."""

    kafka: str
    redis: str
    prefix: str
    """Of topics, groups and keys; the appeals are in `<prefix>appeals`."""
    folder: str
    """For local state; empty before."""
    events: int
    """How many appeals there are; ours end after them, the peers are stopped."""
    rest: int = 0
    """Bytes of a history besides its two numbers; only Kafka Streams, for the recovery."""


@dataclass(frozen=True, kw_only=True)
class Contender:
    """One who does the triage step."""

    name: str
    title: str
    guarantee: str
    command: Callable[[Run], list[str]]
    """Raises `environments.UnavailableError`."""
    histories: Callable[[Run], Iterator[History]] | None
    """Of each user, from where they survive; None: none are kept."""
    topics: tuple[str, ...] = ()
    """What must be there besides the appeals and the cases."""
    compacted: tuple[str, ...] = ()
    slow: bool = False
    """Is given a tenth of the events."""

    @property
    def cases(self) -> str:
        """Where the cases go."""
        return {"raw": "copied"}.get(self.name, f"{self.name}-cases")

    @property
    def works(self) -> bool:
        """Does it decode and judge, or only copy?"""
        return self.histories is not None


def _ours(name: str) -> Callable[[Run], list[str]]:
    module = "bench.peers.ours" if name == "engine-fastavro" else "bench.contenders"
    return lambda run: [sys.executable, "-m", module, name, run.kafka, run.redis, run.prefix, str(run.events)]


def _python(name: str, *arguments: str) -> Callable[[Run], list[str]]:
    script = environments.PEERS / name / "peer.py"
    return lambda run: [
        "/usr/bin/env",
        f"PYTHONPATH={environments.PEERS}",
        str(environments.python(name)),
        str(script),
        run.kafka,
        run.redis,
        run.prefix,
        run.folder,
        *arguments,
    ]


def _streams(run: Run) -> list[str]:
    java, classpath = environments.java_classpath()
    return [
        str(java),
        "-Xmx1g",
        "-Dorg.apache.avro.specific.use_custom_coders=true",
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
        "-cp",
        classpath,
        "bench.peers.Triage",
        run.kafka,
        run.prefix,
        run.folder,
        str(run.rest),
    ]


def _changelog(topic: str, read: Callable[[bytes], History]) -> Callable[[Run], Iterator[History]]:
    """The last committed value of each key; a tombstone ends it."""

    def histories(run: Run) -> Iterator[History]:
        last: dict[bytes, bytes | None] = {}
        for message in committed(clients(run.kafka), topic.format(prefix=run.prefix)):
            last[message.key() or b""] = message.value()
        return (read(value) for value in last.values() if value is not None)

    return histories


def _json(value: bytes) -> History:
    appeals, cents = msgspec.json.decode(value, type=tuple[int, int])
    return appeals, cents


def _engine(value: bytes) -> History:
    appeals, cents = msgspec.msgpack.decode(value[DUE_BYTES:], type=tuple[int, int])
    return appeals, cents


def _pair(value: bytes) -> History:
    appeals, cents = _PAIR.unpack_from(value)
    return appeals, cents


def _redis_strings(run: Run) -> Iterator[History]:
    client: Any = redis.Redis.from_url(run.redis)
    keys = list(client.scan_iter(f"{run.prefix}arroyo:*", count=10_000))
    return (_pair(value) for start in range(0, len(keys), 5_000) for value in client.mget(keys[start : start + 5_000]))


def _redis_hashes(run: Run) -> Iterator[History]:
    client: Any = redis.Redis.from_url(run.redis)
    for key in client.scan_iter(f"{run.prefix}naive:*", count=10_000):
        appeals, cents = client.hmget(key, "appeals", "cents")
        yield int(appeals), int(cents)


CONTENDERS = {
    contender.name: contender
    for contender in (
        Contender(
            name="raw",
            title="raw transactional copy, no work",
            guarantee="exactly once",
            command=_ours("raw"),
            histories=None,
        ),
        Contender(
            name="engine",
            title="Recourse's engine",
            guarantee="exactly once",
            command=_ours("engine"),
            histories=_changelog("{prefix}engine-changelog", _engine),
            topics=("appeals.dlq",),
            compacted=("engine-changelog",),
        ),
        Contender(
            name="engine-fastavro",
            title="Recourse's engine, plain fastavro",
            guarantee="exactly once",
            command=_ours("engine-fastavro"),
            histories=_changelog("{prefix}engine-fastavro-changelog", _engine),
            topics=("appeals.dlq",),
            compacted=("engine-fastavro-changelog",),
        ),
        Contender(
            name="kafka-streams",
            title="Kafka Streams, RocksDB",
            guarantee="exactly once",
            command=_streams,
            histories=_changelog("{prefix}kafka-streams-histories-changelog", _pair),
        ),
        Contender(
            name="quix",
            title="Quix Streams, RocksDB",
            guarantee="exactly once",
            command=_python("quix"),
            histories=_changelog("changelog__{prefix}quix--{prefix}appeals--default", _pair),
        ),
        Contender(
            name="arroyo",
            title="arroyo, Redis",
            guarantee="at least once",
            command=_python("arroyo"),
            histories=_redis_strings,
        ),
        Contender(
            name="naive",
            title="loop: poll, HGETALL, HSET, produce",
            guarantee="at least once",
            command=_ours("naive"),
            histories=_redis_hashes,
            slow=True,
        ),
        Contender(
            name="faust-take",
            title="Faust, memory, take",
            guarantee="at least once",
            command=_python("faust", "take"),
            histories=_changelog("{prefix}faust-take-histories-changelog", _json),
            slow=True,
        ),
        Contender(
            name="faust-event",
            title="Faust, memory, event by event",
            guarantee="at least once",
            command=_python("faust", "event"),
            histories=_changelog("{prefix}faust-event-histories-changelog", _json),
            slow=True,
        ),
    )
}
