"""Builders of inputs with sensible defaults, a context that records, and a few steps that tests share."""

import copy
import itertools
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import yaml

from processors import ids
from processors.dossier import Dossier
from processors.fold import encode_dossier, handle, new_dossier
from processors.on_file import Enforcement
from processors.open_case import OpenCase
from processors.references import NOTHING, References, Seen
from processors.rulebook import Rulebook
from schemas.records import (
    AppealId,
    AppealSubmitted,
    AppealWithdrawn,
    AppellantNotice,
    Case,
    CaseClaimed,
    CaseEvent,
    CaseHeld,
    CaseId,
    CaseReferred,
    CaseReleased,
    CaseResumed,
    DecisionConfirmed,
    DecisionProposed,
    DecisionReturned,
    Detector,
    DirectiveAcked,
    DirectiveResolved,
    Effect,
    EnforcementAmended,
    EnforcementId,
    EnforcementIssued,
    EnforcementLifted,
    Evidence,
    EvidenceRequested,
    EvidenceSupplied,
    InputRecord,
    LegalHoldPlaced,
    LegalHoldReleased,
    Millis,
    Money,
    Record,
    ReversalConfirmed,
    ReversalOrdered,
    ReversalRetried,
    ReviewerId,
    SubjectErasureRequested,
    Target,
    TimerFired,
    UserId,
    UserProfileUpdated,
)
from schemas.vocabulary import (
    AckStatus,
    Action,
    AppealGround,
    Automation,
    CaseEventKind,
    Category,
    EffectKind,
    EvidenceKind,
    EvidenceSupplier,
    Ground,
    HoldReason,
    LiftReason,
    NoticeKind,
    Outcome,
    ReferralReason,
    SellerTier,
    Source,
    TargetKind,
)
from topology.rulebook_file import PACKAGED, load_rulebook

PACKAGED_RULEBOOK = load_rulebook()
PACKAGED_SECTIONS: dict[str, Any] = yaml.safe_load(PACKAGED.read_text(encoding="utf-8"))
USER = UserId("u-1")
T0 = 1_760_000_000_000
MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def a_rulebook(**sections: Any) -> Rulebook:
    """The packaged rulebook with these sections in place of its own."""
    return Rulebook.model_validate({**PACKAGED_SECTIONS, **sections})


RULEBOOK = a_rulebook(second_review=None, evidence=[], automation=[])
"""One person decides, on whatever evidence: for tests that are about something else."""

_numbers = itertools.count(1)


def fresh(prefix: str) -> str:
    """An id that no other record of the test run has."""
    return f"{prefix}-{next(_numbers)}"


def euros(value: str) -> Money:
    return Money(value=Decimal(value), currency="EUR")


def an_effect(kind: EffectKind = EffectKind.ACCOUNT_STATUS, **change: Any) -> Effect:
    return Effect(**{"effect_id": f"ef-{kind}", "system": f"sys-{kind}", "kind": kind, **change})


def some_evidence(evidence_id: str = "x-1", kind: EvidenceKind = EvidenceKind.SCREENSHOT) -> Evidence:
    return Evidence(evidence_id=evidence_id, kind=kind, ref=f"s3://evidence/{evidence_id}")


def _content(change: dict[str, Any]) -> dict[str, Any]:
    return {
        "user_id": USER,
        "enforcement_id": EnforcementId("e-1"),
        "policy": "counterfeit",
        "policy_version": "2025-03",
        "action": Action.SUSPENSION,
        "target": Target(kind=TargetKind.ACCOUNT, id="u-1"),
        "ground": Ground.DECISION_GROUND_INCOMPATIBLE_CONTENT,
        "category": Category.STATEMENT_CATEGORY_SCAMS_AND_FRAUD,
        "source": Source.SOURCE_VOLUNTARY,
        "detector": Detector(name="fake-finder", version="7"),
        "automation": Automation.AUTOMATED_DECISION_FULLY,
        "statement_of_reasons_id": "sor-1",
        "effects": [an_effect()],
        **change,
    }


def an_enforcement(at: int = T0, version: int = 1, **change: Any) -> EnforcementIssued:
    event_id = fresh("ev-issued")
    return EnforcementIssued(**{"event_id": event_id, "issued_at": Millis(at), "version": version, **_content(change)})


