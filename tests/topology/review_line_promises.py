"""What must hold of each line of the audit: `ON_EACH_LINE`, asked with the case as it was before the line."""

from __future__ import annotations

from schemas.records import (
    AppealWithdrawn,
    CaseEvent,
    CaseHeld,
    CaseReferred,
    CaseReleased,
    DecisionConfirmed,
    DecisionProposed,
    DecisionReturned,
    DirectiveResolved,
    EvidenceRequested,
    EvidenceSupplied,
    ReversalRetried,
)
from schemas.vocabulary import CaseEventKind, CaseOrigin, EvidenceSupplier, Outcome
from tests.topology.review_history import OPENED, History, Life, broken, some
from tests.topology.review_standing import harder_in
from tests.topology.review_table import CLOSED, DECIDED, OF_REVERSALS, QUEUED, TABLE, accepted

Kind = CaseEventKind
MAX_SKEW_MS = 5 * 60_000
_BY_HOLDER = (
    CaseReleased,
    EvidenceRequested,
    CaseReferred,
    CaseHeld,
    DecisionProposed,
    DecisionConfirmed,
    DecisionReturned,
)

_BY_OPERATORS = (ReversalRetried, DirectiveResolved)
_MOVES_POD = (Kind.CASE_REFERRED, Kind.DECISION_DISPUTED, Kind.CASE_ESCALATED, Kind.CASE_REROUTED)


def lines_are_numbered_and_chained(h: History, _life: Life | None, line: CaseEvent) -> None:
    """`seq` counts a user's lines from 1 without a gap; where lines carry hashes, each names the one before."""
    earlier = h.lines[line.user_id]
    if line.seq != len(earlier) + 1:
        raise broken(h, line.user_id, f"line {line.seq} comes after {len(earlier)} lines")
    if line.hash is not None and earlier and line.prev_hash != earlier[-1].hash:
        raise broken(h, line.user_id, f"line {line.seq} does not name the hash of the one before")


def states_follow_the_table(h: History, life: Life | None, line: CaseEvent) -> None:
    """Every line about a case leads from its state to one that the domain allows."""
    if line.kind in OPENED:
        if life is not None or line.state is not QUEUED:
            raise broken(h, line.user_id, f"{line.case_id} opened as {line.state}, before: {life}")
        return
    moves = TABLE.get(line.kind)
    if moves is None or life is None:
        return
    if line.state is None and line.kind is Kind.REVIEW_REJECTED:
        if life.state not in (DECIDED, CLOSED):
            raise broken(h, line.user_id, f"a rejection tells no state of the open case {line.case_id}")
    elif line.state not in moves.get(life.state, ()):
        raise broken(h, line.user_id, f"{line.case_id}: {line.kind} led from {life.state} to {line.state}")


def a_line_and_its_case_agree(h: History, life: Life | None, line: CaseEvent) -> None:
    """Versions never fall, and the published case of a version is where the version's last line says it is."""
    if life is None or line.case_version is None:
        return
    if line.case_version < life.version:
        raise broken(h, line.user_id, f"{line.case_id}: version {line.case_version} after {life.version}")
    case = h.by_version.get((life.case_id, life.version))
    if line.case_version > life.version and case is not None and (case.state, case.pod) != (life.state, life.pod):
        text = f"{life.case_id} v{life.version}: published {case.state} at {case.pod}, lines say {life.state}"
        raise broken(h, line.user_id, f"{text} at {life.pod}")


def a_case_has_one_holder(h: History, life: Life | None, line: CaseEvent) -> None:
    """Nobody claims what somebody holds, only the holder renews, and the published claim is the holder's."""
    if life is None:
        return
    if line.kind is Kind.CASE_CLAIMED and life.holder is not None:
        raise broken(h, line.user_id, f"{line.actor} claimed {line.case_id}, which {life.holder} holds")
    if line.kind is Kind.CLAIM_RENEWED and life.holder != line.actor:
        raise broken(h, line.user_id, f"{line.actor} renewed {line.case_id}, which {life.holder} holds")
    case = h.by_version.get((life.case_id, life.version))
    if case is not None and (line.case_version or 0) > life.version:
        claimed = None if case.claim is None else case.claim.reviewer
        if claimed != life.holder:
            raise broken(h, line.user_id, f"{life.case_id} v{life.version}: claim of {claimed}, not {life.holder}")


