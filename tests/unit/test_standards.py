"""What a decision must rest on: by action and policy, so many pieces, of these kinds, from them, for these outcomes."""

from typing import Any

import pytest

from processors.reasons import ReviewRefusal
from processors.rulebook import Rulebook
from processors.standards import waived
from schemas.records import Evidence
from schemas.vocabulary import Action, CaseEventKind, Category, EvidenceKind, EvidenceSupplier, Outcome
from tests.unit.builders import (
    DAY,
    MINUTE,
    Life,
    a_claim,
    a_decision,
    a_rulebook,
    a_supply,
    after,
    an_amendment,
    an_appeal,
    an_enforcement,
    some_evidence,
)
from tests.unit.lives import T1, claimed

NOTICE, ORDER, LICENCE, SHOT = (
    EvidenceKind.NOTICE,
    EvidenceKind.COURT_ORDER,
    EvidenceKind.LICENCE,
    EvidenceKind.SCREENSHOT,
)


def held_to(*needs: dict[str, Any], when: dict[str, Any] | None = None) -> Rulebook:
    """A rulebook with this one standard, for every case unless `when` says for which."""
    standard = {"name": "the standard", "when": when or {}, "needs": list(needs)}
    return a_rulebook(second_review=None, evidence=[standard], automation=[])


def need(*kinds: EvidenceKind, outcomes: tuple[Outcome, ...] = (Outcome.UPHELD,), **change: Any) -> dict[str, Any]:
    return {"kinds": list(kinds), "outcomes": list(outcomes), **change}


def judged(
    rulebook: Rulebook,
    *on_file: Evidence,
    cited: list[str],
    outcome: Outcome = Outcome.UPHELD,
    of_appellant: tuple[Evidence, ...] = (),
) -> str | None:
    """What is missing for this decision; None: it stands."""
    life = after(an_enforcement(evidence=list(on_file)), an_appeal(evidence=list(of_appellant)), rulebook=rulebook)
    life.send(a_claim(T1, version=life.version()))
    life.send(a_decision(T1 + 1, outcome, version=life.version(), cited=cited))
    line = life.lines()[-1] if life.case_count() else None
    if line is None:
        return None
    assert line.reason == ReviewRefusal.EVIDENCE_MISSING
    return line.saw["detail"]


STANDARDS = [
    {
        "name": "takedowns",
        "when": {"categories": ["STATEMENT_CATEGORY_SCAMS_AND_FRAUD"], "actions": ["content_removal"]},
        "needs": [{"kinds": ["notice"]}],
    },
    {"name": "fakes", "when": {"policies": ["counterfeit"]}, "needs": [{"kinds": ["licence"]}]},
    {"name": "removals", "when": {"actions": ["content_removal", "ban"]}, "needs": [{"kinds": ["video"]}]},
]


@pytest.mark.parametrize(
    ("action", "policy", "standard"),
    [
        (Action.CONTENT_REMOVAL, "counterfeit", "takedowns"),  # the first of three that hold
        (Action.BAN, "counterfeit", "fakes"),  # the first of two
        (Action.BAN, "fees", "removals"),
        (Action.FEE, "fees", ""),
    ],
)
def test_first_standard_whose_conditions_hold_is_the_cases(action: Action, policy: str, standard: str) -> None:
    book = a_rulebook(second_review=None, evidence=STANDARDS, automation=[])
    life = after(an_enforcement(action=action, policy=policy), an_appeal(), rulebook=book)
    assert life.case().standard == standard
    assert len(life.published()[-1].standard) == bool(standard)


def test_case_with_another_charge_gets_another_standard() -> None:
    book = a_rulebook(second_review=None, evidence=STANDARDS, automation=[])
    life = after(
        an_enforcement(action=Action.BAN), an_appeal(), an_amendment(action=Action.BAN, policy="fees"), rulebook=book
    )
    assert life.case().standard == "removals"


def test_without_a_standard_nothing_need_be_cited() -> None:
    assert judged(held_to(need(NOTICE), when={"policies": ["other"]}), cited=[]) is None


def test_decision_says_which_standard_it_met() -> None:
    life = claimed(held_to(need(SHOT)))
    life.send(a_decision(T1 + 1, Outcome.UPHELD, cited=["x-1"]))
    assert life.lines(CaseEventKind.CASE_DECIDED)[0].saw["standard"] == "the standard"


def test_what_is_missing_is_named_in_the_rejection() -> None:
    book = held_to(
        need(NOTICE, ORDER, at_least=2, supplier="enforcement"),
        need(LICENCE),
        need(SHOT),
    )
    found = judged(book, some_evidence("x-1"), some_evidence("n-1", NOTICE), cited=["x-1", "n-1"])
    assert found == "1 more of court_order|notice from enforcement; 1 more of licence"


def test_evidence_on_the_case_does_not_count_until_it_is_cited() -> None:
    book = held_to(need(SHOT))
    assert judged(book, some_evidence("x-1"), cited=[]) == "1 more of screenshot"
    assert judged(book, some_evidence("x-1"), cited=["x-1"]) is None


def test_one_piece_that_is_cited_twice_is_one() -> None:
    pieces = (some_evidence("x-1"), some_evidence("x-2"))
    book = held_to(need(SHOT, at_least=2))
    assert judged(book, *pieces, cited=["x-1", "x-1"]) == "1 more of screenshot"
    assert judged(book, *pieces, cited=["x-1", "x-2"]) is None


def test_any_of_the_kinds_will_do() -> None:
    book = held_to(need(NOTICE, ORDER))
    for kind in (NOTICE, ORDER):
        assert judged(book, some_evidence("n-1", kind), cited=["n-1"]) is None
    assert judged(book, some_evidence("n-1", SHOT), cited=["n-1"]) == "1 more of court_order|notice"


