"""Rules as what others take: commands for `kafka-acls.sh`, JSON, and Strimzi's `KafkaUser`."""

from __future__ import annotations

import itertools
import json
import shlex
from collections.abc import Sequence
from typing import Any

import yaml

from topology.acls.rules import Acl, Resource

_FLAGS = {Resource.TOPIC: "--topic", Resource.GROUP: "--group", Resource.TRANSACTIONAL_ID: "--transactional-id"}


def as_commands(acls: Sequence[Acl]) -> str:
    """One command a resource and principal; `BOOTSTRAP` and `ADMIN_CONFIG` are the reader's."""
    return "".join(f"{' '.join(_command(*group))}\n" for group in _by_resource(acls))


def as_json(acls: Sequence[Acl]) -> str:
    """A list of objects, one a rule."""
    return json.dumps(
        [
            {
                "principal": acl.principal,
                "operation": acl.operation.value,
                "resourceType": acl.resource.value,
                "resourceName": acl.name,
                "patternType": "prefixed" if acl.prefixed else "literal",
                "permission": "Allow",
                "host": "*",
            }
            for acl in acls
        ],
        indent=2,
    )


def as_strimzi(acls: Sequence[Acl], *, cluster: str, authentication: str = "scram-sha-512") -> str:
    """One `KafkaUser` a principal, whose name is the principal's without `User:`.

    Args:
        acls: the rules.
        cluster: the `Kafka` resource.
        authentication: `scram-sha-512`, `tls` or `tls-external`.
    """
    users: list[dict[str, Any]] = []
    for principal, group in itertools.groupby(acls, lambda acl: acl.principal):
        rules = [
            {
                "resource": {
                    "type": one.resource.value,
                    "name": one.name,
                    "patternType": "prefix" if one.prefixed else "literal",
                },
                "operations": [acl.operation.value for acl in together],
                "host": "*",
            }
            for one, together in _by_resource(list(group))
        ]
        users.append(
            {
                "apiVersion": "kafka.strimzi.io/v1",
                "kind": "KafkaUser",
                "metadata": {
                    "name": principal.removeprefix("User:"),
                    "labels": {"strimzi.io/cluster": cluster},
                },
                "spec": {
                    "authentication": {"type": authentication},
                    "authorization": {"type": "simple", "acls": rules},
                },
            }
        )
    return yaml.safe_dump_all(users, sort_keys=False, width=120)


def _by_resource(acls: Sequence[Acl]) -> list[tuple[Acl, list[Acl]]]:
    """The first rule of each resource and principal, and all of them."""
    grouped = itertools.groupby(acls, lambda acl: (acl.principal, acl.resource, acl.name, acl.prefixed))
    return [(together[0], together) for together in (list(group) for _, group in grouped)]


def _command(one: Acl, together: list[Acl]) -> list[str]:
    words = ["kafka-acls.sh", "--bootstrap-server", '"$BOOTSTRAP"', "--command-config", '"$ADMIN_CONFIG"', "--add"]
    words += ["--allow-principal", shlex.quote(one.principal)]
    for acl in together:
        words += ["--operation", acl.operation.value]
    words += [_FLAGS[one.resource], shlex.quote(one.name)]
    if one.prefixed:
        words += ["--resource-pattern-type", "prefixed"]
    return words