def an_amendment(at: int = T0 + HOUR, version: int = 2, **change: Any) -> EnforcementAmended:
    base = {"event_id": fresh("ev-amended"), "occurred_at": Millis(at), "version": version, "reason": "review"}
    return EnforcementAmended(**{**base, **_content(change)})


def a_lift(at: int = T0 + 2 * HOUR, enforcement_id: str = "e-1", **change: Any) -> EnforcementLifted:
    return EnforcementLifted(
        **{
            "event_id": fresh("ev-lift"),
            "user_id": USER,
            "enforcement_id": EnforcementId(enforcement_id),
            "occurred_at": Millis(at),
            "reason": LiftReason.ERROR,
            **change,
        }
    )


def a_profile(at: int = T0, **change: Any) -> UserProfileUpdated:
    return UserProfileUpdated(
        **{
            "event_id": fresh("ev-profile"),
            "user_id": USER,
            "occurred_at": Millis(at),
            "language": "en",
            "region": "DE",
            "seller_tier": SellerTier.SELLER,
            "reach": 1_200,
            "lifetime_value": euros("5400.00"),
            **change,
        }
    )


def an_appeal(at: int = T0 + HOUR, appeal_id: str = "a-1", **change: Any) -> AppealSubmitted:
    return AppealSubmitted(
        **{
            "event_id": fresh("ev-appeal"),
            "user_id": USER,
            "appeal_id": AppealId(appeal_id),
            "submitted_at": Millis(at),
            "enforcement_id": EnforcementId("e-1"),
            "appellant_id": USER,
            "language": "en",
            "grounds": [AppealGround.FACTS_WRONG],
            "statement_ref": f"s3://statements/{appeal_id}",
            **change,
        }
    )


def a_withdrawal(at: int = T0 + 2 * HOUR, appeal_id: str = "a-1") -> AppealWithdrawn:
    return AppealWithdrawn(
        event_id=fresh("ev-withdrawn"), user_id=USER, appeal_id=AppealId(appeal_id), occurred_at=Millis(at)
    )


def _review(at: int, actor: str, version: int, appeal_id: str) -> dict[str, Any]:
    return {
        "event_id": fresh("ev-review"),
        "user_id": USER,
        "case_id": case_of(appeal_id),
        "actor": ReviewerId(actor),
        "expected_version": version,
        "occurred_at": Millis(at),
    }


def a_claim(at: int, actor: str = "r-1", version: int = 1, appeal_id: str = "a-1") -> CaseClaimed:
    return CaseClaimed(**_review(at, actor, version, appeal_id))


def a_release(at: int, actor: str = "r-1", version: int = 2, appeal_id: str = "a-1") -> CaseReleased:
    return CaseReleased(**_review(at, actor, version, appeal_id))


def a_decision(
    at: int,
    outcome: Outcome = Outcome.OVERTURNED,
    actor: str = "r-1",
    version: int = 2,
    appeal_id: str = "a-1",
    cited: list[str] | None = None,
    **change: Any,
) -> DecisionProposed:
    return DecisionProposed(
        **{
            **_review(at, actor, version, appeal_id),
            "outcome": outcome,
            "reasons_ref": "s3://reasons/1",
            "policy_version": "2025-03",
            "cited_evidence": cited or [],
            **change,
        }
    )


def a_confirmation(
    at: int, actor: str = "r-2", version: int = 4, appeal_id: str = "a-1", **change: Any
) -> DecisionConfirmed:
    return DecisionConfirmed(**{**_review(at, actor, version, appeal_id), **change})


def a_return(at: int, actor: str = "r-2", version: int = 4, appeal_id: str = "a-1", **change: Any) -> DecisionReturned:
    return DecisionReturned(**{**_review(at, actor, version, appeal_id), "guidance_ref": "s3://guidance/1", **change})


def an_evidence_request(
    at: int, actor: str = "r-1", version: int = 2, appeal_id: str = "a-1", **change: Any
) -> EvidenceRequested:
    base = {"kinds": [EvidenceKind.LICENCE], "note_ref": "s3://note/1"}
    return EvidenceRequested(**{**_review(at, actor, version, appeal_id), **base, **change})


def a_supply(
    at: int,
    *evidence: Evidence,
    actor: str = USER,
    version: int | None = None,
    appeal_id: str = "a-1",
    supplier: EvidenceSupplier = EvidenceSupplier.APPELLANT,
) -> EvidenceSupplied:
    """From the appellant, who knows no versions, unless it says otherwise."""
    return EvidenceSupplied(
        **{**_review(at, actor, 0, appeal_id), "expected_version": version},
        supplier=supplier,
        evidence=list(evidence),
    )


