"""What followed from a case is told with it: consequences, immunity, remands, help by operators."""

import io
import re
from typing import Any

import pytest
from rich.console import Console

from processors import ids
from processors.outbox import RESOLUTIONS
from schemas.records import DirectiveResolved, EnforcementId, Millis, ReversalConfirmed, ReversalOrdered, ReviewerId
from schemas.vocabulary import AckStatus, Action, CaseEventKind, EffectKind, Outcome
from tests.unit.builders import (
    DAY,
    HOUR,
    T0,
    USER,
    Life,
    a_claim,
    a_decision,
    after,
    an_ack,
    an_appeal,
    an_effect,
    an_enforcement,
    case_of,
)
from topology.audit.show import show_story
from topology.audit.story import Story, lines_about

Kind = CaseEventKind
STRIKES = {"strikes": 1, "effects": [an_effect(), an_effect(EffectKind.STRIKES)]}


def overturned(*more: Any) -> Life:
    """One enforcement, what else there is, and the decision that the first was wrong."""
    life = after(an_enforcement(**STRIKES), *more, an_appeal())
    life.send(a_claim(T0 + 2 * HOUR))
    life.send(a_decision(T0 + 2 * HOUR))
    return life


def told(life: Life, wanted: str = "a-1") -> tuple[Story, str]:
    story = Story(USER, lines_about(wanted, life.lines()))
    records = [
        e.record
        for e in life.out
        if e.topic == RESOLUTIONS
        and isinstance(e.record, ReversalOrdered | ReversalConfirmed)
        and e.record.case_id in story.reversed_for
    ]
    story = Story(USER, story.lines, records)
    console = Console(file=io.StringIO(), record=True, width=300)
    show_story(story, console)
    return story, console.export_text()


def a_ban(**change: Any):
    return an_enforcement(
        T0 + 1,
        **{"enforcement_id": EnforcementId("e-ban"), "action": Action.BAN, "caused_by": EnforcementId("e-1"), **change},
    )


def test_consequence_is_told_with_its_own_reversal() -> None:
    life = overturned(a_ban())
    judged = life.lines(Kind.CONSEQUENCE_JUDGED)[0]
    story, text = told(life)
    assert judged in story.lines
    assert len(story.lives()) == 2
    assert [line.kind for line in story.lines].count(Kind.REVERSAL_ORDERED) == 2
    assert re.search(rf"Consequence .*: enforcement e-ban, .*: lifted, so reversal {judged.saw['reversal_id']}", text)
    assert f"cause    cascade of {judged.saw['caused_by']}" in text


def test_case_of_a_consequence_is_not_taken_for_the_case_itself() -> None:
    life = overturned(a_ban(), an_appeal(appeal_id="a-ban", enforcement_id=EnforcementId("e-ban")))
    story, text = told(life)
    assert story.case_ids == [case_of("a-1")]
    assert story.enforcement_ids == ["e-1"]
    assert f"case         {case_of('a-1')}\n" in text
    own, _ = told(life, "a-ban")
    assert own.case_ids == [case_of("a-ban")]
    assert [life.order.enforcement_id for life in own.lives()] == ["e-ban"]


def test_consequence_that_people_must_look_at_names_the_case_in_which_they_do() -> None:
    life = overturned(a_ban(action=Action.REDUCED_DISCOVERABILITY))
    [opened] = life.lines(Kind.INTERNAL_CASE_OPENED)
    story, text = told(life)
    assert story.case_ids == [case_of("a-1")]
    assert re.search(rf"Consequence .*e-ban.* so internal case {opened.case_id} with {opened.pod}", text)
    assert told(life, opened.case_id or "")[0].case_ids == [opened.case_id]


def test_immunity_is_told_with_its_end() -> None:
    _, text = told(overturned())
    assert re.search(r"ImmunityGranted .*: against counterfeit by detector fake-finder until \d+ \(20", text)


def test_remand_and_its_answer_are_told() -> None:
    life = after(an_enforcement(), an_appeal())
    life.send(a_claim(T0 + 2 * HOUR))
    life.send(a_decision(T0 + 2 * HOUR, outcome=Outcome.REMANDED, guidance_ref="s3://guidance/1"))
    _, text = told(life)
    assert re.search(
        r"EnforcementRemanded .*: e-1 went back with the guidance s3://guidance/1, to be answered by", text
    )
    life.wait_until(T0 + 90 * DAY)
    _, text = told(life)
    assert "the enforcing side has not answered about e-1" in text
    assert re.search(r"InternalCaseOpened .*, because of the remand", text)


def test_stall_and_help_are_told() -> None:
    life = overturned()
    order = life.orders()[0]
    life.send(an_ack(order, status=AckStatus.FAILED_PERMANENT))
    _, text = told(life)
    assert "stalled since" in text
    life.send(
        DirectiveResolved(
            event_id="ev-1",
            user_id=USER,
            reversal_id=order.reversal_id,
            directive_id=order.directives[0].directive_id,
            actor=ReviewerId("ops-1"),
            occurred_at=Millis(T0 + 3 * HOUR),
            reason="seen in the shop",
        )
    )
    _, text = told(life)
    assert re.search(r"resolved by hand: ops-1 .*seen in the shop", text)
    assert "needed people" in text


def test_superseded_directive_is_told_with_what_took_its_place() -> None:
    life = overturned()
    life.send(an_enforcement(T0 + 3 * HOUR, enforcement_id=EnforcementId("e-2"), ends_at=Millis(T0 + 9 * DAY)))
    _, text = told(life)
    newest = life.orders()[-1].directives[0]
    assert f"superseded by {newest.directive_id}" in text
    assert f"{newest.directive_id} afterwards: on account u-1 exactly: suspension everywhere until" in text
    assert ids.reversal_id(case_of("a-1")) in text


@pytest.mark.parametrize("wanted", ["a-1", case_of("a-1")])
def test_what_followed_is_found_by_either_id(wanted: str) -> None:
    life = overturned(a_ban())
    assert Kind.CONSEQUENCE_JUDGED in [line.kind for line in lines_about(wanted, life.lines())]
