"""What the enforcing side says: issued, amended, lifted, and the profile of the user.

Within one enforcement the highest version is the truth, whenever it arrives; a lower or equal one that comes later is
a redelivery or late, and changes nothing but what a later version does not repeat (when it began, what caused it, who
decided it).
"""

from decimal import Decimal

from processors import cohort
from processors.closing import settle
from processors.context import Context
from processors.deciding import forget_proposal
from processors.dossier import Dossier
from processors.filing import filed, filed_amount
from processors.growth import MAX_BARRED, MAX_EARLY, keep_newest, sweep
from processors.immunity import flag
from processors.intake import join_parked
from processors.lifecycle import Move, go
from processors.money import MONEY_EFFECTS, taken_still
from processors.on_file import Enforcement, Lift, Profile, Sum
from processors.open_case import OpenCase
from processors.outbox import case_line, line, notice
from processors.publishing import publish
from processors.reasons import Change, RemandAnswer
from processors.references import NOTHING, told
from processors.remand import answered
from processors.reversal import follow_late
from processors.review import drop_claim
from processors.saga import refresh
from processors.triage import triage_again
from processors.waiting import add_evidence, answer
from schemas.records import (
    EnforcementAmended,
    EnforcementId,
    EnforcementIssued,
    EnforcementLifted,
    Millis,
    ReviewerId,
    UserProfileUpdated,
)
from schemas.vocabulary import CaseEventKind, EvidenceSupplier, NoticeKind


def on_issued(dossier: Dossier, event: EnforcementIssued, ctx: Context) -> None:
    """File an enforcement, and judge the appeals that waited for it."""
    known = dossier.enforcements.get(event.enforcement_id)
    if known is not None and event.version <= known.version:
        since = known.issued_at
        before = cohort.term_on_file(dossier, event.enforcement_id)
        known.issued_at = min(known.issued_at, event.issued_at)
        cohort.follow(dossier, event.enforcement_id, before, ctx)
        if known.caused_by is None and event.caused_by is not None:
            known.caused_by = event.caused_by
            follow_late(dossier, event.enforcement_id, ctx, event.event_id)
        if not _bar_late(dossier, known, event, ctx) and known.issued_at < since:
            _tell_date(dossier, known, since, ctx, event.event_id)
        return
    e = filed(event, event.issued_at)
    e.caused_by = event.caused_by
    _put(dossier, event.enforcement_id, known, e, ctx, event.event_id)


def on_amended(dossier: Dossier, event: EnforcementAmended, ctx: Context) -> None:
    """Replace an enforcement by its new version; an open case hears of it."""
    known = dossier.enforcements.get(event.enforcement_id)
    if known is not None and event.version <= known.version:
        _bar_late(dossier, known, event, ctx)
        return
    _put(dossier, event.enforcement_id, known, filed(event, event.occurred_at), ctx, event.event_id)


def on_lifted(dossier: Dossier, event: EnforcementLifted, ctx: Context) -> None:
    """Note that the enforcing side took it back; an open case is moot unless something remains to restore."""
    lift = Lift(event.occurred_at, event.strikes_expunged, filed_amount(event.amount_returned))
    e = dossier.enforcements.get(event.enforcement_id)
    if e is None:
        earlier = dossier.early_lifts.pop(event.enforcement_id, None)
        dossier.early_lifts[event.enforcement_id] = lift if earlier is None else _both(earlier, lift)
        keep_newest(dossier.early_lifts, MAX_EARLY)
        return
    if e.version > 1 and event.occurred_at < e.noticed_at:
        return  # it was about an earlier version; the amendment came after it
    both = lift if e.lift is None else _both(e.lift, lift)
    if both == e.lift:
        return
    taken = taken_still(e)
    e.lift = both
    if lift.returned is not None and lift.returned.currency not in taken and taken:
        saw = {"returned": f"{lift.returned.value} {lift.returned.currency}", "taken_in": ",".join(sorted(taken))}
        reason, kind = Change.RETURNED_IN_ANOTHER_CURRENCY, CaseEventKind.ENFORCEMENT_CHANGED
        line(dossier, ctx, kind, event.event_id, enforcement_id=event.enforcement_id, reason=reason, saw=saw)
    answered(dossier, event.enforcement_id, RemandAnswer.LIFTED, ctx, event.event_id)
    if e.case_id is not None:
        settle(dossier, dossier.cases[e.case_id], e, ctx, event.event_id)
    if dossier.reversals:
        refresh(dossier, ctx, event.event_id)


