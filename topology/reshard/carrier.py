"""Writes what moves, in transactions that also hold how far the move is: killed anywhere, it goes on from there.

All moves to one partitioning share a `transactional.id`: opening a `Carrier` settles what one before left half-way
and fences one that still runs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from typing import Any, NamedTuple, Self

from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicPartition

from topology.engine.clients import IN_TURN
from topology.engine.errors import Misconfigured
from topology.topics import MAX_MESSAGE_BYTES

BROKER_S = 60.0


class Moment(Enum):
    """The steps of a move, in their order; tests kill it right before a transaction of one of them is committed."""

    SEAL = 1
    """The old group is closed, and the new one not yet open."""
    STATES = 2
    AUDIT = 3
    FOLDED = 4
    """Inputs that have been folded."""
    MARK = 5
    """Where folding goes on is kept."""
    REST = 6
    """Inputs that have not been folded."""
    LETTERS = 7
    SHARED = 8
    """What partitions as such had."""
    OPEN = 9
    """The new group may go on, the old one never again: one transaction."""
    UNDO = 10


Probe = Callable[[Moment], None]


def no_probe(_moment: Moment) -> None:
    """Watch nothing."""


class Row(NamedTuple):
    """A record to write."""

    topic: str
    value: bytes | None
    key: bytes | None
    partition: int
    timestamp: int
    headers: list[tuple[str, bytes | None]]


def copied(message: Message, topic: str, partition: int) -> Row:
    """The record as it is, for another place.

    Kafka cannot be told a timestamp of 0 or less. Whatever has one is implausible and a dead letter, and so is the
    first millisecond of 1970.
    """
    headers = [(str(name), _raw(value)) for name, value in _headers(message)]
    return Row(topic, message.value(), message.key(), partition, max(1, message.timestamp()[1]), headers)


class Overtaken(Misconfigured):
    """Another command took over."""


class Carrier:
    """One transactional producer. A context manager."""

    def __init__(self, kafka: Mapping[str, Any], name: str, probe: Probe) -> None:
        self._probe = probe
        self._producer = Producer(
            {
                **kafka,
                **IN_TURN,
                "log_level": 2,
                "transactional.id": name,
                "transaction.timeout.ms": int(BROKER_S * 1_000),
                "message.max.bytes": MAX_MESSAGE_BYTES,
                "linger.ms": 20,
                # The broker's default for topics takes no batch above a megabyte.
                "batch.size": 900_000,
                # What was accepted compressed may be too large as it is.
                "compression.type": "lz4",
                "retry.backoff.ms": 20,
                "retry.backoff.max.ms": 200,
                # As for workers: the default can wait for ever for a coordinator that is gone.
                "metadata.recovery.strategy": "none",
            }
        )

    def __enter__(self) -> Self:
        """Settle what was left half-way.

        Raises:
            Misconfigured: the broker does not answer.
        """
        try:
            self._producer.init_transactions(BROKER_S)
        except KafkaException as exc:
            raise Misconfigured(f"no transaction can be begun ({exc.args[0].str()}). Nothing was changed.") from exc
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def commit(
        self,
        moment: Moment,
        rows: Sequence[Row],
        offsets: Iterable[tuple[Any, list[TopicPartition]]],
        follow: Callable[[list[int]], Iterable[Row]] | None = None,
    ) -> None:
        """All of it, or nothing.

        Args:
            moment: what it is a part of.
            rows: records.
            offsets: by the proofs of their groups.
            follow: told the offset of each row, gives more of them.

        Raises:
            Misconfigured: the broker did not take it.
        """
        try:
            self._producer.begin_transaction()
            lie = self._send(rows, known=follow is not None)
            if follow is not None:
                self._send(list(follow(lie)), known=False)
            for proof, where in offsets:
                if where:
                    self._producer.send_offsets_to_transaction(where, proof, BROKER_S)
            self._producer.flush(BROKER_S)
            self._probe(moment)
            self._producer.commit_transaction(BROKER_S)
        except KafkaException as exc:
            error: KafkaError = exc.args[0]
            again = "What was committed before stays; the same command again goes on from there"
            if error.fatal():
                raise Overtaken(f"another `recourse reshard` took over ({error.str()}). {again}") from exc
            fate = self._abort() if error.txn_requires_abort() else ""
            raise Misconfigured(
                f"{moment.name.lower()}: the broker did not take it ({error.str()}){fate}. {again}"
            ) from exc

    def _abort(self) -> str:
        """Take back what was begun; what is to be said of it if that fails."""
        try:
            self._producer.abort_transaction(BROKER_S)
        except KafkaException as exc:
            return f", and it could not be taken back ({exc.args[0].str()}): it ends by its time-out"
        return ""

    def _send(self, rows: Sequence[Row], *, known: bool) -> list[int]:
        """Queue all; their offsets, if those must be known."""
        lie = [-1] * (len(rows) if known else 0)

        def delivered(index: int) -> Callable[[KafkaError | None, Message], None]:
            def note(error: KafkaError | None, message: Message) -> None:
                # An error here makes the commit fail too, so it needs no second handling.
                if error is None:
                    lie[index] = message.offset() or 0

            return note

        for index, row in enumerate(rows):
            self._queue(row, delivered(index) if known else None)
        if known:
            self._producer.flush(BROKER_S)
            if -1 in lie:
                raise KafkaException(
                    KafkaError(KafkaError._TIMED_OUT, "records undelivered", False, False, True)  # noqa: SLF001
                )
        return lie

    def _queue(self, row: Row, note: Callable[[KafkaError | None, Message], None] | None) -> None:
        deadline = time.monotonic() + BROKER_S
        headers: Any = row.headers or None
        while True:
            try:
                self._producer.produce(
                    row.topic,
                    row.value,
                    row.key,
                    row.partition,
                    timestamp=row.timestamp,
                    headers=headers,
                    on_delivery=note,
                )
            except BufferError:
                if time.monotonic() > deadline:
                    error = KafkaError(KafkaError._QUEUE_FULL, "the queue stays full", False, False, True)  # noqa: SLF001
                    raise KafkaException(error) from None
                self._producer.poll(0.05)
            else:
                self._producer.poll(0)
                return


def _headers(message: Message) -> Sequence[tuple[str, str | bytes | None]]:
    return message.headers() or []  # type: ignore[return-value]


def _raw(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value
