"""One installation with the reference systems attached: people, systems and machines do random things, drawn by a seed.

The engine is the real one on its in-memory twin; the systems are the demo's. Everything is written at a time of its
own and judged by stream time, so the order of what happened is known to the millisecond.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Callable
from decimal import Decimal

from msgspec import structs

from schemas.records import (
    Case,
    CaseClaimed,
    CaseEvent,
    DecisionProposed,
    Detector,
    Directive,
    DirectiveAcked,
    DirectiveResolved,
    EnforcementAmended,
    EnforcementEvent,
    EnforcementId,
    EnforcementIssued,
    EnforcementLifted,
    EnforcementRemanded,
    Lesser,
    Millis,
    Money,
    Record,
    RemedyApproved,
    RemedyProposed,
    RemedyReported,
    ReversalConfirmed,
    ReversalOrdered,
    ReversalRetried,
    ReversalStalled,
    ReviewerId,
    Target,
    UserId,
)
from schemas.vocabulary import (
    AckStatus,
    Action,
    CaseEventKind,
    EffectKind,
    Outcome,
    RemedyState,
    TargetKind,
)
from tests.driver import START_MS, Driver
from tests.topology.appeals_world import PARTITIONS, REGISTER, codec
from tests.unit import builders
from tests.unit.reference_orders import a_measure
from topology.appeals import REMEDIES, State, appeals_app
from topology.demo.systems import Deed, Manners, Shares, SystemsState, verdicts_of, woven
from topology.demo.systems.truth import Chapter
from topology.engine.definition import ClockKind
from topology.engine.transaction import Step

MINUTE, HOUR, DAY = builders.MINUTE, builders.HOUR, builders.DAY
USERS = tuple(UserId(f"u-{n}") for n in range(1, 5))
ROUGH = Shares(busy=0.25, broken=0.08, silent=0.1, lost=0.1, twice=0.15, tells_amount=0.5, longest_busy=3)
SLOWEST_MS = 40 * MINUTE
"""What a system takes for a directive at most; the engine sends again after a quarter of an hour."""
STEPS = (Step.PRODUCE, Step.OFFSETS, Step.COMMIT, Step.APPLY)
_K = EffectKind
_INPUTS = {cls: topic.name for topic in REGISTER.inputs for cls in topic.allowed}
_STRUCK = {
    TargetKind.ACCOUNT: (
        (Action.WARNING, (_K.STRIKES,)),
        (Action.SUSPENSION, (_K.ACCOUNT_STATUS, _K.STRIKES)),
        (Action.SUSPENSION, (_K.ACCOUNT_STATUS, _K.SELLING_STATUS)),
        (Action.INTERIM_SUSPENSION, (_K.ACCOUNT_STATUS,)),
        (Action.FEATURE_RESTRICTION, (_K.FEATURE_STATUS, _K.STRIKES)),
        (Action.SELLING_REVOKED, (_K.SELLING_STATUS,)),
        (Action.BAN, (_K.ACCOUNT_STATUS, _K.SELLING_STATUS, _K.VISIBILITY)),
        (Action.COMMISSION_INCREASE, (_K.COMMISSION_RATE,)),
    ),
    TargetKind.LISTING: (
        (Action.REDUCED_DISCOVERABILITY, (_K.VISIBILITY,)),
        (Action.CONTENT_LABEL, (_K.LABEL,)),
        (Action.CONTENT_REMOVAL, (_K.CONTENT_STATUS, _K.VISIBILITY, _K.STRIKES)),
        (Action.CONTENT_REMOVAL, (_K.CONTENT_STATUS, _K.STRIKES)),
    ),
    TargetKind.PAYOUT: (
        (Action.FEE, (_K.MONEY_TAKEN,)),
        (Action.PAYOUT_HOLD, (_K.PAYOUT_STATUS,)),
        (Action.PAYOUT_LOSS, (_K.MONEY_TAKEN, _K.STRIKES)),
    ),
}
_MILDER = {
    Action.SUSPENSION: (Action.SUSPENSION, Action.FEATURE_RESTRICTION, Action.WARNING),
    Action.INTERIM_SUSPENSION: (Action.SUSPENSION,),
    Action.FEATURE_RESTRICTION: (Action.FEATURE_RESTRICTION, Action.WARNING),
    Action.SELLING_REVOKED: (Action.SUSPENSION, Action.FEATURE_RESTRICTION),
    Action.BAN: (Action.SELLING_REVOKED, Action.SUSPENSION, Action.WARNING),
    Action.CONTENT_REMOVAL: (Action.CONTENT_LABEL, Action.REDUCED_DISCOVERABILITY),
    Action.REDUCED_DISCOVERABILITY: (Action.REDUCED_DISCOVERABILITY,),
    Action.FEE: (Action.FEE, Action.WARNING),
    Action.PAYOUT_HOLD: (Action.PAYOUT_HOLD, Action.WARNING),
    Action.PAYOUT_LOSS: (Action.FEE, Action.PAYOUT_LOSS),
}
AT_ONCE = frozenset({Action.WARNING, Action.FEE, Action.PAYOUT_LOSS})
"""Neither an end nor a place makes them milder."""
SOUND, MISFIRING = (Detector(name="fake-finder", version=version) for version in "78")
MONEY = ("EUR", 2), ("EUR", 2), ("JPY", 0), ("KWD", 3)
"""Currencies, and the digits of each; an enforcement keeps to one."""
KEEPS_MONEY = frozenset({Action.FEE, Action.PAYOUT_HOLD, Action.PAYOUT_LOSS})
Version = EnforcementIssued | EnforcementAmended


class Installation:
    """The world of one seed. `act` does the next random thing; `come_to_rest` lets everything be undone."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.state = SystemsState()
        self.manners = Manners(seed, ROUGH)
        self.events: dict[str, list[EnforcementEvent]] = {user: [] for user in USERS}
        self.newest: dict[EnforcementId, Version] = {}
        self.lifted: set[EnforcementId] = set()
        self.cases: dict[tuple[str, str], Case] = {}
        self.orders: list[ReversalOrdered] = []
        self.directives: dict[str, tuple[ReversalOrdered, Directive]] = {}
        """The newest order that each was sent with."""
        self.first: dict[tuple[str, int], ReversalOrdered] = {}
        """The first order of each reversal, by its id and the version that it reverses."""
        self.confirmed: Counter[str] = Counter()
        self.lines: list[CaseEvent] = []
        self.refused: list[tuple[ReversalOrdered, Directive, str]] = []
        """Directives that the state itself refused, whatever the manners."""
        self.reached: Counter[str] = Counter()
        """What happened how often."""
        self.remedies: dict[str, int] = {}
        """By id, when it was proposed (UTC ms): the cohort is what the misfiring version had done by then."""
        self.remedied: dict[tuple[str, int], RemedyState] = {}
        """By id and partition, what was reported last."""
        self._plans: list[tuple[int, int, Callable[[], None]]] = []
        self._numbers: Counter[str] = Counter()
        self._struck_unread = False
        self._positions: dict[tuple[str, int], int] = {}
        self.driver: Driver[State] = Driver(
            appeals_app(
                name="appeals",
                register=REGISTER,
                codec=codec(),
                rulebook=builders.a_rulebook(second_review=None, evidence=[], automation=[]),
            ),
            partitions=PARTITIONS,
            workers=self.dice.choice([1, 1, 2]),
            start_ms=START_MS,
            clock=ClockKind.STREAM,
            align_s=1e12,
            dead_letters_in_a_row=100_000,
            dead_letter_share=1.0,
            renewals_in_a_row=1_000,
            batch_records=self.dice.choice([1, 3, 500]),
            cached_states=self.dice.choice([1, 1_000]),
        )
        for user in USERS:
            self._enforce(user)

    @property
    def now(self) -> int:
        """UTC ms."""
        return self.driver.clock.now_ms()

    # --- what can happen --------------------------------------------------------------------------------------

    def act(self) -> None:
        """One random thing; mostly the engine hears of it at once, sometimes later."""
        moves: list[tuple[int, Callable[[], None]]] = [
            (7, lambda: self._enforce(self.dice.choice(USERS))),
            (4, self._amend),
            (3, self._lift),
            (9, self._appeal),
            (10, self._decide),
            (9, lambda: self.pass_time(self.dice.choice([MINUTE, 10 * MINUTE, HOUR, 8 * HOUR, DAY]))),
            (1, self._remedy),
            (2, self._crash),
            (1, self.driver.store.flush),
            (1, self.driver.rebalance),
        ]
        self.dice.choices([move for _, move in moves], [weight for weight, _ in moves])[0]()
        if self.dice.random() < 0.7:
            self.run()

    def run(self) -> None:
        """Let the engine come to rest and everybody read what it says."""
        self.driver.run()
        self._struck_unread = False
        self._read()

    def pass_time(self, ms: int) -> None:
        """Time passes for everybody: the systems work, and the engine's clock moves as something is sent."""
        until = self.now + ms
        while self._plans and self._plans[0][0] <= until:
            if self._struck_unread:
                # A worker that stands still for hours and finds a measure and a later answer side by side may read the
                # answer first: it knew the other topic to be read to its end. It has read the measure by then here.
                self.run()
            at, _, plan = heapq.heappop(self._plans)
            self.driver.advance(max(0, at - self.now))
            plan()
        self.driver.advance(max(0, until - self.now))
        for user in USERS:  # any word from each partition is enough, and users share them
            self.send(builders.a_profile(self.now, event_id=self.fresh("profile"), user_id=user))

    def come_to_rest(self) -> bool:
        """Nothing goes wrong any more, and operators see to what is stuck; true once all reversals are confirmed."""
        self.manners = self.manners.calm()
        for _ in range(200):
            self.run()
            if not self._plans and not self.unconfirmed and not self.unremedied:
                return True
            self.pass_time(6 * HOUR)
        return False

    @property
    def unconfirmed(self) -> set[str]:
        """Reversals that were ordered and are not confirmed."""
        return {reversal_id for reversal_id, _ in self.first} - self.confirmed.keys()

    @property
    def unremedied(self) -> list[tuple[str, int]]:
        """Remedies, with the partition, that have not come to their end."""
        places = [(remedy_id, partition) for remedy_id in self.remedies for partition in range(PARTITIONS)]
        return [place for place in places if self.remedied.get(place) is not RemedyState.DONE]

    def history(self, user: str) -> list[Chapter]:
        """What was done to this user and decided about it, in order."""
        return woven(self.events[user], verdicts_of(o for o in self.first.values() if o.user_id == user))

    # --- the enforcing side -----------------------------------------------------------------------------------

    def _enforce(self, user: UserId) -> None:
        key = self.fresh(f"{user}-e")
        content = self._content(key)
        mine = [k for k, e in self.newest.items() if e.user_id == user and e.strikes]
        cause = None
        if mine and content["action"] in (Action.SUSPENSION, Action.BAN, Action.SELLING_REVOKED):
            cause = self.dice.choice([None, *mine])
        self._say(self._measure(user, EnforcementId(key), content, caused_by=cause))
        self.reached["caused_by"] += cause is not None

    def _amend(self) -> None:
        e = self._some()
        if e is not None:
            self._amend_this(e)

    def _amend_this(self, e: Version) -> None:
        """Mostly the same with other figures, sometimes something else entirely."""
        content = self._content(e.enforcement_id)
        if self.dice.random() < 0.7:
            content |= {"action": e.action, "target": e.target, "kinds": [effect.kind for effect in e.effects]}
            content["taken"] = self._amount(e.enforcement_id) if any(effect.amount for effect in e.effects) else None
            content["strikes"] = self.dice.randint(0, 2) if _K.STRIKES in content["kinds"] else 0
        version = e.version + 1
        like = self._measure(e.user_id, e.enforcement_id, content)
        if any(
            isinstance(said, EnforcementLifted) and said.enforcement_id == e.enforcement_id
            for said in self.events[e.user_id]
        ):
            # What takes money anew says so by a new name: under the old one, what is on its way back would mix with it.
            effects = [
                structs.replace(effect, effect_id=f"{effect.effect_id}-{version}") if effect.amount else effect
                for effect in like.effects
            ]
            like = structs.replace(like, effects=effects)
        about = {name: getattr(like, name) for name in EnforcementAmended.__struct_fields__ if hasattr(like, name)}
        about |= {"event_id": self.fresh("amended"), "version": version, "reason": "review"}
        self._say(EnforcementAmended(**about, occurred_at=Millis(self.now)))
        self.reached["amended while it runs"] += self._runs(e.enforcement_id)

    def _lift(self) -> None:
        e = self._some()
        if e is not None:
            self._lift_this(e)

    def _lift_this(self, e: Version) -> None:
        back = self.dice.choice([None, None, self._share(e, 1), self._share(e, Decimal("0.5"))])
        self._say(
            builders.a_lift(
                self.now,
                e.enforcement_id,
                event_id=self.fresh("lift"),
                user_id=e.user_id,
                strikes_expunged=self.dice.random() < 0.5,
                amount_returned=back,
            )
        )
        self.reached["lifted while it runs"] += self._runs(e.enforcement_id)

    def _say(self, event: EnforcementEvent) -> None:
        """Do it, and tell the engine."""
        self._struck_unread = True
        self.send(event)
        event = structs.replace(
            event, **{"issued_at" if isinstance(event, EnforcementIssued) else "occurred_at": self.now}
        )
        self.events[event.user_id].append(event)
        self.state.hear(event, self.now)
        if isinstance(event, Version):
            self.newest[event.enforcement_id] = event
            self.lifted.discard(event.enforcement_id)
        elif isinstance(event, EnforcementLifted):
            self.lifted.add(event.enforcement_id)

    def _content(self, key: str) -> dict:
        kind = self.dice.choice([TargetKind.ACCOUNT, TargetKind.ACCOUNT, TargetKind.LISTING, TargetKind.PAYOUT])
        action, kinds = self.dice.choice(_STRUCK[kind])
        lasts = self.dice.choice([None, None, 6 * HOUR, 3 * DAY, 30 * DAY])
        return {
            "action": action,
            "kinds": kinds,
            "target": Target(kind=kind, id=f"{kind}-{self.dice.randrange(1, 3)}"),
            "ends_at": None if lasts is None else Millis(self.now + lasts),
            "scope": self.dice.choice([[], [], ["DE"], ["DE", "FR"]]),
            "strikes": self.dice.choice([1, 1, 2]) if _K.STRIKES in kinds else 0,
            "taken": self._amount(key) if {_K.MONEY_TAKEN, _K.PAYOUT_STATUS} & set(kinds) else None,
            "detector": self.dice.choice([SOUND, SOUND, MISFIRING]),
        }

    def _measure(self, user: UserId, key: EnforcementId, content: dict, **change: object) -> EnforcementIssued:
        target = content["target"]
        if target.kind is TargetKind.ACCOUNT:
            target = structs.replace(target, id=user)
        about = {name: value for name, value in content.items() if name not in ("action", "kinds")}
        about |= {"event_id": self.fresh("issued"), "user_id": user, "target": target, "amount": content["taken"]}
        return a_measure(key, content["action"], *content["kinds"], at=self.now, **about, **change)

    def _amount(self, key: str) -> Money:
        currency, digits = _money_of(key)
        return Money(value=Decimal(self.dice.randrange(100, 20_000)).scaleb(-digits), currency=currency)

    def _share(self, e: Version, part: Decimal | int) -> Money | None:
        """Of what is away because of it, this part; none if that is nothing."""
        currency, digits = _money_of(e.enforcement_id)
        away = self.state.view(e.user_id, self.now).money.get((e.enforcement_id, currency), Decimal(0))
        value = (away * part).quantize(Decimal(1).scaleb(-digits))
        return Money(value=value, currency=currency) if value else None

    # --- appellants and specialists ---------------------------------------------------------------------------

    def _appeal(self) -> None:
        e = self._some()
        if e is None:
            return
        appeal = builders.an_appeal(
            self.now,
            self.fresh(f"{e.user_id}-a"),
            event_id=self.fresh("appeal"),
            user_id=e.user_id,
            appellant_id=e.user_id,
            enforcement_id=e.enforcement_id,
        )
        self.send(appeal)

    def _decide(self) -> None:
        """Somebody claims a case and decides it at once."""
        open_cases = [case for case in self.cases.values() if case.claim is None]
        if not open_cases:
            return
        case = self.dice.choice(sorted(open_cases, key=lambda c: c.case_id))
        who = next(name for name in (f"r-{n}" for n in range(1, 9)) if name not in case.excluded_reviewers)
        about = {"user_id": case.user_id, "case_id": case.case_id, "actor": ReviewerId(who)}
        self.send(
            CaseClaimed(
                **about, event_id=self.fresh("claim"), expected_version=case.version, occurred_at=Millis(self.now)
            )
        )
        outcome, change = self._outcome(self.newest[case.enforcement.enforcement_id])
        self.send(
            DecisionProposed(
                **about,
                event_id=self.fresh("decision"),
                expected_version=case.version + 1,
                occurred_at=Millis(self.now),
                outcome=outcome,
                reasons_ref="s3://reasons/1",
                policy_version="2025-03",
                **change,
            )
        )
        self.cases.pop((case.pod, case.case_id), None)

    def _outcome(self, e: Version) -> tuple[Outcome, dict]:
        draw = self.dice.random()
        if draw < 0.15:
            return Outcome.UPHELD, {}
        if draw < 0.25:
            return Outcome.REMANDED, {"guidance_ref": "s3://guidance/1"}
        if draw < 0.6 and e.action in _MILDER:
            return Outcome.MODIFIED, {"lesser": self._lesser(e)}
        return Outcome.OVERTURNED, {}

    def _lesser(self, e: Version) -> Lesser:
        action = self.dice.choice(_MILDER[e.action])
        kept = self._share(e, Decimal(self.dice.choice([0, 1, 2, 3])) / 4)
        sooner = Millis(self.now + self.dice.choice([5 * HOUR, 2 * DAY]))
        once = action in AT_ONCE
        return Lesser(
            action=action,
            ends_at=e.ends_at if once else sooner if e.ends_at is None else Millis(min(e.ends_at, sooner)),
            scope=e.scope if once else e.scope[:1] or self.dice.choice([[], ["DE"]]),
            amount=kept if action in KEEPS_MONEY else None,
            strikes=self.dice.randint(0, e.strikes),
        )

    # --- a whole cohort ---------------------------------------------------------------------------------------

    def _remedy(self) -> None:
        """Somebody proposes to reverse what the misfiring version did, and two others approve; slowly or at once."""
        if self.unremedied:
            return
        remedy_id = self.fresh("remedy")
        self.remedies[remedy_id] = self.now
        about = {"remedy_id": remedy_id, "partitions": PARTITIONS, "occurred_at": Millis(self.now)}
        proposed = {
            "reason": "it takes brand owners for fakes",
            "detector": MISFIRING,
            "issued_from": Millis(START_MS - DAY),
            "issued_until": Millis(self.now + 1),
            "per_second": self.dice.choice([1, 1_000]),
        }
        for partition in range(PARTITIONS):
            here = about | {"partition": partition}
            self._command(RemedyProposed(**here, **proposed, event_id=f"{remedy_id}-p", actor=ReviewerId("olga")))
            for actor in ("paul", "quinn"):
                approved = {"event_id": f"{remedy_id}-{actor}", "enforcements": 7, "actor": ReviewerId(actor)}
                self._command(RemedyApproved(**here, **approved))

    def _command(self, record: RemedyProposed | RemedyApproved) -> None:
        self.driver.advance(1)
        value = codec().encode(record, REMEDIES)
        self.driver.send(REMEDIES, record.remedy_id, value, partition=record.partition)

    # --- systems and operators --------------------------------------------------------------------------------

    def _take(self, order: ReversalOrdered) -> None:
        self.orders.append(order)
        self.first.setdefault((order.reversal_id, order.enforcement_version), order)
        if order.attempt == 1:
            self.reached[f"{order.cause} {order.outcome}"] += 1
            self.reached["undone again"] += any(
                o.enforcement_id == order.enforcement_id and o.enforcement_version < order.enforcement_version
                for o in self.first.values()
            )
        for directive in order.directives:
            self.directives[directive.directive_id] = order, directive
            self.reached["superseded"] += directive.supersedes is not None
            manner = self.manners.of(directive.directive_id, order.attempt)
            self._later(int(SLOWEST_MS * manner.delay), self._work(order, directive))

    def _work(self, order: ReversalOrdered, directive: Directive) -> Callable[[], None]:
        manner = self.manners.of(directive.directive_id, order.attempt)

        def act() -> None:
            status, detail, amount = AckStatus.FAILED_RETRYABLE, "busy", None
            if manner.deed is Deed.BE_BROKEN:
                status = AckStatus.FAILED_PERMANENT
            elif manner.deed in (Deed.OBEY, Deed.LOSE_ANSWER):
                answer = self.state.obey(directive, order, self.now)
                status, detail, amount = answer.status, answer.detail, answer.amount
                if status is AckStatus.FAILED_PERMANENT:
                    self.refused.append((order, directive, detail or ""))
            self.reached[manner.deed.name] += 1
            if manner.deed in (Deed.SAY_NOTHING, Deed.LOSE_ANSWER):
                return
            ack = DirectiveAcked(
                event_id=self.fresh("ack"),
                user_id=order.user_id,
                reversal_id=order.reversal_id,
                directive_id=directive.directive_id,
                system=directive.system,
                status=status,
                occurred_at=Millis(self.now),
                detail=detail,
                amount=amount if manner.tells_amount else None,
            )
            self.send(ack)
            if manner.again is not None:
                self._later(int(SLOWEST_MS * manner.again), lambda: self.send(ack))

        return act

    def _stalled(self, stalled: ReversalStalled) -> None:
        """Operators see to it after a while: they have it sent again, or do by hand what no system can."""
        self.reached[f"stalled: {stalled.reason}"] += 1

        def act() -> None:
            about = {"user_id": stalled.user_id, "reversal_id": stalled.reversal_id, "actor": ReviewerId("ops-1")}
            about |= {"occurred_at": Millis(self.now), "reason": "ticket 7"}
            for item in stalled.directives:
                if item.detail is not None and item.detail != "busy":  # the state refuses: sending again is no use
                    order, directive = self.directives[item.directive_id]
                    self.state.settle(directive, order, self.now)
                    resolved = {"event_id": self.fresh("resolved"), "directive_id": item.directive_id}
                    self.send(DirectiveResolved(**about, **resolved))
                    self.reached["resolved"] += 1
            self.send(ReversalRetried(**about, event_id=self.fresh("retried")))

        self._later(self.dice.choice([MINUTE, 5 * HOUR]), act)

    def _remanded(self, remanded: EnforcementRemanded) -> None:
        def act() -> None:
            e = self.newest[remanded.enforcement_id]
            if e.version == remanded.enforcement_version and e.enforcement_id not in self.lifted:
                self.dice.choice([self._amend_this, self._lift_this])(e)

        self._later(self.dice.choice([HOUR, 2 * DAY]), act)

    # --- machines ---------------------------------------------------------------------------------------------

    def _crash(self) -> None:
        slot = self.dice.choice(sorted(self.driver.workers))
        if self.dice.random() < 0.5:
            self.driver.crash(slot)
            self.driver.start(slot)
        else:
            self.driver.crash_at(self.dice.choice(STEPS), slot)
        self.reached["crash"] += 1

    # --- small things -----------------------------------------------------------------------------------------

    def fresh(self, prefix: str) -> str:
        """An id that nothing else in this world has."""
        self._numbers[prefix] += 1
        return f"{prefix}-{self._numbers[prefix]}"

    def send(self, record: Record) -> None:
        """Write an input under its user, at a time of its own, which is also the time that it names."""
        self.driver.advance(1)
        topic = _INPUTS[type(record)]
        for name in ("occurred_at", "issued_at", "submitted_at"):
            if hasattr(record, name):
                record = structs.replace(record, **{name: Millis(self.now)})
        self.driver.send(topic, record.user_id, codec().encode(record, topic))  # type: ignore[attr-defined]

    def _some(self) -> Version | None:
        """Mostly something new; now and then something that was undone before."""
        found = list(self.newest.values())
        again = [e for e in found if any(o.enforcement_id == e.enforcement_id for o in self.first.values())]
        if again and self.dice.random() < 0.25:
            return self.dice.choice(again)
        return self.dice.choice(found[-6:] if self.dice.random() < 0.7 else found) if found else None

    def _runs(self, enforcement_id: str) -> bool:
        return any(
            order.enforcement_id == enforcement_id
            for (reversal_id, _), order in self.first.items()
            if reversal_id not in self.confirmed
        )

    def _later(self, ms: int, act: Callable[[], None]) -> None:
        self._numbers["plan"] += 1
        heapq.heappush(self._plans, (self.now + ms, self._numbers["plan"], act))

    def _read(self) -> None:
        """Everybody reads what is committed."""
        for topic in REGISTER.topics:
            if topic in REGISTER.inputs or not topic.records:
                continue
            for partition in range(self.driver.broker.partitions(topic.name)):
                place = (topic.name, partition)
                log = self.driver.broker.log(*place)
                records, self._positions[place] = log.fetch(self._positions.get(place, 0), 1_000_000)
                for raw in records:
                    key = (raw.key or b"").decode()
                    if topic.name.startswith("cases."):
                        self.cases.pop((topic.name.removeprefix("cases."), key), None)
                    if raw.value is not None and topic.name != "reversals.stalled":
                        self._hear(codec().decode(raw.value, topic.allowed))

    def _hear(self, record: Record) -> None:
        match record:
            case Case():
                self.cases[record.pod, record.case_id] = record
            case ReversalOrdered():
                self._take(record)
            case ReversalConfirmed():
                self.confirmed[record.reversal_id] += 1
            case ReversalStalled():
                self._stalled(record)
            case EnforcementRemanded():
                self._remanded(record)
            case RemedyReported():
                self.remedied[record.remedy_id, record.partition] = record.state
            case CaseEvent():
                self.lines.append(record)
                self.reached["remanded"] += record.kind is CaseEventKind.ENFORCEMENT_REMANDED
            case _:
                pass


def _money_of(key: str) -> tuple[str, int]:
    return MONEY[sum(key.encode()) % len(MONEY)]
