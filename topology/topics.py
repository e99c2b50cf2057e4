"""The register of topics (`topics.yaml`), typed and checked as a whole."""

from __future__ import annotations

from enum import StrEnum
from functools import cached_property
from importlib import resources
from typing import Annotated, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from schemas import records as all_records
from schemas.records import INPUT_RECORDS, OUTPUT_RECORDS, Record
from topology.engine.errors import Misconfigured

RECORDS: dict[str, type[Record]] = {cls.__name__: cls for cls in (*INPUT_RECORDS, *OUTPUT_RECORDS)}
MS_AN_HOUR = 3_600_000
MS_A_DAY = 24 * MS_AN_HOUR
KEYS = "subject.keys"
"""The wrapped keys of users' texts; Redis holds a view of it, as of the changelog (`topology/privacy`)."""
WRAPPING = "wrapping.keys"
MAX_MESSAGE_BYTES = 4_000_000
"""Four times the default: see `Topic.config`; the producer's own limit is the same."""


class Role(StrEnum):
    """What the engine does with a topic."""

    INPUT = "input"
    CHANGELOG = "changelog"
    DEAD_LETTERS = "dead_letters"
    OUTPUT = "output"
    REFERENCE = "reference"
    """Small, compacted, keyed by what its content is called; whoever needs it reads it whole, outside the group."""
    STATE = "state"
    """Private to the insights, which make it again from what they read."""


Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,200}$")]


