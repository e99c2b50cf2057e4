"""A remedy reaches one enforcement of a user: judged again, and reversed as any other, once."""

from processors import ids
from processors.closing import close_reversed
from processors.context import Context
from processors.dossier import Dossier
from processors.on_file import Enforcement
from processors.reasons import Reversed
from processors.remedy_judging import already
from processors.reversal import Because, reverse
from schemas.records import RemedyOrdered
from schemas.vocabulary import CaseOrigin, ReversalCause

REMEDY = "remedy:"
"""Start of `cause_id` of the lines that a remedy wrote."""
_LONGEST_CAUSE = 256
_LONGEST_SAW = 4_000


def on_ordered(dossier: Dossier, event: RemedyOrdered, ctx: Context) -> None:
    """Reverse the enforcement, unless that has been done or nothing is left to reverse: then leave no trace.

    An open case on it ends as overturned, and the reversal is then that case's.
    """
    e = dossier.enforcements.get(event.enforcement_id)
    if e is None or e.filed or e.version != event.version or already(e, ctx.now) is not None:
        return
    cause = cause_of(event)
    told = {
        "remedy_id": event.remedy_id,
        "approved_by": event.approved_by[:_LONGEST_SAW],
        "proposed_by": event.proposed_by,
        "version": str(event.version),
    }
    case = None if e.case_id is None else dossier.cases[e.case_id]
    because = Because(ReversalCause.REMEDY, _reversal_id(event, e), remedy_id=event.remedy_id, told=told)
    _correct(dossier, e)
    if case is not None:
        because = because._replace(case_id=case.case_id, appeal_id=case.appeal_id, language=case.language)
        dossier.counts.overturned += case.origin is CaseOrigin.APPEAL
        close_reversed(dossier, case, e, ctx, cause, Reversed.REMEDY, told)
    reverse(dossier, event.enforcement_id, because, ctx, cause)


def cause_of(event: RemedyOrdered) -> str:
    """What the lines that follow name as their cause; ids are up to 256 characters, and so is a cause."""
    cause = f"{REMEDY}{event.remedy_id}:{event.enforcement_id}"
    return cause if len(cause) <= _LONGEST_CAUSE else f"{REMEDY}{ids.uuid5(cause)}"


def _reversal_id(event: RemedyOrdered, e: Enforcement) -> str:
    if e.case_id is not None:
        return ids.reversal_id(e.case_id)
    return ids.remedy_reversal_id(event.remedy_id, event.enforcement_id, event.version)


def _correct(dossier: Dossier, e: Enforcement) -> None:
    """An appeal against it was decided, and not by overturning it: the user's standing says from now on who was right.

    A case that ended with something milder counted for the user, but not against the detector.
    """
    if e.upheld_version != e.version:
        return
    counts = dossier.counts
    if e.lesser is None and counts.upheld:
        counts.upheld -= 1
        counts.overturned += 1
    tally = None if e.detector is None else dossier.tallies.get(e.detector)
    if tally is not None:  # what a rule decided was not counted for the detector
        tally.overturned = min(tally.decided, tally.overturned + 1)
