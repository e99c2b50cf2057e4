"""Fills the books from the topics: whole, committed records only, outside the group."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Self

from schemas.errors import DecodeError, RegistryUnavailableError
from schemas.records import AppealSubmitted, CaseEvent, EnforcementAmended, EnforcementIssued, Record
from topology.engine.errors import Misconfigured
from topology.registry import open_codec
from topology.report.figures import Books
from topology.settings import Settings
from topology.topic_reader import TopicReader

APPEALS = "appeal.events"
CASE_EVENTS = "case.events"
ENFORCEMENTS = "enforcement.events"
_TOPICS = (APPEALS, CASE_EVENTS, ENFORCEMENTS)


class ReportReader:
    """Reads what a report is counted from. A context manager."""

    def __init__(self, settings: Settings) -> None:
        self._register = settings.register_of_topics()
        self._codec = open_codec(settings)
        self._topics = TopicReader(settings.kafka_config(), self._register, name=f"{settings.group}-report")
        self._unreadable: Counter[str] = Counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._topics.__exit__()

    def fill(self, books: Books) -> None:
        """Read the topics to their ends, in the order that the books ask for."""
        for record in self._read(APPEALS):
            if isinstance(record, AppealSubmitted):
                books.appeal(record)
        for record in self._read(CASE_EVENTS):
            if isinstance(record, CaseEvent):
                books.line(record)
        for record in self._read(ENFORCEMENTS):
            if isinstance(record, EnforcementIssued | EnforcementAmended):
                books.enforcement(record)

    def missing(self) -> list[str]:
        """What may make the figures too low: records that are gone, and those that cannot be read."""
        cut = [
            f"{name}[{number}] begins at {start}: older records are gone"
            for name in _TOPICS
            for number, start in self._topics.starts(name).items()
            if start
        ]
        unreadable = [
            f"{name}: {count} records cannot be read (`recourse dlq list`)" for name, count in self._unreadable.items()
        ]
        return cut + unreadable

    def _read(self, topic: str) -> Iterator[Record]:
        allowed = self._register.by_name[topic].allowed
        for message in self._topics.read(topic):
            value = message.value()
            if value is None:
                continue
            try:
                yield self._codec.decode(value, allowed)
            except DecodeError:
                self._unreadable[topic] += 1
            except RegistryUnavailableError as exc:
                raise Misconfigured(f"schema registry: {exc}") from exc
