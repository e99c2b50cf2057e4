"""What must hold of the topics and of Redis whatever happened to the workers: checked apart from the code that made it.

Plain Python over records, with nothing of `processors` and nothing of the engine. Everything is compared both ways:
what was sent against what arrived, and what arrived against what was sent, so that a missing tail does not pass. The
definition of the audit's lines is that of the intake: each appeal has exactly one line of `ENDS`, or waits parked.
`worker_process` reads what is checked here from a real Kafka and Redis.
"""

from __future__ import annotations

import struct
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from schemas import records as r
from schemas.vocabulary import CaseEventKind, NoticeKind
from tests.integration.reversal_checker import Fault, record_faults, reversal_faults, stall_faults

Kind = CaseEventKind
Place = tuple[str, int, int]
"""(topic without prefix, partition, offset)."""

ENDS = {Kind.CASE_OPENED, Kind.APPEAL_REFUSED, Kind.APPEAL_WITHDRAWN_UNOPENED}
ANSWERS = {
    r.CaseClaimed: frozenset({Kind.CASE_CLAIMED, Kind.CLAIM_RENEWED, Kind.REVIEW_REJECTED}),
    r.CaseReleased: frozenset({Kind.CASE_RELEASED, Kind.REVIEW_REJECTED}),
    r.DecisionProposed: frozenset(
        {Kind.CASE_DECIDED, Kind.DECISION_PROPOSED, Kind.DECISION_DISPUTED, Kind.REVIEW_REJECTED}
    ),
    r.DecisionConfirmed: frozenset({Kind.CASE_DECIDED, Kind.REVIEW_REJECTED}),
    r.DecisionReturned: frozenset({Kind.DECISION_RETURNED, Kind.DECISION_DISPUTED, Kind.REVIEW_REJECTED}),
    r.EvidenceRequested: frozenset({Kind.EVIDENCE_REQUESTED, Kind.REVIEW_REJECTED}),
    r.EvidenceSupplied: frozenset({Kind.EVIDENCE_SUPPLIED, Kind.REVIEW_REJECTED}),
    r.CaseReferred: frozenset({Kind.CASE_REFERRED, Kind.REVIEW_REJECTED}),
    r.CaseHeld: frozenset({Kind.CASE_HELD, Kind.REVIEW_REJECTED}),
    r.CaseResumed: frozenset({Kind.CASE_RESUMED, Kind.REVIEW_REJECTED}),
    r.ReversalRetried: frozenset({Kind.REVERSAL_RETRIED, Kind.REVIEW_REJECTED}),
    r.DirectiveResolved: frozenset({Kind.DIRECTIVE_RESOLVED, Kind.REVIEW_REJECTED}),
    r.DirectiveAcked: frozenset({Kind.DIRECTIVE_APPLIED, Kind.DIRECTIVE_FAILED, Kind.ACK_IGNORED}),
}
"""Inputs that leave exactly one line, of one of these kinds, whatever becomes of them."""
OPENED = {Kind.CASE_OPENED, Kind.INTERNAL_CASE_OPENED}
"""The second one is a case without an appeal: it is opened, decided and shown like any, and counts as no appeal."""
TOLD_AS = {
    Kind.APPEAL_PARKED: {NoticeKind.ACKNOWLEDGED},
    Kind.CASE_OPENED: {NoticeKind.ACKNOWLEDGED},
    Kind.APPEAL_REFUSED: {NoticeKind.REFUSED, NoticeKind.STATEMENT_ADDED},
    Kind.APPEAL_WITHDRAWN_UNOPENED: {NoticeKind.DECIDED},
    Kind.CASE_DECIDED: {NoticeKind.DECIDED},
    Kind.CASE_ESCALATED: {NoticeKind.DELAYED},
    Kind.INTERNAL_CASE_OPENED: {NoticeKind.REEXAMINED},
    Kind.REVERSAL_ORDERED: {NoticeKind.REVERSED},
    Kind.REVERSAL_CONFIRMED: {NoticeKind.REVERSAL_CONFIRMED},
}
"""Lines of which the user is told, and as what; of an order only the first one, where no case was decided."""
CONSEQUENCE = "consequence"
"""Reason of a case that ends because what its enforcement rested on was overturned."""
CHECKPOINT = b"\0checkpoint"
ALLOWANCES = b"\0allowances"
"""Compared like a dossier: the changelog keeps it too."""


