"""`recourse privacy`: from settings to what is printed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from enum import IntEnum

from rich.console import Console
from rich.text import Text

from processors.ids import uuid5
from schemas import sealed, wrapped
from schemas.errors import DecodeError
from schemas.records import (
    CaseEvent,
    LegalHoldPlaced,
    LegalHoldReleased,
    Millis,
    PrivacyEvent,
    ReviewerId,
    SubjectErasureRequested,
    UserId,
)
from topology.privacy.kafka_log import KafkaLog
from topology.privacy.opening import open_keys, partitions_of_keys
from topology.privacy.rotation import rotate
from topology.privacy.state import ABOUT, CHANGED_NOTHING, privacy_of
from topology.registry import open_codec
from topology.reversals.sender import send
from topology.settings import Settings
from topology.topic_reader import TopicReader
from topology.topic_tail import TopicTail

INPUT, AUDIT = "enforcement.events", "case.events"


class Heard(IntEnum):
    """What became of a command, as its exit code."""

    DONE = 0
    NOTHING = 1
    """It changed nothing, or not yet: the line says why."""
    NO_ANSWER = 3


def erasure(user: str, *, actor: str, reason: str, now_ms: int) -> SubjectErasureRequested:
    """The request; given again within the same minute it is the same one."""
    name = uuid5(f"erasure\x1f{user}\x1f{actor}\x1f{reason}\x1f{now_ms // 60_000}")
    return SubjectErasureRequested(
        event_id=name,
        user_id=UserId(user),
        occurred_at=Millis(now_ms),
        actor=ReviewerId(actor),
        reason=reason,
    )


def hold(user: str, hold_id: str, *, actor: str, reason: str, now_ms: int) -> LegalHoldPlaced:
    """The hold; its id makes it the same one whenever it is given."""
    return LegalHoldPlaced(
        event_id=uuid5(f"hold\x1f{user}\x1f{hold_id}"),
        user_id=UserId(user),
        hold_id=hold_id,
        occurred_at=Millis(now_ms),
        actor=ReviewerId(actor),
        reason=reason,
    )


def release(user: str, hold_id: str, *, actor: str, reason: str, now_ms: int) -> LegalHoldReleased:
    """Its release."""
    return LegalHoldReleased(
        event_id=uuid5(f"hold released\x1f{user}\x1f{hold_id}"),
        user_id=UserId(user),
        hold_id=hold_id,
        occurred_at=Millis(now_ms),
        actor=ReviewerId(actor),
        reason=reason,
    )


def say(event: PrivacyEvent, settings: Settings, console: Console, *, wait_s: float) -> Heard:
    """Write it to where profiles come, and wait for the line of the audit that answers it.

    Raises:
        Misconfigured: it breaks a bound, or the broker did not confirm it.
    """
    register, codec = settings.register_of_topics(), open_codec(settings)
    kafka = settings.kafka_config()
    with TopicTail(kafka, register, AUDIT, name=f"{settings.group}-privacy") as tail:
        place = send(kafka, register, codec, topic=INPUT, key=event.user_id, record=event)
        _print(console, f"written  {type(event).__name__} {event.event_id} at {place}")
        if wait_s <= 0:
            return Heard.DONE
        key = event.user_id.encode()
        for message in tail.follow(wait_s):
            if message.key() != key:
                continue
            try:
                line = codec.decode(message.value() or b"", register.by_name[AUDIT].allowed)
            except DecodeError:
                continue
            if isinstance(line, CaseEvent) and line.cause_id == event.event_id and line.kind in ABOUT:
                return _tell(line, console)
    _print(
        console,
        f"no answer within {wait_s:g} s. It stays written and is folded when its turn comes: do workers run, is it a "
        f"dead letter (`recourse dlq list --topic {INPUT}`), or had it been answered before (`recourse privacy show`)?",
    )
    return Heard.NO_ANSWER


def show(user: str, settings: Settings, console: Console) -> None:
    """Print a user's holds, how far an erasure is, and the key of their texts.

    Raises:
        Misconfigured: something does not answer.
    """
    found = privacy_of(_lines(user, settings))
    line = found.erasure
    since = "" if line is None else f", line {line.seq}, {_at(line.occurred_at)}{_by(line)}"
    _print(console, f"erasure  {found.stage}{since}")
    for hold_id, placed in found.holds.items():
        _print(
            console, f"hold     {hold_id}, since {_at(placed.occurred_at)}{_by(placed)}: {placed.saw.get('why', '')}"
        )
    if not found.holds:
        _print(console, "hold     none")
    if settings.kek is None:
        _print(console, "key      not looked for: RECOURSE_KEK is not set here")
        return
    with open_keys(settings, name=f"{settings.group}-privacy-keys") as keys:
        record = keys.find(user)
    if record is None:
        _print(console, "key      none: nothing was ever sealed for them, or it has been shredded")
    else:
        _print(console, f"key      {record.key_id}, made {_at(record.created_at)}, wrapped by {record.wrapped_by}")


def rotate_keks(settings: Settings, console: Console, *, renew: bool) -> None:
    """Wrap the wrapping keys with the first of the key-encryption keys.

    Raises:
        Misconfigured: one that is needed is not set, or something does not answer.
    """
    register = settings.register_of_topics()
    partitions = partitions_of_keys(settings, register)
    name = f"{settings.group}-privacy"
    log = KafkaLog(settings.kafka_config(), register, open_codec(settings), partitions=partitions, name=name)
    try:
        anew, all_ = rotate(log, settings.key_encryption_keys(), renew=renew)
    finally:
        log.close()
    first = next(iter(settings.key_encryption_keys()))
    _print(console, f"{anew} of {all_} wrapping keys wrapped anew; all of them by {first} now")


def new_kek(name: str | None, console: Console) -> None:
    """Print a new entry of RECOURSE_KEK."""
    called = name or f"{datetime.now(UTC):%Y-%m-%d}"
    console.print(Text(f"{called}:{sealed.to_text(wrapped.new_key().secret)}"), soft_wrap=True)


def _lines(user: str, settings: Settings) -> Iterator[CaseEvent]:
    register, codec = settings.register_of_topics(), open_codec(settings)
    allowed, key = register.by_name[AUDIT].allowed, user.encode()
    with TopicReader(settings.kafka_config(), register, name=f"{settings.group}-privacy") as reader:
        for message in reader.read(AUDIT):
            if message.key() == key:
                record = codec.decode(message.value() or b"", allowed)
                if isinstance(record, CaseEvent):
                    yield record


def _tell(line: CaseEvent, console: Console) -> Heard:
    why = f": {line.reason}" if line.reason else ""
    seen = ", ".join(f"{name}={value}" for name, value in sorted(line.saw.items()))
    _print(console, f"done     line {line.seq} {line.kind} {_at(line.occurred_at)}{why}")
    _print(console, f"saw      {seen}")
    return Heard.NOTHING if line.reason in CHANGED_NOTHING else Heard.DONE


def _by(line: CaseEvent) -> str:
    return "" if line.actor is None else f" by {line.actor}"


def _at(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1_000, UTC):%Y-%m-%d %H:%M:%S}"


def now_ms() -> int:
    """UTC milliseconds."""
    return time.time_ns() // 1_000_000


def _print(console: Console, text: str) -> None:
    console.print(Text(text), soft_wrap=True)
