"""The ledger on a real Kafka and Redis: one worker, in a thread of the tests or as a process to kill.

As a process: `python -m tests.topology.worker <bootstrap> <redis url> <topic prefix> <slot>`.
"""

import sys
import threading
from typing import Any, Self

from tests.driver.driver import CountingMetrics
from tests.topology.ledger import ledger
from topology.engine import clients
from topology.engine.definition import EngineConfig
from topology.engine.loop import Worker
from topology.engine.redis_store import RedisStore, connect

SESSION_S = 30.0
"""Longer than a broker takes to come back: librdkafka fences a static member that timed out (its issue #3437)."""


def build(
    bootstrap: str, redis_url: str, prefix: str, slot: str, *, session_s: float = SESSION_S, **settings: Any
) -> Worker:
    """A worker that has not started yet."""
    kafka = {"bootstrap.servers": bootstrap, "log_level": 0}
    app = ledger(prefix)
    config = EngineConfig(**{"slot": slot, "batch_records": 500, **settings})
    return Worker(
        app,
        config,
        consumer=clients.consumer(kafka, group=app.name, config=config, static=True, session_s=session_s),
        producer=lambda: clients.producer(kafka, group=app.name, config=config),
        reader=clients.changelog_reader(kafka, group=app.name),
        offsets=clients.BrokerOffsets(kafka),
        store=RedisStore(connect(redis_url, mode="single"), namespace=app.name),
        clock=clients.SystemClock(),
        metrics=CountingMetrics(),
    )


class Running:
    """A worker in a thread of its own; what it raises is raised again by `stop`."""

    def __init__(self, *args: str, **settings: Any) -> None:
        self.worker = build(*args, **settings)
        self._stopping = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=f"worker-{args[-1]}")
        self._thread.start()

    @property
    def counts(self) -> dict[str, float]:
        """The worker's counters."""
        return self.worker._metrics.counts

    def _run(self) -> None:
        try:
            self.worker.run(self._stopping.is_set)
        except BaseException as exc:  # noqa: BLE001 - told by `stop`
            self._failure = exc

    def stop(self) -> None:
        """Finish what is in flight, leave the group."""
        self._stopping.set()
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


if __name__ == "__main__":
    build(*sys.argv[1:]).run(lambda: False)
