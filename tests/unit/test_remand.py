"""Sent back to the enforcing side: answered by a new version or a lifting, else the lead pod decides."""

import pytest

from processors.reasons import RemandAnswer
from schemas.records import CaseEvent, EnforcementRemanded
from schemas.vocabulary import CaseEventKind, CaseOrigin, NoticeKind, Outcome
from tests.unit.builders import HOUR, RULEBOOK, T0, Life, a_lift, a_rulebook, an_amendment, an_appeal, decided

TIME = RULEBOOK.tables.remand_ms


def remanded() -> Life:
    from tests.unit.builders import MINUTE, a_claim, a_decision, after, an_enforcement  # noqa: PLC0415

    life = after(an_enforcement(), an_appeal(), rulebook=a_rulebook(second_review=None, evidence=[], automation=[]))
    life.send(a_claim(T0 + HOUR + MINUTE))
    life.send(a_decision(T0 + HOUR + MINUTE, Outcome.REMANDED, guidance_ref="s3://guidance/7"))
    return life


def last(life: Life) -> CaseEvent:
    return life.lines()[-1]


def test_enforcing_side_is_told_what_to_look_at_and_by_when() -> None:
    life = remanded()
    [record] = [e.record for e in life.out if isinstance(e.record, EnforcementRemanded)]
    assert (record.guidance_ref, record.answer_by) == ("s3://guidance/7", life.now + TIME)
    assert life.kinds()[-3:] == [
        CaseEventKind.CASE_DECIDED,
        CaseEventKind.ENFORCEMENT_REMANDED,
        CaseEventKind.CASE_CLOSED,
    ]
    assert life.notices()[-1].template == "case.decided.remanded"
    assert life.orders() == []


@pytest.mark.parametrize(
    ("answer", "how"),
    [(an_amendment(at=T0 + 2 * HOUR), RemandAnswer.AMENDED), (a_lift(at=T0 + 2 * HOUR), RemandAnswer.LIFTED)],
)
def test_new_version_or_a_lifting_answers_the_remand_and_nothing_comes_due(answer: object, how: RemandAnswer) -> None:
    life = remanded()
    life.send(answer)  # type: ignore[arg-type]
    assert (last(life).kind, last(life).reason) == (CaseEventKind.REMAND_ANSWERED, how)
    assert life.dossier.due is None


def test_new_version_can_be_appealed_against() -> None:
    life = remanded()
    life.send(an_amendment(at=T0 + 2 * HOUR))
    life.send(an_appeal(T0 + 3 * HOUR, appeal_id="a-2"))
    assert life.case("a-2").enforcement_id == "e-1"


def test_unanswered_remand_goes_to_the_lead_pod() -> None:
    life = remanded()
    life.wait_until(life.now + TIME)
    assert CaseEventKind.REMAND_OVERDUE in life.kinds()
    [case] = life.dossier.cases.values()
    assert (case.pod, case.origin) == ("lead", CaseOrigin.REMAND)
    assert {topic for topic, _ in life.on_pods()} == {"cases.lead"}
    assert [n.template for n in life.notices(NoticeKind.REEXAMINED)] == ["case.reexamined.remand"]


def test_remand_says_nothing_for_or_against_user_and_detector() -> None:
    life = remanded()
    assert (life.dossier.counts.overturned, life.dossier.counts.upheld, life.dossier.tallies) == (0, 0, {})


def test_remand_of_what_ended_meanwhile_needs_nobody() -> None:
    life = remanded()
    e = next(iter(life.dossier.enforcements.values()))
    e.ends_at = life.now + 1  # type: ignore[assignment]
    life.wait_until(life.now + TIME)
    assert life.dossier.cases == {}


def test_overturned_case_is_no_remand() -> None:
    assert decided().dossier.remands == {}
