"""A short mark of everything that was emitted about an appeal, equal under two rulebooks if they did the same.

Left aside is what differs without meaning anything: the rulebook's digest, ids and revisions that are derived from a
line's number, and the hash chain over all of them.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import msgspec

from schemas.records import (
    AppellantNotice,
    Case,
    CaseEvent,
    Directive,
    Record,
    ReversalConfirmed,
    ReversalOrdered,
    ReversalStalled,
)

_encoder = msgspec.msgpack.Encoder(decimal_format="string", order="sorted")
_DIGESTS = frozenset({"triage_digest", "rulebook_digest"})
_DIRECTIVES = frozenset({"directive_id", "directives", "by"})
"""Ids of directives in lines: one that supersedes another has its id from a line's number."""
_ANY = "-"


class Trace(msgspec.Struct):
    """What was emitted: a mark over all of it, and how often each kind of thing."""

    mark: bytes = b""
    kinds: dict[str, int] = {}

    def add(self, topic: str, record: Record | None) -> None:
        """Take one more record in."""
        kind = _kind(topic, record)
        self.kinds[kind] = self.kinds.get(kind, 0) + 1
        content = _encoder.encode((topic, _bare(record)))
        self.mark = blake2b(self.mark + content, digest_size=12).digest()


def _kind(topic: str, record: Record | None) -> str:
    if record is None:
        return f"tombstone on {topic}"
    if isinstance(record, CaseEvent):
        return record.kind.value
    if isinstance(record, AppellantNotice):
        return f"notice {record.kind.value}"
    if isinstance(record, ReversalOrdered):
        return "order of a reversal"
    if isinstance(record, Case):
        return f"case on {topic}"
    return type(record).__name__


def _bare(record: Record | None) -> Any:  # noqa: ANN401 - whatever msgspec encodes
    """The record without what says only which rulebook it was, and which line."""
    change: dict[str, Any] = {}
    match record:
        case None:
            return None
        case CaseEvent():
            saw = {name: value for name, value in record.saw.items() if name not in _DIGESTS | _DIRECTIVES}
            change = {"event_id": _ANY, "seq": 1, "rulebook_digest": _ANY, "prev_hash": None, "hash": None, "saw": saw}
        case Case():
            change = {"rulebook_digest": _ANY}
        case AppellantNotice():
            change = {"notice_id": _ANY}
        case ReversalOrdered():
            change = {"directives": [_bare_directive(item) for item in record.directives]}
        case ReversalConfirmed():
            change = {"directive_ids": [_ANY for _ in record.directive_ids]}
        case ReversalStalled():
            items = [msgspec.structs.replace(item, directive_id=_ANY) for item in record.directives]
            change = {"directives": items}
        case _:
            pass
    return msgspec.structs.replace(record, **change)


def _bare_directive(item: Directive) -> Directive:
    """Without its place among the user's directives, which is a line's number, and what is derived from that."""
    if item.supersedes is None:
        return msgspec.structs.replace(item, revision=0)
    return msgspec.structs.replace(item, revision=0, directive_id=_ANY, idempotency_key=_ANY, supersedes=_ANY)
