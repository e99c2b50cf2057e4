"""A rulebook laid out for the hot path: look-ups in place of searches, and no validator objects.

Everything here is computed once from a checked rulebook. Powers and logarithms of scores are among it, so that a
`rank_at` is a table entry and cannot differ between machines by a last bit.
"""

import math
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct

from processors.conditions import Test, compile_test
from processors.durations import DAY_MS
from processors.overflow import Marks
from processors.review_tables import ReviewTables, compile_review
from schemas.vocabulary import Action, AppealFlag, Automation, Band

if TYPE_CHECKING:
    from processors.rulebook import Prior, RoutingRule, Rulebook


NAMES = ("severity", "impact", "wrongfulness", "standing", "urgency", "vulnerability")
"""The components, in the order in which they are added and shown."""


class Stop(Struct, frozen=True, gc=False):
    """A pod on the way of a rule: whom it serves, and whether it has the skills that the rule needs."""

    pod: str
    languages: frozenset[str] | None
    skilled: bool
    reviewers: frozenset[str] | None
    """Who works there, if the pod lists them."""


class Route(Struct, frozen=True, gc=False):
    """A routing rule: its test, then its pod and the substitutes in the order in which they are tried."""

    name: str
    test: Test
    stops: tuple[Stop, ...]


class OverrideRule(Struct, frozen=True, gc=False):
    """An override: what it fixes is given, the rest stays open."""

    name: str
    test: Test
    band: Band | None
    pod: str | None


class PriorRule(Struct, frozen=True, gc=False):
    """A prior as the two parameters of a Beta distribution."""

    test: Test
    alpha: float
    beta: float
    because: str


class BandStart(NamedTuple):
    """A band, the lowest score that is in it, and its handling time."""

    band: Band
    at: int
    handling_ms: int


class Tables(Struct, frozen=True, gc=False):
    """All look-ups of one rulebook."""

    digest: str
    severity: dict[Action, float]
    log_full_days: float
    scale: tuple[tuple[str, float, float], ...]
    """Component, its weight, and its thousandths of a point in a score of 1000, in the order of `NAMES`."""
    log_reach: float
    log_value: float
    log_amount: float
    currencies: dict[str, float]
    priors: tuple[PriorRule, ...]
    endless: dict[Action, tuple[float, str]]
    """Severity of an action without an end, and how it is told."""
    automation_lift: dict[Automation, tuple[float, str]]
    """What raises the expected overturn rate, and how it is told."""
    rate_windows_ms: tuple[int, ...]
    """Windows of observed overturn rates, shortest first; none if they do not count."""
    rate_enough: int
    """Decided appeals from which a window is enough."""
    rate_strength: float
    """As how many decided appeals an observed rate counts at most."""
    immunity_lift: float
    standing_strength: float
    urgency_half_ms: int
    livestream_urgency: float
    vulnerability: dict[AppealFlag, float]
    overrides: tuple[OverrideRule, ...]
    bands: tuple[BandStart, ...]
    band_starts: dict[Band, BandStart]
    slack_ms: tuple[int, ...]
    """By score, 0 to 1000."""
    routes: tuple[Route, ...]
    default_pod: str
    parking_ms: int
    window_ms: int
    overflow: dict[str, Marks]
    """By pod; one that is not there never overflows."""
    review: ReviewTables
    retry_waits_ms: tuple[int, ...]
    """By attempt, before jitter: how long to wait for the answer to it."""
    retry_jitter: float
    answer_ms: int
    """How long the systems have to make a reversal true before people look into it."""
    immunity_ms: int
    remand_ms: int
    strikes_at: dict[Action, int]
    """By action, the number of strikes at which it follows."""
    strikes_lapse_ms: int


AUTOMATION = 2
"""Where priors find the automation: their facts are (policy, action, automation)."""


