"""What of a user's audit belongs to one case, how it is shown, and that the page about it tells the truth."""

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from schemas.records import CaseEvent, EnforcementId, ReviewerId
from schemas.vocabulary import CaseEventKind, Outcome
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
    an_enforcement,
    case_of,
    decided,
)
from topology.audit.show import show_story
from topology.audit.story import Story, lines_about

PAGE = Path(__file__).parents[2] / "docs" / "audit.md"
Kind = CaseEventKind


def two_cases() -> Life:
    """One that is overturned, one that stays open, both of one user."""
    life = after(
        an_enforcement(),
        an_enforcement(enforcement_id=EnforcementId("e-2")),
        an_appeal(),
        an_appeal(appeal_id="a-2", enforcement_id=EnforcementId("e-2")),
    )
    life.send(a_claim(T0 + 2 * HOUR))
    life.send(a_decision(T0 + 2 * HOUR))
    return life


def kinds(lines: list[CaseEvent]) -> list[CaseEventKind]:
    return [line.kind for line in lines]


def test_life_of_a_case_has_no_line_of_the_users_other_cases() -> None:
    life = two_cases()
    told = lines_about("a-1", life.lines())
    assert told == lines_about(case_of("a-1"), life.lines())
    assert kinds(told) == [
        Kind.CASE_OPENED,
        Kind.CASE_CLAIMED,
        Kind.CASE_DECIDED,
        Kind.REVERSAL_ORDERED,
        Kind.IMMUNITY_GRANTED,
    ]
    assert kinds(lines_about("a-2", life.lines())) == [Kind.CASE_OPENED]


def test_life_of_a_case_begins_with_the_wait_for_its_enforcement() -> None:
    life = after(an_appeal(T0), an_enforcement(T0 + HOUR))
    assert kinds(lines_about(case_of("a-1"), life.lines())) == [Kind.APPEAL_PARKED, Kind.CASE_OPENED]


def test_appeal_that_was_added_to_a_case_leads_to_that_case() -> None:
    life = after(an_enforcement(), an_appeal(), an_appeal(appeal_id="a-2"))
    told = lines_about("a-2", life.lines())
    assert kinds(told) == [Kind.CASE_OPENED, Kind.APPEAL_REFUSED, Kind.STATEMENT_ADDED]
    assert Story(USER, told).appeal_ids == ["a-1", "a-2"]


def test_appeal_that_became_no_case_has_a_life_too() -> None:
    life = after(an_enforcement(), an_appeal(statement_ref=None, grounds=[]), an_appeal(appeal_id="a-2"))
    told = lines_about("a-1", life.lines())
    assert kinds(told) == [Kind.APPEAL_REFUSED]
    assert Story(USER, told).case_ids == []


def test_answer_to_a_reversal_that_is_over_belongs_to_its_case() -> None:
    life = decided(Outcome.OVERTURNED)
    order = life.orders()[0]
    life.send(an_ack(order))
    life.send(an_ack(order))
    assert kinds(lines_about("a-1", life.lines()))[-1] is Kind.ACK_IGNORED


def shown(story: Story) -> str:
    console = Console(file=io.StringIO(), record=True, width=300)
    show_story(story, console)
    return console.export_text()


def test_whole_life_is_shown_with_what_was_seen_and_what_was_undone() -> None:
    life = decided(Outcome.OVERTURNED)
    [order] = life.orders()
    life.send(an_ack(order))
    text = shown(Story(USER, life.lines(), [*life.orders(), *life.confirmations()]))
    assert re.search(r"2025-10-09 10:54:20.000 │ 3 +│ CaseDecided +│ r-1 .*│ P3 +│ overturned", text)
    assert "detector=fake-finder" in text
    assert f"submitted_at={T0 + HOUR} (2025-10-09 09:53:20.000)" in text
    assert re.search(rf"{order.directives[0].directive_id} .*restore .*account u-1 .*applied", text)
    assert f"Reversal {order.reversal_id} confirmed" in text


def test_reversal_that_nobody_answered_and_case_that_is_open_say_so() -> None:
    life = two_cases()
    text = shown(Story(USER, life.lines(), [*life.orders()], life.published()[1]))
    assert "none yet" in text
    assert re.search(r"claim +│ none", text)
    assert re.search(r"severity +│ \d+ of \d+: suspension", text)


def test_what_others_wrote_is_never_read_as_markup() -> None:
    life = after(an_enforcement(), an_appeal())
    life.send(a_claim(T0 + DAY, actor=ReviewerId("[red]r-1[/nonsense]")))
    assert "[red]r-1[/nonsense]" in shown(Story("[bold]u", life.lines()))
    assert "[bold]u" in shown(Story("[bold]u", life.lines()))


def example() -> str:
    [code] = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return code


def test_example_of_the_page_verifies_with_nothing_but_json_and_a_hash() -> None:
    found: dict[str, object] = {}
    exec(example(), found)  # noqa: S102 - our own page
    assert found["before"]
    assert set(re.findall(r"^import (\w+)", example(), re.MULTILINE)) == {"hashlib", "json"}


@pytest.mark.parametrize(("one", "other"), [("queued", "closed"), ('"seq":1', '"seq":7')])
def test_example_of_the_page_fails_on_a_line_that_was_altered(one: str, other: str) -> None:
    with pytest.raises(AssertionError):
        exec(example().replace(one, other, 1), {})  # noqa: S102
