"""Fixtures: one Kafka and one Redis a session, a name of its own for each test, servers to kill."""

import contextlib
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, settings

from topology.embedded import KafkaServer, RedisServer, external_kafka, external_redis, silent
from topology.embedded.kafka import SHORT_LIVED
from topology.embedded.registry import RegistryServer

_ROOT = Path(__file__).parent
_WITH_SERVERS = (_ROOT / "integration", _ROOT / "faults", _ROOT / "browser")
_SERVER_FIXTURES = {"kafka", "redis_url", "registry", "kafka_server", "redis_server"}
_HEAP_MB = 384

# Generated tests judge results, not the speed of the machine they run on.
settings.register_profile("any machine", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the tests of one exactly-once rule be run: `--rule 3`."""
    parser.addoption("--rule", type=int, help="only the tests that name this rule of docs/architecture.md")
    parser.addoption("--pictures", help="folder in which the browser tests leave a picture of each page: docs/desk")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the tests that may start servers, refuse the others that would, and pick those of one rule."""
    rule = config.getoption("--rule")
    if rule is not None:
        items[:] = [item for item in items if any(rule in mark.args for mark in item.iter_markers("rule"))]
    for item in items:
        if any(item.path.is_relative_to(folder) for folder in _WITH_SERVERS):
            item.add_marker(pytest.mark.integration)
        elif started := _SERVER_FIXTURES.intersection(getattr(item, "fixturenames", ())):
            wrong = f"{item.nodeid} starts servers ({', '.join(sorted(started))})"
            raise pytest.UsageError(f"{wrong}: move it to tests/integration or tests/faults")


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the bootstrap list of a broker that all tests share: leave it running, use `app_id` in names."""
    external = external_kafka()
    if external is not None:
        yield external
        return
    folder = tmp_path_factory.mktemp("kafka")
    with KafkaServer(folder, heap_mb=_HEAP_MB, jvm_options=SHORT_LIVED, keep=False, progress=silent) as server:
        yield server.bootstrap


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the URL of a Redis that all tests share: never flush it, use `app_id` in keys."""
    external = external_redis()
    if external is not None:
        yield external
        return
    with RedisServer(tmp_path_factory.mktemp("redis"), keep=False, progress=silent) as server:
        yield server.url


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryServer]:
    """Give a schema registry that all tests share: use `app_id` in topics, and leave it running."""
    with RegistryServer(tmp_path_factory.mktemp("registry"), progress=silent) as server:
        yield server


@pytest.fixture(autouse=True)
def _logs_of_its_own() -> Iterator[None]:
    """A test that runs a command configures the process's logs, for a standard error that is closed after it."""
    yield
    structlog.reset_defaults()


@pytest.fixture
def app_id(request: pytest.FixtureRequest) -> str:
    """Give a name that no other test, in this session or an earlier one, has used.

    Fit for topics, groups, transactional ids and keys; it starts with the test's name, so that what a broker
    logs tells who it was.
    """
    test = "".join(c if c.isalnum() and c.isascii() else "-" for c in request.node.name)
    return f"{test[:60].strip('-')}-{uuid.uuid4().hex[:10]}"


@pytest.fixture
def kafka_server(tmp_path: Path) -> Iterator[Callable[..., KafkaServer]]:
    """Give a factory of started brokers for this test alone, to kill, pause and restart.

    `kafka_server(settings={…})` takes what `KafkaServer` takes, the folder apart. A start takes seconds: use
    `kafka` where the broker only has to be there.
    """
    with contextlib.ExitStack() as running:
        yield _factory(KafkaServer, tmp_path, running, heap_mb=_HEAP_MB, jvm_options=SHORT_LIVED)


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[Callable[..., RedisServer]]:
    """Give a factory of started Redis servers for this test alone, to flush, kill, pause and restart."""
    with contextlib.ExitStack() as running:
        yield _factory(RedisServer, tmp_path, running)


def _factory(kind, tmp_path, running, **defaults):
    made = 0

    def start(**options):
        nonlocal made
        made += 1
        folder = tmp_path / f"{kind.name.lower()}-{made}"
        server = kind(folder, **{"keep": False, "progress": silent, **defaults, **options})
        return running.enter_context(server)

    return start
