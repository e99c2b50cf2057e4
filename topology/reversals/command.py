"""`recourse reversal`: from settings to what is printed."""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import IntEnum

from rich.console import Console
from rich.text import Text

from schemas.errors import DecodeError
from schemas.records import CaseEvent, DirectiveResolved, ReversalRetried
from schemas.vocabulary import CaseEventKind
from topology.registry import open_codec
from topology.reversals import orders, show, words
from topology.reversals.ledger import Books
from topology.reversals.life import ReversalLife
from topology.reversals.reader import CASE_EVENTS, REVIEWS, ReversalReader
from topology.reversals.sender import send
from topology.settings import Settings
from topology.topic_tail import TopicTail
from topology.topics import Register

_ANSWERS = frozenset({CaseEventKind.REVERSAL_RETRIED, CaseEventKind.DIRECTIVE_RESOLVED, CaseEventKind.REVIEW_REJECTED})
Said = ReversalRetried | DirectiveResolved


class Heard(IntEnum):
    """What became of a command, as its exit code."""

    ACCEPTED = 0
    REJECTED = 1
    NOTHING_YET = 3


def list_(settings: Settings, console: Console, *, stalled: bool) -> None:
    """Print the reversals that are under way, or only those that need people."""
    with ReversalReader(settings, settings.register_of_topics()) as reader:
        found = reader.under_way()
    show.show_list([life for life in found if life.stuck is not None or not stalled], console)


def show_one(reversal_id: str, settings: Settings, console: Console) -> None:
    """Print the life of a reversal.

    Raises:
        Misconfigured: there is none of this id.
    """
    with ReversalReader(settings, settings.register_of_topics()) as reader:
        life, _ = reader.find(reversal_id)
    show.show_life(life, console)


def retry(
    reversal_id: str,
    settings: Settings,
    console: Console,
    *,
    actor: str,
    reason: str,
    directive_id: str | None = None,
    wait_s: float = 10.0,
) -> Heard:
    """Have open directives sent again, and say what came of it.

    Raises:
        Misconfigured: there is nothing to send again, or it could not be written.
    """

    def said(life: ReversalLife) -> Said:
        return orders.retried(life, actor=actor, reason=reason, directive_id=directive_id, now_ms=_now_ms())

    return _Saying(settings, console).say(reversal_id, said, wait_s)


def resolve(
    reversal_id: str,
    directive_id: str,
    settings: Settings,
    console: Console,
    *,
    actor: str,
    reason: str,
    wait_s: float = 10.0,
) -> Heard:
    """Vouch for a directive, and say what came of it.

    Raises:
        Misconfigured: it is not open, or it could not be written.
    """

    def said(life: ReversalLife) -> Said:
        return orders.resolved(life, directive_id, actor=actor, reason=reason, now_ms=_now_ms())

    return _Saying(settings, console).say(reversal_id, said, wait_s)


def ledger(
    settings: Settings, console: Console, *, user_id: str | None = None, currency: str | None = None, json: bool = False
) -> bool:
    """Print the money ledger.

    Returns:
        Whether it balances.
    """
    books = Books()
    with ReversalReader(settings, settings.register_of_topics()) as reader:
        for record in reader.about_money(user_id):
            books.add(record)
    found = books.balance().only(user_id=user_id, currency=currency)
    if json:
        print(show.ledger_as_json(found))  # noqa: T201 - for a pipe: no colours, no wrapping
    else:
        show.show_ledger(found, console)
    return not found.faults


class _Saying:
    """Writes one command and listens for the line of the audit that answers it."""

    def __init__(self, settings: Settings, console: Console) -> None:
        self._settings = settings
        self._console = console
        self._register: Register = settings.register_of_topics()
        self._codec = open_codec(settings)

    def say(self, reversal_id: str, said: Callable[[ReversalLife], Said], wait_s: float) -> Heard:
        kafka, name = self._settings.kafka_config(), f"{self._settings.group}-reversals"
        with TopicTail(kafka, self._register, CASE_EVENTS, name=name) as tail:
            with ReversalReader(self._settings, self._register) as reader:
                life, lines = reader.find(reversal_id)
            event = said(life)
            before = next((line for line in lines if _answers(line, event)), None)
            if before is not None:
                self._print(f"the same command was answered before, and nothing has changed since: {event.event_id}")
                return self._tell(before)
            place = send(kafka, self._register, self._codec, topic=REVIEWS, key=event.user_id, record=event)
            about = getattr(event, "directive_id", None) or f"{len(life.open)} open directives"
            self._print(f"written  {type(event).__name__} {event.event_id} at {place}: {about} of {reversal_id}")
            self._print(f"see      recourse reversal show {reversal_id}")
            if wait_s <= 0:
                return Heard.ACCEPTED
            return self._listen(tail, event, wait_s)

    def _listen(self, tail: TopicTail, event: Said, wait_s: float) -> Heard:
        user = event.user_id.encode()
        for message in tail.follow(wait_s):
            line = self._line(message.value()) if message.key() == user else None
            if line is not None and _answers(line, event):
                return self._tell(line)
        self._print(
            f"no answer within {wait_s:g} s. It stays written and is judged when its turn comes: do workers run, or is "
            "it a dead letter (`recourse dlq list --topic review.events`)?"
        )
        return Heard.NOTHING_YET

    def _line(self, value: bytes | None) -> CaseEvent | None:
        try:
            record = self._codec.decode(value or b"", self._register.by_name[CASE_EVENTS].allowed)
        except DecodeError:
            return None
        return record if isinstance(record, CaseEvent) else None

    def _tell(self, line: CaseEvent) -> Heard:
        rejected = line.kind is CaseEventKind.REVIEW_REJECTED
        seen = ", ".join(f"{name}={value}" for name, value in sorted(line.saw.items()))
        why = f": {line.reason}" if line.reason else ""
        self._print(
            f"{'rejected' if rejected else 'done    '} line {line.seq} {line.kind} {words.at(line.occurred_at)}{why}"
        )
        if seen:
            self._print(f"saw      {seen}")
        return Heard.REJECTED if rejected else Heard.ACCEPTED

    def _print(self, text: str) -> None:
        self._console.print(Text(text), soft_wrap=True)


def _answers(line: CaseEvent, event: Said) -> bool:
    return line.cause_id == event.event_id and line.kind in _ANSWERS


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
