"""Systems that obey, whatever the order, end where the truth says: under an ideal engine that is a page long."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs

from schemas.records import (
    Directive,
    EnforcementAmended,
    EnforcementIssued,
    EnforcementLifted,
    Lesser,
    Millis,
    Money,
    Restriction,
    ReversalOrdered,
    Target,
)
from schemas.vocabulary import AckStatus, Action, EffectKind, Operation, TargetKind
from tests.unit.builders import DAY, HOUR, T0, USER, a_lift, an_amendment
from tests.unit.reference_orders import ACCOUNT, a_directive, a_measure, an_order, money
from topology.demo.systems import SystemsState, Verdict, truth
from topology.demo.systems.restrictions import STATUS_KINDS, Held
from topology.demo.systems.truth import Chapter, _Story
from topology.demo.systems.view import View

LISTING = Target(kind=TargetKind.LISTING, id="l-1")
PAYOUT = Target(kind=TargetKind.PAYOUT, id="p-1")
_K = EffectKind
MEASURES = (
    (Action.SUSPENSION, ACCOUNT, (_K.ACCOUNT_STATUS, _K.STRIKES)),
    (Action.INTERIM_SUSPENSION, ACCOUNT, (_K.ACCOUNT_STATUS,)),
    (Action.BAN, ACCOUNT, (_K.ACCOUNT_STATUS, _K.SELLING_STATUS, _K.STRIKES)),
    (Action.SELLING_REVOKED, ACCOUNT, (_K.SELLING_STATUS,)),
    (Action.CONTENT_REMOVAL, LISTING, (_K.CONTENT_STATUS, _K.STRIKES)),
    (Action.CONTENT_LABEL, LISTING, (_K.CONTENT_STATUS, _K.LABEL)),
    (Action.PAYOUT_HOLD, PAYOUT, (_K.PAYOUT_STATUS,)),
    (Action.FEE, PAYOUT, (_K.MONEY_TAKEN, _K.STRIKES)),
)
MILDER = {
    Action.BAN: (Action.SUSPENSION, Action.SELLING_REVOKED, Action.WARNING),
    Action.SUSPENSION: (Action.FEATURE_RESTRICTION, Action.WARNING),
    Action.CONTENT_REMOVAL: (Action.CONTENT_LABEL,),
    Action.PAYOUT_HOLD: (Action.PAYOUT_HOLD, Action.WARNING),
    Action.FEE: (Action.FEE, Action.WARNING),
}
ENDS = (None, T0 + 2 * DAY, T0 + 5 * DAY)
SCOPES = ([], ["DE"], ["FR"], ["DE", "FR"])
STEP = HOUR
Version = EnforcementIssued | EnforcementAmended


@dataclass
class Open:
    """A directive that the ideal engine waits for."""

    order: ReversalOrdered
    directive: Directive
    kind: EffectKind


class Ideal:
    """Knows everything at once, supersedes what has changed, and never errs."""

    def __init__(self) -> None:
        self.history: list[Chapter] = []
        self.newest: dict[str, Version] = {}
        self.open: list[Open] = []
        self.sent: list[tuple[ReversalOrdered, Directive]] = []
        self.revision = 0

    def take(self, chapter: Chapter, now: int) -> None:
        self.history.append(chapter)
        if isinstance(chapter, Version):
            self.newest[chapter.enforcement_id] = chapter
        for one in list(self.open):
            state = self._state(one.directive.target, one.kind, now)
            if one.directive.operation is Operation.RESTORE and state != one.directive.state:
                self._supersede(one, state)
            elif one.directive.operation is Operation.RELEASE and state != one.directive.state:
                # Money is never superseded: what holds is said by another directive of the same reversal.
                self._send(one.order, one.kind, operation=Operation.RESTORE, amount=None, state=state)

    def judge(self, e: Version, now: int, lesser: Lesser | None) -> None:
        before = self._story(e)._money
        before = {name: left.gone for name, left in before.items()}
        self.take(Verdict(e.enforcement_id, e.version, now, lesser), now)
        order = an_order(e, at=now, lesser=lesser, enforcement_version=e.version)
        for effect in e.effects:
            kind = effect.kind
            left = self._story(e)._money.get((effect.effect_id, "EUR"))
            back = left.gone - before[effect.effect_id, "EUR"] if left is not None else Decimal(0)
            state = self._state(e.target, kind, now)
            if kind is _K.STRIKES:
                self._send(order, kind, e, strikes_kept=0 if lesser is None else lesser.strikes)
            elif kind is _K.MONEY_TAKEN:
                if back:
                    self._send(order, kind, e, amount=money(str(back)))
            elif kind is _K.PAYOUT_STATUS and back:
                self._send(order, kind, e, amount=money(str(back)), state=state)
            else:
                self._send(order, kind, e, operation=Operation.RESTORE, state=state)

    def heard(self, directive: Directive) -> None:
        self.open = [one for one in self.open if one.directive.directive_id != directive.directive_id]

    def _story(self, e: Version) -> _Story:
        return _Story([c for c in self.history if c.enforcement_id == e.enforcement_id])

    def _state(self, target: Target, kind: EffectKind, now: int) -> list[Restriction]:
        if kind not in STATUS_KINDS:
            return []
        place = (target.kind.value, target.id, kind.value)
        held: set[Held] = set()
        for e in self.newest.values():
            held |= {
                h for p, found in self._story(e).restrictions() for h in found if _bears(p, place) and not h.over(now)
            }
        union = {h for h in held if not any(o.covers(h) and not h.covers(o) for o in held)}
        return [
            Restriction(action=h.action, territory=h.territory, ends_at=h.ends_at, enforcement_id=h.enforcement_id)
            for h in sorted(union, key=repr)
        ]

    def _send(self, order: ReversalOrdered, kind: EffectKind, e: Version | None = None, **change) -> None:
        self.revision += 1
        about = (order.enforcement_id, order.enforcement_version)
        e = e or next(c for c in self.history if isinstance(c, Version) and (c.enforcement_id, c.version) == about)
        key = f"d-{self.revision}"
        directive = a_directive(e, kind, self.revision, key=key, **change)
        self.open.append(Open(order, directive, kind))
        self.sent.append((order, directive))

    def _supersede(self, one: Open, state: list[Restriction]) -> None:
        self.open.remove(one)
        self._send(one.order, one.kind, operation=Operation.RESTORE, state=state, supersedes=one.directive.directive_id)


def _bears(on: tuple[str, str, str], place: tuple[str, str, str]) -> bool:
    """What restricts the whole account reaches its listings."""
    return on == place or (place[0] == "listing" and on[2] == "account_status")


class World:
    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self.state = SystemsState()
        self.ideal = Ideal()
        self.now = T0
        self.numbers: Counter[str] = Counter()

    def run(self, steps: int) -> None:
        for _ in range(steps):
            self.now += STEP
            move = self.dice.choice([self.issue, self.issue, self.amend, self.lift, self.judge, *[self.deliver] * 3])
            move()
        for _ in range(100):
            for one in self.dice.sample(self.ideal.open, len(self.ideal.open)):
                self.obey(one.order, one.directive)
                self.state.settle(one.directive, one.order, self.now)
                self.ideal.heard(one.directive)
            if not self.ideal.open:
                return
        raise AssertionError("it does not come to rest")

    def hear(self, event) -> None:
        self.state.hear(event, self.now)
        self.ideal.take(event, self.now)

    def content(self) -> dict:
        n = self.dice.randrange(len(MEASURES))
        action, target, kinds = MEASURES[n]
        ends_at = self.dice.choice(ENDS)
        takes = _K.MONEY_TAKEN in kinds or _K.PAYOUT_STATUS in kinds
        return {
            "action": action,
            "target": target,
            "kinds": kinds,
            "ends_at": None if ends_at is None else Millis(ends_at),
            "scope": self.dice.choice(SCOPES),
            "strikes": self.dice.randrange(3),
            "taken": money(f"{self.dice.randrange(1, 90)}.50") if takes else None,
        }

    def issue(self) -> None:
        content = self.content()
        key = f"e-{len(self.ideal.newest) + 1}"
        self.hear(a_measure(key, content.pop("action"), *content.pop("kinds"), at=self.now, **content))

    def amend(self) -> None:
        """The same effects with other figures, or, now and then, something else entirely."""
        e = self.pick()
        if e is None:
            return
        content = self.content()
        kinds = content.pop("kinds")
        if self.dice.random() < 0.6:
            action, kinds, target = e.action, [effect.kind for effect in e.effects], e.target
            content |= {"action": action, "target": target, "taken": money(f"{self.dice.randrange(1, 90)}.50")}
        like = a_measure(e.enforcement_id, content.pop("action"), *kinds, at=self.now, **content)
        if any(isinstance(c, EnforcementLifted) and c.enforcement_id == e.enforcement_id for c in self.ideal.history):
            # What takes money anew says so by a new name: under the old one, what is on its way back would be mixed up.
            again = {_K.MONEY_TAKEN, _K.PAYOUT_STATUS}
            effects = [
                structs.replace(effect, effect_id=f"{effect.effect_id}-{e.version + 1}")
                if effect.kind in again
                else effect
                for effect in like.effects
            ]
            like = structs.replace(like, effects=effects)
        self.hear(
            an_amendment(
                self.now,
                e.version + 1,
                **{
                    name: getattr(like, name)
                    for name in ("enforcement_id", "action", "target", "effects", "ends_at", "scope", "strikes")
                },
            )
        )

    def lift(self) -> None:
        e = self.pick()
        if e is None:
            return
        left = self.state.view(USER, self.now).money.get((e.enforcement_id, "EUR"), Decimal(0))
        back = self.dice.choice([None, left, (left / 2).quantize(Decimal("0.01"))])
        self.hear(
            a_lift(
                self.now,
                e.enforcement_id,
                strikes_expunged=self.dice.random() < 0.5,
                amount_returned=Money(value=back, currency="EUR") if back else None,
            )
        )

    def judge(self) -> None:
        e = self.pick()
        if e is None or any(
            isinstance(c, Verdict) and c.enforcement_id == e.enforcement_id for c in self.ideal.history
        ):
            return
        lesser = None
        if self.dice.random() < 0.5 and e.action in MILDER:
            action = self.dice.choice(MILDER[e.action])
            left = truth(self.ideal.history, self.now).money.get((e.enforcement_id, "EUR"), Decimal(0))
            kept = (left / 3).quantize(Decimal("0.01"))
            lesser = Lesser(
                action=action,
                ends_at=self.dice.choice([e.ends_at, Millis(self.now + DAY)]) if e.ends_at is None else e.ends_at,
                scope=e.scope[:1],
                amount=money(str(kept)) if kept and action in (Action.FEE, Action.PAYOUT_HOLD) else None,
                strikes=self.dice.randint(0, e.strikes),
            )
        self.ideal.judge(e, self.now, lesser)

    def deliver(self) -> None:
        """Any directive that was ever sent, the superseded and the obeyed ones too."""
        if self.ideal.sent:
            self.obey(*self.dice.choice(self.ideal.sent))

    def obey(self, order: ReversalOrdered, directive: Directive) -> None:
        if self.state.obey(directive, order, self.now).status is not AckStatus.FAILED_PERMANENT:
            self.ideal.heard(directive)

    def pick(self) -> Version | None:
        return self.dice.choice(list(self.ideal.newest.values())) if self.ideal.newest else None

    def check(self) -> None:
        for at in (self.now, T0 + 2 * DAY, T0 + 5 * DAY, T0 + 60 * DAY):
            if at >= self.now:
                found, right = self.state.view(USER, at), truth(self.ideal.history, at)
                assert found.differences(right) == []
                assert found == right
        away = sum(self.state.view(USER, self.now).money.values())
        taken, returned = self.state.totals().get("EUR", (Decimal(0), Decimal(0)))
        assert taken - returned >= away  # what holds have let go of since is not booked yet


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32), st.integers(3, 40))
def test_whatever_the_order_of_events_and_directives_the_systems_end_where_the_truth_says(seed: int, steps: int):
    world = World(random.Random(seed))
    world.run(steps)
    world.check()


def test_truth_of_no_history_is_nothing():
    assert truth([], T0) == View()
