"""Checks of a whole life by its outputs alone, apart from the code that made them."""

import hashlib
import json
from collections import Counter
from itertools import pairwise

import msgspec

from schemas.records import Case, CaseEvent
from schemas.vocabulary import CaseEventKind, Outcome
from tests.unit.builders import Life

ENDS = {CaseEventKind.CASE_OPENED, CaseEventKind.APPEAL_REFUSED, CaseEventKind.APPEAL_WITHDRAWN_UNOPENED}


def check_balance(life: Life, appeal_ids: set[str]) -> None:
    """Every appeal in exactly one way: a case, refused, withdrawn unopened, or still parked."""
    ends: Counter[str] = Counter()
    parked: Counter[str] = Counter()
    for line in life.lines():
        if line.kind in ENDS:
            assert line.appeal_id is not None
            ends[line.appeal_id] += 1
        elif line.kind is CaseEventKind.APPEAL_PARKED:
            assert line.appeal_id is not None
            assert not ends[line.appeal_id], "parked after it had been answered"
            parked[line.appeal_id] += 1
    waiting = {p.appeal.appeal_id for p in life.dossier.parked}
    for appeal_id in appeal_ids:
        assert ends[appeal_id] + (appeal_id in waiting) == 1, appeal_id
        assert parked[appeal_id] <= 1
        assert appeal_id not in waiting or parked[appeal_id] == 1
    assert set(ends) | waiting == appeal_ids
    assert life.dossier.counts.appeals == len(appeal_ids)


def check_cases(life: Life) -> None:
    """Each opened case is decided at most once, and the pods' topics hold the newest state of exactly the others."""
    kinds = (CaseEventKind.CASE_OPENED, CaseEventKind.INTERNAL_CASE_OPENED)
    opened = [line.case_id for line in life.lines() if line.kind in kinds]
    decided = [line.case_id for line in life.lines(CaseEventKind.CASE_DECIDED)]
    assert len(set(opened)) == len(opened)
    assert len(set(decided)) == len(decided)
    assert set(decided) <= set(opened)
    still_open = set(opened) - set(decided)
    on_pods = life.on_pods()
    assert {key for _, key in on_pods} == still_open == set(life.dossier.cases)
    assert len(on_pods) == len(still_open), "a case is on two pods"
    for (topic, key), case in on_pods.items():
        held = life.dossier.cases[case.case_id]
        assert topic == f"cases.{held.pod}"
        assert (key, case.version) == (held.case_id, held.version)
    newest: dict[str, Case] = {}
    for case in life.published():
        before = newest.get(case.case_id)
        if before is not None and case.version == before.version:  # time may raise it, and change nothing else
            raised = msgspec.structs.replace(before, band=case.band, rank_at=case.rank_at)
            assert case == raised, "one version of a case was told in two ways"
            assert case.band < before.band
        else:
            assert before is None or case.version > before.version, "a pod went back to an older case"
        newest[case.case_id] = case


def check_audit(life: Life) -> None:
    """Lines are numbered without a gap and chained by their hashes, and no two outputs share an id."""
    lines = life.lines()
    assert [line.seq for line in lines] == list(range(1, len(lines) + 1))
    before = None
    for line in lines:
        assert line.prev_hash == before
        before = line.hash
        assert before == _hash(line)
    assert life.dossier.head.hex() == (before or "")
    counts = [line.folded for line in lines] + [life.dossier.folded]
    assert all(a <= b for one, other in pairwise(counts) for a, b in zip(one, other, strict=True))
    found = [line.event_id for line in lines] + [n.notice_id for n in life.notices()]
    assert len(set(found)) == len(found)


def _hash(line: CaseEvent) -> str:
    """By the rules of docs/audit.md, with nothing of the code that made it."""
    said = {name: getattr(line, name) for name in line.__struct_fields__ if name != "hash"}
    kept = {name: value for name, value in said.items() if value not in (None, [], {})}
    form = json.dumps(kept, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(form.encode()).hexdigest()


def check_reversals(life: Life) -> None:
    """One order for each decision and each consequence, one confirmation at most, and one amount under each key."""
    undone = (Outcome.OVERTURNED, Outcome.MODIFIED)
    decided = {line.case_id for line in life.lines(CaseEventKind.CASE_DECIDED) if line.outcome in undone}
    judged = life.lines(CaseEventKind.CONSEQUENCE_JUDGED)
    fallen = {line.saw["reversal_id"] for line in judged if "reversal_id" in line.saw}
    first = [order for order in life.orders() if order.attempt == 1]
    without_case = [order.reversal_id for order in first if order.case_id == order.reversal_id]
    with_case = [order.case_id for order in first if order.case_id != order.reversal_id]
    assert len(first) == len({order.reversal_id for order in first})
    assert len(with_case) == len(set(with_case))
    assert set(with_case) == decided
    assert set(without_case) <= fallen <= {order.reversal_id for order in first}
    versions = [(o.enforcement_id, o.enforcement_version) for o in first if o.outcome is Outcome.OVERTURNED]
    assert len(versions) == len(set(versions)), "a version was undone twice"
    revisions = [d.revision for order in life.orders() for d in order.directives[:1]]
    assert revisions == sorted(set(revisions))
    assert {e.key for e in life.out if e.topic == "reversals.stalled"} <= {order.reversal_id for order in first}
    stalled = {key for key, running in life.dossier.reversals.items() if running.stalled}
    shown = {e.key: e.record for e in life.out if e.topic == "reversals.stalled"}
    assert {key for key, record in shown.items() if record is not None} == stalled
    confirmed = [c.reversal_id for c in life.confirmations()]
    assert len(set(confirmed)) == len(confirmed)
    assert len(life.lines(CaseEventKind.REVERSAL_CONFIRMED)) == len(confirmed)
    running = set(life.dossier.reversals)
    assert {order.reversal_id for order in life.orders()} == running | set(confirmed)
    assert not running & set(confirmed)
    amounts: dict[str, set[str]] = {}
    for order in life.orders():
        for directive in order.directives:
            amounts.setdefault(directive.idempotency_key, set()).add(repr(directive.amount))
    assert all(len(values) == 1 for values in amounts.values())


def check_all(life: Life, appeal_ids: set[str]) -> None:
    check_balance(life, appeal_ids)
    check_cases(life)
    check_audit(life)
    check_reversals(life)


def ends_of(lines: list[CaseEvent]) -> dict[str, tuple[CaseEventKind, str | None]]:
    """How each appeal ended, by the audit."""
    return {line.appeal_id: (line.kind, line.reason) for line in lines if line.kind in ENDS and line.appeal_id}
