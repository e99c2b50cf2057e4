"""Topics and rights of the register as resources of Strimzi: `python -m deploy.strimzi`, by `make docs`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import yaml

from topology.acls.forms import as_strimzi
from topology.acls.rules import acls
from topology.settings import Settings
from topology.topics import Register, Topic, load_register

FILE: Final = Path(__file__).with_name("kafka-topics.yaml")
USERS: Final = Path(__file__).with_name("kafka-users.yaml")
CLUSTER: Final = "kafka"
"""Name of the `Kafka` resource: change the label with kustomize or sed, if yours is called otherwise."""
REPLICAS: Final = 3
MIN_IN_SYNC: Final = 2
_HEAD: Final = """\
# Made by `make docs` from topology/topics.yaml; change that. One KafkaTopic (Strimzi 0.49 or later) a topic.
# What is in here is what `recourse create-topics` makes: use one of the two. The operator never takes partitions
# away; more of them come by `recourse reshard` (docs/reshard.md), not by editing this file.
"""
_USERS_HEAD: Final = """\
# Made by `make docs` from topology/topics.yaml, for the default names of topics and groups. Under others:
# `recourse acls --format strimzi --cluster kafka` (docs/security.md). One KafkaUser a role, by SCRAM-SHA-512; the
# `Kafka` resource needs `authorization: {type: simple}`.
---
"""


def kafka_topics(register: Register) -> list[dict[str, Any]]:
    """One `KafkaTopic` an entry of the register."""
    return [_kafka_topic(register, topic) for topic in register.topics]


def _kafka_topic(register: Register, topic: Topic) -> dict[str, Any]:
    name = register.on_cluster(topic.name)
    return {
        "apiVersion": "kafka.strimzi.io/v1",
        "kind": "KafkaTopic",
        "metadata": {
            # A Kubernetes name has no capitals and no underscores; the topic's own may.
            "name": re.sub(r"[^a-z0-9.-]", "-", name.lower()),
            "labels": {"strimzi.io/cluster": CLUSTER, "app.kubernetes.io/part-of": "recourse"},
            "annotations": {"recourse/owner": topic.owner, "recourse/purpose": topic.purpose},
        },
        "spec": {
            "topicName": name,
            "partitions": topic.partitions,
            "replicas": REPLICAS,
            "config": {**topic.config, "min.insync.replicas": str(MIN_IN_SYNC)},
        },
    }


def text(register: Register) -> str:
    """All of them as one stream of YAML documents."""
    return _HEAD + yaml.safe_dump_all(kafka_topics(register), sort_keys=False, explicit_start=True, width=120)


def users() -> str:
    """One `KafkaUser` a role of the register, with the rights that it needs under the default names.

    Those of another installation come from `recourse acls --format strimzi` under its settings.
    """
    # Without the environment of whoever calls: the file is of the default names.
    plain = Settings.model_construct()
    return _USERS_HEAD + as_strimzi(acls(plain), cluster=CLUSTER)


def main() -> None:
    """Write both files."""
    FILE.write_text(text(load_register()))
    USERS.write_text(users())
