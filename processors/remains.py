"""What of an enforcement still stands at a moment, and what a reversal of it would still have to restore.

A lift or an end takes the restriction away, but not the strike on the record nor money that was taken: while these
count, an appeal still has an object.
"""

from collections.abc import Iterator

from processors.dossier import Dossier
from processors.money import given_back, money_due
from processors.on_file import Enforcement
from schemas.records import EnforcementId
from schemas.vocabulary import Action, EffectKind, TargetKind

_TAKING = frozenset({Action.FEE, Action.PAYOUT_LOSS, Action.COMMISSION_INCREASE})
_REACH_BEYOND_TARGET = frozenset(
    {
        Action.REDUCED_DISCOVERABILITY,
        Action.FEATURE_RESTRICTION,
        Action.PAYOUT_HOLD,
        Action.SUSPENSION,
        Action.INTERIM_SUSPENSION,
        Action.SELLING_REVOKED,
        Action.BAN,
    }
)
"""Actions that, taken against an account, bear on everything the account has."""


def stands(e: Enforcement, at: int) -> bool:
    """Whether its restriction is in force at this moment."""
    ends_at = _ends_at(e)
    return e.lift is None and e.reversed_version < e.version and (ends_at is None or ends_at > at)


def was_over(e: Enforcement, at: int) -> bool:
    """Whether the user could know at this moment that it was over: lifted, ended or overturned by then."""
    if e.reversed_version >= e.version:
        return True
    ends_at = _ends_at(e)
    return (e.lift is not None and e.lift.at <= at) or (ends_at is not None and ends_at <= at)


def strikes_left(e: Enforcement) -> int:
    """Strikes that are still on the record because of it."""
    expunged = e.reversed_version >= e.version or (e.lift is not None and e.lift.strikes_expunged)
    if expunged:
        return 0
    return e.strikes if e.lesser is None else e.lesser.strikes


def something_remains(e: Enforcement) -> bool:
    """Whether overturning it would still restore something, its restriction aside."""
    if e.reversed_version >= e.version:
        return False
    if strikes_left(e):
        return True
    taken = [effect for effect in e.effects if effect.kind is EffectKind.MONEY_TAKEN]
    if not taken:
        return e.action in _TAKING and e.amount is not None and e.amount.value > given_back(e, e.amount.currency)
    due = money_due(e)
    return any(effect.effect_id in due for effect in taken)


def survivors(
    dossier: Dossier, kind: TargetKind, target_id: str, at: int
) -> Iterator[tuple[EnforcementId, Enforcement]]:
    """The user's enforcements that stand on this target, or on the account in a way that reaches it.

    What is being overturned is none of them, as its version counts as reversed by then; what was modified is one, in
    the form that the decision left.
    """
    for enforcement_id, e in dossier.enforcements.items():
        if not stands(e, at):
            continue
        same = e.target_kind is kind and e.target_id == target_id
        if same or bears_on_account(e):
            yield enforcement_id, e


class Standing:
    """The same for many targets at one moment, looked through once.

    Who gets a whole catalogue back has hundreds of reversals and of enforcements at once, and each of the ones asks
    about all of the others.
    """

    def __init__(self, dossier: Dossier, at: int) -> None:
        self.at = at
        """UTC ms."""
        self._anywhere: list[tuple[EnforcementId, Enforcement]] = []
        self._on: dict[tuple[TargetKind, str], list[tuple[EnforcementId, Enforcement]]] = {}
        for enforcement_id, e in dossier.enforcements.items():
            if not stands(e, at):
                continue
            if bears_on_account(e):
                self._anywhere.append((enforcement_id, e))
            else:
                self._on.setdefault((e.target_kind, e.target_id), []).append((enforcement_id, e))

    def survivors(self, kind: TargetKind, target_id: str) -> Iterator[tuple[EnforcementId, Enforcement]]:
        """Those of `survivors`, in whatever order."""
        yield from self._anywhere
        yield from self._on.get((kind, target_id), ())


def bears_on_account(e: Enforcement) -> bool:
    """Whether it is against the account in a way that reaches everything the account has."""
    action = e.action if e.lesser is None else e.lesser.action
    return e.target_kind is TargetKind.ACCOUNT and action in _REACH_BEYOND_TARGET


def _ends_at(e: Enforcement) -> int | None:
    return e.ends_at if e.lesser is None else e.lesser.ends_at
