"""A case, as the dossier keeps it: open, with all that its clocks and reviewers need, then short once it is decided."""

from msgspec import Struct

from processors.on_file import Exhibit, FiledLesser
from schemas.records import AppealId, CaseId, EnforcementId, Millis, ReviewerId
from schemas.vocabulary import (
    AppealFlag,
    AppealGround,
    Band,
    CaseOrigin,
    CaseState,
    DismissalReason,
    EvidenceKind,
    EvidenceSupplier,
    Outcome,
)


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
    sealed: str | None = None
    """The text itself, under the subject's key."""


class Lease(Struct, frozen=True, array_like=True, gc=False):
    """Who works on a case, and until when."""

    reviewer: ReviewerId
    since: Millis
    until: Millis


class Request(Struct, frozen=True, array_like=True, gc=False):
    """Evidence that somebody was asked for and has not given yet."""

    request_id: str
    kinds: list[EvidenceKind]
    at_least: int
    supplier: EvidenceSupplier
    requested_at: Millis
    due_at: Millis
    note_ref: str | None


class Proposed(Struct, frozen=True, array_like=True, gc=False):
    """A reviewer's decision, before a second person has looked at it."""

    event_id: str
    reviewer: ReviewerId
    outcome: Outcome
    proposed_at: Millis
    reasons_ref: str
    policy_version: str
    cited: list[str]
    dismissal: DismissalReason | None = None
    substituted_policy: str | None = None
    lesser: FiledLesser | None = None
    guidance_ref: str | None = None


class Waiting(Struct, frozen=True, array_like=True, gc=False):
    """The work clock stands still; for evidence, or for what a hold waits for."""

    since: Millis
    until: Millis
    capped: bool
    """`until` is where all the waiting together may end, not where this one wanted to."""


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
        "warn_at": "wa",
        "warned": "wn",
        "promise_missed": "pm",
        "due_warned": "dw",
        "waiting": "w",
        "paused_ms": "ps",
        "paused_work_ms": "pw",
        "handling_ms": "hm",
        "standard": "sd",
        "requests": "rq",
        "waived": "wv",
        "proposal": "pr",
        "triggers": "tr",
        "second_since": "ss",
        "blind": "bl",
        "returns": "rt",
        "guidance_ref": "gr",
        "disputed": "dp",
        "escalated": "es",
        "origin": "or",
        "overflowed_from": "of",
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
    warn_at: Millis = Millis(0)
    """When most of the promised time is used up, by the work clock."""
    warned: bool = False
    promise_missed: bool = False
    due_warned: bool = False
    """Most of the time until `due_at` has passed, and the band was raised for it."""
    waiting: Waiting | None = None
    paused_ms: int = 0
    """How long the work clock stood still before."""
    paused_work_ms: int = 0
    """The same in the working time of the pods that it waited at."""
    handling_ms: int = 0
    """What was promised for its band at triage, in working time."""
    standard: str = ""
    """Name of the standard of evidence that the case is held to."""
    requests: list[Request] = []
    waived: list[EvidenceKind] = []
    """Kinds that the appellant was asked for in time and did not give."""
    proposal: Proposed | None = None
    """The decision that a second reviewer must look at."""
    triggers: list[str] = []
    """Why a second reviewer must look at it."""
    second_since: Millis = Millis(0)
    blind: bool = False
    returns: int = 0
    """How often a proposal was given back."""
    guidance_ref: str | None = None
    disputed: bool = False
    """Two reviewers did not agree: whoever decides next decides for good."""
    escalated: bool = False
    origin: CaseOrigin = CaseOrigin.APPEAL
    overflowed_from: str = ""
    """The pod that it belongs to, and that was full: so it is with a substitute."""

    def sealed_characters(self) -> int:
        """How much of sealed texts it holds."""
        return sum(len(each.sealed or "") for each in (*self.notes, *self.evidence))


class Decided(Struct, frozen=True, array_like=True, gc=False):
    """What is kept of a closed case: enough to answer late withdrawals, reviews and answers of systems."""

    appeal_id: AppealId
    outcome: Outcome
    version: int
    last_review: str
    confirmed: bool = False
