"""A case without an appeal: what an enforcement rested on is gone, or its remand was not answered; people must look.

It is ranked, routed, reviewed and decided as any case. It says nothing of the user as an appellant: it counts neither
for nor against their standing, and what it upholds can still be appealed against.
"""

from processors import ids
from processors.context import Context
from processors.dossier import Dossier
from processors.on_file import Enforcement
from processors.open_case import OpenCase
from processors.outbox import UNDETERMINED, UNKNOWN_REGION, case_line, notice
from processors.publishing import publish
from processors.reasons import Change
from processors.references import told
from processors.review import move_to
from processors.triage import triage
from schemas.records import EnforcementId, Millis
from schemas.vocabulary import AppealFlag, CaseEventKind, CaseOrigin, NoticeKind


def look_again(
    dossier: Dossier,
    enforcement_id: EnforcementId,
    e: Enforcement,
    origin: CaseOrigin,
    because: str,
    ctx: Context,
    cause: str,
    *,
    pod: str | None = None,
) -> None:
    """Have people look at an enforcement: in the case that is open on it, else in one of its own.

    Args:
        dossier: of the user.
        enforcement_id: of the enforcement.
        e: the enforcement.
        origin: what the case comes about by.
        because: the reversal, or the remanded case, that it follows from.
        ctx: of the event.
        cause: of the lines.
        pod: where it goes, whatever the routing says; none: by the routing.
    """
    if e.case_id is not None:
        case = dossier.cases[e.case_id]
        case.version += 1
        reason = Change.CAUSE_OVERTURNED
        case_line(
            dossier, ctx, CaseEventKind.ENFORCEMENT_CHANGED, cause, case, reason=reason, saw={"caused_by": because}
        )
        publish(dossier, ctx, case, e)
        return
    appeal_id = ids.internal_appeal_id(because, enforcement_id, e.version)
    case_id = ids.case_id(appeal_id)
    if case_id in dossier.decided:
        return
    now = Millis(ctx.now)
    profile = dossier.profile
    case = OpenCase(
        case_id=case_id,
        version=1,
        appeal_id=appeal_id,
        enforcement_id=enforcement_id,
        submitted_at=now,
        opened_at=now,
        due_at=Millis(now + ctx.rulebook.tables.review.deadline_ms),
        language=UNDETERMINED if profile is None else profile.language,
        region=UNKNOWN_REGION if profile is None else profile.region,
        evidence=list(e.evidence),
        excluded=list(e.barred),
        expires_at=e.force.ends_at if e.force.ends_at is not None and e.force.ends_at > now else None,
        flags=[] if e.against is None else [AppealFlag.AGAINST_IMMUNITY],
        origin=origin,
    )
    seen = ctx.look(e)
    triage(dossier, case, e, ctx, seen)
    if pod is not None and pod != case.pod:
        move_to(case, pod, origin.value, because, ctx)
    dossier.cases[case_id] = case
    e.case_id = case_id
    saw = {"origin": origin.value, "because": because, "enforcement_version": str(e.version), "rule": case.rule}
    saw |= told(seen)
    line_id = case_line(dossier, ctx, CaseEventKind.INTERNAL_CASE_OPENED, cause, case, saw=saw)
    publish(dossier, ctx, case, e)
    notice(
        dossier,
        ctx,
        NoticeKind.REEXAMINED,
        f"case.reexamined.{origin}",
        line_id,
        case=case,
        enforcement=e,
        reasons=[origin],
        decide_by=Millis(min(case.promised_at, case.due_at)),
    )
