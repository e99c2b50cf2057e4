"""What a handler may see when a life is folded again: everything comes from the audit, nothing from now."""

from __future__ import annotations

from collections.abc import Sequence

from processors.on_file import Enforcement
from processors.reasons import Withheld
from processors.references import NOTHING, Seen, of_line
from processors.rulebook import Rulebook
from schemas.records import CaseEvent, Record
from schemas.vocabulary import CaseEventKind


class ReplayContext:
    """Stands where the engine's context stood.

    Whatever a handler is told from outside has to show in the lines that it writes, or it could not be told again: the
    clock is a line's `occurred_at`, the rulebook the one of its digest, an allowance's answer and what the reference
    tables said what comes next.
    """

    def __init__(self, rulebook: Rulebook) -> None:
        self.now = 0
        self.rulebook = rulebook
        self.trace = ""
        """The lines do not rest on it."""
        self.lines: list[CaseEvent] = []
        """Written since the last `expect`."""
        self._audit: Sequence[CaseEvent] = ()
        self._at = 0

    def expect(self, audit: Sequence[CaseEvent], at: int, rulebook: Rulebook) -> None:
        """What is folded from here on leads to the line at this position of the audit, and to those after it."""
        self._audit = audit
        self._at = at
        self.rulebook = rulebook
        self.lines = []

    def look(self, e: Enforcement) -> Seen:
        """What there was to see then: the line that was written next tells it."""
        del e
        line = self._coming()
        return NOTHING if line is None else of_line(line.saw)

    def emit(self, topic: str, key: str, record: Record | None) -> None:
        """Keep the lines; what else follows from them is not compared."""
        del topic, key
        if isinstance(record, CaseEvent):
            self.lines.append(record)

    def count(self, name: str, by: float = 1, **labels: str) -> None:
        """What was counted then is counted."""

    def spend(self, name: str, limit: int) -> bool:
        """What it answered then: where the allowance was used up, the next line says so."""
        del name, limit
        line = self._coming()
        return line is None or (line.kind, line.reason) != (CaseEventKind.GRANT_WITHHELD, Withheld.DAILY_CAP)

    def _coming(self) -> CaseEvent | None:
        """The line of the audit that is to be written next."""
        coming = self._at + len(self.lines)
        return self._audit[coming] if coming < len(self._audit) else None

    def index(self, term: bytes) -> None:
        """Nobody looks for anything here."""

    def timed(self, name: str) -> None:
        """Nothing is measured."""

    def unindex(self, term: bytes) -> None:
        """Nobody looks for anything here."""
