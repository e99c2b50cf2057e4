"""A compacted topic as the newest bytes of each key: nothing is decoded before it is asked for, a tombstone forgets.

For topics with a record a user, of which a page needs one: so a million users cost their bytes and no more, and what
is wrapped in them stays wrapped (docs/desk.md says how many bytes).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, cast

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec

from desk.errors import DeskError
from desk.following import reader

_ASK_S: Final = 5.0
_TAKE: Final = 1_000
_WAIT_S: Final = 0.05


class NewestBytes:
    """A view (`desk.following.View`) of one topic; any thread may read.

    Args:
        topic: On the cluster.
        kafka: To read on, when somebody asks for what has not come yet.
        name: Of the client that does.
        on_whole: Told when what was there at the start has been read.
    """

    def __init__(
        self, topic: str, kafka: Mapping[str, Any], name: str, on_whole: Callable[[], None] | None = None
    ) -> None:
        self.topic = topic
        self.whole = threading.Event()
        """What was there before has been read."""
        self._kafka = kafka
        self._name = name
        self._on_whole = on_whole
        self._newest: dict[bytes, bytes] = {}
        self._next: dict[int, int] = {}
        """By partition, the offset behind the newest record that was taken."""
        self._taking = threading.Lock()
        self._reading = threading.Lock()
        self._read_at = 0.0

    def __len__(self) -> int:
        return len(self._newest)

    def take(self, message: Message) -> None:
        """See `View`. Two may feed it: what lies before what was taken is passed over."""
        key, value = message.key(), message.value()
        partition, offset = message.partition() or 0, message.offset() or 0
        with self._taking:
            if offset < self._next.get(partition, 0):
                return
            self._next[partition] = offset + 1
            if key is None:
                return
            if value is None:
                self._newest.pop(key, None)
            else:
                self._newest[key] = value

    def caught_up(self) -> None:
        """See `View`."""
        self.whole.set()
        if self._on_whole is not None:
            self._on_whole()

    def get(self, key: str) -> bytes | None:
        """The newest bytes of a key, as far as they have come; None: none, or a tombstone."""
        return self._newest.get(key.encode())

    def read_on(self) -> None:
        """Read until where the topic ends now, so that what is missing afterwards is not there.

        Up to the uncommitted end: a transaction that is on its way may hold back what was written before this call.

        Raises:
            DeskError: Kafka does not give it in time.
        """
        asked_at = time.monotonic()
        with self._reading:
            if self._read_at > asked_at:
                return  # somebody has read on meanwhile, and began after this was asked
            began_at = time.monotonic()
            try:
                self._read_to(self._ends())
            except KafkaException as error:
                fault: KafkaError = error.args[0]
                raise DeskError(f"{self.topic}: Kafka does not give it ({fault.str()}); try again") from error
            self._read_at = began_at

    def _ends(self) -> dict[int, int]:
        """By partition, the offset behind all that was written, committed or not."""
        admin = AdminClient({**self._kafka, "log_level": 2})
        count = len(admin.list_topics(self.topic, timeout=_ASK_S).topics[self.topic].partitions)
        latest = cast("OffsetSpec", OffsetSpec.latest())
        futures = admin.list_offsets(
            {TopicPartition(self.topic, number): latest for number in range(count)},
            isolation_level=IsolationLevel.READ_UNCOMMITTED,
            request_timeout=_ASK_S,
        )
        return {place.partition: future.result().offset for place, future in futures.items()}

    def _read_to(self, ends: Mapping[int, int]) -> None:
        consumer = reader(self._kafka, self._name)
        try:
            self._read(consumer, ends)
        finally:
            consumer.close()

    def _read(self, consumer: Consumer, ends: Mapping[int, int]) -> None:
        deadline = time.monotonic() + _ASK_S
        behind = {number for number, end in ends.items() if end > self._next.get(number, 0)}
        consumer.assign(
            [TopicPartition(self.topic, number, self._next.get(number, OFFSET_BEGINNING)) for number in behind]
        )
        while behind:
            if time.monotonic() > deadline:
                raise DeskError(f"{self.topic}{sorted(behind)}: Kafka does not give what was written last; try again")
            for message in consumer.consume(_TAKE, _WAIT_S):
                error, number = message.error(), message.partition() or 0
                if error is None:
                    self.take(message)
                # Control records take offsets and are never delivered, so an end is heard of, not counted.
                elif error.code() == KafkaError._PARTITION_EOF and (message.offset() or 0) >= ends[number]:  # noqa: SLF001 - librdkafka's own code
                    behind.discard(number)
