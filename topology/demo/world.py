"""The simulated world around the engine: who sends, who answers, who looks on; begun and ended together."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.codec import Codec
from topology.demo.actors import Actor
from topology.demo.feeder import Feeder
from topology.demo.outbox import Ledger, Outbox
from topology.demo.readback import CASE_EVENTS
from topology.demo.reading import Reader
from topology.demo.scene import Scene
from topology.demo.specialists import CASES, Specialists
from topology.demo.systems import RESOLUTIONS, EnforcementSystems
from topology.demo.traffic import ENFORCEMENTS, Plan, staff_needed
from topology.demo.view import DEAD_LETTERS, MISFIRES, View
from topology.lag import Lag
from topology.topics import Register


@dataclass(frozen=True)
class Room:
    """Where it all happens: how to reach the cluster, the topics, the codec, the workers' group."""

    kafka: dict[str, Any]
    register: Register
    codec: Codec
    group: str

    def reader(self, name: str, *topics: str) -> Reader:
        """A reader of these topics, under a name of its own."""
        return Reader(self.kafka, self.register, self.codec, topics, name=f"{self.group}-{name}")


@dataclass(frozen=True)
class World:
    """Who takes part."""

    scene: Scene
    feeder: Feeder
    systems: EnforcementSystems
    specialists: Specialists
    view: View
    lag: Lag

    @property
    def ledger(self) -> Ledger:
        """What the senders have sent."""
        return self.scene.outbox.ledger

    @property
    def at_rest(self) -> bool:
        """Has everybody read and done everything?"""
        return (
            self.scene.unread == 0
            and self.specialists.idle
            and not self.systems.in_hand
            and all(actor.caught_up for actor in (self.systems, self.specialists, self.view))
        )


@contextlib.contextmanager
def begin(plan: Plan, room: Room, *, workers: int, folder: Path, servers: str, desk: str = "") -> Generator[World]:
    """Everybody reads and waits; the feeder is there but has not begun. At the end of the block all have ended."""
    with contextlib.ExitStack() as threads:
        outbox = Outbox(room.kafka, room.register, room.codec)
        threads.callback(outbox.close)
        pods = [CASES + pod for pod in room.register.pods]
        queues = [topic.name for topic in room.register.topics if topic.name.endswith(DEAD_LETTERS)]
        view = View(room.reader("view", *pods, *queues, CASE_EVENTS, RESOLUTIONS, MISFIRES), outbox)
        systems = EnforcementSystems(room.reader("systems", ENFORCEMENTS, RESOLUTIONS), outbox, seed=plan.seed)
        specialists = Specialists(
            room.reader("specialists", *pods),
            outbox,
            pods=room.register.pods,
            cases_a_second=staff_needed(plan),
            seed=plan.seed,
        )
        lag = Lag(room.kafka, room.register, room.group)
        threads.callback(lag.close)
        actors: list[Actor] = [view, systems, specialists]
        for actor in actors:
            actor.start()
            threads.callback(actor.end)
        feeder = Feeder(plan, outbox)
        threads.callback(feeder.stop)
        scene = Scene(
            plan=plan,
            outbox=outbox,
            view=view,
            systems=systems,
            folder=folder,
            servers=servers,
            desk=desk,
            workers=workers,
            specialists=specialists.seats,
        )
        yield World(scene, feeder, systems, specialists, view, lag)
