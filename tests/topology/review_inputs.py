"""What random histories put in: enforcements of all kinds, appeals good and odd, profiles, answers of systems."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from schemas.records import (
    AppealSubmitted,
    Detector,
    Directive,
    DirectiveAcked,
    DirectiveResolved,
    Effect,
    EnforcementAmended,
    EnforcementId,
    EnforcementIssued,
    EnforcementLifted,
    Evidence,
    Millis,
    Money,
    ReversalOrdered,
    ReversalRetried,
    ReviewerId,
    Target,
    UserId,
    UserProfileUpdated,
)
from schemas.vocabulary import AckStatus, Action, AppealFlag, EffectKind, EvidenceKind, TargetKind
from tests.topology.appeals_world import DAY, HOUR, World
from tests.unit import builders

_LISTING = Target(kind=TargetKind.LISTING, id="l-1", content_hash="h-1")
_STRIKES = (EffectKind.STRIKES, None)
_ACCOUNT = (EffectKind.ACCOUNT_STATUS, None)


def _yen(value: str) -> Money:
    return Money(value=Decimal(value), currency="JPY")


def _dollars(value: str) -> Money:
    return Money(value=Decimal(value), currency="USD")


CONTENTS: tuple[tuple[dict[str, Any], tuple[tuple[EffectKind, Money | None], ...]], ...] = (
    ({"action": Action.SUSPENSION, "policy": "impersonation"}, (_ACCOUNT, (EffectKind.SELLING_STATUS, None))),
    ({"action": Action.CONTENT_REMOVAL, "target": _LISTING}, ((EffectKind.CONTENT_STATUS, None),)),
    (
        {"action": Action.FEE, "policy": "fees", "amount": builders.euros("45.50")},
        ((EffectKind.MONEY_TAKEN, builders.euros("30.25")), (EffectKind.MONEY_TAKEN, builders.euros("15.25"))),
    ),
    (
        {"action": Action.CONTENT_LABEL, "target": Target(kind=TargetKind.LISTING, id="l-2")},
        ((EffectKind.LABEL, None),),
    ),
    (
        {"action": Action.PAYOUT_HOLD, "policy": "fees", "amount": builders.euros("300"), "strikes": 1},
        ((EffectKind.PAYOUT_STATUS, None), _STRIKES),
    ),
    ({"action": Action.WARNING, "strikes": 1}, ()),
    ({"action": Action.BAN, "policy": "impersonation"}, (_ACCOUNT,)),
    (
        {"action": Action.FEATURE_RESTRICTION, "policy": "spam", "strikes": 1},
        ((EffectKind.FEATURE_STATUS, None), _STRIKES),
    ),
    ({"action": Action.SUSPENSION, "scope": ["DE", "AT"], "strikes": 2}, (_ACCOUNT, _STRIKES)),
    (
        {"action": Action.CONTENT_REMOVAL, "target": _LISTING, "strikes": 1},
        ((EffectKind.CONTENT_STATUS, None), (EffectKind.VISIBILITY, None), _STRIKES),
    ),
    (
        {"action": Action.COMMISSION_INCREASE, "policy": "fees", "amount": _yen("1200")},
        ((EffectKind.COMMISSION_RATE, None), (EffectKind.MONEY_TAKEN, _yen("1500"))),
    ),
    (
        {"action": Action.PAYOUT_LOSS, "policy": "fees", "strikes": 3},
        (
            (EffectKind.MONEY_TAKEN, builders.euros("20")),
            (EffectKind.MONEY_TAKEN, _dollars("7.5")),
            (EffectKind.PAYOUT_STATUS, builders.euros("80")),
            _STRIKES,
        ),
    ),
    (
        {"action": Action.SELLING_REVOKED, "scope": ["DE"], "strikes": 1},
        ((EffectKind.SELLING_STATUS, None), (EffectKind.LIVESTREAM_STATUS, None), _STRIKES),
    ),
)
"""Of enforcements: the fields, and the effects with their own amounts."""
_ENDING = (0, 4, 7, 8, 12)
"""Contents that may have an end."""
_DETECTORS = (Detector(name="fake-finder", version="7"), Detector(name="fake-finder", version="8"), None)
_SHOWN = (
    (),
    (EvidenceKind.SCREENSHOT,),
    (EvidenceKind.TRANSACTION_RECORD, EvidenceKind.MODEL_SIGNAL),
    (EvidenceKind.TRANSACTION_RECORD, EvidenceKind.TRANSCRIPT, EvidenceKind.SCREENSHOT, EvidenceKind.COURT_ORDER),
    (EvidenceKind.IDENTITY_DOCUMENT,),
)
FLAGS = ((), (), (), (), (AppealFlag.LEGAL_ORDER,), (AppealFlag.MINOR,), (AppealFlag.CHILD_SAFETY,))
_DECIDERS = (None, "r-1", "r-1", "r-3", "r-6")


def enforcement(
    world: World,
    user: str,
    n: int,
    content: int,
    version: int,
    *,
    evidence: int,
    decider: int,
    cause: int | None = None,
) -> EnforcementIssued | EnforcementAmended:
    """An enforcement, or its new version; `cause`: the number of the user's enforcement that it rests on."""
    given, kinds = CONTENTS[content]
    key = f"{user}-e-{n}"
    who = _DECIDERS[decider % len(_DECIDERS)]
    effects = [
        Effect(effect_id=f"{key}-{kind}-{place}-{sum_ and sum_.currency}", system=f"sys-{kind}", kind=kind, amount=sum_)
        for place, (kind, sum_) in enumerate(kinds)
    ]
    change = {
        "event_id": world.fresh("enforced"),
        "user_id": UserId(user),
        "enforcement_id": EnforcementId(key),
        "ends_at": Millis(world.now + (6 + version) * DAY) if content in _ENDING and evidence % 2 else None,
        "effects": effects,
        "decided_by": None if who is None else ReviewerId(who),
        "appealable": evidence != 9,
        "detector": _DETECTORS[evidence % 4 % 3],
        "evidence": [
            Evidence(evidence_id=f"{key}-{version}-{kind}", kind=kind, ref="s3://evidence/e")
            for kind in _SHOWN[evidence % len(_SHOWN)]
        ],
        **given,
    }
    if version == 1:
        caused_by = None if cause is None else EnforcementId(f"{user}-e-{cause}")
        return builders.an_enforcement(world.now, caused_by=caused_by, **change)
    return builders.an_amendment(world.now, version, **change)


