"""What must hold of what follows from a decision: consequences, cases without an appeal, immunity, remands."""

from __future__ import annotations

from schemas.records import CaseEvent, EnforcementAmended, EnforcementIssued, EnforcementLifted, ImmunityGranted
from schemas.vocabulary import CaseEventKind, CaseOrigin, Outcome, ReversalCause, TargetKind
from tests.topology.review_history import History, broken, some
from tests.topology.review_standing import Filed
from tests.topology.review_undoing import same_reversal

Kind = CaseEventKind


def consequences_follow_their_cause(h: History, line: CaseEvent, group: list[CaseEvent]) -> None:
    """What is judged again rested on what was ordered to be undone before, and leads to what its verdict says."""
    if line.kind is not Kind.CONSEQUENCE_JUDGED:
        return
    h.counts[f"verdict {line.reason}"] += 1
    standing, filed = h.undone.standing[line.user_id], h.undone.filed(line)
    parent = h.undone.reversals.get(line.saw["caused_by"])
    if parent is None or parent.first.user_id != line.user_id:
        raise broken(h, line.user_id, f"a consequence of {line.saw['caused_by']}, which is not ordered")
    at = h.policy.thresholds.get(filed.now.action)
    struck = parent.first.strikes_expunged and filed.issued_at >= standing.files[parent.first.enforcement_id].issued_at
    if filed.caused_by is None or not (filed.caused_by == parent.first.enforcement_id or (struck and at)):
        raise broken(h, line.user_id, f"{filed.key} does not rest on {parent.first.enforcement_id}")
    strikes = standing.strikes_before(filed, h.policy.lapse_ms)
    so = {
        "lifted": at is not None and strikes < at,
        "threshold_still_reached": at is not None and strikes >= at,
        "no_rule": at is None,
    }
    if not so.get(str(line.reason)):
        raise broken(h, line.user_id, f"{filed.key} judged {line.reason}: {strikes} strikes of {at}")
    if line.reason == "lifted":
        ordered = [one for one in group if one.kind is Kind.REVERSAL_ORDERED and same_reversal(one, line)]
        orders = [h.undone.orders[one.saw["reversal_id"], int(one.saw["attempt"])] for one in ordered[:1]]
        wanted = [(1, Outcome.OVERTURNED, ReversalCause.CASCADE, parent.first.reversal_id, filed.key)]
        if [(o.attempt, o.outcome, o.cause, o.caused_by, o.enforcement_id) for o in orders] != wanted:
            raise broken(h, line.user_id, f"{filed.key} is lifted as a consequence, ordered: {orders}")
    elif not _looked_at(h, line, group):
        raise broken(h, line.user_id, f"nobody looks at {filed.key}, judged {line.reason}")


def _looked_at(h: History, line: CaseEvent, group: list[CaseEvent]) -> bool:
    """Whether people look at the enforcement: in a case of its own, in the open one, or they have because of this."""
    because, version = line.saw["caused_by"], h.undone.filed(line).now.version
    for one in group:
        if one.enforcement_id == line.enforcement_id and one.seq > line.seq:
            if one.kind is Kind.INTERNAL_CASE_OPENED and one.saw["because"] == because:
                return True
            if one.kind is Kind.ENFORCEMENT_CHANGED and one.saw.get("caused_by") == because:
                return True
    return (because, line.enforcement_id, version) in h.looked_at


def everything_that_rested_on_it_is_judged(h: History, line: CaseEvent, group: list[CaseEvent]) -> None:
    """Whatever names an overturned enforcement as its cause, and still counts, is judged in the same moment."""
    if line.kind is not Kind.REVERSAL_ORDERED or line.saw["attempt"] != "1":
        return
    order = h.undone.orders[line.saw["reversal_id"], 1]
    if order.outcome is not Outcome.OVERTURNED:
        return
    judged = {one.enforcement_id for one in group if one.kind is Kind.CONSEQUENCE_JUDGED}
    fallen = {one.enforcement_id for one in group if one.kind is Kind.REVERSAL_ORDERED}
    for filed in h.undone.standing[line.user_id].files.values():
        rests = filed.caused_by == order.enforcement_id and filed.key not in judged | fallen
        if rests and (filed.stands(line.occurred_at) or filed.leaves_something):
            raise broken(h, line.user_id, f"{filed.key} rested on {order.enforcement_id} and was not judged")


