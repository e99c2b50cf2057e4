"""`recourse simulate`: the inputs, two rulebooks, what differs; nothing is written but what is asked for."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import msgspec
from rich.console import Console

from processors.rulebook import Rulebook
from topology.appeals import State, appeals_app
from topology.engine.definition import FoldApp
from topology.engine.errors import Misconfigured
from topology.registry import open_codec
from topology.replay.mapping_file import load_mapping
from topology.replay.plan import Plan
from topology.replay.rows import Format
from topology.replay.times import parse_ms
from topology.rulebook_file import PACKAGED, RulebookError, load_rulebook
from topology.settings import Settings
from topology.simulate.books import book_changes
from topology.simulate.both import both
from topology.simulate.compare import ALL, Window, compare
from topology.simulate.from_topics import from_topics
from topology.simulate.recorded import Recorded, from_made
from topology.simulate.report import Book, Result, show
from topology.topics import Register


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the command line asks for."""

    rulebook: Path
    against: Path | None = None
    """None: the one in force by the settings."""
    file: Path | None = None
    """None: the input topics."""
    mapping: str | None = None
    form: Format | None = None
    window: Window = ALL
    examples: int = 5
    json: Path | None = None


def parse_window(since: str | None, until: str | None) -> Window:
    """The window between two times as they are typed: ISO 8601, UTC if they do not say.

    Raises:
        Misconfigured: one is no time, or nothing lies between them.
    """
    window = Window(_time("--since", since), _time("--until", until))
    if window.since is not None and window.until is not None and window.since >= window.until:
        raise Misconfigured(f"nothing lies between --since {since} and --until {until}")
    return window


def simulate(wanted: Wanted, settings: Settings, console: Console) -> Result:
    """Fold twice, compare, show.

    Raises:
        Misconfigured: a rulebook has faults, or file, mapping, broker or topics must be changed first.
    """
    if (wanted.file is None) != (wanted.mapping is None):
        raise Misconfigured("--file and --mapping belong together: the mapping says what the file's rows mean")
    began = time.monotonic()
    old_path, new_path = wanted.against or settings.rulebook or PACKAGED, wanted.rulebook
    old, new = _rulebook(old_path), _rulebook(new_path)
    register = settings.register_of_topics()
    apps = [_app(settings, register, book) for book in (old, new)]
    recorded = _recorded(wanted, settings, register, apps[0])
    fates = both(apps[0], apps[1], recorded)
    differences = book_changes(old, new)
    result = Result(
        source=recorded.source,
        notes=[*recorded.notes, *_homeless(register, new)],
        old=Book(old.name, old.digest, str(old_path)),
        new=Book(new.name, new.digest, str(new_path)),
        inputs=recorded.count,
        since=wanted.window.since,
        until=wanted.window.until,
        rulebook=differences,
        comparison=compare(*fates, books=differences, window=wanted.window),
        seconds=round(time.monotonic() - began, 1),
    )
    show(result, console, wanted.examples)
    if wanted.json is not None:
        _write(result, wanted.json)
    return result


def _time(option: str, text: str | None) -> int | None:
    at = None if text is None else parse_ms(text)
    if text is not None and at is None:
        raise Misconfigured(f"{option} {text}: write a time as 2026-01-31 or 2026-01-31T08:00:00Z")
    return at


def _rulebook(path: Path) -> Rulebook:
    try:
        return load_rulebook(path)
    except RulebookError as exc:
        raise Misconfigured(str(exc)) from exc


def _app(settings: Settings, register: Register, book: Rulebook) -> FoldApp[State]:
    """The application under a rulebook; a pod that it names need not have a topic yet, as nothing is written there."""
    pattern = next(topic for topic in register.topics if topic.name.startswith("cases."))
    planned = [pattern.model_copy(update={"name": f"cases.{pod}"}) for pod in _without_topic(register, book)]
    wider = register.model_copy(update={"topics": (*register.topics, *planned)})
    return appeals_app(name=settings.engine_name, register=wider, codec=open_codec(settings), rulebook=book)


def _without_topic(register: Register, book: Rulebook) -> list[str]:
    return sorted({pod.name for pod in book.pods} - set(register.pods))


def _homeless(register: Register, book: Rulebook) -> list[str]:
    return [
        f"pod {pod} has no topic yet: create it before this rulebook is used" for pod in _without_topic(register, book)
    ]


def _recorded(wanted: Wanted, settings: Settings, register: Register, app: FoldApp[State]) -> Recorded:
    if wanted.file is None or wanted.mapping is None:
        return from_topics(settings.kafka_config(), register, app)
    plan = Plan(wanted.file, load_mapping(wanted.mapping), wanted.form)
    return from_made(plan.made(), register, f"{wanted.file.name}, mapping {plan.mapping.name}")


def _write(result: Result, path: Path) -> None:
    document = {"differs": result.comparison.differs, **msgspec.to_builtins(result)}
    try:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n")
    except OSError as exc:
        raise Misconfigured(f"{path}: cannot be written: {exc.strerror}") from exc
