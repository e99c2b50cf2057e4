"""A priority explains itself, grows with each of its reasons, and `rank_at` keeps its bounds."""

from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.dossier import Counts, Tally
from processors.priority import NAMES, band_of
from processors.undoing import Immunity
from schemas.records import Case, Component, Millis, Money, Target
from schemas.vocabulary import (
    Action,
    AppealFlag,
    Automation,
    Band,
    Category,
    EffectKind,
    SellerTier,
    TargetKind,
)
from tests.unit.builders import (
    DAY,
    HOUR,
    RULEBOOK,
    T0,
    Life,
    a_profile,
    an_appeal,
    an_effect,
    an_enforcement,
    decided,
    euros,
)
from topology.rulebook_file import PACKAGED, parse_rulebook

TABLES = RULEBOOK.tables
ACTIONS = [action for action in Action if action is not Action.UNKNOWN]


def ranked(
    *, counts: Counts | None = None, tally: Tally | None = None, immunity: Immunity | None = None, **given: Any
) -> Case:
    """The case that an appeal opens, for a user with this history."""
    life = Life()
    life.dossier.counts = counts or Counts()
    if tally is not None:
        life.dossier.tallies["fake-finder"] = tally
    if immunity is not None:
        life.dossier.immunities.append(immunity)
    if "profile" in given:
        life.send(a_profile(**given["profile"]))
    life.send(an_enforcement(**given.get("enforcement", {})))
    life.send(an_appeal(at=T0, **given.get("appeal", {})))
    return life.published()[0]


def component(name: str, **given: Any) -> Component:
    return next(c for c in ranked(**given).components if c.name == name)


def value(name: str, **given: Any) -> float:
    return component(name, **given).value


def test_components_come_in_order_and_add_up_to_the_score() -> None:
    case = ranked(profile={}, enforcement={"ends_at": T0 + DAY, "amount": euros("120.50")})
    assert tuple(c.name for c in case.components) == NAMES
    for part in case.components:
        assert part.contribution == pytest.approx(1000 * part.weight * part.value, abs=0.001)
        assert part.because
    assert case.score == int(sum(c.contribution for c in case.components) + 0.5)
    assert sum(c.weight for c in case.components) == pytest.approx(1)


def test_every_component_says_why() -> None:
    case = ranked(
        profile={"is_minor": True},
        enforcement={"ends_at": T0 + DAY, "amount": euros("120.50")},
        appeal={"flags": [AppealFlag.PERSONAL_SAFETY]},
        counts=Counts(overturned=2, upheld=1),
        tally=Tally(2, 3),
    )
    assert [c.because for c in case.components] == [
        "suspension 0.85 for 1.0 d",
        "lifetime value 5400.00",
        "prior 0.155 worth 20, 2 of 3 by fake-finder overturned, fully automated",
        "2 overturned, 1 upheld, 0 refused",
        "ends 1.0 d after the appeal",
        "minor, personal_safety",
    ]


@given(first=st.sampled_from(ACTIONS), second=st.sampled_from(ACTIONS))
@settings(max_examples=40, deadline=None)
def test_severity_follows_the_ladder_of_the_rulebook(first: Action, second: Action) -> None:
    low, high = sorted((first, second), key=lambda action: TABLES.severity[action])
    assert value("severity", enforcement={"action": low}) <= value("severity", enforcement={"action": high})


@given(shorter=st.integers(0, 2_000 * DAY), more=st.integers(0, 2_000 * DAY))
@settings(max_examples=40, deadline=None)
def test_severity_grows_with_the_length_and_never_beyond_no_end(shorter: int, more: int) -> None:
    short = value("severity", enforcement={"ends_at": Millis(T0 + 1 + shorter)})
    long = value("severity", enforcement={"ends_at": Millis(T0 + 1 + shorter + more)})
    assert short <= long <= value("severity")


@given(reach=st.integers(0, 10**9), more=st.integers(0, 10**9))
@settings(max_examples=40, deadline=None)
def test_impact_grows_with_reach(reach: int, more: int) -> None:
    assert value("impact", profile={"reach": reach}) <= value("impact", profile={"reach": reach + more})


@given(worth=st.decimals(0, 10**7, places=2), more=st.decimals(0, 10**7, places=2))
@settings(max_examples=40, deadline=None)
def test_impact_grows_with_lifetime_value_and_with_the_amount(worth: Decimal, more: Decimal) -> None:
    less, most = euros(str(worth)), euros(str(worth + more))
    assert value("impact", profile={"lifetime_value": less}) <= value("impact", profile={"lifetime_value": most})
    assert value("impact", enforcement={"amount": less}) <= value("impact", enforcement={"amount": most})


def test_impact_counts_the_amounts_of_effects_when_the_enforcement_names_none() -> None:
    effects = [an_effect(EffectKind.MONEY_TAKEN, amount=euros("400")), an_effect(EffectKind.ACCOUNT_STATUS)]
    assert component("impact", enforcement={"effects": effects}).because == "amount 400.00, no profile"


