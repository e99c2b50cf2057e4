"""The rulebook: everything that policy people change, checked whole before any of it is used.

Durations are written as ``30min``, ``4h``, ``14d`` and held as milliseconds. Money is compared in the house currency
by the fixed rates under ``impact``: good enough to rank by, and the same on every replay.
"""

import hashlib
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, LiteralString, Self, cast

import msgspec
from pydantic import Field, ModelWrapValidatorHandler, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from processors.durations import DAY_MS
from processors.rulebook_checks import CHECKS
from processors.rulebook_parts import Conditions, DurationMs, Label, PodName, RuleConditions, Section, Share
from processors.rulebook_review import AutomationRule, EvidenceStandard, Pod, Review, SecondReviewPolicy
from processors.tables import Tables, compile_tables
from schemas.vocabulary import Action, AppealFlag, Automation, Band

STATUTORY_WINDOW_MS = 184 * DAY_MS
"""Six months at their longest, counted in days (DSA Art. 20(1): at least six months)."""


def _fault(kind: str, text: str, loc: tuple[int | str, ...], given: object = None) -> InitErrorDetails:
    custom = PydanticCustomError(cast("LiteralString", kind), cast("LiteralString", text))
    return InitErrorDetails(type=custom, loc=loc, input=given)


def _follows(fault: ErrorDetails, found: list[ErrorDetails]) -> bool:
    """Whether it says no more than that wrong items, which are told themselves, were not counted."""
    place = fault["loc"]
    return fault["type"] == "too_short" and any(e["loc"][: len(place)] == place != e["loc"] for e in found)


class Severity(Section):
    """The ladder of actions, and the length at which an ending one weighs as much as one without an end."""

    actions: dict[Action, Share]
    full_duration: DurationMs


class Weights(Section):
    """How much each component counts; they sum to 1."""

    severity: Share
    impact: Share
    wrongfulness: Share
    standing: Share
    urgency: Share
    vulnerability: Share


class Impact(Section):
    """Where each measure of impact reaches 1 on its logarithmic scale."""

    full_reach: Annotated[int, Field(gt=0)]
    full_lifetime_value: Annotated[float, Field(gt=0)]
    full_amount: Annotated[float, Field(gt=0)]
    currencies: dict[Annotated[str, Field(pattern="^[A-Z]{3}$")], Annotated[float, Field(gt=0)]]
    """Worth of one unit in the house currency; a currency that is not listed counts as 1."""


class Prior(Section):
    """An overturn rate to start from, worth as many decided appeals as its strength."""

    actions: frozenset[Action] | None = None
    policies: frozenset[Label] | None = None
    automations: frozenset[Automation] | None = None
    rate: Share
    strength: Annotated[float, Field(gt=0)]


class ObservedRates(Section):
    """How much the overturn rates count that the insights observe for a policy, detector version and automation."""

    windows: Annotated[tuple[DurationMs, ...], Field(min_length=1)] = (DAY_MS, 28 * DAY_MS)
    """Shortest first; the first with enough decided appeals counts, else the longest with any."""
    enough: Annotated[int, Field(ge=1)] = 20
    """Decided appeals from which a window is enough."""
    strength: Annotated[float, Field(ge=0)] = 40
    """As how many decided appeals a rate counts at most; 0: not at all."""

    @field_validator("windows")
    @classmethod
    def _rising(cls, windows: tuple[int, ...]) -> tuple[int, ...]:
        if list(windows) != sorted(set(windows)):
            raise ValueError("the windows must become longer, each once")
        return windows


class Wrongfulness(Section):
    """First matching prior, then what was observed, then what raises it."""

    priors: Annotated[tuple[Prior, ...], Field(min_length=1)]
    observed: ObservedRates = ObservedRates()
    automation_lift: dict[Automation, Share]
    immunity_lift: Share


class Standing(Section):
    """How many imagined appeals, half of them right, a user starts with."""

    strength: Annotated[float, Field(gt=0)]


class Urgency(Section):
    """The time left at which urgency is a half, and its value for a livestream."""

    half: DurationMs
    livestream: Share


class Override(Section):
    """Comes before the score; the first match that names a band, or a pod, decides it."""

    name: Label
    when: Conditions
    band: Band | None = None
    pod: PodName | None = None


class BandRule(Section):
    """A band, the score it starts at, and the handling time it promises."""

    band: Band
    at: Annotated[int, Field(ge=0, le=1000)]
    handling: DurationMs


class Slack(Section):
    """Time from submission to `rank_at` at both ends of the score; between them it falls log-linearly."""

    at_zero: DurationMs
    at_full: DurationMs


