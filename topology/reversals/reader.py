"""What the operators' commands need from the topics: reversals, what became of them, and all records about money."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Self

from confluent_kafka import Message

from schemas.errors import DecodeError, RegistryUnavailableError
from schemas.records import (
    CaseEvent,
    DirectiveAcked,
    DirectiveResolved,
    Record,
    ReversalConfirmed,
    ReversalOrdered,
    ReversalRetried,
    ReversalStalled,
)
from topology.engine import deadletter
from topology.engine.errors import Misconfigured
from topology.registry import open_codec
from topology.reversals.life import Act, ReversalLife, lives
from topology.settings import Settings
from topology.topic_reader import TopicReader
from topology.topics import Register

RESOLUTIONS = "resolution.events"
STALLED = "reversals.stalled"
CASE_EVENTS = "case.events"
ACKS = "resolution.acks"
REVIEWS = "review.events"
ENFORCEMENTS = "enforcement.events"


class ReversalReader:
    """Reads committed records only, whole topics, outside the group. A context manager."""

    def __init__(self, settings: Settings, register: Register) -> None:
        self._register = register
        self._codec = open_codec(settings)
        self._topics = TopicReader(settings.kafka_config(), register, name=f"{settings.group}-reversals")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._topics.__exit__()

    def under_way(self) -> list[ReversalLife]:
        """Reversals that are not confirmed, the oldest first."""
        records: dict[str, list[Record]] = {}
        for _, record in self._read(RESOLUTIONS):
            if isinstance(record, ReversalOrdered):
                records.setdefault(record.reversal_id, []).append(record)
            elif isinstance(record, ReversalConfirmed):
                records.pop(record.reversal_id, None)
        lines = (
            line
            for _, line in self._read(CASE_EVENTS)
            if isinstance(line, CaseEvent) and line.saw.get("reversal_id") in records
        )
        found = lives((r for of_one in records.values() for r in of_one), lines, stalled=self._stalled())
        return sorted(found.values(), key=lambda life: life.order.ordered_at)

    def find(self, reversal_id: str) -> tuple[ReversalLife, list[CaseEvent]]:
        """One reversal, and all of its user's lines in the audit.

        Raises:
            Misconfigured: there is none of this id.
        """
        wanted = reversal_id.encode()

        def about(message: Message) -> bool:  # much cheaper than decoding, and strings lie there as they are
            return wanted in (message.value() or b"")

        records = [record for _, record in self._read(RESOLUTIONS, about)]
        ordered = [r for r in records if isinstance(r, ReversalOrdered) and r.reversal_id == reversal_id]
        if not ordered:
            raise Misconfigured(
                f"no reversal {reversal_id} was ever ordered. Is it the whole id? `recourse reversal list` shows those "
                "that are under way."
            )
        user = ordered[0].user_id.encode()
        of_user = (record for _, record in self._read(CASE_EVENTS, lambda message: message.key() == user))
        lines = [line for line in of_user if isinstance(line, CaseEvent)]
        acks = [ack for _, ack in self._read(ACKS, about) if isinstance(ack, DirectiveAcked)]
        acts: list[Act] = [
            act for _, act in self._read(REVIEWS, about) if isinstance(act, ReversalRetried | DirectiveResolved)
        ]
        found = lives(records, lines, stalled=self._stalled(), acks=acks, acts=acts)
        return found[reversal_id], lines

    def about_money(self, user_id: str | None = None) -> Iterator[Record]:
        """Every record that the ledger needs; what could not be judged took nothing from anybody.

        What follows is read before what it follows from: so nothing is seen without its cause.

        Args:
            user_id: only this user's.
        """

        def of_user(message: Message) -> bool:
            return user_id is None or message.key() == user_id.encode()

        for topic in (CASE_EVENTS, ACKS, RESOLUTIONS):
            yield from (record for _, record in self._read(topic, of_user))
        refused = set(self._refused(ENFORCEMENTS))
        for message, record in self._read(ENFORCEMENTS, of_user):
            if (message.partition(), message.offset()) not in refused:
                yield record

    def _stalled(self) -> dict[str, ReversalStalled]:
        found: dict[str, ReversalStalled] = {}
        for message in self._topics.read(STALLED):
            key = (message.key() or b"").decode(errors="replace")
            record = self._decode(STALLED, message)
            found.pop(key, None)
            if isinstance(record, ReversalStalled):
                found[key] = record
        return found

    def _refused(self, topic: str) -> Iterator[tuple[int, int]]:
        """Partition and offset of each record of an input that became a dead letter."""
        for message in self._topics.read(f"{topic}.dlq"):
            told = {name: bytes(value or b"") for name, value in message.headers() or []}  # type: ignore[arg-type]
            if told.get(deadletter.REASON) != deadletter.TIMER_RAISED.encode():
                yield int(told.get(deadletter.PARTITION, b"-1")), int(told.get(deadletter.OFFSET, b"-1"))

    def _read(self, topic: str, wanted: Callable[[Message], bool] | None = None) -> Iterator[tuple[Message, Record]]:
        for message in self._topics.read(topic):
            if wanted is None or wanted(message):
                record = self._decode(topic, message)
                if record is not None:
                    yield message, record

    def _decode(self, topic: str, message: Message) -> Record | None:
        value = message.value()
        try:
            return None if value is None else self._codec.decode(value, self._register.by_name[topic].allowed)
        except DecodeError:
            return None  # a dead letter, or soon one; `recourse dlq list` tells
        except RegistryUnavailableError as exc:
            raise Misconfigured(f"schema registry: {exc}") from exc