@dataclass(frozen=True)
class Sent:
    """What went in."""

    appeals: frozenset[str] = frozenset()
    answered: Mapping[str, frozenset[CaseEventKind]] = field(default_factory=dict)
    """By event id: the kinds of line of which it must leave exactly one."""
    bad: Mapping[Place, tuple[bytes | None, bytes | None]] = field(default_factory=dict)
    """Key and value of what nobody can judge, by the place where it was put."""
    ends: Mapping[tuple[str, int], int] = field(default_factory=dict)
    """By topic and partition, the offset after the last record."""

    @classmethod
    def of(cls, delivered: Iterable[tuple[Place, bytes | None, bytes | None, r.Record | None]]) -> Sent:
        """From (place, key, value, record, or none for a bad one)."""
        appeals: set[str] = set()
        answered: dict[str, frozenset[CaseEventKind]] = {}
        bad: dict[Place, tuple[bytes | None, bytes | None]] = {}
        ends: dict[tuple[str, int], int] = {}
        for place, key, value, record in delivered:
            if record is None:
                bad[place] = key, value
            elif isinstance(record, r.AppealSubmitted):
                appeals.add(record.appeal_id)
            elif type(record) in ANSWERS:
                answered[record.event_id] = ANSWERS[type(record)]  # type: ignore[attr-defined]
            ends[place[:2]] = max(place[2] + 1, ends.get(place[:2], 0))
        return cls(frozenset(appeals), answered, bad, ends)


@dataclass
class View:
    """One partition's dossiers: the changelog, and what Redis holds of it."""

    newest: dict[bytes, bytes] = field(default_factory=dict)
    """The changelog's newest value of each key; a key whose newest is a tombstone is not here."""
    next_offset: int = 0
    """After the last committed record of the changelog."""
    end: int = 0
    """The changelog's high watermark."""
    hash: dict[bytes, bytes] = field(default_factory=dict)
    timers: dict[bytes, float] = field(default_factory=dict)


@dataclass
class Arrived:
    """What came out, in the order of each partition."""

    lines: list[r.CaseEvent] = field(default_factory=list)
    notices: list[r.AppellantNotice] = field(default_factory=list)
    orders: list[r.ReversalOrdered] = field(default_factory=list)
    confirmations: list[r.ReversalConfirmed] = field(default_factory=list)
    stalls: list[r.ReversalStalled] = field(default_factory=list)
    immunities: list[r.ImmunityGranted] = field(default_factory=list)
    remands: list[r.EnforcementRemanded] = field(default_factory=list)
    stalled: dict[str, r.ReversalStalled | None] = field(default_factory=dict)
    """Newest record of the operations pod's topic by reversal; none is a tombstone."""
    pods: dict[tuple[str, str], r.Case | None] = field(default_factory=dict)
    """Newest record by (topic, case); none is a tombstone."""
    letters: list[tuple[Place, bytes | None, bytes | None]] = field(default_factory=list)
    """Dead letters: the place that the headers name, key, value."""
    views: dict[int, View] = field(default_factory=dict)
    committed: dict[tuple[str, int], int] = field(default_factory=dict)


def faults(sent: Sent, arrived: Arrived) -> list[Fault]:
    """Everything that is wrong; nothing when all is well."""
    checks = (
        offset_faults(sent.ends, arrived.committed),
        appeal_faults(sent.appeals, arrived.lines),
        answer_faults(sent.answered, arrived.lines),
        audit_faults(arrived.lines),
        case_faults(arrived.lines, arrived.pods),
        notice_faults(arrived.lines, arrived.notices),
        reversal_faults(arrived.lines, arrived.orders, arrived.confirmations),
        stall_faults(arrived.lines, arrived.stalls, arrived.stalled),
        record_faults(arrived.lines, arrived.immunities, arrived.remands),
        letter_faults(sent.bad, arrived.letters),
        *(view_faults(number, view) for number, view in sorted(arrived.views.items())),
    )
    return [fault for check in checks for fault in check]


def offset_faults(ends: Mapping[tuple[str, int], int], committed: Mapping[tuple[str, int], int]) -> Iterator[Fault]:
    """The group's offsets are after the last record of each partition that has any."""
    for (topic, partition), end in sorted(ends.items()):
        if committed.get((topic, partition), 0) != end:
            text = f"{topic}[{partition}]: committed {committed.get((topic, partition))}, sent up to {end}"
            yield Fault("offsets", text)