class Intake(Section):
    """How long an appeal waits for its enforcement, and how long a user may appeal."""

    parking_time: DurationMs
    appeal_window: DurationMs

    @field_validator("appeal_window")
    @classmethod
    def _statutory(cls, value: int) -> int:
        if value < STATUTORY_WINDOW_MS:
            raise ValueError("shorter than 184d; users have at least six months (DSA Art. 20(1))")
        return value


class ReversalPolicy(Section):
    """How a directive without an answer is sent again."""

    first_wait: DurationMs
    factor: Annotated[float, Field(ge=1, le=10)]
    longest_wait: DurationMs
    tries: Annotated[int, Field(ge=1, le=100)]
    jitter: Share
    deadline: DurationMs = 3 * DAY_MS
    """When people look into what is not answered, however many tries are left."""


class Threshold(Section):
    """From so many strikes on, these actions follow."""

    at: Annotated[int, Field(ge=1)]
    actions: Annotated[frozenset[Action], Field(min_length=1)]


class Strikes(Section):
    """What strikes lead to. What was caused by strikes is judged again by this when one of them is overturned."""

    lapse: DurationMs = 365 * DAY_MS
    """How long before an enforcement a strike still counted for it."""
    thresholds: tuple[Threshold, ...] = ()

    @field_validator("thresholds")
    @classmethod
    def _each_once(cls, thresholds: tuple[Threshold, ...]) -> tuple[Threshold, ...]:
        actions = [action for threshold in thresholds for action in threshold.actions]
        twice = sorted({action for action in actions if actions.count(action) > 1})
        if twice:
            raise ValueError(f"{', '.join(twice)}: an action follows at one number of strikes only")
        return thresholds


class ImmunityPolicy(Section):
    """How long what was struck wrongly must be spared."""

    time: DurationMs = 180 * DAY_MS


class RemedyPolicy(Section):
    """Who may have a whole cohort reversed."""

    approvals: Annotated[int, Field(ge=2, le=16)] = 2
    """People who must agree; who proposed it is none of them."""


class RoutingRule(Section):
    """The first rule that matches names the pod; a substitute of its own goes before the pod's."""

    name: Label
    when: RuleConditions = RuleConditions()
    needs: frozenset[Label] = frozenset()
    pod: PodName
    substitute: PodName | None = None


class Rulebook(Section):
    """A whole rulebook; one that was built is consistent."""

    name: Label
    severity: Severity
    weights: Weights
    impact: Impact
    wrongfulness: Wrongfulness
    standing: Standing
    urgency: Urgency
    vulnerability: dict[AppealFlag, Share]
    overrides: tuple[Override, ...]
    bands: tuple[BandRule, ...]
    slack: Slack
    intake: Intake
    review: Review
    evidence: tuple[EvidenceStandard, ...] = ()
    second_review: SecondReviewPolicy | None = None
    automation: tuple[AutomationRule, ...] = ()
    reversal: ReversalPolicy
    strikes: Strikes = Strikes()
    immunity: ImmunityPolicy = ImmunityPolicy()
    remedy: RemedyPolicy = RemedyPolicy()
    pods: Annotated[tuple[Pod, ...], Field(min_length=1)]
    routing: Annotated[tuple[RoutingRule, ...], Field(min_length=1)]

    @model_validator(mode="wrap")
    @classmethod
    def _check_whole(cls, raw: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:  # noqa: ANN401 - unchecked
        """Fields first, then what must hold between them; every fault is reported, with its place."""
        faults: list[InitErrorDetails] = []
        book: Self | None = None
        try:
            book = handler(raw)
        except ValidationError as error:
            found = error.errors(include_url=False)
            faults += [_fault(e["type"], e["msg"], e["loc"], e["input"]) for e in found if not _follows(e, found)]
        if isinstance(raw, Mapping):
            sections = cast("Mapping[str, object]", raw)
            for check in CHECKS:
                faults += [_fault("inconsistent", text, loc) for loc, text in check(sections)]
        if faults or book is None:
            raise ValidationError.from_exception_data(cls.__name__, faults)
        return book

    @cached_property
    def digest(self) -> str:
        """Names this very content in every case and audit line."""
        canonical = msgspec.json.encode(self.model_dump(), order="sorted")  # sorts sets as well
        return hashlib.sha256(canonical).hexdigest()[:16]

    @cached_property
    def tables(self) -> Tables:
        """The same content, laid out for the hot path."""
        return compile_tables(self)
