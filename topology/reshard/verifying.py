"""Compares both sides of a move, both ways: what is lost, what is doubled, what differs or lies in the wrong place.

Apart from what carried it: nothing here merges, counts turns or knows of progress, but of what lies on the topics and
of the partitioner. Memory: about 500 bytes a user, for one topic at a time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TypeVar

from confluent_kafka import Message

from schemas.records import DeadLetterSettled
from topology.dlq.choosing import state_of
from topology.dlq.letters import DeadLetter, Kind, read
from topology.engine import deadletter
from topology.engine.state import RESERVED
from topology.partition_reader import Bounds
from topology.partitioner import partition_of
from topology.reshard.letters import origin_of
from topology.reshard.merging import Reader
from topology.reshard.sides import Move
from topology.topics import Topic

_WHERE = (deadletter.TOPIC, deadletter.PARTITION, deadletter.OFFSET)
Digest = bytes
Where = TypeVar("Where", bytes, tuple[int, bytes])
Ident = tuple[bytes, int]
"""Whose records keep their order: (key, -1); of what is not keyed by user, (key, partition of then)."""


@dataclass
class Report:
    """What was compared, and what is wrong."""

    users: int = 0
    """With a state."""
    records: int = 0
    """Of the inputs."""
    letters: int = 0
    lines: int = 0
    """Of the audit."""
    chains_before: int = 0
    """Faults that the audit had before."""
    found: Counter[str] = field(default_factory=Counter[str])
    """Faults by kind: lost, doubled, differs, misplaced, misdirected, chain."""
    texts: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """(kind, which) of the first of each kind."""

    def fault(self, kind: str, text: str) -> None:
        """Note one."""
        self.found[kind] += 1
        if self.found[kind] <= MOST_TOLD:
            self.texts.append((kind, text))


MOST_TOLD = 20
"""Faults of a kind that are told one by one."""


@dataclass(slots=True)
class Life:
    """The records of one user or place, in their order."""

    partition: int
    count: int = 0
    chain: Digest = b""
    """Over all of them in their order."""
    total: int = 0
    """The same whatever their order."""
    scattered: bool = False
    """They lie in several partitions: then their order is not known here."""

    def take(self, partition: int, digest: Digest) -> None:
        """The next one."""
        self.count += 1
        self.chain = blake2b(self.chain + digest, digest_size=16).digest()
        self.total = (self.total + int.from_bytes(digest, "big")) % (1 << 128)
        self.scattered |= partition != self.partition


class Verifier:
    """Compares the sides of one move."""

    def __init__(self, move: Move, reader: Reader, report: Report) -> None:
        self._move = move
        self._reader = reader
        self._report = report

    # --- states -----------------------------------------------------------------------------------------------

    def states(self, shared: Mapping[tuple[int, bytes], bytes]) -> None:
        """Every user's state byte for byte in its partition, none twice; and what partitions as such have."""
        move, report = self._move, self._report
        wanted: dict[bytes, Digest] = {}
        for _, key, digest in self._values(move.old.changelog, move.old.partitions):
            if not key.startswith(RESERVED):
                _put(wanted, key, digest)
        found: dict[bytes, Digest] = {}
        strays: dict[tuple[int, bytes], Digest] = {}
        there: dict[tuple[int, bytes], Digest] = {}
        for number, key, digest in self._values(move.new.changelog, move.new.partitions):
            if key.startswith(RESERVED):
                _put(there, (number, key), digest)
            elif partition_of(key, move.new.partitions) == number:
                _put(found, key, digest)
            else:
                _put(strays, (number, key), digest)
        report.users = len(wanted)
        for number, key in sorted(strays):
            kind = "doubled" if key in found else "misplaced"
            report.fault(kind, f"the state of {key!r} in partition {number}")
        _match(report, wanted, found, lambda key: f"the state of {key!r}")
        expected = {where: _digest(value) for where, value in shared.items()}
        _match(report, expected, there, lambda where: f"{where[1]!r} of partition {where[0]}")

    def _values(self, topic: str, partitions: int) -> Iterator[tuple[int, bytes, Digest | None]]:
        """(partition, key, digest or None for a tombstone) of each record."""
        for message in self._reader.read(topic, self._reader.bounds(topic, partitions)):
            value = message.value()
            yield message.partition() or 0, message.key() or b"", None if value is None else _digest(value)

    # --- inputs -----------------------------------------------------------------------------------------------

    def inputs(self, topic: Topic, what: str, before: Bounds, after: Bounds) -> None:
        """Every record between the bounds of before lies between those of then, each user's in their order."""
        self._report.records += self._compare(f"{topic.name}, {what}", topic, before, after, _plain)

    def lines(self, topic: Topic, before: Bounds, after: Bounds) -> None:
        """The same of the audit, which is counted when its chains are walked."""
        self._compare(topic.name, topic, before, after, _plain)

    def _compare(
        self,
        what: str,
        topic: Topic,
        before: Bounds,
        after: Bounds,
        digest_of: Callable[[Message], Digest],
    ) -> int:
        move, report, reader = self._move, self._report, self._reader
        old = self._lives(topic, reader.read(move.old.on_cluster(topic), before), digest_of, placed=False)
        new = self._lives(topic, reader.read(move.new.on_cluster(topic), after), digest_of, placed=True)
        for ident in sorted(old.keys() | new.keys()):
            had, has = old.get(ident), new.get(ident)
            counts = (had.count if had else 0), (has.count if has else 0)
            whose = f"{what}: {ident[0]!r}" + ("" if ident[1] < 0 else f" for partition {ident[1]}")
            if counts[1] < counts[0]:
                report.fault("lost", f"{whose}: {counts[0] - counts[1]} of {counts[0]} records")
            elif counts[1] > counts[0]:
                report.fault("doubled", f"{whose}: {counts[1] - counts[0]} records more than the {counts[0]} of before")
            elif had and has and had.total != has.total:
                report.fault("differs", f"{whose}: not the same {counts[0]} records")
            elif had and has and had.chain != has.chain and ident[1] < 0 and not had.scattered:
                report.fault("differs", f"{whose}: the same {counts[0]} records in another order")
        return sum(life.count for life in old.values())

    def _lives(
        self, topic: Topic, messages: Iterable[Message], digest_of: Callable[[Message], Digest], *, placed: bool
    ) -> dict[Ident, Life]:
        lives: dict[Ident, Life] = {}
        move, by_user = self._move, self._move.by_user(topic)
        for message in messages:
            key, number = message.key() or b"", message.partition() or 0
            to = move.placed(topic, key, number)
            if placed and by_user and key and to != number:
                self._report.fault("misplaced", f"{topic.name}[{number}]@{message.offset()} of {key!r}")
            ident = (key, -1) if by_user and key else (key, to)
            life = lives.get(ident)
            if life is None:
                life = lives[ident] = Life(number)
            life.take(number, digest_of(message))
        return lives

    # --- dead letters -----------------------------------------------------------------------------------------

    def letters(self, topic: Topic, queue: Topic, settled: Mapping[str, DeadLetterSettled]) -> None:
        """Every letter with all that it says but where its record lies; settled if it was; its record is the one."""
        move, reader = self._move, self._reader
        prefix = move.old.register.prefix
        named: dict[tuple[int, int], Digest] = {}
        old_name, new_name = move.old.on_cluster(topic), move.new.on_cluster(topic)
        starts = {number: start for number, (start, _) in reader.bounds(old_name, move.old.partitions).items()}

        def digest_of(message: Message) -> Digest:
            letter = read(message, source=topic.name, prefix=prefix)
            if letter.kind is Kind.RECORD and letter.header(deadletter.TOPIC) == new_name:
                named[origin_of(letter)] = _digest(letter.key, letter.value)
            elif letter.topic == new_queue and letter.header(deadletter.TOPIC) == old_name:
                number, offset = origin_of(letter)
                if offset >= starts.get(number, 0):  # else the record was gone before anything moved
                    self._report.fault("misdirected", f"{letter.place} still names {old_name}[{number}]@{offset}")
            return _of_letter(letter, settled)

        new_queue = move.new.on_cluster(queue).removeprefix(prefix)
        before = reader.bounds(move.old.on_cluster(queue), move.old.partitions)
        after = reader.bounds(move.new.on_cluster(queue), move.new.partitions)
        self._report.letters += self._compare(f"{topic.name}, dead letters", queue, before, after, digest_of)
        for origin, digest in self._records(topic, named.keys()):
            if named.pop(origin) != digest:
                self._report.fault("misdirected", f"a letter names {new_name}[{origin[0]}]@{origin[1]}, another record")
        for number, offset in sorted(named):
            self._report.fault("misdirected", f"a letter names {new_name}[{number}]@{offset}, where nothing lies")

    def _records(self, topic: Topic, wanted: Iterable[tuple[int, int]]) -> Iterator[tuple[tuple[int, int], Digest]]:
        places = set(wanted)
        if not places:
            return
        on_cluster, count = self._move.new.on_cluster(topic), self._move.new.partitions
        for message in self._reader.read(on_cluster, self._reader.bounds(on_cluster, count)):
            where = message.partition() or 0, message.offset() or 0
            if where in places:
                yield where, _digest(message.key(), message.value())


