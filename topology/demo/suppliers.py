"""Whoever is asked for evidence in the demo: appellants and the enforcing side, who mostly give it, and soon."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from schemas.records import Case, Evidence, EvidenceRequest, EvidenceSupplied, Millis, ReviewerId
from schemas.vocabulary import EvidenceSupplier
from topology.demo.clock import now_ms
from topology.demo.outbox import Outbox
from topology.demo.traffic import REVIEWS

_GIVES = 0.85
_TAKES_S = (0.5, 2.5)


class Suppliers:
    """Answers each request once, or never."""

    def __init__(self, outbox: Outbox, later: Callable[[float, Callable[[], None]], None]) -> None:
        self._outbox = outbox
        self._later = later
        self._asked: set[str] = set()

    def heard(self, case: Case) -> None:
        """The newest state of a case; what it asks for that is new is answered after a while."""
        for request in case.requests:
            if request.request_id not in self._asked:
                self._asked.add(request.request_id)
                rng = Random(request.request_id)
                if rng.random() < _GIVES:
                    self._later(rng.uniform(*_TAKES_S), self._answer(case, request))

    def _answer(self, case: Case, request: EvidenceRequest) -> Callable[[], None]:
        def act() -> None:
            evidence = [
                Evidence(evidence_id=f"{request.request_id}-{n}", kind=request.kinds[0], ref=f"evidence/{n}")
                for n in range(request.at_least)
            ]
            by_appellant = request.supplier is EvidenceSupplier.APPELLANT
            supplied = EvidenceSupplied(
                event_id=f"supplied-{request.request_id}",
                user_id=case.user_id,
                case_id=case.case_id,
                actor=ReviewerId(case.user_id if by_appellant else "evidence-desk"),
                occurred_at=Millis(now_ms()),
                supplier=request.supplier,
                evidence=evidence,
            )
            self._outbox.send(REVIEWS, case.user_id, supplied)

        return act
