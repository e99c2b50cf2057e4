"""The rulebook's part on review laid out for the hot path: standards, second looks, rules that may grant, calendars."""

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from msgspec import Struct

from processors.calendar import ALWAYS, Calendar, WorkingTime
from processors.conditions import Test, compile_test
from schemas.vocabulary import Action, AppealFlag, EvidenceKind, EvidenceSupplier, Outcome, SellerTier

if TYPE_CHECKING:
    from processors.rulebook import Rulebook
    from processors.rulebook_review import EvidenceStandard, Pod


class Need(Struct, frozen=True, gc=False):
    """So many pieces of any of these kinds, from this supplier, for these outcomes."""

    kinds: tuple[EvidenceKind, ...]
    at_least: int
    supplier: EvidenceSupplier | None
    outcomes: tuple[Outcome, ...]
    ask: bool


class Standard(Struct, frozen=True, gc=False):
    """A standard of evidence: the first whose test holds is the case's."""

    name: str
    test: Test
    needs: tuple[Need, ...]


class Triggers(Struct, frozen=True, gc=False):
    """When a second person must look at a decision; an infinite threshold never triggers."""

    severities: frozenset[Action]
    amount_at_least: float
    overturn_below: float
    uphold_above: float
    reach_at_least: float
    value_at_least: float
    tiers: frozenset[SellerTier]
    flags: frozenset[AppealFlag]
    new_until_ms: dict[str, int]
    share: float
    blind_share: float


class Rule(Struct, frozen=True, gc=False):
    """A rule that may grant an appeal, or send it to a pod."""

    name: str
    test: Test
    wrongfulness_at_least: float
    pod: str | None
    """Where it sends the case; none: it grants."""
    daily_cap: int
    audit_share: float


class ReviewTables(Struct, frozen=True, gc=False):
    """All look-ups for review."""

    lease_ms: int
    deadline_ms: int
    warn_share: float
    lead_pod: str | None
    evidence_ms: int
    pause_cap_ms: int
    returns: int
    standards: tuple[Standard, ...]
    by_name: dict[str, Standard]
    triggers: Triggers | None
    rules: tuple[Rule, ...]
    calendars: dict[str, WorkingTime]
    """By pod."""
    reviewers: dict[str, frozenset[str]]
    """By pod, where the pod lists them."""


def compile_review(book: "Rulebook") -> ReviewTables:
    """Lay out a checked rulebook."""
    review = book.review
    standards = tuple(_standard(standard) for standard in book.evidence)
    return ReviewTables(
        lease_ms=review.lease,
        deadline_ms=review.deadline,
        warn_share=review.warn_at,
        lead_pod=review.lead_pod,
        evidence_ms=review.evidence_time,
        pause_cap_ms=review.pause_cap,
        returns=review.returns,
        standards=standards,
        by_name={standard.name: standard for standard in standards},
        triggers=_triggers(book),
        rules=tuple(
            Rule(
                name=rule.name,
                test=compile_test(rule.when),
                wrongfulness_at_least=rule.wrongfulness_at_least,
                pod=rule.pod,
                daily_cap=rule.daily_cap or 0,
                audit_share=rule.audit_share,
            )
            for rule in book.automation
        ),
        calendars={pod.name: _calendar(pod) for pod in book.pods},
        reviewers={pod.name: frozenset(pod.reviewers) for pod in book.pods if pod.reviewers is not None},
    )


def _standard(standard: "EvidenceStandard") -> Standard:
    return Standard(
        name=standard.name,
        test=compile_test(standard.when),
        needs=tuple(
            Need(
                kinds=tuple(sorted(need.kinds)),
                at_least=need.at_least,
                supplier=need.supplier,
                outcomes=tuple(sorted(need.outcomes)),
                ask=need.ask,
            )
            for need in standard.needs
        ),
    )


def _triggers(book: "Rulebook") -> Triggers | None:
    policy = book.second_review
    if policy is None:
        return None
    ladder = book.severity.actions
    least = policy.severity_at_least
    profile = policy.high_profile
    return Triggers(
        severities=frozenset(a for a, severity in ladder.items() if least is not None and severity >= least),
        amount_at_least=_threshold(policy.amount_at_least),
        overturn_below=-1.0 if policy.against_prior is None else policy.against_prior.overturn_below,
        uphold_above=_threshold(None if policy.against_prior is None else policy.against_prior.uphold_above),
        reach_at_least=_threshold(None if profile is None else profile.reach_at_least),
        value_at_least=_threshold(None if profile is None else profile.lifetime_value_at_least),
        tiers=frozenset() if profile is None else profile.tiers,
        flags=policy.flags,
        new_until_ms={name: _midnight_ms(day) for name, day in policy.new_reviewers.items()},
        share=policy.share,
        blind_share=policy.blind_share,
    )


def _threshold(value: object) -> float:
    return float("inf") if value is None else float(str(value))


def _midnight_ms(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1000


def _calendar(pod: "Pod") -> WorkingTime:
    hours = pod.hours
    return ALWAYS if hours is None else Calendar(hours.zone, {**hours.week}, hours.holidays)
