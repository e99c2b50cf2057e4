"""A real Apache Kafka of our own: one KRaft node, broker and controller in a single JVM."""

import base64
import contextlib
import subprocess
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from topology.embedded.errors import EmbeddedError
from topology.embedded.jars import kafka_classpath
from topology.embedded.java import find_java
from topology.embedded.progress import Progress, Step, to_stderr
from topology.embedded.server import HOST, Server

_METADATA_TIMEOUT_S = 1.0
_FORMAT_TIMEOUT_S = 60
_NODE_ID = 1
_META = "meta.properties"

# Where a value differs from Kafka's default, the reason is beside it.
_SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": str(_NODE_ID),
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    # Topics are made from topology/topics.yaml; a misspelt one must be an error.
    "auto.create.topics.enable": "false",
    # One node: no replicas. Few partitions: each is a folder to make and to load at start.
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "8",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "8",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    # Replayed history has old timestamps; by them a retention would delete it on arrival.
    "log.retention.ms": "-1",
    # Tests crash consumers and wait for the group to notice.
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "group.consumer.min.session.timeout.ms": "1000",
    "group.consumer.min.heartbeat.interval.ms": "100",
    # ... and crash producers in the middle of a transaction (default: looked at every 10 s).
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
    # After kill -9 the controller waits this long for the broker's earlier life (default 9 s).
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    # Small: memory and files. The cleaner's buffer alone would take 128 MB of the heap.
    "log.cleaner.dedupe.buffer.size": "16777216",
    "log.index.size.max.bytes": "1048576",
    "log.segment.delete.delay.ms": "1000",
    "num.network.threads": "2",
    "num.io.threads": "4",
    "background.threads": "2",
    "group.coordinator.threads": "1",
    "share.coordinator.threads": "1",
}

SHORT_LIVED = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
"""Java's options for a broker that lives for minutes: no compiler that pays only for longer, no collector's threads."""


class KafkaServer(Server):
    """A Kafka broker for development and tests, reached in plaintext from this machine only.

    Args:
        data_dir: Holds logs, metadata and configuration; a later start on it finds all topics again.
        heap_mb: The JVM's largest heap.
        port: Where clients connect; None for a free one.
        settings: Broker settings that go before ours.
        jvm_options: More of Java's own options, such as `SHORT_LIVED`.
        format_arguments: More for `kafka-storage format`, such as `("--add-scram", "…")`.
        keep: Whether `stop()` leaves the data.
        start_timeout_s: How long a start may take.
        progress: Is told what a start waits for.
    """

    name: ClassVar[str] = "Kafka"
    _files: ClassVar[tuple[str, ...]] = ("server.log", "server.properties", "logs")
    _port_count: ClassVar[int] = 2  # clients, controller

    def __init__(
        self,
        data_dir: Path,
        *,
        heap_mb: int = 512,
        port: int | None = None,
        settings: Mapping[str, str] | None = None,
        jvm_options: Sequence[str] = (),
        format_arguments: Sequence[str] = (),
        keep: bool = True,
        start_timeout_s: float = 120.0,
        progress: Progress = to_stderr,
    ) -> None:
        super().__init__(data_dir, port=port, keep=keep, start_timeout_s=start_timeout_s, progress=progress)
        self._heap_mb = heap_mb
        self._jvm_options = tuple(jvm_options)
        self._format_arguments = tuple(format_arguments)
        self._settings = dict(settings or {})
        self._cluster_id = ""

    @property
    def bootstrap(self) -> str:
        """What clients take as `bootstrap.servers`."""
        return f"{HOST}:{self.port}"

    def _provision(self) -> Sequence[str]:
        java = find_java()
        classpath = kafka_classpath(self._progress)
        self._progress(Step(f"starting Kafka with {java}"))
        return [
            str(java),
            f"-Xmx{self._heap_mb}m",
            *self._jvm_options,
            "-XX:+ExitOnOutOfMemoryError",
            "-Djava.awt.headless=true",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-Dorg.slf4j.simpleLogger.showDateTime=true",
            "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
            "-cp",
            classpath,
        ]

    def _prepare(self, command: Sequence[str]) -> Sequence[str]:
        properties = self.data_dir / "server.properties"
        properties.write_text(self._properties(), encoding="utf-8")
        self._cluster_id = self._known_cluster_id() or self._format(command, properties)
        return [*command, "kafka.Kafka", str(properties)]

    def _answers(self) -> bool:
        client = AdminClient(
            {
                "bootstrap.servers": self.bootstrap,
                "log_level": 0,  # that nobody listens yet is no news
                "reconnect.backoff.max.ms": 100,
            }
        )
        try:
            metadata = client.list_topics(timeout=_METADATA_TIMEOUT_S)
        except KafkaException:
            return False
        # A broker that restarts answers before it leads its partitions again.
        led = all(p.leader == _NODE_ID for t in metadata.topics.values() for p in t.partitions.values())
        ours = str(metadata.cluster_id) == self._cluster_id
        return ours and _NODE_ID in metadata.brokers and led

    def _properties(self) -> str:
        clients, controller = self._ports[:2]
        settings = {
            **_SETTINGS,
            "listeners": f"PLAINTEXT://{HOST}:{clients},CONTROLLER://{HOST}:{controller}",
            "advertised.listeners": f"PLAINTEXT://{HOST}:{clients}",
            # The static form of a quorum: the dynamic one writes the controller's port into the metadata, and
            # kept data could not be started on another one.
            "controller.quorum.voters": f"{_NODE_ID}@{HOST}:{controller}",
            "log.dirs": str(self.data_dir / "logs"),
            **self._settings,
        }
        return "".join(f"{name}={value}\n" for name, value in settings.items())

    def _known_cluster_id(self) -> str | None:
        with contextlib.suppress(FileNotFoundError):
            for line in (self.data_dir / "logs" / _META).read_text(encoding="utf-8").splitlines():
                name, _, value = line.partition("=")
                if name == "cluster.id":
                    return value
        return None

    def _format(self, command: Sequence[str], properties: Path) -> str:
        # Without "-": the tool takes a value that starts with one for an option.
        cluster_id = base64.b64encode(uuid.uuid4().bytes, altchars=b"01").decode().rstrip("=")
        tool = ["kafka.tools.StorageTool", "format", "--cluster-id", cluster_id, "--config", str(properties)]
        tool += self._format_arguments
        try:
            done = subprocess.run(  # noqa: S603 - the Java that we found, our own arguments
                [*command, *tool],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_FORMAT_TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise EmbeddedError(f"Kafka's formatting of {self.data_dir} hangs ({error.timeout} s)") from error
        if done.returncode != 0:
            raise EmbeddedError(
                f"Kafka's formatting of {self.data_dir} failed with exit code {done.returncode}:\n"
                f"{(done.stdout + done.stderr).strip()}"
            )
        return cluster_id
