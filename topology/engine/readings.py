"""How far a worker is behind, and what it holds in memory: worked out when somebody looks, in whatever thread.

A gauge that the loop sets would stand still with the loop. Nothing here changes anything of the worker's, and what it
reads may change meanwhile: a figure may be a batch old, which is what a scrape is anyway.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from confluent_kafka import KafkaException, TopicPartition

from topology.engine.definition import FoldApp
from topology.engine.merge import Lane, Taken
from topology.engine.partition import Partition
from topology.engine.ports import Clock, Consumer

_LOOK_S = 0.2
"""Between two looks at where the inputs end."""

Found = tuple[str, float, dict[str, str]]
"""(metric, value, labels)."""


class Readings:
    """Looks at the partitions of one worker."""

    def __init__(self, app: FoldApp[Any], consumer: Consumer, clock: Clock) -> None:
        self._app = app
        self._consumer = consumer
        self._clock = clock
        self._next_look = 0.0
        self._unseen: dict[tuple[int, int], int] = {}
        """By partition and input: since when (UTC ms) records are known to wait of which none has come."""

    def look(self, partitions: Mapping[int, Partition]) -> None:
        """Where the inputs end by now, as of the newest fetch; asked by the loop's own thread, now and then.

        The client lets one thread at a time in, and a loop that consumes again and again leaves no gap: a scrape that
        asked it waited for more than ten seconds.
        """
        now = self._clock.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + _LOOK_S
        for partition in partitions.values():
            for lane in partition.merge.lanes:
                where = TopicPartition(self._app.inputs[lane.topic], partition.number)
                try:
                    ends = self._consumer.get_watermark_offsets(where, cached=True)
                except KafkaException:  # given up just now
                    continue
                if ends is not None:
                    partition.ends[lane.topic] = max(partition.ends.get(lane.topic, 0), ends[1])

    def all(self, partitions: Mapping[int, Partition]) -> Iterator[Found]:
        """All figures."""
        held = list(partitions.values())
        now = self._clock.now_ms()
        for gone in self._unseen.keys() - {(p.number, lane.topic) for p in held for lane in p.merge.lanes}:
            self._unseen.pop(gone, None)
        for partition in held:
            for lane in partition.merge.lanes:
                yield from self._lag(partition, lane, now)
        yield from self._ahead(held, now)
        yield "states_cached", sum(len(partition.cache) for partition in held), {}
        yield "timers_in_memory", sum(len(partition.timers) for partition in held), {}
        due = [partition.next_due for partition in held if partition.next_due is not None]
        yield "timer_late_seconds", max(0, now - min(due, default=now)) / 1_000, {}

    def _lag(self, partition: Partition, lane: Lane, now: int) -> Iterator[Found]:
        if lane.topic not in partition.committed:
            return  # nobody knows yet
        labels = {"input": self._app.called(self._app.inputs[lane.topic]), "partition": str(partition.number)}
        behind = self._records(partition, lane)
        yield "input_behind_records", behind, labels
        published, happened = self._since(partition, lane, now) if behind else (now, now)
        yield "input_behind_seconds", max(0, now - published) / 1_000, {**labels, "time": "publish"}
        yield "input_behind_seconds", max(0, now - happened) / 1_000, {**labels, "time": "event"}

    def _records(self, partition: Partition, lane: Lane) -> int:
        committed = partition.committed[lane.topic]
        taken = max(lane.next_offset, committed)
        end = partition.ends.get(lane.topic, 0)
        if lane.at_end and lane.ended_at >= end:
            return taken - committed  # what lies between here and the end are control records, if anything
        return max(end, taken) - committed

    def _since(self, partition: Partition, lane: Lane, now: int) -> tuple[int, int]:
        """When the oldest record that waits was published, and when it says that it happened (UTC ms)."""
        oldest = lane.oldest
        place = partition.number, lane.topic
        if oldest is None or not oldest[0]:
            since = self._unseen.setdefault(place, now)
            return since, since
        self._unseen.pop(place, None)
        return oldest[0], self._happened(lane, oldest)

    def _happened(self, lane: Lane, record: Taken) -> int:
        """What cannot be judged has no time but that of its publishing."""
        app, message = self._app, record[4]
        if app.event_time is None or not record[3]:
            return record[0]
        try:
            key = record[3][len(app.prefix(lane.topic)) :].decode()
            return app.event_time(app.decode(lane.topic, key, message.value())) or record[0]
        except Exception:  # noqa: BLE001 - it is a dead letter when its turn comes
            return record[0]

    def _ahead(self, held: list[Partition], now: int) -> Iterator[Found]:
        for index, topic in enumerate(self._app.inputs):
            newest = max((partition.newest.get(index, 0) for partition in held), default=0)
            yield "records_ahead_seconds", max(0, newest - now) / 1_000, {"input": self._app.called(topic)}