def a_hold(at: int, actor: str = "r-1", version: int = 2, appeal_id: str = "a-1", **change: Any) -> CaseHeld:
    return CaseHeld(**{**_review(at, actor, version, appeal_id), "reason": HoldReason.LEGAL_PROCEEDINGS, **change})


def a_resume(at: int, actor: str = "r-1", version: int = 3, appeal_id: str = "a-1") -> CaseResumed:
    return CaseResumed(**_review(at, actor, version, appeal_id))


def a_referral(
    at: int, to_pod: str = "legal", actor: str = "r-1", version: int = 2, appeal_id: str = "a-1", **change: Any
) -> CaseReferred:
    base = {"to_pod": to_pod, "reason": ReferralReason.LEGAL}
    return CaseReferred(**{**_review(at, actor, version, appeal_id), **base, **change})


def an_ack(
    order: ReversalOrdered, position: int = 0, status: AckStatus = AckStatus.APPLIED, **change: Any
) -> DirectiveAcked:
    directive = order.directives[position]
    return DirectiveAcked(
        **{
            "event_id": fresh("ev-ack"),
            "user_id": USER,
            "reversal_id": order.reversal_id,
            "directive_id": directive.directive_id,
            "system": directive.system,
            "status": status,
            "occurred_at": order.ordered_at,
            **change,
        }
    )


def a_retry(order: ReversalOrdered, at: int, **change: Any) -> ReversalRetried:
    """An operator has the reversal sent again."""
    return ReversalRetried(
        **{
            "event_id": fresh("ev-retry"),
            "user_id": USER,
            "reversal_id": order.reversal_id,
            "actor": "ops-1",
            "occurred_at": at,
            "reason": "the system is back",
            **change,
        }
    )


def a_resolution(order: ReversalOrdered, at: int, position: int = 0, **change: Any) -> DirectiveResolved:
    """An operator vouches for a directive."""
    return DirectiveResolved(
        **{
            "event_id": fresh("ev-resolved"),
            "user_id": USER,
            "reversal_id": order.reversal_id,
            "directive_id": order.directives[position].directive_id,
            "actor": "ops-1",
            "occurred_at": at,
            "reason": "done by hand, ticket 7",
            **change,
        }
    )


def an_erasure(at: int = T0 + DAY, **change: Any) -> SubjectErasureRequested:
    """The user, or somebody for them, asks to be forgotten."""
    return SubjectErasureRequested(
        **{
            "event_id": fresh("ev-erasure"),
            "user_id": USER,
            "occurred_at": Millis(at),
            "actor": "dpo-1",
            "reason": "ticket 8",
            **change,
        }
    )


def a_legal_hold(at: int = T0 + HOUR, hold_id: str = "h-1", **change: Any) -> LegalHoldPlaced:
    base = {"event_id": fresh("ev-hold"), "user_id": USER, "hold_id": hold_id, "occurred_at": Millis(at)}
    return LegalHoldPlaced(**{**base, "actor": "legal-1", "reason": "a court asks", **change})


def a_hold_release(at: int = T0 + 2 * DAY, hold_id: str = "h-1", **change: Any) -> LegalHoldReleased:
    base = {"event_id": fresh("ev-hold-over"), "user_id": USER, "hold_id": hold_id, "occurred_at": Millis(at)}
    return LegalHoldReleased(**{**base, "actor": "legal-1", "reason": "the court is done", **change})


def all_but_the_audit(dossier: Dossier) -> bytes:
    """The dossier as it is stored, without its counts of lines and inputs: what a harmless input must leave alone."""
    same = copy.copy(dossier)
    same.seq, same.head, same.folded = 0, b"", []
    return encode_dossier(same)


def case_of(appeal_id: str = "a-1") -> CaseId:
    return ids.case_id(AppealId(appeal_id))


@dataclass
class Emission:
    topic: str
    key: str
    record: Record | None


