"""What the marketplace of the demo looks like: its users, its policies, and what each measure really does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from hashlib import blake2b
from random import Random
from typing import TypeVar

from schemas.records import Detector, Effect, Money, Target, UserId
from schemas.vocabulary import Action, Category, EffectKind, Ground, SellerTier, TargetKind

USERS = 5_000
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS

T = TypeVar("T")

REGIONS: dict[tuple[str, str], int] = {
    ("DE", "de"): 24,
    ("FR", "fr"): 20,
    ("NL", "nl"): 12,
    ("IT", "it"): 11,
    ("ES", "es"): 11,
    ("BE", "nl"): 4,
    ("BE", "fr"): 3,
    ("AT", "de"): 5,
    ("PL", "pl"): 5,
    ("IE", "en"): 5,
}
"""Country and language of a user, by weight."""


@dataclass(frozen=True)
class User:
    """A user as the demo knows them; derived from number and seed."""

    user_id: UserId
    region: str
    language: str
    tier: SellerTier
    reach: int
    lifetime_value: Money
    is_minor: bool


@dataclass(frozen=True)
class Policy:
    """A rule that is enforced, and who finds its violations."""

    name: str
    category: Category
    ground: Ground
    detectors: tuple[Detector, ...]


def _detectors(name: str, *versions: str) -> tuple[Detector, ...]:
    return tuple(Detector(name=name, version=version) for version in versions)


_ILLEGAL = Ground.DECISION_GROUND_ILLEGAL_CONTENT
_TERMS = Ground.DECISION_GROUND_INCOMPATIBLE_CONTENT
_IMAGE = _detectors("image-match", "4.1.2", "4.2.0")
_RISK = _detectors("risk-score", "11", "12")
_TEXT = _detectors("text-guard", "2.9")
_STREAM = _detectors("stream-watch", "1.7.1", "1.8.0")
_MONEY = _detectors("chargeback-watch", "3.0")

COUNTERFEIT = Policy("counterfeit", Category.STATEMENT_CATEGORY_INTELLECTUAL_PROPERTY_INFRINGEMENTS, _ILLEGAL, _IMAGE)
POLICIES: dict[Policy, int] = {
    Policy("payment-fraud", Category.STATEMENT_CATEGORY_SCAMS_AND_FRAUD, _ILLEGAL, _RISK): 30,
    Policy("off-platform-sales", Category.STATEMENT_CATEGORY_SCOPE_OF_PLATFORM_SERVICE, _TERMS, _TEXT): 16,
    COUNTERFEIT: 14,
    Policy("item-not-as-described", Category.STATEMENT_CATEGORY_CONSUMER_INFORMATION, _TERMS, _MONEY): 12,
    Policy("prohibited-items", Category.STATEMENT_CATEGORY_UNSAFE_AND_PROHIBITED_PRODUCTS, _TERMS, _IMAGE): 12,
    Policy("shill-bidding", Category.STATEMENT_CATEGORY_SCAMS_AND_FRAUD, _TERMS, _RISK): 6,
    Policy("harassment", Category.STATEMENT_CATEGORY_CYBER_VIOLENCE, _TERMS, _TEXT): 5,
    Policy("stream-conduct", Category.STATEMENT_CATEGORY_OTHER_VIOLATION_TC, _TERMS, _STREAM): 4,
    Policy("minor-on-stream", Category.STATEMENT_CATEGORY_PROTECTION_OF_MINORS, _ILLEGAL, _STREAM): 1,
}
"""By weight, which is ours."""

_ACCOUNT_ACTIONS = frozenset(
    {
        Action.SUSPENSION,
        Action.INTERIM_SUSPENSION,
        Action.BAN,
        Action.FEATURE_RESTRICTION,
        Action.SELLING_REVOKED,
        Action.WARNING,
        Action.COMMISSION_INCREASE,
    }
)
RESTS_ON_STRIKES = frozenset({Action.FEATURE_RESTRICTION, Action.SUSPENSION, Action.SELLING_REVOKED, Action.BAN})
"""Actions that follow when strikes add up."""
_PAYOUT_ACTIONS = frozenset({Action.FEE, Action.PAYOUT_HOLD, Action.PAYOUT_LOSS})
_CONTENT_ACTIONS = frozenset({Action.CONTENT_REMOVAL, Action.CONTENT_LABEL, Action.REDUCED_DISCOVERABILITY})
_DAYS: dict[Action, tuple[int, ...]] = {
    Action.SUSPENSION: (1, 3, 7, 14, 30),
    Action.INTERIM_SUSPENSION: (2, 5),
    Action.FEATURE_RESTRICTION: (3, 7, 30),
    Action.PAYOUT_HOLD: (7, 14, 90),
    Action.COMMISSION_INCREASE: (30,),
}
_REGIONAL_SHARE = 0.1
_STRIKES = {Action.CONTENT_REMOVAL: 1, Action.LIVESTREAM_ENDED: 1, Action.SUSPENSION: 2, Action.BAN: 3}
_EFFECTS: dict[Action, tuple[tuple[EffectKind, str], ...]] = {
    Action.WARNING: (),
    Action.CONTENT_LABEL: ((EffectKind.LABEL, "catalogue"),),
    Action.REDUCED_DISCOVERABILITY: ((EffectKind.VISIBILITY, "ranking"),),
    Action.CONTENT_REMOVAL: ((EffectKind.CONTENT_STATUS, "catalogue"), (EffectKind.STRIKES, "standing")),
    Action.LIVESTREAM_ENDED: ((EffectKind.LIVESTREAM_STATUS, "live"), (EffectKind.STRIKES, "standing")),
    Action.COMMISSION_INCREASE: ((EffectKind.COMMISSION_RATE, "billing"),),
    Action.FEE: ((EffectKind.MONEY_TAKEN, "billing"),),
    Action.FEATURE_RESTRICTION: ((EffectKind.FEATURE_STATUS, "live"),),
    Action.PAYOUT_HOLD: ((EffectKind.PAYOUT_STATUS, "payouts"),),
    Action.PAYOUT_LOSS: ((EffectKind.MONEY_TAKEN, "payouts"),),
    Action.INTERIM_SUSPENSION: ((EffectKind.ACCOUNT_STATUS, "accounts"),),
    Action.SUSPENSION: ((EffectKind.ACCOUNT_STATUS, "accounts"), (EffectKind.STRIKES, "standing")),
    Action.SELLING_REVOKED: ((EffectKind.SELLING_STATUS, "accounts"), (EffectKind.VISIBILITY, "ranking")),
    Action.BAN: (
        (EffectKind.ACCOUNT_STATUS, "accounts"),
        (EffectKind.SELLING_STATUS, "accounts"),
        (EffectKind.VISIBILITY, "ranking"),
        (EffectKind.STRIKES, "standing"),
    ),
}


def pick(rng: Random, weights: Mapping[T, int]) -> T:
    """One key, by weight."""
    return rng.choices(list(weights), list(weights.values()))[0]


@cache
def user(number: int, seed: int) -> User:
    """The user of this number: the same for the same seed, whoever asks first."""
    rng = Random(f"{seed} user {number}")
    region, language = pick(rng, REGIONS)
    tier = pick(rng, {SellerTier.BUYER: 30, SellerTier.NEW_SELLER: 35, SellerTier.SELLER: 28, SellerTier.TOP_SELLER: 7})
    scale = {SellerTier.BUYER: 40, SellerTier.NEW_SELLER: 300, SellerTier.SELLER: 4_000}.get(tier, 60_000)
    return User(
        user_id=UserId(f"user-{number:05d}"),
        region=region,
        language=language,
        tier=tier,
        reach=int(rng.lognormvariate(0, 1.2) * scale),
        lifetime_value=euros(rng.lognormvariate(0, 1) * scale / 4),
        is_minor=tier is SellerTier.BUYER and rng.random() < 0.02,  # noqa: PLR2004 - a share of ours
    )


def euros(value: float) -> Money:
    """An amount in cents."""
    return Money(value=Decimal(max(1, round(value * 100))).scaleb(-2), currency="EUR")


def target(rng: Random, action: Action, who: UserId) -> Target:
    """What such a measure hits."""
    if action in _ACCOUNT_ACTIONS:
        return Target(kind=TargetKind.ACCOUNT, id=who)
    number = f"{rng.getrandbits(40):010x}"
    if action in _PAYOUT_ACTIONS:
        return Target(kind=TargetKind.PAYOUT, id=f"payout-{number}")
    if action is Action.LIVESTREAM_ENDED:
        return Target(kind=TargetKind.LIVESTREAM, id=f"live-{number}")
    kind = pick(rng, {TargetKind.LISTING: 80, TargetKind.MESSAGE: 12, TargetKind.REVIEW: 8})
    return Target(kind=kind, id=f"{kind}-{number}", content_hash=f"{rng.getrandbits(64):016x}")


def alike(action: Action) -> frozenset[Action]:
    """Measures that hit the same kind of thing as this one, with itself; none for accounts, of which there is one."""
    return next((kind for kind in (_PAYOUT_ACTIONS, _CONTENT_ACTIONS) if action in kind), frozenset[Action]())


def ends_after_ms(rng: Random, action: Action) -> int | None:
    """How long such a measure lasts; none: until it is lifted."""
    days = _DAYS.get(action)
    return None if days is None else rng.choice(days) * DAY_MS


def amount(rng: Random, action: Action) -> Money | None:
    """Money that such a measure holds or takes."""
    return euros(rng.lognormvariate(4.5, 1.3)) if action in _PAYOUT_ACTIONS else None


def scope(enforcement_id: str) -> list[str]:
    """Where such a measure holds: what the facts say that a case refers to, so specialists know it too."""
    share = blake2b(enforcement_id.encode(), digest_size=1).digest()[0] / 256
    return ["DE", "FR"] if share < _REGIONAL_SHARE else ["EU"]


def strikes(action: Action) -> int:
    """Strikes that such a measure adds."""
    return _STRIKES.get(action, 0)


def effects(action: Action, enforcement_id: str, money: Money | None) -> list[Effect]:
    """What such a measure really does, system by system."""
    return [
        Effect(
            effect_id=f"{enforcement_id}-{kind}",
            system=system,
            kind=kind,
            params={"state": action.value},
            amount=money if kind in (EffectKind.MONEY_TAKEN, EffectKind.PAYOUT_STATUS) else None,
        )
        for kind, system in _EFFECTS[action]
    ]