def only_who_may_act_is_accepted(h: History, life: Life | None, line: CaseEvent) -> None:
    """An accepted event knew the newest version, came in time, and from a holder with a lease who is not excluded."""
    event = accepted(h, line)
    if event is None or isinstance(event, _BY_OPERATORS):
        return
    if life is None:
        raise broken(h, line.user_id, f"{line.kind} accepted for a case that never opened")
    if event.expected_version is not None and (event.expected_version, line.case_version) != (
        life.version,
        life.version + 1,
    ):
        raise broken(h, line.user_id, f"{line.kind} of {event.expected_version} accepted at {life.version}")
    if isinstance(event, EvidenceSupplied) and event.supplier is not EvidenceSupplier.SPECIALIST:
        return
    seen = h.by_version[life.case_id, life.version]
    listed = h.policy.reviewers.get(seen.pod)
    fit = event.actor not in seen.excluded_reviewers and (listed is None or event.actor in listed)
    if not fit and not (isinstance(event, CaseReleased) and (listed is None or event.actor in listed)):
        raise broken(h, line.user_id, f"{line.kind} accepted from {event.actor}, who may not judge {life.case_id}")
    if isinstance(event, _BY_HOLDER):
        claim = seen.claim
        if claim is None or claim.reviewer != event.actor or life.holder != event.actor:
            raise broken(h, line.user_id, f"{line.kind} accepted from {event.actor}, {life.holder} holds the case")
        if line.occurred_at >= claim.until:
            raise broken(h, line.user_id, f"{line.kind} accepted from {event.actor} after the lease had ended")
    if event.occurred_at < seen.submitted_at - MAX_SKEW_MS:
        raise broken(h, line.user_id, f"{line.kind} accepted from before the appeal")


def a_rejection_tells_the_truth(h: History, life: Life | None, line: CaseEvent) -> None:
    """What a rejection says of version, holder, reviewer and case is so, and the case stays as it was."""
    if line.kind is not Kind.REVIEW_REJECTED:
        return
    sent = h.sent[line.cause_id].record
    erased = line.reason == "subject_erased"  # `review_erasure_promises` looks whether that is so
    if erased or isinstance(sent, AppealWithdrawn | ReversalRetried | DirectiveResolved):
        return
    if life is None:
        if line.reason != "unknown_case":
            raise broken(h, line.user_id, f"rejected for {line.reason}, though there is no such case")
        return
    over = life.state in (DECIDED, CLOSED)
    seen = None if over else h.by_version[life.case_id, life.version]
    expected = sent.expected_version  # type: ignore[attr-defined]
    actor = sent.actor  # type: ignore[attr-defined]
    so = {
        "unknown_case": False,
        "case_closed": over,
        "stale_version": expected != life.version,
        "not_claimed": life.holder is None,
        "not_the_holder": life.holder not in (None, actor),
        "already_claimed": life.holder not in (None, actor),
        "reviewer_excluded": seen is not None and actor in seen.excluded_reviewers,
        "unknown_reviewer": seen is not None and actor not in h.policy.reviewers.get(seen.pod, (actor,)),
        "same_pod": getattr(sent, "to_pod", None) == life.pod,
        "nothing_asked": not getattr(sent, "kinds", True),
        "blind_review": seen is not None and seen.second_review is not None and seen.second_review.blind,
        "outcome_not_supported": getattr(sent, "outcome", None) in (Outcome.WITHDRAWN, Outcome.MOOT),
        "not_lesser": not over and _not_lesser(h, life, sent),
        "remanded_already": life.origin is CaseOrigin.REMAND or _asked(h, life),
    }.get(str(line.reason), True)
    if not so or (line.reason != "case_closed" and over):
        raise broken(h, line.user_id, f"{sent}\nrejected for {line.reason}, {line.saw}, which is not so: {life}")
    if not over and line.case_version != life.version:
        raise broken(h, line.user_id, f"a rejection changed the version of {life.case_id}")


def _not_lesser(h: History, life: Life, sent: object) -> bool:
    """Whether what a decision would leave is harder in some respect, or no less in any."""
    lesser = getattr(sent, "lesser", None)
    filed = h.undone.standing[life.user_id].files[str(life.enforcement_id)]
    return filed.muddled or (
        lesser is not None and harder_in(lesser, filed.force, filed.strikes, filed.owed()) is not None
    )


def _asked(h: History, life: Life) -> bool:
    """Whether the enforcing side has been asked to answer for it, and has not."""
    open_now = h.undone.open_remands.values()
    return any((one.line.user_id, one.line.enforcement_id) == (life.user_id, life.enforcement_id) for one in open_now)


def a_decision_meets_its_standard(h: History, life: Life | None, line: CaseEvent) -> None:
    """A reviewer's decision cites what the standard names for its outcome.

    Only what an appellant alone could show is waived, once they were asked for every kind of it and gave none in time.
    """
    event = accepted(h, line)
    if life is None or not isinstance(event, DecisionProposed):
        return
    seen = h.by_version[life.case_id, life.version]
    by_id = {piece.evidence_id: piece for piece in seen.evidence}
    unknown = set(event.cited_evidence) - set(by_id)
    if unknown:
        raise broken(h, line.user_id, f"a decision cites {some(unknown)}, which is not on the case")
    pieces = [by_id[cited] for cited in set(event.cited_evidence)]
    for need in seen.standard:
        if event.outcome not in need.outcomes:
            continue
        met = sum(p.kind in need.kinds and need.supplier in (None, p.supplied_by) for p in pieces)
        waived = need.supplier is EvidenceSupplier.APPELLANT and life.waived >= {kind.value for kind in need.kinds}
        if met < need.at_least and not waived:
            raise broken(h, line.user_id, f"{event.outcome} cites {met} of {need.at_least} {some(need.kinds)}")


