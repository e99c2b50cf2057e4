"""The proxy tells the answers of a transaction from all others, however the bytes come, and swallows exactly those."""

import struct

import pytest

from tests.faults.wire import Api, Conversation, Frames


def request(key: int, correlation: int) -> bytes:
    body = struct.pack(">hhi", key, 3, correlation) + b"client"
    return struct.pack(">i", len(body)) + body


def answer(correlation: int) -> bytes:
    body = struct.pack(">i", correlation) + b"fine"
    return struct.pack(">i", len(body)) + body


@pytest.mark.parametrize("size", [1, 3, 7, 1_000])
def test_frames_are_whole_however_the_bytes_come(size):
    stream = answer(1) + answer(2) + answer(3)
    frames = Frames()
    pieces = [stream[n : n + size] for n in range(0, len(stream), size)]
    assert [frame for piece in pieces for frame in frames.cut(piece)] == [answer(1), answer(2), answer(3)]


def test_half_a_frame_is_kept_until_the_rest_comes():
    frames = Frames()
    assert list(frames.cut(answer(1)[:-1])) == []
    assert list(frames.cut(answer(1)[-1:])) == [answer(1)]


def test_an_answer_is_known_by_its_request_and_only_once():
    talk = Conversation()
    for key, correlation in ((3, 1), (Api.END_TXN, 2), (Api.TXN_OFFSET_COMMIT, 3)):
        talk.ask(request(key, correlation))
    assert [talk.answer(answer(n)) for n in (1, 3, 2, 2)] == [None, Api.TXN_OFFSET_COMMIT, Api.END_TXN, None]