def on_profile(dossier: Dossier, event: UserProfileUpdated, _ctx: Context) -> None:
    """Keep the newest profile. Cases that are open keep the priority that their triage explained."""
    if dossier.profile is not None and event.occurred_at < dossier.profile.at:
        return
    dossier.profile = Profile(
        at=event.occurred_at,
        language=event.language,
        region=event.region,
        tier=event.seller_tier,
        lifetime_value=filed_amount(event.lifetime_value),
        reach=event.reach,
        is_minor=event.is_minor,
        safety_flag=event.safety_flag,
    )


def _put(
    dossier: Dossier, enforcement_id: EnforcementId, known: Enforcement | None, e: Enforcement, ctx: Context, cause: str
) -> None:
    before = cohort.term_on_file(dossier, enforcement_id)
    dossier.enforcements[enforcement_id] = e
    if known is None:
        e.lift = dossier.early_lifts.pop(enforcement_id, None)
        # By its own time, not by when it was folded: filing writes no line, so nothing tells that time later. Never by
        # a time ahead, or appeals would be past their time early.
        cohort.follow(dossier, enforcement_id, before, ctx)
        sweep(dossier, min(ctx.now, e.noticed_at), ctx)
        if dossier.immunities:
            flag(dossier, enforcement_id, e, ctx, cause)
    else:
        _inherit(e, known)
        cohort.follow(dossier, enforcement_id, before, ctx)
        answered(dossier, enforcement_id, RemandAnswer.AMENDED, ctx, cause)
    if e.case_id is not None and known is not None:
        _tell_case(dossier, dossier.cases[e.case_id], known, e, ctx, cause)
    if e.caused_by is not None:
        follow_late(dossier, enforcement_id, ctx, cause)
    if dossier.reversals:
        refresh(dossier, ctx, cause)
    join_parked(dossier, enforcement_id, ctx, cause)


def _inherit(e: Enforcement, known: Enforcement) -> None:
    """What a new version takes over from the one before."""
    e.issued_at = min(e.issued_at, known.issued_at)
    e.caused_by = e.caused_by or known.caused_by
    e.barred = _joined(known.barred, e.barred)
    e.returned = known.returned
    e.reversed_version = known.reversed_version
    e.upheld_version = known.upheld_version
    e.case_id = known.case_id
    e.reversal_id = known.reversal_id
    e.against = known.against
    if known.lift is not None and e.noticed_at > known.lift.at:
        _book_returned(e, known, known.lift)  # it stands again; what went back stays booked
    else:
        e.lift = known.lift


def _tell_date(dossier: Dossier, known: Enforcement, before: Millis, ctx: Context, cause: str) -> None:
    """The first version came after a later one: the enforcement has stood since then, and its open case says so."""
    case = None if known.case_id is None else dossier.cases[known.case_id]
    if case is None:
        return
    case.version += 1
    saw = {"issued_at": str(known.issued_at), "before": str(before)}
    kind = CaseEventKind.ENFORCEMENT_CHANGED
    case_line(dossier, ctx, kind, cause, case, reason=Change.ISSUED_EARLIER, saw=saw)
    publish(dossier, ctx, case, known)


