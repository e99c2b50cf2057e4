"""What travels in the headers of records beside their content: W3C trace context, and CloudEvents attributes.

Both go from a record to whatever is published because of it, and only if it has them: nothing is ever drawn, so the
same input gives the same bytes. A span's id is the hash of its parent and of what was folded; its times are only told
to whoever collects spans (`Folded`), never to a topic.

Sources: https://www.w3.org/TR/trace-context/, and the Kafka binding of CloudEvents 1.0 in its binary mode.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, NamedTuple

from confluent_kafka import Message

from topology.engine.deadletter import Header

TIMER = "timer"
"""What a timer's event is called in place of its input."""
PARENT, STATE = "traceparent", "tracestate"
EVENT_ID, EVENT_SOURCE = "ce_id", "ce_source"
_PARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?", re.ASCII)
_NO_TRACE, _NO_SPAN = "0" * 32, "0" * 16
_LONGEST_STATE = 512
"""Characters of a tracestate that must be passed on; a longer one may be dropped."""
_LONGEST_ID = 512


class Trace(NamedTuple):
    """A place in a trace: a span that something happened in."""

    trace_id: str
    """32 hexadecimal digits."""
    span_id: str
    """16."""
    flags: str
    """Two; 01: it is recorded."""
    state: str = ""

    def text(self) -> str:
        """To be kept in a state."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags} {self.state}".rstrip()

    def span(self, what: bytes) -> Trace:
        """Its child in which `what` was folded."""
        mark = f"{self.trace_id}{self.span_id}".encode() + what
        return self._replace(span_id=blake2b(mark, digest_size=8).hexdigest())

    def headers(self) -> list[Header]:
        """As W3C says."""
        told: list[Header] = [(PARENT, f"00-{self.trace_id}-{self.span_id}-{self.flags}".encode())]
        if self.state:
            told.append((STATE, self.state.encode()))
        return told


class Carried(NamedTuple):
    """What a record's headers say."""

    trace: Trace | None
    event_id: str = ""
    """CloudEvents' id and source: together they name one event."""
    event_source: str = ""


class Folded(NamedTuple):
    """A span: one event was folded, and its batch committed."""

    span: Trace
    parent: Trace
    input: str
    """What the input is called; `timer` for a timer."""
    partition: int
    offset: int | None
    outputs: int
    linked: Trace | None = None
    """Another trace that the event itself came in."""


class Parents:
    """Which span each output of one event belongs to.

    The trace that is known of what a record is about goes before the one that the event came in: a decision may come
    in the trace of the reviewer's tool, and the resolution belongs to the appeal's. If both are one trace, the event
    is the nearer place in it.

    Args:
        carried: by the record; None: nothing, or a timer's event.
        trace_of: what the state knows of records about it.
        what: tells the event from others in the same span.
    """

    def __init__(self, carried: Carried | None, trace_of: Callable[[Any], str] | None, what: bytes) -> None:
        self._own = None if carried is None else carried.trace
        self._trace_of = trace_of
        self._what = what
        self._outputs: dict[Trace, int] = {} if self._own is None else {self._own: 0}

    def headers(self, record: object) -> list[Header]:
        """Of an output."""
        parent = self._parent(record)
        if parent is None:
            return []
        self._outputs[parent] = self._outputs.get(parent, 0) + 1
        return parent.span(self._what).headers()

    def _parent(self, record: object) -> Trace | None:
        kept = None if self._trace_of is None else parse_text(self._trace_of(record))
        if kept is None or (self._own is not None and self._own.trace_id == kept.trace_id):
            return self._own
        return kept

    def folded(self, called: str, partition: int, offset: int | None) -> Iterator[Folded]:
        """The event's spans: one, and one more for each other trace that its outputs belong to."""
        for parent, outputs in self._outputs.items():
            linked = None if parent == self._own else self._own
            yield Folded(parent.span(self._what), parent, called, partition, offset, outputs, linked)


def place_of(message: Message) -> tuple[str, int, int]:
    """(topic, partition, offset)."""
    return message.topic() or "", message.partition() or 0, message.offset() or 0


def read(headers: Sequence[tuple[str, str | bytes | None]]) -> Carried | None:
    """What of these is ours to pass on. Whatever is not well-formed is nothing, as both standards want it."""
    found: dict[str, str] = {}
    for name, value in headers:
        if name in (PARENT, STATE, EVENT_ID, EVENT_SOURCE) and value is not None:
            try:
                found[name] = value if isinstance(value, str) else value.decode()
            except UnicodeDecodeError:
                continue
    trace = parse(found.get(PARENT, ""), found.get(STATE, ""))
    event_id, source = found.get(EVENT_ID, ""), found.get(EVENT_SOURCE, "")
    if not event_id or not source or len(event_id) > _LONGEST_ID or len(source) > _LONGEST_ID:
        event_id = source = ""
    return Carried(trace, event_id, source) if trace is not None or event_id else None


def parse(parent: str, state: str = "") -> Trace | None:
    """A traceparent and a tracestate; None: not well-formed."""
    match = _PARENT.fullmatch(parent)
    if match is None:
        return None
    version, trace_id, span_id, flags = match.groups()
    longer = len(parent) > len("00--") + 2 + 32 + 16 + 2 + 1
    if version == "ff" or trace_id == _NO_TRACE or span_id == _NO_SPAN or (version == "00" and longer):
        return None
    kept = state if len(state) <= _LONGEST_STATE and state.isprintable() else ""
    return Trace(trace_id, span_id, flags, kept)


def parse_text(text: str) -> Trace | None:
    """What `Trace.text` gave."""
    parent, _, state = text.partition(" ")
    return parse(parent, state)


def event_headers(cause: Carried, *, source: str, kind: str, topic: str, number: int, at_ms: int) -> list[Header]:
    """CloudEvents attributes of an output.

    Args:
        cause: of the record that was folded; its id is told as `ce_causationid`.
        source: who publishes it.
        kind: which record it is.
        topic: where it goes.
        number: which one of the event's outputs it is; with the cause it makes the id.
        at_ms: the fold's clock (UTC ms).
    """
    mark = "\0".join((cause.event_source, cause.event_id, topic, str(number)))
    return [
        ("ce_specversion", b"1.0"),
        (EVENT_ID, blake2b(mark.encode(), digest_size=16).hexdigest().encode()),
        (EVENT_SOURCE, source.encode()),
        ("ce_type", kind.encode()),
        ("ce_time", datetime.fromtimestamp(at_ms / 1_000, UTC).isoformat(timespec="milliseconds").encode()),
        ("ce_causationid", cause.event_id.encode()),
    ]