def appeal(world: World, user: str, n: int, odd: int, shown: int, flags: int) -> AppealSubmitted:
    appeal_id = world.fresh(f"{user}-a{world.salt}")
    change: dict = {
        0: {"appellant_id": UserId("stranger")},
        2: {"statement_ref": None, "grounds": []},
        3: {"enforcement_id": EnforcementId(f"{user}-a{world.salt}-1")},
        4: {"enforcement_id": EnforcementId("e-missing")},
        5: {"submitted_at": Millis(world.now - 3 * DAY)},
        6: {"enforcement_version": 2},
        7: {"submitted_at": Millis(world.now - 23 * HOUR)},
    }.get(odd, {})
    return builders.an_appeal(
        world.now,
        appeal_id,
        **{
            "event_id": world.fresh("appeal"),
            "user_id": UserId(user),
            "appellant_id": UserId(user),
            "enforcement_id": EnforcementId(f"{user}-e-{n}"),
            "flags": list(FLAGS[flags]),
            "language": "en" if shown % 3 else "de",
            "evidence": [
                Evidence(evidence_id=f"{appeal_id}-{kind}", kind=kind, ref="s3://evidence/a")
                for kind in _SHOWN[shown % len(_SHOWN)]
            ],
            **change,
        },
    )


_RETURNED = (None, None, None, builders.euros("10"), builders.euros("45.50"), _dollars("7.5"), _yen("500"))


def lift(world: World, user: str, n: int, *, whole: bool, returned: int = 0) -> EnforcementLifted:
    """The enforcing side takes it back, with or without strikes and money."""
    about = {"event_id": world.fresh("lift"), "user_id": UserId(user), "strikes_expunged": whole}
    about["amount_returned"] = _RETURNED[returned % len(_RETURNED)]
    return builders.a_lift(world.now, f"{user}-e-{n}", **about)


def profile(world: World, user: str, **change: object) -> UserProfileUpdated:
    return builders.a_profile(world.now, event_id=world.fresh("profile"), user_id=UserId(user), **change)


MONEY_IS_WRONG = (5, 6, 7)
"""Ways of `moved` in which a system has moved other money than was ordered."""


def moved(directive: Directive, how: int) -> Money | None:
    """What a system says of money: nothing, the truth, or something else."""
    asked = directive.amount
    if asked is None:
        return builders.euros("5") if how == 9 else None
    return {
        5: Money(value=asked.value + 1, currency=asked.currency),
        6: Money(value=asked.value, currency="CHF"),
        7: Money(value=asked.value + Decimal("0.001"), currency=asked.currency),
        8: None,
    }.get(how, asked)


def command(
    world: World, order: ReversalOrdered, position: int, what: int, odd: int
) -> ReversalRetried | DirectiveResolved:
    """An operator has something sent again, or vouches for it."""
    change: dict[str, object] = {"event_id": world.fresh("command"), "user_id": order.user_id}
    directive = order.directives[position % len(order.directives)]
    if odd == 0:
        change["reversal_id"] = "no-such"
    if what:  # one directive is meant
        change["directive_id"] = "no-such" if odd == 1 else directive.directive_id
    make = builders.a_retry if what < 2 else builders.a_resolution
    return make(order, Millis(world.now), **change)


def ack(world: World, order: ReversalOrdered, position: int, status: AckStatus, **change: object) -> DirectiveAcked:
    """A system's answer."""
    about = {"event_id": world.fresh("ack"), "user_id": order.user_id, "occurred_at": Millis(world.now), **change}
    return builders.an_ack(order, position % len(order.directives), status, **about)
