"""Bounds on what a user can make grow: a dossier is read whole on every event, so nothing in it is endless.

What is closed is kept short, and of the short forms the newest. What falls off the end costs exactness only for a
late redelivery, a late answer, or a user with a thousand enforcements; never for an open case or a running reversal.
"""

from collections.abc import MutableMapping
from typing import TypeVar

from processors.dossier import Dossier
from processors.on_file import Enforcement
from processors.remains import stands

MAX_PARKED = 32
"""Appeals that may wait for their enforcement at once; the next is refused."""
MAX_EARLY = 32
"""Withdrawals, and lifts, remembered before what they are about arrives."""
MAX_ANSWERED = 256
"""Appeals that never became a case, remembered by id so that a redelivery is silent."""
MAX_DECIDED = 256
"""Closed cases kept in their short form."""
MAX_IMMUNITIES = 32
MAX_TALLIES = 32
MAX_BARRED = 64
MAX_NOTES = 50
"""Texts on one case; a later one is still answered, but not added."""
MAX_FILED_EXHIBITS = 100
"""Pieces of evidence taken from an enforcement, so that there is always room for the appellant's."""
MAX_EXHIBITS = 200
"""Pieces of evidence on one case. What is beyond stays where it lies, under its own reference."""
MAX_REQUESTS = 16
"""Requests for evidence that may be open on one case."""
FULL_ENFORCEMENTS = 64
"""From here on, enforcements past appeal are filed away."""
MAX_ENFORCEMENTS = 1_000
"""From here on, some are dropped: those past appeal first, then those that are over, then the oldest."""

_SWEEP_EVERY = 32  # insertions between two sweeps, so that their cost is shared out

K = TypeVar("K")
V = TypeVar("V")


def keep_newest(kept: MutableMapping[K, V], limit: int) -> None:
    """Drop the oldest entries until the limit holds."""
    while len(kept) > limit:
        del kept[next(iter(kept))]


def sweep(dossier: Dossier, now: int, window_ms: int) -> None:
    """After an enforcement was added: file away what is past appeal, and drop what is beyond the bound."""
    on_file = dossier.enforcements
    if len(on_file) < FULL_ENFORCEMENTS or len(on_file) % _SWEEP_EVERY:
        return
    for enforcement_id, e in on_file.items():
        if not e.filed and e.case_id is None and past_appeal(e, now, window_ms):
            on_file[enforcement_id] = _short(e)
    if len(on_file) < MAX_ENFORCEMENTS:
        return
    spare = [key for key, e in on_file.items() if e.case_id is None]
    spare.sort(key=lambda key: _worth(on_file[key], now))
    for key in spare[: len(on_file) - MAX_ENFORCEMENTS + _SWEEP_EVERY]:
        del on_file[key]


def past_appeal(e: Enforcement, at: int, window_ms: int) -> bool:
    """Whether the time to appeal is over; a later `appeal_until` extends it, an earlier one is void."""
    return at > max(e.noticed_at + window_ms, e.appeal_until or 0)


def _worth(e: Enforcement, now: int) -> tuple[bool, bool, int]:
    """Least worth keeping first: past appeal and over, then past appeal, then over, then the oldest."""
    return (not e.filed, stands(e, now), e.noticed_at)


def _short(e: Enforcement) -> Enforcement:
    """What survivors and late appeals need; everything that only a case would look at goes."""
    return Enforcement(
        version=e.version,
        action=e.action,
        target_kind=e.target_kind,
        target_id=e.target_id,
        noticed_at=e.noticed_at,
        issued_at=e.issued_at,
        ends_at=e.ends_at,
        scope=e.scope,
        appealable=e.appealable,
        lift=e.lift,
        returned=e.returned,
        reversed_version=e.reversed_version,
        upheld_version=e.upheld_version,
        filed=True,
    )
