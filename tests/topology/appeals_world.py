"""The appeals application in the real engine on its in-memory twin, and everything that is on its topics, checked."""

from __future__ import annotations

from collections import Counter
from functools import cache
from typing import Any

from processors.dossier import Dossier
from schemas.codec import Codec
from schemas.records import (
    Case,
    CaseEvent,
    LegalHoldPlaced,
    LegalHoldReleased,
    Record,
    SubjectErasureRequested,
)
from tests.driver import START_MS, Driver
from tests.driver.checks import told
from tests.driver.log import Record as Raw
from tests.topology import review_checker as checker
from tests.topology.review_books import rulebook, sections
from tests.topology.review_erasure_promises import keys_go_in_the_same_batch, nothing_of_the_erased_is_left
from tests.topology.review_history import Broken, History, Policy
from tests.unit import builders
from topology.appeals import appeals_app
from topology.engine.definition import ClockKind
from topology.topics import Topic, load_register

PARTITIONS = 2
NONSENSE = b"no record"
"""What must become a dead letter."""
MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
_FOR_EVER_S = 1e12
STALLED = "reversals.stalled"
KEYS = "subject.keys"
AUDIT = "case.events"
_PRIVACY = (SubjectErasureRequested, LegalHoldPlaced, LegalHoldReleased)

REGISTER = load_register(partitions=PARTITIONS)
_INPUTS = {cls: topic.name for topic in REGISTER.inputs for cls in topic.allowed}
_COMPACTED = [t.name for t in REGISTER.topics if t.cleanup == "compact" and t not in REGISTER.inputs]
_OUTPUTS = [t for t in REGISTER.topics if t.records and t not in REGISTER.inputs]


@cache
def codec() -> Codec:
    """One for all worlds."""
    return Codec()


