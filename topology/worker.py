"""One worker on the real Kafka and Redis: checks, wiring, life and exit code."""

from __future__ import annotations

import faulthandler
import gc
import logging
import os
import signal
import sys
from collections.abc import Callable
from contextlib import ExitStack
from importlib.metadata import version
from typing import Any, TypeVar

from processors.rulebook import Rulebook
from schemas.codec import Codec
from topology import logs, reference_tables, rulebooks
from topology.access.redis_client import redis_client
from topology.acls.check import refuse_unallowed
from topology.acls.rules import WORKER
from topology.appeals import State, appeals_app
from topology.clock_watch import ClockWatch
from topology.cluster import Cluster
from topology.engine import clients, statistics
from topology.engine.definition import ClockKind, EngineConfig, FoldApp
from topology.engine.errors import Hung, Misconfigured, SlotTaken, TooManyDeadLetters
from topology.engine.loop import Worker
from topology.engine.ports import Metrics, Tracer
from topology.engine.redis_store import RedisStore
from topology.engine.transaction import Probe, no_probe
from topology.exits import Exit
from topology.health import Health
from topology.metrics.labels import sets_of
from topology.metrics.prometheus import PrometheusMetrics
from topology.metrics.scrape import Endpoint
from topology.privacy.at_work import at_work
from topology.reference_tables import ReferenceTables
from topology.registry import open_codec
from topology.reshard.stage import refuse_unmoved
from topology.rulebook_file import PACKAGED, RulebookError, RulebookFile, load_rulebook_file
from topology.settings import Settings
from topology.subjects import refuse_incompatible
from topology.topics import Register
from topology.tracing import open_tracer

S = TypeVar("S")


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
    tracer: Tracer | None = None,
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
            **statistics.options("consumer", metrics, settings.kafka_statistics_s),
        ),
        producer=lambda: clients.producer(
            kafka,
            group=app.name,
            config=config,
            logger=client_log,
            **statistics.options("producer", metrics, settings.kafka_statistics_s),
        ),
        reader=clients.changelog_reader(kafka, group=app.name, logger=client_log),
        offsets=clients.BrokerOffsets(kafka),
        store=RedisStore(redis, namespace=app.name, pipelines=settings.redis_mode != "cluster"),
        clock=clients.SystemClock(),
        metrics=metrics,
        probe=probe,
        tracer=tracer,
    )


def wire(settings: Settings) -> tuple[FoldApp[State], Register, Rulebook, Codec]:
    """The appeals application of these settings, without touching Kafka or Redis."""
    register, rulebook, codec = parts(settings)
    app = appeals_app(name=settings.engine_name, register=register, codec=codec, rulebook=rulebook)
    return app, register, rulebook, codec


def parts(settings: Settings) -> tuple[Register, Rulebook, Codec]:
    """What the application of these settings is wired from."""
    return settings.register_of_topics(), open_rulebook(settings), open_codec(settings)


def follow_references(
    settings: Settings, register: Register, rulebook: Rulebook, codec: Codec, metrics: Metrics
) -> ReferenceTables | None:
    """What decisions look at besides their user, read to its end; None by the stream clock.

    There a decision must not rest on when it was made: history replays to the same result, so it sees nothing of
    what the whole system looks like now.
    """
    if settings.clock is ClockKind.STREAM:
        return None
    kafka, group = settings.kafka_config(), settings.engine_name
    tables = reference_tables.follow(
        kafka, rulebook.tables, register=register, codec=codec, group=group, metrics=metrics
    )
    tables.load()
    return tables


def refuse_what_cannot_work(settings: Settings, register: Register, codec: Codec) -> int:
    """Look at brokers and registry before anything is read.

    Returns:
        The number of partitions of the inputs.

    Raises:
        Misconfigured: what is missing or wrong there, and what to do.
    """
    cluster = Cluster(settings.kafka_config(), register)
    cluster.partitions()  # whether anybody answers, and lets this process in
    refuse_unallowed(settings)
    partitions = cluster.check()
    refuse_unmoved(settings, partitions)
    refuse_incompatible(settings, codec, register, WORKER)
    return partitions


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
    logs.take_over()
    log = logs.logger()
    stopping = _stop_on_signals(parent)
    closing = ExitStack()
    try:
        register, rulebook, codec = parts(settings)
        partitions = refuse_what_cannot_work(settings, register, codec)
        metrics = PrometheusMetrics(sets_of(register, partitions), strict=settings.metrics_strict)
        metrics.gauge("input_partitions", partitions)
        metrics.say("process", role="worker", slot=settings.slot, version=version("recourse"))
        config, clock = settings.engine(), clients.SystemClock()
        health = Health(config.longest_step_s, clock)
        if settings.metrics_port:
            Endpoint(metrics, settings.metrics_port, live=health.live, ready=health.ready)
        redis = redis_client(settings)
        watch = ClockWatch(redis, clock)
        watch.start()
        metrics.watch(watch)
        tables = follow_references(settings, register, rulebook, codec, metrics)
        privacy = at_work(settings, register, codec, redis)
        spans = open_tracer(settings) if settings.tracing else None
        for one in filter(None, (tables, privacy, spans)):
            closing.callback(one.close)
        app = appeals_app(
            name=settings.engine_name,
            register=register,
            codec=codec,
            rulebook=rulebook,
            references=None if tables is None else tables.references,
            refresh=None if tables is None else tables.refresh,
            seal=None if privacy is None else privacy.seal,
        )
        if keep_rulebook(settings, register):
            log.info("rulebook_kept", rulebook=rulebook.digest)
        worker = build(app, settings, config, redis=redis, metrics=metrics, probe=probe, tracer=spans)
        metrics.watch(worker.readings)
        health.worker = worker
        codec.prepare()
        tune_interpreter()
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
        faulthandler.dump_traceback(all_threads=True)  # which call it is
        # The hung thread would keep an ordinary exit waiting for ever; nothing of it is committed.
        os._exit(Exit.DEFECT)
    except TooManyDeadLetters as exc:
        log.error(  # noqa: TRY400
            "too_many_dead_letters", slot=settings.slot, why=str(exc)
        )
        return Exit.TOO_MANY_DEAD_LETTERS
    finally:
        closing.close()
    log.info("worker_stopped", slot=settings.slot)
    return Exit.OK


def tune_interpreter() -> None:
    """For a process that is a worker: what the interpreter's defaults would cost (docs/performance.md).

    The cycle collector becomes rare: a worker keeps hundreds of thousands of states, and none of them is a cycle. With
    the default thresholds it walks all of them again and again: a fifth of the fold's time.

    A thread that runs gives way after 1 ms instead of 5: the committer comes back from each call to the broker while
    the loop folds, and could otherwise go on only so much later.
    """
    sys.setswitchinterval(0.001)
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