def _bar_late(
    dossier: Dossier, known: Enforcement, event: EnforcementIssued | EnforcementAmended, ctx: Context
) -> bool:
    """Whoever decided an earlier version may not review the case, nor may what they did as a reviewer stand.

    True: its case is published anew.
    """
    who = event.decided_by
    if who is None or known.filed or who in known.barred:
        return False
    known.barred = _joined(known.barred, [who])
    case = None if known.case_id is None else dossier.cases[known.case_id]
    if case is None or who in case.excluded:
        return False
    case.excluded = [*case.excluded, who]
    case.version += 1
    saw = {"enforcement_version": str(known.version), "before": str(event.version), "barred": who}
    if case.proposal is not None and case.proposal.reviewer == who:
        saw["proposal_dropped"] = case.proposal.event_id
        forget_proposal(case)
        go(case, Move.AMEND)
    elif case.lease is not None and case.lease.reviewer == who:
        saw["claim_dropped"] = who
        drop_claim(case)
    kind = CaseEventKind.ENFORCEMENT_CHANGED
    case_line(dossier, ctx, kind, event.event_id, case, reason=Change.DECIDER_NAMED, saw=saw)
    publish(dossier, ctx, case, known)
    return True


def _book_returned(e: Enforcement, known: Enforcement, lift: Lift) -> None:
    if lift.returned is None:
        return
    left = lift.returned.value
    for effect in known.effects:
        taken = effect.amount or known.amount
        if effect.kind in MONEY_EFFECTS and taken is not None and taken.currency == lift.returned.currency:
            earlier = e.returned.get(effect.effect_id)
            before = earlier.value if earlier is not None else Decimal(0)
            share = min(left, max(taken.value - before, Decimal(0)))
            if share > 0:
                e.returned[effect.effect_id] = Sum(before + share, taken.currency)
                left -= share


def _tell_case(dossier: Dossier, case: OpenCase, known: Enforcement, e: Enforcement, ctx: Context, cause: str) -> None:
    """The enforcement of an open case has a new version; with another charge it goes back to triage."""
    case.version += 1
    case.changed = True
    case.expires_at = e.ends_at
    case.excluded = _joined(case.excluded, e.barred)  # those who disagreed about this case stay out of it
    answer(case, add_evidence(case, e.evidence, EvidenceSupplier.ENFORCEMENT), EvidenceSupplier.ENFORCEMENT, ctx)
    recharged = _charge(known) != _charge(e)
    saw = {"enforcement_version": str(e.version), "before": str(known.version)}
    if case.proposal is not None:  # a decision about another version is none about this one
        saw["proposal_dropped"] = case.proposal.event_id
        if case.lease is not None:
            saw["claim_dropped"] = case.lease.reviewer
        forget_proposal(case)
    elif case.lease is not None and (recharged or case.lease.reviewer in case.excluded):
        saw["claim_dropped"] = case.lease.reviewer
        drop_claim(case)
    go(case, Move.RECHARGE if recharged else Move.AMEND)
    seen = ctx.look(e) if recharged else NOTHING
    saw |= told(seen)
    line_id = case_line(
        dossier,
        ctx,
        CaseEventKind.ENFORCEMENT_CHANGED,
        cause,
        case,
        reason=Change.CHARGE_CHANGED if recharged else Change.AMENDED,
        saw=saw,
    )
    if recharged:
        triage_again(dossier, case, e, ctx, cause, seen)
    publish(dossier, ctx, case, e)
    notice(
        dossier,
        ctx,
        NoticeKind.ENFORCEMENT_CHANGED,
        "case.enforcement_changed",
        line_id,
        case=case,
        enforcement=e,
        reasons=[Change.CHARGE_CHANGED if recharged else Change.AMENDED],
        decide_by=Millis(min(case.promised_at, case.due_at)),
    )
    settle(dossier, case, e, ctx, cause)


def _joined(known: list[ReviewerId], more: list[ReviewerId]) -> list[ReviewerId]:
    return [*known, *(reviewer for reviewer in more if reviewer not in known)][-MAX_BARRED:]


def _charge(e: Enforcement) -> tuple[str, ...]:
    """What the user is accused of and what was done about it: on this rest priority and pod."""
    return (e.ground, e.policy, e.category, e.action)


def _both(first: Lift, second: Lift) -> Lift:
    """Two lifts of the same enforcement say together what went back; the larger sum, as they may be the same."""
    returned = max((s for s in (first.returned, second.returned) if s is not None), key=lambda s: s.value, default=None)
    return Lift(min(first.at, second.at), first.strikes_expunged or second.strikes_expunged, returned)
