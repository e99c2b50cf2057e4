"""Fairness and quality as they are published: agreement of second reviews, and time to decision."""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple

from processors.insights.beta import rate
from processors.insights.cells import Counts, Window
from processors.insights.facts import BINS_A_DOUBLING, TIMES, Measure
from processors.insights.rates import described
from schemas.records import DecisionTime, Millis, ReviewAgreement
from schemas.vocabulary import Dimension, ReviewSample

SAMPLES = {
    ReviewSample.ALL: (Measure.COMPARED, Measure.AGREED),
    ReviewSample.QUALITY_SAMPLE: (Measure.COMPARED_QUALITY, Measure.AGREED_QUALITY),
    ReviewSample.BLIND_SAMPLE: (Measure.COMPARED_BLIND, Measure.AGREED_BLIND),
}
COMPARED_BY = frozenset({
    Dimension.OVERALL, Dimension.POLICY, Dimension.REVIEWER, Dimension.LANGUAGE, Dimension.REGION
})  # fmt: skip
TIMED_BY = frozenset({Dimension.OVERALL, Dimension.LANGUAGE, Dimension.REGION})
_Z95 = 1.959963984540054


def review_agreement(
    key: str, sample: ReviewSample, counts: Counts, window: Window, now: int
) -> ReviewAgreement | None:  # fmt: skip
    """The agreement in a slice; None if nothing was compared."""
    compared_by, agreed_by = SAMPLES[sample]
    compared, agreed = counts.get(compared_by, 0), counts.get(agreed_by, 0)
    if not compared:
        return None
    found = rate(agreed, compared, 0.5, 0.5)  # Jeffreys: nothing is assumed of people
    slice_ = described(key)
    return ReviewAgreement(
        agreement_id=f"agreement|{key}|{sample}|{window.seconds}",
        dimension=slice_["dimension"],
        value=slice_.get("value"),
        sample=sample,
        window_s=window.seconds,
        window_end=Millis(window.end(now)),
        compared=compared,
        agreed=agreed,
        mean=found.mean,
        low=found.low,
        high=found.high,
        computed_at=Millis(now),
    )


def decision_time(key: str, counts: Counts, window: Window, now: int) -> DecisionTime | None:
    """The time to decision in a slice; None if nothing was decided."""
    times = Times({measure - TIMES: by for measure, by in counts.items() if measure >= TIMES})
    n = times.n
    if not n:
        return None
    slice_ = described(key)
    # Order statistics: the median lies between these ranks with 95 %, by the normal approximation of Binomial(n, 1/2).
    off = _Z95 * sqrt(n) / 2
    return DecisionTime(
        time_id=f"time|{key}|{window.seconds}",
        dimension=slice_["dimension"],
        value=slice_.get("value"),
        window_s=window.seconds,
        window_end=Millis(window.end(now)),
        decided=n,
        median_s=times.at(n / 2),
        median_low_s=times.at(max(0.0, n / 2 - off)),
        median_high_s=times.at(min(float(n), n / 2 + off)),
        p90_s=times.at(0.9 * n),
        computed_at=Millis(now),
    )


class Times(NamedTuple):
    """A histogram of seconds, with bins a fourth of a doubling wide: a quantile of it is off by at most 19 %."""

    bins: dict[int, int]

    @property
    def n(self) -> int:
        """How many there are."""
        return sum(self.bins.values())

    def at(self, rank: float) -> float:
        """Seconds below which `rank` of them lie; evenly spread within a bin, on the scale of the bins."""
        below = 0
        for number in sorted(self.bins):
            here = self.bins[number]
            if below + here >= rank:
                return float(2 ** ((number + (rank - below) / here) / BINS_A_DOUBLING))
            below += here
        return float(2 ** ((max(self.bins, default=0) + 1) / BINS_A_DOUBLING))
