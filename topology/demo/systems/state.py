"""The state of all enforcement systems of one installation, by user: what they did themselves, and what they were told.

The enforcing side applies its own measures at once. A directive is obeyed once by its key: a restore says what must
hold afterwards, money moves exactly as told or not at all, and of strikes exactly so many stay. What a system does
not know it refuses.
"""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

from schemas.records import (
    Directive,
    EnforcementAmended,
    EnforcementEvent,
    EnforcementId,
    EnforcementIssued,
    EnforcementLifted,
    ReversalOrdered,
)
from schemas.vocabulary import AckStatus, EffectKind, Operation
from topology.demo.systems.purse import Purse
from topology.demo.systems.restrictions import STATUS_KINDS, Held, plain
from topology.demo.systems.user import Answer, Slot, UserState, Version
from topology.demo.systems.view import View

_KINDS = {
    Operation.RESTORE: STATUS_KINDS,
    Operation.RELEASE: frozenset({EffectKind.PAYOUT_STATUS}),
    Operation.REPAY: frozenset({EffectKind.MONEY_TAKEN}),
    Operation.EXPUNGE: frozenset({EffectKind.STRIKES}),
}


class SystemsState:
    """All systems of an installation. Nothing here knows a clock: what depends on time is told the time."""

    def __init__(self) -> None:
        self._users: dict[str, UserState] = {}

    @property
    def users(self) -> set[str]:
        """Who was ever struck."""
        return set(self._users)

    def newest(self, user_id: str, enforcement_id: EnforcementId) -> Version | None:
        """The newest version that was heard of an enforcement."""
        user = self._users.get(user_id)
        return None if user is None else user.versions.get(enforcement_id)

    def version(self, user_id: str, enforcement_id: EnforcementId) -> int:
        """Its number; 0 for none."""
        newest = self.newest(user_id, enforcement_id)
        return 0 if newest is None else newest.version

    # --- the enforcing side's own doing -----------------------------------------------------------------------

    def hear(self, event: EnforcementEvent, at: int) -> None:
        """Do what the enforcing side says, at `at` (UTC ms)."""
        match event:
            case EnforcementIssued():
                self.enforce(event, at)
            case EnforcementAmended():
                self.amend(event, at)
            case EnforcementLifted():
                self.lift(event, at)
            case _:
                pass

    def enforce(self, event: EnforcementIssued, at: int) -> None:
        """Put a measure in force, all its effects at once; one that is known in this or a later version is."""
        self._put(event, event.issued_at, at)

    def amend(self, event: EnforcementAmended, at: int) -> None:
        """Put the new version in the place of the one before; a lifted measure stands again."""
        self._put(event, event.occurred_at, at)

    def lift(self, event: EnforcementLifted, at: int) -> None:
        """Take a measure back: its restrictions and its hold; strikes and taken money as far as the lift says."""
        user = self._user(event.user_id)
        known = user.versions.get(event.enforcement_id)
        if isinstance(known, EnforcementAmended) and event.occurred_at < known.occurred_at:
            return  # about an earlier version
        before = user.lifts.get(event.enforcement_id)
        if before is None or _returned(before) < _returned(event):
            user.lifts[event.enforcement_id] = event
        if known is not None:
            self._take_back(user, event, Decimal(0) if before is None else _returned(before), at)

    def _take_back(self, user: UserState, event: EnforcementLifted, paid: Decimal, at: int) -> None:
        """Undo as far as the lift says; so much of its amount was `paid` before."""
        key = event.enforcement_id
        for place in user.places.values():
            if key in place.forms:
                place.put(key, frozenset())
        for purse in user.purses_of(key):
            if event.amount_returned is not None and event.amount_returned.currency == purse.currency:
                share = min(event.amount_returned.value - paid, purse.away)
                if share > 0:
                    purse.give_back(share)
                    paid += share
            purse.lifted = True
            purse.let_go(at)
        if event.strikes_expunged:
            user.count(key, {})

    def _put(self, event: Version, since: int, at: int) -> None:
        user = self._user(event.user_id)
        key = event.enforcement_id
        known = user.versions.get(key)
        if known is not None and event.version <= known.version:
            return
        user.versions[key] = event
        user.restrict(event)
        user.charge(event, at)
        lift = user.lifts.get(key)
        if lift is not None and (known is None or since <= lift.occurred_at):  # it was about this version too
            self._take_back(user, lift, Decimal(0) if known is None else _returned(lift), at)
        else:
            user.lifts.pop(key, None)

    # --- what others tell it to do ----------------------------------------------------------------------------

    def obey(self, directive: Directive, order: ReversalOrdered, at: int) -> Answer:
        """Make true what the directive asks for, once by its key; what was refused may be tried again."""
        user = self._user(order.user_id)
        earlier = user.done.get(directive.idempotency_key)
        if earlier is not None:
            return Answer(AckStatus.ALREADY_APPLIED, amount=earlier.amount)
        slots = user.effects.get((order.enforcement_id, directive.effect_id), set())
        slot = next((s for s in slots if s[:3] == _told_place(directive)), None)
        if slot is None:
            return _refused(
                f"there is no effect {directive.effect_id} of {order.enforcement_id} on"
                f" {directive.target.kind} {directive.target.id} in {directive.system}"
            )
        if slot[3] not in _KINDS.get(directive.operation, ()):
            return _refused(f"what is a {slot[3]} cannot be undone by {directive.operation}")
        answer = self._obey(user, directive, order, slot, at)
        if answer.status is not AckStatus.FAILED_PERMANENT:
            user.done[directive.idempotency_key] = answer
        return answer

    def settle(self, directive: Directive, order: ReversalOrdered, at: int) -> None:
        """People make the directive true by hand, as far as it can be: of money, what is left is given back."""
        user = self._user(order.user_id)
        if directive.idempotency_key in user.done:
            return
        for slot in user.effects.get((order.enforcement_id, directive.effect_id), set()):
            if slot[:3] != _told_place(directive):
                continue
            purse = _purse(user, directive, order)
            if purse is not None and directive.amount is not None:
                purse.let_go(at)
                purse.give_back(directive.amount.value)
            if slot[3] in STATUS_KINDS:
                _restore(user, directive, order, slot)
            if slot[3] is EffectKind.STRIKES:
                self._expunge(user, directive, order)
        user.done[directive.idempotency_key] = Answer(AckStatus.APPLIED, amount=directive.amount)

    def _obey(self, user: UserState, directive: Directive, order: ReversalOrdered, slot: Slot, at: int) -> Answer:
        if directive.operation is Operation.EXPUNGE:
            return Answer(AckStatus.APPLIED if self._expunge(user, directive, order) else AckStatus.ALREADY_APPLIED)
        moved = Answer(AckStatus.ALREADY_APPLIED)
        if directive.operation is Operation.REPAY or directive.amount is not None:
            moved = self._pay(user, directive, order, at)
            if moved.status is AckStatus.FAILED_PERMANENT:
                return moved
        if directive.operation is Operation.REPAY:
            return moved
        if _restore(user, directive, order, slot):
            return Answer(AckStatus.APPLIED, amount=moved.amount)
        return moved

    def _pay(self, user: UserState, directive: Directive, order: ReversalOrdered, at: int) -> Answer:
        amount = directive.amount
        purse = _purse(user, directive, order)
        if amount is None or amount.value <= 0:
            return _refused(f"no amount to give back for effect {directive.effect_id}")
        if purse is None:
            return _refused(f"effect {directive.effect_id} never took {amount.currency}")
        if purse.over(at):  # the hold has let go of it by itself
            purse.let_go(at)
            purse.settled += amount.value
            return Answer(AckStatus.ALREADY_APPLIED, "the hold is over", amount)
        if amount.value > purse.away:
            return _refused(
                f"{amount.value} {amount.currency} asked, {purse.away} of effect {directive.effect_id} left"
            )
        purse.give_back(amount.value)
        return Answer(AckStatus.APPLIED, amount=amount)

    def _expunge(self, user: UserState, directive: Directive, order: ReversalOrdered) -> bool:
        """Keep exactly so many; never add any, and leave alone what a later version says."""
        key = (directive.system, order.enforcement_id)
        kept = directive.strikes_kept or 0
        known = user.versions[order.enforcement_id]
        if known.version > order.enforcement_version or user.strikes.get(key, 0) <= kept:
            return False
        user.strikes[key] = kept
        return True

    # --- what is so -------------------------------------------------------------------------------------------

    def view(self, user_id: str, at: int) -> View:
        """The user's state at `at` (UTC ms): restrictions that are over and money that holds let go of left out."""
        user = self._users.get(user_id)
        if user is None:
            return View()
        restrictions: dict[tuple[str, str, str], frozenset[Held]] = {}
        for (_, target_kind, target_id, kind), place in user.places.items():
            key = (target_kind, target_id, kind.value)
            restrictions[key] = restrictions.get(key, frozenset()) | place.held
        money: Counter[tuple[str, str]] = Counter()
        for (enforcement_id, _, currency), purse in user.purses.items():
            money[enforcement_id, currency] += purse.away_at(at)  # type: ignore[assignment]
        return View(
            restrictions={key: told for key, held in restrictions.items() if (told := plain(held, at))},
            money={key: Decimal(value) for key, value in money.items() if value},
            strikes={key: n for key, n in user.strikes.items() if n},
        )

    def totals(self) -> dict[str, tuple[Decimal, Decimal]]:
        """By currency, what was ever taken or held and what of it came back."""
        totals: dict[str, tuple[Decimal, Decimal]] = {}
        for user in self._users.values():
            for purse in user.purses.values():
                taken, returned = totals.get(purse.currency, (Decimal(0), Decimal(0)))
                totals[purse.currency] = taken + purse.taken, returned + purse.returned
        return totals

    # --- small things -----------------------------------------------------------------------------------------

    def _user(self, user_id: str) -> UserState:
        return self._users.setdefault(user_id, UserState())


def _told_place(directive: Directive) -> tuple[str, str, str]:
    return directive.system, directive.target.kind.value, directive.target.id


def _returned(lift: EnforcementLifted) -> Decimal:
    return Decimal(0) if lift.amount_returned is None else lift.amount_returned.value


def _refused(detail: str) -> Answer:
    return Answer(AckStatus.FAILED_PERMANENT, detail)


def _purse(user: UserState, directive: Directive, order: ReversalOrdered) -> Purse | None:
    if directive.amount is None:
        return None
    return user.purses.get((order.enforcement_id, directive.effect_id, directive.amount.currency))


def _restore(user: UserState, directive: Directive, order: ReversalOrdered, slot: Slot) -> bool:
    """Judge, whatever the directive's revision: what it leaves of its own measure counts below what covers that too."""
    user.judge(directive, order, slot)
    return user.places[slot].restore(directive, user.versions)
