"""`recourse replay`: a file into the topics that are there, or through servers of its own to a balance."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from topology.cluster import Cluster
from topology.engine.errors import Misconfigured
from topology.replay import history
from topology.replay.balance import Balance, balance
from topology.replay.fold import fold_to_end, nothing_to_check
from topology.replay.load import Pacer, load
from topology.replay.mapping_file import load_mapping
from topology.replay.outcome import read_outcomes
from topology.replay.plan import Plan, survey
from topology.replay.report import show, write_json
from topology.replay.rows import Format
from topology.settings import Settings
from topology.worker import wire


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the command line asks for."""

    path: Path
    mapping: str
    form: Format | None = None
    rate: float | None = None
    json: Path | None = None
    embedded: bool = False
    dry_run: bool = False


def replay(wanted: Wanted, settings: Settings, console: Console) -> Balance:
    """Map, load and, with servers of its own, process; show and write the balance.

    Raises:
        Misconfigured: mapping, file, broker or topics must be changed first.
    """
    plan = survey(wanted.path, load_mapping(wanted.mapping), wanted.form)
    if wanted.dry_run:
        result = balance(plan, None)
    elif wanted.embedded:
        result = _embedded(plan, settings, wanted, console)
    else:
        result = _into_topics(plan, settings, wanted, console)
    show(result, console)
    if wanted.json is not None:
        write_json(result, wanted.json)
    return result


def through(
    plan: Plan,
    settings: Settings,
    *,
    rate: float | None = None,
    console: Console | None = None,
    check: Callable[[], None] = nothing_to_check,
) -> Balance:
    """Load a plan into new topics under the settings' prefix, process it to its end, and count.

    Args:
        plan: what to load.
        settings: Kafka and Redis; prefix and group must be unused.
        rate: records a second while loading; None is no limit.
        console: shows progress, if given.
        check: called now and then; raises when waiting on has no sense.
    """
    kafka = settings.kafka_config()
    _app, register, _rulebook, codec = wire(settings)
    history.create_topics(kafka, register)
    records = sum(plan.records.values())
    with _bar(console, "loading", records) as progress:
        load(kafka, plan.made(), register=register, codec=codec, pacer=Pacer(rate), progress=progress)
    with _bar(console, "processing", records) as progress:
        fold_to_end(settings, progress=progress, check=check)
    return balance(plan, read_outcomes(kafka, register, codec))


def _embedded(plan: Plan, settings: Settings, wanted: Wanted, console: Console) -> Balance:
    try:
        from topology.embedded import EmbeddedError, embedded_services  # noqa: PLC0415 - an optional extra
    except ImportError as exc:
        raise Misconfigured(f"--embedded needs its servers: pip install 'recourse[embedded]' ({exc})") from exc
    name = f"replay-{time.time_ns() // 1_000_000:x}"
    try:
        with embedded_services() as services:
            own = settings.model_copy(
                update={
                    "kafka": services.kafka_bootstrap,
                    "redis": services.redis_url,
                    "topic_prefix": f"{settings.topic_prefix}{name}.",
                    "group": f"{settings.group}-{name}",
                    "partitioning": "",
                    # Clients that outlive their broker by a moment complain; what matters is raised.
                    "kafka_options": {"log_level": "2", **settings.kafka_options},
                }
            )
            if services.kafka is None:
                text = f"using {own.kafka}, which RECOURSE_KAFKA names; topics {own.topic_prefix}* stay there"
                console.print(text, highlight=False)
            return through(plan, own, rate=wanted.rate, console=console, check=services.check)
    except EmbeddedError as exc:
        raise Misconfigured(str(exc)) from exc


def _into_topics(plan: Plan, settings: Settings, wanted: Wanted, console: Console) -> Balance:
    register = settings.register_of_topics()
    kafka = settings.kafka_config()
    Cluster(kafka, register).check()
    if plan.first_ms is not None and plan.last_ms is not None:
        for warning in history.warnings(kafka, register, plan.first_ms, plan.last_ms):
            console.print(f"[yellow]warning[/]  {warning}", highlight=False)
    _app, register, _rulebook, codec = wire(settings)
    records = sum(plan.records.values())
    with _bar(console, "loading", records) as progress:
        load(kafka, plan.made(), register=register, codec=codec, pacer=Pacer(wanted.rate), progress=progress)
    return balance(plan, None)


@contextlib.contextmanager
def _bar(console: Console | None, what: str, total: int) -> Generator[Callable[[int], None]]:
    if console is None:
        yield lambda _done: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(f"{what:<10}", total=total)

        def advance(done: int) -> None:
            bar.update(task, completed=min(done, total))

        yield advance
        bar.update(task, completed=total)
