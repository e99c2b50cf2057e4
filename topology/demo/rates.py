"""How often users appeal and how often they are right: published figures, and what is made of them.

Source: Whatnot's transparency report for 2025 under the Digital Services Act, Art. 24, as 151,450 measures with 5,437
complaints, split by type of restriction. The report splits its own-initiative measures only, so "other" is what is
left: visibility, content, fees and payouts together.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from schemas.records import Detector
from schemas.vocabulary import Action


@dataclass(frozen=True)
class Published:
    """One row of the report."""

    measures: int
    appeals: int
    reversed: int

    @property
    def appeal_share(self) -> float:
        """Appeals a measure."""
        return self.appeals / self.measures

    @property
    def reversal_share(self) -> float:
        """Reversals an appeal."""
        return self.reversed / self.appeals


class Restriction(StrEnum):
    """The report's types of restriction."""

    ACCOUNT = "account"
    SERVICE = "service_provision"
    OTHER = "other"


ALL = Published(measures=151_450, appeals=5_437, reversed=2_304)
AUTOMATED_SHARE = 137_744 / 151_450
"""Measures taken by automated means only: 91 %."""
_SERVICE = Published(measures=17_850, appeals=2_551, reversed=1_673)
_ACCOUNT = Published(measures=111_259, appeals=1_860, reversed=288)
BY_RESTRICTION = {
    Restriction.ACCOUNT: _ACCOUNT,
    Restriction.SERVICE: _SERVICE,
    Restriction.OTHER: Published(
        measures=ALL.measures - _SERVICE.measures - _ACCOUNT.measures,
        appeals=ALL.appeals - _SERVICE.appeals - _ACCOUNT.appeals,
        reversed=ALL.reversed - _SERVICE.reversed - _ACCOUNT.reversed,
    ),
}
SOURCE = "Whatnot 2025, DSA Art. 24"

ACTIONS: dict[Restriction, dict[Action, int]] = {
    Restriction.ACCOUNT: {Action.SUSPENSION: 62, Action.INTERIM_SUSPENSION: 23, Action.BAN: 15},
    Restriction.SERVICE: {Action.FEATURE_RESTRICTION: 70, Action.SELLING_REVOKED: 30},
    Restriction.OTHER: {
        Action.CONTENT_REMOVAL: 34,
        Action.LIVESTREAM_ENDED: 18,
        Action.REDUCED_DISCOVERABILITY: 14,
        Action.PAYOUT_HOLD: 10,
        Action.WARNING: 8,
        Action.CONTENT_LABEL: 6,
        Action.FEE: 5,
        Action.PAYOUT_LOSS: 3,
        Action.COMMISSION_INCREASE: 2,
    },
}
"""Weights inside a type. These are ours: nobody publishes them."""

RESTRICTION_OF = {action: kind for kind, actions in ACTIONS.items() for action in actions}

MISFIRE = Detector(name="image-match", version="4.3.0")
"""A detector version that strikes wrongly: the burst of the demo."""
MISFIRE_APPEAL_SHARE = 0.3
MISFIRE_REVERSAL_SHARE = 0.9


MODIFIED_SHARE = 0.2
"""Of successful appeals, how many end with something milder. Ours, as is the next."""
REMANDED_SHARE = 0.03
"""Of the others, how many send the measure back to whoever took it."""


def appeal_share(restriction: Restriction, times: float) -> float:
    """Share of such measures that are appealed, `times` the published one and at most 90 %."""
    return min(0.9, BY_RESTRICTION[restriction].appeal_share * times)


def reversal_share(action: Action, detector: Detector | None) -> float:
    """Share of appeals against such a measure that succeed."""
    if detector == MISFIRE:
        return MISFIRE_REVERSAL_SHARE
    restriction = RESTRICTION_OF.get(action)
    return ALL.reversal_share if restriction is None else BY_RESTRICTION[restriction].reversal_share
