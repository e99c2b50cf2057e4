"""What the audit tells: the life of a case, whether its user's chain is whole, what was decided in cases like it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, cast

from confluent_kafka import Message

from desk.keyed_log import Kept, KeyedLog
from schemas import Codec, DecodeError, to_json
from schemas.chain import hash_of
from schemas.records import CaseEvent
from schemas.vocabulary import CaseEventKind, Outcome

_LINE: Final = frozenset({CaseEvent})
_ALIKE: Final = 60
_OPENED: Final = frozenset({CaseEventKind.CASE_OPENED, CaseEventKind.INTERNAL_CASE_OPENED, CaseEventKind.CASE_DECIDED})


@dataclass(frozen=True, slots=True)
class Decided:
    """How a case ended, as far as somebody who decides a case like it wants to know."""

    case_id: str
    outcome: Outcome
    at: int
    how: str
    action: str
    detector: str
    language: str
    region: str


@dataclass(frozen=True, slots=True)
class Link:
    """A line, and whether it is as it was written."""

    line: CaseEvent
    place: str
    """`topic[partition]@offset`."""
    fault: str = ""
    """A code; empty: it follows the line before it, and has the hash that its content has."""


def verified(kept: Iterable[Kept], codec: Codec, topic: str) -> Iterator[Link]:
    """All lines of one user, each held against the one before it (docs/audit.md).

    What this cannot see is a tail that was cut off: the dossier knows how many lines there are, and only
    `recourse case verify` reads dossiers.
    """
    seq, last = 0, None
    for each in kept:
        place = f"{topic}[{each.partition}]@{each.offset}"
        try:
            line = cast("CaseEvent", codec.decode(each.value, _LINE))
        except DecodeError:
            continue  # the gap that it leaves is named by the line after it
        yield Link(line, place, _fault(line, seq, last))
        seq, last = line.seq, line.hash


def _fault(line: CaseEvent, seq: int, last: str | None) -> str:
    if line.seq <= seq:
        return "doubled"
    if line.seq != seq + 1:
        return "missing"
    if line.hash is None:
        return "altered" if last is not None else ""
    if line.hash != hash_of(line):
        return "altered"
    return "" if line.prev_hash == last else "broken"


def as_json_lines(links: Iterable[Link]) -> Iterator[bytes]:
    """The lines in the form that is hashed, with their hash: what `recourse case show --json` prints."""
    for link in links:
        yield to_json(link.line) + b"\n"


class Audit:
    """The audit by user, by case and by kind of case; fed by a `KeyedLog` of `case.events`."""

    def __init__(self, codec: Codec, changed: Callable[[str], None] | None = None) -> None:
        self.log: KeyedLog | None = None
        self._codec = codec
        self._changed = changed
        self._lock = threading.Lock()
        self._users: dict[str, str] = {}
        """By case and by appeal."""
        self._decided: dict[tuple[str, str], deque[Decided]] = {}
        """By policy and action, the newest."""

    def take(self, message: Message) -> None:
        """A record of `case.events`, from either end of the log."""
        value = message.value()
        if value is None:
            return
        try:
            line = cast("CaseEvent", self._codec.decode(value, _LINE))
        except DecodeError:
            return
        if line.kind in _OPENED:
            for name in (line.case_id, line.appeal_id):
                if name is not None:
                    self._users[name] = line.user_id
        if line.kind is CaseEventKind.CASE_DECIDED and line.case_id is not None and line.outcome is not None:
            self._note(line, line.case_id, line.outcome)
        if self._changed is not None and line.case_id is not None:
            self._changed(line.case_id)

    def user_of(self, name: str) -> str | None:
        """Whose case or appeal this is; None: the audit, as far as it has been read, has no such case."""
        return self._users.get(name)

    def life(self, user_id: str) -> list[Link]:
        """All lines of a user, verified.

        Raises:
            DeskError: Kafka does not give them.
        """
        if self.log is None:
            return []
        return list(verified(self.log.read(user_id), self._codec, self.log.topic))

    def alike(self, policy: str, action: str, detector: str, but: str, most: int = 8) -> list[Decided]:
        """Cases decided under the same rule with the same action, newest first, those of the same detector before."""
        with self._lock:
            found = [each for each in self._decided.get((policy, action), ()) if each.case_id != but]
        found.sort(key=lambda each: (each.detector == detector, each.at), reverse=True)
        return found[:most]

    def _note(self, line: CaseEvent, case_id: str, outcome: Outcome) -> None:
        saw = line.saw
        key = (saw.get("policy", ""), saw.get("action", ""))
        detector = " ".join(filter(None, (saw.get("detector"), saw.get("detector_version"))))
        decided = Decided(
            case_id,
            outcome,
            line.occurred_at,
            saw.get("how", ""),
            saw.get("action", ""),
            detector,
            saw.get("language", ""),
            saw.get("region", ""),
        )
        with self._lock:
            alike = self._decided.setdefault(key, deque(maxlen=_ALIKE))
            if any(each.case_id == case_id for each in alike):
                return
            alike.append(decided)
