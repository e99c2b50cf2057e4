"""How often something out of the ordinary happens in the demo's traffic. These shares are ours, for the show."""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    """Why a record is sent: what the traffic means by it."""

    ENFORCEMENT = "enforcement"
    PROFILE = "profile"
    AMENDMENT = "amendment"
    LIFT = "lift"
    APPEAL = "appeal"
    WITHDRAWAL = "withdrawal"
    EARLY_APPEAL = "appeal before its enforcement"
    ORPHAN_APPEAL = "appeal whose enforcement never comes"
    EARLY_WITHDRAWAL = "withdrawal before its appeal"
    REDELIVERY = "same record again"
    DUPLICATE = "second appeal against the same"
    UNTIMELY = "appeal after its time"
    BY_OTHER = "appeal by somebody else"
    BY_AGENT = "appeal by somebody else with a mandate"
    EMPTY = "appeal that says nothing"
    UNDECODABLE = "bytes that are no record"
    WRONG_RECORD = "record of a type that the topic does not allow"
    WRONG_KEY = "record under another user's key"


BROKEN = frozenset({Kind.UNDECODABLE, Kind.WRONG_RECORD, Kind.WRONG_KEY})
"""What must end as a dead letter, each exactly once."""
APPEALS = frozenset(
    {
        Kind.APPEAL,
        Kind.EARLY_APPEAL,
        Kind.ORPHAN_APPEAL,
        Kind.DUPLICATE,
        Kind.UNTIMELY,
        Kind.BY_OTHER,
        Kind.BY_AGENT,
        Kind.EMPTY,
    }
)
"""What must end in a case, a refusal, a wait or a withdrawal, each exactly once."""

WAYS_TO_APPEAL: dict[Kind, int] = {
    Kind.APPEAL: 855,
    Kind.EARLY_APPEAL: 45,
    Kind.BY_AGENT: 25,
    Kind.UNTIMELY: 25,
    Kind.EMPTY: 20,
    Kind.BY_OTHER: 20,
    Kind.ORPHAN_APPEAL: 10,
}
"""How an appeal comes about, by weight."""

PROFILE_SHARE = 0.15
"""Of measures, how many bring a new profile of the user along."""
APPELLANT_PROFILE_SHARE = 0.8
"""The same of measures that are appealed."""
CAUSED_SHARE = 0.5
"""Of measures against accounts that have strikes, how many rest on the newest of these."""
SAME_TARGET_SHARE = 0.2
"""Of measures against content and payouts, how many hit what the user was struck at before."""
AMENDMENT_SHARE = 0.012
LIFT_SHARE = 0.012
REDELIVERY_SHARE = 0.04
"""Of appeals; and of measures a tenth of it."""
DUPLICATE_SHARE = 0.04
WITHDRAWAL_SHARE = 0.04
EARLY_WITHDRAWAL_SHARE = 0.01
BROKEN_SHARE = 0.002
"""Broken records a measure."""
LEGAL_ORDER_SHARE = 0.01
CHILD_SAFETY_SHARE = 0.005
PERSONAL_SAFETY_SHARE = 0.01

UNTIMELY_DAYS = 200
"""Older than the 184 days of the rulebook."""
