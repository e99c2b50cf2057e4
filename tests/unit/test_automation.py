"""Rules may grant an appeal or send it to a pod. No rule can deny one (DSA Art. 20(6))."""

import ast
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

import processors
from processors import ids
from processors.rulebook_review import AutomationRule
from schemas.records import AppealId, EnforcementId, InputRecord
from schemas.vocabulary import Action, AppealFlag, CaseEventKind, CaseState, DismissalReason, NoticeKind, Outcome
from tests.unit.builders import (
    DAY,
    HOUR,
    T0,
    Life,
    a_lift,
    a_rulebook,
    a_withdrawal,
    after,
    an_ack,
    an_amendment,
    an_appeal,
    an_enforcement,
    case_of,
)
from tests.unit.checkers import check_all


def granting(**change: Any) -> dict[str, Any]:
    rule = {"name": "wrong detector", "when": {"policies": ["counterfeit"]}, "do": "grant", "daily_cap": 100}
    return {**rule, **change}


def routing(pod: str = "payments", **change: Any) -> dict[str, Any]:
    return {"name": "to them", "when": {"policies": ["counterfeit"]}, "do": "route", "pod": pod, **change}


def met_by(*rules: dict[str, Any], appeal: dict[str, Any] | None = None, **sections: Any) -> Life:
    """A life whose appeal meets these rules."""
    book = a_rulebook(**{"second_review": None, "evidence": [], "automation": list(rules), **sections})
    return after(an_enforcement(), an_appeal(**appeal or {}), rulebook=book)


# --- granted ----------------------------------------------------------------------------------------------------


def test_granted_appeal_is_opened_decided_by_the_rule_and_reversed_at_once() -> None:
    life = met_by(granting())
    assert life.kinds() == [
        CaseEventKind.CASE_OPENED,
        CaseEventKind.CASE_DECIDED,
        CaseEventKind.REVERSAL_ORDERED,
        CaseEventKind.IMMUNITY_GRANTED,
    ]
    line = life.lines()[1]
    assert (line.actor, line.outcome, line.state) == ("rule:wrong detector", Outcome.OVERTURNED, CaseState.DECIDED)
    assert (line.saw["how"], line.saw["because"], line.saw["reviewer"]) == (
        "rule",
        "wrong detector",
        "rule:wrong detector",
    )
    assert line.saw["decision_policy_version"] == "2025-03"
    assert "reasons_ref" not in line.saw
    assert [n.kind for n in life.notices()] == [NoticeKind.ACKNOWLEDGED, NoticeKind.DECIDED]
    [order] = life.orders()
    life.send(an_ack(order))
    assert life.kinds()[-1] is CaseEventKind.CASE_CLOSED
    check_all(life, {"a-1"})


def test_what_a_rule_granted_says_nothing_about_the_detector() -> None:
    life = met_by(granting())
    assert life.dossier.counts.overturned == 1
    assert life.dossier.tallies == {}


def test_granted_case_is_shown_with_its_reasons_and_leaves_its_pod_in_the_same_batch() -> None:
    life = met_by(granting())
    [case] = life.published()
    assert case.components
    assert life.on_pods() == {}
    life.wait_until(T0 + 60 * DAY)
    assert life.on_pods() == {}
    assert len(life.published()) == 1


def test_grant_bars_nobody_and_asks_nobody_for_evidence() -> None:
    standard = {"name": "s", "needs": [{"kinds": ["licence"], "supplier": "appellant", "ask": True}]}
    life = met_by(granting(), evidence=[standard], second_review={"share": 1.0})
    assert life.dossier.enforcements["e-1"].barred == []
    assert not life.lines(CaseEventKind.EVIDENCE_REQUESTED)
    assert not life.lines(CaseEventKind.DECISION_PROPOSED), "a second look is at what people decide"


def test_appeal_that_is_delivered_again_is_not_granted_again() -> None:
    life = met_by()
    event = an_appeal(appeal_id="a-2")
    life = after(an_enforcement(), event, rulebook=a_rulebook(automation=[granting()]))
    assert life.send(event) == []
    assert len(life.orders()) == 1


def test_first_rule_that_holds_is_the_one() -> None:
    first = granting(name="first", when={"policies": ["counterfeit"], "actions": ["suspension"]})
    assert met_by(granting(name="no", when={"policies": ["x"]}), first, granting()).lines()[1].actor == "rule:first"
    assert met_by(routing(), granting()).case().pod == "payments"


def test_rule_holds_from_its_least_wrongfulness_on() -> None:
    expected = met_by().case().parts[2]
    assert expected.name == "wrongfulness"
    assert met_by(granting(wrongfulness_at_least=expected.value)).case_count() == 0
    assert met_by(granting(wrongfulness_at_least=expected.value + 0.0001)).case_count() == 1


def test_case_that_comes_to_hold_later_is_left_to_people() -> None:
    life = met_by(granting(when={"policies": ["fees"]}))
    life.send(an_amendment(policy="fees"))
    assert life.case().state is CaseState.QUEUED


