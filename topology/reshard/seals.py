"""Committed offsets of a group that does not run, and the seals in their metadata: who may not go on from there.

A worker looks at the metadata of all offsets before it folds anything, and refuses to start where one is sealed
(`engine/restore.py`). So a move seals the group that it takes from, and the one that it fills, until it is through.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Generator, Iterable, Mapping
from enum import Enum
from typing import Any, NamedTuple, Self

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from topology.engine.errors import Misconfigured
from topology.engine.position import Known, decode_known, encode_known

Place = tuple[str, int]
"""(topic on the cluster, partition)."""

BROKER_S = 30.0
PATIENCE_S = 150.0
"""For a transaction of a killed worker to end by its time-out (`RECOURSE_COMMIT_S` is 60 by default)."""
_LOOK_S = 0.5
_SESSION_S = 10.0


class Seal(Enum):
    """Why a group may not go on; `{}` is the name of the other partitioning."""

    LEAVING = 'everything is being moved to the partitioning "{}": give the same `recourse reshard` again, or --undo'
    LEFT = 'everything was moved to the partitioning "{}": set RECOURSE_PARTITIONING to it'
    ARRIVING = 'this is being filled from the partitioning "{}": give the same `recourse reshard` again'
    UNDONE = 'the move from the partitioning "{}" was undone: set RECOURSE_PARTITIONING to it'

    def text(self, other: str) -> str:
        """As the metadata says it."""
        return self.value.format(other)


def parse(text: str) -> tuple[Seal, str] | None:
    """Which seal it is, and the name of the other partitioning; None for no seal of a move."""
    for seal in Seal:
        match = re.fullmatch(re.escape(seal.value).replace(r"\{\}", r"([a-z0-9-]*)"), text)
        if match is not None:
            return seal, match[1]
    return None


class Offset(NamedTuple):
    """A committed offset and what its metadata says."""

    offset: int
    known: Known


class GroupOffsets:
    """A group's offsets, read and written without joining it. A context manager."""

    def __init__(self, kafka: Mapping[str, Any], group: str) -> None:
        self.group = group
        self._consumer = Consumer(
            {
                **kafka,
                "log_level": 2,
                "group.id": group,
                # Offsets of a transaction that has not ended are waited for, not skipped.
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
            }
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def committed(self, places: Iterable[Place]) -> dict[Place, Offset]:
        """What is committed there; a place without an offset is not in it.

        Raises:
            Misconfigured: the broker does not tell, or an open transaction does not end.
        """
        wanted = [TopicPartition(topic, number) for topic, number in places]
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                answers = self._consumer.committed(wanted, timeout=BROKER_S)
                fault = next((each.error for each in answers if each.error is not None), None)
                if fault is None:
                    return {
                        (each.topic, each.partition): Offset(each.offset, decode_known(each.metadata))
                        for each in answers
                        if each.offset >= 0
                    }
                raise KafkaException(fault)
            except KafkaException as exc:
                error: KafkaError = exc.args[0]
                if time.monotonic() > deadline or not (error.retriable() or error.code() == KafkaError._TIMED_OUT):  # noqa: SLF001 - librdkafka's own code
                    raise Misconfigured(f"the offsets of the group {self.group} cannot be read: {error.str()}") from exc
            time.sleep(_LOOK_S)

    def proof(self) -> Any:  # noqa: ANN401 - opaque
        """What a transaction must be given to commit offsets of this group from outside."""
        return self._consumer.consumer_group_metadata()


def positions(offsets: Mapping[Place, int], known: Known | None = None) -> list[TopicPartition]:
    """As a transaction takes them."""
    metadata = "" if known is None else encode_known(known)
    return [TopicPartition(topic, number, offset, metadata) for (topic, number), offset in sorted(offsets.items())]


def resealed(offsets: Mapping[Place, Offset], seal: str) -> list[TopicPartition]:
    """The same offsets with another seal, or with none, as a transaction takes them."""
    return [
        position
        for place, each in offsets.items()
        for position in positions({place: each.offset}, each.known._replace(seal=seal))
    ]


def members(kafka: Mapping[str, Any], group: str, *, wait_s: float) -> list[str]:
    """Who is in the group; waits so long for nobody to be.

    A worker with static membership that has stopped stays a member until its session ends.

    Raises:
        Misconfigured: the broker does not tell.
    """
    admin = AdminClient({**kafka, "log_level": 2})
    deadline = time.monotonic() + wait_s
    while True:
        try:
            found = admin.describe_consumer_groups([group], request_timeout=BROKER_S)[group].result().members
        except KafkaException as exc:
            raise Misconfigured(f"who is in the group {group} cannot be asked: {exc.args[0].str()}") from exc
        if not found or time.monotonic() > deadline:
            return sorted(f"{member.client_id} on {member.host}" for member in found)
        time.sleep(_LOOK_S)


@contextlib.contextmanager
def held(kafka: Mapping[str, Any], group: str, places: Iterable[Place]) -> Generator[Any]:
    """Be the only member of the group; yields the proof of it, by which the broker refuses whoever comes second.

    Raises:
        Misconfigured: somebody else is a member too.
    """
    wanted = set(places)
    assigned: set[Place] = set()

    def on_assign(member: Consumer, given: list[TopicPartition]) -> None:
        member.assign(given)
        member.pause(given)
        assigned.update((each.topic, each.partition) for each in given)

    def on_revoke(_member: Consumer, _given: list[TopicPartition]) -> None:
        assigned.clear()

    member = Consumer(
        {
            **kafka,
            "log_level": 2,
            "group.id": group,
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "partition.assignment.strategy": "range",
            "session.timeout.ms": int(_SESSION_S * 1_000),
            "heartbeat.interval.ms": 1_000,
        }
    )
    try:
        member.subscribe(sorted({topic for topic, _ in wanted}), on_assign=on_assign, on_revoke=on_revoke)
        deadline = time.monotonic() + BROKER_S + _SESSION_S
        while assigned != wanted:
            if time.monotonic() > deadline:
                raise Misconfigured(
                    f"the group {group} could not be taken over: only {len(assigned)} of {len(wanted)} partitions "
                    "were given to this command, so a worker has started. Stop all workers; nothing was changed"
                )
            message = member.poll(0.1)
            error = None if message is None else message.error()
            if error is not None and error.fatal():
                raise Misconfigured(f"the group {group} could not be taken over: {error.str()}")
        yield member.consumer_group_metadata()
    finally:
        member.close()
