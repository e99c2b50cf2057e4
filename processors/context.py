"""What a handler may know beside the dossier and the event, and the only way that it may speak."""

from typing import Protocol

from processors.on_file import Enforcement
from processors.references import Seen
from processors.rulebook import Rulebook
from schemas.records import Record


class Context(Protocol):
    """Given by the engine for one event. Nothing else reaches a handler: no clock, no I/O, no randomness."""

    now: int
    """The engine's clock for this event, UTC ms. Never goes back for one user."""
    rulebook: Rulebook

    @property
    def trace(self) -> str:
        """The trace that the running record came in, to be kept and passed on; empty: none. No decision rests on it."""
        ...

    def look(self, e: Enforcement) -> Seen:
        """What the reference tables say that matters for this enforcement. The next line written must tell it."""
        ...

    def emit(self, topic: str, key: str, record: Record | None) -> None:
        """Send a record to a logical topic within this event's transaction; none is a tombstone."""
        ...

    def spend(self, name: str, limit: int) -> bool:
        """Take one unit of an allowance that all users share, for the UTC day of `now`; False when none is left.

        `limit` is for the whole installation and day, and is never exceeded; less may be given, as each partition
        has a fixed share of it. An event that raises gives back what it took. Names come from a small set.
        """
        ...

    def index(self, term: bytes) -> None:
        """Put a term about this dossier into the partition's index, where remedies find it."""
        ...

    def unindex(self, term: bytes) -> None:
        """Take a term out of it."""
        ...

    def timed(self, name: str) -> None:
        """Add to a histogram of `topology/metrics/table.py` the seconds from the record's publishing to the commit."""
        ...

    def count(self, name: str, by: float = 1, **labels: str) -> None:
        """Add to a metric of `topology/metrics/table.py`, once what this event did is committed."""
        ...