def test_moot_case_is_not_granted() -> None:
    book = a_rulebook(automation=[granting()])
    life = after(an_appeal(at=T0), a_lift(at=T0 + HOUR), an_enforcement(at=T0 - DAY), rulebook=book)
    assert life.lines(CaseEventKind.CASE_DECIDED)[0].outcome is Outcome.MOOT
    assert life.spent == {}


# --- cap and audit ----------------------------------------------------------------------------------------------


def test_what_is_beyond_the_cap_goes_to_people() -> None:
    book = a_rulebook(second_review=None, automation=[granting(daily_cap=2)])
    life = Life(rulebook=book)
    for n in range(4):
        life.send(an_enforcement(enforcement_id=EnforcementId(f"e-{n}")))
        life.send(an_appeal(appeal_id=f"a-{n}", enforcement_id=EnforcementId(f"e-{n}")))
    assert [line.outcome for line in life.lines(CaseEventKind.CASE_DECIDED)] == [Outcome.OVERTURNED] * 2
    first, second = life.lines(CaseEventKind.GRANT_WITHHELD)
    assert first.reason == second.reason == "daily_cap"
    assert (first.actor, first.saw) == (None, {"rule": "wrong detector", "daily_cap": "2"})
    assert {case.case_id for case in life.on_pods().values()} == {case_of("a-2"), case_of("a-3")}
    life.now += DAY
    life.send(an_enforcement(at=life.now, enforcement_id=EnforcementId("e-9")))
    life.send(an_appeal(at=life.now, appeal_id="a-9", enforcement_id=EnforcementId("e-9")))
    assert len(life.lines(CaseEventKind.CASE_DECIDED)) == 3, "a new day"


def test_cap_counts_each_policy_by_itself() -> None:
    when = {"policies": ["counterfeit", "fees"]}
    life = Life(rulebook=a_rulebook(second_review=None, automation=[granting(when=when, daily_cap=1)]))
    for n, policy in enumerate(["counterfeit", "fees", "fees"]):
        life.send(an_enforcement(enforcement_id=EnforcementId(f"e-{n}"), policy=policy))
        life.send(an_appeal(appeal_id=f"a-{n}", enforcement_id=EnforcementId(f"e-{n}")))
    assert [line.appeal_id for line in life.lines(CaseEventKind.CASE_DECIDED)] == ["a-0", "a-1"]


def test_allowance_of_the_installation_is_what_counts() -> None:
    book = a_rulebook(second_review=None, evidence=[], automation=[granting(daily_cap=100)])
    life = Life(rulebook=book, allowance=0)
    for event in (an_enforcement(), an_appeal()):
        life.send(event)
    assert life.kinds() == [CaseEventKind.CASE_OPENED, CaseEventKind.GRANT_WITHHELD]
    assert life.case().state is CaseState.QUEUED


def test_cap_of_nothing_grants_nothing() -> None:
    assert met_by(granting(daily_cap=0)).lines()[1].reason == "daily_cap"


def test_audit_share_goes_to_people_drawn_by_the_case_and_takes_nothing_of_the_cap() -> None:
    life = met_by(granting(audit_share=1.0))
    assert [(line.kind, line.reason) for line in life.lines()[1:]] == [(CaseEventKind.GRANT_WITHHELD, "audit_sample")]
    assert life.case_count() == 1
    assert life.spent == {}
    drawn = [
        n for n in range(300) if ids.fraction(f"audit\x1fwrong detector\x1f{ids.case_id(AppealId(f'a-{n}'))}", 0) < 0.3
    ]
    book = a_rulebook(second_review=None, evidence=[], automation=[granting(audit_share=0.3)])
    for n in range(40):
        one = after(an_enforcement(), an_appeal(appeal_id=f"a-{n}"), rulebook=book)
        assert (one.case_count() == 1) is (n in drawn)
    assert 60 < len(drawn) < 120


# --- routed -----------------------------------------------------------------------------------------------------


def test_rule_sends_a_case_to_its_pod_where_people_decide() -> None:
    life = met_by(routing())
    [((topic, _), case)] = life.on_pods().items()
    assert (topic, case.state) == ("cases.payments", CaseState.QUEUED)
    assert (case.routing.rule, case.routing.because) == ("to them", "automation rule to them")
    assert life.kinds() == [CaseEventKind.CASE_OPENED]


def test_overrides_come_before_rules_that_route() -> None:
    life = met_by(routing(), appeal={"flags": [AppealFlag.CHILD_SAFETY]})
    assert (life.case().pod, life.case().rule) == ("child-safety", "child safety")


def test_rule_sends_no_case_where_nobody_independent_or_nobody_who_reads_it_is() -> None:
    pods = [{"name": "general"}, {"name": "few", "reviewers": ["r-9"]}, {"name": "french", "languages": ["fr"]}]
    small = {"pods": pods, "routing": [{"name": "default", "pod": "general"}], "overrides": []}
    review = {"lease": "30min", "deadline": "28d"}
    for pod, reached in (("few", True), ("french", False)):
        assert (met_by(routing(pod), review=review, **small).case().pod == pod) is reached
    book = a_rulebook(automation=[routing("few")], second_review=None, review=review, **small)
    life = after(an_enforcement(decided_by="r-9"), an_appeal(), rulebook=book)
    assert life.case().pod == "general"
    assert met_by(routing("french"), appeal={"language": "fr-CA"}, review=review, **small).case().pod == "french"