@dataclass
class Life:
    """One user's dossier under a recording context: send inputs, read what came out."""

    rulebook: Rulebook = RULEBOOK
    now: int = T0
    dossier: Dossier = field(default_factory=lambda: new_dossier(USER))
    out: list[Emission] = field(default_factory=list)
    allowance: int | None = None
    """What `spend` gives of each name a day, whatever limit it is asked with; none: the limit."""
    counted: Counter[tuple[str, ...]] = field(default_factory=Counter)
    """What the handlers counted, by name and labels."""
    spent: dict[tuple[str, int], int] = field(default_factory=dict)
    """Units by name and day since 1970."""
    references: References | None = None
    """What the reference tables say; none: nothing."""
    trace: str = ""
    terms: set[bytes] = field(default_factory=set)
    """The index, as the dossier's changes have left it."""

    def index(self, term: bytes) -> None:
        self.terms.add(term)

    def timed(self, name: str) -> None:
        pass

    def unindex(self, term: bytes) -> None:
        self.terms.discard(term)

    def look(self, e: Enforcement) -> Seen:
        return NOTHING if self.references is None else self.references.look(e, self.now)

    def emit(self, topic: str, key: str, record: Record | None) -> None:
        self.out.append(Emission(topic, key, record))

    def count(self, name: str, by: float = 1, **labels: str) -> None:
        self.counted[(name, *labels.values())] += by

    def spend(self, name: str, limit: int) -> bool:
        account = name, self.now // DAY
        used = self.spent.get(account, 0)
        if used >= (limit if self.allowance is None else self.allowance):
            return False
        self.spent[account] = used + 1
        return True

    def send(self, event: InputRecord, at: int | None = None) -> list[Emission]:
        """Fold one input at its own time (or later, never back), and give what it emitted."""
        own = getattr(event, "occurred_at", None) or getattr(event, "issued_at", None)
        self.now = max(self.now, at if at is not None else own or event.submitted_at)  # type: ignore[union-attr]
        before = len(self.out)
        handle(self.dossier, event, self)
        return self.out[before:]

    def wait_until(self, at: int) -> list[Emission]:
        """Fire the timers that are due by then, as the engine would."""
        self.now = max(self.now, at)
        before = len(self.out)
        handle(self.dossier, TimerFired(USER, Millis(self.now)), self)
        assert self.dossier.due is None or self.dossier.due > self.now
        return self.out[before:]

    def lines(self, kind: CaseEventKind | None = None) -> list[CaseEvent]:
        found = [e.record for e in self.out if isinstance(e.record, CaseEvent)]
        return [line for line in found if kind is None or line.kind is kind]

    def kinds(self) -> list[CaseEventKind]:
        return [line.kind for line in self.lines()]

    def notices(self, kind: NoticeKind | None = None) -> list[AppellantNotice]:
        found = [e.record for e in self.out if isinstance(e.record, AppellantNotice)]
        return [n for n in found if kind is None or n.kind is kind]

    def orders(self) -> list[ReversalOrdered]:
        return [e.record for e in self.out if isinstance(e.record, ReversalOrdered)]

    def confirmations(self) -> list[ReversalConfirmed]:
        return [e.record for e in self.out if isinstance(e.record, ReversalConfirmed)]

    def published(self) -> list[Case]:
        return [e.record for e in self.out if isinstance(e.record, Case)]

    def on_pods(self) -> dict[tuple[str, str], Case]:
        """What a reader of all compacted pod topics sees now, by topic and key."""
        seen: dict[tuple[str, str], Case] = {}
        for emission in self.out:
            if emission.topic.startswith("cases."):
                if isinstance(emission.record, Case):
                    seen[emission.topic, emission.key] = emission.record
                else:
                    seen.pop((emission.topic, emission.key), None)
        return seen

    def case_count(self) -> int:
        return len(self.dossier.cases)

    def case(self, appeal_id: str = "a-1") -> OpenCase:
        return self.dossier.cases[case_of(appeal_id)]

    def version(self, appeal_id: str = "a-1") -> int:
        """What a reviewer tool would expect now."""
        return self.case(appeal_id).version


def after(*events: InputRecord, rulebook: Rulebook = RULEBOOK) -> Life:
    """The life of a user to whom these things happened, in this order."""
    life = Life(rulebook=rulebook)
    for event in events:
        life.send(event)
    return life


def decided(outcome: Outcome = Outcome.OVERTURNED, *before: InputRecord, **enforcement: Any) -> Life:
    """A life in which the appeal ``a-1`` was decided in this way an hour after it came."""
    life = after(*before, an_enforcement(**enforcement), an_appeal())
    life.send(a_claim(T0 + 2 * HOUR))
    life.send(a_decision(T0 + 2 * HOUR + MINUTE, outcome))
    return life
