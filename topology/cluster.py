"""The register against the cluster: create what is missing, report what differs, refuse what is dangerous."""

from __future__ import annotations

import concurrent.futures
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.admin._resource import ResourceType
from confluent_kafka.cimpl import NewTopic

from topology.engine.errors import Misconfigured
from topology.topics import Register, Role, Topic

TIMEOUT_S = 15.0
AWAIT_S = 0.1
"""Between two looks for a topic that was just created."""


@dataclass
class Drift:
    """What differs between register and cluster. `fatal` would corrupt results; `notes` an operator should know."""

    missing: list[Topic] = field(default_factory=list[Topic])
    fatal: list[str] = field(default_factory=list[str])
    notes: list[str] = field(default_factory=list[str])

    def __bool__(self) -> bool:
        return bool(self.missing or self.fatal or self.notes)


class Cluster:
    """Questions and orders to one Kafka cluster about the register's topics."""

    def __init__(self, kafka: Mapping[str, Any], register: Register) -> None:
        # librdkafka's own complaints about an unreachable broker would stand beside our one clear message.
        self._admin = AdminClient({"log_level": 2, **kafka}, logger=None)
        self._where = str(kafka.get("bootstrap.servers"))
        self._register = register

    def partitions(self) -> dict[str, int]:
        """Partition counts of all topics on the cluster, by full name.

        Raises:
            Misconfigured: no broker answers.
        """
        try:
            metadata = self._admin.list_topics(timeout=TIMEOUT_S)
        except KafkaException as exc:
            raise Misconfigured(
                f"no Kafka broker answers at {self._where} ({exc.args[0].str()}). "
                "Start one, or point RECOURSE_KAFKA at yours (host:port)."
            ) from exc
        return {name: len(topic.partitions) for name, topic in metadata.topics.items() if topic.error is None}

    def brokers(self) -> list[str]:
        """`host:port` of each broker."""
        return [f"{b.host}:{b.port}" for b in self._admin.list_topics(timeout=TIMEOUT_S).brokers.values()]

    def drift(self) -> Drift:
        """Compare every topic of the register with the cluster."""
        found = self.partitions()
        drift = Drift()
        present: list[Topic] = []
        for topic in self._register.topics:
            if self._register.on_cluster(topic.name) in found:
                present.append(topic)
            else:
                drift.missing.append(topic)
        self._compare_partitions(present, found, drift)
        self._compare_configs(present, drift)
        return drift

    def _compare_partitions(self, present: list[Topic], found: dict[str, int], drift: Drift) -> None:
        counts = {t.name: found[self._register.on_cluster(t.name)] for t in present}
        together = {name: n for name, n in counts.items() if self._register.by_name[name].co_partitioned}
        if len(set(together.values())) > 1:
            listed = ", ".join(f"{name} {n}" for name, n in together.items())
            drift.fatal.append(
                "inputs, their dead letters and the changelog must have the same number of partitions, or a user's "
                f"events would meet different dossiers; found: {listed}. Create the topics anew with equal counts."
            )
        for topic in present:
            if counts[topic.name] != topic.partitions and topic.name not in together:
                drift.notes.append(
                    f"{topic.name}: {counts[topic.name]} partitions, the register says {topic.partitions}"
                )
        if len(set(together.values())) == 1 and set(together.values()) != {self._register.changelog.partitions}:
            drift.notes.append(
                f"inputs have {set(together.values()).pop()} partitions each, the register says "
                f"{self._register.changelog.partitions}"
            )

    def _compare_configs(self, present: list[Topic], drift: Drift) -> None:
        if not present:
            return
        resources = {ConfigResource(ResourceType.TOPIC, self._register.on_cluster(t.name)): t for t in present}
        futures = self._admin.describe_configs(list(resources), request_timeout=TIMEOUT_S)
        concurrent.futures.wait(futures.values())
        by_name = {self._register.on_cluster(t.name): t for t in present}
        for resource, future in futures.items():
            topic = by_name[resource.name]
            actual = {name: entry.value for name, entry in future.result().items()}
            for name, wanted in topic.config.items():
                if actual.get(name) == wanted:
                    continue
                text = f"{topic.name}: {name} is {actual.get(name)}, the register says {wanted}"
                # A changelog that deletes by age forgets users; a compacted input forgets events.
                if name == "cleanup.policy" or (topic.role is Role.CHANGELOG and name == "retention.ms"):
                    drift.fatal.append(
                        f"{text}. Set it: kafka-configs.sh --alter --entity-type topics --entity-name "
                        f"{resource.name} --add-config {name}={wanted}"
                    )
                else:
                    drift.notes.append(text)

    def create_missing(self, replication: int = -1) -> tuple[list[str], Drift]:
        """Create what is missing; existing topics are never altered, their differences are returned.

        Args:
            replication: replicas a partition; -1 is the cluster's default.

        Returns:
            The names created, and the drift that is left.
        """
        before = self.drift()
        new = [
            NewTopic(
                self._register.on_cluster(t.name),
                num_partitions=t.partitions,
                replication_factor=replication,
                config=t.config,
            )
            for t in before.missing
        ]
        created: list[str] = []
        if new:
            for name, future in self._admin.create_topics(new, request_timeout=TIMEOUT_S).items():
                try:
                    future.result()
                except KafkaException as exc:
                    # Two processes may create at the same time: the other's topic is as good as ours.
                    if exc.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                        raise Misconfigured(f"cannot create {name}: {exc.args[0].str()}") from exc
                else:
                    created.append(name)
        self._await(created)
        return created, self.drift()

    def _await(self, names: list[str]) -> None:
        """A created topic may take a moment to be in every broker's metadata."""
        deadline = time.monotonic() + TIMEOUT_S
        while not set(names) <= set(self.partitions()):
            if time.monotonic() > deadline:
                raise Misconfigured(f"topics were created but do not appear: {', '.join(names)}")
            time.sleep(AWAIT_S)

    def check(self) -> int:
        """Refuse to start on a cluster that would give wrong results.

        Returns:
            The number of partitions of the inputs.

        Raises:
            Misconfigured: what is wrong and what to do.
        """
        drift = self.drift()
        if drift.missing:
            names = [self._register.on_cluster(t.name) for t in drift.missing]
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""  # noqa: PLR2004 - three tell which cluster it is
            raise Misconfigured(f"topics are missing: {', '.join(names[:3])}{more}. Run `recourse create-topics`.")
        if drift.fatal:
            raise Misconfigured("\n".join(drift.fatal))
        return self.partitions()[self._register.on_cluster(self._register.changelog.name)]
