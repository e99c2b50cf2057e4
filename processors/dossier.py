"""The dossier: everything that is known of one user, in the form that is stored.

It is decoded, changed and encoded once for each batch of a user's events, so its size is a cost on every event.
Hence short keys, no defaults on the wire, arrays for the small parts, and bounds on everything that a user can
make grow (`processors/growth.py`). Long structs are maps: a new field needs a default and a new key. Small ones
are arrays: a new field needs a default and goes last.
"""

from msgspec import Struct, field

from processors.on_file import Enforcement, Lift, Profile, Sum
from processors.open_case import Decided, OpenCase
from schemas.records import AppealId, AppealSubmitted, CaseId, EnforcementId, Millis, UserId
from schemas.vocabulary import (
    Operation,
    TargetKind,
)


class Parked(Struct, frozen=True, array_like=True, gc=False):
    """An appeal that waits for its enforcement."""

    until: Millis
    appeal: AppealSubmitted


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
        "head": "h",
        "folded": "f",
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
    head: bytes = b""
    """The hash of the newest of them, 32 bytes; empty before the first (`processors/chain.py`)."""
    folded: list[int] = []
    """Inputs of this user folded so far, by topic as `fold.TOPIC_OF` counts them. Replaced, never changed in place:
    the lines share it."""
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
