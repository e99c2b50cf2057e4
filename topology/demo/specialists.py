"""Simulated specialists: each pod's take the most urgent case by `rank_at`, claim it, and decide.

They know what any reviewer tool knows: the pod's topic from its beginning, and `review.events` to answer on. Now and
then two reach for the same case (the engine lets one have it), and now and then one hands a case back. A decision that
needs a second look is claimed and looked at by somebody else of the pod.
"""

from __future__ import annotations

import heapq
import time
from dataclasses import dataclass, field
from enum import Enum, auto
from math import ceil
from random import Random

from schemas.records import Case, CaseId, ReviewerId, ReviewEvent
from schemas.vocabulary import CaseState
from topology.demo.actors import Actor
from topology.demo.judgement import Judgement
from topology.demo.outbox import Outbox
from topology.demo.reading import Arrived, Reader
from topology.demo.suppliers import Suppliers
from topology.demo.traffic import REVIEWS

CASES = "cases."

_WORKS_S = (0.3, 1.0)
"""What a decision takes here. Published: a median of 11 hours from appeal to decision."""
_CYCLE_S = 1.0
"""Work, and twice the way through the pipeline: sizes the staff."""
_RACES = 0.03
_HANDS_BACK = 0.02
_PATIENCE_S = 15.0
"""After this long without an answer, a specialist turns to another case."""

STAFF: dict[str, float] = {
    "general": 0.46,
    "accounts": 0.42,
    "intellectual-property": 0.16,
    "payments": 0.07,
    "livestream": 0.07,
}
"""Where the staff sits, as shares of what the load needs."""
_SECOND_LOOKS = 1.3
"""Work that second reviews add."""
_LEAST = {"lead": 3}
"""Seats of a pod at least: two, as no one may look at a decision of their own; three where disputes go."""
_CLAIMABLE = frozenset({CaseState.QUEUED, CaseState.SECOND_REVIEW})


class Doing(Enum):
    """What a specialist is busy with."""

    NOTHING = auto()
    CLAIMING = auto()
    WORKING = auto()
    DECIDING = auto()
    RELEASING = auto()


@dataclass
class Specialist:
    """One person of a pod."""

    name: ReviewerId
    doing: Doing = Doing.NOTHING
    case_id: CaseId | None = None
    since_s: float = 0.0

    def turn_to(self, doing: Doing, case_id: CaseId | None = None) -> None:
        """Begin something else."""
        self.doing, self.case_id, self.since_s = doing, case_id, time.monotonic()


@dataclass
class Pod:
    """A pod's open cases, as its topic tells them, and its people."""

    staff: list[Specialist]
    cases: dict[CaseId, Case] = field(default_factory=dict[CaseId, Case])
    heap: list[tuple[int, CaseId]] = field(default_factory=list[tuple[int, CaseId]])

    def free(self) -> list[Specialist]:
        """Who has nothing to do."""
        return [one for one in self.staff if one.doing is Doing.NOTHING]

    def next_case(self) -> Case | None:
        """The unclaimed case of the earliest `rank_at`; it leaves the heap."""
        while self.heap:
            case = self.cases.get(heapq.heappop(self.heap)[1])
            if case is None or case.claim is not None or case.state not in _CLAIMABLE:
                continue
            if not any(one.case_id == case.case_id for one in self.staff):
                return case
        return None


class Specialists(Actor):
    """All specialists of all pods."""

    def __init__(self, reader: Reader, outbox: Outbox, *, pods: tuple[str, ...], cases_a_second: float, seed: int):  # noqa: ANN204
        super().__init__(reader, name="demo-specialists")
        self._outbox = outbox
        self._rng = Random(f"{seed} specialists")
        self._judgement = Judgement()
        self._suppliers = Suppliers(outbox, self.later)
        self._closing = False
        self._pods = {
            pod: Pod([Specialist(ReviewerId(f"{pod}-{n + 1}")) for n in range(_seats(pod, cases_a_second))])
            for pod in pods
        }

    @property
    def seats(self) -> int:
        """How many specialists there are."""
        return sum(len(pod.staff) for pod in self._pods.values())

    @property
    def names(self) -> frozenset[str]:
        """Who they are: whoever else reviews is a person at the desk."""
        return frozenset(one.name for pod in self._pods.values() for one in pod.staff)

    @property
    def idle(self) -> bool:
        """Does nobody hold a case or wait for an answer?"""
        return all(one.doing is Doing.NOTHING for pod in self._pods.values() for one in pod.staff)

    def close_shop(self) -> None:
        """Finish what is begun, begin nothing."""
        self._closing = True

    def receive(self, arrived: Arrived) -> None:
        """The newest state of a case on its pod, or its leaving."""
        pod = self._pods[arrived.topic.removeprefix(CASES)]
        case_id = CaseId(arrived.key)
        case = arrived.record
        if not isinstance(case, Case):
            pod.cases.pop(case_id, None)
            for one in pod.staff:
                if one.case_id == case_id:
                    one.turn_to(Doing.NOTHING)
            return
        pod.cases[case_id] = case
        self._suppliers.heard(case)
        for one in pod.staff:
            if one.case_id == case_id:
                self._heard(pod, one, case)
        if case.claim is None:
            heapq.heappush(pod.heap, (case.rank_at, case_id))

    def tick(self) -> None:
        """Give the free ones the most urgent cases."""
        for pod in self._pods.values():
            for one in pod.staff:
                if one.doing is not Doing.NOTHING and time.monotonic() - one.since_s > _PATIENCE_S:
                    one.turn_to(Doing.NOTHING)
            while not self._closing and pod.free():
                case = pod.next_case()
                if case is None:
                    break
                self._assign(pod, case)

    def _assign(self, pod: Pod, case: Case) -> None:
        able = [one for one in pod.free() if one.name not in case.excluded_reviewers]
        for one in able[: 2 if self._rng.random() < _RACES else 1]:
            one.turn_to(Doing.CLAIMING, case.case_id)
            self._send(case, self._judgement.claim(one.name, case))

    def _heard(self, pod: Pod, one: Specialist, case: Case) -> None:
        """The case that somebody is busy with has a new version."""
        if case.claim is None or case.claim.reviewer != one.name:
            one.turn_to(Doing.NOTHING)  # somebody else was first, or it was handed back
        elif one.doing is Doing.CLAIMING:
            one.turn_to(Doing.WORKING, case.case_id)
            self.later(self._rng.uniform(*_WORKS_S), lambda: self._finish(pod, one, case.case_id))
        elif one.doing is Doing.DECIDING:
            # The case moved on while the decision was under way: say it again.
            self._send(case, self._judgement.finish(one.name, case))

    def _finish(self, pod: Pod, one: Specialist, case_id: CaseId) -> None:
        case = pod.cases.get(case_id)
        if one.doing is not Doing.WORKING or one.case_id != case_id or case is None:
            return
        if self._rng.random() < _HANDS_BACK:
            one.turn_to(Doing.RELEASING, case_id)
            self._send(case, self._judgement.release(one.name, case))
        else:
            one.turn_to(Doing.DECIDING, case_id)
            self._send(case, self._judgement.finish(one.name, case))

    def _send(self, case: Case, event: ReviewEvent) -> None:
        self._outbox.send(REVIEWS, case.user_id, event)


def _seats(pod: str, cases_a_second: float) -> int:
    return max(_LEAST.get(pod, 2), ceil(STAFF.get(pod, 0) * cases_a_second * _CYCLE_S * _SECOND_LOOKS))