def reviewers_are_independent(h: History, life: Life | None, line: CaseEvent) -> None:
    """Neither reviewer decided the enforcement, an earlier case on it, or is the other one (DSA Art. 20(4), (6))."""
    if line.kind is not Kind.CASE_DECIDED or life is None or "reviewer" not in line.saw:
        return
    first, second = line.saw["reviewer"], line.saw.get("second_reviewer")
    if first.startswith("rule:"):
        return
    if first == second:
        raise broken(h, line.user_id, f"{first} was their own second reviewer")
    when = h.sent[line.cause_id].at
    of = str(life.enforcement_id)
    barred = {who for at, who in h.deciders[of] if at < when} | h.reviewed[of]
    if barred & {first, second}:
        raise broken(h, line.user_id, f"{first} and {second} judged {of}, which {some(barred)} had decided")


def the_lead_is_a_third_person(h: History, life: Life | None, line: CaseEvent) -> None:
    """Whoever decides after a dispute is neither of the two who did not agree."""
    if line.kind is not Kind.CASE_DECIDED or life is None or not life.disputed_by:
        return
    people = {line.saw.get("reviewer"), line.saw.get("second_reviewer")}
    if people & life.disputed_by:
        raise broken(h, line.user_id, f"{some(people)} decided what they had disputed")


def reviewers_disagree_only_so_often(h: History, life: Life | None, line: CaseEvent) -> None:
    """A proposal is given back as often as the rulebook says; the next time, the lead pod decides."""
    if life is not None and line.kind is Kind.DECISION_RETURNED and life.returned >= h.policy.returns:
        raise broken(h, line.user_id, f"{life.case_id} was given back {life.returned + 1} times")


def rules_never_deny(h: History, _life: Life | None, line: CaseEvent) -> None:
    """An automatic rule may overturn, nothing else (DSA Art. 20(6))."""
    by_rule = str(line.actor or line.saw.get("reviewer") or "").startswith("rule:")
    if by_rule and (line.kind is not Kind.CASE_DECIDED or line.outcome is not Outcome.OVERTURNED):
        raise broken(h, line.user_id, f"a rule wrote {line.kind} {line.outcome}")


def hard_cases_have_two_reviewers(h: History, life: Life | None, line: CaseEvent) -> None:
    """Nobody decides alone what the rulebook gives to two: hard actions, flagged cases."""
    if line.kind is not Kind.CASE_DECIDED or line.saw.get("how") != "alone" or life is None:
        return
    seen = h.by_version[life.case_id, life.version]
    least = h.policy.second.get("severity_at_least")
    flagged = set(h.policy.second.get("flags", ())) & set(seen.flags)
    if flagged or (least is not None and h.policy.severity[seen.enforcement.action] >= least):
        raise broken(h, line.user_id, f"{life.case_id} ({seen.enforcement.action}) was decided by one person")


def late_and_disputed_cases_are_with_the_lead(h: History, life: Life | None, line: CaseEvent) -> None:
    """Overdue and disputed cases go to the lead pod, and from there only where a person refers them."""
    if life is None or line.pod is None:
        return
    lead = h.policy.lead
    if line.kind in (Kind.CASE_ESCALATED, Kind.DECISION_DISPUTED):
        if line.pod != (lead or life.pod):
            raise broken(h, line.user_id, f"{life.case_id} is with {line.pod} after {line.kind}")
    elif line.pod != life.pod:
        kept = life.with_lead and lead is not None and line.kind is not Kind.CASE_REFERRED
        if kept or line.kind not in _MOVES_POD:
            # A new charge is told before the case is routed anew.
            raise broken(h, line.user_id, f"{line.kind} took {life.case_id} from {life.pod} to {line.pod}")


_AFTER_THE_DECISION = (
    *OF_REVERSALS,
    Kind.IMMUNITY_GRANTED,
    Kind.ENFORCEMENT_REMANDED,
    Kind.REMAND_ANSWERED,
    Kind.REMAND_OVERDUE,
    Kind.CASE_CLOSED,
    Kind.REVIEW_REJECTED,
)


def a_case_has_one_outcome(h: History, life: Life | None, line: CaseEvent) -> None:
    """Decided once, and nothing but reversals, remands, rejections and the closing comes after it."""
    if life is None or life.outcome is None:
        return
    if line.kind not in _AFTER_THE_DECISION:
        raise broken(h, line.user_id, f"{line.kind} after {life.case_id} was decided")
    if line.kind is Kind.CASE_CLOSED and life.closed:
        raise broken(h, line.user_id, f"{life.case_id} was closed twice")


ON_EACH_LINE = (
    lines_are_numbered_and_chained,
    states_follow_the_table,
    a_line_and_its_case_agree,
    a_case_has_one_holder,
    only_who_may_act_is_accepted,
    a_rejection_tells_the_truth,
    a_decision_meets_its_standard,
    reviewers_are_independent,
    the_lead_is_a_third_person,
    reviewers_disagree_only_so_often,
    rules_never_deny,
    hard_cases_have_two_reviewers,
    late_and_disputed_cases_are_with_the_lead,
    a_case_has_one_outcome,
)