class Topic(BaseModel):
    """One entry of the register; the fields are explained at its head."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    purpose: str
    owner: str
    key: str
    records: tuple[str, ...]
    role: Role
    partitions: Annotated[int, Field(ge=1, le=10_000)]
    cleanup: Literal["delete", "compact"]
    retention: Literal["forever"] | Annotated[int, Field(ge=1)]
    writers: tuple[str, ...]
    readers: tuple[str, ...]
    in_step: bool = False
    personal_data: Literal["none", "pseudonymous", "sealed", "direct"]
    compacted_within: Annotated[int, Field(ge=1)] | None = None
    erasure: str = ""

    @property
    def allowed(self) -> frozenset[type[Record]]:
        """The record types that may flow here."""
        return frozenset(RECORDS[name] for name in self.records)

    @property
    def co_partitioned(self) -> bool:
        """Must it have as many partitions as the inputs?"""
        return self.role not in (Role.OUTPUT, Role.REFERENCE)

    @property
    def of_partitioning(self) -> bool:
        """Is there one of it for each partitioning (docs/reshard.md)?"""
        return self.co_partitioned or self.in_step

    @property
    def config(self) -> dict[str, str]:
        """What the cluster must be told, as Kafka names and spells it."""
        config = {
            "cleanup.policy": self.cleanup,
            "retention.ms": "-1" if self.retention == "forever" else str(self.retention * MS_A_DAY),
        }
        if self.co_partitioned and self.role is not Role.INPUT:
            # A dead letter is its original and headers; a dossier holds many records. As much as our producer sends.
            config["max.message.bytes"] = str(MAX_MESSAGE_BYTES)
        if self.role is Role.CHANGELOG or self.name == KEYS:
            # A view that slept longer than this would miss tombstones: a week is more than any outage of Redis.
            config["delete.retention.ms"] = str(7 * MS_A_DAY)
        if self.compacted_within is not None:
            # By its default a compacted topic keeps what was replaced until half of it is such; that can be for ever.
            config["max.compaction.lag.ms"] = str(self.compacted_within * MS_AN_HOUR)
        return config

    @model_validator(mode="after")
    def _known_records(self) -> Self:
        unknown = [name for name in self.records if not hasattr(all_records, name) or name not in RECORDS]
        if unknown:
            raise ValueError(f"topic {self.name}: no such record types: {', '.join(unknown)}")
        if self.role in (Role.INPUT, Role.OUTPUT) and not self.records:
            raise ValueError(f"topic {self.name}: an {self.role} topic must name its record types")
        if self.role in (Role.CHANGELOG, Role.REFERENCE, Role.STATE) and self.cleanup != "compact":
            raise ValueError(f"topic {self.name}: a {self.role} topic must be compacted")
        if (self.cleanup == "compact" and self.personal_data != "none") != (self.compacted_within is not None):
            raise ValueError(
                f"topic {self.name}: `compacted_within` belongs to compacted topics with personal data, to these only"
            )
        if (self.personal_data == "none") != (not self.erasure):
            raise ValueError(f"topic {self.name}: `erasure` belongs to topics with personal data, to these only")
        return self


class Register(BaseModel):
    """All topics of an installation; `prefix` comes before every name on the cluster."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    topics: tuple[Topic, ...]
    prefix: str = ""
    partitioning: str = ""
    """Comes after the prefix of topics that are kept in step: which set of them it is (docs/reshard.md)."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        names = [topic.name for topic in self.topics]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"named twice: {', '.join(twice)}")
        if len({t.partitions for t in self.topics if t.co_partitioned}) != 1:
            raise ValueError("inputs, dead letters, changelog and state must have the same number of partitions")
        if sum(t.role is Role.CHANGELOG for t in self.topics) != 1:
            raise ValueError("exactly one topic must be the changelog")
        missing = [n.name for n in self.inputs if f"{n.name}.dlq" not in names]
        if missing:
            raise ValueError(f"no dead-letter topic for: {', '.join(missing)}")
        return self

    @property
    def inputs(self) -> tuple[Topic, ...]:
        """The input topics, in the order of the register: it breaks ties of event time."""
        return tuple(topic for topic in self.topics if topic.role is Role.INPUT)

    @property
    def user_inputs(self) -> tuple[Topic, ...]:
        """Those of them that users' dossiers are folded from; what is keyed otherwise concerns the whole system."""
        return tuple(topic for topic in self.inputs if topic.key == "user_id")

    @property
    def changelog(self) -> Topic:
        """The dossiers' changelog."""
        return next(topic for topic in self.topics if topic.role is Role.CHANGELOG)

    @property
    def pods(self) -> tuple[str, ...]:
        """Pods that have a topic."""
        return tuple(t.name.removeprefix("cases.") for t in self.topics if t.name.startswith("cases."))

    @cached_property
    def by_name(self) -> dict[str, Topic]:
        """Entries by name without prefix."""
        return {topic.name: topic for topic in self.topics}

    def on_cluster(self, name: str) -> str:
        """The topic's name on the cluster."""
        set_of = f"{self.partitioning}." if self.partitioning and self.by_name[name].of_partitioning else ""
        return f"{self.prefix}{set_of}{name}"


def load_register(
    prefix: str = "", text: str | None = None, partitions: int | None = None, partitioning: str = ""
) -> Register:
    """The packaged register, or one given as YAML.

    Args:
        prefix: comes before every name on the cluster.
        text: YAML instead of the packaged file.
        partitions: number for the topics that are kept in step instead of the register's.
        partitioning: which set of these.

    Raises:
        Misconfigured: the file breaks a rule; the text names topic and field.
    """
    source = text if text is not None else resources.files("topology").joinpath("topics.yaml").read_text()
    try:
        register = Register.model_validate({**yaml.safe_load(source), "prefix": prefix, "partitioning": partitioning})
    except (yaml.YAMLError, TypeError) as exc:
        raise Misconfigured(f"topics.yaml is not readable: {exc}") from exc
    except ValidationError as exc:
        faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in exc.errors())
        raise Misconfigured(f"topics.yaml: {faults}") from exc
    if partitions is None:
        return register
    topics = tuple(t.model_copy(update={"partitions": partitions}) if t.of_partitioning else t for t in register.topics)
    return register.model_copy(update={"topics": topics})