def test_impact_compares_currencies_by_the_rulebook() -> None:
    pounds = Money(value=Decimal(100), currency="GBP")
    assert value("impact", enforcement={"amount": pounds}) > value("impact", enforcement={"amount": euros("100")})


@given(decided_count=st.integers(0, 50), overturned=st.integers(0, 50))
@settings(max_examples=40, deadline=None)
def test_wrongfulness_grows_with_overturns_of_the_detector(decided_count: int, overturned: int) -> None:
    overturned = min(overturned, decided_count)
    fewer = value("wrongfulness", tally=Tally(max(0, overturned - 1), decided_count))
    assert fewer <= value("wrongfulness", tally=Tally(overturned, decided_count))


def test_few_overturns_do_not_shout() -> None:
    assert value("wrongfulness", tally=Tally(2, 2)) - value("wrongfulness") < 0.1


def test_full_automation_raises_wrongfulness() -> None:
    ladder = [
        Automation.AUTOMATED_DECISION_NOT_AUTOMATED,
        Automation.AUTOMATED_DECISION_PARTIALLY,
        Automation.AUTOMATED_DECISION_FULLY,
    ]
    values = [value("wrongfulness", enforcement={"automation": automation}) for automation in ladder]
    assert values == sorted(values)
    assert values[0] < values[2]


def test_what_was_struck_wrongly_before_is_probably_wrong_again() -> None:
    target = Target(kind=TargetKind.LISTING, id="l-2", content_hash="h")
    immunity = Immunity("l-1", "h", "counterfeit")
    assert value("wrongfulness", enforcement={"target": target}, immunity=immunity) > value(
        "wrongfulness", enforcement={"target": target}
    )
    other_policy = Immunity("l-1", "h", "spam")
    assert value("wrongfulness", enforcement={"target": target}, immunity=other_policy) == value(
        "wrongfulness", enforcement={"target": target}
    )


def test_another_strike_at_the_same_account_is_not_the_same_thing_again() -> None:
    assert value("wrongfulness", immunity=Immunity("u-1", None, "counterfeit")) == value("wrongfulness")
    listing = Target(kind=TargetKind.LISTING, id="l-1")
    again = value("wrongfulness", enforcement={"target": listing}, immunity=Immunity("l-1", None, "counterfeit"))
    assert again > value("wrongfulness", enforcement={"target": listing})


