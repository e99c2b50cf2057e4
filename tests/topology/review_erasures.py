"""Users ask to be forgotten, legal holds come and go, and records of all kinds go on coming about who is forgotten."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import invariant

from schemas.records import (
    AppealId,
    AppealWithdrawn,
    EnforcementAmended,
    EnforcementIssued,
    LegalHoldPlaced,
    LegalHoldReleased,
    Millis,
    Record,
    UserId,
)
from schemas.vocabulary import AckStatus, Outcome
from tests.topology import review_inputs as inputs
from tests.topology.review_acting import ENFORCEMENTS, USERS, Acting
from tests.topology.review_desk import Roll
from tests.unit import builders

NOBODY = "u-4"
"""Of whom nothing is known before somebody asks that it be forgotten."""
_LATE = (
    *("copy", "copy", "old enforcement", "old enforcement", "old enforcement", "enforcement", "enforcement"),
    *("amendment", "lift", "profile", "withdrawal", "appeal", "old appeal", "review", "review", "answer", "operator"),
    *("request", "hold", "release"),
)
_BEFORE = ("place", "place", "release", "old order", "lift", "lift", "appeal", "appeal")
_ASKING = ("request", "request while held", *["request after overturning"] * 4)
_OVERTURNED = ENFORCEMENTS + 8
"""The number of an enforcement that nothing else is said about."""
_UNDOABLE = (8, 9, 1, 8)
"""Contents of which something is left to undo, and which need no more evidence for that."""


@dataclass(frozen=True)
class Plan:
    """Who is erased in a history, and what else happens to them, each with a number to choose by."""

    user: str
    after: int
    """Steps of the history before anything of it: all ends with an erasure, so mostly it comes late."""
    every: int
    """Steps between two of these."""
    moves: list[tuple[str, int]]


@st.composite
def plans(draw: st.DrawFn) -> Plan | None:
    """Mostly none. A plan of its own, as of the rules hypothesis leaves out half in most histories."""
    user = draw(st.sampled_from([*[None] * 8, *USERS, *USERS, NOBODY, NOBODY]))
    if user is None:
        return None
    numbered = st.integers(0, 31)
    before = draw(st.lists(st.tuples(st.sampled_from(_BEFORE), numbered), max_size=2))
    asked = draw(st.tuples(st.sampled_from(_ASKING), numbered))
    late = draw(st.lists(st.tuples(st.sampled_from([*_LATE, "release all"]), numbered), min_size=4, max_size=24))
    after, every = draw(st.sampled_from([4, 12, 20, 28])), draw(st.integers(1, 2))
    return Plan(user, after, every, [*before, asked, *late])


class Erasures(Acting):
    """Carries out a plan beside the rules: four moves at once, once somebody has asked."""

    plan: Plan | None = None
    steps = 0
    done = 0
    """Moves of the plan."""
    topic: str | None = None
    """The only one that was written since the engine rested; none: there was no such."""

    @invariant()
    def go_on_with_the_plan(self) -> None:
        plan = self.plan
        self.steps += 1
        if plan is None or self.steps < plan.after or self.steps % plan.every:
            return
        asked = self.world.history.forgetting[plan.user].asked
        for what, pick in plan.moves[self.done : self.done + (4 if asked else 1)]:
            self._move(what, plan.user, pick)
            self.done += 1
        self._rest()

    def _move(self, what: str, user: str, pick: int) -> None:
        holds = sorted(self.world.history.forgetting[user].holds)
        match what:
            case "place":
                self._come("hold", user, pick)
            case "old order":
                orders = [one for one in self.sent if isinstance(one, LegalHoldPlaced | LegalHoldReleased)]
                if orders:
                    self._put(orders[pick % len(orders)], again=True)
            case "release all":
                for hold in holds:
                    self._put(self._release(user, hold))
            case "request while held":
                self._come("hold", user, pick)
                self._come("request", user, pick)
            case "request after overturning":
                self._overturn(user, pick)
                self._come("request", user, pick)
            case _:
                self._come(what, user, pick)

    def _overturn(self, user: str, pick: int) -> None:
        """Something new is imposed, appealed against and overturned, and its systems have not answered yet.

        Before that, another enforcement was taken back.
        """
        if pick % 2:
            self._put(self._enforcement(user, _OVERTURNED + 1, 8))
            self._put(inputs.lift(self.world, user, _OVERTURNED + 1, whole=True))
        key = f"{user}-e-{_OVERTURNED}"
        self.versions[key] = version = self.versions.get(key, 0) + 1
        content = _UNDOABLE[pick % len(_UNDOABLE)]
        self._put(inputs.enforcement(self.world, user, _OVERTURNED, content, version, evidence=3, decider=0))
        self._put(inputs.appeal(self.world, user, _OVERTURNED, 1, 3, 0))
        self._rest()
        self._bring_about(key, Outcome.OVERTURNED)

    def _come(self, what: str, user: str, pick: int) -> None:
        theirs = [one for one in self.sent if one.user_id == user]  # type: ignore[attr-defined]
        if what == "old enforcement":
            theirs = [one for one in theirs if isinstance(one, EnforcementIssued | EnforcementAmended)]
        copy = what in ("copy", "old enforcement") and theirs
        record = theirs[-1 - pick % len(theirs)] if copy else self._late(what, user, pick)
        if record is not None:
            self._put(record, again=bool(copy))

    def _put(self, record: Record, *, again: bool = False) -> None:
        """Send it, at rest if another topic was written before: in which order those are read is the reader's."""
        topic = self.world.topic_of(record)
        if topic != self.topic:
            self._rest()
        self.topic = topic
        (self._send_again if again else self._send)(record)

    def _rest(self) -> None:
        super()._rest()
        self.topic = None

    def _late(self, what: str, user: str, pick: int) -> Record | None:
        """What somebody sends about the user; none: there is nothing of the kind to send."""
        world, n = self.world, pick % ENFORCEMENTS
        makers: dict[str, Callable[[], Record | None]] = {
            "request": lambda: builders.an_erasure(**self._about("erasure", user)),
            "hold": lambda: self._hold(user, f"h-{pick % 3}"),
            "release": lambda: self._release(user, f"h-{pick % 3}"),
            "enforcement": lambda: self._enforcement(user, n + (ENFORCEMENTS + 4) * (pick % 2), pick),
            "amendment": lambda: self._enforcement(user, n, pick),
            "lift": lambda: inputs.lift(world, user, n, whole=pick % 2 == 0, returned=pick),
            "profile": lambda: inputs.profile(world, user, reach=pick),
            "withdrawal": lambda: self._withdrawal(user, pick),
            "appeal": lambda: inputs.appeal(world, user, n, 4 if pick % 2 else 1, pick, 0),
            "old appeal": lambda: inputs.appeal(world, user, n, 5, pick, 0),
            "review": lambda: self._review_of(user, pick),
            "answer": lambda: self._about_an_order(user, pick, operator=False),
            "operator": lambda: self._about_an_order(user, pick, operator=True),
        }
        return makers.get(what, lambda: None)()

    def _enforcement(self, user: str, n: int, pick: int) -> Record:
        """The next version of one, which may rest on another."""
        key = f"{user}-e-{n}"
        self.versions[key] = version = self.versions.get(key, 0) + 1
        content, cause = pick % len(inputs.CONTENTS), pick % 3 if pick % 4 else None
        return inputs.enforcement(self.world, user, n, content, version, evidence=pick, decider=pick, cause=cause)

    def _withdrawal(self, user: str, pick: int) -> Record:
        appeals = [key for key, one in self.world.history.appeals.items() if one.user_id == user]
        appeal_id = appeals[pick % len(appeals)] if appeals else f"{user}-a"
        return AppealWithdrawn(**self._about("withdrawn", user), appeal_id=AppealId(appeal_id))

    def _review_of(self, user: str, pick: int) -> Record | None:
        """What somebody does about a case, open or not, as it was last on its pod."""
        cases = [case for case in self.world.history.newest.values() if case.user_id == user]
        roll = Roll.of([pick], self.world.salt)[0]
        return self.desk.event(cases[pick % len(cases)], roll, self.world.now) if cases else None

    def _about_an_order(self, user: str, pick: int, *, operator: bool) -> Record | None:
        """A system answers an order, or an operator sees to it."""
        order = self._ordered(pick, open_only=False, user=user)
        if order is None:
            return None
        if operator:
            return inputs.command(self.world, order, pick, pick % 4, pick % 6)
        return inputs.ack(self.world, order, pick, AckStatus.FAILED_PERMANENT if pick % 4 == 0 else AckStatus.APPLIED)

    def _about(self, prefix: str, user: str) -> dict[str, Any]:
        now = Millis(self.world.now)
        return {"event_id": self.world.fresh(prefix), "user_id": UserId(user), "occurred_at": now}

    def _hold(self, user: str, hold: str) -> LegalHoldPlaced:
        return builders.a_legal_hold(self.world.now, hold, **self._about("hold", user))

    def _release(self, user: str, hold: str) -> LegalHoldReleased:
        return builders.a_hold_release(self.world.now, hold, **self._about("release", user))
