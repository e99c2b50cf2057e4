"""Orders and directives made by hand, for the reference enforcement system."""

from decimal import Decimal
from typing import Any

from schemas.records import (
    CaseId,
    Directive,
    Effect,
    EnforcementId,
    EnforcementIssued,
    Lesser,
    Millis,
    Money,
    Restriction,
    ReversalOrdered,
    Target,
)
from schemas.vocabulary import Action, EffectKind, Operation, Outcome, TargetKind
from tests.unit.builders import T0, USER, an_enforcement

ACCOUNT = Target(kind=TargetKind.ACCOUNT, id=USER)
OPERATION = {
    EffectKind.PAYOUT_STATUS: Operation.RELEASE,
    EffectKind.MONEY_TAKEN: Operation.REPAY,
    EffectKind.STRIKES: Operation.EXPUNGE,
}


def money(value: str, currency: str = "EUR") -> Money:
    return Money(value=Decimal(value), currency=currency)


def a_measure(key: str, action: Action, *kinds: EffectKind, at: int = T0, **change: Any) -> EnforcementIssued:
    amount = change.pop("taken", None)
    effects = [
        Effect(
            effect_id=f"{key}-{kind}",
            system=f"sys-{kind}",
            kind=kind,
            amount=amount if kind in (EffectKind.MONEY_TAKEN, EffectKind.PAYOUT_STATUS) else None,
        )
        for kind in kinds
    ]
    return an_enforcement(
        at, **{"enforcement_id": EnforcementId(key), "action": action, "target": ACCOUNT, "effects": effects, **change}
    )


def a_restriction(e: EnforcementIssued, **change: Any) -> Restriction:
    about = {"action": e.action, "ends_at": e.ends_at, "enforcement_id": e.enforcement_id}
    return Restriction(**{**about, **change})


def a_directive(e: EnforcementIssued, kind: EffectKind, revision: int = 1, **change: Any) -> Directive:
    key = change.pop("key", f"d-{e.enforcement_id}-{kind}-{revision}")
    return Directive(
        **{
            "directive_id": key,
            "idempotency_key": key,
            "system": f"sys-{kind}",
            "operation": OPERATION.get(kind, Operation.RESTORE),
            "target": e.target,
            "effect_id": next((x.effect_id for x in e.effects if x.kind is kind), f"{e.enforcement_id}-{kind}"),
            "revision": revision,
            **change,
        }
    )


def an_order(
    e: EnforcementIssued, *directives: Directive, at: int = T0, lesser: Lesser | None = None, **change: Any
) -> ReversalOrdered:
    return ReversalOrdered(
        **{
            "reversal_id": f"r-{e.enforcement_id}",
            "user_id": e.user_id,
            "case_id": CaseId("c-1"),
            "enforcement_id": e.enforcement_id,
            "enforcement_version": e.version,
            "ordered_at": Millis(at),
            "attempt": 1,
            "outcome": Outcome.OVERTURNED if lesser is None else Outcome.MODIFIED,
            "strikes_expunged": 0,
            "directives": list(directives),
            "lesser": lesser,
            **change,
        }
    )
