"""Kafka and Redis as a careful operator has them, made once a file: certificates, users, ACLs, nothing in the clear."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from tests.integration.certificates import Authority, Pair
from tests.integration.secure_kafka import PASSWORD, Issuer, SecureKafka
from tests.integration.secure_redis import SecureRedis
from topology.acls.rules import Acl, Operation, Resource

SECRET = "secret-of-oauth"
KEY_PASSWORD = "password-of-key"
SCRAM = {"SCRAM-SHA-256": "worker-256", "SCRAM-SHA-512": "worker-512"}
CLIENTS = {"worker-oauth": SECRET, "insights-oauth": SECRET}
_KINDS = {
    Resource.TOPIC: ResourceType.TOPIC,
    Resource.GROUP: ResourceType.GROUP,
    Resource.TRANSACTIONAL_ID: ResourceType.TRANSACTIONAL_ID,
}
_OPERATIONS = {
    Operation.READ: AclOperation.READ,
    Operation.WRITE: AclOperation.WRITE,
    Operation.DESCRIBE: AclOperation.DESCRIBE,
    Operation.DESCRIBE_CONFIGS: AclOperation.DESCRIBE_CONFIGS,
}
_ALLOWED = re.compile(
    r"Principal = (?P<who>\S+) is Allowed operation = (?P<operation>\w+) from host = \S+ "
    r"on resource = (?P<kind>\w+):LITERAL:(?P<name>\S+) for request"
)


@dataclass(frozen=True)
class World:
    """Servers, and the settings by which each of the four ways leads in."""

    kafka: SecureKafka
    redis: SecureRedis
    authority: Authority
    issuer: Issuer
    folder: Path
    client: Pair
    locked: Pair
    admin: AdminClient
    """The test's own client, which may do everything."""

    @property
    def ways(self) -> dict[str, dict[str, object]]:
        """Settings by principal."""
        tls = {"kafka_ca": self.authority.certificate}
        sasl = {"kafka": self.kafka.sasl, "kafka_security": "SASL_SSL", **tls}
        return {
            **{
                name: {**sasl, "kafka_mechanism": how, "kafka_username": name, "kafka_password": PASSWORD}
                for how, name in SCRAM.items()
            },
            **{name: {**sasl, **self.token(name)} for name in CLIENTS},
            "worker-tls": {
                **tls,
                "kafka": self.kafka.mtls,
                "kafka_security": "SSL",
                "kafka_certificate": self.locked.certificate,
                "kafka_key": self.locked.key,
                "kafka_key_password": KEY_PASSWORD,
            },
        }

    def token(self, client: str) -> dict[str, object]:
        """Settings for OAUTHBEARER."""
        return {
            "kafka_mechanism": "OAUTHBEARER",
            "kafka_token_url": self.issuer.url,
            "kafka_client_id": client,
            "kafka_client_secret": SECRET,
            "kafka_token_ca": self.authority.certificate,
        }

    def allow(self, acls: Iterable[Acl]) -> None:
        """Add rules."""
        for future in self.admin.create_acls([_binding(acl) for acl in acls]).values():
            future.result()

    def forbid(self, acls: Iterable[Acl]) -> None:
        """Take them away again."""
        for future in self.admin.delete_acls([_filter(acl) for acl in acls]).values():
            assert len(future.result()) == 1

    def used(self, principal: str, since: int) -> set[tuple[str, str, str]]:
        """What the broker has allowed a principal since then: operation, kind of resource, its name."""
        with self.kafka.log.open("rb") as log:
            log.seek(since)
            lines = log.read().decode(errors="replace")
        found = (match.groupdict() for match in _ALLOWED.finditer(lines))
        return {(one["operation"], one["kind"], one["name"]) for one in found if one["who"] == principal}

    def log_bytes(self) -> int:
        """How much the broker has logged."""
        return self.kafka.log.stat().st_size


@contextlib.contextmanager
def secure_world(folder: Path) -> Iterator[World]:
    """Start everything."""
    authority = Authority(folder)
    issued = authority.issue("issuer", hosts=("127.0.0.1",))
    with contextlib.ExitStack() as running:
        issuer = running.enter_context(Issuer(folder, issued, CLIENTS))
        kafka = SecureKafka(folder / "kafka", authority=authority, jwks=issuer.jwks, scram=SCRAM)
        running.enter_context(kafka)
        yield World(
            kafka=kafka,
            admin=AdminClient({"bootstrap.servers": kafka.bootstrap}),
            redis=running.enter_context(SecureRedis(folder / "redis", authority=authority)),
            authority=authority,
            issuer=issuer,
            folder=folder,
            client=authority.issue("worker-tls"),
            locked=authority.issue("worker-tls", password=KEY_PASSWORD),
        )


def _words(acl: Acl) -> tuple[Any, ...]:
    pattern = ResourcePatternType.PREFIXED if acl.prefixed else ResourcePatternType.LITERAL
    return (
        _KINDS[acl.resource],
        acl.name,
        pattern,
        acl.principal,
        "*",
        _OPERATIONS[acl.operation],
        AclPermissionType.ALLOW,
    )


def _binding(acl: Acl) -> AclBinding:
    return AclBinding(*_words(acl))


def _filter(acl: Acl) -> AclBindingFilter:
    return AclBindingFilter(*_words(acl))