def appeal_faults(sent: frozenset[str], lines: Iterable[r.CaseEvent]) -> Iterator[Fault]:
    """Each appeal in exactly one way: a case, refused, withdrawn unopened, or still parked."""
    ends: Counter[str | None] = Counter()
    parked: Counter[str | None] = Counter()
    for line in lines:
        if line.kind in ENDS:
            ends[line.appeal_id] += 1
        elif line.kind is Kind.APPEAL_PARKED:
            parked[line.appeal_id] += 1
            if ends[line.appeal_id]:
                yield Fault("appeal_parked_after_its_end", str(line.appeal_id))
    for appeal_id in sorted(sent):
        if not ends[appeal_id] and not parked[appeal_id]:
            yield Fault("appeal_lost", appeal_id)
        if ends[appeal_id] > 1 or parked[appeal_id] > 1:
            yield Fault("appeal_doubled", f"{appeal_id}: {ends[appeal_id]} ends, parked {parked[appeal_id]} times")
    for appeal_id in sorted(map(str, {*ends, *parked} - sent)):
        yield Fault("appeal_never_sent", appeal_id)


def answer_faults(sent: Mapping[str, frozenset[CaseEventKind]], lines: Iterable[r.CaseEvent]) -> Iterator[Fault]:
    """Each review and each acknowledgement left exactly one line, and no line answers what was never sent."""
    kinds = frozenset[CaseEventKind]().union(*ANSWERS.values()) - {Kind.REVIEW_REJECTED, Kind.CASE_DECIDED}
    found: dict[str, list[CaseEventKind]] = defaultdict(list)
    for line in lines:
        if line.reason == CONSEQUENCE:
            continue  # the decision of one case ends another one too
        if line.kind in sent.get(line.cause_id, kinds):
            found[line.cause_id].append(line.kind)
    for event_id in sorted(sent):
        if not found[event_id]:
            yield Fault("answer_lost", event_id)
        elif len(found[event_id]) > 1:
            yield Fault("answer_doubled", f"{event_id}: {', '.join(found[event_id])}")
    for event_id in sorted(found.keys() - sent.keys()):
        yield Fault("answer_to_nothing", event_id)


def audit_faults(lines: Iterable[r.CaseEvent]) -> Iterator[Fault]:
    """Each user's lines count 1, 2, 3, … in the order in which they stand on the topic; each id is there once."""
    last: Counter[str] = Counter()
    ids: Counter[str] = Counter()
    for line in lines:
        ids[line.event_id] += 1
        if line.seq > last[line.user_id] + 1:
            yield Fault("seq_gap", f"{line.user_id}: {line.seq} after {last[line.user_id]}")
        elif line.seq <= last[line.user_id]:
            yield Fault("seq_doubled", f"{line.user_id}: {line.seq} after {last[line.user_id]}")
        last[line.user_id] = max(line.seq, last[line.user_id])
    yield from (Fault("line_doubled", event_id) for event_id, n in ids.items() if n > 1)


def case_faults(lines: Iterable[r.CaseEvent], pods: Mapping[tuple[str, str], r.Case | None]) -> Iterator[Fault]:
    """Opened once, decided once at most; an open case is on one pod as its newest line says, a closed one on none."""
    opened: Counter[str] = Counter()
    decided: Counter[str] = Counter()
    newest: dict[str, r.CaseEvent] = {}
    for line in lines:
        if line.case_id is not None and line.case_version is not None:
            newest[line.case_id] = line
        opened[str(line.case_id)] += line.kind in OPENED
        decided[str(line.case_id)] += line.kind is Kind.CASE_DECIDED
    opened, decided = +opened, +decided
    for case_id in sorted({*opened, *decided, *(case_id for _, case_id in pods)}):
        if opened[case_id] != 1:
            yield Fault("case_opened_twice" if opened[case_id] else "case_never_opened", case_id)
        if decided[case_id] > 1:
            yield Fault("case_decided_twice", case_id)
    shown: dict[str, list[r.Case]] = defaultdict(list)
    for (topic, case_id), case in pods.items():
        if case is not None:
            shown[case_id].append(case)
            if topic != f"cases.{case.pod}" or case.case_id != case_id:
                yield Fault("case_misplaced", f"{case_id} of pod {case.pod} on {topic}")
    yield from (Fault("closed_case_on_pod", case_id) for case_id in sorted(decided) if shown[case_id])
    yield from _open_case_faults(sorted(opened.keys() - decided.keys()), shown, newest)


