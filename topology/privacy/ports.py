"""What the users' keys rest on: a log that is the truth, and a view of it that answers quickly."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from schemas.records import WrappingKey

Change = tuple[bytes, bytes | None]
"""(key, value) as they lie on the topic; without a value, a tombstone."""


class Logged(NamedTuple):
    """One committed record of the topic."""

    offset: int
    key: bytes
    value: bytes | None


class Log(Protocol):
    """The topics of keys. What it cannot do now raises `Retriable`."""

    partitions: int

    def bounds(self, partitions: Sequence[int]) -> dict[int, tuple[int, int]]:
        """By partition: the oldest offset, and the one after the newest record, uncommitted ones included."""
        ...

    def between(self, bounds: Mapping[int, tuple[int, int]]) -> Iterator[tuple[int, Logged]]:
        """Committed records with their partitions, each partition's in its order."""
        ...

    def write(self, changes: Iterable[Change]) -> None:
        """Write them, each into the partition of its key, and wait until the brokers have all of them."""
        ...

    def wrapping_keys(self) -> list[WrappingKey]:
        """All there are."""
        ...

    def write_wrapping(self, records: Iterable[WrappingKey]) -> None:
        """Write them, by their ids, and wait."""
        ...


class Held(NamedTuple):
    """What the view has of a user."""

    value: bytes
    confirmed: bool
    """It has been read back from the log; else somebody is about to write it there."""


class View(Protocol):
    """The newest records of the log by partition, with how far it has been read. Raises `StoreDown`."""

    def get(self, partition: int, keys: Sequence[bytes]) -> list[Held | None]:
        """What it has; which may be a little less than the log has."""
        ...

    def reached(self, partitions: Sequence[int]) -> dict[int, int | None]:
        """The next offset to be taken in; None: it has nothing, or has slept so long that it may have missed some."""
        ...

    def forget(self, partition: int) -> None:
        """Begin anew."""
        ...

    def take(self, partition: int, expected: int | None, reached: int, changes: Sequence[Change]) -> bool:
        """Take in what the log has from `expected` up to `reached`, at one moment; False: somebody else was here.

        Of two keys of one user, without a tombstone between them, the first one counts.
        """
        ...

    def claim(self, partition: int, at_least: int, changes: Sequence[tuple[bytes, bytes]]) -> list[Held] | None:
        """Note keys that are about to be written, unless the user has one; what the view has then, by place.

        None: the view has not been read up to `at_least`, so it does not know who has one.
        """
        ...
