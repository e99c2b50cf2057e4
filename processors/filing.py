"""An enforcement as it goes on file; what no later decision could rest on is not filed."""

from processors.errors import UnknownSymbolError
from processors.growth import MAX_FILED_EXHIBITS, within
from processors.money import check
from processors.on_file import Enforcement, Exhibit, FiledEffect, Sum
from schemas.records import EnforcementAmended, EnforcementIssued, Evidence, Millis, Money
from schemas.vocabulary import Action, EffectKind, EvidenceSupplier, TargetKind


def filed(event: EnforcementIssued | EnforcementAmended, noticed_at: Millis) -> Enforcement:
    """The enforcement as the dossier keeps it.

    Raises:
        UnknownSymbolError: its action, target or an effect is not known to this version.
        ImpossibleInputError: an amount is negative, or finer than its currency.
    """
    _check(event)
    detector = event.detector
    target = event.target
    return Enforcement(
        version=event.version,
        action=event.action,
        target_kind=target.kind,
        target_id=target.id,
        noticed_at=noticed_at,
        issued_at=noticed_at,
        ends_at=event.ends_at,
        content_hash=target.content_hash,
        scope=list(event.scope),
        policy=event.policy,
        policy_version=event.policy_version,
        ground=event.ground,
        category=event.category,
        automation=event.automation,
        detector=None if detector is None else detector.name,
        detector_version="" if detector is None else detector.version,
        statement_of_reasons_id=event.statement_of_reasons_id,
        facts_ref=event.facts_ref,
        evidence=_exhibits(event.evidence[:MAX_FILED_EXHIBITS]),
        effects=[
            FiledEffect(effect.effect_id, effect.system, effect.kind, effect.params, filed_amount(effect.amount))
            for effect in event.effects
        ],
        amount=filed_amount(event.amount),
        strikes=event.strikes,
        appealable=event.appealable,
        appeal_until=event.appeal_until,
        barred=[] if event.decided_by is None else [event.decided_by],
        decided_by=event.decided_by,
    )


def _exhibits(evidence: list[Evidence]) -> list[Exhibit]:
    found: list[Exhibit] = []
    used = 0
    for item in evidence:
        sealed = within(item.sealed, used)
        used += len(sealed or "")
        found.append(Exhibit(item.evidence_id, item.kind, item.ref, item.sha256, EvidenceSupplier.ENFORCEMENT, sealed))
    return found


def _check(event: EnforcementIssued | EnforcementAmended) -> None:
    """Refuse to file what no later decision could rest on: better one dead letter now than a wrong reversal."""
    if event.action is Action.UNKNOWN or event.target.kind is TargetKind.UNKNOWN:
        raise UnknownSymbolError(f"{_where(event)}: its action or target kind is not known to this version")
    if event.amount is not None:
        check(event.amount, _where(event))
    for effect in event.effects:
        if effect.kind is EffectKind.UNKNOWN:
            raise UnknownSymbolError(
                f"{_where(event)}: the kind of effect {effect.effect_id} is not known to this version"
            )
        if effect.amount is not None:
            check(effect.amount, f"{_where(event)}, effect {effect.effect_id}")


def _where(event: EnforcementIssued | EnforcementAmended) -> str:
    return f"enforcement {event.enforcement_id} version {event.version}"


def filed_amount(amount: Money | None) -> Sum | None:
    """An amount as the dossier keeps it."""
    return None if amount is None else Sum(amount.value, amount.currency)
