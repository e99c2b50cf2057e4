"""The topics that a reviewer tool touches, by the names of the contract, and what they are called on the cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from schemas import records as r

CASES: Final = "cases."
"""Prefix of the pods' topics."""
REVIEWS: Final = "review.events"
LINES: Final = "case.events"
ENFORCEMENTS: Final = "enforcement.events"
RESOLUTIONS: Final = "resolution.events"
LOADS: Final = "pod.load"
RATES: Final = "insights.overturn-rates"
QUALITY: Final = "insights.quality"
ALERTS: Final = "misfire.alerts"
COMMANDS: Final = "remedy.commands"
REMEDIES: Final = "remedy.events"
KEYS: Final = "subject.keys"
WRAPPING: Final = "wrapping.keys"

READ: Final[dict[str, frozenset[type[r.Record]]]] = {
    LINES: frozenset({r.CaseEvent}),
    ENFORCEMENTS: frozenset(
        {
            r.EnforcementIssued,
            r.EnforcementAmended,
            r.EnforcementLifted,
            r.UserProfileUpdated,
            r.SubjectErasureRequested,
            r.LegalHoldPlaced,
            r.LegalHoldReleased,
        }
    ),
    RESOLUTIONS: frozenset(
        {r.ReversalOrdered, r.ReversalConfirmed, r.ReversalStalled, r.ImmunityGranted, r.EnforcementRemanded}
    ),
    LOADS: frozenset({r.PodLoad}),
    RATES: frozenset({r.OverturnRate}),
    QUALITY: frozenset({r.ReviewAgreement, r.DecisionTime}),
    ALERTS: frozenset({r.MisfireSuspected}),
    REMEDIES: frozenset({r.RemedyReported}),
    KEYS: frozenset({r.SubjectKey}),
    WRAPPING: frozenset({r.WrappingKey}),
}
"""What is read besides the pods' topics, and the records that may be there."""
WRITTEN: Final = frozenset({REVIEWS, COMMANDS})
_IN_STEP: Final = frozenset({REVIEWS, LINES, ENFORCEMENTS, COMMANDS})
"""Topics of which each partitioning has a set of its own (docs/reshard.md)."""


@dataclass(frozen=True, slots=True)
class Names:
    """What an installation calls its topics."""

    prefix: str = ""
    """Comes before every name (`RECOURSE_TOPIC_PREFIX` of the engine)."""
    partitioning: str = ""
    """Comes after it for topics that are kept in step (`RECOURSE_PARTITIONING` of the engine)."""

    def on_cluster(self, name: str) -> str:
        """A topic's name on the cluster."""
        set_of = f"{self.partitioning}." if self.partitioning and name in _IN_STEP else ""
        return f"{self.prefix}{set_of}{name}"

    def pod_of(self, on_cluster: str) -> str | None:
        """The pod whose topic this is; None: it is another topic."""
        start = self.prefix + CASES
        return on_cluster.removeprefix(start) if on_cluster.startswith(start) else None
