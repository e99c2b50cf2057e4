"""Which trace a case belongs to: that of the appeal, however many days, people and timers come between.

No decision rests on it: it is kept to be passed on with what is published about the case.
"""

from processors import ids
from processors.context import Context
from processors.dossier import Dossier
from processors.growth import MAX_TRACES, keep_newest
from schemas.records import CaseId, Record


def remember(dossier: Dossier, case_id: CaseId, ctx: Context) -> None:
    """The running record's trace is that of the case which its appeal opens, now or later."""
    if ctx.trace:
        dossier.traces[case_id] = ctx.trace
        keep_newest(dossier.traces, MAX_TRACES)


def trace_of(dossier: Dossier, record: Record | None) -> str:
    """The trace of the case that a record is about; empty: none, or none is known."""
    case_id = getattr(record, "case_id", None)
    if case_id is None and (appeal_id := getattr(record, "appeal_id", None)) is not None:
        case_id = ids.case_id(appeal_id)
    return "" if case_id is None else dossier.traces.get(case_id, "")
