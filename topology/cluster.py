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
from confluent_kafka.admin._metadata import ClusterMetadata
from confluent_kafka.admin._resource import ResourceType
from confluent_kafka.cimpl import NewTopic

from topology.engine.errors import Misconfigured
from topology.topics import Register, Role, Topic

TIMEOUT_S = 15.0
ATTEMPT_S = 1.0
"""One question of those; between two of them is looked why no connection comes about."""
_REFUSALS = frozenset(
    {KafkaError._AUTHENTICATION, KafkaError._SSL, KafkaError.SASL_AUTHENTICATION_FAILED}  # noqa: SLF001 - librdkafka's
)
_SETTINGS_OF = {
    "invalid credentials": "RECOURSE_KAFKA_USERNAME or RECOURSE_KAFKA_PASSWORD",
    "oauthbearer token": "RECOURSE_KAFKA_TOKEN_URL, _CLIENT_ID, _CLIENT_SECRET or _TOKEN_CA",
    "certificate verify failed": "RECOURSE_KAFKA_CA",
}
"""What librdkafka's words are about."""
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
        self._heard: list[KafkaError] = []
        """Why connections failed; a question that nobody answers only says that time is over."""
        # librdkafka's own complaints about an unreachable broker would stand beside our one clear message.
        config: dict[str, Any] = {"log_level": 2, **kafka, "error_cb": self._heard.append}
        try:
            self._admin = AdminClient(config, logger=None)
        except KafkaException as exc:
            raise Misconfigured(
                f"Kafka's client cannot be made ({exc.args[0].str()}). Are RECOURSE_KAFKA_CA, _CERTIFICATE, _KEY and "
                "_KEY_PASSWORD right, and RECOURSE_KAFKA_OPTIONS?"
            ) from exc
        self._where = str(kafka.get("bootstrap.servers"))
        self._register = register

    def partitions(self) -> dict[str, int]:
        """Partition counts of all topics on the cluster, by full name.

        Raises:
            Misconfigured: no broker answers.
        """
        try:
            metadata = self._metadata()
        except KafkaException as exc:
            raise Misconfigured(self._why_not(exc.args[0])) from exc
        return {name: len(topic.partitions) for name, topic in metadata.topics.items() if topic.error is None}

    def _metadata(self) -> ClusterMetadata:
        """Ask until there is an answer, time is over, or a broker (or its certificate) has been refused.

        librdkafka tries on for ever, as a password can be mended while it runs; whoever starts wants to know now.
        """
        deadline = time.monotonic() + TIMEOUT_S
        while True:
            try:
                return self._admin.list_topics(timeout=ATTEMPT_S)
            except KafkaException:
                self._admin.poll(0)  # calls back with what was heard
                if time.monotonic() > deadline or any(error.code() in _REFUSALS for error in self._heard):
                    raise

    def _why_not(self, error: KafkaError) -> str:
        refusals = [heard for heard in self._heard if heard.code() in _REFUSALS]
        if not refusals:
            # What the one says of the connections is nearer to the cause than that no metadata came.
            told = [each.str() for each in self._heard if each.code() == KafkaError._TRANSPORT]  # noqa: SLF001
            return (
                f"no Kafka broker answers at {self._where} ({told[-1] if told else error.str()}). "
                "Start one, or point RECOURSE_KAFKA at yours (host:port); if it is there, does it speak "
                "RECOURSE_KAFKA_SECURITY, and does it want a certificate?"
            )
        text = refusals[0].str()
        setting = next((setting for words, setting in _SETTINGS_OF.items() if words in text.lower()), "")
        return f"Kafka at {self._where} and this process do not agree who they are: {text}." + (
            f" Is {setting} right? docs/security.md has the settings." if setting else " See docs/security.md."
        )

    def brokers(self) -> list[str]:
        """`host:port` of each broker."""
        return [f"{b.host}:{b.port}" for b in self._admin.list_topics(timeout=TIMEOUT_S).brokers.values()]

    def drift(self) -> Drift:
        """Compare every topic of the register with the cluster.

        Raises:
            Misconfigured: no broker answers.
        """
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
            if topic.in_step and {counts[topic.name]} == set(together.values()):
                continue
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
            try:
                actual = {name: entry.value for name, entry in future.result().items()}
            except KafkaException as exc:
                raise Misconfigured(
                    f"the brokers at {self._where} do not tell how {resource.name} is set ({exc.args[0].str()}). "
                    "Do they answer, and may this client describe the configs of topics?"
                ) from exc
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
