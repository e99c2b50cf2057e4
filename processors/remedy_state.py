"""A remedy, as one partition keeps it: the cohort, who proposed and approved it, how far it is, and what it met."""

from decimal import Decimal

from msgspec import Struct, field

from processors.on_file import Sum
from schemas.records import EnforcementId, Millis, ReviewerId, UserId
from schemas.vocabulary import Action, RemedyState


class Cohort(Struct, frozen=True, array_like=True, gc=False):
    """Enforcements that went wrong together; what a proposal says of them, and nothing else."""

    detector: str
    version: str
    policy: str | None
    """None: under whatever rule."""
    issued_from: Millis
    issued_until: Millis
    """The first moment that is not in it any more."""


class Proposal(Struct, frozen=True, array_like=True, gc=False):
    """What was proposed, by whom; kept for ever, so that it is never begun again."""

    event_id: str
    proposer: ReviewerId
    reason: str
    cohort: Cohort
    per_second: int
    """Over all partitions."""
    partition: int
    partitions: int

    def same_as(self, other: "Proposal") -> bool:
        """Whether both ask for the same, whenever they were sent."""
        mine = (self.proposer, self.cohort, self.per_second, self.partition, self.partitions)
        return mine == (other.proposer, other.cohort, other.per_second, other.partition, other.partitions)


class Steered(Struct, frozen=True, array_like=True, gc=False, order=True):
    """A pause or a resumption; the latest counts."""

    at: Millis
    event_id: str
    paused: bool


class Tallied(Struct, array_like=True, gc=False):
    """Enforcements counted."""

    enforcements: int = 0
    users: int = 0
    by_action: dict[Action, int] = field(default_factory=dict)
    money: dict[str, Decimal] = field(default_factory=dict)
    """To give back, by currency."""
    last_user: str = ""
    """The user counted last: the enforcements of a user lie together."""


class Example(Struct, frozen=True, array_like=True, gc=False):
    """One enforcement of the cohort, to look at before approving."""

    user_id: UserId
    enforcement_id: EnforcementId
    action: Action
    issued_at: Millis
    amount: Sum | None


class Remedy(
    Struct,
    omit_defaults=True,
    kw_only=True,
    gc=False,
    rename={
        "remedy_id": "i",
        "proposal": "p",
        "approvals": "a",
        "steered": "st",
        "previewed": "pv",
        "started": "sd",
        "stopped": "sp",
        "finished": "fi",
        "due": "d",
        "cursor": "c",
        "credit": "cr",
        "sweep": "sw",
        "ordered": "o",
        "cohort": "n",
        "spared": "ns",
        "done": "x",
        "skipped": "xs",
        "examples": "e",
        "commands": "k",
        "seq": "q",
    },
):
    """All state of one remedy in one partition. Handlers change it in place."""

    remedy_id: str
    proposal: Proposal | None = None
    """None: never heard of, or refused; what else is here is then a mark of what was refused."""
    approvals: dict[ReviewerId, int] = {}
    """Sorted by who approved; how many enforcements they saw."""
    steered: Steered | None = None
    previewed: bool = False
    started: bool = False
    """It had its approvals; a rulebook that asks for more comes too late."""
    stopped: bool = False
    finished: bool = False
    due: Millis | None = None
    """The next chunk."""
    cursor: bytes = b""
    """The last term that was looked at; empty before the first of a sweep."""
    credit: int = 0
    """Saved up for orders: each costs a thousand times the number of partitions, and a millisecond earns what the
    installation may reverse in a second."""
    sweep: int = 1
    """Which passage through the cohort this is; the dry run apart."""
    ordered: int = 0
    """Orders of this sweep."""
    cohort: Tallied = field(default_factory=Tallied)
    """What the dry run found to be reversed."""
    spared: dict[str, int] = {}
    """What it found not to be reversed, by reason."""
    done: Tallied = field(default_factory=Tallied)
    """What was ordered."""
    skipped: dict[str, int] = {}
    """What the first sweep met and did not order, by reason."""
    examples: list[Example] = []
    commands: list[str] = []
    """The newest commands, taken or refused, so that their redelivery is silent."""
    seq: int = 0
    """Reports so far."""

    @property
    def state(self) -> RemedyState:
        """Where it stands: by what is known, in whatever order it became known."""
        if self.proposal is None:
            return RemedyState.UNKNOWN
        if self.finished:
            return RemedyState.DONE
        if self.stopped:
            return RemedyState.STOPPED
        if not self.previewed:
            return RemedyState.PREVIEWING
        if not self.started:
            return RemedyState.AWAITING_APPROVAL
        return RemedyState.PAUSED if self.steered is not None and self.steered.paused else RemedyState.RUNNING
