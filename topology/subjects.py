"""The register's subjects in the schema registry: what is wrong with them, and how a release registers its schemas.

A subject is a topic and a record that may flow there. Its compatibility is FULL_TRANSITIVE, as the contract's own is:
every version reads and is read by every other (docs/registry.md).
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from schemas.catalog import current, current_node, fingerprint, full_name, wire_form
from schemas.codec import Codec
from schemas.errors import RegistryUnavailableError, SchemaError
from schemas.nodes import parse
from schemas.records import Record
from schemas.registry import ConfluentRegistry, RegisteredVersion, subject
from schemas.resolution import problems
from topology.engine.errors import Misconfigured
from topology.registry import open_registry
from topology.settings import Settings
from topology.topics import Register, Topic

LEVEL = "FULL_TRANSITIVE"
_SHOWN = 5
_AT_A_TIME = 6


@dataclass(frozen=True)
class Subject:
    """A topic, by its name on the cluster, and a record that it allows."""

    topic: str
    record: type[Record]

    @property
    def name(self) -> str:
        """As the registry has it: TopicRecordNameStrategy."""
        return subject(self.topic, full_name(self.record))

    @property
    def schema(self) -> str:
        """This release's schema, as the codec looks it up."""
        return json.dumps(wire_form(current(self.record)))


@dataclass(frozen=True)
class Standing:
    """How a subject is in the registry."""

    subject: Subject
    versions: Sequence[RegisteredVersion]
    level: str | None
    faults: Sequence[str]
    """What cannot be read, with version, field and reason."""
    registered: bool
    """Is this release's schema among the versions?"""


def subjects(register: Register, role: str | None = None) -> tuple[list[Subject], list[Subject]]:
    """Subjects that a role of the register writes, and those that it reads; all of them twice for none."""
    return (
        [one for topic in register.topics if role is None or role in topic.writers for one in _of(register, topic)],
        [one for topic in register.topics if role is None or role in topic.readers for one in _of(register, topic)],
    )


def _of(register: Register, topic: Topic) -> Iterator[Subject]:
    for record in sorted(topic.allowed, key=full_name):
        yield Subject(register.on_cluster(topic.name), record)


def look(registry: ConfluentRegistry, wanted: Iterable[Subject]) -> list[Standing]:
    """Ask the registry, several subjects at a time: each takes it some milliseconds.

    Raises:
        Misconfigured: it does not answer.
    """
    try:
        with ThreadPoolExecutor(_AT_A_TIME) as pool:
            return list(pool.map(partial(_standing, registry), wanted))
    except RegistryUnavailableError as exc:
        raise Misconfigured(f"the schema registry does not answer: {exc}. Is RECOURSE_REGISTRY right?") from exc


def _standing(registry: ConfluentRegistry, one: Subject) -> Standing:
    versions = registry.versions(one.name)
    ours = fingerprint(wire_form(current(one.record)))
    faults: list[str] = []
    registered = False
    for version in versions:
        try:
            schema = json.loads(version.schema)
            there = parse(schema)
            registered |= fingerprint(schema) == ours
        except (SchemaError, ValueError, RecursionError) as exc:
            faults.append(f"version {version.number} is no schema that this release can read: {exc}")
            continue
        here = current_node(one.record)
        faults += [f"version {version.number} cannot be read by this release: {text}" for text in problems(here, there)]
        faults += [f"version {version.number} cannot read what this release writes: {t}" for t in problems(there, here)]
    return Standing(one, versions, registry.level(one.name), faults, registered)


def told(standing: Standing) -> str:
    """The faults of a subject, and what to do."""
    shown = "".join(f"\n    {fault}" for fault in standing.faults[:_SHOWN])
    more = len(standing.faults) - _SHOWN
    return (
        f"{standing.subject.name}:{shown}"
        + (f"\n    and {more} more" if more > 0 else "")
        + "\n    If a newer release "
        "registered that version, deploy that release; if nobody should have, delete the version and set the subject's "
        f"compatibility to {LEVEL} (`recourse schemas register` does the latter)."
    )


def refuse_incompatible(settings: Settings, codec: Codec, register: Register, role: str) -> None:
    """Before anything is read: the registry has what this process will write, and all of it is compatible.

    Everything that will be asked for is asked for now and kept, so that the registry may be away afterwards. Only a
    schema that is registered later is asked for later.

    Raises:
        Misconfigured: what is wrong with which subject, and what to do.
    """
    registry = open_registry(settings)
    if registry is None:
        return
    written, read = subjects(register, role)
    with contextlib.closing(registry):
        standings = look(registry, dict.fromkeys([*written, *read]))
    incompatible = [told(each) for each in standings if each.faults]
    if incompatible:
        raise Misconfigured(
            "schemas in the registry are not compatible with this release:\n  " + "\n  ".join(incompatible)
        )
    missing = [each.subject.name for each in standings if each.subject in written and not each.registered]
    if missing:
        more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        raise Misconfigured(
            f"the schema registry lacks this release's schemas of {', '.join(missing[:_SHOWN])}{more}. A worker "
            "registers nothing: run `recourse schemas register`"
        )
    try:
        for one in written:
            codec.warm(one.record, one.topic)
        for schema_id in sorted({version.schema_id for each in standings for version in each.versions}):
            codec.warm_id(schema_id)
    except RegistryUnavailableError as exc:
        raise Misconfigured(f"the schema registry does not answer any more: {exc}") from exc


def register_all(registry: ConfluentRegistry, standings: Iterable[Standing]) -> Iterator[tuple[Subject, int | None]]:
    """Set every subject's level and register what is missing, one after the other.

    Yields:
        Each subject with the id that its schema has got, None if it was there.

    Raises:
        Misconfigured: the registry refuses one, or does not answer; those before it are done.
    """
    for each in standings:
        name = each.subject.name
        try:
            # A subject of some registries exists only with its first version, and cannot be set before.
            if each.versions and each.level != LEVEL:
                registry.set_level(name, LEVEL)
            schema_id = None if each.registered else registry.register(name, each.subject.schema)
            if not each.versions:
                registry.set_level(name, LEVEL)
        except (SchemaError, RegistryUnavailableError) as exc:
            raise Misconfigured(f"{exc}. Subjects before it are done; the same command again goes on") from exc
        yield each.subject, schema_id
