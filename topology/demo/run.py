"""The course of a demo: servers, topics, workers, the simulated world; then drain, stop, and count from the topics."""

from __future__ import annotations

import contextlib
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path

from confluent_kafka import KafkaException
from rich.console import Console
from rich.live import Live

from schemas.codec import Codec
from topology.demo import desk, report, screen
from topology.demo.balance import Line, balance
from topology.demo.clock import now_ms
from topology.demo.errors import DemoError
from topology.demo.readback import read_facts
from topology.demo.room import clear, create_topics, new_room
from topology.demo.systems.afterwards import OPERATOR
from topology.demo.traffic import Plan
from topology.demo.workers import Workers, write_rulebook
from topology.demo.world import Room, World, begin
from topology.embedded import EmbeddedError, Services, embedded_services, external_kafka, external_redis

DRAIN_S = 45.0
"""How long the pipeline may take to work off what is in it, once nothing more is fed."""
_WORK_OFF_S = 10.0
"""How long specialists go on to take cases then; what is left stays open."""
_QUIET_S = 1.0
"""Nothing may have moved for this long before the pipeline counts as drained."""
_FRAME_S = 0.25
_LINE_S = 2.0
_LAG_S = 0.5


@dataclass(frozen=True)
class Options:
    """What the command line says."""

    seconds: float = 60.0
    rate: float = 400.0
    appeal_times: float = 3.0
    workers: int = 2
    seed: int = 1
    data_dir: Path | None = None
    keep: bool = False
    plain: bool = False
    metrics_port: int = 0
    """Where the first worker answers scrapes; each other process at the port after it. 0: none does."""
    desk: bool = True
    """Whether the desk is started too, if it is installed."""


@dataclass
class _Interrupts:
    """How often somebody asked to stop: once to stop feeding, twice to stop draining too."""

    count: int = 0

    def __call__(self, _signal: int, _frame: object) -> None:
        self.count += 1


@dataclass
class Result:
    """How a demo ended."""

    lines: list[Line] = field(default_factory=list[Line])
    faults: list[str] = field(default_factory=list[str])

    @property
    def good(self) -> bool:
        """Is every line even, and did nothing else go wrong?"""
        return not self.faults and all(line.even for line in self.lines)


def run(options: Options, console: Console) -> int:
    """Run a demo and print its balance.

    Returns:
        0 when the balance comes out even and nothing died; 1 otherwise.
    """
    keep = options.keep or options.data_dir is not None
    folder = (options.data_dir or Path(tempfile.mkdtemp(prefix="recourse-demo-"))).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with embedded_services(folder, keep=keep) as services:
            result = _Demo(options, services, folder, console).run()
    except EmbeddedError as exc:
        raise DemoError(str(exc)) from exc
    except KafkaException as exc:
        raise DemoError(f"Kafka does not answer any more ({exc.args[0].str()}); logs: {folder}") from exc
    if result.good and not keep:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        console.print(f"logs and data: {folder}", highlight=False, soft_wrap=True)
    return 0 if result.good else 1


