"""All settings of a process, read once from the environment (`RECOURSE_*`), with every fault told at once."""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from topology.access.files import SUFFIX, read_secrets, secret_names
from topology.access.kafka import KafkaAccess
from topology.access.privacy import PrivacyAccess
from topology.access.redis import RedisAccess
from topology.access.registry import RegistryAccess
from topology.engine.definition import ClockKind, EngineConfig
from topology.engine.errors import Misconfigured
from topology.topics import Register, load_register

PREFIX = "RECOURSE_"
_OTHERS = ("RECOURSE_CACHE",)
"""Variables that other parts read: where the embedded servers' jars are kept."""
_DESK = "RECOURSE_DESK_"
"""Begins the variables of the desk, which knows them itself and refuses those that it does not know."""

Seconds = Annotated[float, Field(gt=0)]
PARTITIONING = r"^([a-z0-9][a-z0-9-]{0,30})?$"
"""How a set of topics that are kept in step may be called; the first one of an installation has no name."""


class Settings(KafkaAccess, RedisAccess, RegistryAccess, PrivacyAccess, BaseSettings):  # pyright: ignore[reportIncompatibleVariableOverride] - of model_config, which all set alike
    """One process's settings. Field `kafka` is the variable `RECOURSE_KAFKA`, and so on."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", use_attribute_docstrings=True)

    topic_prefix: str = ""
    """Comes before every topic's name, to share a cluster."""
    group: str = "recourse-appeals"
    """Consumer group; also starts the transactional ids and the keys in Redis."""
    partitioning: Annotated[str, Field(pattern=PARTITIONING)] = ""
    """Which set of inputs, dead letters, changelog and audit: the name that `recourse reshard --to` gave it."""
    rulebook: Path | None = None
    """Another rulebook than the packaged one."""
    clock: ClockKind = ClockKind.WALL
    """Whose time the fold follows: the machine's (`wall`) or the records' (`stream`)."""
    slot: str = "0"
    """Stable name of this worker (a StatefulSet's ordinal). No two running workers may share one."""
    static_membership: bool = True
    """A restart within the session time-out keeps the partitions (KIP-345)."""
    session_s: Seconds = 45.0
    """Seconds after which a silent worker loses its partitions."""
    batch_records: Annotated[int, Field(ge=1, le=10_000)] = 8_000
    """Records a batch takes at most, when that many lie ready."""
    cached_states: Annotated[int, Field(ge=1)] = 200_000
    """Dossiers kept decoded in memory, at most."""
    cached_mb: Annotated[int, Field(ge=1)] = 256
    """Megabytes of dossiers, as Redis has them, kept decoded at most. Decoded they take some seven times as much."""
    commit_s: Seconds = 30.0
    """Seconds a transaction may take; past it, its fate counts as unknown. What a killed worker left open keeps its
    successors waiting as long, so 10 s (how often a broker looks for such) and more below `session_s`."""
    revoke_s: Seconds = 20.0
    """Seconds a rebalance may wait for the running transaction."""
    insights_group: str = "recourse-insights"
    """Consumer group of `recourse insights`."""
    insights_tick_s: Seconds = 1.0
    """Seconds between two looks of the insights at what is new: state is written behind, figures are published."""
    insights_grace_s: Seconds = 3_600.0
    """Seconds that an event may be older than the newest of its partition and still count."""
    insights_prior_overturned: Annotated[float, Field(gt=0)] = 4.0
    """Beta prior of overturn rates: as if so many appeals had been overturned before anything is known."""
    insights_prior_upheld: Annotated[float, Field(gt=0)] = 6.0
    """And so many upheld."""
    metrics_port: Annotated[int, Field(ge=0, le=65_535)] = 0
    """Port of `/metrics`, `/livez` and `/readyz`; 0: none. `--workers N` takes N ports from it on."""
    metrics_strict: bool = False
    """Whether a metric's label value outside its closed set ends the process, as tests want; else it is `other`."""
    kafka_statistics_s: Annotated[float, Field(ge=0)] = 15.0
    """Seconds between two looks of librdkafka at itself, for the metrics; 0: none."""
    tracing: bool = False
    """Whether spans are sent to where the standard `OTEL_EXPORTER_OTLP_*` variables say (`pip install
    'recourse[tracing]'`). Trace context in headers is passed on in any case."""
    log_format: Literal["console", "json"] = "console"
    """How log lines are written."""

    @property
    def engine_name(self) -> str:
        """The engine's consumer group, which also starts its transactional ids and keys in Redis.

        Each partitioning has its own: offsets and checkpoints of one mean nothing in the topics of another.
        """
        return f"{self.group}.{self.partitioning}" if self.partitioning else self.group

    def register_of_topics(self, partitions: int | None = None) -> Register:
        """The packaged register under these names; `partitions` instead of its own for those kept in step."""
        return load_register(self.topic_prefix, partitions=partitions, partitioning=self.partitioning)

    def engine(self, slot: str | None = None) -> EngineConfig:
        """The engine's sizes and limits for one worker."""
        return EngineConfig(
            slot=slot or self.slot,
            clock=self.clock,
            batch_records=self.batch_records,
            cached_states=self.cached_states,
            cached_bytes=self.cached_mb * 1_000_000,
            commit_s=self.commit_s,
            revoke_s=self.revoke_s,
        )


def load_settings(**overrides: Any) -> Settings:  # noqa: ANN401 - the fields' own types, checked by pydantic
    """Read the environment; `overrides` (those that are not None) come from the command line.

    Raises:
        Misconfigured: one text with every fault; an unknown variable is answered with the nearest known.
    """
    known = {PREFIX + name.upper() for name in Settings.model_fields} | set(_OTHERS)
    known |= {PREFIX + name.upper() + SUFFIX for name in secret_names(Settings)}
    faults: list[str] = []
    for name in os.environ:
        if name.startswith(PREFIX) and not name.startswith(_DESK) and name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            faults.append(f"{name}: no such setting" + (f"; did you mean {near[0]}?" if near else ""))
    given = {
        **read_secrets(Settings, PREFIX, os.environ, faults),
        **{name: value for name, value in overrides.items() if value is not None},
    }
    try:
        settings = Settings(**given)
    except ValidationError as exc:
        # Only names and rules: what was given may be a secret.
        faults += [_told(error) for error in exc.errors(include_input=False, include_url=False)]
    except SettingsError as exc:
        faults.append(f"{exc}: is it JSON?")
    else:
        if not faults:
            return settings
    # Outside of the handlers: pydantic's own text, which a traceback would show as the cause, has what was given.
    raise Misconfigured("settings:\n  " + "\n  ".join(faults))


def _told(error: ErrorDetails) -> str:
    text = error["msg"].removeprefix("Value error, ")
    return f"{PREFIX}{str(error['loc'][0]).upper()}: {text}" if error["loc"] else text
