"""The bricks of a rulebook: durations, shares, names, and conditions that rules share."""

from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from processors.durations import parse_duration_ms
from schemas.vocabulary import Action, AppealFlag, Band, Category, Outcome, TargetKind

DurationMs = Annotated[int, BeforeValidator(parse_duration_ms), Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
PodName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,63}$")]
Label = Annotated[str, Field(min_length=1, max_length=128)]

REVIEWERS_OUTCOMES = frozenset(
    {
        Outcome.UPHELD,
        Outcome.OVERTURNED,
        Outcome.MODIFIED,
        Outcome.UPHELD_GROUND_CHANGED,
        Outcome.REMANDED,
        Outcome.DISMISSED,
    }
)
"""Outcomes that a reviewer can propose; ``withdrawn`` and ``moot`` come about by events."""


class Section(BaseModel):
    """Base of all sections: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Conditions(Section):
    """All that is given must hold; of a list, any one."""

    policies: frozenset[Label] | None = None
    actions: frozenset[Action] | None = None
    categories: frozenset[Category] | None = None
    languages: frozenset[Label] | None = None
    regions: frozenset[Label] | None = None
    target_kinds: frozenset[TargetKind] | None = None
    flags: frozenset[AppealFlag] | None = None
    amount_at_least: Annotated[Decimal, Field(ge=0)] | None = None


class RuleConditions(Conditions):
    """Routing comes after ranking, so it may look at the band too."""

    bands: frozenset[Band] | None = None
