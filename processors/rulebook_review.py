"""The part of the rulebook that rules review: times, evidence standards, second looks, rules that may grant, pods."""

from datetime import date
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from processors.calendar import UnknownZoneError, load_zone, parse_hours
from processors.durations import DAY_MS, HOUR_MS
from processors.rulebook_parts import (
    REVIEWERS_OUTCOMES,
    Conditions,
    DurationMs,
    Label,
    PodName,
    RuleConditions,
    Section,
    Share,
)
from schemas.records import MAX_ITEMS
from schemas.vocabulary import AppealFlag, EvidenceKind, EvidenceSupplier, Outcome, SellerTier

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Amount = Annotated[Decimal, Field(ge=0)]


class Review(Section):
    """Times: of a claim, of both clocks, of waiting; and who decides what others could not."""

    lease: DurationMs
    deadline: DurationMs
    """The regulatory clock: from submission to decision. It never stops."""
    warn_at: Annotated[float, Field(gt=0, lt=1)] = 0.75
    """The share of either clock at which the band is raised."""
    lead_pod: PodName | None = None
    """Where overdue and disputed cases go; none: they stay where they are."""
    evidence_time: DurationMs = 7 * DAY_MS
    """How long whoever is asked for evidence has."""
    pause_cap: DurationMs = 14 * DAY_MS
    """How long the work clock may stand still for one case, all its waiting together."""
    returns: Annotated[int, Field(ge=0, le=20)] = 2
    """How often a second reviewer may give a proposal back before the lead pod decides."""
    remand_time: DurationMs = 14 * DAY_MS
    """How long the enforcing side has to amend or lift what was sent back to it."""


class EvidenceNeedRule(Section):
    """So many pieces of any of these kinds must be cited, for these outcomes."""

    kinds: Annotated[frozenset[EvidenceKind], Field(min_length=1)]
    at_least: Annotated[int, Field(ge=1, le=MAX_ITEMS)] = 1
    supplier: EvidenceSupplier | None = None
    """Who they must come from; none: anyone."""
    outcomes: Annotated[frozenset[Outcome], Field(min_length=1)] = frozenset({Outcome.UPHELD})
    ask: bool = False
    """At intake, ask the appellant for what is missing."""

    @field_validator("outcomes")
    @classmethod
    def _can_be_proposed(cls, outcomes: frozenset[Outcome]) -> frozenset[Outcome]:
        others = sorted(outcomes - REVIEWERS_OUTCOMES)
        if others:
            raise ValueError(
                f"no reviewer decides {', '.join(others)}; they decide {', '.join(sorted(REVIEWERS_OUTCOMES))}"
            )
        return outcomes

    @model_validator(mode="after")
    def _only_appellants_are_asked(self) -> Self:
        if self.ask and self.supplier is not EvidenceSupplier.APPELLANT:
            raise ValueError("ask: only an appellant is asked at intake; set supplier: appellant, or leave ask out")
        return self


class EvidenceStandard(Section):
    """What a decision must rest on; the first standard whose conditions hold is the case's."""

    name: Label
    when: Conditions = Conditions()
    needs: Annotated[tuple[EvidenceNeedRule, ...], Field(min_length=1)]


class AgainstPrior(Section):
    """Decisions that go against what the model strongly expects."""

    overturn_below: Share
    """An overturn where the expected overturn rate is below this."""
    uphold_above: Share
    """An uphold where it is above this."""


class HighProfile(Section):
    """Users whose cases many will hear of; any one of these is enough."""

    reach_at_least: Annotated[int, Field(gt=0)] | None = None
    lifetime_value_at_least: Amount | None = None
    tiers: frozenset[SellerTier] = frozenset()


class SecondReviewPolicy(Section):
    """When a second person must look at a decision before it counts; what is left out never triggers."""

    severity_at_least: Share | None = None
    """On the ladder of actions."""
    amount_at_least: Amount | None = None
    against_prior: AgainstPrior | None = None
    high_profile: HighProfile | None = None
    flags: frozenset[AppealFlag] = frozenset()
    new_reviewers: dict[Label, date] = Field(default_factory=dict[Label, date])
    """Reviewer to the day (UTC) until which they count as new."""
    share: Share = 0.0
    """Of all decisions, for quality; which ones is derived from the case's id."""
    blind_share: Share = 0.0
    """Of all decisions: the second reviewer does not see the first decision."""


class AutomationRule(Section):
    """May grant an appeal or send it to a pod; there is no word for denying one (DSA Art. 20(6))."""

    name: Label
    when: RuleConditions
    wrongfulness_at_least: Share = 0.0
    do: Literal["grant", "route"]
    pod: PodName | None = None
    """With `route`."""
    daily_cap: Annotated[int, Field(ge=0)] | None = None
    """With `grant`: at most so many a UTC day and policy, over the whole installation."""
    audit_share: Share = 0.0
    """With `grant`: this share of what would be granted goes to people instead."""

    @model_validator(mode="after")
    def _fits_what_it_does(self) -> Self:
        if self.do == "grant" and self.daily_cap is None:
            raise ValueError("daily_cap is missing: a rule that grants needs one")
        if self.do == "grant" and self.pod is not None:
            raise ValueError("pod: a rule that grants sends nothing to a pod")
        if self.do == "route" and self.pod is None:
            raise ValueError("pod is missing: a rule that routes needs one")
        if self.do == "route" and (self.daily_cap is not None or self.audit_share):
            raise ValueError("daily_cap, audit_share: a rule that routes has neither")
        return self


class Hours(Section):
    """When a pod works, by its own clock on the wall; without hours it works always."""

    zone: Label
    """IANA name, e.g. Europe/Berlin."""
    week: Annotated[dict[Weekday, tuple[Label, ...]], Field(min_length=1)]
    """Day to spans such as ``09:00-17:00``; a day that is left out is off."""
    holidays: frozenset[date] = frozenset()

    @field_validator("zone")
    @classmethod
    def _known(cls, zone: str) -> str:
        try:
            load_zone(zone)
        except UnknownZoneError as error:
            raise ValueError(str(error)) from error
        return zone

    @field_validator("week")
    @classmethod
    def _spans(cls, week: dict[Weekday, tuple[Label, ...]]) -> dict[Weekday, tuple[Label, ...]]:
        for day, spans in week.items():
            last = 0
            for span in spans:
                opens, closes = parse_hours(span)
                if opens < last:
                    raise ValueError(f"{day}: {span} begins before the span before it ends")
                last = closes
        if not any(week.values()):
            raise ValueError("no day has any hours: nothing would ever be due")
        return week


class Overflow(Section):
    """When new cases go to a pod's substitute. Two marks, so that it does not change with every case."""

    above: Annotated[int, Field(ge=1)]
    """Begins with more open cases than this; those that wait for evidence or are on hold do not count."""
    below: Annotated[int, Field(ge=0)]
    """Ends when there are no more than this."""
    fresh: DurationMs = HOUR_MS
    """A load that was observed longer ago is not believed: the cases go where they belong."""

    @model_validator(mode="after")
    def _apart(self) -> Self:
        if self.below >= self.above:
            raise ValueError(f"below: {self.below} must be less than above, {self.above}")
        return self


class Pod(Section):
    """A team of reviewers. No languages means all of them, no reviewers means anyone, no hours means always."""

    name: PodName
    languages: frozenset[Label] | None = None
    skills: frozenset[Label] = frozenset()
    substitute: PodName | None = None
    reviewers: Annotated[frozenset[Label], Field(min_length=1)] | None = None
    hours: Hours | None = None
    overflow: Overflow | None = None
    """None: it never overflows."""
