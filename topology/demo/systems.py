"""Simulated enforcement systems: they take directives from `resolution.events`, make them true, and answer each.

Now and then one cannot at first and says so (the engine sends the directive again), and now and then an answer goes
out twice. A directive that was applied already is answered as such: its key is known.
"""

from __future__ import annotations

from random import Random

from schemas.records import Directive, DirectiveAcked, Millis, ReversalOrdered
from schemas.vocabulary import AckStatus
from topology.demo.actors import Actor
from topology.demo.clock import now_ms
from topology.demo.outbox import Outbox
from topology.demo.reading import Arrived, Reader
from topology.demo.traffic import ACKS

RESOLUTIONS = "resolution.events"

_FAILS_FIRST = 0.06
_ANSWERS_TWICE = 0.04
_WORKS_S = (0.03, 0.4)


class EnforcementSystems(Actor):
    """All systems in one: each directive names its own."""

    def __init__(self, reader: Reader, outbox: Outbox, *, seed: int) -> None:
        super().__init__(reader, name="demo-systems")
        self._outbox = outbox
        self._rng = Random(f"{seed} systems")
        self._applied: set[str] = set()
        self._answers = 0
        self.in_hand: dict[str, str] = {}
        """Directives heard of and not yet answered as applied, with their reversal."""

    def receive(self, arrived: Arrived) -> None:
        """Take the directives of an order; those of an order sent again too."""
        order = arrived.record
        if not isinstance(order, ReversalOrdered):
            return
        for directive in order.directives:
            if directive.directive_id not in self._applied:
                self.in_hand[directive.directive_id] = order.reversal_id
            self.later(self._rng.uniform(*_WORKS_S), self._work(order, directive))

    def _work(self, order: ReversalOrdered, directive: Directive):  # noqa: ANN202 - a planned act
        def act() -> None:
            if directive.directive_id in self._applied:
                self._answer(order, directive, AckStatus.ALREADY_APPLIED)
            elif order.attempt == 1 and self._rng.random() < _FAILS_FIRST:
                self._answer(order, directive, AckStatus.FAILED_RETRYABLE)
            else:
                self._applied.add(directive.directive_id)
                self._answer(order, directive, AckStatus.APPLIED)
                self.in_hand.pop(directive.directive_id, None)

        return act

    def _answer(self, order: ReversalOrdered, directive: Directive, status: AckStatus) -> None:
        self._answers += 1
        ack = DirectiveAcked(
            event_id=f"ack-{directive.directive_id}-{self._answers}",
            user_id=order.user_id,
            reversal_id=order.reversal_id,
            directive_id=directive.directive_id,
            system=directive.system,
            status=status,
            occurred_at=Millis(now_ms()),
            detail="the system was busy" if status is AckStatus.FAILED_RETRYABLE else None,
        )
        self._outbox.send(ACKS, order.user_id, ack)
        if self._rng.random() < _ANSWERS_TWICE:
            self._outbox.send(ACKS, order.user_id, ack)
