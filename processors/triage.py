"""Triage: overrides, rank and route of a case, at its opening and when what the user is charged with changes."""

from processors import clocks, standards
from processors.conditions import FACTS, holds
from processors.context import Context
from processors.dossier import Dossier
from processors.on_file import Enforcement
from processors.open_case import OpenCase
from processors.outbox import CASES, case_line
from processors.priority import WRONGFULNESS, amount_at_stake, rank
from processors.references import Seen
from processors.review import drop_claim
from processors.review_tables import ReviewTables, Rule
from processors.routing import nobody_independent, route
from processors.tables import OverrideRule
from schemas.vocabulary import CaseEventKind

_LANGUAGE = FACTS.index("language")


def triage(dossier: Dossier, case: OpenCase, e: Enforcement, ctx: Context, seen: Seen) -> Rule | None:
    """Rank and route the case by what is on file now; nothing is published. Returns the automation rule that holds.

    `seen` is what the context answered right before the line that tells it.
    """
    tables = ctx.rulebook.tables
    amount = amount_at_stake(e, tables)
    facts = (e.policy, e.action, e.category, _primary(case.language), case.region, e.target_kind)
    overrides = [rule for rule in tables.overrides if holds(rule.test, facts, case.flags, amount)]
    rank(dossier, case, e, amount, overrides, tables, seen.rate)
    banded = (*facts, case.band)
    full = route(case, banded, amount, overrides, tables, seen.full)
    rule = _matching(case, banded, amount, tables.review)
    if rule is not None and rule.pod is not None and _may_go(case, rule.pod, facts, overrides, tables.review):
        case.pod, case.rule, case.because = rule.pod, rule.name, f"automation rule {rule.name}"
        case.overflowed_from = ""
    elif full is not None:
        ctx.count("cases_overflowed_total", pod=full)
    case.standard = standards.choose(banded, case.flags, amount, tables.review)
    clocks.promise(case, tables.review)
    case.digest = tables.digest
    return rule


def triage_again(
    dossier: Dossier,
    case: OpenCase,
    e: Enforcement,
    ctx: Context,
    cause: str,
    seen: Seen,
    *,
    same_charge: bool = False,
) -> None:
    """Rank and route an open case afresh; if that takes it to another pod, it leaves the old one and its claim.

    What the lead pod has taken over stays there, and what time has raised stays raised. With the same charge the case
    keeps its place at least, whatever the user's history has become since.
    """
    tables = ctx.rulebook.tables
    was, rule, because, belongs = case.pod, case.rule, case.because, case.overflowed_from
    band, rank_at = case.band, case.rank_at
    triage(dossier, case, e, ctx, seen)
    if was == tables.review.lead_pod and (case.escalated or case.disputed):
        case.pod, case.rule, case.because, case.overflowed_from = was, rule, because, belongs
        clocks.promise(case, tables.review)
    if case.warned:
        clocks.raise_band(case, case.promised_at, tables)
    if case.due_warned:
        clocks.raise_band(case, case.due_at, tables)
    if same_charge:
        case.band, case.rank_at = min(band, case.band), min(rank_at, case.rank_at)
    if case.pod == was:
        return
    ctx.emit(CASES + was, case.case_id, None)
    drop_claim(case)
    saw = {"from": was, "rule": case.rule, "because": case.because}
    case_line(dossier, ctx, CaseEventKind.CASE_REROUTED, cause, case, saw=saw)


def _may_go(
    case: OpenCase, pod: str, facts: tuple[str, ...], overrides: list[OverrideRule], tables: ReviewTables
) -> bool:
    """Whether a rule may send it there: overrides come first, and somebody independent must be able to read it."""
    languages = tables.languages.get(pod)
    return (
        all(override.pod is None for override in overrides)
        and not nobody_independent(case, tables.reviewers.get(pod))
        and (languages is None or facts[_LANGUAGE] in languages)
    )


def _primary(language: str) -> str:
    """The part of a language tag that says who can read it: ``de-AT`` is read by whoever reads ``de``."""
    return language.partition("-")[0].lower()


def _matching(case: OpenCase, facts: tuple[str, ...], amount: float, tables: ReviewTables) -> Rule | None:
    """The first rule of automation whose conditions hold."""
    expected = case.parts[WRONGFULNESS].value
    for rule in tables.rules:
        if expected >= rule.wrongfulness_at_least and holds(rule.test, facts, case.flags, amount):
            return rule
    return None
