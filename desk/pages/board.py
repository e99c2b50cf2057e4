"""The lead's board: what each pod has to do, what is at risk, what is overturned, and which detector misfires."""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final
from weakref import WeakKeyDictionary

from starlette.responses import Response

from desk.floor import BOARD, Floor
from desk.live import stream
from desk.pages.visit import Visit
from desk.queue import Entry, PodQueue
from desk.tables import agreement, newest_window
from desk.writer import now_ms
from schemas.vocabulary import Band, CaseState, Dimension, ReferralReason

_AT_RISK: Final = 10
_RATES: Final = 12
_REST_S: Final = 2.0
"""The board counts every case of every pod."""
_WORKABLE: Final = frozenset({CaseState.QUEUED, CaseState.CLAIMED, CaseState.SECOND_REVIEW})


async def board_page(visit: Visit) -> Response:
    """The whole page."""
    return visit.page("board.html", **await visit.slow(_context, visit.floor))


async def parts(visit: Visit) -> Response:
    """The part that changes."""
    return visit.page("_board.html", **await visit.slow(_context, visit.floor))


async def live(visit: Visit) -> Response:
    """Tells when counts, figures or alerts have changed."""
    floor = visit.floor

    def look() -> object:
        counts = [(queue.pod, sorted(queue.states().items())) for queue in floor.client.queues.values()]
        tables = [len(floor.alerts.rows), len(floor.remedies.wholes), len(floor.rates.rows)]
        return counts, tables, floor.pulse.lost_at

    return stream(floor.bell, (BOARD, "broker"), look, rest_s=_REST_S)


def _context(floor: Floor) -> dict[str, Any]:
    now = now_ms()
    agreed = agreement(floor.quality.all(), Dimension.POLICY)
    pods = [_pod(floor, pod, now) for pod in floor.client.queues]
    queues = list(floor.client.queues.values())
    # By the regulatory clock, which never stops; those that wait for evidence are at risk like all others.
    nearest = ((queue, entry) for queue in queues for entry in _counted(queue, now).nearest)
    risky = heapq.nsmallest(_AT_RISK, nearest, key=lambda each: each[1].due_at)
    rates = floor.rates.all()
    alerts = sorted(floor.alerts.all(), key=lambda alert: alert.raised_at, reverse=True)
    return {
        "pods_shown": pods,
        "total": sum(pod["open"] for pod in pods),
        "risky": [(queue, entry, queue.whole_case(entry)) for queue, entry in risky],
        "policies": newest_window(rates, Dimension.POLICY)[:_RATES],
        "detectors": newest_window(rates, Dimension.DETECTOR_VERSION)[:_RATES],
        "agreements": sorted(agreed.values(), key=lambda each: (each.mean, -each.compared))[:_RATES],
        "alerts": alerts[:_RATES],
        "answered": _answered(floor),
        "all_pods": list(floor.client.queues),
        "referrals": [reason for reason in ReferralReason if reason is not ReferralReason.UNKNOWN],
        "bands": [band for band in Band if band is not Band.UNKNOWN],
        "now": now,
    }


def _pod(floor: Floor, pod: str, now: int) -> dict[str, Any]:
    """What a pod has, counted here, and how it moves, as the insights tell."""
    queue = floor.client.queues[pod]
    states, counted = queue.states(), _counted(queue, now)
    return {
        "name": pod,
        "open": len(queue),
        "bands": queue.bands(),
        "claimed": states[CaseState.CLAIMED],
        "second": states[CaseState.SECOND_REVIEW],
        "waiting": states[CaseState.AWAITING_EVIDENCE] + states[CaseState.ON_HOLD],
        "overdue": counted.overdue,
        "people": counted.held.most_common(),
        "load": floor.loads.rows.get(pod),
        "whole": queue.whole.is_set(),
    }


@dataclass(frozen=True, slots=True)
class _Counted:
    """What takes a look at every case of a pod."""

    revision: int
    minute: int
    overdue: int
    held: Counter[str]
    nearest: list[Entry]
    """Those that are due by law first."""


_kept: WeakKeyDictionary[PodQueue, _Counted] = WeakKeyDictionary()


def _counted(queue: PodQueue, now: int) -> _Counted:
    """Counted anew when something has changed, and each minute, as time makes cases overdue."""
    kept, revision, minute = _kept.get(queue), queue.revision, now // 60_000
    if kept is not None and (kept.revision, kept.minute) == (revision, minute):
        return kept
    overdue, held, entries = 0, Counter[str](), queue.in_order()
    for entry in entries:
        overdue += entry.due_at < now or (entry.promised_at < now and entry.state in _WORKABLE)
        if entry.holder is not None:
            held[entry.holder] += 1
    nearest = heapq.nsmallest(_AT_RISK, entries, key=lambda entry: entry.due_at)
    found = _kept[queue] = _Counted(revision, minute, overdue, held, nearest)
    return found


def _answered(floor: Floor) -> set[tuple[str, str, str | None]]:
    """Detector versions and policies that a remedy has been proposed for."""
    firsts = [whole.first for whole in floor.remedies.newest_first()]
    return {(first.detector.name, first.detector.version, first.policy) for first in firsts}
