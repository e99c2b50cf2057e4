"""How urgent a case is, explained: six components, overrides that come first, a band, and `rank_at`.

Each component is a value in [0, 1] with the text of its reason; the score is the sum of their contributions, so a
reviewer sees why one case goes before another. All times are counted from the submission, never from now: the same
appeal gets the same score however late its events arrive. Values are rounded before they are added, which keeps
the last bits of a logarithm out of every decision.
"""

import math
from functools import lru_cache

from processors.conditions import holds
from processors.dossier import Dossier
from processors.durations import DAY_MS, written
from processors.immunity import struck_wrongly_before
from processors.on_file import Enforcement
from processors.open_case import OpenCase, Part
from processors.references import Rate
from processors.tables import NAMES, OverrideRule, Tables
from schemas.records import Millis
from schemas.vocabulary import AppealFlag, Band, TargetKind

WRONGFULNESS = NAMES.index("wrongfulness")
"""Where the expected overturn rate stands among a case's parts."""

OVERRIDE = "override"
"""Name of the extra component that lifts a score to the floor of a band given by an override."""

_log1p = math.log1p
Valued = tuple[float, str]
"""A component's value and the reason for it."""


def rank(
    dossier: Dossier,
    case: OpenCase,
    e: Enforcement,
    amount: float,
    overrides: list[OverrideRule],
    tables: Tables,
    observed: Rate | None,
) -> None:
    """Set the case's score, components, band, `rank_at` and handling time."""
    valued = (
        _severity(e, tables),
        _impact(dossier, amount, tables),
        _wrongfulness(dossier, e, tables, observed),
        _standing(dossier, tables),
        _urgency(case, e, tables),
        _vulnerability(dossier, case, tables),
    )
    parts = [_part(*scale, *value) for scale, value in zip(tables.scale, valued, strict=True)]
    total = sum([part.contribution for part in parts])
    given = next((rule for rule in overrides if rule.band is not None), None) if overrides else None
    if given is not None and given.band is not None:
        floor = tables.band_starts[given.band].at
        if total < floor:
            lift = round(floor - total, 3)
            parts.append(Part(OVERRIDE, 1.0, lift / 1000, lift, f"{given.name}: {given.band}"))
            total = floor
    case.parts = parts
    case.score = score = min(1000, int(total + 0.5))
    case.band = band = band_of(score, tables) if given is None or given.band is None else given.band
    handling_ms = tables.band_starts[band].handling_ms
    case.rank_at = Millis(min(case.submitted_at + tables.slack_ms[score], case.due_at - handling_ms))
    case.handling_ms = handling_ms


@lru_cache(maxsize=1 << 14)
def _part(name: str, weight: float, points: float, raw: float, because: str) -> Part:
    """A component to four places, and to three what it gives. Most cases have most of theirs from a small set.

    As `round` does it for values in [0, 1], which takes half of the ranking's time.
    """
    value = int(raw * 10_000 + 0.5) / 10_000
    return Part(name, value, weight, int(points * value + 0.5) / 1_000, because)


def band_of(score: int, tables: Tables) -> Band:
    """The band in which a score lies."""
    for start in tables.bands:
        if score >= start.at:
            return start.band
    return tables.bands[-1].band


def amount_at_stake(e: Enforcement, tables: Tables) -> float:
    """Held or taken money in the house currency, to compare by only."""
    if e.amount is not None:
        return float(e.amount.value) * tables.currencies.get(e.amount.currency, 1.0)
    total = 0.0
    for effect in e.effects:
        if effect.amount is not None:
            total += float(effect.amount.value) * tables.currencies.get(effect.amount.currency, 1.0)
    return total


def _severity(e: Enforcement, tables: Tables) -> Valued:
    if e.ends_at is None:
        return tables.endless[e.action]
    base = tables.severity[e.action]
    days = max(0.0, (e.ends_at - e.noticed_at) / DAY_MS)
    length = min(1.0, _log1p(days) / tables.log_full_days)
    return base * (0.5 + 0.5 * length), f"{e.action} {base:.2f} for {days:.1f} d"


