"""What was struck wrongly is spared from the moment it was found so, however often it is found again."""

from typing import Any

from schemas.records import EnforcementId, InputRecord, Target
from schemas.vocabulary import Action, CaseEventKind, TargetKind
from tests.unit.builders import DAY, HOUR, T0, Life, a_claim, a_decision, after, an_appeal, an_enforcement

LISTING = Target(kind=TargetKind.LISTING, id="l-1", content_hash="h-1")


def a_strike(enforcement_id: str, at: int, **change: Any) -> InputRecord:
    about = {"enforcement_id": EnforcementId(enforcement_id), "action": Action.CONTENT_REMOVAL, "target": LISTING}
    return an_enforcement(at, **about, **change)


def overturn(life: Life, enforcement_id: str, at: int) -> None:
    """Appealed against and overturned, by somebody who has judged nothing yet."""
    appeal_id = f"a-{enforcement_id}"
    life.send(an_appeal(at, appeal_id=appeal_id, enforcement_id=EnforcementId(enforcement_id)))
    life.send(a_claim(at, actor=f"r-{enforcement_id}", appeal_id=appeal_id))
    life.send(a_decision(at, actor=f"r-{enforcement_id}", appeal_id=appeal_id))


def breaches(life: Life) -> list[str | None]:
    return [line.enforcement_id for line in life.lines(CaseEventKind.IMMUNITY_BREACHED)]


def test_strike_before_the_immunity_is_no_breach_and_one_after_it_is() -> None:
    life = after(a_strike("e-1", T0))
    overturn(life, "e-1", T0 + DAY)
    life.send(a_strike("late", T0 + HOUR))
    life.send(a_strike("again", T0 + 2 * DAY))
    assert breaches(life) == ["again"]


def test_strike_between_two_immunities_is_a_breach_though_it_is_heard_of_after_the_second() -> None:
    life = after(a_strike("e-1", T0), a_strike("e-2", T0))
    overturn(life, "e-1", T0 + DAY)
    overturn(life, "e-2", T0 + 3 * DAY)
    life.send(a_strike("late", T0 + 2 * DAY))
    assert breaches(life) == ["late"]
