"""`insights.overturn-rates`, `pod.load`, `misfire.alerts`, `insights.quality`: what the stream of decisions teaches.

Rates, loads and quality are facts about a window: each replaces the one before with the same key, and a tombstone says
that there is nothing left in the window.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from schemas.records.parts import Count, Detector, Few, Millis, Name, Record, Text
from schemas.vocabulary import Automation, Band, Dimension, MisfireBaseline, MisfireKind, ReviewSample

Seconds = Annotated[int, Meta(ge=1)]


class OverturnRate(Record, frozen=True, kw_only=True):
    """How often people overturn enforcements of one slice in one window: of appeals decided on the merits."""

    rate_id: Text
    dimension: Dimension
    value: Name | None = None
    """The decider, reviewer, language, region or policy."""
    policy: Name | None = None
    detector: Detector | None = None
    """None with dimension `detector`: no detector was involved."""
    automation: Automation | None = None
    window_s: Seconds
    window_end: Millis
    decided: Count
    overturned: Count
    modified: Count = 0
    """Replaced by something milder: the detector was right that something was wrong."""
    mean: float
    low: float
    high: float
    prior_overturned: float
    prior_upheld: float
    computed_at: Millis


class BandLoad(Record, frozen=True, kw_only=True):
    """One band's share of the load of a pod."""

    band: Band
    open: Count
    claimed: Count
    waiting: Count
    overdue: Count
    arriving_per_hour: float
    decided_per_hour: float
    expected_wait_s: Count | None = None


class PodLoad(Record, frozen=True, kw_only=True):
    """How much work a pod has, how fast it comes and goes, and how long a case that comes now will wait."""

    pod: Name
    open: Count
    claimed: Count
    """Somebody is at work on them."""
    waiting: Count
    """For evidence, or on hold: their work clock stands still."""
    overdue: Count
    """Past the promised handling time, or past the regulatory due time."""
    arriving_per_hour: float
    decided_per_hour: float
    expected_wait_s: Count | None = None
    """None: nothing was decided in the window, so nobody can say."""
    bands: Annotated[list[BandLoad], Few] = []
    window_s: Seconds
    observed_at: Millis
    overflowing: bool = False
    """Its backlog has passed the rulebook's upper mark and has not come down to the lower one since."""


class MisfireSuspected(Record, frozen=True, kw_only=True):
    """A detector version is overturned, or appealed against, more often than it should be.

    `detector`, `policy`, `issued_from` and `issued_until` are what `RemedyProposed` asks for.
    """

    alert_id: Name
    kind: MisfireKind
    detector: Detector
    policy: Name | None = None
    """The only rule that it struck under in that time."""
    raised_at: Millis
    baseline_of: MisfireBaseline
    predecessor: Name | None = None
    """The version before; with `baseline_of` = `predecessor`."""
    baseline: float
    rate: float
    n: Count
    """Decided appeals (`overturn_rate`) or enforcements (`appeal_rate`) since `since`."""
    hits: Count
    statistic: float
    """Logarithm of the likelihood ratio; `threshold` is what it had to pass."""
    threshold: float
    since: Millis
    until: Millis
    issued_from: Millis
    issued_until: Millis
    """The first moment that is not in the cohort any more."""


class ReviewAgreement(Record, frozen=True, kw_only=True):
    """How often a second reviewer agrees with the first decision; the quality sample is the one drawn at random."""

    agreement_id: Text
    dimension: Dimension
    value: Name | None = None
    sample: ReviewSample
    window_s: Seconds
    window_end: Millis
    compared: Count
    agreed: Count
    mean: float
    low: float
    high: float
    computed_at: Millis


class DecisionTime(Record, frozen=True, kw_only=True):
    """How long appeals of one slice take from submission to decision."""

    time_id: Text
    dimension: Dimension
    value: Name | None = None
    window_s: Seconds
    window_end: Millis
    decided: Count
    median_s: float
    median_low_s: float
    median_high_s: float
    p90_s: float
    computed_at: Millis
