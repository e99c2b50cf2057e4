"""What a handler may know beside the dossier and the event, and the only way that it may speak."""

from typing import Protocol

from processors.rulebook import Rulebook
from schemas.records import Record


class Context(Protocol):
    """Given by the engine for one event. Nothing else reaches a handler: no clock, no I/O, no randomness."""

    now: int
    """The engine's clock for this event, UTC ms. Never goes back for one user."""
    rulebook: Rulebook

    def emit(self, topic: str, key: str, record: Record | None) -> None:
        """Send a record to a logical topic within this event's transaction; none is a tombstone."""
        ...

    def spend(self, name: str, limit: int) -> bool:
        """Take one unit of an allowance that all users share, for the UTC day of `now`; False when none is left.

        `limit` is for the whole installation and day, and is never exceeded; less may be given, as each partition
        has a fixed share of it. An event that raises gives back what it took. Names come from a small set.
        """
        ...
