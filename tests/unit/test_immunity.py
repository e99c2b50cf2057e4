"""The same detector does not strike the same thing for the same reason again; if it does, an appeal goes ahead."""

from typing import Any

import pytest

from schemas.records import Detector, EnforcementId, ImmunityGranted, InputRecord, Millis, Target
from schemas.vocabulary import Action, AppealFlag, Band, CaseEventKind, TargetKind
from tests.unit.builders import (
    HOUR,
    RULEBOOK,
    Life,
    a_rulebook,
    an_amendment,
    an_appeal,
    an_enforcement,
    decided,
)

LISTING = Target(kind=TargetKind.LISTING, id="l-1", content_hash="h")
TIME = RULEBOOK.tables.immunity_ms
NO_RULES = a_rulebook(automation=[])


def struck() -> Life:
    """A listing was removed wrongly, and the appeal won."""
    return decided(target=LISTING, action=Action.CONTENT_REMOVAL)


def again(life: Life, at: int | None = None, **change: Any) -> InputRecord:
    content = {"target": LISTING, "action": Action.CONTENT_REMOVAL, **change}
    return an_enforcement(life.now + HOUR if at is None else at, enforcement_id=EnforcementId("e-2"), **content)


def breaches(life: Life) -> list[str | None]:
    return [line.enforcement_id for line in life.lines(CaseEventKind.IMMUNITY_BREACHED)]


def test_systems_are_told_what_is_immune_for_whom_and_how_long() -> None:
    life = struck()
    [record] = [e.record for e in life.out if isinstance(e.record, ImmunityGranted)]
    assert (record.target, record.policy, record.detector) == (LISTING, "counterfeit", "fake-finder")
    assert (record.granted_at, record.until) == (life.now, life.now + TIME)


def test_strike_against_immunity_is_flagged_and_an_appeal_against_it_goes_ahead() -> None:
    life = struck()
    life.rulebook = NO_RULES
    life.send(again(life))
    assert breaches(life) == ["e-2"]
    assert life.counted["immunities_breached_total",] == 1
    life.send(an_appeal(life.now, appeal_id="a-2", enforcement_id=EnforcementId("e-2")))
    case = life.case("a-2")
    assert (case.flags, case.band) == ([AppealFlag.AGAINST_IMMUNITY], Band.P1)
    assert life.published()[-1].flags == [AppealFlag.AGAINST_IMMUNITY]


def test_flag_does_not_make_the_person_vulnerable() -> None:
    life = struck()
    life.rulebook = NO_RULES
    life.send(again(life))
    life.send(an_appeal(life.now, appeal_id="a-2", enforcement_id=EnforcementId("e-2")))
    part = next(part for part in life.case("a-2").parts if part.name == "vulnerability")
    assert (part.value, part.because) == (0.0, "none known")


@pytest.mark.parametrize(
    "change",
    [
        {"policy": "spam"},
        {"detector": Detector(name="another", version="1")},
        {"detector": None},
        {"target": Target(kind=TargetKind.LISTING, id="l-1", content_hash="other")},
    ],
    ids=["policy", "detector", "person", "content"],
)
def test_other_reasons_other_detectors_and_other_content_are_no_breach(change: dict[str, Any]) -> None:
    life = struck()
    life.send(again(life, **change))
    assert breaches(life) == []


def test_same_content_elsewhere_is_immune_too() -> None:
    life = struck()
    life.send(again(life, target=Target(kind=TargetKind.LISTING, id="l-2", content_hash="h")))
    assert breaches(life) == ["e-2"]


def test_newer_version_of_the_detector_is_the_same_detector() -> None:
    life = struck()
    life.send(again(life, detector=Detector(name="fake-finder", version="8")))
    assert breaches(life) == ["e-2"]


def test_immunity_ends() -> None:
    life = struck()
    life.send(again(life, at=life.now + TIME))
    assert breaches(life) == []


def test_what_was_done_before_the_system_was_told_is_no_breach_however_late_it_comes() -> None:
    life = struck()
    life.send(again(life, at=life.now - 1))
    assert breaches(life) == []


def test_new_version_of_the_overturned_enforcement_itself_is_no_breach() -> None:
    life = struck()
    life.send(an_amendment(at=life.now + HOUR, target=LISTING, action=Action.CONTENT_LABEL))
    assert breaches(life) == []


def test_sender_cannot_claim_the_flag() -> None:
    life = decided()
    life.send(an_enforcement(life.now, enforcement_id=EnforcementId("e-2"), policy="spam"))
    flags = [AppealFlag.AGAINST_IMMUNITY, AppealFlag.MINOR]
    life.send(an_appeal(life.now, appeal_id="a-2", enforcement_id=EnforcementId("e-2"), flags=flags))
    assert life.case("a-2").flags == [AppealFlag.MINOR]
    life.send(an_appeal(life.now, appeal_id="a-3", enforcement_id=EnforcementId("e-2"), flags=flags[:1]))
    assert life.case("a-2").flags == [AppealFlag.MINOR]


def test_overturned_again_the_immunity_starts_anew_and_is_not_kept_twice() -> None:
    life = struck()
    life.rulebook = a_rulebook(second_review=None, evidence=[])  # a rule grants what was struck wrongly before
    life.send(again(life))
    life.send(an_appeal(life.now, appeal_id="a-2", enforcement_id=EnforcementId("e-2")))
    assert [i.until for i in life.dossier.immunities] == [Millis(life.now + TIME)]
