"""A topic keyed by user, so that all records of one user can be read at once: where each lies, and the newest bytes.

Offsets cost eight bytes a record; the bytes of the newest records are kept, older ones are read from Kafka when they
are asked for. It is filled from both ends: what comes now, and, in the background, what was there before.
"""

from __future__ import annotations

import threading
import time
from array import array
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from confluent_kafka import Consumer, Message, TopicPartition

from desk.errors import DeskError
from desk.following import reader

_FETCH_S: Final = 8.0


@dataclass(frozen=True, slots=True)
class Kept:
    """One record as it lies in its topic."""

    partition: int
    offset: int
    value: bytes


class KeyedLog:
    """A view (`desk.following.View`) of one topic; any thread may read.

    Args:
        topic: On the cluster.
        kafka: To read what is not in memory any more.
        name: Of the client that does.
        keep_records: How many records' bytes stay in memory.
        each: Told of each record, whichever end it came from.
    """

    def __init__(
        self,
        topic: str,
        kafka: Mapping[str, Any],
        name: str,
        *,
        keep_records: int,
        each: Callable[[Message], None] | None = None,
    ) -> None:
        self.topic = topic
        self.whole = threading.Event()
        """What was there before has been read."""
        self._kafka = kafka
        self._name = name
        self._keep = keep_records
        self._each = each
        self._lock = threading.Lock()
        self._places: dict[bytes, array[int]] = {}
        """By key: the partition, then the offsets as they were met."""
        self._newest: dict[tuple[int, int], bytes] = {}
        self._order: deque[tuple[int, int]] = deque()
        self._consumer: Consumer | None = None
        self._fetching = threading.Lock()

    def __len__(self) -> int:
        return sum(len(places) - 1 for places in list(self._places.values()))

    def take(self, message: Message) -> None:
        """See `View`."""
        key, value = message.key(), message.value()
        if key is None or value is None:
            return
        partition, offset = message.partition() or 0, message.offset() or 0
        with self._lock:
            places = self._places.get(key)
            if places is None:
                places = self._places[key] = array("q", (partition,))
            places.append(offset)
            self._newest[partition, offset] = value
            self._order.append((partition, offset))
            if len(self._order) > self._keep:
                self._newest.pop(self._order.popleft(), None)
        if self._each is not None:
            self._each(message)

    def caught_up(self) -> None:
        """See `View`."""
        self.whole.set()

    def read(self, key: str) -> list[Kept]:
        """All records of a key, in the order of the topic.

        Raises:
            DeskError: Kafka does not give what is not in memory.
        """
        with self._lock:
            places = self._places.get(key.encode())
            if places is None:
                return []
            partition, offsets = places[0], sorted(set(places[1:]))
            found = {offset: self._newest.get((partition, offset)) for offset in offsets}
        missing = [offset for offset, value in found.items() if value is None]
        if missing:
            found |= self._fetch(partition, missing)
        return [Kept(partition, offset, value) for offset, value in found.items() if value is not None]

    def close(self) -> None:
        """Give the connection back."""
        with self._fetching:
            if self._consumer is not None:
                self._consumer.close()
                self._consumer = None

    def _fetch(self, partition: int, offsets: list[int]) -> dict[int, bytes]:
        """Read these offsets from Kafka, in their order; near ones are read through, far ones are jumped to."""
        deadline = time.monotonic() + _FETCH_S
        found: dict[int, bytes] = {}
        with self._fetching:
            if self._consumer is None:
                self._consumer = reader(self._kafka, self._name)
            consumer, position = self._consumer, -1
            for wanted in offsets:
                if not 0 <= wanted - position < _NEAR or position < 0:
                    consumer.assign([TopicPartition(self.topic, partition, wanted)])
                while wanted not in found:
                    message = consumer.poll(0.2)
                    if time.monotonic() > deadline:
                        raise DeskError(f"{self.topic}[{partition}]@{wanted}: Kafka does not give it; try again")
                    if message is None or message.error() is not None:
                        continue
                    offset, value = message.offset() or 0, message.value()
                    if value is not None and wanted <= offset:
                        found[offset] = value
                    position = offset + 1
                    if offset >= wanted:
                        break
        return {offset: value for offset, value in found.items() if offset in set(offsets)}


_NEAR: Final = 2_000
"""Records that are sooner read through than jumped over."""
