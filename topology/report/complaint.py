"""One complaint of the internal complaint-handling system (DSA Art. 20): what it was about, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from schemas.vocabulary import Action, Automation, Ground, Outcome, Source


class Restriction(StrEnum):
    """What a complaint is about, by the letters of DSA Art. 20(1)."""

    VISIBILITY = "visibility"
    """(a) to remove, disable access to or restrict visibility of information."""
    SERVICE = "service_provision"
    """(b) to suspend or terminate the provision of the service."""
    ACCOUNT = "account"
    """(c) to suspend or terminate an account."""
    MONETARY = "monetary"
    """(d) to restrict the ability to monetise information."""
    NONE = "none"
    """Nothing of these: a warning."""
    UNKNOWN = "unknown"
    """What it names is not on file."""


RESTRICTIONS = {
    Action.UNKNOWN: Restriction.UNKNOWN,
    Action.WARNING: Restriction.NONE,
    Action.REDUCED_DISCOVERABILITY: Restriction.VISIBILITY,
    Action.CONTENT_LABEL: Restriction.VISIBILITY,
    Action.CONTENT_REMOVAL: Restriction.VISIBILITY,
    Action.LIVESTREAM_ENDED: Restriction.VISIBILITY,
    Action.FEATURE_RESTRICTION: Restriction.SERVICE,
    Action.SELLING_REVOKED: Restriction.SERVICE,
    Action.COMMISSION_INCREASE: Restriction.MONETARY,
    Action.FEE: Restriction.MONETARY,
    Action.PAYOUT_HOLD: Restriction.MONETARY,
    Action.PAYOUT_LOSS: Restriction.MONETARY,
    Action.SUSPENSION: Restriction.ACCOUNT,
    Action.INTERIM_SUSPENSION: Restriction.ACCOUNT,
    Action.BAN: Restriction.ACCOUNT,
}
"""Total; by the restriction that each action's statement of reasons names in the DSA Transparency Database."""


class Result(StrEnum):
    """What the decision on a complaint did to the one that it was about. A complaint has exactly one."""

    UPHELD = "upheld"
    PARTIALLY_REVERSED = "partially_reversed"
    REVERSED = "reversed"
    OMITTED = "omitted"
    """Nobody has judged the restriction: refused, dismissed, taken back, moot, or not decided yet."""


RESULTS = {
    Outcome.UNKNOWN: Result.OMITTED,
    Outcome.UPHELD: Result.UPHELD,
    Outcome.UPHELD_GROUND_CHANGED: Result.UPHELD,
    Outcome.MODIFIED: Result.PARTIALLY_REVERSED,
    Outcome.OVERTURNED: Result.REVERSED,
    Outcome.REMANDED: Result.OMITTED,
    Outcome.DISMISSED: Result.OMITTED,
    Outcome.WITHDRAWN: Result.OMITTED,
    Outcome.MOOT: Result.OMITTED,
}
"""By a case's outcome. What was sent back has none before the enforcing side, or the lead pod, has answered."""


class Decider(StrEnum):
    """Who brought the result about."""

    PEOPLE = "people"
    RULE = "rule"
    """A rule granted it; none can deny (DSA Art. 20(6))."""
    ENFORCING_SIDE = "enforcing_side"
    """It answered what was sent back to it."""
    CONSEQUENCE = "consequence"
    """What it rested on was overturned."""
    REMEDY = "remedy"
    """It was one of a whole cohort that was reversed."""
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Measure:
    """What the figures need of one version of an enforcement."""

    version: int
    noticed_at: int
    """UTC ms."""
    action: Action
    ground: Ground
    source: Source
    automation: Automation
    statement_of_reasons_id: str


@dataclass(frozen=True, slots=True)
class Ending:
    """How a complaint ended."""

    result: Result
    why: str
    """A case's outcome, ``refused``, ``open``, ``parked`` or ``not_taken_in``; with its reason after a colon."""
    decider: Decider
    at: int | None
    """When it came about, UTC ms; None while it has not."""
    case_id: str | None = None


@dataclass(frozen=True, slots=True)
class Complaint:
    """One complaint, with what it is about and how it ended."""

    user_id: str
    appeal_id: str
    enforcement_id: str
    submitted_at: int
    """UTC ms."""
    measure: Measure | None
    """The version that it is about; None if it is not on file."""
    ending: Ending
    confirmed_at: int | None = None
    """When the systems that hold the restriction had confirmed that it is undone; UTC ms."""

    @property
    def restriction(self) -> Restriction:
        """What it is about."""
        return Restriction.UNKNOWN if self.measure is None else RESTRICTIONS[self.measure.action]

    @property
    def decided_ms(self) -> int | None:
        """From submission to the decision; None if nobody judged the restriction.

        A sender's clock that runs ahead makes a decision no quicker than at once.
        """
        if self.ending.result is Result.OMITTED or self.ending.at is None:
            return None
        return max(0, self.ending.at - self.submitted_at)