def an_internal_case_says_what_it_is(h: History, line: CaseEvent, _group: list[CaseEvent]) -> None:
    """It belongs to no appeal, names what it follows from, and a remand in vain goes to the lead pod."""
    if line.kind is not Kind.INTERNAL_CASE_OPENED:
        return
    origin, because = line.saw["origin"], line.saw["because"]
    h.counts[f"origin {origin}"] += 1
    case = h.by_version[str(line.case_id), line.case_version or 0]
    if line.appeal_id in h.appeals or case.origin != origin or case.origin is CaseOrigin.APPEAL:
        raise broken(h, line.user_id, f"{line.case_id} without an appeal: {origin}, {case.origin}, {line.appeal_id}")
    follows = because in h.undone.reversals if origin == "cascade" else because in h.undone.remands
    if not follows:
        raise broken(h, line.user_id, f"{line.case_id} follows from {because}, which never was")
    if origin == "remand" and h.policy.lead is not None and line.pod != h.policy.lead:
        raise broken(h, line.user_id, f"{line.case_id} after a remand is with {line.pod}")


def what_was_overturned_is_immune(h: History, line: CaseEvent, group: list[CaseEvent]) -> None:
    """Each decision to overturn grants one immunity for its time; nothing else does."""
    if line.kind is Kind.REVERSAL_ORDERED and line.saw["attempt"] == "1":
        order = h.undone.orders[line.saw["reversal_id"], 1]
        due = order.outcome is Outcome.OVERTURNED and order.cause is ReversalCause.DECISION
        granted = [one for one in group if one.kind is Kind.IMMUNITY_GRANTED and same_reversal(one, line)]
        record = h.undone.immunities.get(order.reversal_id)
        if len(granted) != due or (record is not None) != due:
            raise broken(h, line.user_id, f"{order.reversal_id} ({order.cause}, {order.outcome}) grants {record}")
    if line.kind is Kind.IMMUNITY_GRANTED:
        now = h.undone.filed(line).now
        record = h.undone.immunities[line.saw["reversal_id"]]
        detector = None if now.detector is None else now.detector.name
        wanted = (now.policy, detector, now.target, line.occurred_at + h.policy.immunity_ms)
        if (record.policy, record.detector, record.target, record.until) != wanted:
            raise broken(h, line.user_id, f"{record} is not {wanted}")


def remands_end_as_they_say(h: History, line: CaseEvent, group: list[CaseEvent]) -> None:
    """A remand is answered by what answers it, or overdue in time and then looked at; nothing else ends it."""
    if line.kind is Kind.CASE_DECIDED and line.outcome is Outcome.REMANDED:
        if not any(one.kind is Kind.ENFORCEMENT_REMANDED and one.case_id == line.case_id for one in group):
            raise broken(h, line.user_id, f"{line.case_id} is remanded, and nobody is asked")
    elif line.kind is Kind.ENFORCEMENT_REMANDED:
        record = h.undone.remands[str(line.case_id)]
        wanted = (h.undone.filed(line).now.version, line.occurred_at + h.policy.remand_ms)
        if (record.enforcement_version, record.answer_by) != wanted or record.enforcement_id != line.enforcement_id:
            raise broken(h, line.user_id, f"{record} is not {wanted}")
        open_already = [key for key, one in h.undone.open_remands.items() if _about(one.line) == _about(line)]
        if open_already:
            raise broken(h, line.user_id, f"{line.enforcement_id} is remanded again before {some(open_already)} ended")
    elif line.kind in (Kind.REMAND_ANSWERED, Kind.REMAND_OVERDUE):
        _ended(h, line, group)
    if not line.cause_id.startswith("timer:"):
        late = [one for one in h.undone.open_remands.values() if one.line.user_id == line.user_id]
        late = [one for one in late if one.answer_by < line.occurred_at]
        if late:
            raise broken(h, line.user_id, f"not answered and not overdue: {some(late)}")


def _about(line: CaseEvent) -> tuple[str, str | None]:
    return line.user_id, line.enforcement_id


