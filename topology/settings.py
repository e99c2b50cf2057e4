"""All settings of a process, read once from the environment (`RECOURSE_*`), with every fault told at once."""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from topology.engine.definition import ClockKind, EngineConfig
from topology.engine.errors import Misconfigured

PREFIX = "RECOURSE_"
_OTHERS = ("RECOURSE_CACHE",)
"""Variables that other parts read: where the embedded servers' jars are kept."""

Seconds = Annotated[float, Field(gt=0)]


class Settings(BaseSettings):
    """One process's settings. Field `kafka` is the variable `RECOURSE_KAFKA`, and so on."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", use_attribute_docstrings=True)

    kafka: str = "localhost:9092"
    """Bootstrap servers, `host:port,host:port`."""
    kafka_options: dict[str, str] = {}
    """More librdkafka options as a JSON object, e.g. `{"security.protocol": "SASL_SSL"}`."""
    redis: str = "redis://localhost:6379/0"
    """URL of the server; with `sentinel`, of a sentinel."""
    redis_mode: Literal["single", "sentinel", "cluster"] = "single"
    """What the URL leads to: `single`, `sentinel` or `cluster`."""
    redis_sentinel_service: str = "recourse"
    """Name under which the sentinels know the master."""
    registry: str | None = None
    """Schema registry's URL; none: Avro single-object encoding, which needs no registry."""
    topic_prefix: str = ""
    """Comes before every topic's name, to share a cluster."""
    group: str = "recourse-appeals"
    """Consumer group; also starts the transactional ids and the keys in Redis."""
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
    batch_records: Annotated[int, Field(ge=1, le=10_000)] = 2_000
    """Records a batch takes at most."""
    cached_states: Annotated[int, Field(ge=1)] = 200_000
    """Dossiers kept decoded in memory."""
    commit_s: Seconds = 60.0
    """Seconds a transaction may take; past it, its fate counts as unknown."""
    revoke_s: Seconds = 20.0
    """Seconds a rebalance may wait for the running transaction."""
    metrics_port: Annotated[int, Field(ge=0, le=65_535)] = 0
    """Port of the Prometheus endpoint; 0: none."""
    log_format: Literal["console", "json"] = "console"
    """How log lines are written."""

    def kafka_config(self) -> dict[str, Any]:
        """What every Kafka client of this process starts from."""
        return {"bootstrap.servers": self.kafka, **self.kafka_options}

    def engine(self, slot: str | None = None) -> EngineConfig:
        """The engine's sizes and limits for one worker."""
        return EngineConfig(
            slot=slot or self.slot,
            clock=self.clock,
            batch_records=self.batch_records,
            cached_states=self.cached_states,
            commit_s=self.commit_s,
            revoke_s=self.revoke_s,
        )


def load_settings(**overrides: Any) -> Settings:  # noqa: ANN401 - the fields' own types, checked by pydantic
    """Read the environment; `overrides` (those that are not None) come from the command line.

    Raises:
        Misconfigured: one text with every fault; an unknown variable is answered with the nearest known.
    """
    known = {PREFIX + name.upper() for name in Settings.model_fields} | set(_OTHERS)
    faults: list[str] = []
    for name in os.environ:
        if name.startswith(PREFIX) and name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            faults.append(f"{name}: no such setting" + (f"; did you mean {near[0]}?" if near else ""))
    try:
        settings = Settings(**{name: value for name, value in overrides.items() if value is not None})
    except ValidationError as exc:
        faults += [f"{PREFIX}{str(e['loc'][0]).upper()}: {e['msg']}" for e in exc.errors()]
        raise Misconfigured("settings:\n  " + "\n  ".join(faults)) from exc
    if faults:
        raise Misconfigured("settings:\n  " + "\n  ".join(faults))
    return settings
