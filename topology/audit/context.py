"""What a handler may see when a life is folded again: everything comes from the audit, nothing from now."""

from __future__ import annotations

from processors.rulebook import Rulebook
from schemas.records import CaseEvent, Record


class ReplayContext:
    """Stands where the engine's context stood.

    Whatever a handler is told from outside has to be in the line that it writes, or it could not be told again: the
    clock is the line's `occurred_at`, the rulebook the one of its digest. What else a context may come to answer is to
    be taken from `expected`.
    """

    def __init__(self, rulebook: Rulebook) -> None:
        self.now = 0
        self.rulebook = rulebook
        self.lines: list[CaseEvent] = []
        """Written since the last `expect`."""

    def expect(self, line: CaseEvent, rulebook: Rulebook) -> None:
        """What is folded from here on leads to this line of the audit."""
        self.expected = line
        self.rulebook = rulebook
        self.lines = []

    def emit(self, topic: str, key: str, record: Record | None) -> None:
        """Keep the lines; what else follows from them is not compared."""
        del topic, key
        if isinstance(record, CaseEvent):
            self.lines.append(record)
