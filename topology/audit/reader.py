"""What the audit's commands need from the topics: lines, the dossiers' ends, inputs, reversals, open cases."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Self, cast

from confluent_kafka import Message

from processors.codec import decode_dossier
from processors.errors import DossierUnreadableError
from processors.outbox import CASE_EVENTS, CASES, RESOLUTIONS
from schemas.errors import DecodeError, RegistryUnavailableError
from schemas.records import Case, CaseEvent, InputRecord, Record, ReversalConfirmed, ReversalOrdered
from topology.audit.lines import Head, Place, Placed
from topology.audit.replay import Input
from topology.engine import deadletter
from topology.engine.errors import Misconfigured
from topology.engine.state import DUE_BYTES, RESERVED
from topology.registry import open_codec
from topology.rulebooks import KeptRulebooks, read_kept
from topology.settings import Settings
from topology.topic_reader import TopicReader
from topology.topics import Topic

_RESERVED = RESERVED.decode()
"""What the keys of states begin with that are no user's."""
_NO_RECORD = (deadletter.TIMER_RAISED.encode(), deadletter.TELL_RAISED.encode())
"""Reasons of dead letters that set no record aside."""


class AuditReader:
    """Reads committed records only, whole topics, outside the group. A context manager."""

    def __init__(self, settings: Settings) -> None:
        self._register = settings.register_of_topics()
        self._codec = open_codec(settings)
        self._topics = TopicReader(settings.kafka_config(), self._register, name=f"{settings.group}-audit")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._topics.__exit__()

    def lines(self, user_id: str | None = None) -> Iterator[Placed]:
        """The audit of one user, or of all, in the order of the topic."""
        for message in self._topics.read(CASE_EVENTS):
            key = _key(message)
            if user_id is None or key == user_id:
                yield self._placed(message, key)

    def user_of(self, wanted: str) -> str:
        """The user whose case or appeal this is.

        Raises:
            Misconfigured: no line of the audit is about it.
        """
        looked_for = wanted.encode()
        for message in self._topics.read(CASE_EVENTS):
            if looked_for in (message.value() or b""):  # much cheaper than decoding, and strings lie there as they are
                placed = self._placed(message, _key(message))
                if placed.line is not None and wanted in (placed.line.case_id, placed.line.appeal_id):
                    return placed.user_id
        raise Misconfigured(
            f"no line of the audit is about a case or an appeal {wanted}. Is it the whole id, and was it folded yet? "
            "`recourse dlq list` shows what could not be."
        )

    def heads(self, user_id: str | None = None) -> dict[str, Head]:
        """Where each chain ends, by the dossiers in the changelog."""
        heads: dict[str, Head] = {}
        for message in self._topics.read(self._register.changelog.name):
            key, value = _key(message), message.value()
            if key.startswith(_RESERVED) or (user_id is not None and key != user_id):
                continue
            heads.pop(key, None)
            if value is not None:
                try:
                    dossier = decode_dossier(value[DUE_BYTES:])
                except DossierUnreadableError:
                    continue  # an end that cannot be read proves as little as one that is not there
                heads[key] = Head(dossier.seq, dossier.head.hex() or None)
        return heads

    def inputs(self, user_id: str) -> list[list[Input]]:
        """By topic, what was or will be folded of this user: no dead letters.

        To be read after the lines: then every record that was set aside before them is known to be.

        Raises:
            Misconfigured: the user's records lie in several partitions, so several dossiers have them.
        """
        refused = set(self._refused(user_id))
        found = [list(self._of_topic(topic, user_id, refused)) for topic in self._register.user_inputs]
        partitions = sorted({one.place.partition for topic in found for one in topic})
        if len(partitions) > 1:
            raise Misconfigured(
                f"the inputs of {user_id} lie in partitions {partitions}, so no single dossier has them all. Some "
                "producer does not use the default (murmur2) partitioner; see README.md."
            )
        return found

    def beginnings_cut(self) -> list[str]:
        """Input partitions whose oldest records are gone: what rested on them cannot be folded again."""
        return [
            f"{topic.name}[{number}] begins at {start}"
            for topic in self._register.user_inputs
            for number, start in self._topics.starts(topic.name).items()
            if start
        ]

    def reversals(self, user_id: str, case_ids: set[str]) -> list[ReversalOrdered | ReversalConfirmed]:
        """What was ordered, and confirmed, because of these cases."""
        topic = self._register.by_name[RESOLUTIONS]
        records = (self._decode(m, topic) for m in self._topics.read(RESOLUTIONS) if _key(m) == user_id)
        found = (r for r in records if isinstance(r, ReversalOrdered | ReversalConfirmed))
        return [record for record in found if record.case_id in case_ids]

    def open_case(self, case_id: str, pods: Iterable[str]) -> Case | None:
        """The case as it stands with one of these pods; None if it is with none."""
        for pod in pods:
            topic = self._register.by_name.get(CASES + pod)
            newest: Record | None = None
            for message in self._topics.read(topic.name) if topic is not None else ():
                if _key(message) == case_id and topic is not None:
                    newest = self._decode(message, topic)
            if isinstance(newest, Case):
                return newest
        return None

    def rulebooks(self) -> KeptRulebooks:
        """The rulebooks that were kept."""
        return KeptRulebooks(read_kept(self._topics))

    def _placed(self, message: Message, key: str) -> Placed:
        place = _place(message)
        try:
            record = self._codec.decode(message.value() or b"", self._register.by_name[CASE_EVENTS].allowed)
        except DecodeError as exc:
            return Placed(place, key, None, f"{exc.reason}: {exc.text}")
        except RegistryUnavailableError as exc:
            raise Misconfigured(f"schema registry: {exc}") from exc
        return Placed(place, key, cast("CaseEvent", record))

    def _refused(self, user_id: str) -> Iterator[Place]:
        for topic in self._register.user_inputs:
            for message in self._topics.read(f"{topic.name}.dlq"):
                told = {name: bytes(value or b"") for name, value in message.headers() or []}  # type: ignore[arg-type]
                if _key(message) != user_id or told.get(deadletter.REASON) in _NO_RECORD:
                    continue  # what their letters call an offset is a time
                yield Place(
                    told.get(deadletter.TOPIC, b"").decode(),
                    int(told.get(deadletter.PARTITION, b"-1")),
                    int(told.get(deadletter.OFFSET, b"-1")),
                )

    def _of_topic(self, topic: Topic, user_id: str, refused: set[Place]) -> Iterator[Input]:
        for message in self._topics.read(topic.name):
            place = _place(message)
            if _key(message) != user_id or place in refused:
                continue
            record = self._decode(message, topic)
            if record is not None:  # else it is no dead letter yet: it lies after what was folded
                yield Input(place, cast("InputRecord", record), message.timestamp()[1])

    def _decode(self, message: Message, topic: Topic) -> Record | None:
        value = message.value()
        try:
            return None if value is None else self._codec.decode(value, topic.allowed)
        except DecodeError:
            return None
        except RegistryUnavailableError as exc:
            raise Misconfigured(f"schema registry: {exc}") from exc


def _key(message: Message) -> str:
    return (message.key() or b"").decode(errors="replace")


def _place(message: Message) -> Place:
    return Place(message.topic() or "", message.partition() or 0, message.offset() or 0)