def _put(newest: dict[Where, Digest], where: Where, digest: Digest | None) -> None:
    if digest is None:
        newest.pop(where, None)
    else:
        newest[where] = digest


def _match(
    report: Report, wanted: Mapping[Where, Digest], found: Mapping[Where, Digest], tell: Callable[[Where], str]
) -> None:
    """Both ways."""
    for where, digest in found.items():
        if where not in wanted:
            report.fault("doubled", f"{tell(where)}, which was not there before")
        elif wanted[where] != digest:
            report.fault("differs", tell(where))
    for where in wanted:
        if where not in found:
            report.fault("lost", tell(where))


def _digest(*parts: bytes | None) -> Digest:
    hashed = blake2b(digest_size=16)
    for part in parts:
        hashed.update(b"-" if part is None else b"%d:" % len(part))
        hashed.update(part or b"")
    return hashed.digest()


def _plain(message: Message) -> Digest:
    """All of a record but its place; a timestamp that Kafka cannot be told is carried as the first millisecond."""
    letter = read(message, source="", prefix="")
    return _digest(letter.key, letter.value, b"%d" % max(1, letter.at_ms), *_flat(letter.headers))


def _of_letter(letter: DeadLetter, settled: Mapping[str, DeadLetterSettled]) -> Digest:
    told = [(name, None if name in _WHERE else value) for name, value in letter.headers]
    done = settled.get(letter.place)
    who = b"" if done is None else f"{done.actor}\x1f{done.reason}\x1f{done.occurred_at}".encode()
    state = state_of(letter.place, settled).value.encode()
    return _digest(letter.key, letter.value, b"%d" % max(1, letter.at_ms), state, who, *_flat(told))


def _flat(headers: Iterable[tuple[str, bytes | None]]) -> Iterator[bytes | None]:
    for name, value in headers:
        yield name.encode()
        yield value
