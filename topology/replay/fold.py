"""Folds what lies in the input topics to their end, in this process, by stream time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from confluent_kafka import Consumer, TopicPartition

from topology.cluster import Cluster
from topology.engine.clients import BrokerOffsets, NoMetrics
from topology.engine.definition import ClockKind
from topology.engine.loop import Worker
from topology.replay.load import Progress, no_progress
from topology.settings import Settings
from topology.worker import build, redis_client, wire

LOOK_S = 0.2
"""How often an idle worker's offsets are compared with the ends."""


def nothing_to_check() -> None:
    """Believe that the servers run."""


def fold_to_end(
    settings: Settings, *, progress: Progress = no_progress, check: Callable[[], None] = nothing_to_check
) -> int:
    """Process all records that the input topics hold, then leave the group.

    Load them all before: with stream time, the order of the fold is that of the records' timestamps, whatever the
    batch size, only if nothing comes later.

    Args:
        settings: where; its clock is not used.
        progress: told the records and timers folded so far.
        check: called now and then; raises when waiting on has no sense.

    Returns:
        How many records and timers were folded.
    """
    settings = settings.model_copy(update={"clock": ClockKind.STREAM, "static_membership": False})
    app, register, _rulebook, _codec = wire(settings)
    partitions = Cluster(settings.kafka_config(), register).check()
    redis = redis_client(settings)
    worker = build(app, settings, settings.engine(), redis=redis, metrics=NoMetrics())
    end = _End(settings.kafka_config(), settings.group, app.inputs, partitions)
    try:
        return _run(worker, end, progress, check)
    finally:
        end.close()


def _run(worker: Worker[Any], end: _End, progress: Progress, check: Callable[[], None]) -> int:
    done = 0
    looked = 0.0
    worker.start()
    try:
        while True:
            folded = worker.step()
            done += folded
            if folded:
                progress(done)
            elif worker.idle and time.monotonic() - looked >= LOOK_S:
                check()
                if end.reached():
                    return done
                looked = time.monotonic()
    finally:
        worker.close()


class _End:
    """Has the group committed everything up to the ends of its inputs?"""

    def __init__(self, kafka: Mapping[str, Any], group: str, inputs: tuple[str, ...], partitions: int) -> None:
        offsets = BrokerOffsets(kafka)
        numbers = list(range(partitions))
        self._bounds = {topic: offsets.bounds(topic, numbers, 30.0) for topic in inputs}
        # Only asks for the group's offsets; it never joins.
        self._reader = Consumer({**kafka, "group.id": group, "enable.auto.commit": False})

    def reached(self) -> bool:
        """True when nothing is left."""
        open_ = [
            TopicPartition(topic, number)
            for topic, bounds in self._bounds.items()
            for number, (first, end) in bounds.items()
            if end > first
        ]
        return all(
            tp.offset >= self._bounds[tp.topic][tp.partition][1] for tp in self._reader.committed(open_, timeout=30.0)
        )

    def close(self) -> None:
        """Let go of the connection."""
        self._reader.close()
