"""The dossier: everything that is known of one user, in the form that is stored.

It is decoded, changed and encoded once for each batch of a user's events, so its size is a cost on every event.
Hence short keys, no defaults on the wire, arrays for the small parts, and bounds on everything that a user can
make grow (`processors/growth.py`). Long structs are maps: a new field needs a default and a new key. Small ones
are arrays: a new field needs a default and goes last.
"""

from enum import StrEnum

from msgspec import Struct, field

from processors.on_file import Enforcement, Lift, Profile
from processors.open_case import Decided, OpenCase
from processors.undoing import Immunity, Remand, Reversal
from schemas.records import AppealId, AppealSubmitted, CaseId, EnforcementId, Millis, UserId


class Parked(Struct, frozen=True, array_like=True, gc=False):
    """An appeal that waits for its enforcement."""

    until: Millis
    appeal: AppealSubmitted


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


class Stage(StrEnum):
    """How far the erasure of a user is."""

    HELD = "held"
    """It waits for the release of legal holds; until then nothing is different."""
    BEGUN = "begun"
    """All is erased but what running reversals need: money that is owed is paid first."""
    DONE = "done"


class Erasing(Struct, frozen=True, array_like=True, gc=False):
    """A request to erase the user, and what has come of it."""

    stage: Stage
    at: Millis
    """While it is held, when it was asked for; then when it was done: what is older and comes later is ignored."""
    asked: str
    """The newest request, so that its redelivery is silent."""

    @property
    def begun(self) -> bool:
        """Whether the user is erased, but for what running reversals still need."""
        return self.stage is not Stage.HELD


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
        "remands": "m",
        "tallies": "t",
        "counts": "n",
        "traces": "g",
        "holds": "o",
        "erasing": "z",
    },
):
    """All state of one user. Handlers change it in place."""

    user_id: UserId
    seq: int = 0
    """Lines of this user's audit so far."""
    head: bytes = b""
    """The hash of the newest of them, 32 bytes; empty before the first (`schemas/chain.py`)."""
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
    remands: dict[EnforcementId, Remand] = {}
    """Sent back to the enforcing side, which has not answered yet."""
    tallies: dict[str, Tally] = {}
    counts: Counts = field(default_factory=Counts)
    traces: dict[CaseId, str] = {}
    """By case, the trace that its appeal came in (`processors/traces.py`)."""
    holds: dict[str, bool] = {}
    """Legal holds; false once released, so that a copy of an old record does not place one anew."""
    erasing: Erasing | None = None
