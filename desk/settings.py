"""All settings of the desk, read once from the environment (`RECOURSE_DESK_*`), with every fault told at once."""

from __future__ import annotations

import difflib
import os
import secrets
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from desk.errors import Misconfigured
from desk.names import Names
from schemas.errors import KeyEncryptionKeysError
from schemas.wrapped import key_encryption_keys

PREFIX: Final = "RECOURSE_DESK_"
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_SHORTEST_SECRET: Final = 32
Seconds = Annotated[float, Field(gt=0)]


class Settings(BaseSettings):
    """One process's settings. Field `kafka` is the variable `RECOURSE_DESK_KAFKA`, and so on."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", use_attribute_docstrings=True)

    kafka: str = "localhost:9092"
    """Bootstrap servers, `host:port,host:port`."""
    kafka_properties: Path | None = None
    """File with more of librdkafka's options, one `name=value` a line: TLS, SASL and its secrets."""
    topic_prefix: str = ""
    """Comes before every topic's name; as the engine's `RECOURSE_TOPIC_PREFIX`."""
    partitioning: Annotated[str, Field(pattern=r"^([a-z0-9][a-z0-9-]{0,30})?$")] = ""
    """Which set of topics that are kept in step; as the engine's `RECOURSE_PARTITIONING`."""
    registry: str | None = None
    """The schema registry's URL, if the installation has one."""
    kek: Annotated[SecretStr | None, Field(min_length=1)] = None
    """Key-encryption keys, as the engine's `RECOURSE_KEK`: `name:key`, separated by white space; they open texts that
    are sealed in records. None: such a text is said to be there and not shown."""
    texts: Path | None = None
    """Folder where reasons, guidance and notes lie that people write here; it must outlive the process."""
    host: str = "127.0.0.1"
    """Address to listen on."""
    port: Annotated[int, Field(ge=0, le=65_535)] = 8_600
    """Port to listen on; 0: a free one, which the first line of the log tells."""
    identity: Literal["header", "oidc", "demo"] = "header"
    """Who says who somebody is: a trusted proxy by headers, an OpenID provider, or, on loopback only, everybody."""
    trusted_proxies: str = "127.0.0.1,::1"
    """Addresses or networks of the identity-aware proxy, by comma: only its headers are believed."""
    user_header: str = "x-forwarded-user"
    """Header with the person's id; it becomes the `actor` of what they do, so it must be their reviewer id."""
    groups_header: str = "x-forwarded-groups"
    """Header with the person's groups, by comma."""
    groups: dict[str, str] = Field(default={})
    """What groups mean, as a JSON object: group to `specialist`, `second_reviewer`, `lead`, `auditor` or `pod:NAME`;
    without it they are called `recourse-specialist`, `recourse-pod-NAME` and so on."""
    oidc_issuer: str | None = None
    """The provider's URL, without `/.well-known/…`."""
    oidc_client_id: str | None = None
    """This client's id there."""
    oidc_client_secret: Annotated[SecretStr | None, Field(min_length=1)] = None
    """And its secret."""
    oidc_user_claim: str = "preferred_username"
    """Claim with the person's id."""
    oidc_groups_claim: str = "groups"
    """Claim with the person's groups."""
    secret: Annotated[SecretStr | None, Field(min_length=_SHORTEST_SECRET)] = None
    """Signs sessions and tokens. None: one is drawn at start, and everybody's session ends with the process."""
    secure_cookies: bool = True
    """Whether cookies go over TLS only. Only for a desk that is reached without TLS, on one's own machine: false."""
    session_s: Seconds = 36_000.0
    """Seconds that a session lives."""
    answer_s: Seconds = 10.0
    """Seconds that the engine may take to answer before a person is told that it does not."""
    leave_s: Seconds = 30.0
    """Seconds after which a case is handed back whose holder has closed its page."""
    history_records: Annotated[int, Field(ge=1_000)] = 200_000
    """Records of each history whose bytes stay in memory (some 500 bytes each); older ones are read from Kafka."""
    log_format: Literal["console", "json"] = "console"
    """How log lines are written."""

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        faults = [*self._faults()]
        if faults:
            raise ValueError("\n  ".join(faults))
        return self

    def _faults(self) -> list[str]:
        faults: list[str] = []
        if self.identity == "demo" and self.host not in _LOOPBACK:
            faults.append(f"{PREFIX}IDENTITY is demo, where everybody may be anybody: {PREFIX}HOST must be 127.0.0.1")
        if self.identity == "oidc":
            faults += [
                f"{PREFIX}{name.upper()} is missing, {PREFIX}IDENTITY=oidc needs it"
                for name in ("oidc_issuer", "oidc_client_id", "oidc_client_secret", "secret")
                if getattr(self, name) is None
            ]
        if self.kafka_properties is not None and not self.kafka_properties.is_file():
            faults.append(f"{PREFIX}KAFKA_PROPERTIES: there is no file {self.kafka_properties}")
        known = {"specialist", "second_reviewer", "lead", "auditor"}
        faults += [
            f"{PREFIX}GROUPS: {group} means {role}; known are {', '.join(sorted(known))} and pod:NAME"
            for group, role in self.groups.items()
            if role not in known and not role.startswith("pod:")
        ]
        try:
            self.key_encryption_keys()
        except KeyEncryptionKeysError as error:
            faults += [f"{PREFIX}KEK: {fault}" for fault in error.faults]
        try:
            _ = self.proxies
        except ValueError as error:
            faults.append(f"{PREFIX}TRUSTED_PROXIES: {error}")
        return faults

    @property
    def names(self) -> Names:
        """What the installation calls its topics."""
        return Names(self.topic_prefix, self.partitioning)

    @property
    def proxies(self) -> list[IPv4Network | IPv6Network]:
        """Who is believed."""
        return [ip_network(each.strip()) for each in self.trusted_proxies.split(",") if each.strip()]

    def kafka_config(self) -> dict[str, Any]:
        """In librdkafka's words. Holds secrets.

        Raises:
            Misconfigured: a line of the file is none.
        """
        config: dict[str, Any] = {}
        if self.kafka_properties is not None:
            for number, raw in enumerate(self.kafka_properties.read_text(encoding="utf-8").splitlines(), 1):
                text = raw.strip()
                if not text or text.startswith("#"):
                    continue
                name, sign, value = text.partition("=")
                if not sign:
                    raise Misconfigured(f"{self.kafka_properties}:{number}: no name=value")
                config[name.strip()] = value.strip()
        return {**config, "bootstrap.servers": self.kafka}

    def key_encryption_keys(self) -> dict[str, bytes]:
        """By name; empty if none is set. Never shown.

        Raises:
            KeyEncryptionKeysError: they are not written as they must be.
        """
        return {} if self.kek is None else key_encryption_keys(self.kek.get_secret_value())

    def signing_secret(self) -> str:
        """What sessions and tokens are signed with."""
        return secrets.token_urlsafe(48) if self.secret is None else self.secret.get_secret_value()


