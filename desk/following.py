"""Reads whole topics in a thread: committed records only, by assignment, outside any group, from a place on.

A reviewer tool keeps nothing, so there is no offset to commit: what it shows is what the topics hold.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from desk.errors import Misconfigured

_ASK_S: Final = 10.0
_TAKE: Final = 1_000
_WAIT_S: Final = 0.05
"""How long a round waits for more: as long as a record may lie unseen that is not alone."""

Place = tuple[str, int]
"""Topic on the cluster, partition."""


class View(Protocol):
    """Something that is made from the records of topics."""

    def take(self, message: Message) -> None:
        """One committed record, in the order of its partition; a tombstone has no value."""
        ...

    def caught_up(self) -> None:
        """Every partition has been read to its end, for the first time."""
        ...


@dataclass(frozen=True, slots=True)
class Part:
    """A partition to read, and which part of it."""

    topic: str
    number: int
    first: int = OFFSET_BEGINNING
    until: int | None = None
    """The first offset that is not wanted; None: all that comes."""


def reader(kafka: Mapping[str, Any], name: str) -> Consumer:
    """A consumer as the contract wants it (docs/integrate.md). `name` is a group's, and nothing is committed to it."""
    return Consumer(
        {
            **kafka,
            "group.id": name,
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 100,
            "log_level": 2,
        }
    )


def partitions(consumer: Consumer) -> dict[str, int]:
    """Every topic of the cluster that this client may see, and how many partitions it has.

    Raises:
        Misconfigured: the brokers do not answer.
    """
    try:
        found = consumer.list_topics(timeout=_ASK_S).topics
    except KafkaException as error:
        raise Misconfigured(f"Kafka does not answer: {error.args[0].str()}") from error
    return {name: len(about.partitions) for name, about in found.items()}


class Follower:
    """One thread that feeds views.

    Args:
        kafka: How to reach the cluster, in librdkafka's words.
        name: Of the client; with an ACL on groups, one that begins with the tool's.
        parts: What to read.
        views: By topic on the cluster; a view may have several topics.
        on_round: Called after each round that brought something.
    """

    def __init__(
        self,
        kafka: Mapping[str, Any],
        name: str,
        parts: Sequence[Part],
        views: Mapping[str, View],
        on_round: Callable[[], None] | None = None,
    ) -> None:
        self._consumer = reader(kafka, name)
        self._views = dict(views)
        self._on_round = on_round
        self._ends = {(part.topic, part.number): part.until for part in parts}
        self._behind = {(part.topic, part.number) for part in parts}
        self._waiting = {id(view): view for view in views.values()}
        """Views that are not whole yet."""
        self._stop = threading.Event()
        self.whole = threading.Event()
        """Everything has been read to its end once."""
        self.failure: Exception | None = None
        """Why the thread ended by itself."""
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        if parts:
            self._consumer.assign([TopicPartition(part.topic, part.number, part.first) for part in parts])
        self._tell_whole()

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread and wait for it."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        try:
            while not self._stop.is_set() and (not self.whole.is_set() or self._endless):
                self._round()
        except Exception as error:  # noqa: BLE001 - told by whoever looks at the follower, with its traceback
            self.failure = error
        finally:
            self._consumer.close()

    @property
    def _endless(self) -> bool:
        return any(until is None for until in self._ends.values())

    def _round(self) -> None:
        brought = False
        for message in self._consumer.consume(_TAKE, _WAIT_S):
            place = (message.topic() or "", message.partition() or 0)
            error = message.error()
            if error is None:
                brought = True
                self._one(place, message)
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - librdkafka's own code
                self._at_end(place)
            elif error.fatal():
                raise KafkaException(error)
            elif not error.retriable():
                time.sleep(_WAIT_S)  # such as a right that was taken away: it may be given again
        if brought and self._on_round is not None:
            self._on_round()

    def _one(self, place: Place, message: Message) -> None:
        until, offset = self._ends.get(place), message.offset() or 0
        if until is not None and offset >= until:
            self._at_end(place)
            return
        self._views[place[0]].take(message)
        if until is not None and offset + 1 >= until:
            self._at_end(place)

    def _at_end(self, place: Place) -> None:
        """Control records take offsets and are never delivered, so an end is heard of, not counted."""
        if place not in self._behind:
            return
        self._behind.discard(place)
        if self._ends.get(place) is not None:
            self._consumer.pause([TopicPartition(*place)])
        self._tell_whole()

    def _tell_whole(self) -> None:
        left = {id(self._views[topic]) for topic, _ in self._behind}
        for key in [key for key in self._waiting if key not in left]:
            self._waiting.pop(key).caught_up()
        if not self._behind:
            self.whole.set()
