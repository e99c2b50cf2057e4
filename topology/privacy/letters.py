"""Dead letters of users are sealed: the record, its headers, and what was said about it.

What could not be judged can hold anything, and stays until somebody looks. So its bytes and its own headers, and the
error's words, which may quote them, are sealed with the user's key; outside stand the key of the record, where it came
from, the code of the reason, and that it is sealed. A record without a readable user, or of another user than its key
says, is sealed with a key of the month, which is shredded three months later: nobody could find it by a user.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import msgspec

from schemas import sealed
from schemas.sealed import DEAD_LETTER, Purpose
from topology.dlq.letters import DeadLetter, Kind
from topology.engine import deadletter
from topology.engine.batch import Output
from topology.privacy.errors import Erased, NotGenuine, as_ours
from topology.privacy.subject_keys import SubjectKeys

Header = deadletter.Header
NOBODY = "\0unkeyed/"
"""Before the month in the name of its key; no user's id begins so."""
NOBODYS = frozenset({deadletter.NULL_KEY, deadletter.BAD_KEY, "key_mismatch"})
"""Reasons for which the record is not taken for one of the user whom its key names."""
MONTHS_KEPT = 3
"""After the month, how many whole ones more its key is kept."""
_SEALED_WORDS = b"sealed, see `recourse dlq show`"
_TAIL = 8
"""Headers of ours, `deadletter.TIMESTAMP` the last of them."""
_encode = msgspec.msgpack.Encoder().encode
_Content = tuple[bytes | None, list[tuple[str, bytes | None]], bytes | None, bytes | None]
_decode = msgspec.msgpack.Decoder(_Content).decode


def month_of(at_ms: int) -> str:
    """As in the names of the months' keys."""
    return f"{datetime.fromtimestamp(at_ms / 1_000, UTC):%Y-%m}"


def months_gone(at_ms: int) -> list[str]:
    """Months whose keys are to be shredded by now, of the last two years."""
    now = datetime.fromtimestamp(at_ms / 1_000, UTC)
    number = now.year * 12 + now.month - 1
    return [f"{n // 12:04d}-{n % 12 + 1:02d}" for n in range(number - 24, number - MONTHS_KEPT)]


def sealer(keys: SubjectKeys, topics: Collection[str], now_ms: Callable[[], int]) -> Callable[[list[Output]], None]:
    """What `FoldApp.seal` wants.

    Args:
        keys: the users'.
        topics: dead-letter topics of inputs that are keyed by user, by their names on the cluster.
        now_ms: the machine's clock.
    """
    wanted = frozenset(topics)

    def seal(outputs: list[Output]) -> None:
        letters = [(n, out) for n, out in enumerate(outputs) if out[0] in wanted and _is_record(out)]
        month = NOBODY + month_of(now_ms())
        subjects = [_subject(out) or month for _, out in letters]
        found = keys.for_sealing(subjects)
        with as_ours():
            for (n, out), subject in zip(letters, subjects, strict=True):
                outputs[n] = _sealed(out, subject, found[subject])

    return seal


class Opener:
    """Opens letters that can be opened; used by commands."""

    def __init__(self, keys: SubjectKeys | None) -> None:
        """`keys`: None where no key-encryption key is at hand."""
        self._keys = keys

    def __call__(self, letter: DeadLetter) -> DeadLetter:
        """The letter as it was before it was sealed; or with the reason why it cannot be opened."""
        if not is_sealed(letter):
            return letter
        if self._keys is None:
            return replace(letter, unreadable="sealed, and no key-encryption key is set here (RECOURSE_KEK)")
        try:
            return self._opened(letter, self._keys)
        except Erased:
            month = letter.header(deadletter.SEALED)
            what = f"the key of {month} has been shredded" if month else "its user was erased"
            return replace(letter, unreadable=f"erased: {what}, nobody can ever read it again")
        except NotGenuine as exc:
            return replace(letter, unreadable=str(exc))

    @staticmethod
    def _opened(letter: DeadLetter, keys: SubjectKeys) -> DeadLetter:
        value = letter.value or b""
        month = letter.header(deadletter.SEALED)
        subject = NOBODY + month if month else (letter.key or b"").decode()
        purpose = Purpose(DEAD_LETTER, subject, letter.header(deadletter.TIMESTAMP))
        with as_ours():
            raw = sealed.open_(keys.for_reading(subject, sealed.key_id_of(value)), purpose, value)
        original, headers, message, trace = _decode(raw)
        words = {deadletter.MESSAGE: message, deadletter.STACKTRACE: trace}
        outside = [(name, words.get(name, told)) for name, told in letter.headers[-_TAIL:]]
        return replace(letter, value=original, headers=(*headers, *outside), sealed_value=letter.value)


def is_sealed(letter: DeadLetter) -> bool:
    """Whether it is one that we have sealed: its only own header says so, and the bytes look like it."""
    if letter.kind is not Kind.RECORD or [name for name, _ in letter.original_headers] != [deadletter.SEALED]:
        return False
    value = letter.value or b""
    return len(value) > sealed.HEAD + sealed.TAG and value[0] == sealed.FORM


def _is_record(out: Output) -> bool:
    headers = out[7] or []
    return bool(headers) and headers[-1][0] == deadletter.TIMESTAMP


def _subject(out: Output) -> str | None:
    """The user whom the letter is about, if its key can be trusted to say so."""
    reason = next(value for name, value in reversed(out[7] or []) if name == deadletter.REASON)
    code = reason.decode() if isinstance(reason, bytes) else reason
    return None if code in NOBODYS or not out[2] else out[2].decode()


def _sealed(out: Output, subject: str, key: sealed.Key) -> Output:
    topic, value, name, partition, _, _, timestamp, headers = out
    told = [*_raw(headers or [])]
    own, ours = told[:-_TAIL], told[-_TAIL:]
    words = dict(ours)
    content = (value, own, words[deadletter.MESSAGE], words[deadletter.STACKTRACE])
    at = (words[deadletter.TIMESTAMP] or b"").decode()
    letter = sealed.seal(key, Purpose(DEAD_LETTER, subject, at), _encode(content))
    hidden = {deadletter.MESSAGE: _SEALED_WORDS, deadletter.STACKTRACE: b""}
    outside: list[Any] = [(each, hidden.get(each, said)) for each, said in ours]
    month = subject.removeprefix(NOBODY).encode() if subject.startswith(NOBODY) else b""
    return topic, letter, name, partition, None, None, timestamp, [(deadletter.SEALED, month), *outside]


def _raw(headers: list[Header]) -> Iterator[tuple[str, bytes | None]]:
    for name, value in headers:
        yield str(name), value.encode() if isinstance(value, str) else value
