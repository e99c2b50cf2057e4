"""Kafka's settings, and what they are in librdkafka's words. `topology/insights/settings.py` has aiokafka's."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, Field, model_validator
from pydantic_settings import SettingsConfigDict

from topology.access.files import Secret, refuse, shown, unreadable

_OURS = {
    "bootstrap.servers": "RECOURSE_KAFKA",
    "metadata.broker.list": "RECOURSE_KAFKA",
    "security.protocol": "RECOURSE_KAFKA_SECURITY",
    "ssl.ca.location": "RECOURSE_KAFKA_CA",
    "ssl.certificate.location": "RECOURSE_KAFKA_CERTIFICATE",
    "ssl.key.location": "RECOURSE_KAFKA_KEY",
    "ssl.key.password": "RECOURSE_KAFKA_KEY_PASSWORD",
    "sasl.mechanism": "RECOURSE_KAFKA_MECHANISM",
    "sasl.mechanisms": "RECOURSE_KAFKA_MECHANISM",
    "sasl.username": "RECOURSE_KAFKA_USERNAME",
    "sasl.password": "RECOURSE_KAFKA_PASSWORD",
    "sasl.oauthbearer.method": "RECOURSE_KAFKA_MECHANISM",
    "sasl.oauthbearer.token.endpoint.url": "RECOURSE_KAFKA_TOKEN_URL",
    "sasl.oauthbearer.client.id": "RECOURSE_KAFKA_CLIENT_ID",
    "sasl.oauthbearer.client.secret": "RECOURSE_KAFKA_CLIENT_SECRET",
    "sasl.oauthbearer.scope": "RECOURSE_KAFKA_SCOPE",
    "https.ca.location": "RECOURSE_KAFKA_TOKEN_CA",
}
"""Options that have a setting: one way only, which the insights' client honours too."""


class KafkaAccess(BaseModel):
    """Where Kafka is, and how this process shows who it is."""

    model_config = SettingsConfigDict(frozen=True, use_attribute_docstrings=True)

    kafka: str = "localhost:9092"
    """Bootstrap servers, `host:port,host:port`."""
    kafka_security: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    """The listener's protocol, in Kafka's words. The two without SSL send everything in the clear."""
    kafka_ca: Path | None = None
    """PEM file with the authorities that the brokers' certificates must come from; none: those of the system."""
    kafka_certificate: Path | None = None
    """PEM file with this client's certificate, for brokers that ask for one (mTLS)."""
    kafka_key: Path | None = None
    """PEM file with its private key."""
    kafka_key_password: Secret = None
    """What the key is encrypted with."""
    kafka_mechanism: Literal["SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER", "PLAIN"] | None = None
    """How SASL proves who this is."""
    kafka_username: str | None = None
    """For SCRAM and PLAIN."""
    kafka_password: Secret = None
    """For SCRAM and PLAIN."""
    kafka_token_url: str | None = None
    """For OAUTHBEARER: where tokens come from (OAuth 2, grant `client_credentials`)."""
    kafka_client_id: str | None = None
    """For OAUTHBEARER."""
    kafka_client_secret: Secret = None
    """For OAUTHBEARER."""
    kafka_scope: str | None = None
    """For OAUTHBEARER, if the token's issuer wants one."""
    kafka_token_ca: Path | None = None
    """PEM file with the authorities of the token's issuer; none: those of the system."""
    kafka_options: dict[str, str] = Field(default={}, repr=False)
    """More librdkafka options as a JSON object, e.g. `{"client.rack": "eu-1a"}`; none that has a setting."""

    @model_validator(mode="after")
    def _kafka_agrees(self) -> Self:
        refuse([*self._kafka_faults()])
        return self

    def _kafka_faults(self) -> list[str]:
        faults = [
            f"RECOURSE_KAFKA_OPTIONS: {name} is set by {_OURS[name]}" for name in self.kafka_options if name in _OURS
        ]
        sasl, tls = self.kafka_security.startswith("SASL"), self.kafka_security.endswith("SSL")
        if sasl and self.kafka_mechanism is None:
            faults.append(f"RECOURSE_KAFKA_SECURITY is {self.kafka_security}: RECOURSE_KAFKA_MECHANISM says how")
        if not sasl and self.kafka_mechanism is not None:
            faults.append(
                f"RECOURSE_KAFKA_MECHANISM is {self.kafka_mechanism}, but RECOURSE_KAFKA_SECURITY is "
                f"{self.kafka_security}: make it SASL_SSL, or nobody is asked who this is"
            )
        for mechanisms, names in (
            (("SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN"), ("username", "password")),
            (("OAUTHBEARER",), ("token_url", "client_id", "client_secret")),
        ):
            faults += [
                f"RECOURSE_KAFKA_{name.upper()} is missing, {self.kafka_mechanism} needs it"
                for name in names
                if self.kafka_mechanism in mechanisms and getattr(self, f"kafka_{name}") is None
            ]
        files = {"CA": self.kafka_ca, "CERTIFICATE": self.kafka_certificate, "KEY": self.kafka_key}
        if not tls:
            faults += [
                f"RECOURSE_KAFKA_{name} is set, but RECOURSE_KAFKA_SECURITY is {self.kafka_security}, without TLS"
                for name, path in files.items()
                if path is not None
            ]
        if (self.kafka_certificate is None) != (self.kafka_key is None):
            faults.append("RECOURSE_KAFKA_CERTIFICATE and RECOURSE_KAFKA_KEY go together")
        files["TOKEN_CA"] = self.kafka_token_ca
        faults += unreadable(**{f"RECOURSE_KAFKA_{name}": path for name, path in files.items()})
        return faults

    def kafka_config(self) -> dict[str, Any]:
        """What every Kafka client of this process starts from, in librdkafka's words. Holds secrets."""
        config: dict[str, Any] = {"bootstrap.servers": self.kafka, **self.kafka_options}
        if self.kafka_security == "PLAINTEXT":
            return config
        config["security.protocol"] = self.kafka_security
        config |= _present(
            {
                "ssl.ca.location": self.kafka_ca,
                "ssl.certificate.location": self.kafka_certificate,
                "ssl.key.location": self.kafka_key,
                "ssl.key.password": shown(self.kafka_key_password),
                "sasl.mechanism": self.kafka_mechanism,
            }
        )
        if self.kafka_mechanism == "OAUTHBEARER":
            config["sasl.oauthbearer.method"] = "oidc"
            config |= _present(
                {
                    "sasl.oauthbearer.token.endpoint.url": self.kafka_token_url,
                    "sasl.oauthbearer.client.id": self.kafka_client_id,
                    "sasl.oauthbearer.client.secret": shown(self.kafka_client_secret),
                    "sasl.oauthbearer.scope": self.kafka_scope,
                    "https.ca.location": self.kafka_token_ca,
                }
            )
        elif self.kafka_mechanism is not None:
            config |= _present({"sasl.username": self.kafka_username, "sasl.password": shown(self.kafka_password)})
        return config


def _present(options: dict[str, Any]) -> dict[str, Any]:
    return {name: str(value) for name, value in options.items() if value is not None}
