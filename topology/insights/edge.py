"""What of Faust is replaced: how its consumer reads, where it goes on after a start, and where its table writes.

Faust commits what was acknowledged, and flushes its producer before only as long as that takes no more than a tenth of
a second; so a commit can run ahead of the changelog, and a kill then loses what lies between. Therefore the place to go
on is not the committed offset: it is kept in the table, after what it vouches for (`processors/insights/shard`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import faust
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from topology.engine.errors import Misconfigured

Position = Callable[[str, int], int | None]
"""Topic and partition to the newest offset whose effect is kept."""
_ISOLATION = "_isolation_level"


class _Thread(driver.AIOKafkaConsumerThread):
    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        # Faust asks for committed records only within its own transactions. Ours come from the engine's.
        if getattr(consumer, _ISOLATION, None) != "read_uncommitted":
            raise Misconfigured("this aiokafka keeps its isolation level elsewhere; use the version in constraints.txt")
        setattr(consumer, _ISOLATION, "read_committed")
        return consumer


class _Consumer(driver.Consumer):
    def _new_consumer_thread(self) -> _Thread:
        return _Thread(self, loop=self.loop, beacon=self.beacon)

    async def perform_seek(self) -> None:
        """Go to what the table says, whatever was committed."""
        await super().perform_seek()
        app = cast("InsightsApp", self.app)
        for tp in app.consumer.assignment():
            if tp.topic in app.sources:
                kept = app.position(tp.topic, tp.partition)
                offset = kept + 1 if kept is not None else await self._beginning(tp)
                await self.seek(tp, offset)
                self._read_offset[tp] = offset if offset > 0 else None
                self._committed_offset[tp] = offset if offset > 0 else None

    async def _beginning(self, tp: TP) -> int:
        return (await self.earliest_offsets(tp))[tp]


class _Transport(driver.Transport):
    Consumer = _Consumer


def _from_the_beginning(_topic: str, _partition: int) -> int | None:
    return None


class InsightsApp(faust.App):
    """A Faust app that goes on where its state says."""

    sources: frozenset[str] = frozenset()
    position: Position = staticmethod(_from_the_beginning)

    def _new_transport(self) -> Any:
        return _Transport(self.conf.broker_consumer, self)


class StateTable(faust.Table[bytes, bytes]):
    """A table whose keys begin with the partition that they belong to, so that it can be written on a tick too."""

    def partition_for_key(self, key: bytes) -> int:
        """The number before the first bar."""
        return int(key.partition(b"|")[0])
