"""Recorded inputs from the input topics: read once, up to where they ended when the reading began; nothing written.

Only what users' dossiers are folded from: a remedy was approved for what the old rulebook had made of them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from topology.cluster import Cluster
from topology.engine import deadletter
from topology.engine.clients import BrokerOffsets
from topology.engine.definition import FoldApp
from topology.engine.errors import Misconfigured, Poison, Retriable
from topology.simulate.recorded import Input, Recorded, implausible, turn_of
from topology.topics import Register

BROKER_S = 30.0
"""One question to the broker."""
AGAIN_S = 0.2
"""Until a question that was not answered is asked again."""
RECORDS = 2_000
"""At most so many at a time."""

Place = tuple[str, int]


def from_topics(kafka: Mapping[str, Any], register: Register, app: FoldApp[Any]) -> Recorded:
    """All committed records of the input topics.

    Raises:
        Misconfigured: no broker answers, an input topic is missing, or they are not co-partitioned.
    """
    partitions = _partitions(kafka, register, app)
    bounds = _bounds(kafka, app, partitions)
    recorded = Recorded(f"topics of {kafka.get('bootstrap.servers')}")
    for (topic, number), (first, _) in sorted(bounds.items()):
        if first:
            recorded.notes.append(
                f"{topic}[{number}] begins at offset {first}: older records are gone, so histories are incomplete"
            )
    index = {topic: position for position, topic in enumerate(app.inputs)}
    others = [topic for position, topic in enumerate(app.inputs) if app.prefix(position)]
    left_out = sum(end - first for (topic, _), (first, end) in bounds.items() if topic in others)
    if left_out:
        recorded.notes.append(f"{', '.join(others)}: {left_out} records are left out; remedies are not simulated")
    bounds = {where: found for where, found in bounds.items() if where[0] not in others}
    for message in _read(kafka, bounds):
        topic = index[message.topic() or ""]
        recorded.add(message.partition() or 0, len(app.inputs), input_of(app, topic, message))
    return recorded


def _partitions(kafka: Mapping[str, Any], register: Register, app: FoldApp[Any]) -> int:
    found = Cluster(kafka, register).partitions()
    missing = [topic for topic in app.inputs if topic not in found]
    if missing:
        raise Misconfigured(
            f"input topics are missing: {', '.join(missing)}. Is RECOURSE_TOPIC_PREFIX right? To simulate on a file, "
            "give --file and --mapping."
        )
    counts = {topic: found[topic] for topic in app.inputs}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{topic} {count}" for topic, count in counts.items())
        raise Misconfigured(f"the inputs must have the same number of partitions; found: {listed}")
    return counts[app.inputs[0]]


def _bounds(kafka: Mapping[str, Any], app: FoldApp[Any], partitions: int) -> dict[Place, tuple[int, int]]:
    """First offset and end of each partition of the inputs."""
    offsets = BrokerOffsets(kafka)
    deadline = time.monotonic() + BROKER_S
    while True:
        try:
            return {
                (topic, number): found
                for topic in app.inputs
                for number, found in offsets.bounds(topic, range(partitions), BROKER_S).items()
            }
        except KafkaException as exc:
            # Partitions of new topics, and those whose leader moves, have none for a moment.
            if time.monotonic() > deadline:
                text = f"the broker does not tell where the inputs end: {exc.args[0].str()}"
                raise Misconfigured(text) from exc
            time.sleep(AGAIN_S)


def _read(kafka: Mapping[str, Any], bounds: Mapping[Place, tuple[int, int]]) -> Iterator[Message]:
    """Everything before the ends, each partition in its order.

    A partition is done at its end, or where an end-of-partition event says that nothing more is committed: control
    records, and those of an open transaction, take offsets but are never delivered.
    """
    left = {where: end for where, (first, end) in bounds.items() if end > first}
    reader = Consumer(
        {
            **kafka,
            "group.id": "recourse-simulate",  # only a name: nothing is committed under it
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 50,
        }
    )
    try:
        reader.assign([TopicPartition(topic, number, bounds[topic, number][0]) for topic, number in left])
        while left:
            for message in reader.consume(RECORDS, timeout=0.1):
                where = (message.topic() or "", message.partition() or 0)
                end = left.get(where)
                error = message.error()
                if error is not None and error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001 - librdkafka's own
                    if not error.retriable():
                        raise Misconfigured(f"the inputs cannot be read: {error.str()}")
                    continue
                if end is None:
                    continue  # written after the reading began
                offset = message.offset() or 0
                if error is None and offset < end:
                    yield message
                if error is not None or offset + 1 >= end:
                    del left[where]
                    reader.pause([TopicPartition(*where)])
    finally:
        reader.close()


def input_of(app: FoldApp[Any], topic: int, message: Message) -> Input:
    """Decode, or say why not, in the order in which the engine looks."""
    timestamp = message.timestamp()[1]
    turn = turn_of(timestamp)
    raw = message.key()
    if not raw:
        text = "the record has no key; inputs are keyed by user_id"
        return Input(turn, topic, "", Poison(deadletter.NULL_KEY, text))
    if not turn:
        return Input(turn, topic, "", implausible(timestamp))
    key = _name(raw)
    if key is None:
        return Input(turn, topic, "", Poison(deadletter.BAD_KEY, f"the key {raw[:64]!r} is no user_id"))
    try:
        return Input(turn, topic, key, app.decode(topic, key, message.value()))
    except Retriable as exc:
        raise Misconfigured(f"{exc}; is RECOURSE_REGISTRY right?") from exc
    except Exception as exc:  # noqa: BLE001 - rule 7: whatever one record does, the next one is read
        return Input(turn, topic, key, Poison(deadletter.reason_of(exc), str(exc)))


def _name(raw: bytes) -> str | None:
    """The key as text, or None for one that the engine cannot keep a state under."""
    if raw.startswith(b"\0"):
        return None
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None
