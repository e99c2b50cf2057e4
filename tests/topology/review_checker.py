"""What must hold of reviews, by the topics alone: each promise a function, written from the domain, not from the code.

`check` asks those of cases and lines for every record as it is read, `AT_REST` is for whenever the engine has nothing
left to do, and `AT_THE_END` for when all is acknowledged. Each raises `Broken` with the user's timeline.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import chain

from schemas.records import Case, CaseEvent, ReversalRetried
from schemas.vocabulary import CaseEventKind, NoticeKind
from tests.topology import review_consequence_promises as consequences
from tests.topology import review_erasure_promises as erasures
from tests.topology import review_order_promises as orders
from tests.topology import review_reversal_promises as reversals
from tests.topology.review_case_promises import ON_EACH_CASE
from tests.topology.review_history import History, broken, some
from tests.topology.review_line_promises import ON_EACH_LINE
from tests.topology.review_table import ACCEPTED, accepted

Kind = CaseEventKind


_FOLLOWING = (
    *erasures.ON_EACH_LINE,
    *orders.ON_EACH_LINE,
    *reversals.ON_EACH_LINE,
    *consequences.ON_EACH_LINE,
)


def check(h: History, cases: list[Case], lines: list[CaseEvent]) -> None:
    """Take in what was read together and check each of it; lines first, so that a failure shows them all."""
    published: list[tuple[Case | None, Case]] = []
    for case in sorted(cases, key=lambda case: case.version):
        published.append((h.newest.get(case.case_id), case))
        h.take_case(case)
    groups: defaultdict[tuple[str, str], list[CaseEvent]] = defaultdict(list)
    for line in lines:
        groups[line.user_id, line.cause_id].append(line)
    for line in lines:
        group = groups[line.user_id, line.cause_id]
        h.undone.before(line, [one for one in group if one.seq > line.seq])
        life = None if line.case_id is None else h.lives.get(line.case_id)
        for promise in ON_EACH_LINE:
            promise(h, life, line)
        for following in _FOLLOWING:
            following(h, line, group)
        h.take_line(line)
    for before, case in published:
        for promised in ON_EACH_CASE:
            promised(h, before, case)


# --- at rest -----------------------------------------------------------------------------------------------


def each_open_case_is_on_exactly_one_pod(h: History) -> None:
    """Pod topics, read from their beginning, hold the newest version of each open case once, and nothing else."""
    places = Counter(case_id for _, case_id in h.on_pods)
    for life in h.lives.values():
        expected = life.outcome is None
        if places.pop(life.case_id, 0) != expected:
            pods = [pod for pod, case_id in h.on_pods if case_id == life.case_id]
            raise broken(h, life.user_id, f"{life.case_id} ({life.state}) is on {some(pods)}")
        if expected:
            case = h.on_pods.get((str(life.pod), life.case_id))
            if case is None or (case.version, case.state) != (life.version, life.state):
                raise broken(h, life.user_id, f"{life.case_id} is {life.state} v{life.version}, its pod shows {case}")
    if places:
        raise broken(h, "", f"on pods, but never opened: {some(places)}")


def who_may_not_judge_is_excluded(h: History) -> None:
    """An open case names everybody who decided its enforcement, or an earlier case on it, or disputed its decision."""
    for case in h.on_pods.values():
        life = h.lives[case.case_id]
        of = str(life.enforcement_id)
        barred = {who for _, who in h.deciders[of]} | h.reviewed[of] | life.disputed_by
        missing = barred.difference(case.excluded_reviewers)
        if missing:
            raise broken(h, case.user_id, f"{case.case_id} v{case.version} does not exclude {some(missing)}")


# --- at the end --------------------------------------------------------------------------------------------


def each_appeal_ends_in_exactly_one_way(h: History) -> None:
    """A case, a refusal, or withdrawn before there was a case; one that is still parked has none of these yet.

    Nor has one from before an erasure that comes after it: it is ignored by name.
    """
    ends: Counter[str] = Counter()
    parked: Counter[str] = Counter()
    kinds = (Kind.CASE_OPENED, Kind.APPEAL_REFUSED, Kind.APPEAL_WITHDRAWN_UNOPENED)
    for line in chain.from_iterable(h.lines.values()):
        if line.kind in kinds:
            ends[str(line.appeal_id)] += 1
        elif line.kind is Kind.APPEAL_PARKED:
            parked[str(line.appeal_id)] += 1
    for appeal_id, appeal in h.appeals.items():
        known = ends[appeal_id] or parked[appeal_id] or h.forgetting[appeal.user_id].ignored[appeal_id]
        if ends[appeal_id] > 1 or parked[appeal_id] > 1 or not known:
            raise broken(h, appeal.user_id, f"{appeal_id} ended {ends[appeal_id]} times, parked {parked[appeal_id]}")
    foreign = set(ends) - set(h.appeals)
    if foreign:
        raise broken(h, "", f"answered, but never sent: {some(foreign)}")


def each_review_event_has_exactly_one_answer(h: History) -> None:
    """Accepted once or rejected; only what comes again after it was accepted may be met with silence."""
    for event_id, sent in h.sent.items():
        kinds = ACCEPTED.get(type(sent.record))
        if kinds is None:
            continue
        lines = h.answers.get(event_id, ())
        yes = sum(accepted(h, line) is not None for line in lines)
        no = sum(line.kind is Kind.REVIEW_REJECTED for line in lines)
        user: str = sent.record.user_id  # type: ignore[attr-defined]
        silent = sent.deliveries - yes - no
        # An operator's order to send again may be obeyed again: the keys are the same.
        if (yes > 1 and not isinstance(sent.record, ReversalRetried)) or silent < 0 or (silent > 0 and not yes):
            told = f"{type(sent.record).__name__} {event_id}, sent {sent.deliveries} times"
            raise broken(h, user, f"{told}: accepted {yes} times, rejected {no} times")


def each_case_is_decided_and_closed_once(h: History) -> None:
    """What was decided is closed, once; what is open has neither a decision nor an end."""
    for life in h.lives.values():
        if (life.outcome is not None, life.closed) not in ((True, 1), (False, 0)):
            raise broken(h, life.user_id, f"{life.case_id}: outcome {life.outcome}, closed {life.closed} times")


def users_are_told(h: History) -> None:
    """Each line that the user must hear of has its notice, and there is no other."""
    lines = list(chain.from_iterable(h.lines.values()))
    added = {line.appeal_id for line in lines if line.kind is Kind.STATEMENT_ADDED}
    told = Counter((n.user_id, n.kind, n.appeal_id, n.occurred_at) for n in h.notices)
    wanted = Counter(
        (line.user_id, kind, line.appeal_id, line.occurred_at)
        for line in lines
        if (kind := _notice_of(line, added=line.appeal_id in added)) is not None
    )
    if told != wanted:
        missing, extra = wanted - told, told - wanted
        user = next(iter(missing or extra))[0]
        raise broken(h, user, f"not told: {some(missing)}\ntold without reason: {some(extra)}")


def _notice_of(line: CaseEvent, *, added: bool) -> NoticeKind | None:
    """What a line must tell the user; `added`: the text of its appeal went to an open case."""
    if line.kind is Kind.APPEAL_REFUSED and added:
        return NoticeKind.STATEMENT_ADDED
    if line.kind in (Kind.EVIDENCE_REQUESTED, Kind.EVIDENCE_SUPPLIED) and line.saw["supplier"] != "appellant":
        return None
    if line.kind is Kind.REVERSAL_ORDERED:
        return NoticeKind.REVERSED if line.saw["attempt"] == "1" and line.case_id is None else None
    if line.kind is Kind.ENFORCEMENT_CHANGED and line.reason not in ("amended", "charge_changed"):
        return None
    return _NOTICES.get(line.kind)


_NOTICES = {
    Kind.CASE_OPENED: NoticeKind.ACKNOWLEDGED,
    Kind.INTERNAL_CASE_OPENED: NoticeKind.REEXAMINED,
    Kind.APPEAL_PARKED: NoticeKind.ACKNOWLEDGED,
    Kind.APPEAL_REFUSED: NoticeKind.REFUSED,
    Kind.APPEAL_WITHDRAWN_UNOPENED: NoticeKind.DECIDED,
    Kind.CASE_DECIDED: NoticeKind.DECIDED,
    Kind.EVIDENCE_REQUESTED: NoticeKind.EVIDENCE_REQUESTED,
    Kind.EVIDENCE_SUPPLIED: NoticeKind.EVIDENCE_RECEIVED,
    Kind.CASE_ESCALATED: NoticeKind.DELAYED,
    Kind.REVERSAL_CONFIRMED: NoticeKind.REVERSAL_CONFIRMED,
    Kind.ENFORCEMENT_CHANGED: NoticeKind.ENFORCEMENT_CHANGED,
}


AT_REST = (
    each_open_case_is_on_exactly_one_pod,
    who_may_not_judge_is_excluded,
    *reversals.AT_REST,
    *consequences.AT_REST,
    *erasures.AT_REST,
)
AT_THE_END = (
    each_appeal_ends_in_exactly_one_way,
    each_review_event_has_exactly_one_answer,
    each_case_is_decided_and_closed_once,
    users_are_told,
    *reversals.AT_THE_END,
    *erasures.AT_THE_END,
)
