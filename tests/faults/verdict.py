"""Everything that must hold after a run, whatever was done to it: independent checks of what the topics and Redis say.

Lost and doubled are told apart by the names of the faults (`is_loss`, `is_double`).
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

from processors.codec import decode_dossier
from schemas import records as r
from schemas.vocabulary import CaseEventKind
from tests.faults.chains import chain_faults
from tests.faults.expected import differences, expected
from tests.faults.plan import Plan
from tests.faults.systems import system_faults
from tests.integration.checker import Arrived, faults
from tests.integration.reversal_checker import Fault
from tests.integration.worker_process import Delivered, Installation
from topology.engine.definition import ClockKind
from topology.engine.state import DUE_BYTES, due_of

_TOPICS = ("enforcement.events", "appeal.events", "review.events", "resolution.acks")
_OPENED = {CaseEventKind.CASE_OPENED, CaseEventKind.INTERNAL_CASE_OPENED}


def is_loss(fault: Fault) -> bool:
    """Something that should be there is not."""
    return fault.kind.endswith(("_lost", "_missing", "_gap")) or fault.kind in ("missing", "offsets")


def is_double(fault: Fault) -> bool:
    """Something is there, or was done, more often than it should."""
    return "doubled" in fault.kind or "twice" in fault.kind or fault.kind == "redis_too_many"


def all_faults(installation: Installation, plan: Plan) -> list[Fault]:
    """All that is wrong; nothing when all is well."""
    arrived, now = installation.arrived(), time.time_ns() // 1_000_000
    found = faults(installation.sent(), arrived)
    delivered = sorted(installation.delivered, key=lambda d: (d.partition, d.offset))
    events = [d.row.record for d in delivered if d.row.topic == _TOPICS[0] and d.row.record is not None]
    found += input_faults(delivered, arrived)
    found += chain_faults(arrived.lines)
    found += stuck_faults(arrived, now if plan.clock is ClockKind.WALL else None)
    found += system_faults(events, arrived.lines, arrived.orders, now)
    if plan.clock is ClockKind.STREAM:
        published, dossiers = expected(installation.register, installation.name, delivered)
        found += [Fault("not_as_in_calm", text) for text in differences(installation.published(), published)[:20]]
        for number, view in arrived.views.items():
            if view.newest != dossiers[number]:
                found.append(Fault("dossiers_not_as_in_calm", f"partition {number}"))
    return found


def input_faults(delivered: Iterable[Delivered], arrived: Arrived) -> Iterator[Fault]:
    """Each good input was folded into its user's dossier once: by the dossier's own count of them, topic by topic."""
    sent: dict[bytes, Counter[str]] = defaultdict(Counter)
    for row, _, _ in delivered:
        if row.record is not None and row.key is not None:
            sent[row.key][row.topic] += 1
    newest = {key: raw for view in arrived.views.values() for key, raw in view.newest.items()}
    for user, counts in sorted(sent.items()):
        raw = newest.get(user)
        folded = [] if raw is None else decode_dossier(raw[DUE_BYTES:]).folded
        for topic, n in zip(_TOPICS, [*folded, 0, 0, 0, 0], strict=False):
            if n < counts[topic]:
                yield Fault("input_lost", f"{user!r}: {n} of {counts[topic]} of {topic} were folded")
            elif n > counts[topic]:
                yield Fault("input_doubled", f"{user!r}: {n} of {topic} were folded, {counts[topic]} sent")


def stuck_faults(arrived: Arrived, now: int | None) -> Iterator[Fault]:
    """Whoever has an open case has a timer, so something will come of it; by the wall clock, none is overdue.

    Args:
        arrived: what came out.
        now: UTC ms by the workers' clock; none if it is the records'.
    """
    due = {key.decode(): due_of(raw) for view in arrived.views.values() for key, raw in view.newest.items()}
    decided = {line.case_id for line in arrived.lines if line.kind is CaseEventKind.CASE_DECIDED}
    opened: dict[str, r.CaseEvent] = {str(line.case_id): line for line in arrived.lines if line.kind in _OPENED}
    for case_id, line in sorted(opened.items()):
        if case_id not in decided and due.get(line.user_id) is None:
            yield Fault("case_stuck", f"{case_id}: open, and nothing will ever come of it by itself")
    for user, at in sorted(due.items()):
        if now is not None and at is not None and at < now - OVERDUE_MS:
            yield Fault("timer_stuck", f"{user}: has been due for {now - at} ms")


OVERDUE_MS = 20_000
"""The workers were stopped, and what they left was read, since a timer could fire last."""
