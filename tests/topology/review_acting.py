"""What all rules of the machine act with: one world, who works at its desk, what was sent, what is open now."""

from __future__ import annotations

from collections import Counter

from hypothesis.stateful import RuleBasedStateMachine

from schemas.records import Case, Record, ReversalOrdered
from schemas.vocabulary import Outcome
from tests.topology import review_inputs as inputs
from tests.topology.appeals_world import World
from tests.topology.review_desk import Desk, Roll
from tests.topology.review_texts import planted

USERS = ("u-1", "u-2", "u-3")
ENFORCEMENTS = 4
"""For each user."""


class Acting(RuleBasedStateMachine):
    """No rules; `start` before any of them."""

    world: World

    def start(self, world: World) -> None:
        self.world = world
        self.desk = Desk(world.history.policy.reviewers, world.fresh)
        self.versions: dict[str, int] = {}
        self.kept_back: list[Record] = []
        """Versions of enforcements that arrive late, or never."""
        self.sent: list[Record] = []
        self.seen: dict[str, Case] = {}
        self.trouble: Counter[str] = Counter()

    def _send(self, record: Record) -> None:
        """Write it, with a word in each of its texts that is nowhere else."""
        record = planted(record, self.world.fresh)
        self.sent.append(record)
        self.world.send(record)

    def _send_again(self, record: Record) -> None:
        """Write what was sent once more, to the byte."""
        self.world.send(record)

    def _ordered(self, pick: int, *, open_only: bool, user: str | None = None) -> ReversalOrdered | None:
        """One of the newest orders, of this user if one is named, of a reversal that runs if that is wanted and is."""
        undone = self.world.history.undone
        orders = [each for each in self.world.history.orders if each.directives and user in (None, each.user_id)]
        running = [order for order in orders if undone.reversals[order.reversal_id].unsettled]
        orders = running if running and open_only else orders
        return orders[-1 - pick % min(6, len(orders))] if orders else None

    def _review(self, case: Case, roll: Roll) -> None:
        self._send(self.desk.event(case, roll, self.world.now))

    def _gave_money_back(self) -> list[str]:
        """Enforcements whose money a reversal has ordered back."""
        orders = self.world.history.orders
        return [o.enforcement_id for o in orders if o.attempt == 1 and any(d.amount for d in o.directives)]

    def _money_waits(self) -> list[tuple[ReversalOrdered, int]]:
        """Open directives about money, by order and position."""
        undone = self.world.history.undone
        return [
            (order, position)
            for order in self.world.history.orders
            if undone.reversals[order.reversal_id].unsettled
            for position, directive in enumerate(order.directives)
            if directive.amount is not None and directive.directive_id in undone.reversals[order.reversal_id].unsettled
        ]

    def _bring_about(self, enforcement_id: str, outcome: Outcome) -> None:
        """Reviewers do nothing but decide the case on this enforcement so, as far as its evidence allows."""
        for _ in range(4):
            cases = [c for c in self._cases() if c.enforcement.enforcement_id == enforcement_id]
            if cases:
                self._send(self.desk.next_for(cases[0], outcome, self.world.now))
                self._rest()

    def _rolled(self, numbers: list[int]) -> list[Roll]:
        return Roll.of(numbers, self.world.salt)

    def _cases(self) -> list[Case]:
        return sorted(self.world.history.on_pods.values(), key=lambda case: case.case_id)

    def _now(self, case_id: str) -> Case | None:
        return next((case for case in self.world.history.on_pods.values() if case.case_id == case_id), None)

    def _pass(self, wait_ms: int) -> None:
        """Let time pass; by stream time it passes only where something is written."""
        self.world.driver.advance(wait_ms)
        if self.world.stream:
            for user in USERS:
                self.world.send(inputs.profile(self.world, user))
        self._rest()

    def _rest(self) -> None:
        self.world.rest()
        now_open = {case.case_id: case for case in self.world.history.on_pods.values()}
        self.desk.gone += [case for case_id, case in self.seen.items() if case_id not in now_open]
        self.seen = now_open
