"""A dead letter: the original record, and what the headers of KIP-1034 say of it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from confluent_kafka import Message

from topology.engine import deadletter
from topology.engine.errors import Misconfigured

Header = tuple[str, bytes | None]

_WHY = (
    deadletter.EXCEPTION,
    deadletter.MESSAGE,
    deadletter.STACKTRACE,
    deadletter.TOPIC,
    deadletter.PARTITION,
    deadletter.OFFSET,
    deadletter.REASON,
)
_OF_RECORD = (*_WHY, deadletter.TIMESTAMP)
_OF_TELL = (*_WHY, deadletter.TOLD, deadletter.TELLER)


class Kind(StrEnum):
    """What became a dead letter."""

    RECORD = "record"
    """A record of an input topic: it can be replayed."""
    TIMER = "timer"
    """A timer that raised: there is no record."""
    TELL = "tell"
    """What a sweep had for one user, and could not tell: there is no record."""
    FOREIGN = "foreign"
    """Not written by a worker of ours."""


@dataclass(frozen=True)
class DeadLetter:
    """One record of a dead-letter topic."""

    source: str
    """The input topic whose dead letters it is among, by its name in the register."""
    topic: str
    """Where it lies: the name on the cluster, without the prefix of the installation."""
    partition: int
    offset: int
    at_ms: int
    """Its own timestamp, UTC ms."""
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...]
    sealed_value: bytes | None = None
    """What lies there, of a letter that was sealed and has been opened (`topology/privacy/letters.py`)."""
    unreadable: str = ""
    """Why a sealed one could not be opened."""

    @property
    def place(self) -> str:
        """Its name: `topic[partition]@offset`, without the prefix of the installation."""
        return place(self.topic, self.partition, self.offset)

    @property
    def kind(self) -> Kind:
        """By the headers that come last; what comes before them is the record's own, whatever it is called."""
        names = tuple(name for name, _ in self.headers)
        if names[-len(_OF_RECORD) :] == _OF_RECORD:
            return Kind.RECORD
        if self.value is None and names == _OF_TELL:
            return Kind.TELL
        if self.value is None and names == _WHY:
            return Kind.TIMER
        return Kind.FOREIGN

    @property
    def original_headers(self) -> list[Header]:
        """Those that the record had before it was set aside; only of a `RECORD`."""
        return list(self.headers[: -len(_OF_RECORD)])

    @property
    def original_at_ms(self) -> int:
        """The timestamp that the record had; only of a `RECORD`. Can be implausible, then that may be the reason."""
        text = self.header(deadletter.TIMESTAMP)
        return int(text) if re.fullmatch(r"-?\d{1,18}", text) else self.at_ms

    @property
    def code(self) -> str:
        """Why it was set aside, from the closed list."""
        return self.header(deadletter.REASON) or "unknown"

    @property
    def message(self) -> str:
        """What was wrong, in words."""
        return self.header(deadletter.MESSAGE)

    @property
    def origin(self) -> str:
        """`topic[partition]@offset` where the record came from, by the names on the cluster; a timer's: when due."""
        topic, partition, offset = (
            self.header(name) or "?" for name in (deadletter.TOPIC, deadletter.PARTITION, deadletter.OFFSET)
        )
        return f"{topic}[{partition}]@{offset}"

    @property
    def digest(self) -> str | None:
        """SHA-256 of the bytes that lie there, hexadecimal."""
        lies = self.value if self.sealed_value is None else self.sealed_value
        return None if lies is None else hashlib.sha256(lies).hexdigest()

    def header(self, name: str) -> str:
        """The newest of this name as text, bytes that are none as escapes; empty without one."""
        found = next((value for called, value in reversed(self.headers) if called == name), None)
        return (found or b"").decode(errors="backslashreplace")


def read(message: Message, *, source: str, prefix: str) -> DeadLetter:
    """The letter in a message of the dead-letter topic of this input; `prefix` is the installation's."""
    return DeadLetter(
        source=source,
        topic=(message.topic() or "").removeprefix(prefix),
        partition=message.partition() or 0,
        offset=message.offset() or 0,
        at_ms=message.timestamp()[1],
        key=message.key(),
        value=message.value(),
        headers=tuple((str(name), _raw(value)) for name, value in _headers(message)),
    )


def place(topic: str, partition: int, offset: int) -> str:
    """How a place in a topic is written."""
    return f"{topic}[{partition}]@{offset}"


def parse_place(text: str) -> tuple[str, int, int]:
    """`topic[partition]@offset` in parts.

    Raises:
        Misconfigured: it is not written so.
    """
    match = re.fullmatch(r"([\w.-]+)\[(\d+)\]@(\d+)", text)
    if match is None:
        raise Misconfigured(f"{text!r} is no place of a dead letter; write topic[partition]@offset")
    return match[1], int(match[2]), int(match[3])


def _headers(message: Message) -> Sequence[tuple[str, str | bytes | None]]:
    return message.headers() or []  # type: ignore[return-value]


def _raw(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value
