"""What records are made of: ids, bounds, and the parts that several of them share."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, NewType

import msgspec
from msgspec import Meta

from schemas.vocabulary import Action, EffectKind, EvidenceKind, EvidenceSupplier, TargetKind

MAX_STRING = 4_096
"""Characters a string may have. Longer texts travel by reference."""
MAX_ITEMS = 1_000
"""Items an array or a map may have."""

Text = Annotated[str, Meta(max_length=MAX_STRING)]
Name = Annotated[str, Meta(min_length=1, max_length=256)]
Currency = Annotated[str, Meta(pattern="^[A-Z]{3}$", max_length=3)]
"""The length is not redundant: `$` also matches before a final line feed."""

if TYPE_CHECKING:
    _Id = str
else:
    _Id = Name  # a checker wants a class, msgspec the bounds: ids are keys, so none is empty or huge
UserId = NewType("UserId", _Id)
EnforcementId = NewType("EnforcementId", _Id)
AppealId = NewType("AppealId", _Id)
CaseId = NewType("CaseId", _Id)
EventId = NewType("EventId", _Id)
ReviewerId = NewType("ReviewerId", _Id)
Millis = NewType("Millis", int)

Count = Annotated[int, Meta(ge=0)]
Few = Meta(max_length=MAX_ITEMS)


class Record(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Base of all records: immutable, built by keyword, compared by value."""


class Money(Record, frozen=True, kw_only=True):
    """An exact amount: at most 18 digits, 4 of them after the point; the sign is the reader's to check."""

    value: Decimal
    currency: Currency


class Target(Record, frozen=True, kw_only=True):
    """What an enforcement hit. `content_hash` ties a later strike at the same content to an earlier one."""

    kind: TargetKind
    id: Name
    content_hash: Text | None = None


class Detector(Record, frozen=True, kw_only=True):
    """The automated means that found the violation (DSA Art. 17(3)(c))."""

    name: Name
    version: Name


class Evidence(Record, frozen=True, kw_only=True):
    """A piece of evidence by reference: where it lies and what it must hash to."""

    evidence_id: Name
    kind: EvidenceKind
    ref: Text
    sha256: Text | None = None
    supplied_by: EvidenceSupplier = EvidenceSupplier.UNKNOWN
    """Who it came from, by the engine's own account; what a sender writes here is not looked at."""
    sealed: Text | None = None
    """The piece itself, if it is a short text, sealed with the subject's key."""


class Effect(Record, frozen=True, kw_only=True):
    """One thing that an enforcement really did in one system, and that a reversal must undo there."""

    effect_id: Name
    system: Name
    kind: EffectKind
    params: Annotated[dict[str, Text], Few] = {}
    amount: Money | None = None


class Lesser(Record, frozen=True, kw_only=True):
    """What is left of an enforcement that was found too hard."""

    action: Action
    ends_at: Millis | None = None
    scope: Annotated[list[Name], Few] = []
    """Empty: everywhere."""
    amount: Money | None = None
    """Money that stays taken or held; none: all of it goes back."""
    strikes: Count = 0
