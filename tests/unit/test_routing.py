"""Every case has a pod, by the first rule that matches and whoever reads the language."""

from typing import Any

import pytest
import yaml

from schemas.records import Case, Target
from schemas.vocabulary import Action, AppealFlag, Automation, Category, TargetKind
from tests.unit.builders import RULEBOOK, T0, Life, a_profile, after, an_appeal, an_enforcement, euros
from topology.rulebook_file import PACKAGED

IP = Category.STATEMENT_CATEGORY_INTELLECTUAL_PROPERTY_INFRINGEMENTS
LISTING = Target(kind=TargetKind.LISTING, id="l-1")


def routed(language: str = "en", flags: list[AppealFlag] | None = None, **enforcement: Any) -> Case:
    content = {"policy": "spam", "action": Action.WARNING, "target": LISTING, **enforcement}
    return after(a_profile(), an_enforcement(**content), an_appeal(language=language, flags=flags or [])).published()[0]


@pytest.mark.parametrize(
    ("given", "rule", "pod"),
    [
        ({}, "default", "general"),
        ({"category": IP}, "intellectual property", "intellectual-property"),
        ({"policy": "trademark"}, "counterfeit", "intellectual-property"),
        ({"action": Action.PAYOUT_HOLD}, "money", "payments"),
        ({"amount": euros("1000")}, "large amounts", "payments"),
        ({"amount": euros("999.99")}, "default", "general"),
        ({"target": Target(kind=TargetKind.LIVESTREAM, id="s")}, "live", "livestream"),
        ({"action": Action.BAN}, "access to the account", "accounts"),
        ({"category": IP, "action": Action.BAN}, "intellectual property", "intellectual-property"),
        ({"flags": [AppealFlag.LEGAL_ORDER], "category": IP}, "legal orders", "legal"),
        ({"flags": [AppealFlag.CHILD_SAFETY], "category": IP}, "child safety", "child-safety"),
    ],
)
def test_first_matching_rule_names_the_pod(given: dict[str, Any], rule: str, pod: str) -> None:
    case = routed(**given)
    assert (case.routing.rule, case.pod, case.routing.pod) == (rule, pod, pod)


def test_reason_names_what_the_rule_looked_at() -> None:
    assert routed(action=Action.FEE).routing.because == "action=fee"
    assert routed(amount=euros("2000")).routing.because == "amount=2000.00"
    assert routed(flags=[AppealFlag.LEGAL_ORDER]).routing.because == "flags=legal_order"
    assert routed().routing.because == "no other rule"


def test_pod_that_does_not_read_the_language_hands_over_to_its_substitute() -> None:
    case = routed(language="pl", category=IP)
    assert case.pod == "general"
    assert case.routing.rule == "intellectual property"
    assert case.routing.because.endswith("; intellectual-property does not read pl")


def test_region_of_a_language_does_not_matter() -> None:
    assert routed(language="de-AT", category=IP).pod == "intellectual-property"


def test_rules_can_look_at_region_language_and_band() -> None:
    raw = {**_raw(), "routing": [{"name": "all", "when": {}, "pod": "general"}]}
    conditions = {"languages": ["en"], "regions": ["DE"], "bands": ["P3", "P4"]}
    raw["routing"].insert(0, {"name": "narrow", "when": conditions, "pod": "legal"})
    book = type(RULEBOOK).model_validate(raw)
    low = {"policy": "spam", "action": Action.WARNING, "automation": Automation.AUTOMATED_DECISION_NOT_AUTOMATED}
    assert _under(book, low).routing.because == "language=en region=DE band=P3"
    assert _under(book, {**low, "action": Action.BAN}).routing.rule == "all"


def test_rule_whose_pod_lacks_a_skill_goes_to_the_substitute_of_the_rule() -> None:
    rule = {"name": "hard", "needs": ["law"], "pod": "payments", "substitute": "legal"}
    book = type(RULEBOOK).model_validate({**_raw(), "routing": [{**rule, "when": {"policies": ["spam"]}}, _LAST]})
    case = _under(book, {"policy": "spam"})
    assert case.pod == "legal"
    assert case.routing.because == "policy=spam; payments lacks a skill"


def test_case_that_nobody_fits_goes_to_the_default_pod() -> None:
    pods = [{"name": "narrow", "languages": ["fr"]}, {"name": "general"}, {"name": "child-safety"}, {"name": "lead"}]
    rules = [{"name": "first", "when": {"policies": ["spam"]}, "pod": "narrow"}, _LAST]
    book = type(RULEBOOK).model_validate({**_raw(), "pods": pods, "routing": rules})
    case = _under(book, {"policy": "spam"})
    assert case.pod == "general"
    assert case.routing.because == "policy=spam; narrow does not read en; default"


def test_region_is_unknown_until_the_profile_has_come() -> None:
    assert after(an_enforcement(), an_appeal()).published()[0].region == "unknown"


_LAST: dict[str, Any] = {"name": "last", "pod": "general"}


def _raw() -> dict[str, Any]:
    return yaml.safe_load(PACKAGED.read_text(encoding="utf-8"))


def _under(book: Any, enforcement: dict[str, Any]) -> Case:
    life = Life(rulebook=book)
    life.send(a_profile(at=T0))
    life.send(an_enforcement(**enforcement))
    life.send(an_appeal())
    return life.published()[0]