def _open_case_faults(
    open_cases: Iterable[str], shown: Mapping[str, list[r.Case]], newest: Mapping[str, r.CaseEvent]
) -> Iterator[Fault]:
    for case_id in open_cases:
        if len(shown[case_id]) != 1:
            yield Fault("case_on_two_pods" if shown[case_id] else "open_case_on_no_pod", case_id)
        elif _told(newest[case_id]) != _shown(shown[case_id][0]):
            text = f"{case_id}: audit {_told(newest[case_id])}, pod {_shown(shown[case_id][0])}"
            yield Fault("case_stale", text)


def _told(line: r.CaseEvent) -> tuple[object, ...]:
    return line.case_version, line.state, line.pod, line.band, line.score


def _shown(case: r.Case) -> tuple[object, ...]:
    return case.version, case.state, case.pod, case.band, case.score


def notice_faults(lines: Iterable[r.CaseEvent], notices: Iterable[r.AppellantNotice]) -> Iterator[Fault]:
    """Each notice once; one for each line of which the user must be told, and none for anything else."""
    due: Counter[tuple[object, frozenset[NoticeKind]]] = Counter()
    for line in lines:
        untold = line.kind is Kind.REVERSAL_ORDERED and (line.saw["attempt"] != "1" or line.case_id is not None)
        if line.kind in TOLD_AS and not untold:
            due[line.appeal_id, frozenset(TOLD_AS[line.kind])] += 1
    ids: Counter[str] = Counter()
    groups = {kind: frozenset(group) for group in TOLD_AS.values() for kind in group}
    for notice in notices:
        ids[notice.notice_id] += 1
        if notice.kind in groups:
            due[notice.appeal_id, groups[notice.kind]] -= 1
    yield from (Fault("notice_doubled", notice_id) for notice_id, n in ids.items() if n > 1)
    for (appeal_id, kinds), left in due.items():
        if left:
            yield Fault("notice_lost" if left > 0 else "notice_unfounded", f"{appeal_id}: {', '.join(sorted(kinds))}")


def letter_faults(
    bad: Mapping[Place, tuple[bytes | None, bytes | None]],
    letters: Iterable[tuple[Place, bytes | None, bytes | None]],
) -> Iterator[Fault]:
    """One dead letter for each bad record, key and bytes as they were, and none for a good one."""
    found: Counter[Place] = Counter()
    for place, key, value in letters:
        found[place] += 1
        if place not in bad:
            yield Fault("letter_unfounded", f"{place}")
        elif bad[place] != (key, value):
            yield Fault("letter_changed", f"{place}")
    yield from (Fault("letter_lost", f"{place}") for place in sorted(bad) if not found[place])
    yield from (Fault("letter_doubled", f"{place}") for place, n in found.items() if n > 1)


def view_faults(number: int, view: View) -> Iterator[Fault]:
    """Redis is the fold of the changelog, key for key, and its index of timers is what the dossiers say."""
    checkpoint = int(view.hash.get(CHECKPOINT, b"-1"))
    if not view.next_offset <= checkpoint <= view.end:
        text = f"partition {number}: {checkpoint}, changelog [{view.next_offset}, {view.end}]"
        yield Fault("checkpoint", text)
    held = {key: value for key, value in view.hash.items() if key != CHECKPOINT}
    yield from (Fault("redis_missing", f"{number}: {key!r}") for key in sorted(view.newest.keys() - held.keys()))
    yield from (Fault("redis_too_many", f"{number}: {key!r}") for key in sorted(held.keys() - view.newest.keys()))
    both = sorted(held.keys() & view.newest.keys())
    yield from (Fault("redis_differs", f"{number}: {key!r}") for key in both if held[key] != view.newest[key])
    due = {key: struct.unpack_from(">q", value)[0] for key, value in view.newest.items()}
    due = {key: at for key, at in due.items() if at != -1} | {CHECKPOINT: -(checkpoint + 1)}
    for key in sorted(due.keys() | view.timers.keys()):
        if due.get(key) != view.timers.get(key):
            yield Fault("timer", f"{number}: {key!r} due {due.get(key)}, index {view.timers.get(key)}")
