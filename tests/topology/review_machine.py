"""Users, enforcement systems, reviewers and machines do random things to one world, which is checked at each step."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import event
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from schemas.records import AppealId, AppealWithdrawn, Millis, Record, UserId
from schemas.vocabulary import AckStatus, Outcome, SellerTier
from tests.topology import review_inputs as inputs
from tests.topology.appeals_world import DAY, HOUR, MINUTE, World
from tests.topology.review_acting import ENFORCEMENTS, USERS
from tests.topology.review_books import CHANGES
from tests.topology.review_erasures import Erasures, Plan, plans
from tests.topology.review_tally import Tally
from tests.topology.review_undoing import Stage
from topology.engine.transaction import Step

CHAINS = (
    ((5, None), (5, None), (8, 0), (6, 0)),
    ((5, None), (11, None), (6, 0), (4, 0)),
    ((9, None), (4, 0), (0, 1), (6, 2)),
)
"""By user, where enforcements rest on each other: contents, and the number of the one that each rests on."""
WAITS_MS = (2 * MINUTE, 25 * MINUTE, 4 * HOUR, DAY, 3 * DAY, 9 * DAY, 22 * DAY, 60 * DAY)


def _rolls(least: int, most: int) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(0, 2**16 - 1), min_size=least, max_size=most)


_day = _rolls(3, 12)
_user = st.sampled_from(USERS)
_n = st.integers(0, ENFORCEMENTS - 1)
_content = st.integers(0, len(inputs.CONTENTS) - 1)


class Histories(Erasures):
    """Random commands to one world; every step is checked as far as it can be, and the end as a whole."""

    tally: Tally

    @initialize(
        book=st.sampled_from(["strict", "strict", "strict", *CHANGES]),
        stream=st.booleans(),
        workers=st.integers(1, 2),
        batch_records=st.sampled_from([1, 2, 5, 500]),
        batch_timers=st.sampled_from([1, 3, 500]),
        cached_states=st.sampled_from([1, 1_000]),
        shuffle=st.none() | st.integers(0, 99),
        salt=st.integers(0, 2**16 - 1),
        chained=st.booleans(),
        plan=plans(),
    )
    def begin(self, *, book: str, stream: bool, salt: int, chained: bool, plan: Plan | None, **settings: Any) -> None:
        self.start(World(book, stream=stream, salt=salt, **settings))
        self.plan = plan
        for n, user in enumerate(USERS):
            for place, (content, cause) in enumerate(CHAINS[n] if chained else ((n, None),)):
                self._send(
                    inputs.enforcement(self.world, user, place, content, 1, evidence=1 + n, decider=2 * n, cause=cause)
                )
                self.versions[f"{user}-e-{place}"] = 1
            self._send(inputs.appeal(self.world, user, 0, 1, 0, 0))
        self._rest()

    # --- enforcement systems -----------------------------------------------------------------------------------

    @rule(
        user=_user,
        n=_n,
        content=_content,
        shown=st.integers(0, 9),
        decider=st.integers(0, 9),
        late=st.integers(0, 6),
        cause=st.none() | _n,
    )
    def enforce(self, user: str, n: int, content: int, shown: int, decider: int, late: int, cause: int | None) -> None:
        """Issue, or amend what is issued; now and then a version comes after a newer one, at once or later."""
        key = f"{user}-e-{n}"
        records: list[Record] = []
        for who in (decider, decider + 1)[: 1 + (late < 2)]:
            self.versions[key] = version = self.versions.get(key, 0) + 1
            records.append(
                inputs.enforcement(self.world, user, n, content, version, evidence=shown, decider=who, cause=cause)
            )
        self._send(records[-1])
        self._rest()
        if late == 0:
            self._send(records[0])
        elif late == 1:
            self.kept_back.append(records[0])
        self._rest()

    @rule(
        user=_user,
        n=_n,
        what=st.sampled_from(["late version", "late version", "lift", "lift all", "profile", "profile"]),
        reach=st.integers(0, 300_000),
    )
    def tell(self, user: str, n: int, what: str, reach: int) -> None:
        """Something else that enforcement systems say."""
        if what == "late version":
            if self.kept_back:
                self._send(self.kept_back.pop(0))
        elif what == "profile":
            tier = SellerTier.TOP_SELLER if reach % 3 == 0 else SellerTier.SELLER
            self._send(inputs.profile(self.world, user, seller_tier=tier, reach=reach))
        else:
            self._send(inputs.lift(self.world, user, n, whole=what == "lift all", returned=reach % 7))
        self._rest()

    @precondition(lambda self: self.world.history.orders if hasattr(self, "world") else False)
    @rule(
        pick=st.integers(0, 31),
        position=st.integers(0, 3),
        status=st.integers(0, 7),
        odd=st.integers(0, 15),
        money=st.integers(0, 9),
    )
    def ack(self, pick: int, position: int, status: int, odd: int, money: int) -> None:
        """A system answers one of the newest orders, or one that has been superseded."""
        order = self._ordered(pick, open_only=odd % 4 > 0)
        if order is None:
            return
        statuses = (
            AckStatus.APPLIED,
            AckStatus.FAILED_RETRYABLE,
            AckStatus.FAILED_PERMANENT,
            AckStatus.ALREADY_APPLIED,
        )
        change = {0: {"reversal_id": "no-such"}, 1: {"directive_id": "no-such"}, 2: {"system": "other"}}.get(odd, {})
        amount = inputs.moved(order.directives[position % len(order.directives)], money)
        self._send(inputs.ack(self.world, order, position, statuses[status % 4], amount=amount, **change))
        self._rest()

    @precondition(lambda self: self._money_waits() if hasattr(self, "world") else False)
    @rule(pick=st.integers(0, 31), how=st.sampled_from(inputs.MONEY_IS_WRONG))
    def move_other_money(self, pick: int, how: int) -> None:
        """A system moves another amount than it was told to."""
        waiting = self._money_waits()
        order, position = waiting[pick % len(waiting)]
        amount = inputs.moved(order.directives[position], how)
        self._send(inputs.ack(self.world, order, position, AckStatus.APPLIED, amount=amount))
        self._rest()

    @precondition(lambda self: self.world.history.orders if hasattr(self, "world") else False)
    @rule(pick=st.integers(0, 31), status=st.sampled_from([AckStatus.APPLIED, AckStatus.FAILED_PERMANENT]))
    def ack_too_late(self, pick: int, status: AckStatus) -> None:
        """A system answers a directive whose place another one has taken."""
        undone = self.world.history.undone
        late = [
            (order, position)
            for order in self.world.history.orders
            for position, directive in enumerate(order.directives)
            if undone.reversals[order.reversal_id].stage[directive.directive_id] is Stage.SUPERSEDED
        ]
        if late:
            self._send(inputs.ack(self.world, *late[-1 - pick % min(4, len(late))], status))
            self._rest()

    @precondition(lambda self: self.world.history.orders if hasattr(self, "world") else False)
    @rule(pick=st.integers(0, 31))
    def ack_all(self, pick: int) -> None:
        """A whole order is carried out."""
        order = self._ordered(pick, open_only=True)
        if order is not None:
            for position in range(len(order.directives)):
                self._send(inputs.ack(self.world, order, position, AckStatus.APPLIED))
            self._rest()

    @precondition(lambda self: self.world.history.orders if hasattr(self, "world") else False)
    @rule(pick=st.integers(0, 31), position=st.integers(0, 3), what=st.integers(0, 3), odd=st.integers(0, 5))
    def operate(self, pick: int, position: int, what: int, odd: int) -> None:
        """An operator sees to a reversal."""
        order = self._ordered(pick, open_only=odd % 4 > 0)
        if order is not None:
            self._send(inputs.command(self.world, order, position, what, odd))
            self._rest()

    @precondition(lambda self: self.world.history.undone.immunities if hasattr(self, "world") else False)
    @rule(pick=st.integers(0, 31), n=st.integers(ENFORCEMENTS, ENFORCEMENTS + 2), late=st.integers(0, 3))
    def strike_again(self, pick: int, n: int, late: int) -> None:
        """What was struck wrongly is struck again, as a rule by the same detector, and appealed against."""
        immunities = list(self.world.history.undone.immunities.values())
        immunity = immunities[pick % len(immunities)]
        user, key = immunity.user_id, f"{immunity.user_id}-e-{n}"
        version = self.versions[key] = self.versions.get(key, 0) + 1
        again = inputs.enforcement(self.world, user, n, 1, version, evidence=late, decider=0)
        again = msgspec.structs.replace(again, policy=immunity.policy, target=immunity.target)
        if late:
            self._send(again)
        else:
            self.kept_back.append(again)
        self._rest()
        self._send(inputs.appeal(self.world, user, n, 1, 0, 0))
        self._rest()

    @rule(user=_user, content=_content, decider=st.integers(0, 9), kept_back=st.booleans())
    def be_amended_before_it_was_told(self, user: str, content: int, decider: int, kept_back: bool) -> None:  # noqa: FBT001 - drawn
        """The second version of a new enforcement overtakes the first, and is appealed against meanwhile."""
        n = ENFORCEMENTS + 3
        if f"{user}-e-{n}" in self.versions:
            return
        self.versions[f"{user}-e-{n}"] = 2
        first = inputs.enforcement(self.world, user, n, content, 1, evidence=1, decider=decider)
        self._pass(MINUTE)
        self._send(inputs.enforcement(self.world, user, n, content, 2, evidence=1, decider=0))
        self._rest()
        self._send(inputs.appeal(self.world, user, n, 1, 0, 0))
        self._rest()
        if kept_back:
            self.kept_back.append(first)
        else:
            self._send(first)
            self._rest()

    @precondition(lambda self: self._gave_money_back() if hasattr(self, "world") else False)
    @rule(pick=st.integers(0, 31))
    def take_money_again(self, pick: int) -> None:
        """A new version of what was overturned takes the same as before, and is overturned too."""
        keys = self._gave_money_back()
        key = keys[pick % len(keys)]
        user, _, n = key.rpartition("-e-")
        now = self.world.history.undone.standing[user].files[key].now
        content = next(place for place, (given, _) in enumerate(inputs.CONTENTS) if given["action"] is now.action)
        version = self.versions[key] = self.versions[key] + 1
        self._send(inputs.enforcement(self.world, user, int(n), content, version, evidence=3, decider=0))
        self._rest()
        self._send(inputs.appeal(self.world, user, int(n), 1, 3, 0))
        self._rest()
        self._bring_about(key, Outcome.OVERTURNED)

    @rule(pick=st.integers(0, 31))
    def send_back(self, pick: int) -> None:
        """Reviewers give an enforcement back to whoever imposed it."""
        cases = self._cases()
        if cases:
            self._bring_about(cases[pick % len(cases)].enforcement.enforcement_id, Outcome.REMANDED)

    @precondition(lambda self: self.world.history.undone.open_remands if hasattr(self, "world") else False)
    @rule(pick=st.integers(0, 31), content=_content, what=st.sampled_from(["amend", "lift", "appeal", "appeal"]))
    def follow_a_remand(self, pick: int, content: int, what: str) -> None:
        """The enforcing side answers what was sent back to it, or the appellant does not wait for that."""
        remands = list(self.world.history.undone.open_remands.values())
        line = remands[pick % len(remands)].line
        user, key = line.user_id, str(line.enforcement_id)
        n = int(key.rpartition("-")[2])
        if what == "amend":
            version = self.versions[key] = self.versions[key] + 1
            self._send(inputs.enforcement(self.world, user, n, content, version, evidence=1, decider=pick))
        elif what == "lift":
            self._send(inputs.lift(self.world, user, n, whole=pick % 2 == 0, returned=pick))
        else:
            self._send(inputs.appeal(self.world, user, n, 1, pick % 10, 0))
            self._rest()
            self._bring_about(key, Outcome.OVERTURNED if pick % 2 else Outcome.REMANDED)
        self._rest()

    # --- appellants --------------------------------------------------------------------------------------------

    @rule(
        user=_user,
        n=_n,
        odd=st.integers(0, 15),
        shown=st.integers(0, 9),
        flags=st.integers(0, len(inputs.FLAGS) - 1),
        times=st.integers(1, 2),
    )
    def appeal(self, user: str, n: int, odd: int, shown: int, flags: int, times: int) -> None:
        for _ in range(times):
            self._send(inputs.appeal(self.world, user, n, odd, shown, flags))
        self._rest()

    @rule(user=_user, pick=st.integers(0, 31), early=st.integers(0, 4))
    def withdraw(self, user: str, pick: int, early: int) -> None:
        """Take back one of the user's appeals, or one that has not arrived yet."""
        appeals = [a.appeal_id for a in self.world.history.appeals.values() if a.user_id == user]
        appeal_id = (
            appeals[pick % len(appeals)] if appeals and early else f"{user}-a{self.world.salt}-{len(appeals) + 1}"
        )
        self._send(
            AppealWithdrawn(
                event_id=self.world.fresh("withdrawn"),
                user_id=UserId(user),
                appeal_id=AppealId(appeal_id),
                occurred_at=Millis(self.world.now),
            )
        )
        self._rest()

    # --- reviewers ---------------------------------------------------------------------------------------------

    @rule(rolls=_day, pick=st.integers(0, 31))
    def work_on(self, rolls: list[int], pick: int) -> None:
        """As `work`: this is what happens most."""
        self.work(rolls, pick)

    @rule(rolls=_day, pick=st.integers(0, 31))
    def work(self, rolls: list[int], pick: int) -> None:
        """Somebody keeps at one case, looking at it before each move."""
        cases = self._cases()
        for roll in self._rolled(rolls):
            case = self._now(cases[pick % len(cases)].case_id) if cases else None
            if case is None:
                return
            self._review(case, roll)
            self._rest()

    @rule(rolls=_rolls(1, 8))
    def work_around(self, rolls: list[int]) -> None:
        """Many people at many cases."""
        for roll in self._rolled(rolls):
            cases = self._cases()
            if cases:
                self._review(cases[roll.pick % len(cases)], roll)
                self._rest()

    @rule(rolls=_rolls(2, 5))
    def race(self, rolls: list[int]) -> None:
        """Several act at once on what all of them saw before."""
        cases = self._cases()
        for roll in self._rolled(rolls):
            if cases:
                self._review(cases[rolls[0] % len(cases)], roll)
        self._rest()

    @rule(pick=st.integers(0, 31), times=st.integers(1, 2))
    def deliver_again(self, pick: int, times: int) -> None:
        """What was sent comes once more, to the byte."""
        recent = self.sent[-12:]
        for _ in range(times):
            self._send_again(recent[pick % len(recent)])
        self._rest()

    @rule(rolls=_rolls(1, 3), wait_ms=st.sampled_from(WAITS_MS))
    def work_late(self, rolls: list[int], wait_ms: int) -> None:
        """Time passes for the reviewers, but the engine has not got round to it yet."""
        cases = self._cases()
        self.world.driver.advance(wait_ms)
        for roll in self._rolled(rolls):
            if cases:
                self._review(cases[roll.pick % len(cases)], roll)
        self._rest()

    # --- time and machines -------------------------------------------------------------------------------------

    @rule(wait_ms=st.sampled_from(WAITS_MS), times=st.integers(1, 3))
    def wait(self, wait_ms: int, times: int) -> None:
        for _ in range(times):
            self._pass(wait_ms)

    @rule(rolls=_rolls(1, 3), pick=st.integers(0, 31), which=st.integers(0, 7), after=st.booleans())
    def work_at_the_last_minute(self, rolls: list[int], pick: int, which: int, after: bool) -> None:  # noqa: FBT001
        """Just before something of a case is due, or just after, if that is to come yet."""
        cases = self._cases()
        if not cases:
            return
        case = cases[pick % len(cases)]
        moments = [case.due_at, case.promised_at, *(request.due_at for request in case.requests)]
        moments += [at.until for at in (case.claim, case.pause) if at is not None]
        wait_ms = sorted(moments)[which % len(moments)] - self.world.now + (10_000 if after else -10_000)
        if wait_ms > 0:
            self._pass(wait_ms)
        for roll in self._rolled(rolls):
            now = self._now(case.case_id)
            if now is not None:
                self._review(now, roll)
                self._rest()
        self._pass(MINUTE)

    @rule(what=st.sampled_from(["crash", "flush", "rebalance", *Step]), nth=st.integers(1, 3))
    def trouble_the_engine(self, what: str | Step, nth: int) -> None:
        """At once, or at a step of a batch to come."""
        driver = self.world.driver
        slot = sorted(driver.workers)[nth % len(driver.workers)]
        match what:
            case "crash":
                driver.crash(slot)
                driver.start(slot)
            case "flush":
                driver.store.flush()
            case "rebalance":
                driver.rebalance()
            case Step():
                driver.crash_at(what, slot, nth=nth)
        name = f"crash at step {what.value}" if isinstance(what, Step) else what
        self.trouble[f"trouble {name}"] += 1

    @rule(user=_user)
    def send_nonsense(self, user: str) -> None:
        self.world.send_nonsense(user)
        self._rest()

    # --- the end -----------------------------------------------------------------------------------------------

    def teardown(self) -> None:
        if not hasattr(self, "world") or self.world.broken:
            return  # what is broken would only break in another way
        world = self.world
        self._pass(1)
        self._pass(400 * DAY)
        undone = world.history.undone
        for _ in range(3):
            for reversal_id, undoing in undone.reversals.items():
                for key in sorted(undoing.unsettled):
                    attempts = range(undoing.attempt, 0, -1)
                    orders = (undone.orders[reversal_id, attempt] for attempt in attempts)
                    order, place = next(
                        (o, n) for o in orders for n, d in enumerate(o.directives) if d.directive_id == key
                    )
                    self._send(inputs.ack(world, order, place, AckStatus.APPLIED))
            self._rest()
        for slot in sorted(world.driver.workers):  # a flush after the last event is noticed at the next start
            world.driver.crash(slot)
            world.driver.start(slot)
        self._pass(MINUTE)
        world.check_end()
        if world.stream:
            world.check_refold(7)
            if self.plan is not None and world.book != "granting":  # there, what one is granted is another's loss
                world.check_others_untouched()
        counts = world.history.counts
        for name in counts:
            if name.startswith(("refusal", "line", "answer", "stalled", "erased", "late")):
                event(name)
        self.tally.add(world.history, self.trouble)
