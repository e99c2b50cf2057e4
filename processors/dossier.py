"""The dossier: everything that is known of one user, in the form that is stored.

It is decoded, changed and encoded once for each batch of a user's events, so its size is a cost on every event.
Hence short keys, no defaults on the wire, arrays for the small parts, and bounds on everything that a user can
make grow (`processors/growth.py`). Long structs are maps: a new field needs a default and a new key. Small ones
are arrays: a new field needs a default and goes last.
"""

from decimal import Decimal

from msgspec import Struct, field

from schemas.records import AppealId, AppealSubmitted, CaseId, EnforcementId, Millis, ReviewerId, UserId
from schemas.vocabulary import (
    Action,
    AppealFlag,
    AppealGround,
    Automation,
    Band,
    CaseState,
    Category,
    EffectKind,
    EvidenceKind,
    Ground,
    Operation,
    Outcome,
    SellerTier,
    TargetKind,
)


class Sum(Struct, frozen=True, array_like=True, gc=False):
    """An exact amount on file."""

    value: Decimal
    currency: str


class Exhibit(Struct, frozen=True, array_like=True, gc=False):
    """A piece of evidence on file, by reference."""

    evidence_id: str
    kind: EvidenceKind
    ref: str
    sha256: str | None


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
        "lift": "l",
        "returned": "x",
        "reversed_version": "rv",
        "upheld_version": "uv",
        "moot": "mo",
        "case_id": "ci",
        "filed": "fi",
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


class Parked(Struct, frozen=True, array_like=True, gc=False):
    """An appeal that waits for its enforcement."""

    until: Millis
    appeal: AppealSubmitted


class Part(Struct, frozen=True, array_like=True, gc=False):
    """One component of a priority."""

    name: str
    value: float
    weight: float
    contribution: float
    because: str


class Note(Struct, frozen=True, array_like=True, gc=False):
    """One text of the appellant."""

    appeal_id: AppealId
    submitted_at: Millis
    ref: str | None
    sha256: str | None


class Lease(Struct, frozen=True, array_like=True, gc=False):
    """Who works on a case, and until when."""

    reviewer: ReviewerId
    since: Millis
    until: Millis


class OpenCase(
    Struct,
    kw_only=True,
    omit_defaults=True,
    gc=False,
    rename={
        "case_id": "i",
        "version": "v",
        "appeal_id": "a",
        "enforcement_id": "e",
        "submitted_at": "s",
        "opened_at": "o",
        "due_at": "d",
        "language": "l",
        "region": "r",
        "state": "st",
        "pod": "p",
        "band": "b",
        "score": "sc",
        "parts": "c",
        "rank_at": "ra",
        "promised_at": "pa",
        "rule": "ru",
        "because": "be",
        "digest": "dg",
        "grounds": "g",
        "flags": "f",
        "notes": "n",
        "evidence": "ev",
        "changed": "ch",
        "excluded": "x",
        "lease": "le",
        "expires_at": "xp",
        "overdue": "od",
        "last_review": "lr",
    },
):
    """A case that is not decided yet."""

    case_id: CaseId
    version: int
    appeal_id: AppealId
    enforcement_id: EnforcementId
    submitted_at: Millis
    opened_at: Millis
    due_at: Millis
    language: str
    region: str
    state: CaseState = CaseState.QUEUED
    pod: str = ""
    band: Band = Band.UNKNOWN
    score: int = 0
    parts: list[Part] = []
    rank_at: Millis = Millis(0)
    promised_at: Millis = Millis(0)
    rule: str = ""
    because: str = ""
    digest: str = ""
    """Of the rulebook that ranked and routed it last."""
    grounds: list[AppealGround] = []
    flags: list[AppealFlag] = []
    notes: list[Note] = []
    evidence: list[Exhibit] = []
    changed: bool = False
    excluded: list[ReviewerId] = []
    lease: Lease | None = None
    expires_at: Millis | None = None
    """When the enforcement ends, until that has been dealt with."""
    overdue: bool = False
    """The regulatory due time has passed, and the line that says so is written."""
    last_review: str = ""
    """The last accepted review event, so that its redelivery is silent."""


class Decided(Struct, frozen=True, array_like=True, gc=False):
    """What is kept of a closed case: enough to answer late withdrawals, reviews and answers of systems."""

    appeal_id: AppealId
    outcome: Outcome
    version: int
    last_review: str
    confirmed: bool = False


class Order(Struct, array_like=True, gc=False):
    """One directive of a running reversal, and how far it is."""

    directive_id: str
    system: str
    operation: Operation
    effect_id: str
    params: dict[str, str]
    amount: Sum | None
    done: bool = False
    failed: bool = False
    last_ack: str = ""


class Reversal(
    Struct,
    kw_only=True,
    omit_defaults=True,
    gc=False,
    rename={
        "case_id": "c",
        "appeal_id": "p",
        "enforcement_id": "e",
        "version": "v",
        "target_kind": "tk",
        "target_id": "t",
        "content_hash": "h",
        "ordered_at": "o",
        "language": "l",
        "strikes": "k",
        "orders": "d",
        "attempt": "a",
        "retry_at": "r",
        "stalled": "s",
    },
):
    """A reversal that is not confirmed yet."""

    case_id: CaseId
    appeal_id: AppealId
    enforcement_id: EnforcementId
    version: int
    target_kind: TargetKind
    target_id: str
    content_hash: str | None = None
    ordered_at: Millis
    language: str
    strikes: int = 0
    orders: list[Order]
    attempt: int = 1
    retry_at: Millis | None = None
    stalled: bool = False


class Immunity(Struct, frozen=True, array_like=True, gc=False):
    """Something that was struck wrongly: a second strike at it is probably wrong too."""

    target_id: str
    content_hash: str | None
    policy: str


class Tally(Struct, array_like=True, gc=False):
    """Decided appeals of this user against one detector."""

    overturned: int = 0
    decided: int = 0


class Counts(Struct, array_like=True, gc=False):
    """The user's history in numbers; what `standing` rests on."""

    appeals: int = 0
    opened: int = 0
    refused: int = 0
    """Without duplicates and without those whose enforcement never came."""
    upheld: int = 0
    overturned: int = 0
    withdrawn: int = 0
    moot: int = 0


class Dossier(
    Struct,
    omit_defaults=True,
    gc=False,
    rename={
        "user_id": "u",
        "seq": "q",
        "due": "d",
        "profile": "p",
        "enforcements": "e",
        "parked": "k",
        "cases": "c",
        "decided": "x",
        "answered": "a",
        "early_withdrawals": "w",
        "early_lifts": "l",
        "reversals": "r",
        "immunities": "i",
        "tallies": "t",
        "counts": "n",
    },
):
    """All state of one user. Handlers change it in place."""

    user_id: UserId
    seq: int = 0
    """Lines of this user's audit so far."""
    due: Millis | None = None
    """The next timer."""
    profile: Profile | None = None
    enforcements: dict[EnforcementId, Enforcement] = {}
    parked: list[Parked] = []
    cases: dict[CaseId, OpenCase] = {}
    decided: dict[CaseId, Decided] = {}
    answered: dict[AppealId, bool] = {}
    """Appeals that never became a case; true if withdrawn, false if refused."""
    early_withdrawals: list[AppealId] = []
    early_lifts: dict[EnforcementId, Lift] = {}
    reversals: dict[str, Reversal] = {}
    immunities: list[Immunity] = []
    tallies: dict[str, Tally] = {}
    counts: Counts = field(default_factory=Counts)
