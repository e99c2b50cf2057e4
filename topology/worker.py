"""One worker on the real Kafka and Redis: checks, wiring, life and exit code."""

from __future__ import annotations

import gc
import logging
import os
import signal
from collections.abc import Callable
from enum import IntEnum
from typing import Any, TypeVar

from redis.exceptions import RedisError

from processors.dossier import Dossier
from processors.rulebook import Rulebook
from schemas.codec import Codec
from topology import logs, rulebooks
from topology.appeals import appeals_app
from topology.cluster import Cluster
from topology.engine import clients
from topology.engine.definition import EngineConfig, FoldApp
from topology.engine.errors import Hung, Misconfigured, SlotTaken, TooManyDeadLetters
from topology.engine.loop import Worker
from topology.engine.ports import Metrics
from topology.engine.redis_store import RedisStore, connect
from topology.engine.transaction import Probe, no_probe
from topology.metrics import PrometheusMetrics
from topology.registry import open_codec
from topology.rulebook_file import PACKAGED, RulebookError, RulebookFile, load_rulebook_file
from topology.settings import Settings
from topology.topics import Register, load_register

S = TypeVar("S")


class Exit(IntEnum):
    """Exit codes of `recourse run`."""

    OK = 0
    """Stopped as asked: the last batch is committed, the partitions are given back."""
    DEFECT = 1
    """A defect of ours; the traceback says where."""
    MISCONFIGURED = 2
    """Something outside must be changed first; the message says what."""
    TOO_MANY_DEAD_LETTERS = 3
    """Nearly nothing could be judged, so nothing was committed; look at the newest deploy."""
    SLOT_TAKEN = 4
    """Another process runs under the same slot."""


def redis_client(settings: Settings) -> Any:  # noqa: ANN401 - redis-py's clients share no base
    """A client whose server has answered.

    Raises:
        Misconfigured: it does not answer.
    """
    try:
        client = connect(settings.redis, mode=settings.redis_mode, sentinel_service=settings.redis_sentinel_service)
        client.ping()
    except (RedisError, ValueError) as exc:
        raise Misconfigured(
            f"Redis does not answer at {without_secret(settings.redis)} ({exc}). "
            "Start one, or point RECOURSE_REDIS at yours (redis://host:port/db)."
        ) from exc
    return client


def without_secret(url: str) -> str:
    """The URL without user and password."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


def open_rulebook(settings: Settings) -> Rulebook:
    """The rulebook that the settings name, or the packaged one.

    Raises:
        Misconfigured: it has faults; each with file, line and field.
    """
    return open_rulebook_file(settings).book


def open_rulebook_file(settings: Settings) -> RulebookFile:
    """The same with its text."""
    try:
        return load_rulebook_file(settings.rulebook or PACKAGED)
    except RulebookError as exc:
        raise Misconfigured(str(exc)) from exc


def build(
    app: FoldApp[S],
    settings: Settings,
    config: EngineConfig,
    *,
    redis: Any,  # noqa: ANN401 - redis-py's clients share no base
    metrics: Metrics,
    probe: Probe = no_probe,
) -> Worker[S]:
    """A worker for any fold, on the settings' Kafka and the given Redis client."""
    kafka = settings.kafka_config()
    # librdkafka's lines go through logging, so that they can be filtered like everything else.
    client_log = logging.getLogger("librdkafka")
    return Worker(
        app,
        config,
        consumer=clients.consumer(
            kafka,
            group=app.name,
            config=config,
            static=settings.static_membership,
            session_s=settings.session_s,
            logger=client_log,
        ),
        producer=lambda: clients.producer(kafka, group=app.name, config=config, logger=client_log),
        reader=clients.changelog_reader(kafka, group=app.name, logger=client_log),
        offsets=clients.BrokerOffsets(kafka),
        store=RedisStore(redis, namespace=app.name, pipelines=settings.redis_mode != "cluster"),
        clock=clients.SystemClock(),
        metrics=metrics,
        probe=probe,
    )


def wire(settings: Settings) -> tuple[FoldApp[Dossier], Register, Rulebook, Codec]:
    """The appeals application of these settings, without touching Kafka or Redis."""
    register = load_register(settings.topic_prefix)
    rulebook = open_rulebook(settings)
    codec = open_codec(settings)
    return (
        appeals_app(name=settings.group, register=register, codec=codec, rulebook=rulebook),
        register,
        rulebook,
        codec,
    )


def keep_rulebook(settings: Settings, register: Register) -> bool:
    """Before anything is folded: what it will be folded by can be read back as long as the audit.

    Returns:
        Whether it was written now; else it was kept already.

    Raises:
        Misconfigured: the broker does not take it.
    """
    return rulebooks.publish(settings.kafka_config(), register, open_rulebook_file(settings))


def run(settings: Settings, *, parent: int | None = None, probe: Probe = no_probe) -> Exit:
    """Run one worker until SIGTERM or SIGINT, which finish the batch and leave the group cleanly.

    Args:
        settings: where and how.
        parent: process id of a supervisor; the worker stops when it is gone.
        probe: for tests, called before each step of a batch.
    """
    log = logs.logger()
    stopping = _stop_on_signals(parent)
    try:
        app, register, rulebook, _codec = wire(settings)
        partitions = Cluster(settings.kafka_config(), register).check()
        redis = redis_client(settings)
        if keep_rulebook(settings, register):
            log.info("rulebook_kept", rulebook=rulebook.digest)
        metrics = PrometheusMetrics()
        if settings.metrics_port:
            metrics.serve(settings.metrics_port)
        worker = build(app, settings, settings.engine(), redis=redis, metrics=metrics, probe=probe)
        tune_gc()
        log.info("worker_started", slot=settings.slot, partitions=partitions, rulebook=rulebook.digest)
        worker.run(stopping)
    except Misconfigured as exc:
        log.error(  # noqa: TRY400 - the message is for an operator, who needs no traceback
            "worker_refused", slot=settings.slot, why=str(exc)
        )
        return Exit.MISCONFIGURED
    except SlotTaken as exc:
        log.error(  # noqa: TRY400
            "slot_taken", slot=settings.slot, why=str(exc)
        )
        return Exit.SLOT_TAKEN
    except Hung as exc:
        log.error("hung", slot=settings.slot, why=str(exc))  # noqa: TRY400
        # The hung thread would keep an ordinary exit waiting for ever; nothing of it is committed.
        os._exit(Exit.DEFECT)
    except TooManyDeadLetters as exc:
        log.error(  # noqa: TRY400
            "too_many_dead_letters", slot=settings.slot, why=str(exc)
        )
        return Exit.TOO_MANY_DEAD_LETTERS
    log.info("worker_stopped", slot=settings.slot)
    return Exit.OK


def tune_gc() -> None:
    """Make the cycle collector rare: a worker keeps hundreds of thousands of states, and none of them is a cycle.

    With the default thresholds the collector walks all of them again and again: a fifth of the fold's time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 1_000)


def _stop_on_signals(parent: int | None) -> Callable[[], bool]:
    asked = False

    def ask(_signal: int, _frame: object) -> None:
        nonlocal asked
        asked = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ask)
    return lambda: asked or (parent is not None and os.getppid() != parent)
