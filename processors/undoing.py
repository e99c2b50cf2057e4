"""What is being undone, as the dossier keeps it: reversals with their directives, immunities, remands."""

from msgspec import Struct

from processors.on_file import Sum
from schemas.records import AppealId, CaseId, EnforcementId, Millis
from schemas.vocabulary import Action, DirectiveState, EffectKind, Operation, Outcome, ReversalCause, TargetKind

OPEN = frozenset({DirectiveState.ORDERED, DirectiveState.SENT, DirectiveState.FAILED_RETRYABLE})
"""An answer is waited for."""
UNSETTLED = OPEN | {DirectiveState.FAILED_PERMANENT}
"""The reversal is not confirmed before none of its directives is in one of these."""


class Held(Struct, frozen=True, array_like=True, gc=False):
    """One restriction that a directive says must hold."""

    action: Action
    territory: str | None
    ends_at: Millis | None
    enforcement_id: EnforcementId


class Order(Struct, array_like=True, gc=False):
    """One directive of a running reversal, and how far it is."""

    directive_id: str
    system: str
    operation: Operation
    effect_id: str
    params: dict[str, str]
    amount: Sum | None
    stage: DirectiveState = DirectiveState.ORDERED
    last_ack: str = ""
    """The newest answer, so that its redelivery is silent."""
    kind: EffectKind = EffectKind.UNKNOWN
    """Unknown for what was stored before directives knew it."""
    strikes_kept: int | None = None
    supersedes: str | None = None
    told: list[Held] = []
    """The state that was sent last."""
    detail: str | None = None
    """What the system said last."""


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
        "tries": "n",
        "retry_at": "r",
        "deadline": "dl",
        "stalled": "s",
        "stalled_at": "sa",
        "outcome": "oc",
        "cause": "ca",
        "caused_by": "cb",
        "remedy_id": "rm",
        "last_command": "lc",
    },
):
    """A reversal that is not confirmed yet."""

    case_id: CaseId | None = None
    """The case that was decided; none for a consequence or a remedy without an appeal."""
    appeal_id: AppealId | None = None
    enforcement_id: EnforcementId
    version: int
    target_kind: TargetKind
    target_id: str
    content_hash: str | None = None
    ordered_at: Millis
    language: str
    strikes: int = 0
    """Strikes that it takes off the record."""
    orders: list[Order]
    attempt: int = 1
    """How often it was sent, whatever for."""
    tries: int = 1
    """How often it was sent for want of an answer, since it was ordered or an operator had it sent again."""
    retry_at: Millis | None = None
    deadline: Millis | None = None
    """When people look into it."""
    stalled: str | bool = False
    """The reason why people are needed; true for what was stored before reasons were kept."""
    stalled_at: Millis | None = None
    outcome: Outcome = Outcome.OVERTURNED
    cause: ReversalCause = ReversalCause.DECISION
    caused_by: str | None = None
    """The reversal that it follows from."""
    remedy_id: str | None = None
    last_command: str = ""
    """The newest command of an operator, so that its redelivery is silent."""


class Immunity(Struct, frozen=True, array_like=True, gc=False):
    """Something that was struck wrongly: a second strike at it is probably wrong too."""

    target_id: str
    content_hash: str | None
    policy: str
    detector: str | None = None
    """The detector that must spare it; none: all of them."""
    since: Millis | None = None
    until: Millis | None = None
    """None, as `since`, for what was stored before immunities had a time."""
    reversal_id: str = ""


class Remand(Struct, frozen=True, array_like=True, gc=False):
    """An enforcement was sent back; the enforcing side must amend or lift it."""

    case_id: CaseId
    appeal_id: AppealId
    version: int
    answer_by: Millis
