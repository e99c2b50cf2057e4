"""The Faust app: agents that hand records on, one table for all state, a timer that ticks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaException

from processors.insights.shard import ENFORCEMENTS, LINES
from schemas import Codec, RegistryUnavailableError
from schemas.records import Record
from topology import logs
from topology.engine.errors import Misconfigured
from topology.insights.edge import InsightsApp, StateTable
from topology.insights.gauges import show
from topology.insights.in_force import marks_of
from topology.insights.service import Service
from topology.insights.settings import faust_settings
from topology.metrics.prometheus import PrometheusMetrics
from topology.rulebooks import RulebookNotKept
from topology.settings import Settings
from topology.topics import Register

INPUTS = {LINES: "case.events", ENFORCEMENTS: "enforcement.events"}
STATE, SHARES = "insights.state", "insights.partials"
_ATTEMPT_S = 1.0
_DRAINED_S = 0.01
_SHOWN_S = 5.0
"""How often the gauges are set anew."""


class FaustOut:
    """`Out` on the app's producer."""

    def __init__(self, app: InsightsApp, table: StateTable, register: Register, codec: Codec) -> None:
        self._table = table
        self._codec = codec
        self._full = {topic.name: register.on_cluster(topic.name) for topic in register.topics}
        self._topics = {name: raw_topic(app, full) for name, full in self._full.items()}

    def keep(self, partition: int, key: bytes, value: bytes | None) -> None:
        """See `Out`; the key says the partition."""
        del partition
        if value is not None:
            self._table[key] = value
        elif key in self._table:
            del self._table[key]

    def share(self, partition: int, key: bytes, value: bytes | None) -> None:
        """See `Out`."""
        self._topics[SHARES].send_soon(key=key, value=value, partition=partition)

    def publish(self, topic: str, key: bytes, record: Record | None) -> None:
        """See `Out`."""
        value = None if record is None else self._codec.encode(record, self._full[topic])
        self._topics[topic].send_soon(key=key, value=value, partition=0)


def raw_topic(app: InsightsApp, name: str) -> Any:
    """A topic whose keys and values Faust leaves alone."""
    return app.topic(name, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")


class Runner:
    """The app, its table and what runs on them.

    Args:
        settings: where and how.
        register: the topics, with their prefix.
        codec: writes figures.
        service: what happens.
        metrics: where the figures are shown.
        partitions: of the inputs.
        folder: Faust wants one; nothing is kept there.
    """

    def __init__(
        self,
        settings: Settings,
        register: Register,
        codec: Codec,
        service: Service,
        metrics: PrometheusMetrics,
        *,
        partitions: int,
        folder: Path,
    ) -> None:
        self._service = service
        self._metrics = metrics
        # A tick waits for the brokers to take what it wrote; a start waits for its state.
        self._longest_s = settings.insights_tick_s + 10 * settings.session_s
        self._register = register
        self._kafka = settings.kafka_config()
        self._shown_at = 0.0
        self._ticked_at: float | None = None
        """None: its state is not back yet, which takes as long as there is much of it."""
        self._held = False
        self.app = app = InsightsApp(**faust_settings(settings, partitions, folder))
        self._inputs = {register.on_cluster(name): source for source, name in INPUTS.items()}
        shares = register.on_cluster(SHARES)
        app.sources = frozenset({*self._inputs, shares})
        app.position = lambda topic, partition: service.position(self._inputs.get(topic, SHARES), partition)
        self._table = StateTable(
            app,
            name="state",
            key_type=bytes,
            value_type=bytes,
            partitions=partitions,
            changelog_topic=raw_topic(app, register.on_cluster(STATE)),
        )
        app.tables.add(self._table)
        self._out = FaustOut(app, self._table, register, codec)
        self._table.on_recover(self._recovered)
        for name, source in self._inputs.items():
            app.agent(raw_topic(app, name), name=f"insights.{source}")(self._reader(source))
        app.agent(raw_topic(app, shares), name="insights.shares")(self._add_up)
        app.timer(settings.insights_tick_s)(self._tick)

    @property
    def silent_s(self) -> float:
        """Seconds since the newest tick began, 0 before the first; any thread may ask."""
        return 0.0 if self._ticked_at is None else time.monotonic() - self._ticked_at

    def live(self) -> str | None:
        """None while ticks come; see `topology.health`."""
        if self.silent_s <= self._longest_s:
            return None
        return f"no tick for {self.silent_s:.0f} s; more than {self._longest_s:.0f} s cannot be waiting for somebody"

    def ready(self) -> str | None:
        """None while partitions are held and their state is back."""
        if self.app.rebalancing:
            return "the group is being rebalanced"
        return None if self._held else "no partitions are assigned, or their state is not back yet"

    def readings(self) -> Iterator[tuple[str, float, dict[str, str]]]:
        """What is worked out when somebody looks."""
        yield "insights_silent_seconds", self.silent_s, {}

    async def _recovered(self) -> None:
        """The table is as it was kept; nothing has been read since the partitions came."""
        held = {tp.partition for tp in self.app.consumer.assignment() if tp.topic in self._inputs}
        self._service.assign(held, self._table.data.items())
        self._held = bool(held)
        self._metrics.gauge("insights_partitions_assigned", len(held))

    def _reader(self, source: str) -> Callable[[Any], Awaitable[None]]:
        async def read(stream: Any) -> None:
            async for event in stream.events():
                await self._take(source, event)

        return read

    async def _take(self, source: str, event: Any) -> None:
        message = event.message
        while True:
            try:
                self._service.take(source, message.partition, message.offset, event.value, now_ms())
            except RegistryUnavailableError:  # the record may be a good one: wait, as the engine does
                self._metrics.count("insights_registry_waits_total")
                await asyncio.sleep(_ATTEMPT_S)
            else:
                return

    async def _add_up(self, stream: Any) -> None:
        async for event in stream.events():
            message = event.message
            self._service.take_share(message.partition, message.offset, event.key, event.value)

    async def _tick(self) -> None:
        started = time.perf_counter()
        self._ticked_at = time.monotonic()
        if self.app.rebalancing or not self._service.shards:
            return
        await self._follow_the_rulebook()
        published = self._service.tick(now_ms(), self._out)
        if started - self._shown_at >= _SHOWN_S:
            show(self._service, self._metrics, now_ms())
            self._shown_at = started
        await self._sent()
        self._metrics.count("insights_figures_published_total", published)
        self._metrics.observe("insights_tick_seconds", time.perf_counter() - started)

    async def _follow_the_rulebook(self) -> None:
        digest = self._service.in_force.changed_to(now_ms())
        if digest is None:
            return
        try:
            marks = await asyncio.to_thread(marks_of, self._kafka, self._register, digest)
        except RulebookNotKept as exc:
            self._service.in_force.give_up(digest)
            logs.logger().warning("rulebook_not_followed", digest=digest, why=str(exc))
        except (Misconfigured, KafkaException) as exc:
            self._service.in_force.try_later(now_ms())
            logs.logger().warning("rulebook_not_followed", digest=digest, why=f"{exc}; asks again")
        else:
            self._service.go_by(digest, marks)
            logs.logger().info("rulebook_followed", digest=digest)

    async def _sent(self) -> None:
        """All that was written has been taken by the brokers: the next tick rests on it."""
        producer = self.app.producer
        while producer.buffer.size:  # noqa: ASYNC110 - Faust has no event for it, and its own flush gives up in 0.1 s
            await asyncio.sleep(_DRAINED_S)
        await producer.flush()


def now_ms() -> int:
    """The machine's clock."""
    return int(time.time() * 1_000)
