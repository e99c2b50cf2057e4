"""What all systems know of one user: measures by version, what each did where, money, strikes, directives obeyed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal

from schemas.records import (
    Directive,
    EnforcementAmended,
    EnforcementId,
    EnforcementIssued,
    EnforcementLifted,
    Money,
    ReversalOrdered,
)
from schemas.vocabulary import AckStatus, Action, EffectKind
from topology.demo.systems.place import Place
from topology.demo.systems.purse import Purse, stated
from topology.demo.systems.restrictions import STATUS_KINDS, Held, left_by, put

Version = EnforcementIssued | EnforcementAmended
Slot = tuple[str, str, str, EffectKind]
"""System, kind of target, id of target, kind of effect."""


@dataclass(frozen=True)
class Answer:
    """What a system says to a directive."""

    status: AckStatus
    detail: str | None = None
    amount: Money | None = None
    """Money that moved."""


@dataclass
class UserState:
    """One user in all systems."""

    versions: dict[EnforcementId, Version] = field(default_factory=dict[EnforcementId, Version])
    lifts: dict[EnforcementId, EnforcementLifted] = field(default_factory=dict[EnforcementId, EnforcementLifted])
    """The newest lift of each, until a later version makes it stand again."""
    effects: dict[tuple[EnforcementId, str], set[Slot]] = field(
        default_factory=dict[tuple[EnforcementId, str], set[Slot]]
    )
    """What each effect of any version was done to."""
    places: dict[Slot, Place] = field(default_factory=dict[Slot, Place])
    purses: dict[tuple[EnforcementId, str, str], Purse] = field(
        default_factory=dict[tuple[EnforcementId, str, str], Purse]
    )
    """By enforcement, effect and currency."""
    strikes: dict[tuple[str, EnforcementId], int] = field(default_factory=dict[tuple[str, EnforcementId], int])
    """By system and enforcement."""
    done: dict[str, Answer] = field(default_factory=dict[str, Answer])
    """What was applied, by idempotency key."""

    def purses_of(self, enforcement_id: EnforcementId) -> Iterator[Purse]:
        """In the order in which the enforcement first named them."""
        return (purse for (owner, _, _), purse in self.purses.items() if owner == enforcement_id)

    def restrict(self, event: Version) -> None:
        """Restrictions and strikes of this version, in place of those of the version before."""
        key, target = event.enforcement_id, event.target
        slots: set[Slot] = set()
        strikes: dict[str, int] = {}
        for effect in event.effects:
            slot = (effect.system, target.kind.value, target.id, effect.kind)
            self.effects.setdefault((key, effect.effect_id), set()).add(slot)
            if effect.kind in STATUS_KINDS:
                slots.add(slot)
                self.places.setdefault(slot, Place())
            elif effect.kind is EffectKind.STRIKES:
                strikes[effect.system] = event.strikes
        for slot, place in self.places.items():
            if slot in slots:
                place.put(key, put(event.action, event.scope, event.ends_at, key))
            else:
                place.forget(key)
        self.count(key, strikes)

    def count(self, key: EnforcementId, strikes: dict[str, int]) -> None:
        """Strikes of this enforcement, by system, in place of those before."""
        for found in [name for name in self.strikes if name[1] == key]:
            del self.strikes[found]
        for system, n in strikes.items():
            self.strikes[system, key] = n

    def charge(self, event: Version, at: int) -> None:
        """Money as this version says; what it does not name any more goes back."""
        key = event.enforcement_id
        amounts = {(key, effect, money.currency): (kind, money.value) for effect, kind, money in stated(event)}
        for name, purse in self.purses.items():
            if name[0] == key:
                purse.let_go(at)
                if name not in amounts:
                    purse.state(Decimal(0), ends_at=None)
        for name, (kind, value) in amounts.items():
            held = kind is EffectKind.PAYOUT_STATUS
            purse = self.purses.setdefault(name, Purse(held=held, currency=name[2]))
            purse.held = held
            purse.state(value, ends_at=event.ends_at)

    def judge(self, directive: Directive, order: ReversalOrdered, slot: Slot) -> None:
        """What the decision leaves of the measure itself, unless the enforcing side has said something newer since."""
        key = order.enforcement_id
        if self.versions[key].version > order.enforcement_version or key in self.lifts:
            return
        lesser = order.lesser
        form = frozenset[Held]() if lesser is None else left_by(lesser, slot[3], key)
        newest = self.places[slot].judge(key, form, directive.revision)
        if not newest or lesser is None or slot[3] is not EffectKind.PAYOUT_STATUS:
            return
        for name, purse in self.purses.items():
            if name[:2] == (key, directive.effect_id):  # a hold that became a fee keeps what is left for good
                purse.held = lesser.action is Action.PAYOUT_HOLD
                purse.ends_at = lesser.ends_at
