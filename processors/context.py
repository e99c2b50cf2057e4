"""What a handler may know beside the dossier and the event, and the only way that it may speak."""

from typing import Protocol

from processors.rulebook import Rulebook
from schemas.records import Record


class Context(Protocol):
    """Given by the engine for one event. Nothing else reaches a handler: no clock, no I/O, no randomness."""

    now: int
    """The engine's clock for this event, UTC ms. Never goes back for one user."""
    rulebook: Rulebook

    def spend(self, name: str, limit: int) -> bool:
        """Take one of the `limit` that may be used of this allowance in a UTC day; False if none is left."""
        ...

    def emit(self, topic: str, key: str, record: Record | None) -> None:
        """Send a record to a logical topic within this event's transaction; none is a tombstone."""
        ...