# --- no rule can deny -------------------------------------------------------------------------------------------


def _types(annotation: Any) -> set[Any]:
    found = {annotation}
    for inner in get_args(annotation):
        found |= _types(inner)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        for field in annotation.model_fields.values():
            found |= _types(field.annotation)
    return found


def test_rule_has_no_field_that_could_hold_an_outcome() -> None:
    types = _types(AutomationRule)
    assert Action in types, "the search finds nothing at all"
    assert Outcome not in types
    assert DismissalReason not in types
    assert set(get_args(AutomationRule.model_fields["do"].annotation)) == {"grant", "route"}
    assert set(AutomationRule.model_fields) == {
        "name",
        "when",
        "wrongfulness_at_least",
        "do",
        "pod",
        "daily_cap",
        "audit_share",
    }


def _attributes(path: Path, of: str) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == of
    }


def test_only_outcome_that_automation_knows_is_granting() -> None:
    folder = Path(processors.__file__).parent
    assert _attributes(folder / "automation.py", "Outcome") == {"OVERTURNED"}
    assert _attributes(folder / "automation.py", "Move") == {"GRANT"}
    others = [p.name for p in folder.glob("*.py") if "GRANT" in _attributes(p, "Move")]
    assert sorted(others) == ["automation.py", "lifecycle.py"]


_rule = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["one", "two", "upheld", "deny", "dismissed"]),
        "when": st.fixed_dictionaries(
            {},
            optional={
                "policies": st.lists(st.sampled_from(["counterfeit", "fees"]), max_size=2),
                "actions": st.lists(st.sampled_from(["suspension", "fee", "ban"]), max_size=3),
                "flags": st.lists(st.sampled_from(["minor", "legal_order"]), max_size=2),
                "bands": st.lists(st.sampled_from(["P0", "P2", "P3", "P4"]), max_size=4),
                "amount_at_least": st.sampled_from([0, 1, 1000]),
            },
        ),
        "do": st.sampled_from(["grant", "grant", "route", "route", "deny", "uphold", "dismiss"]),
    },
    optional={
        "wrongfulness_at_least": st.floats(0, 1),
        "pod": st.sampled_from(["general", "legal", "lead"]),
        "daily_cap": st.integers(0, 3),
        "audit_share": st.sampled_from([0.0, 0.5, 1.0]),
        "outcome": st.sampled_from(["upheld", "dismissed"]),
    },
)


@given(rules=st.lists(_rule, min_size=1, max_size=3), flag=st.sampled_from([None, "minor", "legal_order"]))
@settings(max_examples=250, deadline=None)
def test_whatever_rules_a_rulebook_has_none_of_them_denies_an_appeal(
    rules: list[dict[str, Any]], flag: str | None
) -> None:
    wrong = any(rule["do"] not in ("grant", "route") or "outcome" in rule for rule in rules)
    for rule in rules:  # what does not fit is left out, so that more of them are rulebooks
        for field in {"grant": ["pod"], "route": ["daily_cap", "audit_share"]}.get(rule["do"], []):
            rule.pop(field, None)
    try:
        book = a_rulebook(automation=rules)
    except ValidationError:
        assume(wrong)
        return
    assert not wrong, "a rule with another word than grant or route is no rule"
    life = Life(rulebook=book)
    flags = [] if flag is None else [AppealFlag(flag)]
    events: list[InputRecord] = [
        an_enforcement(),
        an_appeal(flags=flags),
        an_enforcement(enforcement_id=EnforcementId("e-2"), action=Action.FEE, policy="fees"),
        an_appeal(appeal_id="a-2", enforcement_id=EnforcementId("e-2")),
        an_amendment(),
        an_appeal(at=T0 + 2 * HOUR, appeal_id="a-3", flags=flags),
        a_withdrawal(at=T0 + 3 * HOUR, appeal_id="a-2"),
    ]
    for event in events:
        life.send(event)
    life.wait_until(T0 + 90 * DAY)
    check_all(life, {"a-1", "a-2", "a-3"})
    for line in life.lines(CaseEventKind.CASE_DECIDED):
        if line.actor is None:
            assert line.outcome in (Outcome.WITHDRAWN, Outcome.MOOT)
        else:
            assert line.actor.startswith("rule:")
            assert line.outcome is Outcome.OVERTURNED


@pytest.mark.parametrize("word", ["deny", "uphold", "dismiss", "overturn", ""])
def test_there_is_no_word_for_denying(word: str) -> None:
    with pytest.raises(ValidationError, match="'grant' or 'route'"):
        AutomationRule.model_validate(granting(do=word))
