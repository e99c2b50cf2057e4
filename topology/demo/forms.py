"""The records of the demo's traffic: each is filled in from a user, a measure and a seeded random source."""

from __future__ import annotations

from random import Random
from typing import Any

from schemas.records import (
    AppealId,
    AppealSubmitted,
    AppealWithdrawn,
    EnforcementAmended,
    EnforcementId,
    EnforcementIssued,
    EnforcementLifted,
    Evidence,
    InputRecord,
    Millis,
    Record,
    ReviewerId,
    Target,
    UserId,
    UserProfileUpdated,
)
from schemas.vocabulary import Action, AppealFlag, AppealGround, Automation, Category, EvidenceKind, LiftReason, Source
from topology.demo import measures, odds, rates
from topology.demo.odds import Kind

POLICY_VERSION = "2025-10"


def user_of(record: Record) -> str:
    """The key of an input record: its user."""
    assert isinstance(record, InputRecord)  # noqa: S101 - for the type checker
    return record.user_id


_NOTICE_SHARE = 0.8
"""Of takedowns, how many come with the notice that they rest on."""


class Forms:
    """Fills in records; `at_s` is seconds from `start_ms` on."""

    def __init__(self, rng: Random, start_ms: int) -> None:
        self._rng = rng
        self._start_ms = start_ms

    def issued(
        self,
        at_s: float,
        who: measures.User,
        action: Action,
        *,
        misfire: bool = False,
        target: Target | None = None,
        caused_by: EnforcementId | None = None,
    ) -> EnforcementIssued:
        """A measure; one of a misfire is by the detector version that strikes wrongly.

        It hits something new unless it has a `target`.
        """
        rng = self._rng
        policy = measures.COUNTERFEIT if misfire else measures.pick(rng, measures.POLICIES)
        automated = misfire or self._happens(rates.AUTOMATED_SHARE)
        by_hand = rng.choice([Automation.AUTOMATED_DECISION_PARTIALLY, Automation.AUTOMATED_DECISION_NOT_AUTOMATED])
        enforcement_id = EnforcementId(self._new_id("enf"))
        lasts_ms = measures.ends_after_ms(rng, action)
        money = measures.amount(rng, action)
        issued_at = self._millis(at_s)
        return EnforcementIssued(
            event_id=self._new_id("ev"),
            user_id=who.user_id,
            enforcement_id=enforcement_id,
            version=1,
            issued_at=issued_at,
            policy=policy.name,
            policy_version=POLICY_VERSION,
            action=action,
            ends_at=None if lasts_ms is None else Millis(issued_at + lasts_ms),
            scope=measures.scope(enforcement_id),
            target=target or measures.target(rng, action, who.user_id),
            ground=policy.ground,
            category=policy.category,
            source=measures.pick(
                rng, {Source.SOURCE_VOLUNTARY: 88, Source.SOURCE_ARTICLE_16: 10, Source.SOURCE_TRUSTED_FLAGGER: 2}
            ),
            detector=rates.MISFIRE if misfire else rng.choice(policy.detectors) if automated else None,
            automation=Automation.AUTOMATED_DECISION_FULLY if automated else by_hand,
            decided_by=None if automated else ReviewerId(f"moderator-{rng.randrange(40):02d}"),
            statement_of_reasons_id=self._new_id("sor"),
            facts_ref=f"facts/{enforcement_id}",
            evidence=self._shown(policy.category, automated=automated),
            effects=measures.effects(action, enforcement_id, money),
            amount=money,
            caused_by=caused_by,
            strikes=measures.strikes(action),
        )

    def submitted(self, at_s: float, who: measures.User, issued: EnforcementIssued, way: Kind) -> AppealSubmitted:
        """An appeal against a measure, as odd as `way` says."""
        rng = self._rng
        appeal_id = AppealId(self._new_id("ap"))
        other = way in (Kind.BY_OTHER, Kind.BY_AGENT)
        empty = way is Kind.EMPTY
        flags = [
            flag
            for flag, share in (
                (AppealFlag.LEGAL_ORDER, odds.LEGAL_ORDER_SHARE),
                (AppealFlag.CHILD_SAFETY, odds.CHILD_SAFETY_SHARE),
                (AppealFlag.PERSONAL_SAFETY, odds.PERSONAL_SAFETY_SHARE),
            )
            if self._happens(share)
        ]
        return AppealSubmitted(
            event_id=self._new_id("ev"),
            user_id=who.user_id,
            appeal_id=appeal_id,
            submitted_at=self._millis(at_s),
            enforcement_id=issued.enforcement_id,
            enforcement_version=None if self._happens(0.3) else issued.version,
            appellant_id=UserId(f"someone-{rng.randrange(1_000):03d}") if other else who.user_id,
            mandate_ref=f"mandates/{appeal_id}" if way is Kind.BY_AGENT else None,
            language=who.language,
            grounds=[] if empty else [rng.choice([g for g in AppealGround if g is not AppealGround.UNKNOWN])],
            statement_ref=None if empty else f"statements/{appeal_id}",
            evidence=[self._evidence(EvidenceKind.TRANSACTION_RECORD)] if not empty and self._happens(0.3) else [],
            flags=flags,
        )

    def profile(self, at_s: float, who: measures.User) -> UserProfileUpdated:
        """What is known about the user."""
        return UserProfileUpdated(
            event_id=self._new_id("ev"),
            user_id=who.user_id,
            occurred_at=self._millis(at_s),
            language=who.language,
            region=who.region,
            seller_tier=who.tier,
            lifetime_value=who.lifetime_value,
            reach=who.reach,
            is_minor=who.is_minor,
        )

    def amended(self, at_s: float, issued: EnforcementIssued) -> EnforcementAmended:
        """The same, found by a second look to break another policy."""
        policy = measures.pick(self._rng, measures.POLICIES)
        content: dict[str, Any] = {
            name: getattr(issued, name) for name in EnforcementAmended.__struct_fields__ if hasattr(issued, name)
        }
        content |= {
            "event_id": self._new_id("ev"),
            "version": 2,
            "policy": policy.name,
            "category": policy.category,
            "ground": policy.ground,
        }
        return EnforcementAmended(**content, occurred_at=self._millis(at_s), reason="second look")

    def lifted(self, at_s: float, issued: EnforcementIssued) -> EnforcementLifted:
        """The enforcing side takes it back."""
        return EnforcementLifted(
            event_id=self._new_id("ev"),
            user_id=issued.user_id,
            enforcement_id=issued.enforcement_id,
            occurred_at=self._millis(at_s),
            reason=self._rng.choice([LiftReason.ERROR, LiftReason.RETRACTED]),
            strikes_expunged=self._happens(0.5),
        )

    def withdrawn(self, at_s: float, appeal: AppealSubmitted) -> AppealWithdrawn:
        """The appellant takes it back."""
        return AppealWithdrawn(
            event_id=self._new_id("ev"),
            user_id=appeal.user_id,
            appeal_id=appeal.appeal_id,
            occurred_at=self._millis(at_s),
        )

    def _shown(self, category: Category, *, automated: bool) -> list[Evidence]:
        """What the enforcing side has to show; now and then it forgets the notice that a takedown rests on."""
        shown = [self._evidence(EvidenceKind.MODEL_SIGNAL if automated else EvidenceKind.SCREENSHOT)]
        takedown = category is Category.STATEMENT_CATEGORY_INTELLECTUAL_PROPERTY_INFRINGEMENTS
        if takedown and Random(shown[0].evidence_id).random() < _NOTICE_SHARE:
            notice_id = f"{shown[0].evidence_id}-notice"
            shown.append(Evidence(evidence_id=notice_id, kind=EvidenceKind.NOTICE, ref=f"evidence/{notice_id}"))
        return shown

    def _evidence(self, kind: EvidenceKind) -> Evidence:
        evidence_id = self._new_id("x")
        return Evidence(evidence_id=evidence_id, kind=kind, ref=f"evidence/{evidence_id}")

    def _happens(self, share: float) -> bool:
        return self._rng.random() < share

    def _new_id(self, prefix: str) -> str:
        return f"{prefix}-{self._rng.getrandbits(56):014x}"

    def _millis(self, at_s: float) -> Millis:
        return Millis(self._start_ms + int(at_s * 1000))
