"""A real Kafka and a real Redis without Docker, root or an installed Java.

`RECOURSE_KAFKA` (a bootstrap list) and `RECOURSE_REDIS` (a URL) name servers that run already; what they name
is used as it is and never started, stopped or emptied.
"""

import contextlib
import os
import tempfile
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from topology.embedded.errors import EmbeddedError
from topology.embedded.kafka import KafkaServer
from topology.embedded.progress import Progress, Step, silent, to_stderr
from topology.embedded.redis import RedisServer

__all__ = [
    "EmbeddedError",
    "KafkaServer",
    "Progress",
    "RedisServer",
    "Services",
    "Step",
    "embedded_services",
    "external_kafka",
    "external_redis",
    "silent",
    "to_stderr",
]


@dataclass(frozen=True, slots=True)
class Services:
    """A Kafka and a Redis to work with.

    Attributes:
        kafka_bootstrap: What clients take as `bootstrap.servers`.
        redis_url: Redis' URL.
        kafka: The broker, when it is ours.
        redis: The Redis server, when it is ours.
    """

    kafka_bootstrap: str
    redis_url: str
    kafka: KafkaServer | None
    redis: RedisServer | None

    def check(self) -> None:
        """Do nothing while the servers that are ours run.

        Raises:
            EmbeddedError: One has ended by itself; the text has the last lines of its log.
        """
        for server in (self.kafka, self.redis):
            if server is not None:
                server.check()


def external_kafka() -> str | None:
    """Give the bootstrap list of the broker that the environment names, if any."""
    return os.environ.get("RECOURSE_KAFKA") or None


def external_redis() -> str | None:
    """Give the URL of the Redis that the environment names, if any."""
    return os.environ.get("RECOURSE_REDIS") or None


@contextlib.contextmanager
def embedded_services(
    data_dir: Path | None = None,
    *,
    keep: bool = False,
    heap_mb: int = 512,
    kafka_port: int | None = None,
    redis_port: int | None = None,
    progress: Progress = to_stderr,
) -> Generator[Services]:
    """Run a Kafka and a Redis for the length of a `with` block, less those that the environment names.

    Args:
        data_dir: Gets the folders `kafka` and `redis`; None for a new temporary folder.
        keep: Whether these folders stay behind for a next time.
        heap_mb: The largest heap of Kafka's JVM.
        kafka_port: Where Kafka's clients connect; None for a free port.
        redis_port: Where Redis' clients connect; None for a free port.
        progress: Is told what a start waits for.

    Raises:
        EmbeddedError: A server could not be started; none is left running.
    """
    with contextlib.ExitStack() as running:
        if data_dir is None:
            data_dir = Path(tempfile.mkdtemp(prefix="recourse-"))
            running.callback(_remove_if_empty, data_dir)
        redis_url, bootstrap = external_redis(), external_kafka()
        redis: RedisServer | None = None
        kafka: KafkaServer | None = None
        if redis_url is None:
            redis = RedisServer(data_dir / "redis", port=redis_port, keep=keep, progress=progress)
            redis_url = running.enter_context(redis).url
        if bootstrap is None:
            kafka = KafkaServer(data_dir / "kafka", heap_mb=heap_mb, port=kafka_port, keep=keep, progress=progress)
            bootstrap = running.enter_context(kafka).bootstrap
        yield Services(kafka_bootstrap=bootstrap, redis_url=redis_url, kafka=kafka, redis=redis)


def _remove_if_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):  # kept data
        folder.rmdir()