def _impact(dossier: Dossier, amount: float, tables: Tables) -> Valued:
    """The strongest of three measures: a large hold on a small seller is no smaller for their reach."""
    value = min(1.0, _log1p(amount) / tables.log_amount) if amount > 0 else 0.0
    because = f"amount {amount:.2f}"
    profile = dossier.profile
    if profile is None:
        return value, because + ", no profile"
    reached = min(1.0, _log1p(profile.reach) / tables.log_reach)
    if reached > value:
        value, because = reached, f"reach {profile.reach}"
    lifetime = profile.lifetime_value
    if lifetime is not None and lifetime.value > 0:
        worth = float(lifetime.value) * tables.currencies.get(lifetime.currency, 1.0)
        valued = min(1.0, _log1p(worth) / tables.log_value)
        if valued > value:
            value, because = valued, f"lifetime value {worth:.2f}"
    return value, because


def _wrongfulness(dossier: Dossier, e: Enforcement, tables: Tables, observed: Rate | None) -> Valued:
    """Posterior overturn rate: a Beta prior, then what everybody's and this user's decided appeals say."""
    facts = (e.policy, e.action, e.automation)
    alpha, beta, because = 1.0, 1.0, "no prior"
    for prior in tables.priors:
        if holds(prior.test, facts, [], 0.0):
            alpha, beta, because = prior.alpha, prior.beta, prior.because
            break
    if observed is not None:
        more, fewer, text = _weighed(observed, e.detector, e.detector_version, tables.rate_strength)
        alpha, beta, because = alpha + more, beta + fewer, because + text
    tally = None if e.detector is None else dossier.tallies.get(e.detector)
    if tally is not None:
        alpha += tally.overturned
        beta += tally.decided - tally.overturned
        because += f", {tally.overturned} of {tally.decided} by {e.detector} overturned"
    value = alpha / (alpha + beta)
    lift = tables.automation_lift.get(e.automation)
    if lift is not None:
        share, told = lift
        value += (1 - value) * share
        because += told
    if dossier.immunities and struck_wrongly_before(dossier, e):
        value += (1 - value) * tables.immunity_lift
        because += ", struck wrongly before"
    return value, because


@lru_cache(maxsize=4096)  # the same few rates are seen by very many appeals
def _weighed(observed: Rate, detector: str | None, version: str, strength: float) -> tuple[float, float, str]:
    """What an observed rate adds to both parameters of the posterior, and how it is told."""
    overturned, decided = observed.overturned, observed.decided
    counted = min(decided, strength)
    by = "no detector" if detector is None else f"{detector} {version}"
    text = f", {overturned} of {decided} by {by} overturned in {written(observed.window_ms)}, worth {counted:g}"
    return counted * overturned / decided, counted * (decided - overturned) / decided, text


def _standing(dossier: Dossier, tables: Tables) -> Valued:
    """Half for a user without history; up with every overturn, down with every refusal and upheld decision."""
    counts = dossier.counts
    lost = counts.upheld + counts.refused
    strength = tables.standing_strength
    value = (counts.overturned + strength / 2) / (counts.overturned + lost + strength)
    return value, f"{counts.overturned} overturned, {counts.upheld} upheld, {counts.refused} refused"


def _urgency(case: OpenCase, e: Enforcement, tables: Tables) -> Valued:
    if e.ends_at is not None:
        left = max(0, e.ends_at - case.submitted_at)
        half = tables.urgency_half_ms
        value, because = half / (half + left), f"ends {left / DAY_MS:.1f} d after the appeal"
    else:
        value, because = 0.0, "no end"
    if e.target_kind is TargetKind.LIVESTREAM and tables.livestream_urgency > value:
        return tables.livestream_urgency, "livestream"
    return value, because


def _vulnerability(dossier: Dossier, case: OpenCase, tables: Tables) -> Valued:
    flags = case.flags
    if AppealFlag.AGAINST_IMMUNITY in flags:  # says something of the enforcement, nothing of the person
        flags = [flag for flag in flags if flag is not AppealFlag.AGAINST_IMMUNITY]
    profile = dossier.profile
    if profile is not None and (profile.is_minor or profile.safety_flag):
        flags = [
            *flags,
            *([AppealFlag.MINOR] if profile.is_minor else []),
            *([AppealFlag.PERSONAL_SAFETY] if profile.safety_flag else []),
        ]
    if not flags:
        return 0.0, "none known"
    value = max(tables.vulnerability.get(flag, 0.0) for flag in flags)
    return value, ", ".join(sorted(set(flags)))
