"""What random histories put in: enforcements of all kinds, appeals good and odd, profiles, answers of systems."""

from __future__ import annotations

from schemas.records import (
    AppealSubmitted,
    DirectiveAcked,
    Effect,
    EnforcementAmended,
    EnforcementId,
    EnforcementIssued,
    EnforcementLifted,
    Evidence,
    Millis,
    ReversalOrdered,
    ReviewerId,
    Target,
    UserId,
    UserProfileUpdated,
)
from schemas.vocabulary import AckStatus, Action, AppealFlag, EffectKind, EvidenceKind, TargetKind
from tests.topology.appeals_world import DAY, HOUR, World
from tests.unit import builders

CONTENTS: tuple[dict, ...] = (
    {"action": Action.SUSPENSION, "policy": "impersonation"},
    {"action": Action.CONTENT_REMOVAL, "target": Target(kind=TargetKind.LISTING, id="l-1", content_hash="h-1")},
    {"action": Action.FEE, "policy": "fees", "amount": builders.euros("45.50")},
    {"action": Action.CONTENT_LABEL, "target": Target(kind=TargetKind.LISTING, id="l-2")},
    {"action": Action.PAYOUT_HOLD, "policy": "fees", "amount": builders.euros("300"), "strikes": 1},
    {"action": Action.WARNING, "effects": [], "strikes": 1},
    {"action": Action.BAN, "policy": "impersonation"},
    {"action": Action.FEATURE_RESTRICTION, "policy": "spam", "strikes": 1},
)
_MONEY = {Action.FEE: EffectKind.MONEY_TAKEN, Action.PAYOUT_HOLD: EffectKind.PAYOUT_STATUS}
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
    world: World, user: str, n: int, content: int, version: int, *, evidence: int, decider: int
) -> EnforcementIssued | EnforcementAmended:
    given = CONTENTS[content]
    key = f"{user}-e-{n}"
    who = _DECIDERS[decider % len(_DECIDERS)]
    effects = [Effect(effect_id=f"{key}-ef", system="sys-1", kind=_MONEY.get(given["action"], EffectKind.VISIBILITY))]
    change = {
        "event_id": world.fresh("enforced"),
        "user_id": UserId(user),
        "enforcement_id": EnforcementId(key),
        "ends_at": Millis(world.now + (6 + version) * DAY) if content in (0, 4, 7) and evidence % 2 else None,
        "effects": effects,
        "decided_by": None if who is None else ReviewerId(who),
        "appealable": evidence != 9,
        "evidence": [
            Evidence(evidence_id=f"{key}-{version}-{kind}", kind=kind, ref="s3://evidence/e")
            for kind in _SHOWN[evidence % len(_SHOWN)]
        ],
        **given,
    }
    if version == 1:
        return builders.an_enforcement(world.now, **change)
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


def lift(world: World, user: str, n: int, *, whole: bool) -> EnforcementLifted:
    about = {"event_id": world.fresh("lift"), "user_id": UserId(user), "strikes_expunged": whole}
    return builders.a_lift(world.now, f"{user}-e-{n}", **about)


def profile(world: World, user: str, **change: object) -> UserProfileUpdated:
    return builders.a_profile(world.now, event_id=world.fresh("profile"), user_id=UserId(user), **change)


def ack(world: World, order: ReversalOrdered, position: int, status: AckStatus, **change: object) -> DirectiveAcked:
    about = {"event_id": world.fresh("ack"), "user_id": order.user_id, "occurred_at": Millis(world.now), **change}
    return builders.an_ack(order, position % len(order.directives), status, **about)
