"""Just enough of Kafka's protocol to tell which answer is whose: frames, API keys and correlation ids.

A request is `length, api key, api version, correlation id, …`, an answer `length, correlation id, …`; lengths and
correlation ids have four bytes, keys and versions two, all big-endian (Kafka protocol guide, "Request header").
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import IntEnum

_LENGTH = struct.Struct(">i")
_ASKED = struct.Struct(">hhi")
_ANSWERED = struct.Struct(">i")


class Api(IntEnum):
    """Requests whose answers can be lost on their way, or which can be sent astray."""

    PRODUCE = 0
    ADD_OFFSETS_TO_TXN = 25
    END_TXN = 26
    TXN_OFFSET_COMMIT = 28


_KNOWN = frozenset(Api)


def api_of(frame: bytes) -> Api | None:
    """What a question asks for, if it is one of the known."""
    key = _ASKED.unpack_from(frame, _LENGTH.size)[0]
    return Api(key) if key in _KNOWN else None


def astray(frame: bytes, topic: str) -> bytes:
    """A request to produce to the topic as one to a partition that it does not have.

    From version 9 on, lengths are variable (KIP-482); those here fit a byte.
    """
    named = frame.index(topic.encode()) + len(topic)
    flexible = _ASKED.unpack_from(frame, _LENGTH.size)[1] >= 9
    at = named + (1 if flexible else _LENGTH.size)
    return frame[:at] + _LENGTH.pack(2**31 - 1) + frame[at + _LENGTH.size :]


class Frames:
    """Cuts a stream of bytes, however it comes, into whole frames with their lengths."""

    def __init__(self) -> None:
        self._left = bytearray()

    def cut(self, piece: bytes) -> Iterator[bytes]:
        """The frames that this piece completes."""
        self._left += piece
        while len(self._left) >= _LENGTH.size:
            size = _LENGTH.size + _LENGTH.unpack_from(self._left)[0]
            if len(self._left) < size:
                return
            yield bytes(self._left[:size])
            del self._left[:size]


class Conversation:
    """One connection: which of the known requests still wait for their answers."""

    def __init__(self) -> None:
        self._asked: dict[int, Api] = {}

    def ask(self, frame: bytes) -> None:
        """A request went by."""
        api = api_of(frame)
        if api is not None:
            self._asked[_ASKED.unpack_from(frame, _LENGTH.size)[2]] = api

    def answer(self, frame: bytes) -> Api | None:
        """What this answers, if it is one of the known."""
        return self._asked.pop(_ANSWERED.unpack_from(frame, _LENGTH.size)[0], None)