class World:
    """One installation: send records, let time pass, read what the topics say, and check it as it comes.

    Everything is written at a time of its own, a millisecond apart at least, so that the order of folding is the order
    of writing and a refold can be compared to the byte.
    """

    def __init__(self, book: str, *, stream: bool, workers: int = 1, salt: int = 0, **settings: Any) -> None:
        self.book = book
        self.stream = stream
        self.salt = salt
        """Goes into the ids of appeals: what is drawn by a case's id differs from world to world."""
        self.driver: Driver[Dossier] = self._driver(workers=workers, **settings)
        self.history = History(Policy.of(sections(book)))
        self.broken = False
        """A promise was not kept, or the engine stopped."""
        self.bad = 0
        """Records sent that must become dead letters."""
        self._numbers: dict[str, int] = {}
        self._positions: dict[tuple[str, int], int] = {}
        self._newest: dict[str, dict[bytes | None, bytes | None]] = {name: {} for name in _COMPACTED}
        """What a log cleaner would leave of each compacted topic."""

    @property
    def now(self) -> int:
        """UTC ms."""
        return self.driver.clock.now_ms()

    def fresh(self, prefix: str) -> str:
        """An id that nothing else in this world has; the same in each run of the same history."""
        self._numbers[prefix] = number = self._numbers.get(prefix, 0) + 1
        return f"{prefix}-{number}"

    def topic_of(self, record: Record) -> str:
        """The input that it comes on."""
        return _INPUTS[type(record)]

    def send(self, record: Record) -> None:
        """Write an input under its user."""
        topic = self.topic_of(record)
        self._write(topic, record.user_id, codec().encode(record, topic))  # type: ignore[attr-defined]

    def send_nonsense(self, user: str) -> None:
        """Write what nobody can read."""
        self.bad += 1
        self._write("review.events", user, NONSENSE)

    def _write(self, topic: str, key: str, value: bytes) -> None:
        self.driver.advance(1)
        self.driver.send(topic, key, value)

    def rest(self) -> None:
        """Let the engine come to rest, then read and check."""
        self.broken = True
        self.driver.run()
        self.read()
        for promise in checker.AT_REST:
            promise(self.history)
        stored = [self.driver.store.dossiers(partition) for partition in range(PARTITIONS)]
        places = {name: newest.values() for name, newest in self._newest.items()}
        places["Redis"] = [value for dossiers in stored for value in dossiers.values()]
        nothing_of_the_erased_is_left(self.history, places)
        self.broken = False

    def read(self) -> None:
        """Take in what is committed on all topics, and check it."""
        self._read_inputs()
        cases: list[Case] = []
        lines: list[CaseEvent] = []
        batches: list[int] = []
        """Of the lines."""
        tombstones: Counter[tuple] = Counter()
        self._new(REGISTER.changelog.name)
        for topic in _OUTPUTS:
            for raw in self._new(topic.name):
                match record := self._output(topic, raw):
                    case Case():
                        cases.append(record)
                    case CaseEvent():
                        lines.append(record)
                        batches.append(self._batch(raw))
                    case None if topic.name == KEYS:
                        tombstones[(raw.key or b"").decode(), self._batch(raw)] += 1
                    case _ if record is not None and topic.name != STALLED:
                        self.history.take_output(record)
                    case _:
                        pass
        checker.check(self.history, cases, lines)
        keys_go_in_the_same_batch(self.history, zip(batches, lines, strict=True), tombstones)
        dead = self.driver.dead_letters()
        if len(dead) > self.bad:
            raise Broken(f"{len(dead)} dead letters, {self.bad} expected; the last: {dead[-1]}")

    def _read_inputs(self) -> None:
        for topic in REGISTER.inputs:
            for raw in self._new(topic.name):
                if raw.value != NONSENSE:
                    self.history.take_input(codec().decode(raw.value or b"", topic.allowed), raw.timestamp)

    def _output(self, topic: Topic, raw: Raw) -> Record | None:
        """What was written, after compacted topics have it: none is a tombstone."""
        record = None if raw.value is None else codec().decode(raw.value, topic.allowed)
        key = (raw.key or b"").decode()
        if topic.name == STALLED:
            self.history.undone.take_stalled(key, record)
        elif record is None and topic.name.startswith("cases."):
            self.history.on_pods.pop((topic.name.removeprefix("cases."), key), None)
        elif isinstance(record, Case):
            self.history.on_pods[record.pod, record.case_id] = record
        return record

    def check_end(self) -> None:
        """What holds once everything has been read and acknowledged."""
        for promise in checker.AT_THE_END:
            promise(self.history)
        dead = len(self.driver.dead_letters())
        if dead != self.bad:
            raise Broken(f"{dead} dead letters, {self.bad} expected")
        if self.driver.stored_states() != self.driver.states():
            raise Broken("the store is not what the changelog says")

    def check_refold(self, batch_records: int) -> None:
        """By stream time, another engine with other batches makes the same of the same inputs, byte for byte."""
        again = self._driver(batch_records=batch_records, batch_timers=max(1, batch_records // 2))
        for topic in REGISTER.inputs:
            for raw in self.driver.read(topic.name):
                again.send(topic.name, raw.key, raw.value, at=raw.timestamp, partition=raw.partition)
        again.run()
        for topic in _OUTPUTS:
            first, second = _by_key(self.driver.read(topic.name)), _by_key(again.read(topic.name))
            differs = next((key for key in first.keys() | second.keys() if first.get(key) != second.get(key)), None)
            if differs is not None:
                raise Broken(f"refolded, {topic.name} differs for {differs!r}")
        if told(self.driver.dead_letters()) != told(again.dead_letters()):
            raise Broken("refolded, the dead letters differ")
        if self.driver.states() != again.states():
            raise Broken("refolded, the dossiers differ")

    def check_others_untouched(self) -> None:
        """By stream time: had nobody been erased or put under hold, the same would have come about all others.

        Another engine gets something harmless about the same user in the place of each such record.
        """
        again = self._driver()
        touched: set[str] = set()
        for topic in REGISTER.inputs:
            for raw in self.driver.read(topic.name):
                value = raw.value
                record = None if value == NONSENSE else codec().decode(value or b"", topic.allowed)
                if isinstance(record, _PRIVACY):
                    touched.add(record.user_id)
                    instead = builders.a_profile(record.occurred_at, event_id=record.event_id, user_id=record.user_id)
                    value = codec().encode(instead, topic.name)
                again.send(topic.name, raw.key, value, at=raw.timestamp, partition=raw.partition)
        again.run()
        for topic in (AUDIT, "appellant.notices", "resolution.events"):
            first, second = _by_key(self.driver.read(topic)), _by_key(again.read(topic))
            for key in first.keys() | second.keys():
                if (key or b"").decode() not in touched and first.get(key) != second.get(key):
                    raise Broken(f"without {touched} being erased, {topic} has something else about {key!r}")
        first_states, second_states = self.driver.states(), again.states()
        for key, state in first_states.items():
            if key not in touched and state != second_states[key]:
                raise Broken(f"without {touched} being erased, the dossier of {key} is another")

    def _batch(self, raw: Raw) -> int:
        """The transaction that a record was written in."""
        entry = self.driver.broker.log(raw.topic, raw.partition)._entries[raw.offset]
        assert isinstance(entry, tuple)
        return id(entry[1])

    def _new(self, topic: str) -> list[Raw]:
        found: list[Raw] = []
        broker = self.driver.broker
        for partition in range(broker.partitions(topic)):
            place = (topic, partition)
            records, position = broker.log(*place).fetch(self._positions.get(place, 0), 1_000_000)
            self._positions[place] = position
            found += records
        if topic in self._newest:
            self._newest[topic] |= {raw.key: raw.value for raw in found}
        return found

    def _driver(self, **settings: Any) -> Driver[Dossier]:
        return Driver(
            appeals_app(name="appeals", register=REGISTER, codec=codec(), rulebook=rulebook(self.book)),
            partitions=PARTITIONS,
            start_ms=START_MS,
            clock=ClockKind.STREAM if self.stream else ClockKind.WALL,
            align_s=_FOR_EVER_S,
            dead_letters_in_a_row=100_000,
            dead_letter_share=1.0,
            renewals_in_a_row=1_000,
            **settings,
        )


def _by_key(records: list[Raw]) -> dict[bytes | None, list[tuple[bytes | None, int]]]:
    """A key's records in order; keys of several partitions share a topic's partition in any order."""
    found: dict[bytes | None, list[tuple[bytes | None, int]]] = {}
    for record in records:
        found.setdefault(record.key, []).append((record.value, record.timestamp))
    return found
