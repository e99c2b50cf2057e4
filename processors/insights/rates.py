"""Overturn rates as they are published: one slice in one window."""

from __future__ import annotations

from typing import Any

from processors.insights.beta import rate
from processors.insights.cells import Counts, Window
from processors.insights.facts import Measure
from processors.insights.slices import NONE, parts_of
from schemas.records import Detector, Millis, OverturnRate
from schemas.vocabulary import Automation, Dimension

RATES = frozenset(Dimension) - {Dimension.UNKNOWN}


def described(key: str) -> dict[str, Any]:
    """The fields that say which slice it is."""
    kind, *parts = parts_of(key)
    dimension = Dimension(kind)
    match dimension:
        case Dimension.OVERALL | Dimension.UNKNOWN:
            return {"dimension": dimension}
        case Dimension.DETECTOR:
            policy, name, version, automation = parts
            return {
                "dimension": dimension,
                "policy": policy or None,
                "detector": None if name == NONE else Detector(name=name, version=version),
                "automation": _automation(automation),
            }
        case Dimension.DETECTOR_VERSION:
            return {"dimension": dimension, "detector": Detector(name=parts[0], version=parts[1])}
        case Dimension.POLICY:
            return {"dimension": dimension, "value": parts[0] or None, "policy": parts[0] or None}
        case _:
            return {"dimension": dimension, "value": parts[0]}


def overturn_rate(
    key: str, counts: Counts, window: Window, now: int, prior: tuple[float, float]
) -> OverturnRate | None:  # fmt: skip
    """The rate of a slice in the window that `now` lies in; None if nothing was decided in it."""
    decided = counts.get(Measure.DECIDED, 0)
    if not decided:
        return None
    overturned = counts.get(Measure.OVERTURNED, 0)
    found = rate(overturned, decided, *prior)
    return OverturnRate(
        rate_id=rate_id(key, window),
        **described(key),
        window_s=window.seconds,
        window_end=Millis(window.end(now)),
        decided=decided,
        overturned=overturned,
        modified=counts.get(Measure.MODIFIED, 0),
        mean=found.mean,
        low=found.low,
        high=found.high,
        prior_overturned=prior[0],
        prior_upheld=prior[1],
        computed_at=Millis(now),
    )


def rate_id(key: str, window: Window) -> str:
    """The key on `insights.overturn-rates`."""
    return f"{key}|{window.seconds}"


def _automation(code: str) -> Automation:
    return Automation(code) if code in Automation.__members__.values() else Automation.UNKNOWN
