"""The systems at work on a real Kafka: they do what `enforcement.events` says, obey directives, and answer each.

They answer with the manners of real systems: now and then one is busy, says nothing, or says it twice. What a system
says that it can never do, operators see to by hand.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from schemas.records import (
    Directive,
    DirectiveAcked,
    EnforcementEvent,
    EnforcementRemanded,
    Millis,
    ReversalOrdered,
    ReversalStalled,
    UserProfileUpdated,
)
from schemas.vocabulary import AckStatus, DirectiveState
from topology.demo.actors import Actor
from topology.demo.clock import now_ms
from topology.demo.outbox import Outbox
from topology.demo.reading import Arrived, Reader
from topology.demo.systems.afterwards import answered, resolved
from topology.demo.systems.manners import Deed, Manner, Manners, Shares
from topology.demo.systems.state import SystemsState
from topology.demo.systems.user import Answer
from topology.demo.traffic import ACKS, ENFORCEMENTS, REVIEWS

RESOLUTIONS = "resolution.events"

_WORKS_S = (0.03, 0.4)
_WAITS_S = 0.1
"""An order may be read before the enforcement that it is about: topics are read side by side."""
_SETTLES_S = 1.0
"""After the enforcing side has struck, its systems obey nobody for so long: what was ordered may not know of it yet.
An answer that is later than the strike by so much is read after it too, so the engine supersedes what it unsettled."""
_LOOKS_AGAIN_S = 1.0
_SHARES = Shares(broken=0.004)


class EnforcementSystems(Actor):
    """All systems in one: each directive names its own."""

    def __init__(self, reader: Reader, outbox: Outbox, *, seed: int) -> None:
        super().__init__(reader, name="demo-systems")
        self._outbox = outbox
        self._manners = Manners(seed, _SHARES)
        self._made = 0
        self._struck_s: dict[str, float] = {}
        """When the enforcing side last did something to a user, on the monotonic clock."""
        self._orders: dict[str, tuple[ReversalOrdered, Directive]] = {}
        """The newest that was heard of each directive."""
        self.state = SystemsState()
        self.in_hand: dict[str, str] = {}
        """Directives heard of and not yet answered as applied, with their reversal."""

    def receive(self, arrived: Arrived) -> None:
        """What the enforcing side did, or is asked to undo or to look at again."""
        record = arrived.record
        match record:
            case UserProfileUpdated():
                pass
            case ReversalOrdered():
                self._take(record)
            case ReversalStalled():
                self.later(_LOOKS_AGAIN_S, lambda: self._operate(record))
            case EnforcementRemanded():
                self.later(_LOOKS_AGAIN_S, lambda: self._look_again(record))
            case _ if isinstance(record, EnforcementEvent) and record.user_id == arrived.key:
                self._struck_s[record.user_id] = time.monotonic()
                self.state.hear(record, now_ms())
            case _:
                pass

    # --- directives -------------------------------------------------------------------------------------------

    def _take(self, order: ReversalOrdered) -> None:
        """Plan to work on each directive of an order, sent for the first time or again."""
        low, high = _WORKS_S
        for directive in order.directives:
            key = directive.directive_id
            self._orders[key] = order, directive
            self.in_hand[key] = order.reversal_id
            if directive.supersedes is not None:
                self.in_hand.pop(directive.supersedes, None)
            manner = self._manners.of(key, order.attempt)
            self.later(low + (high - low) * manner.delay, self._work(order, directive, manner))

    def _work(self, order: ReversalOrdered, directive: Directive, manner: Manner) -> Callable[[], None]:
        def act() -> None:
            settles_s = self._struck_s.get(order.user_id, 0.0) + _SETTLES_S - time.monotonic()
            if self.state.version(order.user_id, order.enforcement_id) < order.enforcement_version or settles_s > 0:
                self.later(max(_WAITS_S, settles_s), act)
                return
            answer = self._do(order, directive, manner.deed)
            if answer is not None:
                self._answer(order, directive, answer, manner)

        return act

    def _do(self, order: ReversalOrdered, directive: Directive, deed: Deed) -> Answer | None:
        match deed:
            case Deed.SAY_NOTHING:
                return None
            case Deed.BE_BUSY:
                return Answer(AckStatus.FAILED_RETRYABLE, "the system is busy")
            case Deed.BE_BROKEN:
                return Answer(AckStatus.FAILED_PERMANENT, "the system is broken")
            case Deed.OBEY | Deed.LOSE_ANSWER:
                answer = self.state.obey(directive, order, now_ms())
                return answer if deed is Deed.OBEY else None

    def _answer(self, order: ReversalOrdered, directive: Directive, answer: Answer, manner: Manner) -> None:
        ack = DirectiveAcked(
            event_id=self._fresh("ack"),
            user_id=order.user_id,
            reversal_id=order.reversal_id,
            directive_id=directive.directive_id,
            system=directive.system,
            status=answer.status,
            occurred_at=Millis(now_ms()),
            detail=answer.detail,
            amount=answer.amount if manner.tells_amount else None,
        )
        self._outbox.send(ACKS, order.user_id, ack)
        if manner.again is not None:
            self.later(manner.again, lambda: self._outbox.send(ACKS, order.user_id, ack))
        if answer.status in (AckStatus.APPLIED, AckStatus.ALREADY_APPLIED):
            self.in_hand.pop(directive.directive_id, None)

    # --- people -----------------------------------------------------------------------------------------------

    def _operate(self, stalled: ReversalStalled) -> None:
        """Operators do by hand what a system says that it can never do, and say so."""
        for item in stalled.directives:
            if item.state is DirectiveState.FAILED_PERMANENT and item.directive_id in self.in_hand:
                order, directive = self._orders[item.directive_id]
                self.state.settle(directive, order, now_ms())
                self._outbox.send(REVIEWS, order.user_id, resolved(self._fresh("resolved"), order, item))
                self.in_hand.pop(item.directive_id)

    def _look_again(self, remanded: EnforcementRemanded) -> None:
        """The enforcing side changes its measure or takes it back, unless it has done so already."""
        known = self.state.newest(remanded.user_id, remanded.enforcement_id)
        if known is not None and known.version == remanded.enforcement_version:
            event = answered(self._fresh("looked-again"), remanded, known)
            self._outbox.send(ENFORCEMENTS, event.user_id, event)

    def _fresh(self, prefix: str) -> str:
        self._made += 1
        return f"{prefix}-{self._made}"
