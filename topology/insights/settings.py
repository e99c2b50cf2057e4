"""Our settings as Faust's, and those that say who this is as aiokafka's."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

from faust import SASLCredentials, SSLCredentials
from faust.auth import OAuthCredentials
from faust.types.auth import CredentialsT

from topology.access.files import shown
from topology.access.kafka import KafkaAccess
from topology.engine.errors import Misconfigured
from topology.insights.tokens import Tokens
from topology.settings import Settings

_KNOWN = frozenset({"client.id"})


def faust_settings(settings: Settings, partitions: int, folder: Path) -> dict[str, Any]:
    """Keyword arguments of the app.

    Raises:
        Misconfigured: an option of RECOURSE_KAFKA_OPTIONS cannot be passed on.
    """
    return {
        "id": settings.topic_prefix + settings.insights_group,
        "broker": [f"aiokafka://{server.strip()}" for server in settings.kafka.split(",")],
        "broker_client_id": settings.kafka_options.get("client.id", "recourse-insights"),
        "broker_credentials": credentials(settings),
        "broker_session_timeout": settings.session_s,
        "broker_heartbeat_interval": settings.session_s / 5,
        "broker_request_timeout": 2 * settings.session_s,
        "broker_rebalance_timeout": 2 * settings.session_s,
        "broker_commit_interval": 5.0,
        "consumer_auto_offset_reset": "earliest",
        "consumer_group_instance_id": f"insights-{settings.slot}" if settings.static_membership else None,
        "producer_acks": -1,
        "processing_guarantee": "at_least_once",
        "store": "memory://",
        "datadir": str(folder),
        "tabledir": str(folder / "tables"),
        "topic_partitions": partitions,
        "topic_allow_declare": False,  # `recourse create-topics` makes them, from the register
        "topic_disable_leader": True,
        "web_enabled": False,
        "stream_wait_empty": False,  # what is not written is read again
        "stream_recovery_delay": 0.0,
        "autodiscover": False,
    }


def credentials(settings: KafkaAccess) -> CredentialsT | None:
    """What to show the brokers, and how to know them.

    Raises:
        Misconfigured: an option has no counterpart in this client, or a certificate cannot be used.
    """
    unknown = sorted(set(settings.kafka_options) - _KNOWN)
    if unknown:
        raise Misconfigured(
            f"RECOURSE_KAFKA_OPTIONS: the insights read with another Kafka client, which has no {', '.join(unknown)}; "
            "give this process an environment without it"
        )
    tls = _context(settings) if settings.kafka_security.endswith("SSL") else None
    if not settings.kafka_security.startswith("SASL"):
        return None if tls is None else SSLCredentials(context=tls)
    if settings.kafka_mechanism == "OAUTHBEARER":
        return OAuthCredentials(oauth_cb=Tokens(settings), ssl_context=tls)
    return SASLCredentials(
        username=settings.kafka_username,
        password=shown(settings.kafka_password),
        mechanism=settings.kafka_mechanism,
        ssl_context=tls,
    )


def _context(settings: KafkaAccess) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.kafka_ca)
        if settings.kafka_certificate is not None:
            # Without a password, an encrypted key would be asked for at the terminal.
            password = shown(settings.kafka_key_password) or ""
            context.load_cert_chain(settings.kafka_certificate, settings.kafka_key, password)
    except OSError as exc:  # an ssl.SSLError is one
        raise Misconfigured(f"RECOURSE_KAFKA_CA, _CERTIFICATE or _KEY cannot be used: {exc}") from exc
    return context
