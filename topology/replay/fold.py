"""Folds what lies in the input topics to their end, in this process, by stream time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition

from topology.access.redis_client import redis_client
from topology.cluster import Cluster
from topology.engine.clients import BrokerOffsets, NoMetrics
from topology.engine.definition import ClockKind
from topology.engine.loop import Worker
from topology.replay.load import Progress, no_progress
from topology.settings import Settings
from topology.worker import build, keep_rulebook, wire

LOOK_S = 0.2
"""How often an idle worker's offsets are compared with the ends."""
BROKER_S = 30.0
"""One question to the broker."""
PATIENCE_S = 60.0
"""How long the broker may not know the group's offsets."""


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
    keep_rulebook(settings, register)
    worker = build(app, settings, settings.engine(), redis=redis, metrics=NoMetrics())
    end = _End(settings.kafka_config(), settings.engine_name, app.inputs, partitions)
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
        self._offsets = BrokerOffsets(kafka)
        self._inputs = inputs
        self._numbers = list(range(partitions))
        self._ends: dict[tuple[str, int], int] | None = None
        """Where each partition that holds anything ends; nothing comes later."""
        self._silent_since: float | None = None
        # Only asks for the group's offsets; it never joins.
        self._reader = Consumer({**kafka, "group.id": group, "enable.auto.commit": False})

    def reached(self) -> bool:
        """True when nothing is left; False also while new topics get their leaders and the group its coordinator."""
        try:
            left = self._left()
        except KafkaException:
            # Which errors pass is not marked here: a fresh broker gives several. One that stays is raised.
            if self._silent_since is None:
                self._silent_since = time.monotonic()
            if time.monotonic() - self._silent_since > PATIENCE_S:
                raise
            return False
        self._silent_since = None
        return not left

    def _left(self) -> bool:
        if self._ends is None:
            bounds = {topic: self._offsets.bounds(topic, self._numbers, BROKER_S) for topic in self._inputs}
            self._ends = {
                (topic, number): end
                for topic, found in bounds.items()
                for number, (first, end) in found.items()
                if end > first
            }
        open_ = [TopicPartition(topic, number) for topic, number in self._ends]
        committed = self._reader.committed(open_, timeout=BROKER_S) if open_ else []
        return any(tp.offset < self._ends[tp.topic, tp.partition] for tp in committed)

    def close(self) -> None:
        """Let go of the connection."""
        self._reader.close()
