"""Replays or discards dead letters: each exactly once, whatever is killed and run again.

One transaction holds some letters' original records *and* the audit record of each, so a letter is replayed if and
only if `dlq.actions` says so. All orders of an installation share one `transactional.id`: opening a `Settler` settles
what an order before left half-way and fences one that still runs, and what was settled is read only after that. So two
orders at the same time cannot both settle a letter: the older one is told that it was overtaken.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from typing import Any, Self

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from processors.ids import uuid5
from schemas.codec import Codec
from schemas.records import DeadLetterSettled, Millis, ReviewerId
from schemas.vocabulary import DeadLetterAction
from topology.dlq.letters import DeadLetter, place
from topology.engine.clients import IN_TURN
from topology.engine.errors import Misconfigured
from topology.reversals.sender import encoded
from topology.settings import Settings
from topology.topics import MAX_MESSAGE_BYTES, Register

ACTIONS = "dlq.actions"
BROKER_S = 30.0
MOST_LETTERS = 200
"""Of one transaction: little to do again after a failure, and few transactions all the same."""
MOST_BYTES = 8_000_000


class Moment(Enum):
    """Tests kill an order right before one of these."""

    OPEN = 0
    BEGIN = 1
    AUDIT = 2
    """The records are on the broker, uncommitted."""
    COMMIT = 3
    TELL = 4
    """It is committed, and nobody has been told."""


Probe = Callable[[Moment], None]


def no_probe(_moment: Moment) -> None:
    """Watch nothing."""


class Overtaken(Misconfigured):
    """Another order took over; what this one had not settled is as it was."""


class Settler:
    """Settles letters for one person. A context manager: open, then read what is settled, then settle."""

    def __init__(
        self,
        settings: Settings,
        register: Register,
        codec: Codec,
        *,
        actor: str,
        reason: str,
        probe: Probe = no_probe,
    ) -> None:
        """`actor` and `reason` go into the audit record of each letter."""
        self._register = register
        self._codec = codec
        self._actor = actor
        self._reason = reason
        self._probe = probe
        self._producer = Producer(
            {
                **settings.kafka_config(),
                **IN_TURN,
                "log_level": 2,
                "transactional.id": f"{settings.group}-dlq",
                # A killed order keeps the workers' readers waiting at its open transaction; not for long.
                "transaction.timeout.ms": int(BROKER_S * 1_000),
                "message.max.bytes": MAX_MESSAGE_BYTES,
            }
        )

    def __enter__(self) -> Self:
        """Settle what an order before left half-way.

        Raises:
            Misconfigured: the broker does not answer.
        """
        self._probe(Moment.OPEN)
        try:
            self._producer.init_transactions(BROKER_S)
        except KafkaException as exc:
            raise Misconfigured(f"no transaction can be begun ({exc.args[0].str()}). Nothing was done.") from exc
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def settle(self, letters: Iterable[DeadLetter], action: DeadLetterAction, *, new_time: bool = False) -> int:
        """Do it to all of them, in this order, a bounded number a transaction.

        Args:
            letters: pending ones; to be replayed only such with a record.
            action: what to do.
            new_time: records get the time of now as timestamp, instead of the one they had.

        Returns:
            How many.

        Raises:
            Misconfigured: the broker did not take all of them; the text says what became of the others.
        """
        done, batch, size = 0, list[DeadLetter](), 0
        for letter in letters:
            if batch and (len(batch) >= MOST_LETTERS or size + len(letter.value or b"") > MOST_BYTES):
                done += self._commit(batch, action, new_time=new_time, before=done)
                batch, size = [], 0
            batch.append(letter)
            size += len(letter.value or b"")
        if batch:
            done += self._commit(batch, action, new_time=new_time, before=done)
        return done

    def _commit(self, letters: Sequence[DeadLetter], action: DeadLetterAction, *, new_time: bool, before: int) -> int:
        committing = False
        producer = self._producer
        try:
            self._probe(Moment.BEGIN)
            producer.begin_transaction()
            lie = self._send(letters, new_time=new_time) if action is DeadLetterAction.REPLAYED else {}
            self._probe(Moment.AUDIT)
            topic = self._register.on_cluster(ACTIONS)
            for letter in letters:
                record = self._record(letter, action, lie.get(letter.place))
                producer.produce(topic, encoded(self._codec, record, topic), letter.place.encode())
            self._probe(Moment.COMMIT)
            committing = True
            producer.commit_transaction(BROKER_S)
        except KafkaException as exc:
            raise self._failed(exc.args[0], committing=committing, before=before) from exc
        except Misconfigured:
            self._abort()
            raise
        self._probe(Moment.TELL)
        return len(letters)

    def _send(self, letters: Sequence[DeadLetter], *, new_time: bool) -> dict[str, str]:
        """The original records; where each lies now, by the place of its letter."""
        lie: dict[str, str] = {}
        now = time.time_ns() // 1_000_000

        def delivered(name: str) -> Callable[[KafkaError | None, Message], None]:
            def note(error: KafkaError | None, message: Message) -> None:
                # An error here makes the commit fail too, so it needs no second handling.
                if error is None:
                    lie[name] = place(message.topic() or "", message.partition() or 0, message.offset() or 0)

            return note

        for letter in letters:
            headers: Any = letter.original_headers
            self._producer.produce(
                self._register.on_cluster(letter.source),
                letter.value,
                letter.key,
                # A letter lies in the partition of its record, which is where the key's state is.
                letter.partition,
                timestamp=now if new_time else letter.original_at_ms,
                headers=headers,
                on_delivery=delivered(letter.place),
            )
        left = self._producer.flush(BROKER_S)
        if left or len(lie) < len(letters):
            raise KafkaException(
                KafkaError(KafkaError._TIMED_OUT, f"{left} records undelivered", False, False, True)  # noqa: SLF001
            )
        return lie

    def _record(self, letter: DeadLetter, action: DeadLetterAction, replayed_to: str | None) -> DeadLetterSettled:
        return DeadLetterSettled(
            event_id=uuid5(f"dead-letter\x1f{letter.place}\x1f{action}"),
            letter=letter.place,
            action=action,
            actor=ReviewerId(self._actor),
            occurred_at=Millis(time.time_ns() // 1_000_000),
            reason=self._reason,
            code=letter.code[:256],
            origin=letter.origin[:4_096],
            value_sha256=letter.digest,
            replayed_to=replayed_to,
        )

    def _failed(self, error: KafkaError, *, committing: bool, before: int) -> Misconfigured:
        """What a failure means for the operator, after it was undone as far as it can be."""
        so_far = f"{before} letters were settled before" if before else "No letter was settled"
        again = "the same order again settles the rest, and none twice"
        if error.fatal():
            return Overtaken(f"another `recourse dlq` took over ({error.str()}). {so_far}; {again}.")
        if committing and not error.txn_requires_abort():
            return Misconfigured(f"it is not known whether the newest were settled ({error.str()}). {so_far}; {again}.")
        self._abort()
        return Misconfigured(f"the broker did not take it ({error.str()}). {so_far}; {again}.")

    def _abort(self) -> None:
        try:
            self._producer.abort_transaction(BROKER_S)
        except KafkaException as exc:
            # The broker ends it by its time-out, and the next order before that.
            raise Misconfigured(f"it could not be taken back ({exc.args[0].str()}). It counts for nothing.") from exc
