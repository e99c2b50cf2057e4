"""A user can make little grow, and nothing without end."""

from processors.fold import encode_dossier
from processors.growth import (
    FULL_ENFORCEMENTS,
    MAX_ANSWERED,
    MAX_DECIDED,
    MAX_ENFORCEMENTS,
    MAX_EXHIBITS,
    MAX_IMMUNITIES,
    MAX_TALLIES,
)
from schemas.records import Detector, EnforcementId, Target, UserId
from schemas.vocabulary import Action, CaseEventKind, Outcome, TargetKind
from tests.unit.builders import (
    DAY,
    HOUR,
    T0,
    Life,
    a_claim,
    a_decision,
    a_withdrawal,
    after,
    an_ack,
    an_appeal,
    an_enforcement,
    some_evidence,
)


def listing(number: int) -> Target:
    return Target(kind=TargetKind.LISTING, id=f"l-{number}", content_hash=f"h-{number}")


def many_enforcements(count: int, every: int = DAY) -> Life:
    life = Life()
    for number in range(count):
        key = EnforcementId(f"e-{number}")
        life.send(an_enforcement(at=T0 + number * every, enforcement_id=key, target=listing(number)))
    return life


def test_enforcements_past_appeal_are_filed_away_and_still_survive() -> None:
    life = many_enforcements(320)
    first, last = (life.dossier.enforcements[EnforcementId(key)] for key in ("e-0", "e-319"))
    assert first.filed
    assert first.effects == []
    assert first.target_id == "l-0"
    assert not last.filed
    late = EnforcementId("late")
    life.send(an_enforcement(at=life.now, enforcement_id=late, target=listing(0)))
    life.send(an_appeal(at=life.now, enforcement_id=late))
    life.send(a_claim(life.now))
    life.send(a_decision(life.now))
    assert [s.enforcement_id for s in life.orders()[0].directives[0].surviving] == ["e-0"]


def test_appeal_against_a_filed_enforcement_is_untimely() -> None:
    life = many_enforcements(320)
    life.send(an_appeal(at=life.now, enforcement_id=EnforcementId("e-0")))
    assert life.lines()[-1].reason == "untimely"


def test_few_enforcements_are_never_filed_away() -> None:
    life = many_enforcements(FULL_ENFORCEMENTS - 1, every=30 * DAY)
    assert not any(e.filed for e in life.dossier.enforcements.values())


def test_enforcements_are_bounded_and_those_with_a_case_stay() -> None:
    life = after(an_enforcement(), an_appeal())
    for number in range(3 * MAX_ENFORCEMENTS):
        key = EnforcementId(f"more-{number}")
        life.send(an_enforcement(at=T0 + HOUR + number, enforcement_id=key, action=Action.WARNING, effects=[]))
    assert len(life.dossier.enforcements) < MAX_ENFORCEMENTS + 32
    assert EnforcementId("e-1") in life.dossier.enforcements
    assert EnforcementId(f"more-{3 * MAX_ENFORCEMENTS - 1}") in life.dossier.enforcements
    assert len(encode_dossier(life.dossier)) < 500_000


def test_a_ban_is_not_forgotten_over_thousands_of_newer_enforcements() -> None:
    """It must still hold after any of the others is overturned."""
    account = Target(kind=TargetKind.ACCOUNT, id="u-1", content_hash=None)
    life = after(an_enforcement(action=Action.BAN, target=account, enforcement_id=EnforcementId("the-ban")))
    start = T0 + 365 * DAY
    for number in range(2 * MAX_ENFORCEMENTS):
        key = EnforcementId(f"e-{number}")
        life.send(an_enforcement(at=start + number, enforcement_id=key, target=listing(number)))
    life.send(an_appeal(at=life.now, enforcement_id=key))
    life.send(a_claim(life.now))
    life.send(a_decision(life.now))
    assert "the-ban" in [s.enforcement_id for s in life.orders()[-1].directives[0].surviving]
    assert len(life.dossier.enforcements) < MAX_ENFORCEMENTS + 32


def test_what_can_be_appealed_is_kept_before_what_is_past_it_and_strikes_before_what_has_none() -> None:
    life = Life()
    for number in range(MAX_ENFORCEMENTS):
        key = EnforcementId(f"old-{number}")
        strikes = number % 2
        life.send(an_enforcement(at=T0 + number, enforcement_id=key, target=listing(number), strikes=strikes))
    start = T0 + 365 * DAY
    for number in range(MAX_ENFORCEMENTS // 2 - 64):
        key = EnforcementId(f"new-{number}")
        life.send(an_enforcement(at=start + number, enforcement_id=key, target=listing(number)))
    kept = {str(key) for key in life.dossier.enforcements}
    assert {f"new-{n}" for n in range(MAX_ENFORCEMENTS // 2 - 64)} <= kept
    assert {f"old-{n}" for n in range(1, MAX_ENFORCEMENTS, 2)} - kept == set()


def test_answered_appeals_are_bounded() -> None:
    life = after(*(an_appeal(appeal_id=f"a-{n}", appellant_id=UserId("x")) for n in range(2 * MAX_ANSWERED)))
    assert len(life.dossier.answered) == MAX_ANSWERED
    assert life.dossier.counts.refused == 2 * MAX_ANSWERED


def test_decided_cases_immunities_and_tallies_are_bounded() -> None:
    life = Life()
    for number in range(MAX_DECIDED + 10):
        key, appeal_id, at = EnforcementId(f"e-{number}"), f"a-{number}", T0 + number
        detector = Detector(name=f"d-{number}", version="1")
        life.send(an_enforcement(at=at, enforcement_id=key, target=listing(number), detector=detector))
        life.send(an_appeal(at=at, appeal_id=appeal_id, enforcement_id=key))
        life.send(a_claim(at, appeal_id=appeal_id))
        life.send(a_decision(at, appeal_id=appeal_id))
        life.send(an_ack(life.orders()[-1]))
    dossier = life.dossier
    assert len(dossier.decided) == MAX_DECIDED
    assert len(dossier.immunities) == MAX_IMMUNITIES
    assert len(dossier.tallies) == MAX_TALLIES
    assert (dossier.cases, dossier.reversals) == ({}, {})
    assert dossier.counts.overturned == MAX_DECIDED + 10


def test_evidence_on_a_case_is_bounded_and_leaves_room_for_the_appellants() -> None:
    theirs = [some_evidence(f"e-{n}") for n in range(500)]
    own = [some_evidence(f"a-{n}") for n in range(500)]
    life = after(an_enforcement(evidence=theirs), an_appeal(evidence=own))
    found = [item.evidence_id for item in life.published()[0].evidence]
    assert len(found) == MAX_EXHIBITS
    assert "a-0" in found


def test_withdrawn_and_reopened_forever_stays_bounded() -> None:
    life = after(an_enforcement())
    for number in range(2 * MAX_DECIDED):
        life.send(an_appeal(appeal_id=f"a-{number}", at=T0 + number))
        life.send(a_withdrawal(appeal_id=f"a-{number}", at=T0 + number))
    assert len(life.dossier.decided) == MAX_DECIDED
    assert len(life.lines(CaseEventKind.CASE_DECIDED)) == 2 * MAX_DECIDED
    assert {line.outcome for line in life.lines(CaseEventKind.CASE_DECIDED)} == {Outcome.WITHDRAWN}