def _ended(h: History, line: CaseEvent, group: list[CaseEvent]) -> None:
    remand = h.undone.open_remands.get(str(line.case_id))
    if remand is None or _about(remand.line) != _about(line):
        raise broken(h, line.user_id, f"{line.kind} {line.case_id}, which is not remanded")
    h.counts[f"remand {line.reason or 'overdue'}"] += 1
    sent = h.sent.get(line.cause_id)
    event = None if sent is None else sent.record
    filed = h.undone.filed(line)
    ours = getattr(event, "enforcement_id", None) == line.enforcement_id
    following = [one.kind for one in group if one.enforcement_id == line.enforcement_id]
    alive = filed.stands(line.occurred_at) or filed.leaves_something
    so = {
        "amended": ours and isinstance(event, EnforcementIssued | EnforcementAmended),
        "lifted": ours and isinstance(event, EnforcementLifted),
        "reversed": Kind.REVERSAL_ORDERED in following,
        "None": line.occurred_at >= remand.answer_by
        and (not alive or Kind.INTERNAL_CASE_OPENED in following or Kind.ENFORCEMENT_CHANGED in following),
    }
    if not so.get(str(line.reason)):
        raise broken(h, line.user_id, f"{line.kind} {line.reason} of {line.case_id}: {following}, {remand.answer_by}")


ON_EACH_LINE = (
    consequences_follow_their_cause,
    everything_that_rested_on_it_is_judged,
    an_internal_case_says_what_it_is,
    what_was_overturned_is_immune,
    remands_end_as_they_say,
)


# --- at rest -----------------------------------------------------------------------------------------------


def breaches_of_immunity_are_noticed(h: History) -> None:
    """A new enforcement by the same detector, rule and target within the time is flagged, and nothing else is."""
    for user, standing in h.undone.standing.items():
        h.undone.advance(user)
        if h.forgetting[user].begun:
            continue  # what was promised them is forgotten with them
        immunities = [one for one in h.undone.immunities.values() if one.user_id == user]
        for filed in standing.first_of.values():
            breach = any(_forbids(one, filed) for one in immunities)
            if breach != (filed.key in h.undone.breached):
                raise broken(h, user, f"{filed.key} strikes what is immune: {breach}, by {some(immunities)}")


def _forbids(immunity: ImmunityGranted, filed: Filed) -> bool:
    now, target = filed.now, immunity.target
    detector = None if now.detector is None else now.detector.name
    same = target.kind is not TargetKind.ACCOUNT and (target.id == now.target.id)
    if target.content_hash is not None:
        same = target.content_hash == now.target.content_hash
    return (
        same
        and immunity.policy == now.policy
        and immunity.detector in (None, detector)
        and immunity.granted_at <= filed.noticed_at < immunity.until
    )


def cases_against_immunity_are_flagged(h: History) -> None:
    """Exactly the cases on what strikes the immune carry the flag that sends them ahead."""
    for case in h.on_pods.values():
        flagged = "against_immunity" in case.flags
        if flagged != (case.enforcement.enforcement_id in h.undone.breached):
            raise broken(h, case.user_id, f"{case.case_id}: flags {case.flags}")


def nothing_rests_on_what_is_gone(h: History) -> None:
    """What still counts and names an overturned enforcement as its cause was judged, in whatever order they came."""
    for user, standing in h.undone.standing.items():
        h.undone.advance(user)
        if h.forgetting[user].begun:
            continue  # nobody could look at it
        for filed in standing.files.values():
            cause = standing.files.get(str(filed.caused_by))
            alive = filed.stands(h.undone.now) or filed.leaves_something
            if cause is not None and cause.gone and alive and (filed.key, filed.now.version) not in h.undone.judged:
                raise broken(h, user, f"{filed.key} rests on {cause.key}, which is overturned, and was not judged")


def open_remands_are_not_answered_yet(h: History) -> None:
    """A new version, or another lifting, ends a remand in the same moment."""
    for one in h.undone.open_remands.values():
        filed = h.undone.advance(one.line.user_id).files[str(one.line.enforcement_id)]
        if (filed.now.version, filed.lift) != (one.version, one.lift) or filed.gone:
            raise broken(h, one.line.user_id, f"{one.line.case_id} waits for an answer that has come: {filed}")


AT_REST = (
    breaches_of_immunity_are_noticed,
    cases_against_immunity_are_flagged,
    nothing_rests_on_what_is_gone,
    open_remands_are_not_answered_yet,
)
