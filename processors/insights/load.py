"""How much work a pod has, and how long a case that comes now will wait."""

from __future__ import annotations

from collections.abc import Mapping

from processors.insights.cells import HOUR_MS, WINDOWS, Counts
from processors.insights.facts import Measure
from processors.overflow import Marks, latch
from schemas.records import BandLoad, Millis, PodLoad
from schemas.vocabulary import Band

_LEAST_MS = 60_000
"""A pace is not told from less than a minute."""
_URGENT_FIRST = [*(band for band in Band if band is not Band.UNKNOWN), Band.UNKNOWN]


def pod_load(
    pod: str,
    open_cases: Mapping[str, list[int]],
    flow: Mapping[str, Counts],
    now: int,
    since: int,
    *,
    overflowed: bool = False,
    marks: Marks | None = None,
) -> PodLoad:
    """The load of a pod.

    Args:
        pod: its name.
        open_cases: by band, as in `OpenCases.load`.
        flow: by band: what came and ended in the window of an hour that `now` lies in.
        now: as of when, ms.
        since: when anything was seen first: an hour that has only begun is not divided by a whole one.
        overflowed: whether it did when it was looked at last.
        marks: when it begins and ends to overflow; None: never.
    """
    window = WINDOWS[0]
    begun = max(window.first(now) * window.step_ms, since)
    hours = max(now - begun, _LEAST_MS) / HOUR_MS
    ended = {band: counts.get(Measure.ENDED, 0) / hours for band, counts in flow.items()}
    arrived = {band: counts.get(Measure.ARRIVED, 0) / hours for band, counts in flow.items()}
    pace = sum(ended.values())
    bands: list[BandLoad] = []
    ahead = 0
    for band in _URGENT_FIRST:  # a case waits for those that are at least as urgent
        row = open_cases.get(band, [0, 0, 0, 0])
        ahead += row[0]
        if not row[0] and not arrived.get(band) and not ended.get(band):
            continue
        bands.append(
            BandLoad(
                band=band,
                open=row[0],
                claimed=row[1],
                waiting=row[2],
                overdue=row[3],
                arriving_per_hour=arrived.get(band, 0.0),
                decided_per_hour=ended.get(band, 0.0),
                expected_wait_s=wait_s(ahead, pace),
            )
        )
    opened, claimed, waiting, overdue = (sum(row[column] for row in open_cases.values()) for column in range(4))
    return PodLoad(
        pod=pod,
        open=opened,
        claimed=claimed,
        waiting=waiting,
        overdue=overdue,
        arriving_per_hour=sum(arrived.values()),
        decided_per_hour=pace,
        expected_wait_s=wait_s(ahead, pace),
        bands=bands,
        window_s=window.seconds,
        observed_at=Millis(now),
        overflowing=latch(overflowed, opened - waiting, marks),
    )


def wait_s(ahead: int, pace_per_hour: float) -> int | None:
    """Little's law: who comes last waits for those ahead, at the pace at which they leave."""
    return None if pace_per_hour <= 0 else round(ahead / pace_per_hour * 3_600)