class _Demo:
    def __init__(self, options: Options, services: Services, folder: Path, console: Console) -> None:
        self._options = options
        self._services = services
        self._folder = folder
        self._console = console
        self._interrupts = _Interrupts()
        self._settings, self._register = new_room(services.kafka_bootstrap, services.redis_url)
        self._kafka = self._settings.kafka_config()
        self._codec = Codec()
        self._result = Result()
        self._desk_port = desk.free_port() if options.desk and desk.installed() else 0

    def run(self) -> Result:
        """All of it; whatever happens, no process or thread of ours is left."""
        create_topics(self._settings, self._register)
        rulebook = write_rulebook(self._folder)
        workers = Workers(
            self._settings,
            rulebook,
            count=self._options.workers,
            folder=self._folder / "logs",
            metrics_port=self._options.metrics_port,
            desk_port=self._desk_port,
        )
        with _caught(self._interrupts), contextlib.ExitStack() as running:
            running.callback(workers.stop)
            workers.start()
            self._console.print(f"starting {self._options.workers} workers, logs in {workers.logs}", highlight=False)
            if self._desk_port:
                self._console.print(f"the desk, where you can take cases: {self._desk}", highlight=False)
            workers.wait_until_ready(lambda: self._interrupts.count > 0)
            world = running.enter_context(self._begin())
            self._play(world, workers)
            self._result.faults += workers.stop()
            self._settle(world)
        self._result.faults += [f"the broker refused {n:,} records: {why}" for why, n in world.ledger.refused.items()]
        facts = read_facts(
            self._kafka,
            self._register,
            self._codec,
            group=self._settings.group,
            ledger=world.ledger,
            systems=world.systems,
            staff=world.specialists.names | {OPERATOR},
        )
        self._result.lines = balance(facts)
        report.show(self._console, self._result.lines, self._result.faults, world.scene)
        if self._result.good and not self._options.keep:
            self._clear()
        return self._result

    def _clear(self) -> None:
        """Servers of our own go with their data; on somebody else's we tidy up."""
        if external_kafka() is not None or external_redis() is not None:
            clear(self._settings, self._register)

    def _begin(self) -> contextlib.AbstractContextManager[World]:
        options = self._options
        return begin(
            Plan(options.seed, options.seconds, options.rate, options.appeal_times, now_ms()),
            Room(self._kafka, self._register, self._codec, self._settings.group),
            workers=options.workers,
            folder=self._folder,
            servers=f"Kafka {self._services.kafka_bootstrap}",
            desk=self._desk,
        )

    @property
    def _desk(self) -> str:
        return desk.address(self._desk_port) if self._desk_port else ""

    # --- phases -----------------------------------------------------------------------------------------------

    def _play(self, world: World, workers: Workers) -> None:
        """Feed, then drain. A worker or a thread that ends by itself ends the play; the balance is still read."""
        frame = self._frames(world)
        picture = screen.Screen(world.scene, self._register.pods)
        with contextlib.ExitStack() as shown:
            if self._pictured():
                live = Live(picture, console=self._console, screen=True, auto_refresh=False)
                shown.enter_context(live)
                frame = _both(frame, live.refresh)
            try:
                world.scene.phase, world.scene.began_s = "live", time.monotonic()
                world.feeder.start()
                while world.feeder.is_alive() and not self._interrupts.count:
                    self._check(world, workers)
                    frame()
                world.feeder.stop()
                world.feeder.join()
                world.scene.phase = "draining"
                self._drain(world, workers, frame)
            except (DemoError, EmbeddedError) as exc:
                self._result.faults.append(str(exc))
        world.scene.phase = "stopping"

    def _drain(self, world: World, workers: Workers, frame: Callable[[], None]) -> None:
        began = quiet_since = time.monotonic()
        work_off_s = 0.0 if self._interrupts.count else _WORK_OFF_S
        before = self._interrupts.count
        while True:
            now = time.monotonic()
            if now - began >= work_off_s or not world.scene.view.open:
                world.specialists.close_shop()
            if not world.at_rest:
                quiet_since = now
            if now - quiet_since >= _QUIET_S:
                return
            if self._interrupts.count > before:
                return
            if now - began > DRAIN_S:
                raise DemoError(f"the pipeline did not come to rest within {DRAIN_S:.0f} s; {screen.line(world.scene)}")
            self._check(world, workers)
            frame()

    def _settle(self, world: World) -> None:
        """The workers have stopped: let the systems hear of the last orders, so that they know what they owe."""
        deadline = time.monotonic() + 5
        world.specialists.close_shop()
        while not world.systems.caught_up and time.monotonic() < deadline:
            time.sleep(_FRAME_S)
        world.scene.outbox.flush(10)

    def _check(self, world: World, workers: Workers) -> None:
        self._services.check()
        workers.check()
        for thread in (world.feeder, world.systems, world.specialists, world.view):
            if thread.failure is not None:
                raise DemoError(f"{thread.name} failed: {thread.failure!r}") from thread.failure

    def _pictured(self) -> bool:
        width, height = self._console.size
        fits = width >= screen.SMALL[0] and height >= screen.SMALL[1]
        return self._console.is_terminal and not self._console.is_dumb_terminal and not self._options.plain and fits

    def _frames(self, world: World) -> Callable[[], None]:
        """A function that waits for the next frame, and prints a line now and then where there is no picture."""
        plain = not self._pictured()
        next_lag = next_line = 0.0

        def frame() -> None:
            nonlocal next_lag, next_line
            time.sleep(_FRAME_S)
            now = time.monotonic()
            world.scene.sample()
            if now >= next_lag:
                world.scene.unread, next_lag = world.lag.unread(), now + _LAG_S
            if plain and now >= next_line:
                next_line = now + _LINE_S
                self._console.print(screen.line(world.scene), highlight=False, soft_wrap=True)

        return frame


@contextlib.contextmanager
def _caught(interrupts: _Interrupts) -> Generator[None]:
    """Ctrl-C and SIGTERM end the demo in good order."""
    before = {number: signal.signal(number, interrupts) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _both(first: Callable[[], None], second: Callable[[], None]) -> Callable[[], None]:
    def both() -> None:
        first()
        second()

    return both
