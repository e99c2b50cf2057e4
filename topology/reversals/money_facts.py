"""What the enforcing side says about money: what an enforcement took or holds by effect, and what a lift gave back.

Of several versions the newest counts. Two things hold an older one open: a reversal names the version whose money it
orders back, and a lift gives back what the version before it had taken; a later version that takes less must not make
either look like too much.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from schemas.records import Effect, EnforcementAmended, EnforcementIssued, EnforcementLifted
from schemas.vocabulary import Action, EffectKind

MONEY_EFFECTS = frozenset({EffectKind.MONEY_TAKEN, EffectKind.PAYOUT_STATUS})
"""Effects that take money, or hold it."""
_TAKING = frozenset({Action.FEE, Action.PAYOUT_LOSS, Action.COMMISSION_INCREASE, Action.PAYOUT_HOLD})
"""Actions whose amount is taken or held even if no effect says where."""

Content = EnforcementIssued | EnforcementAmended
EffectId = str | None
"""None: the enforcement as a whole."""
Sums = dict[tuple[EffectId, str], Decimal]
"""By effect and currency."""


@dataclass
class EnforcementMoney:
    """All that the enforcing side said about the money of one enforcement. Versions and lifts in the topic's order."""

    versions: dict[int, Content] = field(default_factory=dict[int, Content])
    lifts: dict[str, EnforcementLifted] = field(default_factory=dict[str, EnforcementLifted])

    def take(self, record: Content | EnforcementLifted) -> None:
        """Note a record; a second one of the same version, or with the same id, is a redelivery."""
        if isinstance(record, EnforcementLifted):
            self.lifts.setdefault(record.event_id, record)
        else:
            self.versions.setdefault(record.version, record)

    def taken(self, named: Iterable[int]) -> Sums:
        """What was taken or is held.

        Args:
            named: versions that reversals of it name.
        """
        if not self.versions:
            return {}
        counted = {max(self.versions), *named, *self._returned_by_version()}
        found: Sums = {}
        for version in sorted(counted & self.versions.keys()):
            for key, value in _taken(self.versions[version]).items():
                found[key] = max(value, found.get(key, Decimal(0)))
        return found

    def returned(self) -> dict[str, Decimal]:
        """What lifts gave back, by currency; lifts of one version repeat each other, so the largest of them counts."""
        sums: dict[str, Decimal] = {}
        for by_currency in self._returned_by_version().values():
            for currency, value in by_currency.items():
                sums[currency] = sums.get(currency, Decimal(0)) + value
        return sums

    def _returned_by_version(self) -> Mapping[int, dict[str, Decimal]]:
        found: dict[int, dict[str, Decimal]] = {}
        for lift in self.lifts.values():
            back = lift.amount_returned
            if back is not None and back.value > 0:
                of_version = found.setdefault(self._lifted_by(lift), {})
                of_version[back.currency] = max(back.value, of_version.get(back.currency, Decimal(0)))
        return found

    def _lifted_by(self, lift: EnforcementLifted) -> int:
        """The version that stood when it was lifted; 0 if none is on the topic."""
        before = [number for number, content in self.versions.items() if _noticed_at(content) <= lift.occurred_at]
        return max(before, default=min(self.versions, default=0))


def _noticed_at(content: Content) -> int:
    return content.issued_at if isinstance(content, EnforcementIssued) else content.occurred_at


def _taken(content: Content) -> Sums:
    """By effect; the enforcement's own amount is a lid on the sum of its effects in the same currency."""
    whole = content.amount
    lid = None if whole is None else max(whole.value, Decimal(0))
    effects: dict[str, Effect] = {}
    for effect in content.effects:
        if effect.kind in MONEY_EFFECTS:
            effects.setdefault(effect.effect_id, effect)
    if not effects:
        bare = whole is not None and content.action in _TAKING and whole.value > 0
        return {(None, whole.currency): whole.value} if bare and whole is not None else {}
    found: Sums = {}
    for effect_id, effect in effects.items():
        amount = effect.amount or whole
        if amount is None:
            continue
        value = max(amount.value, Decimal(0))
        if lid is not None and whole is not None and whole.currency == amount.currency:
            value = min(value, lid)
            lid -= value
        if value > 0:
            found[effect_id, amount.currency] = value
    return found
