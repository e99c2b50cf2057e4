"""What of a user's enforcements still stands, by the input events and the outcomes on the audit: the checker's own sum.

Written from the domain, by hand: the tables here are not those of the decision logic.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal

from schemas.records import (
    CaseEvent,
    Effect,
    EnforcementAmended,
    EnforcementIssued,
    EnforcementLifted,
    Lesser,
    Millis,
    Money,
    Record,
    Restriction,
    Target,
)
from schemas.vocabulary import Action, EffectKind, TargetKind

_SHUT_OUT = (Action.SUSPENSION, Action.INTERIM_SUSPENSION, Action.BAN)
_NO_SELLING = (*_SHUT_OUT, Action.SELLING_REVOKED)
_SHUT_FEATURES = (*_NO_SELLING, Action.FEATURE_RESTRICTION)
RESTRICTS: dict[EffectKind, tuple[Action, ...]] = {
    EffectKind.ACCOUNT_STATUS: _SHUT_OUT,
    EffectKind.SELLING_STATUS: _NO_SELLING,
    EffectKind.FEATURE_STATUS: _SHUT_FEATURES,
    EffectKind.LIVESTREAM_STATUS: (*_SHUT_FEATURES, Action.LIVESTREAM_ENDED),
    EffectKind.VISIBILITY: (*_SHUT_OUT, Action.REDUCED_DISCOVERABILITY, Action.CONTENT_REMOVAL),
    EffectKind.CONTENT_STATUS: (Action.CONTENT_LABEL, Action.REDUCED_DISCOVERABILITY, Action.CONTENT_REMOVAL),
    EffectKind.LABEL: (Action.CONTENT_LABEL, Action.CONTENT_REMOVAL),
    EffectKind.PAYOUT_STATUS: (Action.PAYOUT_HOLD, Action.PAYOUT_LOSS),
    EffectKind.COMMISSION_RATE: (Action.COMMISSION_INCREASE,),
}
"""Which actions restrict what an effect of this kind is about, whatever effects they had themselves."""
MONEY = (EffectKind.MONEY_TAKEN, EffectKind.PAYOUT_STATUS)
_OF_THE_WHOLE_ACCOUNT = (*_SHUT_FEATURES, Action.REDUCED_DISCOVERABILITY, Action.PAYOUT_HOLD)
"""Against an account these reach everything that the account has."""
HARDNESS = {action: place for place, action in enumerate(Action)}
NOTHING = Decimal(0)

Version = EnforcementIssued | EnforcementAmended


@dataclass
class Lifted:
    at: int
    expunged: bool
    returned: Money | None


@dataclass
class Filed:
    """One enforcement in its newest version."""

    key: str
    now: Version
    noticed_at: int
    issued_at: int
    caused_by: str | None
    lift: Lifted | None = None
    overturned: int = 0
    """The newest version that was overturned."""
    lesser: Lesser | None = None
    """What a decision left of this version."""
    returned: dict[str, Decimal] = field(default_factory=dict)
    """By effect: what reversals have ordered back."""
    had: tuple[Lesser, int] | None = None
    """What was in force, and its strikes, before the newest decision about it."""
    muddled: bool = False
    """Money went back by a lifting that a newer version has made void: which effect it was for, nobody said."""

    @property
    def gone(self) -> bool:
        return self.overturned >= self.now.version

    @property
    def strikes(self) -> int:
        """That are on the record because of it."""
        if self.gone or (self.lift is not None and self.lift.expunged):
            return 0
        return self.now.strikes if self.lesser is None else self.lesser.strikes

    @property
    def force(self) -> Lesser:
        """What is in force of it."""
        now = self.now
        if self.lesser is not None:
            return self.lesser
        return Lesser(action=now.action, ends_at=now.ends_at, scope=now.scope, amount=now.amount, strikes=now.strikes)

    def overturn(self) -> None:
        """This version counts no more."""
        if not self.gone:
            self.had = self.force, self.strikes
            self.overturned = self.now.version

    def modify(self, lesser: Lesser | None) -> None:
        """Only this is left of it."""
        self.had = self.force, self.strikes
        self.lesser = lesser

    def stands(self, at: int) -> bool:
        ends_at = self.force.ends_at
        return self.lift is None and not self.gone and (ends_at is None or ends_at > at)

    def effects(self) -> dict[str, Effect]:
        """The first of each id."""
        return {effect.effect_id: effect for effect in reversed(self.now.effects)}

    def taken(self, effect: Effect) -> Money | None:
        return effect.amount or self.now.amount

    def owed(self) -> dict[str, Decimal]:
        """By currency, what is still taken or held: by effect, under the lid of the whole, less what went back."""
        owed: dict[str, Decimal] = {}
        back: dict[str, Decimal] = {}
        for effect in self.effects().values():
            taken = self.taken(effect) if effect.kind in MONEY else None
            if taken is not None:
                gone = self.returned.get(effect.effect_id, NOTHING)
                owed[taken.currency] = owed.get(taken.currency, NOTHING) + max(taken.value - gone, NOTHING)
                back[taken.currency] = back.get(taken.currency, NOTHING) + gone
        lifted = None if self.lift is None else self.lift.returned
        whole = self.now.amount
        for currency, still in owed.items():
            settled = lifted.value if lifted is not None and lifted.currency == currency else NOTHING
            left = still - settled
            if whole is not None and whole.currency == currency:
                left = min(left, whole.value - back[currency] - settled)
            owed[currency] = max(left, NOTHING)
        return {currency: value for currency, value in owed.items() if value}

    @property
    def leaves_something(self) -> bool:
        """Whether a strike or money counts, apart from the restriction."""
        if self.gone:
            return False
        taken = any(effect.kind is EffectKind.MONEY_TAKEN for effect in self.now.effects)
        return bool(self.strikes or (taken and self.owed()))


_AT_ONCE = (Action.WARNING, Action.FEE, Action.PAYOUT_LOSS, Action.LIVESTREAM_ENDED)
_KEEPS_MONEY = (Action.FEE, Action.PAYOUT_LOSS, Action.COMMISSION_INCREASE, Action.PAYOUT_HOLD)
_DIGITS = {"JPY": 0}


def harder_in(lesser: Lesser, force: Lesser, strikes: int, owed: dict[str, Decimal]) -> str | None:
    """In which respect `lesser` is not milder than what is in force, or cannot be; none if it is sound."""
    kept = lesser.amount
    lasts = lesser.action not in _AT_ONCE
    less = lesser.action is not force.action or lesser.strikes < strikes
    less |= lasts and (lesser.ends_at, set(lesser.scope)) != (force.ends_at, set(force.scope))
    less |= any(value > (kept.value if kept and kept.currency == key else NOTHING) for key, value in owed.items())
    faults = {
        "action": HARDNESS[lesser.action] > HARDNESS[force.action],
        "end": lasts and force.ends_at is not None and (lesser.ends_at is None or lesser.ends_at > force.ends_at),
        "scope": lasts and bool(force.scope) and not (lesser.scope and set(lesser.scope) <= set(force.scope)),
        "strikes": lesser.strikes > strikes,
        "money": kept is not None
        and (lesser.action not in _KEEPS_MONEY or kept.value > owed.get(kept.currency, NOTHING - 1) or kept.value < 0),
        "digits": kept is not None and round(kept.value, _DIGITS.get(kept.currency, 2)) != kept.value,
        "nothing": not less,
    }
    return next((name for name, so in faults.items() if so), None)


class Standing:
    """All enforcements of one user."""

    def __init__(self) -> None:
        self.files: dict[str, Filed] = {}
        self._early: dict[str, Lifted] = {}
        self.first_of: dict[str, Filed] = {}
        """By the event that brought the first version that came."""

    def take(self, record: Record) -> None:
        """The next input of `enforcement.events`."""
        match record:
            case EnforcementIssued():
                self._version(record, record.issued_at, record.caused_by)
            case EnforcementAmended():
                self._version(record, record.occurred_at, None)
            case EnforcementLifted():
                self._lift(record)
            case _:
                pass

    def _version(self, record: Version, at: int, caused_by: str | None) -> None:
        key = record.enforcement_id
        known = self.files.get(key)
        if known is not None and record.version <= known.now.version:
            if isinstance(record, EnforcementIssued):
                known.issued_at = min(known.issued_at, at)
                known.caused_by = known.caused_by or caused_by
            return
        filed = self.files[key] = Filed(key, record, at, at, caused_by)
        if known is None:
            filed.lift = self._early.pop(key, None)
            self.first_of[record.event_id] = filed
            return
        filed.issued_at = min(at, known.issued_at)
        filed.caused_by = caused_by or known.caused_by
        filed.overturned, filed.returned, filed.muddled = known.overturned, known.returned, known.muddled
        if known.lift is not None and at <= known.lift.at:
            filed.lift = known.lift
        elif known.lift is not None and known.lift.returned is not None:
            filed.muddled = True

    def _lift(self, record: EnforcementLifted) -> None:
        filed = self.files.get(record.enforcement_id)
        lifted = Lifted(record.occurred_at, record.strikes_expunged, record.amount_returned)
        if filed is None:
            earlier = self._early.get(record.enforcement_id)
            self._early[record.enforcement_id] = _both(earlier, lifted)
        elif filed.now.version == 1 or record.occurred_at >= filed.noticed_at:
            filed.lift = _both(filed.lift, lifted)

    def survivors(self, target: Target, at: int) -> Iterator[Filed]:
        """What stands on the target, or reaches it."""
        for filed in self.files.values():
            on = filed.now.target
            reaches = on.kind is TargetKind.ACCOUNT and filed.force.action in _OF_THE_WHOLE_ACCOUNT
            if filed.stands(at) and ((on.kind, on.id) == (target.kind, target.id) or reaches):
                yield filed

    def state(self, kind: EffectKind, target: Target, at: int) -> set[Restriction]:
        """What must hold for this kind of effect on this target."""
        found: set[Restriction] = set()
        for filed in self.survivors(target, at):
            force = filed.force
            own = filed.lesser is None and any(effect.kind is kind for effect in filed.now.effects)
            if own or force.action in RESTRICTS[kind]:
                found |= {
                    Restriction(
                        action=force.action,
                        territory=where,
                        ends_at=force.ends_at,
                        enforcement_id=filed.now.enforcement_id,
                    )
                    for where in (force.scope or [None])
                }
        return found

    @property
    def strikes(self) -> int:
        return sum(filed.strikes for filed in self.files.values())

    def strikes_before(self, filed: Filed, lapse_ms: int) -> int:
        """The strikes of others that count for this one, as they are left."""
        since = filed.issued_at - lapse_ms
        return sum(
            other.strikes
            for other in self.files.values()
            if other is not filed and since < other.issued_at <= filed.issued_at
        )


def _both(first: Lifted | None, second: Lifted) -> Lifted:
    if first is None:
        return second
    sums = [money for money in (first.returned, second.returned) if money is not None]
    returned = max(sums, key=lambda money: money.value, default=None)
    return Lifted(min(first.at, second.at), first.expunged or second.expunged, returned)


def lesser_of(line: CaseEvent) -> Lesser | None:
    """What a decision leaves, as the audit tells it."""
    saw = line.saw
    if "lesser_action" not in saw:
        return None
    ends_at = saw.get("lesser_ends_at")
    amount = saw.get("lesser_amount", "").split()
    return Lesser(
        action=Action(saw["lesser_action"]),
        ends_at=None if ends_at is None else Millis(int(ends_at)),
        scope=saw["lesser_scope"].split(",") if "lesser_scope" in saw else [],
        amount=Money(value=Decimal(amount[0]), currency=amount[1]) if amount else None,
        strikes=int(saw["lesser_strikes"]),
    )
