"""The open cases of one partition, as the newest line of each says, and how many there are by pod and band."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from schemas.records import CaseEvent
from schemas.vocabulary import CaseEventKind, CaseState

COLUMNS, OVERDUE = 6, 3
"""open, claimed, waiting, overdue, awaiting_evidence, second_review."""
FIRST = 4
"""So many of them has what an older version sends, and reads."""
_WAITING = frozenset({CaseState.AWAITING_EVIDENCE, CaseState.ON_HOLD})
_OVER = frozenset({CaseState.DECIDED, CaseState.CLOSED})
_OVERDUE = frozenset({CaseEventKind.PROMISE_MISSED, CaseEventKind.DEADLINE_MISSED, CaseEventKind.CASE_ESCALATED})


class OpenCase(Struct, array_like=True):
    """What load is made of."""

    offset: int
    pod: str
    band: str
    state: str
    overdue: bool = False
    """By either clock; from an older version, all that is known of both."""
    promise_missed: bool = False
    deadline_missed: bool = False

    def row(self) -> tuple[int, ...]:
        """What it adds to its pod and band."""
        state = self.state
        return (
            1,
            state == CaseState.CLAIMED,
            state in _WAITING,
            self.overdue,
            state == CaseState.AWAITING_EVIDENCE,
            state == CaseState.SECOND_REVIEW,
        )


def by_state(row: list[int]) -> dict[CaseState, int]:
    """A row by the state of its cases, which add up to all that are open."""
    opened, claimed, waiting, _, awaiting, second = row
    return {
        CaseState.QUEUED: opened - claimed - waiting - second,
        CaseState.CLAIMED: claimed,
        CaseState.AWAITING_EVIDENCE: awaiting,
        CaseState.ON_HOLD: waiting - awaiting,
        CaseState.SECOND_REVIEW: second,
    }


class OpenCases:
    """By case id, and counted."""

    def __init__(self) -> None:
        self.by_id: dict[str, OpenCase] = {}
        self._load: dict[str, dict[str, list[int]]] = {}

    def __len__(self) -> int:
        return len(self.by_id)

    def pods(self) -> Iterator[str]:
        """Pods that have or had any."""
        yield from self._load

    def load(self, pod: str) -> dict[str, list[int]]:
        """The pod's open cases by band, in `COLUMNS`; bands without any are left out."""
        return {band: list(row) for band, row in self._load.get(pod, {}).items() if row[0]}

    def put(self, case_id: str, case: OpenCase | None) -> set[str]:
        """Set or forget one; returns the pods whose load that changes."""
        before = self.by_id.pop(case_id, None)
        changed: set[str] = set()
        for case_now, sign in ((before, -1), (case, 1)):
            if case_now is None:
                continue
            row = self._load.setdefault(case_now.pod, {}).setdefault(case_now.band, [0] * COLUMNS)
            for column, by in enumerate(case_now.row()):
                row[column] += sign * by
            changed.add(case_now.pod)
        if case is not None:
            self.by_id[case_id] = case
        return changed

    def follow(self, offset: int, line: CaseEvent, *, may_open: bool) -> set[str]:
        """Take over what a line says of its case; returns the pods whose load that changes."""
        if line.case_id is None:
            return set()
        known = self.by_id.get(line.case_id)
        if known is not None and offset <= known.offset:
            return set()
        if line.kind is CaseEventKind.CASE_DECIDED:
            return self.put(line.case_id, None)
        if line.pod is None or line.band is None or line.state is None or line.state in _OVER:
            return set()
        if known is None and not may_open:
            return set()
        known = known or _NEW
        return self.put(
            line.case_id,
            OpenCase(
                offset,
                line.pod,
                line.band,
                line.state,
                known.overdue or line.kind in _OVERDUE,
                known.promise_missed or line.kind is CaseEventKind.PROMISE_MISSED,
                known.deadline_missed or line.kind is CaseEventKind.DEADLINE_MISSED,
            ),
        )


_NEW = OpenCase(-1, "", "", "")
