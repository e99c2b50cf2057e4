"""Users, enforcement systems, reviewers and machines do random things to one world, which is checked at each step."""

from __future__ import annotations

from collections import Counter

from hypothesis import event
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from schemas.records import AppealId, AppealWithdrawn, Case, Millis, Record, UserId
from schemas.vocabulary import AckStatus, SellerTier
from tests.topology import review_inputs as inputs
from tests.topology.appeals_world import DAY, HOUR, MINUTE, World
from tests.topology.review_books import CHANGES
from tests.topology.review_desk import Desk, Roll
from tests.topology.review_tally import Tally
from topology.engine.transaction import Step

USERS = ("u-1", "u-2", "u-3")
ENFORCEMENTS = 3
"""For each user."""
WAITS_MS = (2 * MINUTE, 25 * MINUTE, 4 * HOUR, DAY, 3 * DAY, 9 * DAY, 22 * DAY, 60 * DAY)


def _rolls(least: int, most: int) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(0, 2**16 - 1), min_size=least, max_size=most)


_day = _rolls(3, 12)
_user = st.sampled_from(USERS)
_n = st.integers(0, ENFORCEMENTS - 1)
_content = st.integers(0, len(inputs.CONTENTS) - 1)


class Histories(RuleBasedStateMachine):
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
    )
    def begin(self, book: str, stream: bool, salt: int, **settings: object) -> None:  # noqa: FBT001 - drawn
        self.world = World(book, stream=stream, salt=salt, **settings)
        self.desk = Desk(self.world.history.policy.reviewers, self.world.fresh)
        self.versions: dict[str, int] = {}
        self.kept_back: list[Record] = []
        """Versions of enforcements that arrive late, or never."""
        self.sent: list[Record] = []
        self.seen: dict[str, Case] = {}
        self.trouble: Counter[str] = Counter()
        for n, user in enumerate(USERS):
            self._send(inputs.enforcement(self.world, user, 0, n, 1, evidence=1 + n, decider=2 * n))
            self._send(inputs.appeal(self.world, user, 0, 1, 0, 0))
            self.versions[f"{user}-e-0"] = 1
        self._rest()

    # --- enforcement systems -----------------------------------------------------------------------------------

    @rule(
        user=_user, n=_n, content=_content, shown=st.integers(0, 9), decider=st.integers(0, 9), late=st.integers(0, 6)
    )
    def enforce(self, user: str, n: int, content: int, shown: int, decider: int, late: int) -> None:
        """Issue, or amend what is issued; now and then a version comes after a newer one, at once or later."""
        key = f"{user}-e-{n}"
        records: list[Record] = []
        for who in (decider, decider + 1)[: 1 + (late < 2)]:
            self.versions[key] = version = self.versions.get(key, 0) + 1
            records.append(inputs.enforcement(self.world, user, n, content, version, evidence=shown, decider=who))
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
            self._send(inputs.lift(self.world, user, n, whole=what == "lift all"))
        self._rest()

    @precondition(lambda self: self.world.history.orders if hasattr(self, "world") else False)
    @rule(pick=st.integers(0, 31), position=st.integers(0, 3), status=st.integers(0, 7), odd=st.integers(0, 9))
    def ack(self, pick: int, position: int, status: int, odd: int) -> None:
        orders = [order for order in self.world.history.orders if order.directives]
        if not orders:
            return
        order = orders[-1 - pick % min(4, len(orders))]
        statuses = (
            AckStatus.APPLIED,
            AckStatus.FAILED_RETRYABLE,
            AckStatus.FAILED_PERMANENT,
            AckStatus.ALREADY_APPLIED,
        )
        change = {0: {"reversal_id": "no-such"}, 1: {"directive_id": "no-such"}, 2: {"system": "other"}}.get(odd, {})
        self._send(inputs.ack(self.world, order, position, statuses[status % 4], **change))
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
            self._send(recent[pick % len(recent)])
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
        if not hasattr(self, "world"):
            return
        world = self.world
        self._pass(1)
        self._pass(400 * DAY)
        for _ in range(3):
            done = {record.reversal_id for record in world.history.confirmed}
            for order in world.history.orders:
                if order.attempt == 1 and order.reversal_id not in done:
                    for position in range(len(order.directives)):
                        self._send(inputs.ack(world, order, position, AckStatus.APPLIED))
            self._rest()
        for slot in sorted(world.driver.workers):  # a flush after the last event is noticed at the next start
            world.driver.crash(slot)
            world.driver.start(slot)
        self._pass(MINUTE)
        world.check_end()
        if world.stream:
            world.check_refold(7)
        counts = world.history.counts
        for name in counts:
            if name.startswith(("refusal", "line")):
                event(name)
        self.tally.add(world.history, self.trouble)

    # --- helpers -----------------------------------------------------------------------------------------------

    def _send(self, record: Record) -> None:
        self.sent.append(record)
        self.world.send(record)

    def _review(self, case: Case, roll: Roll) -> None:
        self._send(self.desk.event(case, roll, self.world.now))

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