def test_it_must_come_from_whom_the_standard_says() -> None:
    book = held_to(need(LICENCE, supplier="enforcement"))
    theirs, ours = some_evidence("a-1", LICENCE), some_evidence("e-1", LICENCE)
    assert judged(book, ours, cited=["e-1"]) is None
    assert judged(book, cited=["a-1"], of_appellant=(theirs,)) == "1 more of licence from enforcement"


def test_what_the_sender_says_of_the_supplier_is_not_looked_at() -> None:
    lie = Evidence(evidence_id="a-1", kind=LICENCE, ref="s3://x", supplied_by=EvidenceSupplier.ENFORCEMENT)
    book = held_to(need(LICENCE, supplier="enforcement"))
    assert judged(book, cited=["a-1"], of_appellant=(lie,)) == "1 more of licence from enforcement"


def test_standard_binds_only_the_outcomes_that_it_names() -> None:
    book = held_to(need(NOTICE, outcomes=(Outcome.UPHELD, Outcome.UPHELD_GROUND_CHANGED)))
    assert judged(book, cited=[]) == "1 more of notice"
    assert judged(book, cited=[], outcome=Outcome.OVERTURNED) is None


# --- the standard as reviewer tools see it ----------------------------------------------------------------------


def test_case_shows_its_standard_and_how_far_it_is_met() -> None:
    book = held_to(need(SHOT, at_least=2), need(LICENCE, supplier="appellant", outcomes=(Outcome.OVERTURNED,)))
    life = claimed(book)
    shots, licence = life.published()[-1].standard
    assert (shots.kinds, shots.at_least, shots.supplier, shots.outcomes) == ([SHOT], 2, None, [Outcome.UPHELD])
    assert (licence.supplier, licence.outcomes) == (EvidenceSupplier.APPELLANT, [Outcome.OVERTURNED])
    assert (shots.met, licence.met, licence.waived) == (False, False, False)
    life.send(a_supply(T1 + 1, some_evidence("y-1"), some_evidence("y-2", LICENCE)))
    assert [line.met for line in life.published()[-1].standard] == [True, True]


# --- waived -----------------------------------------------------------------------------------------------------


def asked_in_vain(rulebook: Rulebook) -> Life:
    """The appellant was asked at intake, gave nothing, and a reviewer has claimed the case a week later."""
    life = after(an_enforcement(), an_appeal(), rulebook=rulebook)
    life.wait_until(life.now + 7 * DAY)
    assert life.kinds()[-1] is CaseEventKind.EVIDENCE_OVERDUE
    life.send(a_claim(life.now + MINUTE, version=life.version()))
    return life


def test_what_the_appellant_was_asked_for_in_vain_is_waived() -> None:
    both = (Outcome.UPHELD, Outcome.OVERTURNED)
    life = asked_in_vain(held_to(need(LICENCE, supplier="appellant", outcomes=both, ask=True)))
    assert life.published()[-1].standard[0].waived
    life.send(a_decision(life.now + 1, Outcome.UPHELD, version=life.version()))
    [line] = life.lines(CaseEventKind.CASE_DECIDED)
    assert line.saw["waived_evidence"] == "licence"


def test_what_the_enforcing_side_must_show_is_never_waived() -> None:
    book = held_to(
        need(LICENCE, supplier="appellant", ask=True),
        need(LICENCE, supplier="enforcement"),
        need(LICENCE),
    )
    life = asked_in_vain(book)
    assert [line.waived for line in life.published()[-1].standard] == [True, False, False]
    life.send(a_decision(life.now + 1, Outcome.UPHELD, version=life.version()))
    assert life.lines()[-1].saw["detail"] == "1 more of licence from enforcement; 1 more of licence"


def test_who_was_asked_for_one_kind_only_was_not_asked_for_the_other() -> None:
    book = held_to(need(LICENCE, ORDER, supplier="appellant"))
    life = after(an_enforcement(), an_appeal(), rulebook=book)
    [of_two] = book.tables.review.standards[0].needs
    case = life.case()
    for asked, is_waived in (
        ([], False),
        ([LICENCE], False),
        ([ORDER], False),
        ([LICENCE, ORDER], True),
        ([SHOT], False),
    ):
        case.waived = asked
        assert waived(case, of_two) is is_waived


def test_standard_that_a_newer_rulebook_dropped_binds_nobody() -> None:
    life = claimed(held_to(need(NOTICE)))
    life.rulebook = a_rulebook(second_review=None, evidence=[], automation=[])
    life.send(a_decision(T1 + 1, Outcome.UPHELD))
    assert life.case_count() == 0


def test_packaged_standards_ask_only_appellants_and_let_every_appeal_be_granted_on_what_the_appellant_has() -> None:
    book = a_rulebook()
    for standard in book.tables.review.standards:
        for line in standard.needs:
            if Outcome.OVERTURNED in line.outcomes:
                assert line.supplier is EvidenceSupplier.APPELLANT, standard.name
            assert not line.ask or line.supplier is EvidenceSupplier.APPELLANT


def test_packaged_takedowns_need_a_notice_to_be_upheld() -> None:
    ip = Category.STATEMENT_CATEGORY_INTELLECTUAL_PROPERTY_INFRINGEMENTS
    life = after(an_enforcement(category=ip, action=Action.CONTENT_REMOVAL), an_appeal(), rulebook=a_rulebook())
    life.send(a_claim(T1))
    life.send(a_decision(T1 + 1, Outcome.UPHELD))
    assert life.lines()[-1].saw["detail"] == "1 more of court_order|notice from enforcement"
