"""The users' keys without servers: a log in memory, and a view that can forget what it was told last."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy

from schemas import Codec
from schemas.records import SubjectKey, WrappingKey
from topology.partitioner import partition_of
from topology.privacy.ports import Change, Held, Logged, View
from topology.privacy.subject_keys import SubjectKeys

PARTITIONS = 2
CODEC = Codec()
KEKS = {"k-1": bytes(range(32))}


class MemoryLog:
    """`ports.Log`."""

    def __init__(self) -> None:
        self.partitions = PARTITIONS
        self.records: dict[int, list[Logged]] = {number: [] for number in range(PARTITIONS)}
        self.ends = [0] * PARTITIONS
        self.wrapping: dict[str, WrappingKey] = {}
        self.before_write: Callable[[], None] = lambda: None
        """What happens right before the next write."""

    def bounds(self, partitions: Sequence[int]) -> dict[int, tuple[int, int]]:
        return {p: (self.records[p][0].offset if self.records[p] else self.ends[p], self.ends[p]) for p in partitions}

    def between(self, bounds: Mapping[int, tuple[int, int]]) -> Iterator[tuple[int, Logged]]:
        for partition, (start, end) in bounds.items():
            yield from ((partition, each) for each in list(self.records[partition]) if start <= each.offset < end)

    def write(self, changes: Iterable[Change]) -> None:
        found = list(changes)
        if found:
            hook, self.before_write = self.before_write, lambda: None
            hook()
        for key, value in found:
            partition = partition_of(key, PARTITIONS)
            self.records[partition].append(Logged(self.ends[partition], key, value))
            self.ends[partition] += 1

    def wrapping_keys(self) -> list[WrappingKey]:
        return list(self.wrapping.values())

    def write_wrapping(self, records: Iterable[WrappingKey]) -> None:
        self.wrapping |= {record.wrapping_id: record for record in records}

    def compact(self) -> None:
        """Only the newest record of each key stays, and no tombstone."""
        for partition, records in self.records.items():
            newest = {each.key: each for each in records}
            self.records[partition] = [each for each in records if newest[each.key] is each and each.value is not None]

    def of(self, user: str) -> list[bytes | None]:
        return [
            each.value for each in self.records[partition_of(user.encode(), PARTITIONS)] if each.key == user.encode()
        ]


class MemoryView:
    """`ports.View`."""

    def __init__(self) -> None:
        self.hashes: dict[int, dict[bytes, Held]] = {}
        self.at: dict[int, int] = {}

    def get(self, partition: int, keys: Sequence[bytes]) -> list[Held | None]:
        return [self.hashes.get(partition, {}).get(key) for key in keys]

    def reached(self, partitions: Sequence[int]) -> dict[int, int | None]:
        return {partition: self.at.get(partition) for partition in partitions}

    def forget(self, partition: int) -> None:
        self.hashes.pop(partition, None)
        self.at.pop(partition, None)

    def take(self, partition: int, expected: int | None, reached: int, changes: Sequence[Change]) -> bool:
        if self.at.get(partition) != expected:
            return False
        kept = self.hashes.setdefault(partition, {})
        for key, value in changes:
            if value is None:
                kept.pop(key, None)
            elif key not in kept or not kept[key].confirmed:
                kept[key] = Held(value, confirmed=True)
        self.at[partition] = reached
        return True

    def claim(self, partition: int, at_least: int, changes: Sequence[tuple[bytes, bytes]]) -> list[Held] | None:
        if self.at.get(partition, -1) < at_least:
            return None
        kept = self.hashes.setdefault(partition, {})
        return [kept.setdefault(key, Held(value, confirmed=False)) for key, value in changes]

    def flush(self) -> None:
        self.hashes, self.at = {}, {}

    def snapshot(self) -> tuple[dict[int, dict[bytes, Held]], dict[int, int]]:
        return deepcopy((self.hashes, self.at))

    def fail_over(self, to: tuple[dict[int, dict[bytes, Held]], dict[int, int]]) -> None:
        """An older copy takes over, as a Redis whose master died before it had copied everything."""
        self.hashes, self.at = deepcopy(to)


def some_keys(log: MemoryLog, view: MemoryView, keks: Mapping[str, bytes] = KEKS) -> SubjectKeys:
    """One program's."""
    return SubjectKeys(log, view, CODEC, keks, topic="subject.keys")


def key_ids(log: MemoryLog, user: str) -> list[str | None]:
    """The names of the user's keys on the topic, oldest first; None: a tombstone."""
    found: list[str | None] = []
    for value in log.of(user):
        record = None if value is None else CODEC.decode(value, frozenset({SubjectKey}))
        found.append(record.key_id if isinstance(record, SubjectKey) else None)
    return found


def check_view(view: View) -> None:
    """What every view promises, whatever it is made of; nothing is in partition 0 before."""
    key, other = b"u-1", b"u-2"
    assert view.reached([0]) == {0: None}
    assert view.get(0, [key]) == [None]
    assert view.claim(0, 0, [(key, b"mine")]) is None, "it does not know what the log has"
    assert view.take(0, None, 3, [(key, b"first"), (other, b"other")])
    assert not view.take(0, None, 4, [(key, b"x")]), "somebody else was here"
    assert view.reached([0]) == {0: 3}
    assert view.get(0, [other, key, b"u-3"]) == [Held(b"other", True), Held(b"first", True), None]
    assert view.take(0, 3, 5, [(key, b"second")])
    assert view.get(0, [key]) == [Held(b"first", True)], "of two keys the first one counts"
    assert view.take(0, 5, 6, [(key, None), (key, b"third")])
    assert view.get(0, [key]) == [Held(b"third", True)], "unless the one before was shredded"
    assert view.take(0, 6, 7, [(key, None)])
    assert view.get(0, [key]) == [None]
    assert view.claim(0, 8, [(key, b"mine")]) is None, "it has not come so far"
    assert view.claim(0, 7, [(key, b"mine"), (other, b"mine")]) == [Held(b"mine", False), Held(b"other", True)]
    assert view.claim(0, 6, [(key, b"yours")]) == [Held(b"mine", False)], "announced by somebody else"
    assert view.take(0, 7, 8, [(key, b"yours")])
    assert view.get(0, [key]) == [Held(b"yours", True)], "the log is the truth"
    assert view.claim(0, 8, [(b"u-4", bytes(range(256)))]) == [Held(bytes(range(256)), False)]
    assert view.take(0, 8, 9, [(b"u-4", None)]), "a tombstone takes an announcement too"
    assert view.get(0, [b"u-4"]) == [None]
    view.forget(0)
    assert (view.reached([0]), view.get(0, [key])) == ({0: None}, [None])
