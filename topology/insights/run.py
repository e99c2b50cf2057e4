"""One process of the insights: checks, wiring, life and exit code."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import tempfile
from importlib.metadata import version
from pathlib import Path

from schemas.codec import Codec
from topology import logs
from topology.acls.check import refuse_unallowed
from topology.acls.rules import INSIGHTS
from topology.cluster import Cluster
from topology.engine.definition import ClockKind
from topology.engine.errors import Misconfigured
from topology.engine.ports import Metrics
from topology.exits import Exit
from topology.insights.app import INPUTS, SHARES, STATE, Runner
from topology.insights.edge import InsightsApp
from topology.insights.service import Service
from topology.metrics.labels import sets_of
from topology.metrics.prometheus import PrometheusMetrics
from topology.metrics.scrape import Endpoint
from topology.registry import open_codec
from topology.settings import Settings
from topology.subjects import refuse_incompatible
from topology.topics import Register
from topology.worker import open_rulebook

_STOP_S = 10.0


def run(settings: Settings) -> Exit:
    """Run until SIGTERM or SIGINT, which leave the group cleanly.

    What was counted since the last tick is not written then: it is read again by whoever comes next.
    """
    log = logs.logger()
    _through_structlog()
    try:
        register = settings.register_of_topics()
        codec = open_codec(settings)
        cluster = Cluster(settings.kafka_config(), register)
        cluster.partitions()  # whether anybody answers, and lets this process in
        refuse_unallowed(settings, INSIGHTS)
        partitions = same_partitions(cluster, register)
        refuse_incompatible(settings, codec, register, INSIGHTS)
        metrics = PrometheusMetrics(sets_of(register, partitions), role="insights", strict=settings.metrics_strict)
        metrics.say("process", role="insights", slot=settings.slot, version=version("recourse"))
        service = service_of(settings, register, codec, metrics, partitions=partitions)
        with tempfile.TemporaryDirectory(prefix="recourse-insights-") as folder:
            runner = Runner(settings, register, codec, service, metrics, partitions=partitions, folder=Path(folder))
            metrics.watch(runner.readings)
            if settings.metrics_port:
                Endpoint(metrics, settings.metrics_port, live=runner.live, ready=runner.ready)
            log.info("insights_started", slot=settings.slot, partitions=partitions)
            asyncio.run(_live(runner.app))
    except Misconfigured as exc:
        log.error("insights_refused", slot=settings.slot, why=str(exc))  # noqa: TRY400 - for an operator
        return Exit.MISCONFIGURED
    log.info("insights_stopped", slot=settings.slot)
    return Exit.OK


def service_of(settings: Settings, register: Register, codec: Codec, metrics: Metrics, *, partitions: int) -> Service:
    """What counts, by these settings and their rulebook.

    Raises:
        Misconfigured: the rulebook has faults.
    """
    book = open_rulebook(settings)
    return Service(
        partitions=partitions,
        codec=codec,
        allowed={source: register.by_name[name] for source, name in INPUTS.items()},
        metrics=metrics,
        grace_ms=round(settings.insights_grace_s * 1_000),
        prior=(settings.insights_prior_overturned, settings.insights_prior_upheld),
        wall=settings.clock is ClockKind.WALL,
        marks=book.tables.overflow,
        rulebook=book.digest,
    )


def same_partitions(cluster: Cluster, register: Register) -> int:
    """How many partitions the insights have.

    Raises:
        Misconfigured: not all topics that they keep in step have as many.
    """
    cluster.check()
    counts = cluster.partitions()
    found = {name: counts[register.on_cluster(name)] for name in (*INPUTS.values(), STATE, SHARES)}
    if len(set(found.values())) > 1:
        listed = ", ".join(f"{name} {n}" for name, n in found.items())
        raise Misconfigured(
            f"the insights need as many partitions of {', '.join(found)}, as a partition's state lies beside it; "
            f"found: {listed}. The state can be made again: delete {STATE} and {SHARES} and create them as many as "
            "the inputs have; case.events must have been created with as many too."
        )
    return found[STATE]


async def _live(app: InsightsApp) -> None:
    """Until a signal; a crash of the app is raised."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    await app.start()
    try:
        await app.wait(stopping.wait())
    finally:
        # After a crash Faust can wait for ever for what nobody sends any more.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(app.stop(), _STOP_S)
    if app.crash_reason is not None:
        raise app.crash_reason


def _through_structlog() -> None:
    logs.take_over()
    # "producer buffer full" at each hundredth record that a tick writes: the tick waits for it by itself.
    logging.getLogger("faust.transport.producer").setLevel(logging.ERROR)
