"""The one driver above the engine: `send`, `advance`, `run`, `read`, `crash`."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from tests.driver.broker import MemoryBroker
from tests.driver.checks import told
from tests.driver.clock import START_MS, ManualClock
from tests.driver.consumer import MemoryConsumer, MemoryOffsets, MemoryReader
from tests.driver.log import Record
from tests.driver.producer import MemoryProducer
from tests.driver.store import MemoryStore
from topology.engine.definition import EngineConfig, FoldApp
from topology.engine.loop import Worker
from topology.engine.ports import Tracer
from topology.engine.state import DUE_BYTES, RESERVED
from topology.engine.transaction import Step

S = TypeVar("S")

_ROUNDS = 20_000


class Crash(BaseException):
    """The process ends here: nothing of the worker runs after it, no `except Exception` sees it."""


class Stuck(AssertionError):  # noqa: N818 - what was seen, not an error of ours
    """The workers did not come to rest."""


class CountingMetrics:
    """Metrics to look at."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.gauges: dict[str, float] = {}
        self.observed: dict[tuple[str, ...], list[float]] = {}

    def count(self, name: str, by: float = 1, **labels: str) -> None:
        self.counts[name] += by

    def gauge(self, name: str, value: float, **labels: str) -> None:
        self.gauges[name] = value

    def observe(self, name: str, value: float, **labels: str) -> None:
        self.observe_all(name, [value], **labels)

    def observe_all(self, name: str, values: Sequence[float], **labels: str) -> None:
        self.counts[name] += len(values)
        self.observed.setdefault((name, *sorted(labels.values())), []).extend(values)


@dataclass
class _Slot:
    """One process: the worker and its ends."""

    worker: Worker[Any]
    consumer: MemoryConsumer
    crash_at: Step | None = None
    countdown: int = 0
    restart: bool = True