def load_settings(**overrides: Any) -> Settings:  # noqa: ANN401 - the fields' own types, checked by pydantic
    """Read the environment; `overrides` (those that are not None) come from the command line.

    `RECOURSE_DESK_SECRET_FILE`, `RECOURSE_DESK_OIDC_CLIENT_SECRET_FILE` and `RECOURSE_DESK_KEK_FILE` name files that
    hold these.

    Raises:
        Misconfigured: one text with every fault; an unknown variable is answered with the nearest known.
    """
    faults: list[str] = []
    given = _secrets(faults) | {name: value for name, value in overrides.items() if value is not None}
    known = {PREFIX + name.upper() for name in Settings.model_fields} | _FILES.keys()
    for variable in os.environ:
        if variable.startswith(PREFIX) and variable not in known:
            near = difflib.get_close_matches(variable, known, n=1)
            faults.append(f"{variable}: no such setting" + (f"; did you mean {near[0]}?" if near else ""))
    try:
        settings = Settings(**given)
    except ValidationError as error:
        for each in error.errors(include_input=False, include_url=False):
            text = each["msg"].removeprefix("Value error, ")
            faults.append(f"{PREFIX}{str(each['loc'][0]).upper()}: {text}" if each["loc"] else text)
    except SettingsError as error:
        faults.append(f"{error}: is it JSON?")
    else:
        if not faults:
            return settings
    # Outside of the handlers: pydantic's own text, which a traceback would show as the cause, has what was given.
    raise Misconfigured("settings:\n  " + "\n  ".join(faults))


_FILES: Final = {f"{PREFIX}{name.upper()}_FILE": name for name in ("secret", "oidc_client_secret", "kek")}


def _secrets(faults: list[str]) -> dict[str, Any]:
    """What files hold, read once; never shown, also not in a fault."""
    found: dict[str, Any] = {}
    for variable, name in _FILES.items():
        path = os.environ.get(variable)
        if path is None:
            continue
        if PREFIX + name.upper() in os.environ:
            faults.append(f"{variable} and {PREFIX}{name.upper()} are both set: which one counts? Unset one")
            continue
        try:
            found[name] = Path(path).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            faults.append(f"{variable}: {path} cannot be read ({type(error).__name__})")
    return found
