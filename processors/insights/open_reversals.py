"""The open reversals of one partition, as the lines about them say: since when, and whether people are needed.

Of a reversal that stalled, the audit tells the end of the stall by what goes out again: an operator's retry, or what
takes the place of a failed directive that was applied late. As long as another of its directives has failed for good,
people are needed still.
"""

from __future__ import annotations

from msgspec import Struct

from processors.reasons import Resend
from schemas.records import CaseEvent
from schemas.vocabulary import AckStatus, CaseEventKind


class OpenReversal(Struct, array_like=True):
    """One that is ordered and not confirmed."""

    seq: int
    """Of the newest line of its user that was taken: one that comes again is told by it."""
    ordered_at: int
    """ms."""
    stalled: bool = False
    failed: list[str] = []
    """Directives that failed for good."""
    mended_by: str = ""
    """What caused the newest line that took one of these out."""


class OpenReversals:
    """By reversal id."""

    def __init__(self) -> None:
        self.by_id: dict[str, OpenReversal] = {}

    def __len__(self) -> int:
        return len(self.by_id)

    def follow(self, line: CaseEvent, *, may_open: bool) -> str | None:
        """Take over what a line says of its reversal; returns the id of what that changed."""
        reversal_id = line.saw.get("reversal_id")
        if reversal_id is None or line.kind not in _TOLD:
            return None
        known = self.by_id.get(reversal_id)
        if known is None:
            # A line that is late opens none: the engine's own come in order, so it is a copy.
            if line.kind is not CaseEventKind.REVERSAL_ORDERED or not may_open:
                return None
            self.by_id[reversal_id] = OpenReversal(line.seq, line.occurred_at, failed=[])
            return reversal_id
        if line.seq <= known.seq:
            return None
        known.seq = line.seq
        if line.kind is CaseEventKind.REVERSAL_CONFIRMED:
            del self.by_id[reversal_id]
        else:
            _change(known, line)
        return reversal_id


_TOLD = frozenset({
    CaseEventKind.REVERSAL_ORDERED,
    CaseEventKind.REVERSAL_STALLED,
    CaseEventKind.REVERSAL_RETRIED,
    CaseEventKind.REVERSAL_CONFIRMED,
    CaseEventKind.DIRECTIVE_FAILED,
    CaseEventKind.DIRECTIVE_APPLIED,
    CaseEventKind.DIRECTIVE_RESOLVED,
})  # fmt: skip


def _change(known: OpenReversal, line: CaseEvent) -> None:
    match line.kind:
        case CaseEventKind.REVERSAL_STALLED:
            known.stalled = True
        case CaseEventKind.DIRECTIVE_FAILED if line.reason != AckStatus.FAILED_RETRYABLE:
            known.failed = sorted({*known.failed, *_directives(line)})
        case CaseEventKind.DIRECTIVE_APPLIED | CaseEventKind.DIRECTIVE_RESOLVED | CaseEventKind.REVERSAL_RETRIED:
            mended = set(known.failed) & _directives(line)
            if mended:
                known.failed = sorted(set(known.failed) - mended)
                known.mended_by = line.cause_id
        case CaseEventKind.REVERSAL_ORDERED if not known.failed and _ends_stall(known, line):
            known.stalled = False
        case _:
            pass


def _ends_stall(known: OpenReversal, line: CaseEvent) -> bool:
    late = line.reason == Resend.SUPERSEDED and line.cause_id == known.mended_by
    return line.reason == Resend.BY_OPERATOR or late


def _directives(line: CaseEvent) -> set[str]:
    return {*line.saw.get("directives", "").split(","), line.saw.get("directive_id", "")} - {""}