def compile_tables(book: "Rulebook") -> Tables:
    """Lay out a checked rulebook."""
    weights = book.weights
    observed = book.wrongfulness.observed
    bands = tuple(BandStart(rule.band, rule.at, rule.handling) for rule in book.bands)
    return Tables(
        digest=book.digest,
        severity=dict(book.severity.actions),
        log_full_days=math.log1p(book.severity.full_duration / DAY_MS),
        scale=tuple((name, weight := getattr(weights, name), 1_000_000 * weight) for name in NAMES),
        log_reach=math.log1p(book.impact.full_reach),
        log_value=math.log1p(book.impact.full_lifetime_value),
        log_amount=math.log1p(book.impact.full_amount),
        currencies=dict(book.impact.currencies),
        priors=tuple(_prior(prior) for prior in book.wrongfulness.priors),
        endless={action: (base, f"{action} {base:.2f}, no end") for action, base in book.severity.actions.items()},
        automation_lift={
            automation: (share, f", {automation.removeprefix('AUTOMATED_DECISION_').lower()} automated")
            for automation, share in book.wrongfulness.automation_lift.items()
            if share
        },
        rate_windows_ms=observed.windows if observed.strength else (),
        rate_enough=observed.enough,
        rate_strength=observed.strength,
        immunity_lift=book.wrongfulness.immunity_lift,
        standing_strength=book.standing.strength,
        urgency_half_ms=book.urgency.half,
        livestream_urgency=book.urgency.livestream,
        vulnerability=dict(book.vulnerability),
        overrides=tuple(
            OverrideRule(rule.name, compile_test(rule.when), rule.band, rule.pod) for rule in book.overrides
        ),
        bands=bands,
        band_starts={start.band: start for start in bands},
        slack_ms=_slack(book.slack.at_zero, book.slack.at_full),
        routes=tuple(_route(rule, book) for rule in book.routing),
        default_pod=book.routing[-1].pod,
        parking_ms=book.intake.parking_time,
        window_ms=book.intake.appeal_window,
        overflow={
            pod.name: Marks(pod.overflow.above, pod.overflow.below, pod.overflow.fresh)
            for pod in book.pods
            if pod.overflow is not None
        },
        review=compile_review(book),
        retry_waits_ms=_retry_waits(book),
        retry_jitter=book.reversal.jitter,
        answer_ms=book.reversal.deadline,
        immunity_ms=book.immunity.time,
        remand_ms=book.review.remand_time,
        strikes_at={action: rule.at for rule in book.strikes.thresholds for action in rule.actions},
        strikes_lapse_ms=book.strikes.lapse,
    )


def _slack(at_zero: int, at_full: int) -> tuple[int, ...]:
    ratio = at_full / at_zero
    return tuple(round(at_zero * ratio ** (score / 1000)) for score in range(1001))


def _retry_waits(book: "Rulebook") -> tuple[int, ...]:
    policy = book.reversal
    return tuple(
        round(min(policy.longest_wait, policy.first_wait * policy.factor**attempt)) for attempt in range(policy.tries)
    )


def _prior(prior: "Prior") -> PriorRule:
    given = (prior.policies, prior.actions)
    sets = [(position, frozenset[str](values)) for position, values in enumerate(given) if values is not None]
    if prior.automations is not None:
        sets.append((AUTOMATION, frozenset(prior.automations)))
    alpha = prior.rate * prior.strength
    return PriorRule(
        test=Test(tuple(sets), None, None),
        alpha=alpha,
        beta=prior.strength - alpha,
        because=f"prior {prior.rate:.3f} worth {prior.strength:g}",
    )


def _route(rule: "RoutingRule", book: "Rulebook") -> Route:
    pods = {pod.name: pod for pod in book.pods}
    stops: list[Stop] = []
    name: str | None = rule.pod
    while name is not None and all(stop.pod != name for stop in stops):
        pod = pods[name]
        # A substitute is named by people who know what it can do: only its languages are asked for.
        stops.append(Stop(name, pod.languages, bool(stops) or rule.needs <= pod.skills, pod.reviewers))
        name = rule.substitute if len(stops) == 1 and rule.substitute else pod.substitute
    return Route(rule.name, compile_test(rule.when), tuple(stops))
