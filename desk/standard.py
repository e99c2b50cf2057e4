"""What a decision on a case still lacks: evidence against its standard, reasons, and what the outcome needs.

The engine is the arbiter and looks again; this is so that nobody sends what it must refuse.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from schemas.records import Case, EvidenceNeed
from schemas.vocabulary import DismissalReason, Outcome

OUTCOMES: Final = (
    Outcome.UPHELD,
    Outcome.OVERTURNED,
    Outcome.MODIFIED,
    Outcome.UPHELD_GROUND_CHANGED,
    Outcome.REMANDED,
    Outcome.DISMISSED,
)
"""What reviewers may decide (docs/review.md)."""


@dataclass(frozen=True, slots=True)
class Lack:
    """One thing that a decision lacks."""

    code: str
    """Names the words for it."""
    need: EvidenceNeed | None = None
    missing: int = 0
    """How many pieces more."""


def short_of(case: Case, need: EvidenceNeed, cited: Collection[str]) -> int:
    """How many of the pieces that a need asks for are not among the cited ones."""
    found = sum(
        item.kind in need.kinds and (need.supplier is None or item.supplied_by is need.supplier)
        for item in case.evidence
        if item.evidence_id in cited
    )
    return max(0, need.at_least - found)


def lacks_evidence(case: Case, outcome: Outcome, cited: Collection[str]) -> list[Lack]:
    """What the standard asks for and the decision does not cite."""
    return [
        Lack("evidence", need, missing)
        for need in case.standard
        if outcome in need.outcomes and not need.waived and (missing := short_of(case, need, cited))
    ]


def lacks(
    case: Case,
    *,
    outcome: Outcome | None,
    cited: Collection[str],
    reasons: str,
    dismissal: DismissalReason | None,
    substituted_policy: str,
    lesser: bool,
    guidance: str,
) -> list[Lack]:
    """All that this decision lacks; none: it can be sent."""
    if outcome is None or outcome not in OUTCOMES:
        return [Lack("outcome")]
    found = lacks_evidence(case, outcome, cited)
    if not reasons.strip():
        found.append(Lack("reasons"))
    if outcome is Outcome.DISMISSED and dismissal is None:
        found.append(Lack("dismissal"))
    if outcome is Outcome.UPHELD_GROUND_CHANGED and not substituted_policy.strip():
        found.append(Lack("substituted_policy"))
    if outcome is Outcome.MODIFIED and not lesser:
        found.append(Lack("lesser"))
    if outcome is Outcome.REMANDED and not guidance.strip():
        found.append(Lack("guidance"))
    return found
