"""`dlq.actions`: what operators did with dead letters; a letter that no record names is pending."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from schemas.records.parts import MAX_STRING, Millis, Name, Record, ReviewerId, Text
from schemas.vocabulary import DeadLetterAction

Place = Annotated[str, Meta(min_length=1, max_length=MAX_STRING)]
"""`topic[partition]@offset`."""


class DeadLetterSettled(Record, frozen=True, kw_only=True):
    """An operator has replayed or discarded a dead letter."""

    event_id: Name
    letter: Place
    """Without the prefix of the installation; the key of the topic."""
    action: DeadLetterAction
    actor: ReviewerId
    occurred_at: Millis
    reason: Text
    code: Name
    """Why it had become a dead letter."""
    origin: Text
    value_sha256: Text | None = None
    """None: the letter has no value."""
    replayed_to: Text | None = None
    """None: not replayed."""
