"""Money of one effect: what was taken or is held, what of it was given back, exact and in one currency."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from schemas.records import EnforcementAmended, EnforcementIssued, Money
from schemas.vocabulary import EffectKind
from topology.demo.systems.restrictions import MONEY_KINDS

ZERO = Decimal(0)


@dataclass
class Purse:
    """Money moves only here, and each move is counted, so what is away is what was taken less what was returned.

    A hold lets go of its money by itself when it ends; money that was taken stays taken until somebody gives it back.
    """

    held: bool
    currency: str
    taken: Decimal = ZERO
    """All that ever left the user's hands."""
    returned: Decimal = ZERO
    """All that came back into them, for whatever reason."""
    settled: Decimal = ZERO
    """Given back for good: a new version of the enforcement that names it again does not take it again."""
    ends_at: int | None = None
    """UTC ms; when a hold ends."""
    lifted: bool = False

    @property
    def away(self) -> Decimal:
        """Not in the user's hands."""
        return self.taken - self.returned

    def over(self, at: int) -> bool:
        """Has a hold let go of its money by this moment?"""
        return self.held and (self.lifted or (self.ends_at is not None and self.ends_at <= at))

    def away_at(self, at: int) -> Decimal:
        """The same as `away`, with what a hold lets go of by this moment."""
        return ZERO if self.over(at) else self.away

    def let_go(self, at: int) -> None:
        """Pay out what a hold does not hold any more."""
        if self.over(at):
            self.returned = self.taken

    def state(self, amount: Decimal, *, ends_at: int | None) -> None:
        """A version of the enforcement says that this much is to be away."""
        wanted = max(ZERO, amount - self.settled)
        if wanted > self.away:
            self.taken += wanted - self.away
        else:
            self.returned += self.away - wanted
        self.ends_at, self.lifted = ends_at, False

    def give_back(self, amount: Decimal) -> None:
        """Return so much, or what is left of it; it counts as settled."""
        self.returned += min(amount, self.away)
        self.settled += amount


def stated(event: EnforcementIssued | EnforcementAmended) -> Iterator[tuple[str, EffectKind, Money]]:
    """What each effect of this version takes or holds: effect, kind, amount.

    An effect without an amount of its own has the enforcement's, which is also the most that all of them together
    take of its currency.
    """
    left = None if event.amount is None else event.amount.value
    seen: set[str] = set()
    for effect in event.effects:
        amount = effect.amount or event.amount
        if effect.kind not in MONEY_KINDS or amount is None or effect.effect_id in seen:
            continue
        seen.add(effect.effect_id)
        value = amount.value
        if left is not None and event.amount is not None and event.amount.currency == amount.currency:
            value = min(value, left)
            left -= value
        yield effect.effect_id, effect.kind, Money(value=value, currency=amount.currency)
