"""What the engine made of the appeals, read from its output topics: one outcome for each, or a fault that says why not.

Counted from the audit alone, by the promise that it gives (`processors/intake.py`), so that it can contradict the
code that decided.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from schemas.codec import Codec
from schemas.records import CaseEvent
from schemas.vocabulary import CaseEventKind
from topology.engine import deadletter
from topology.replay.times import year_of
from topology.topics import Register, Role

AUDIT = "case.events"


@dataclass
class Outcomes:
    """Per appeal, what the audit says became of it."""

    opened: Counter[str] = field(default_factory=Counter[str])
    refused: dict[str, list[str]] = field(default_factory=lambda: defaultdict[str, list[str]](list))
    """Reasons."""
    withdrawn: Counter[str] = field(default_factory=Counter[str])
    """Taken back before there was a case."""
    parked: set[str] = field(default_factory=set[str])
    """Waited for their enforcement, for a while or still."""
    decided: dict[str, list[str]] = field(default_factory=lambda: defaultdict[str, list[str]](list))
    """Outcomes of the cases that they opened."""
    reviews_rejected: Counter[str] = field(default_factory=Counter[str])
    """By reason."""
    dead_letters: Counter[tuple[int, str]] = field(default_factory=Counter[tuple[int, str]])
    """By year of the Kafka timestamp, and reason."""
    digest: str = ""
    """Over all outputs, in the order of each key, and of what is compacted over the newest: equal for equal results,
    whatever the batches, and however much the broker has compacted."""

    def ends(self, appeal_id: str) -> int:
        """How often intake answered the appeal for good; must be once."""
        return self.opened[appeal_id] + len(self.refused.get(appeal_id, ())) + self.withdrawn[appeal_id]

    @property
    def seen(self) -> set[str]:
        """All appeals of the audit."""
        return {*self.opened, *self.refused, *self.withdrawn, *self.parked}


def read_outcomes(kafka: Mapping[str, Any], register: Register, codec: Codec) -> Outcomes:
    """Read the audit, the dead letters and, for the digest, every other output, from begin to end."""
    outcomes = Outcomes()
    chains: dict[tuple[str, bytes], Any] = {}
    topics = {register.on_cluster(t.name): t for t in register.topics if t.role in (Role.OUTPUT, Role.DEAD_LETTERS)}
    for message in read_all(kafka, list(topics)):
        topic = topics[message.topic() or ""]
        if topic.role is Role.DEAD_LETTERS:
            _dead_letter(outcomes, message)
            continue
        value, where = message.value(), (topic.name, message.key() or b"")
        if topic.cleanup == "compact":
            # Its broker may have thrown away any older value by now, and a tombstone too.
            chains.pop(where, None)
        if topic.cleanup == "delete" or value is not None:
            chains.setdefault(where, sha256()).update(sha256(value or b"").digest())
        if topic.name == AUDIT and value is not None:
            event = codec.decode(value, topic.allowed)
            if isinstance(event, CaseEvent):
                _line(outcomes, event)
    whole = sha256()
    for (name, key), chain in sorted(chains.items(), key=lambda item: item[0]):
        whole.update(sha256(name.encode() + b"\0" + key).digest() + chain.digest())
    outcomes.digest = whole.hexdigest()
    return outcomes


def read_all(kafka: Mapping[str, Any], topics: Sequence[str]) -> Iterator[Message]:
    """All committed records of these topics; each partition's in its order, the partitions in none."""
    reader = Consumer(
        {
            **kafka,
            "group.id": "replay-reader",  # only a name: nothing is committed under it
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 50,
        }
    )
    try:
        found = reader.list_topics(timeout=30.0).topics
        parts = [TopicPartition(topic, number, 0) for topic in topics for number in found[topic].partitions]
        reader.assign(parts)
        left = len(parts)
        while left:
            # Waits until the batch is full or the time is over: a long time-out would be waited out at the end.
            for message in reader.consume(1_000, timeout=0.1):
                error = message.error()
                if error is None:
                    yield message
                elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - librdkafka's own code
                    left -= 1
                elif not error.retriable():
                    raise KafkaException(error)
    finally:
        reader.close()


def _dead_letter(outcomes: Outcomes, message: Message) -> None:
    headers = dict(message.headers() or [])
    reason = headers.get(deadletter.REASON, b"unknown")
    text = reason.decode() if isinstance(reason, bytes) else str(reason)
    outcomes.dead_letters[year_of(message.timestamp()[1]), text] += 1


def _line(outcomes: Outcomes, event: CaseEvent) -> None:
    appeal_id = event.appeal_id or ""
    kind = event.kind
    if kind is CaseEventKind.CASE_OPENED:
        outcomes.opened[appeal_id] += 1
    elif kind is CaseEventKind.APPEAL_REFUSED:
        outcomes.refused[appeal_id].append(event.reason or "without_reason")
    elif kind is CaseEventKind.APPEAL_WITHDRAWN_UNOPENED:
        outcomes.withdrawn[appeal_id] += 1
    elif kind is CaseEventKind.APPEAL_PARKED:
        outcomes.parked.add(appeal_id)
    elif kind is CaseEventKind.CASE_DECIDED:
        outcomes.decided[appeal_id].append(str(event.outcome))
    elif kind is CaseEventKind.REVIEW_REJECTED:
        outcomes.reviews_rejected[event.reason or "without_reason"] += 1
