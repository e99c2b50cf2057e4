"""The rules: what each role of the register reads and writes, and what our own programs need besides."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from topology.engine.errors import Misconfigured
from topology.settings import Settings
from topology.topics import Register, Role, Topic

WORKER, INSIGHTS, OPERATORS = "appeals processor", "insights", "operators"
_COMMANDS = frozenset({"recourse dlq", "audit", OPERATORS})
"""Roles of the register that are verbs of `recourse`, which operators give."""
_NAMES = {WORKER: "recourse-worker", INSIGHTS: "recourse-insights", OPERATORS: "recourse-operator"}


class Resource(StrEnum):
    """What a rule is about, in Strimzi's words; `kafka-acls` says `--topic`, `--group`, `--transactional-id`."""

    TOPIC = "topic"
    GROUP = "group"
    TRANSACTIONAL_ID = "transactionalId"


class Operation(StrEnum):
    """What may be done, in Kafka's words. Read and Write imply Describe."""

    READ = "Read"
    WRITE = "Write"
    DESCRIBE = "Describe"
    DESCRIBE_CONFIGS = "DescribeConfigs"


@dataclass(frozen=True, order=True, slots=True)
class Acl:
    """One right of one principal, from any host."""

    principal: str
    resource: Resource
    name: str
    operation: Operation
    prefixed: bool = False
    """The name is only how the names begin."""

    def __str__(self) -> str:
        each = "that begins with " if self.prefixed else ""
        return f"{self.operation} on {self.resource} {each}{self.name}"


def roles(register: Register) -> list[str]:
    """Who has rules: our programs, then everybody else that the register names."""
    named = {role for topic in register.topics for role in (*topic.writers, *topic.readers)}
    return [WORKER, INSIGHTS, OPERATORS, *sorted(named - {WORKER, INSIGHTS} - _COMMANDS)]


def principal_of(role: str, principals: Mapping[str, str]) -> str:
    """As whom a role comes to Kafka: as it was told, else by a name made of its own."""
    return principals.get(role) or f"User:{_NAMES.get(role, role.replace(' ', '-'))}"


def acls(settings: Settings, *, only: Iterable[str] = (), principals: Mapping[str, str] = {}) -> list[Acl]:
    """All rules of an installation.

    Args:
        settings: names of topics, groups and transactional ids.
        only: these roles; all by default.
        principals: by role.

    Raises:
        Misconfigured: a role is none.
    """
    register = settings.register_of_topics()
    known = roles(register)
    unknown = sorted({*only, *principals} - set(known))
    if unknown:
        raise Misconfigured(f"no such role: {', '.join(unknown)}. Roles: {', '.join(known)}")
    return [
        acl
        for role in known
        if not only or role in only
        for acl in _of(role, principal_of(role, principals), settings, register)
    ]


def _of(role: str, principal: str, settings: Settings, register: Register) -> list[Acl]:
    wanted: set[tuple[Resource, str, Operation, bool]] = set()
    if role == WORKER:
        wanted.update(_worker(settings, register))
    elif role == INSIGHTS:
        wanted.update(_insights(settings, register))
    elif role == OPERATORS:
        wanted.update(_operators(settings, register))
    else:
        wanted.update(_others(role, settings, register))
    # What implies Describe is told alone.
    more = {(kind, name) for kind, name, operation, _ in wanted if operation in (Operation.READ, Operation.WRITE)}
    return sorted(
        Acl(principal, kind, name, operation, prefixed)
        for kind, name, operation, prefixed in wanted
        if operation is not Operation.DESCRIBE or (kind, name) not in more
    )


_Rules = Iterator[tuple[Resource, str, Operation, bool]]


def _worker(settings: Settings, register: Register) -> _Rules:
    yield from _topics(register, WORKER, WORKER)
    yield from _looks(register)
    engine = settings.engine_name
    yield Resource.GROUP, engine, Operation.READ, False
    # Slots are named by whoever starts workers.
    yield Resource.TRANSACTIONAL_ID, f"{engine}-", Operation.WRITE, True


def _insights(settings: Settings, register: Register) -> _Rules:
    yield from _topics(register, INSIGHTS, INSIGHTS)
    yield from _looks(register)
    # What they learn from is the register's, what was enforced comes with it.
    yield Resource.TOPIC, register.on_cluster("enforcement.events"), Operation.READ, False
    yield Resource.GROUP, settings.topic_prefix + settings.insights_group, Operation.READ, False


def _operators(settings: Settings, register: Register) -> _Rules:
    for topic in register.topics:
        name = register.on_cluster(topic.name)
        yield Resource.TOPIC, name, Operation.READ, False
        # A dead letter that is replayed goes back to the input that it came from.
        if topic.role is Role.INPUT or _COMMANDS.intersection(topic.writers):
            yield Resource.TOPIC, name, Operation.WRITE, False
    yield from _looks(register)
    yield Resource.GROUP, settings.engine_name, Operation.DESCRIBE, False
    for suffix in ("dlq", "remedy-commands"):
        yield Resource.TRANSACTIONAL_ID, f"{settings.group}-{suffix}", Operation.WRITE, False


def _others(role: str, settings: Settings, register: Register) -> _Rules:
    yield from _topics(register, role, role)
    name = settings.topic_prefix + role.replace(" ", "-")
    if any(role in topic.readers for topic in register.topics):
        yield Resource.GROUP, name, Operation.READ, True
    if any(role in topic.writers for topic in register.topics):
        yield Resource.TRANSACTIONAL_ID, name, Operation.WRITE, True


def _topics(register: Register, reader: str, writer: str) -> _Rules:
    for topic in register.topics:
        name = register.on_cluster(topic.name)
        if reader in topic.readers or _kept_by(topic, reader):
            yield Resource.TOPIC, name, Operation.READ, False
        if writer in topic.writers:
            yield Resource.TOPIC, name, Operation.WRITE, False


def _kept_by(topic: Topic, role: str) -> bool:
    """Who keeps something in a reference topic looks first whether it is there."""
    return topic.role is Role.REFERENCE and topic.name == "rulebooks" and role in topic.writers


def _looks(register: Register) -> _Rules:
    """At start: all topics there, and set as the register says."""
    for topic in register.topics:
        yield Resource.TOPIC, register.on_cluster(topic.name), Operation.DESCRIBE, False
        yield Resource.TOPIC, register.on_cluster(topic.name), Operation.DESCRIBE_CONFIGS, False
