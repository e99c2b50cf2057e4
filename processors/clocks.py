"""The two clocks of a case.

The regulatory clock runs from the submission to `due_at` and nothing stops it (DSA Art. 20(4): in a timely manner).
The work clock counts the working time of the case's pod until `promised_at`; it stands still while the case waits, for
at most the rulebook's cap over all its waiting. At a share of either clock the band is raised, once for each.
"""

from processors.calendar import ALWAYS
from processors.open_case import OpenCase, Waiting
from processors.review_tables import ReviewTables
from processors.tables import Tables
from schemas.records import Millis


def promise(case: OpenCase, tables: ReviewTables) -> None:
    """Set `promised_at` and `warn_at`: the handling time and all waiting so far, in the pod's working time."""
    calendar = tables.calendars.get(case.pod, ALWAYS)
    start, whole = case.submitted_at, case.handling_ms
    case.promised_at = Millis(calendar.add(start, whole + case.paused_work_ms))
    case.warn_at = Millis(calendar.add(start, int(whole * tables.warn_share) + case.paused_work_ms))


def due_warning_at(case: OpenCase, warn_share: float) -> int:
    """UTC ms at which the band is raised for the regulatory clock."""
    return case.submitted_at + int((case.due_at - case.submitted_at) * warn_share)


def pause_left_ms(case: OpenCase, tables: ReviewTables) -> int:
    """How long the work clock may still stand still."""
    return max(0, tables.pause_cap_ms - case.paused_ms)


def pause(case: OpenCase, now: int, until: int, tables: ReviewTables) -> None:
    """Stop the work clock until then at the latest, or as long as the cap allows."""
    end = now + pause_left_ms(case, tables)
    case.waiting = Waiting(Millis(now), Millis(min(until, end)), capped=end < until)


def run_on(case: OpenCase, now: int, tables: ReviewTables) -> None:
    """The work clock goes on, if it stood still; what was waited is added to what was promised."""
    waiting = case.waiting
    if waiting is None:
        return
    case.waiting = None
    case.paused_ms += max(0, now - waiting.since)
    case.paused_work_ms += tables.calendars.get(case.pod, ALWAYS).between(waiting.since, now)
    promise(case, tables)


def raise_band(case: OpenCase, limit: int, tables: Tables) -> bool:
    """One band up, and so far forward in the queue that its handling time is left before `limit`; False for P0."""
    bands = tables.bands
    position = next(i for i, start in enumerate(bands) if start.band is case.band)
    if position == 0:
        return False
    higher = bands[position - 1]
    case.band = higher.band
    case.rank_at = Millis(min(case.rank_at, max(case.submitted_at, limit - higher.handling_ms)))
    return True
