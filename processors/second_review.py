"""When a second person must look at a decision, and which cases are drawn for it.

What is drawn is derived from the case's id, so a replay draws the same cases. All triggers that hold are named: they
are shown to the second reviewer and counted by the insights.
"""

from collections.abc import Iterator

from processors import ids
from processors.dossier import Dossier
from processors.on_file import Enforcement, Profile
from processors.open_case import OpenCase, Proposed
from processors.priority import WRONGFULNESS, amount_at_stake
from processors.review_tables import Triggers
from processors.tables import Tables
from schemas.vocabulary import Outcome

AGAINST_PRIOR = "against_prior"
QUALITY = "quality_sample"
BLIND = "blind_sample"


def triggers(
    dossier: Dossier, case: OpenCase, e: Enforcement, decision: Proposed, now: int, tables: Tables
) -> list[str]:
    """Names of all triggers that hold; none: the decision counts as it is."""
    rules = tables.review.triggers
    return [] if rules is None else list(_holding(dossier, case, e, decision, now, rules, tables))


def drawn_blind(case: OpenCase, tables: Tables) -> bool:
    """Whether the second reviewer of this case must not see the first decision."""
    rules = tables.review.triggers
    return rules is not None and ids.fraction(f"blind\x1f{case.case_id}", 0) < rules.blind_share


def _holding(
    dossier: Dossier, case: OpenCase, e: Enforcement, decision: Proposed, now: int, rules: Triggers, tables: Tables
) -> Iterator[str]:
    if e.action in rules.severities:
        yield "severity"
    if amount_at_stake(e, tables) >= rules.amount_at_least:
        yield "amount"
    if _against_prior(case, decision, rules):
        yield AGAINST_PRIOR
    if _high_profile(dossier.profile, rules, tables):
        yield "high_profile"
    if now < rules.new_until_ms.get(decision.reviewer, 0):
        yield "new_reviewer"
    if not rules.flags.isdisjoint(case.flags):
        yield "flag"
    if ids.fraction(f"quality\x1f{case.case_id}", 0) < rules.share:
        yield QUALITY
    if drawn_blind(case, tables):
        yield BLIND


def _against_prior(case: OpenCase, decision: Proposed, rules: Triggers) -> bool:
    if len(case.parts) <= WRONGFULNESS:  # ranked by a version that explained less
        return False
    expected = case.parts[WRONGFULNESS].value
    if decision.outcome is Outcome.REMANDED:  # judges nothing yet
        return False
    overturns = decision.outcome in (Outcome.OVERTURNED, Outcome.MODIFIED)
    return expected < rules.overturn_below if overturns else expected > rules.uphold_above


def _high_profile(profile: Profile | None, rules: Triggers, tables: Tables) -> bool:
    if profile is None:
        return False
    lifetime = profile.lifetime_value
    worth = 0.0 if lifetime is None else float(lifetime.value) * tables.currencies.get(lifetime.currency, 1.0)
    return profile.reach >= rules.reach_at_least or worth >= rules.value_at_least or profile.tier in rules.tiers
