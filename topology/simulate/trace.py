"""A short mark of everything that was emitted about an appeal, equal under two rulebooks if they did the same.

Left aside is what differs without meaning anything: the rulebook's digest, ids that are derived from a line's number,
and the hash chain over both.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import msgspec

from schemas.records import AppellantNotice, Case, CaseEvent, EventId, Record, ReversalOrdered

_encoder = msgspec.msgpack.Encoder(decimal_format="string", order="sorted")
_DIGESTS = frozenset({"triage_digest", "rulebook_digest"})
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
    if isinstance(record, CaseEvent):
        saw = {name: value for name, value in record.saw.items() if name not in _DIGESTS}
        return msgspec.structs.replace(
            record, event_id=EventId(_ANY), seq=1, rulebook_digest=_ANY, prev_hash=None, hash=None, saw=saw
        )
    if isinstance(record, Case):
        return msgspec.structs.replace(record, rulebook_digest=_ANY)
    if isinstance(record, AppellantNotice):
        return msgspec.structs.replace(record, notice_id=_ANY)
    return record
