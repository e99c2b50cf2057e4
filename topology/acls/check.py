"""At start: may this process do all that it will have to? Asked of the brokers (KIP-430), so nothing is tried out."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Mapping, Sequence
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._acl import AclOperation

from topology.acls.rules import WORKER, Acl, Operation, Resource, acls
from topology.cluster import TIMEOUT_S
from topology.engine.errors import Misconfigured, is_unauthorized
from topology.settings import Settings

_OPERATIONS = {
    Operation.READ: AclOperation.READ,
    Operation.WRITE: AclOperation.WRITE,
    Operation.DESCRIBE: AclOperation.DESCRIBE,
    Operation.DESCRIBE_CONFIGS: AclOperation.DESCRIBE_CONFIGS,
}


def refuse_unallowed(settings: Settings, role: str = WORKER) -> None:
    """Go on only if the brokers allow this process everything that its role needs.

    Where no authorizer runs, everything is allowed. Transactional ids cannot be asked for: the first thing that a
    worker does with its own tells.

    Raises:
        Misconfigured: every right that is missing, and the command that prints the ACLs.
    """
    kafka, wanted = settings.kafka_config(), acls(settings, only=[role])
    _wake_coordinator(kafka, next(acl.name for acl in wanted if acl.resource is Resource.GROUP))
    missing = denied(AdminClient({"log_level": 2, **kafka}, logger=None), wanted)
    if missing:
        listed = "".join(f"\n  {acl}" for acl in missing)
        raise Misconfigured(
            f"Kafka does not allow this process what the role {role!r} needs:{listed}\n"
            f'`recourse acls --role "{role}" --principal "{role}=User:NAME"` prints the ACLs for its principal.'
        )


def denied(admin: AdminClient, wanted: Sequence[Acl]) -> list[Acl]:
    """Those of the rights that the brokers do not give whoever asks.

    Raises:
        Misconfigured: they do not tell.
    """
    names = {
        kind: sorted({acl.name for acl in wanted if acl.resource is kind and not acl.prefixed}) for kind in Resource
    }
    answers: dict[tuple[Resource, str], concurrent.futures.Future[Any]] = {}
    options: dict[str, Any] = {"include_authorized_operations": True, "request_timeout": TIMEOUT_S}
    if names[Resource.TOPIC]:
        found = admin.describe_topics(TopicCollection(names[Resource.TOPIC]), **options)
        answers |= {(Resource.TOPIC, name): future for name, future in found.items()}
    if names[Resource.GROUP]:
        found = admin.describe_consumer_groups(names[Resource.GROUP], **options)
        answers |= {(Resource.GROUP, name): future for name, future in found.items()}
    given = {what: _given(what[1], future) for what, future in answers.items()}
    return [
        acl
        for acl in wanted
        if (allowed := given.get((acl.resource, acl.name))) is not None and _OPERATIONS[acl.operation] not in allowed
    ]


def _wake_coordinator(kafka: Mapping[str, Any], group: str) -> None:
    """A fresh cluster makes the topic of the groups' offsets when it is first asked for a group.

    An admin client that asks first waits out its whole time-out; a consumer asks again by itself.
    """
    consumer = Consumer({"log_level": 2, **kafka, "group.id": group, "enable.auto.commit": False})
    try:
        consumer.committed([TopicPartition("__consumer_offsets", 0)], timeout=TIMEOUT_S)
    except KafkaException:
        pass  # what is wrong, the question that follows tells
    finally:
        consumer.close()


def _given(name: str, answer: concurrent.futures.Future[Any]) -> frozenset[AclOperation] | None:
    """What may be done with it; None for what is not there, which others tell of."""
    try:
        return frozenset(answer.result().authorized_operations or ())
    except KafkaException as exc:
        error: KafkaError = exc.args[0]
        if is_unauthorized(error):
            return frozenset()
        if error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            return None
        raise Misconfigured(f"the brokers do not tell what may be done with {name}: {error.str()}") from exc