def test_values_and_contributions_are_rounded_so_that_no_last_bit_decides() -> None:
    case = ranked(profile={"reach": 77_777}, enforcement={"ends_at": T0 + DAY * 10 // 7})
    for part in case.components:
        assert part.value == round(part.value, 4)
        assert part.contribution == round(part.contribution, 3)


def test_overturn_leaves_an_immunity_and_a_tally_behind() -> None:
    life = decided(target=Target(kind=TargetKind.LISTING, id="l-1", content_hash="h"))
    [immunity] = life.dossier.immunities
    assert (immunity.target_id, immunity.content_hash, immunity.policy) == ("l-1", "h", "counterfeit")
    assert (immunity.detector, immunity.since) == ("fake-finder", life.now)
    assert immunity.until == life.now + RULEBOOK.tables.immunity_ms
    assert life.dossier.tallies == {"fake-finder": Tally(1, 1)}


@given(won=st.integers(0, 30), lost=st.integers(0, 30), refused=st.integers(0, 30))
@settings(max_examples=40, deadline=None)
def test_standing_rises_with_overturns_and_falls_with_lost_and_refused_appeals(
    won: int, lost: int, refused: int
) -> None:
    here = value("standing", counts=Counts(overturned=won, upheld=lost, refused=refused))
    assert value("standing", counts=Counts(overturned=won + 1, upheld=lost, refused=refused)) >= here
    assert value("standing", counts=Counts(overturned=won, upheld=lost + 1, refused=refused)) <= here
    assert value("standing", counts=Counts(overturned=won, upheld=lost, refused=refused + 1)) <= here


def test_standing_of_a_user_without_history_is_a_half() -> None:
    assert value("standing") == 0.5


@given(left=st.integers(0, 400 * DAY), more=st.integers(0, 400 * DAY))
@settings(max_examples=40, deadline=None)
def test_urgency_grows_as_the_end_comes_nearer(left: int, more: int) -> None:
    near = value("urgency", enforcement={"ends_at": Millis(T0 + 1 + left)})
    assert near >= value("urgency", enforcement={"ends_at": Millis(T0 + 1 + left + more)}) >= 0


def test_urgency_is_a_half_at_the_half_time_and_nothing_without_an_end() -> None:
    assert value("urgency", enforcement={"ends_at": Millis(T0 + 2 * DAY)}) == 0.5
    assert value("urgency") == 0
    assert value("urgency", enforcement={"target": Target(kind=TargetKind.LIVESTREAM, id="s")}) == 0.6


@given(flags=st.lists(st.sampled_from([AppealFlag.MINOR, AppealFlag.PERSONAL_SAFETY, AppealFlag.UNKNOWN])))
@settings(max_examples=30, deadline=None)
def test_vulnerability_never_falls_with_a_further_flag(flags: list[AppealFlag]) -> None:
    here = value("vulnerability", appeal={"flags": flags})
    assert value("vulnerability", appeal={"flags": [*flags, AppealFlag.PERSONAL_SAFETY]}) >= here


def test_profile_of_a_minor_counts_without_a_flag() -> None:
    assert value("vulnerability", profile={"is_minor": True}) == 0.8
    assert value("vulnerability", profile={"safety_flag": True}) == 0.9


def test_legal_order_is_p0_and_the_lift_is_explained() -> None:
    case = ranked(enforcement={"action": Action.WARNING}, appeal={"flags": [AppealFlag.LEGAL_ORDER]})
    assert case.band is Band.P0
    assert case.score == 750
    assert case.components[-1].name == "override"
    assert case.components[-1].because == "legal order: P0"
    assert case.score == int(sum(c.contribution for c in case.components) + 0.5)


@pytest.mark.parametrize(
    "given",
    [
        {"appeal": {"flags": [AppealFlag.CHILD_SAFETY]}},
        {"enforcement": {"category": Category.STATEMENT_CATEGORY_PROTECTION_OF_MINORS}},
        {"appeal": {"flags": [AppealFlag.LEGAL_ORDER, AppealFlag.CHILD_SAFETY]}},
    ],
)
def test_child_safety_is_p0_on_its_own_pod(given: dict[str, Any]) -> None:
    case = ranked(**given)
    assert (case.band, case.pod) == (Band.P0, "child-safety")


def test_bands_start_at_their_thresholds() -> None:
    found = {score: band_of(score, TABLES) for score in (0, 249, 250, 399, 400, 549, 550, 749, 750, 1000)}
    assert found == {
        0: Band.P4,
        249: Band.P4,
        250: Band.P3,
        399: Band.P3,
        400: Band.P2,
        549: Band.P2,
        550: Band.P1,
        749: Band.P1,
        750: Band.P0,
        1000: Band.P0,
    }


def test_slack_falls_log_linearly_from_fourteen_days_to_one_hour() -> None:
    slack = TABLES.slack_ms
    assert (slack[0], slack[1000]) == (14 * DAY, HOUR)
    assert slack[500] == pytest.approx((slack[0] * slack[1000]) ** 0.5, abs=1)
    assert all(later < sooner for sooner, later in pairwise(slack))


@given(
    action=st.sampled_from(ACTIONS),
    ends=st.one_of(st.none(), st.integers(1, 400 * DAY)),
    flags=st.lists(st.sampled_from(list(AppealFlag)), max_size=3),
    reach=st.integers(0, 10**8),
    amount=st.one_of(st.none(), st.decimals(0, 10**6, places=2)),
    counts=st.builds(Counts, overturned=st.integers(0, 9), upheld=st.integers(0, 9), refused=st.integers(0, 9)),
    tier=st.sampled_from(list(SellerTier)),
)
@settings(max_examples=150, deadline=None)
def test_score_and_rank_keep_their_bounds(
    action: Action,
    ends: int | None,
    flags: list[AppealFlag],
    reach: int,
    amount: Decimal | None,
    counts: Counts,
    tier: SellerTier,
) -> None:
    case = ranked(
        profile={"reach": reach, "seller_tier": tier},
        enforcement={
            "action": action,
            "ends_at": ends and Millis(T0 + ends),
            "amount": None if amount is None else euros(str(amount)),
        },
        appeal={"flags": flags},
        counts=counts,
    )
    handling = TABLES.band_starts[case.band].handling_ms
    assert 0 <= case.score <= 1000
    assert all(0 <= part.value <= 1 for part in case.components)
    assert case.submitted_at + TABLES.slack_ms[1000] <= case.rank_at
    assert case.rank_at <= case.submitted_at + TABLES.slack_ms[case.score]
    assert case.rank_at <= case.due_at - handling
    assert case.promised_at == case.submitted_at + handling
    assert case.score >= TABLES.band_starts[case.band].at


def test_rank_is_never_later_than_the_deadline_less_the_handling_time() -> None:
    text = PACKAGED.read_text(encoding="utf-8").replace("deadline: 28d", "deadline: 15d")
    life = Life(rulebook=parse_rulebook(text.replace("handling: 7d", "handling: 14d")))
    life.send(an_enforcement(action=Action.WARNING))
    life.send(an_appeal(at=T0))
    [case] = life.published()
    assert case.band in (Band.P3, Band.P4)
    assert case.rank_at == case.due_at - 14 * DAY == T0 + DAY
    assert case.rank_at < T0 + TABLES.slack_ms[case.score]


def test_score_does_not_depend_on_when_the_appeal_is_read() -> None:
    early, late = Life(), Life()
    for life, at in ((early, T0), (late, T0 + 90 * DAY)):
        life.send(an_enforcement(ends_at=Millis(T0 + 200 * DAY)))
        life.send(an_appeal(at=T0), at=at)
    assert early.published()[0].components == late.published()[0].components
    assert early.published()[0].rank_at == late.published()[0].rank_at