class Driver(Generic[S]):
    """Any `FoldApp` in the real engine, in an in-memory world.

    Time and ids are fixed and everything runs in the caller's thread, so a history always gives the same bytes.
    `settings` go into each worker's `EngineConfig`; with `shuffle`, a seed, consumers deliver pieces of any size
    from partitions in any order.
    """

    def __init__(
        self,
        app: FoldApp[S],
        *,
        partitions: int = 4,
        workers: int = 1,
        topics: Mapping[str, int] | None = None,
        start_ms: int = START_MS,
        static: bool = True,
        shuffle: int | None = None,
        store: MemoryStore | None = None,
        tracer: Tracer | None = None,
        **settings: Any,
    ) -> None:
        """`topics` gives further topics their number of partitions; others get `partitions` when first written."""
        self.app = app
        self.partitions = partitions
        self.clock = ManualClock(start_ms)
        self.broker = MemoryBroker(self.clock, default_partitions=partitions)
        self.faults = self.broker.faults
        self.store = store or MemoryStore(self.faults)
        self.metrics = CountingMetrics()
        self._tracer = tracer
        self.workers: dict[str, Worker[S]] = {}
        self._settings: dict[str, Any] = {"pipelined": False, **settings}
        self._static = static
        self._shuffle = None if shuffle is None else random.Random(shuffle)
        self._slots: dict[str, _Slot] = {}
        own = (*app.inputs, app.changelog, *map(app.dead_letters, app.inputs))
        for topic, count in (dict.fromkeys(own, partitions) | dict(topics or {})).items():
            self.broker.create_topic(topic, count)
        for n in range(workers):
            self.start(str(n))

    # --- the world outside ------------------------------------------------------------------------------------

    def send(
        self,
        topic: str,
        key: str | bytes | None,
        value: bytes | None,
        *,
        at: int | None = None,
        partition: int | None = None,
        headers: tuple[tuple[str, bytes | None], ...] = (),
    ) -> tuple[int, int]:
        """Write to an input topic, at `at` (UTC ms, now by default); returns (partition, offset)."""
        assert topic in self.app.inputs, f"{topic} is not an input of {self.app.name}"
        raw = key.encode() if isinstance(key, str) else key
        stamp = self.clock.now_ms() if at is None else at
        partition, offset = self.broker.append(topic, raw, value, partition=partition, timestamp=stamp, headers=headers)
        return partition, offset

    def advance(self, ms: int) -> None:
        """Let time pass; nothing runs."""
        self.clock.advance(ms)

    def read(self, topic: str, *, committed: bool = True) -> list[Record]:
        """Everything on a topic, by partition and offset."""
        return self.broker.read(topic, committed=committed)

    def dead_letters(self) -> list[Record]:
        """Everything on the dead-letter topics of the inputs."""
        return [
            record
            for topic in dict.fromkeys(map(self.app.dead_letters, self.app.inputs))
            for record in self.read(topic)
        ]

    def states(self) -> dict[str, S]:
        """The states by key, from the changelog: the truth."""
        raw: dict[bytes, bytes | None] = {record.key or b"": record.value for record in self.read(self.app.changelog)}
        return self._decoded(raw)

    def stored_states(self) -> dict[str, S]:
        """The states by key as the store holds them: the view."""
        raw: dict[bytes, bytes | None] = {}
        for partition in range(self.partitions):
            raw |= self.store.dossiers(partition)
        return self._decoded(raw)

    def shared(self) -> dict[tuple[int, bytes], bytes | None]:
        """What the engine keeps for a whole partition, by partition and reserved key, from the changelog."""
        records = self.read(self.app.changelog)
        return {(r.partition, r.key): r.value for r in records if r.key and r.key.startswith(RESERVED)}

    def stored_shared(self) -> dict[tuple[int, bytes], bytes | None]:
        """The same as the store holds it."""
        return {
            (partition, key): value
            for partition in range(self.partitions)
            for key, value in self.store.dossiers(partition).items()
            if key.startswith(RESERVED)
        }

    def outcome(self, *topics: str) -> dict[str, list]:
        """All that a run leaves for others, to compare with another run's: records by topic, and the states."""
        names = (*topics, *map(self.app.dead_letters, self.app.inputs))
        outcome: dict[str, list] = {topic: told(self.read(topic)) for topic in names}
        outcome["states"] = sorted((key, self.app.encode_state(state)) for key, state in self.states().items())
        outcome["shared"] = sorted(self.shared().items())
        return outcome

    def _decoded(self, raw: dict[bytes, bytes | None]) -> dict[str, S]:
        return {
            key.decode(): self.app.decode_state(value[DUE_BYTES:])
            for key, value in raw.items()
            if value is not None and not key.startswith(RESERVED)
        }

    # --- processes --------------------------------------------------------------------------------------------

    def start(self, slot: str) -> Worker[S]:
        """A new process under this slot; one that still runs there becomes a zombie that is never stepped again."""
        config = EngineConfig(**{"slot": slot, **self._settings})
        instance = f"{self.app.name}-{slot}" if self._static else None
        consumer = MemoryConsumer(self.broker, group=self.app.name, instance=instance, eof=True, shuffle=self._shuffle)
        worker: Worker[S] = Worker(
            self.app,
            config,
            consumer=consumer,
            producer=lambda: MemoryProducer(self.broker, f"{self.app.name}-{slot}", timeout_s=config.commit_s),
            reader=MemoryReader(self.broker, shuffle=self._shuffle),
            offsets=MemoryOffsets(self.broker),
            store=self.store,
            clock=self.clock,
            metrics=self.metrics,
            probe=lambda step: self._passing(place, step),
            tracer=self._tracer,
        )
        place = _Slot(worker, consumer)
        self._slots[slot] = place
        self.workers[slot] = worker
        worker.start()
        return worker

    def stop(self, slot: str = "0") -> None:
        """In good order; the group learns at once."""
        place = self._slots.pop(slot)
        del self.workers[slot]
        place.worker.close()
        place.consumer.leave()

    def crash(self, slot: str = "0") -> None:
        """As with SIGKILL: nothing is finished, nobody is told."""
        self._slots.pop(slot).consumer.die()
        del self.workers[slot]

    def crash_at(self, step: Step, slot: str = "0", *, nth: int = 1, restart: bool = True) -> None:
        """Crash right before the `nth` passing of a step, and start a new process in its place."""
        place = self._slots[slot]
        place.crash_at, place.countdown, place.restart = step, nth, restart

    def evict(self, slot: str = "0") -> None:
        """The group gives up on a worker (as when it was frozen); it learns at its next poll."""
        self._slots[slot].consumer.evict()

    def mislead(self, topic: str, partition: int, offset: int, slot: str = "0") -> None:
        """The worker's client will go on from there when it is next told where to read on."""
        self._slots[slot].consumer.goes_on_at[topic, partition] = offset

    def jump(self, topic: str, partition: int, offset: int, slot: str = "0") -> None:
        """The worker's client passes over what lies before it when it next fetches, without having been told to."""
        self._slots[slot].consumer.jumps_to[topic, partition] = offset

    def rebalance(self) -> None:
        """Revoke everything and hand it out again."""
        with self.broker.lock:
            self.broker.group(self.app.name).rebalance()

    def _passing(self, place: _Slot, step: Step) -> None:
        if place.crash_at is step:
            place.countdown -= 1
            if place.countdown == 0:
                place.crash_at = None
                raise Crash(step)

    # --- running ----------------------------------------------------------------------------------------------

    def step(self, slot: str = "0") -> int:
        """One round of one worker; an armed crash happens in here."""
        place = self._slots[slot]
        try:
            return place.worker.step()
        except Crash:
            self.crash(slot)
            if place.restart:
                self.start(slot)
            return 0

    def run(self, *, rounds: int = _ROUNDS) -> int:
        """Step all workers in turn until nothing is left to do; returns how much was folded.

        Raises:
            Stuck: they did not come to rest.
            EngineError: what a worker gave up with; its process has ended.
        """
        folded = 0
        quiet = 0
        for _ in range(rounds):
            done = sum(self.step(slot) for slot in list(self._slots) if slot in self._slots)
            folded += done
            quiet = 0 if done or self._busy() else quiet + 1
            if quiet > 1:
                return folded
        raise Stuck(f"after {rounds} rounds: " + ", ".join(f"{s} {w.partitions}" for s, w in self.workers.items()))

    def _busy(self) -> bool:
        group = self.broker.group(self.app.name)
        return (
            group.rebalancing
            or not all(worker.idle for worker in self.workers.values())
            or bool(self.workers and self.broker.lag(self.app.name, self.app.inputs))
        )
