"""What must hold of reversals, and of what comes with them, on the topics: a part of `checker`, by the same rules."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from schemas import records as r
from schemas.vocabulary import AckStatus, CaseEventKind, Operation, Outcome

Kind = CaseEventKind


class Fault(NamedTuple):
    """One thing that is not as it must be."""

    kind: str
    what: str


def reversal_faults(
    lines: Iterable[r.CaseEvent], orders: Iterable[r.ReversalOrdered], confirmations: Iterable[r.ReversalConfirmed]
) -> Iterator[Fault]:
    """What was decided, or fell with that, is ordered once; confirmed when, and only when, what counts is applied."""
    decided: Counter[str] = Counter()
    fallen: Counter[str] = Counter()
    answers = _Answers()
    for line in lines:
        if line.kind is Kind.CASE_DECIDED and line.outcome in {Outcome.OVERTURNED, Outcome.MODIFIED}:
            decided[str(line.case_id)] += 1
        elif line.kind is Kind.CONSEQUENCE_JUDGED and "reversal_id" in line.saw:
            fallen[line.saw["reversal_id"]] += 1
        answers.take(line)
    tries: dict[str, list[r.ReversalOrdered]] = defaultdict(list)
    revisions: Counter[str] = Counter()
    for order in orders:
        tries[order.reversal_id].append(order)
        for revision in {directive.revision for directive in order.directives}:
            if revision <= revisions[order.user_id]:
                yield Fault("revision", f"{order.reversal_id}: {revision} after {revisions[order.user_id]}")
            revisions[order.user_id] = max(revision, revisions[order.user_id])
    confirmed: dict[str, list[r.ReversalConfirmed]] = defaultdict(list)
    for confirmation in confirmations:
        confirmed[confirmation.reversal_id].append(confirmation)
    yield from _unfounded(decided, fallen, tries)
    for reversal_id, sent in tries.items():
        yield from _order_faults(reversal_id, sent, answers, confirmed[reversal_id])
    yield from (Fault("confirmation", f"{i}: never ordered") for i in sorted(confirmed.keys() - tries.keys()))


@dataclass
class _Answers:
    """What became of directives, by the audit."""

    applied: Counter[str] = field(default_factory=Counter)
    by: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """By superseded directive: those that took its place."""

    def take(self, line: r.CaseEvent) -> None:
        if line.kind is Kind.DIRECTIVE_APPLIED and line.reason in {AckStatus.APPLIED, AckStatus.ALREADY_APPLIED}:
            self.applied[line.saw["directive_id"]] += 1
        elif line.kind is Kind.DIRECTIVE_RESOLVED:
            self.applied[line.saw["directives"]] += 1
        elif line.kind is Kind.DIRECTIVE_SUPERSEDED:
            self.by[line.saw["directive_id"]].append(line.saw["by"])


def _unfounded(
    decided: Counter[str], fallen: Counter[str], tries: Mapping[str, list[r.ReversalOrdered]]
) -> Iterator[Fault]:
    """Every decision and every consequence has its one reversal, no other one exists, no version is undone twice."""
    ordered = Counter(str(sent[0].case_id) for sent in tries.values())
    of_nothing = {i: sent[0].case_id for i, sent in tries.items() if i not in fallen and not decided[sent[0].case_id]}
    yield from (Fault("reversal_unfounded", str(case_id)) for case_id in of_nothing.values())
    yield from (Fault("reversal_lost", case_id) for case_id, n in decided.items() if ordered[case_id] != n)
    yield from (Fault("reversal_lost", i) for i, n in fallen.items() if n != 1 or i not in tries)
    versions = Counter(
        (first.user_id, first.enforcement_id, first.enforcement_version)
        for first, *_ in tries.values()
        if first.outcome is Outcome.OVERTURNED
    )
    yield from (Fault("version_undone_twice", f"{what}") for what, n in versions.items() if n > 1)


def _follows(new: r.Directive, known: Iterable[r.Directive], answers: _Answers) -> bool:
    """Whether it takes the place of another one, or says beside a release what must hold now."""
    if new.supersedes is not None:
        return answers.by.get(new.supersedes) == [new.directive_id]
    releases = {d.effect_id for d in known if d.operation is Operation.RELEASE}
    return new.operation is Operation.RESTORE and new.amount is None and new.effect_id in releases


def _order_faults(
    reversal_id: str, sent: list[r.ReversalOrdered], answers: _Answers, confirmed: list[r.ReversalConfirmed]
) -> Iterator[Fault]:
    known: dict[str, r.Directive] = {}
    if [order.attempt for order in sent] != list(range(1, len(sent) + 1)):
        yield Fault("order_attempts", f"{reversal_id}: {[order.attempt for order in sent]}")
    for order in sent:
        for directive in order.directives:
            before = known.setdefault(directive.directive_id, directive)
            new = before is directive and order is not sent[0]
            if new and not _follows(directive, known.values(), answers):
                yield Fault("directive_from_nowhere", directive.directive_id)
            if (before.idempotency_key, before.amount) != (directive.idempotency_key, directive.amount):
                yield Fault("order_changed", reversal_id)
    gone = {key for key in known if key in answers.by}
    yield from (Fault("successor_lost", key) for key in sorted(gone) if answers.by[key][0] not in known)
    counts = known.keys() - gone
    done = {key for key in counts if answers.applied[key]}
    yield from (Fault("directive_applied_twice", key) for key in sorted(known) if answers.applied[key] > 1)
    if len(confirmed) != (done == counts):
        text = f"{reversal_id}: {len(done)} of {len(counts)} applied, confirmed {len(confirmed)} times"
        yield Fault("confirmation", text)
    if any(set(c.directive_ids) != done for c in confirmed):
        yield Fault("confirmation", f"{reversal_id}: names other directives than were applied")


def stall_faults(
    lines: Iterable[r.CaseEvent], stalls: Iterable[r.ReversalStalled], shown: Mapping[str, r.ReversalStalled | None]
) -> Iterator[Fault]:
    """Each stall has its record; the operations pod sees what nobody has got on with since, and nothing confirmed."""
    told = Counter((s.reversal_id, s.reason, s.stalled_at) for s in stalls)
    due: Counter[tuple[str, str, int]] = Counter()
    waits: dict[str, bool] = {}
    for line in lines:
        reversal_id = line.saw.get("reversal_id", "")
        if line.kind is Kind.REVERSAL_STALLED:
            due[reversal_id, str(line.reason), line.occurred_at] += 1
            waits[reversal_id] = True
        elif line.kind in {Kind.REVERSAL_RETRIED, Kind.DIRECTIVE_APPLIED, Kind.DIRECTIVE_RESOLVED}:
            waits |= {reversal_id: False} if reversal_id in waits else {}
        elif line.kind is Kind.REVERSAL_CONFIRMED:
            waits.pop(reversal_id, None)
    if told != due:
        yield Fault("stall_records", f"missing {due - told}, too many {told - due}")
    there = {key for key, record in shown.items() if record is not None}
    yield from (Fault("stall_not_shown", key) for key, certain in sorted(waits.items()) if certain and key not in there)
    yield from (Fault("stall_unfounded", key) for key in sorted(there - waits.keys()))


def record_faults(
    lines: Iterable[r.CaseEvent], immunities: Iterable[r.ImmunityGranted], remands: Iterable[r.EnforcementRemanded]
) -> Iterator[Fault]:
    """Immunities and remands are told as often as the audit says, and no remand ends twice or before it began."""
    granted = Counter(record.reversal_id for record in immunities)
    sent_back = Counter(str(record.case_id) for record in remands)
    open_remands: set[str] = set()
    for line in lines:
        if line.kind is Kind.IMMUNITY_GRANTED:
            granted[line.saw["reversal_id"]] -= 1
        elif line.kind is Kind.ENFORCEMENT_REMANDED:
            sent_back[str(line.case_id)] -= 1
            open_remands.add(str(line.case_id))
        elif line.kind in {Kind.REMAND_ANSWERED, Kind.REMAND_OVERDUE}:
            if line.case_id not in open_remands:
                yield Fault("remand_ended_twice", str(line.case_id))
            open_remands.discard(str(line.case_id))
    yield from (Fault("immunity_records", f"{key}: {n:+}") for key, n in granted.items() if n)
    yield from (Fault("remand_records", f"{key}: {n:+}") for key, n in sent_back.items() if n)
