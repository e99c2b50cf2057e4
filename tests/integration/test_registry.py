"""A real schema registry: what a release registers, what makes a worker refuse to start, and life while it is away."""

from __future__ import annotations

import contextlib
import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from schemas.catalog import current, full_name, wire_form
from schemas.codec import CONFLUENT, Codec
from schemas.errors import RegistryUnavailableError, SchemaError
from schemas.records import Case
from schemas.registry import ConfluentRegistry, subject
from tests.integration.worker_process import Installation, free_port
from tests.integration.workload import workload
from topology.acls.rules import WORKER
from topology.embedded.registry import RegistryServer
from topology.engine.errors import Misconfigured
from topology.exits import Exit
from topology.settings import Settings
from topology.subjects import LEVEL, refuse_incompatible, subjects
from topology.topics import Role

POD = "cases.general"


@pytest.fixture(scope="module")
def client(registry: RegistryServer) -> Iterator[ConfluentRegistry]:
    with contextlib.closing(ConfluentRegistry({"url": registry.url, "timeout": 30})) as made:
        yield made


@pytest.fixture(scope="module")
def released(registry: RegistryServer, kafka: str, redis_url: str, tmp_path_factory) -> Iterator[Installation]:
    """An installation whose schemas are registered."""
    folder = tmp_path_factory.mktemp("released")
    with Installation(
        kafka, redis_url, f"released-{uuid.uuid4().hex[:8]}", folder, output_partitions=1, registry=registry.url
    ) as made:
        done = made.recourse("schemas", "register")
        count = len(subjects(made.register)[0])
        assert f"{count} registered, 0 were there" in done.stdout, done.stdout + done.stderr
        yield made


def of_pod(installation: Installation) -> str:
    return subject(installation.register.on_cluster(POD), full_name(Case))


def changed(change: Callable[[dict[str, Any]], None]) -> str:
    """The schema of a case with one of its fields, `score`, made something else."""
    schema = json.loads(json.dumps(wire_form(current(Case))))
    change(next(field for field in schema["fields"] if field["name"] == "score"))
    return json.dumps(schema)


def test_release_has_registered_each_schema_once_at_the_level_of_the_contract(released, client):
    count = len(subjects(released.register)[0])
    assert released.recourse("schemas", "register").stdout == f"0 registered, {count} were there\n"
    name = of_pod(released)
    assert client.level(name) == LEVEL
    assert [version.number for version in client.versions(name)] == [1]
    # The registry itself now refuses what others try.
    with pytest.raises(SchemaError, match="refuses it as incompatible"):
        client.register(name, changed(lambda field: field.update(type="string")))


def test_worker_that_has_started_needs_the_registry_no_more(released, registry, client):
    codec = Codec(client)
    rows = [
        row
        if row.record is None
        else row._replace(value=codec.encode(row.record, released.register.on_cluster(row.topic)))
        for row in workload(200, seed=8)
    ]
    worker = released.start()
    released.until(released.owners, "the worker has its partitions")
    registry.pause()
    try:
        released.send(rows)
        released.until_done()
        with (
            contextlib.closing(ConfluentRegistry({"url": registry.url, "timeout": 0.5, "max.retries": 0})) as away,
            pytest.raises(RegistryUnavailableError),
        ):
            away.versions("any")
    finally:
        registry.resume()
    assert worker.stop() == Exit.OK

    reader, found = Codec(client), 0
    for topic, message in released.messages(Role.OUTPUT):
        if (value := message.value()) is not None:
            assert value.startswith(CONFLUENT), topic.name
            reader.decode(value, topic.allowed)
            found += 1
    assert found > 100
    assert not [1 for _, letter in released.messages(Role.DEAD_LETTERS) if letter.value().startswith(CONFLUENT)]


def test_version_that_does_not_fit_stops_release_and_worker_which_name_subject_and_field(released, client):
    name = of_pod(released)
    client.set_level(name, "NONE")
    client.register(name, changed(lambda field: field.update(type="string")))

    release = released.recourse("schemas", "register")
    worker = released.recourse("run")

    told = f"{name}:\n    version 2 cannot be read by this release: score: string cannot"
    assert release.returncode == Exit.DEFECT
    assert told in release.stdout
    assert client.level(name) == "NONE", "nothing was changed"
    assert worker.returncode == Exit.MISCONFIGURED
    why = json.loads(worker.stderr.splitlines()[-1])["why"]
    assert told in why
    assert "delete the version" in why


def test_worker_registers_nothing_and_says_who_does(released, client):
    prefix = f"{released.prefix}other."
    settings = Settings(registry=released.environment["RECOURSE_REGISTRY"], topic_prefix=prefix)
    with pytest.raises(Misconfigured, match="run `recourse schemas register`"):
        refuse_incompatible(settings, Codec(client), settings.register_of_topics(), WORKER)
    assert client.versions(f"{prefix}{POD}-{full_name(Case)}") == []


def test_registry_that_does_not_answer_is_told_with_the_setting(released):
    url = f"http://127.0.0.1:{free_port()}/apis/ccompat/v7"
    done = released.recourse("run", registry=url)
    assert done.returncode == Exit.MISCONFIGURED
    assert "RECOURSE_REGISTRY" in done.stderr
    assert "Traceback" not in done.stderr
