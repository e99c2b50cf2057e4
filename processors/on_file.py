"""What the enforcing side has said of a user, as it is kept on file: enforcements, lifts, the profile."""

from decimal import Decimal

from msgspec import Struct

from schemas.records import CaseId, EnforcementId, Millis, ReviewerId
from schemas.vocabulary import (
    Action,
    Automation,
    Category,
    EffectKind,
    EvidenceKind,
    EvidenceSupplier,
    Ground,
    SellerTier,
    TargetKind,
)


class Sum(Struct, frozen=True, array_like=True, gc=False):
    """An exact amount on file."""

    value: Decimal
    currency: str


class Exhibit(Struct, frozen=True, array_like=True, gc=False):
    """A piece of evidence on file, by reference or sealed."""

    evidence_id: str
    kind: EvidenceKind
    ref: str
    sha256: str | None
    supplier: EvidenceSupplier = EvidenceSupplier.UNKNOWN
    sealed: str | None = None
    """The piece itself, under the subject's key."""


class FiledEffect(Struct, frozen=True, array_like=True, gc=False):
    """One thing that an enforcement did, until it is undone."""

    effect_id: str
    system: str
    kind: EffectKind
    params: dict[str, str]
    amount: Sum | None


class Lift(Struct, frozen=True, array_like=True, gc=False):
    """What the enforcing side said when it took its enforcement back."""

    at: Millis
    strikes_expunged: bool
    returned: Sum | None


class FiledLesser(Struct, frozen=True, array_like=True, gc=False):
    """What a decision left of an enforcement that was too hard."""

    action: Action
    ends_at: Millis | None
    scope: list[str]
    amount: Sum | None
    strikes: int


class Enforcement(
    Struct,
    kw_only=True,
    omit_defaults=True,
    gc=False,
    rename={
        "version": "v",
        "action": "a",
        "target_kind": "tk",
        "target_id": "t",
        "noticed_at": "n",
        "issued_at": "i",
        "ends_at": "e",
        "content_hash": "h",
        "scope": "s",
        "policy": "p",
        "policy_version": "pv",
        "ground": "g",
        "category": "c",
        "automation": "au",
        "detector": "d",
        "detector_version": "dv",
        "statement_of_reasons_id": "r",
        "facts_ref": "f",
        "evidence": "ev",
        "effects": "ef",
        "amount": "m",
        "strikes": "k",
        "caused_by": "cb",
        "appealable": "ok",
        "appeal_until": "u",
        "barred": "b",
        "decided_by": "db",
        "lift": "l",
        "returned": "x",
        "reversed_version": "rv",
        "upheld_version": "uv",
        "moot": "mo",
        "case_id": "ci",
        "filed": "fi",
        "lesser": "le",
        "reversal_id": "ri",
        "against": "ag",
    },
):
    """An enforcement on file: its newest version, and what became of it."""

    version: int
    action: Action
    target_kind: TargetKind
    target_id: str
    noticed_at: Millis
    """When the user was told of this version: the appeal window counts from here."""
    issued_at: Millis
    """When the first version on file was issued."""
    ends_at: Millis | None = None
    content_hash: str | None = None
    scope: list[str] = []
    policy: str = ""
    policy_version: str = ""
    ground: Ground = Ground.UNKNOWN
    category: Category = Category.UNKNOWN
    automation: Automation = Automation.UNKNOWN
    detector: str | None = None
    detector_version: str = ""
    statement_of_reasons_id: str = ""
    facts_ref: str | None = None
    evidence: list[Exhibit] = []
    effects: list[FiledEffect] = []
    amount: Sum | None = None
    strikes: int = 0
    caused_by: EnforcementId | None = None
    appealable: bool = True
    appeal_until: Millis | None = None
    barred: list[ReviewerId] = []
    """Who may not review it: who decided any version of it, and who reviewed an earlier case on it."""
    decided_by: ReviewerId | None = None
    """Who decided this version, if a person did: overturns are counted against them."""
    lift: Lift | None = None
    returned: dict[str, Sum] = {}
    """By effect: money that a reversal has ordered back, over all versions. Never ordered twice."""
    reversed_version: int = 0
    """The newest version that a decision overturned."""
    upheld_version: int = 0
    """The newest version that a decision upheld."""
    moot: bool = False
    """A case on this version ended because nothing was left to restore."""
    case_id: CaseId | None = None
    """The open case on it; there is never more than one."""
    filed: bool = False
    """Filed away: past appeal, only what survival needs is kept."""
    lesser: FiledLesser | None = None
    """What is left of this version since a decision modified it."""
    reversal_id: str | None = None
    """The newest reversal of it, running or confirmed."""
    against: str | None = None
    """The reversal whose immunity it strikes against."""

    @property
    def force(self) -> FiledLesser:
        """What is in force of it: as it was issued, or what a decision left."""
        if self.lesser is not None:
            return self.lesser
        return FiledLesser(self.action, self.ends_at, self.scope, self.amount, self.strikes)


class Profile(
    Struct,
    kw_only=True,
    omit_defaults=True,
    gc=False,
    rename={
        "at": "a",
        "language": "l",
        "region": "r",
        "tier": "t",
        "lifetime_value": "v",
        "reach": "h",
        "is_minor": "m",
        "safety_flag": "s",
    },
):
    """The newest profile of the user."""

    at: Millis
    language: str
    region: str
    tier: SellerTier
    lifetime_value: Sum | None = None
    reach: int = 0
    is_minor: bool = False
    safety_flag: bool = False
