"""The beginning of a case, and further texts that come to it while it is open."""

from processors.automation import grant, may_grant
from processors.closing import settle
from processors.context import Context
from processors.dossier import Dossier
from processors.growth import MAX_NOTES, within
from processors.on_file import Enforcement
from processors.open_case import Note, OpenCase
from processors.outbox import UNKNOWN_REGION, case_line, notice
from processors.publishing import publish
from processors.references import NOTHING, told
from processors.refusal import refuse
from processors.remains import something_remains, stands, was_over
from processors.triage import triage, triage_again
from processors.waiting import add_evidence, answer, ask_at_intake
from schemas.records import AppealSubmitted, CaseId, Millis
from schemas.vocabulary import AppealFlag, CaseEventKind, EvidenceSupplier, NoticeKind, RefusalReason


def open_case(
    dossier: Dossier, appeal: AppealSubmitted, case_id: CaseId, e: Enforcement, ctx: Context, cause: str
) -> None:
    """Open, rank, route and publish the case, and tell the appellant."""
    submitted_at = appeal.submitted_at
    over_before = was_over(e, submitted_at)
    case = OpenCase(
        case_id=case_id,
        version=1,
        appeal_id=appeal.appeal_id,
        enforcement_id=appeal.enforcement_id,
        submitted_at=submitted_at,
        opened_at=Millis(ctx.now),
        due_at=Millis(submitted_at + ctx.rulebook.tables.review.deadline_ms),
        language=appeal.language,
        region=UNKNOWN_REGION if dossier.profile is None else dossier.profile.region,
        grounds=list(appeal.grounds),
        flags=_flags(appeal, e),
        notes=[_note(appeal, 0)],
        evidence=list(e.evidence),
        changed=appeal.enforcement_version is not None and appeal.enforcement_version < e.version,
        excluded=list(e.barred),
        expires_at=None if over_before else e.force.ends_at,
    )
    add_evidence(case, appeal.evidence, EvidenceSupplier.APPELLANT)
    seen = ctx.look(e)
    rule = triage(dossier, case, e, ctx, seen)
    dossier.cases[case_id] = case
    dossier.counts.opened += 1
    e.case_id = case_id
    saw = {"enforcement_version": str(e.version), "policy": e.policy, "action": e.action.value, "rule": case.rule}
    saw["issued_at"] = str(e.issued_at)
    if e.detector is not None:  # appeals are counted by detector version before anything is decided
        saw["detector"] = e.detector
        saw["detector_version"] = e.detector_version
    if seen is not NOTHING:
        saw |= told(seen)
    line_id = case_line(dossier, ctx, CaseEventKind.CASE_OPENED, cause, case, saw=saw)
    notice(
        dossier,
        ctx,
        NoticeKind.ACKNOWLEDGED,
        "appeal.case_opened",
        line_id,
        case=case,
        enforcement=e,
        decide_by=Millis(min(case.promised_at, case.due_at)),
    )
    # What ended between the appeal and now, with nothing left, is moot below: there is nothing to grant or to ask for.
    alive = over_before or stands(e, ctx.now) or something_remains(e)
    granting = rule if alive and rule is not None and may_grant(dossier, case, e, rule, ctx, cause) else None
    if alive and granting is None and case.standard:
        ask_at_intake(dossier, case, ctx, cause)
    ctx.timed("appeal_to_case_seconds")
    publish(dossier, ctx, case, e)  # what a rule grants too: its score and reasons are on record like any other's
    if granting is not None:
        grant(dossier, case, e, granting, ctx, cause)
        return
    if not over_before:
        settle(dossier, case, e, ctx, cause)


def add_to_case(
    dossier: Dossier, case: OpenCase, appeal: AppealSubmitted, e: Enforcement, ctx: Context, cause: str
) -> None:
    """A second appeal against what has an open case: its text goes there, and the appeal itself is refused."""
    if len(case.notes) >= MAX_NOTES:
        saw = {"open_case": str(case.case_id), "statements": str(MAX_NOTES)}
        refuse(dossier, appeal, ctx, cause, RefusalReason.DUPLICATE, saw)
        return
    saw = {"open_case": str(case.case_id)}
    refuse(dossier, appeal, ctx, cause, RefusalReason.DUPLICATE, saw, kind=NoticeKind.STATEMENT_ADDED)
    case.notes.append(_note(appeal, case.sealed_characters()))
    case.grounds += [ground for ground in appeal.grounds if ground not in case.grounds]
    answer(case, add_evidence(case, appeal.evidence, EvidenceSupplier.APPELLANT), EvidenceSupplier.APPELLANT, ctx)
    case.version += 1
    new_flags = [flag for flag in _flags(appeal, e) if flag not in case.flags]
    seen = ctx.look(e) if new_flags else NOTHING
    saw = told(seen)
    case_line(dossier, ctx, CaseEventKind.STATEMENT_ADDED, cause, case, appeal_id=appeal.appeal_id, saw=saw)
    if new_flags:  # a legal order counts whichever of the texts it came with
        case.flags += new_flags
        triage_again(dossier, case, e, ctx, cause, seen, same_charge=True)
    publish(dossier, ctx, case, e)


def _note(appeal: AppealSubmitted, used: int) -> Note:
    sealed = within(appeal.statement_sealed, used)
    return Note(appeal.appeal_id, appeal.submitted_at, appeal.statement_ref, appeal.statement_sha256, sealed)


def _flags(appeal: AppealSubmitted, e: Enforcement) -> list[AppealFlag]:
    """What intake says, and whether the enforcement strikes what is immune, which only the engine knows."""
    flags = [flag for flag in appeal.flags if flag is not AppealFlag.AGAINST_IMMUNITY]
    return flags if e.against is None else [*flags, AppealFlag.AGAINST_IMMUNITY]
