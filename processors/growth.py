"""Bounds on what a user can make grow: a dossier is read whole on every event, so nothing in it is endless.

What is closed is kept short, and of the short forms the newest. What falls off the end costs exactness only for a
late redelivery, a late answer, or a user with a thousand enforcements; never for an open case or a running reversal.
"""

from collections.abc import MutableMapping
from typing import TypeVar

from processors import cohort
from processors.context import Context
from processors.dossier import Dossier
from processors.on_file import Enforcement
from processors.remains import bears_on_account, stands, strikes_left

MAX_PARKED = 32
"""Appeals that may wait for their enforcement at once; the next is refused."""
MAX_EARLY = 32
"""Withdrawals, and lifts, remembered before what they are about arrives."""
MAX_ANSWERED = 256
"""Appeals that never became a case, remembered by id so that a redelivery is silent."""
MAX_DECIDED = 256
"""Closed cases kept in their short form."""
MAX_TRACES = 20
"""Traces of cases; older ones end with the case's newest record."""
MAX_IMMUNITIES = 256
"""A seller whose whole catalogue a remedy gave back must not be struck again listing by listing, unflagged."""
MAX_SUPERSEDED = 32
"""Directives of one running reversal that are remembered after others took their place."""
MAX_CONSEQUENCES = 64
"""Enforcements that one reversal may lead to; beyond, people look."""
MAX_CASCADE_DEPTH = 8
"""How far a chain of consequences is followed; beyond, people look."""
MAX_TALLIES = 32
MAX_BARRED = 64
MAX_NOTES = 50
"""Texts on one case; a later one is still answered, but not added."""
MAX_FILED_EXHIBITS = 100
"""Pieces of evidence taken from an enforcement, so that there is always room for the appellant's."""
MAX_EXHIBITS = 200
"""Pieces of evidence on one case. What is beyond stays where it lies, under its own reference."""
MAX_SEALED = 65_536
"""Characters of sealed texts on one case, and from one enforcement; what is beyond stays in the record it came in."""
MAX_HOLDS = 64
"""Legal holds on one user, the newest released ones included."""
MAX_REQUESTS = 16
"""Requests for evidence that may be open on one case."""
FULL_ENFORCEMENTS = 64
"""From here on, enforcements past appeal are filed away."""
MAX_ENFORCEMENTS = 1_000
"""From here on, some are dropped: what bears on the whole account last, what can still be appealed next to last."""

_SWEEP_EVERY = 32  # insertions between two sweeps, so that their cost is shared out

K = TypeVar("K")
V = TypeVar("V")


def keep_newest(kept: MutableMapping[K, V], limit: int) -> None:
    """Drop the oldest entries until the limit holds."""
    while len(kept) > limit:
        del kept[next(iter(kept))]


def within(sealed: str | None, used: int) -> str | None:
    """The sealed text, if there is room for it beside `used` characters of such."""
    return sealed if sealed is not None and used + len(sealed) <= MAX_SEALED else None


def sweep(dossier: Dossier, now: int, ctx: Context) -> None:
    """After an enforcement was added: file away what is past appeal, and drop what is beyond the bound."""
    window_ms = ctx.rulebook.tables.window_ms
    on_file = dossier.enforcements
    if len(on_file) < FULL_ENFORCEMENTS or len(on_file) % _SWEEP_EVERY:
        return
    for enforcement_id, e in on_file.items():
        # What something else caused may still fall with it, so it is kept whole.
        whole = e.case_id is not None or e.caused_by is not None
        if not e.filed and not whole and past_appeal(e, now, window_ms):
            before = cohort.term_on_file(dossier, enforcement_id)
            on_file[enforcement_id] = _short(e)
            cohort.follow(dossier, enforcement_id, before, ctx)
    if len(on_file) < MAX_ENFORCEMENTS:
        return
    spare = [key for key, e in on_file.items() if e.case_id is None]
    spare.sort(key=lambda key: _worth(on_file[key], now))
    for key in spare[: len(on_file) - MAX_ENFORCEMENTS + _SWEEP_EVERY]:
        before = cohort.term_on_file(dossier, key)
        del on_file[key]
        cohort.follow(dossier, key, before, ctx)


def past_appeal(e: Enforcement, at: int, window_ms: int) -> bool:
    """Whether the time to appeal is over; a later `appeal_until` extends it, an earlier one is void."""
    return at > max(e.noticed_at + window_ms, e.appeal_until or 0)


def _worth(e: Enforcement, now: int) -> tuple[bool, bool, bool, bool, int]:
    """Least worth keeping first.

    What stands against the account is told to systems with every other reversal, so a ban that was forgotten would be
    lifted by the next one. Then comes what can still be appealed, then a strike that counts, then what stands on a
    target of its own, then the newer.
    """
    standing = stands(e, now)
    return (standing and bears_on_account(e), not e.filed, bool(strikes_left(e)), standing, e.noticed_at)


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
        strikes=e.strikes,
        caused_by=e.caused_by,
        lesser=e.lesser,
        reversal_id=e.reversal_id,
        appealable=e.appealable,
        lift=e.lift,
        returned=e.returned,
        reversed_version=e.reversed_version,
        upheld_version=e.upheld_version,
        filed=True,
    )
