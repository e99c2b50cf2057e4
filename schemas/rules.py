"""What a record must satisfy beyond its types: bounds, times, and symbols that a decision rests on."""

from __future__ import annotations

from typing import Final

from schemas.records import (
    MAX_STRING,
    AppellantNotice,
    Component,
    DeadLetterSettled,
    DecisionProposed,
    DirectiveAcked,
    EnforcementAmended,
    EnforcementIssued,
    EvidenceRequested,
    EvidenceSupplied,
    Record,
    RemedySteered,
    ReversalOrdered,
)

MAX_RECORD_BYTES: Final = 256 * 1024
"""Default bound of a record on the wire, prefix included."""
MAX_STRING_BYTES: Final = 4 * MAX_STRING
"""A character takes at most four bytes of UTF-8."""
MIN_TIME_MS: Final = 946_684_800_000
"""2000-01-01T00:00:00Z, the first plausible time."""
MAX_TIME_MS: Final = 4_102_444_800_000
"""2100-01-01T00:00:00Z, the first implausible time. Ends and deadlines lie in the same range."""

SHARED: Final[frozenset[type[Record]]] = frozenset({Component})
"""Parts of records that are often the very same object: a writer keeps their bytes. They hold nothing that changes."""

CRITICAL_SYMBOLS: Final[dict[type[Record], frozenset[str]]] = {
    # Severity, strikes and what must be undone follow from these.
    EnforcementIssued: frozenset({"action", "target.kind", "effects[].kind"}),
    EnforcementAmended: frozenset({"action", "target.kind", "effects[].kind"}),
    # The decision itself.
    DecisionProposed: frozenset({"outcome", "lesser.action", "dismissal"}),
    # Nobody can be asked for a kind, and no standard be met by a supplier, that is not known here.
    EvidenceRequested: frozenset({"kinds[]", "supplier"}),
    EvidenceSupplied: frozenset({"supplier"}),
    # Taken for applied, a reversal that failed would be reported as done.
    DirectiveAcked: frozenset({"status"}),
    # A system must not guess what it is told to do, nor which state must hold afterwards.
    ReversalOrdered: frozenset(
        {
            "outcome",
            "directives[].operation",
            "directives[].target.kind",
            "directives[].surviving[].action",
            "directives[].state[].action",
            "lesser.action",
        }
    ),
    # To guess whether a cohort is to be reversed or not is worse than to wait.
    RemedySteered: frozenset({"steer"}),
    # What was done with a letter decides whether it may be replayed.
    DeadLetterSettled: frozenset({"action"}),
    # A user must not be told something that nobody said.
    AppellantNotice: frozenset({"kind", "refusal", "outcome"}),
}
"""Fields at which an unknown symbol stops the record, by record; everywhere else it is carried on as ``UNKNOWN``.

Carried on, with the reason: an appeal's grounds and flags (a new flag must not lose the appeal), categories,
grounds, sources and automation (they weigh in the priority and are reported, but decide nothing), evidence kinds
(one that nobody knows meets no standard), lift reasons (what remains to restore is in fields of their own), and
all of `Case` and `CaseEvent` (shown and counted).
"""
