"""A dossier that an earlier version stored is read, and its open case goes on as if it had been stored today."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from processors import codec
from processors.dossier import Dossier
from processors.fold import decode_dossier, encode_dossier, next_due
from processors.rulebook import Rulebook
from schemas.records import CaseId
from schemas.vocabulary import Action, CaseEventKind, CaseState, Outcome
from tests.unit.builders import (
    DAY,
    HOUR,
    MINUTE,
    PACKAGED_RULEBOOK,
    RULEBOOK,
    T0,
    Life,
    a_claim,
    a_confirmation,
    a_decision,
    a_hold,
    a_referral,
    a_release,
    a_resume,
    an_amendment,
    an_appeal,
    some_evidence,
)
from tests.unit.lives import LOOKED_AT, T1, claimed, opened

BEFORE_SECOND_REVIEW = Path(__file__).with_name("golden_dossier_before_second_review.hex")
NEW_SINCE_THEN = ("wa", "wn", "pm", "dw", "w", "ps", "pw", "hm", "sd", "rq", "wv", "pr", "tr", "ss", "bl", "rt", "gr")
NEW_SINCE_THEN += ("dp", "es")
"""Keys of an open case that the version before second review did not know."""


def golden() -> Dossier:
    return decode_dossier(bytes.fromhex(BEFORE_SECOND_REVIEW.read_text(encoding="ascii")))


def stored_before(life: Life, rulebook: Rulebook = RULEBOOK) -> Life:
    """The life as the version before second review would have stored it, read by this one."""
    raw: Any = msgspec.msgpack.decode(encode_dossier(life.dossier)[1:])
    for case in raw["c"].values():
        for key in NEW_SINCE_THEN:
            case.pop(key, None)
        case["ev"] = [exhibit[:4] for exhibit in case.get("ev", [])]
    for enforcement in raw["e"].values():
        enforcement["ev"] = [exhibit[:4] for exhibit in enforcement.get("ev", [])]
    dossier = decode_dossier(bytes([codec.FORMAT]) + msgspec.msgpack.encode(raw))
    return Life(rulebook=rulebook, now=life.now, dossier=dossier)


def test_golden_dossier_of_the_version_before_is_read_whole() -> None:
    dossier = golden()
    case = dossier.cases[CaseId("c-1")]
    assert (case.state, case.version, case.promised_at) == (CaseState.CLAIMED, 2, T0 + 4)
    assert (case.standard, case.requests, case.proposal, case.waiting) == ("", [], None, None)
    assert decode_dossier(encode_dossier(dossier)) == dossier


@pytest.mark.parametrize("rulebook", [RULEBOOK, PACKAGED_RULEBOOK, LOOKED_AT])
def test_open_case_of_the_golden_dossier_has_no_timer_in_1970(rulebook: Rulebook) -> None:
    life = Life(rulebook=rulebook, now=T0, dossier=golden())
    life.dossier.due = None
    life.wait_until(T0)
    assert next_due(life.dossier) == T0 + 1, "most of its 2 ms until the deadline"
    life.wait_until(T0 + 5)
    assert life.kinds() == [CaseEventKind.BAND_RAISED, CaseEventKind.PROMISE_MISSED]
    assert all(int(line.cause_id.rsplit(":", 1)[1]) >= T0 for line in life.lines())


@pytest.mark.parametrize("rulebook", [RULEBOOK, LOOKED_AT])
def test_open_case_of_the_golden_dossier_is_claimed_and_decided(rulebook: Rulebook) -> None:
    life = Life(rulebook=rulebook, now=T0 + 5, dossier=golden())
    about: Any = {"case_id": CaseId("c-1")}

    def version() -> int:
        return life.dossier.cases[CaseId("c-1")].version

    life.wait_until(T0 + 5)
    for event in (a_release, a_claim, a_decision):
        made = event(T0 + 5, actor="r-2", version=version())
        life.send(msgspec.structs.replace(made, **about))
    if rulebook is LOOKED_AT:
        for event in (a_claim, a_confirmation):
            made = event(T0 + 5, actor="r-3", version=version())
            life.send(msgspec.structs.replace(made, **about))
    assert not life.lines(CaseEventKind.REVIEW_REJECTED)
    [line] = life.lines(CaseEventKind.CASE_DECIDED)
    assert (line.outcome, line.actor) == (Outcome.OVERTURNED, "r-2")
    assert life.on_pods() == {}


def test_stored_case_keeps_what_was_promised_through_waiting_and_moving() -> None:
    new = claimed()
    promised = new.case().promised_at
    life = stored_before(new)
    assert life.case().handling_ms == 0
    assert life.case().promised_at == promised
    life.send(a_hold(T1 + MINUTE, until=T1 + DAY + MINUTE))
    life.send(a_resume(T1 + HOUR + MINUTE))
    assert life.case().promised_at == promised + HOUR
    life.send(a_claim(T1 + 2 * HOUR, version=4))
    life.send(a_referral(T1 + 2 * HOUR, version=5))
    assert (life.case().pod, life.case().promised_at) == ("legal", promised + HOUR)
    assert life.case().warn_at == new.case().warn_at + HOUR


def test_stored_case_runs_out_of_time_like_any_other_but_is_warned_of_its_promise_late() -> None:
    life = stored_before(opened())
    life.wait_until(T0 + 90 * DAY)
    assert life.kinds() == [
        CaseEventKind.PROMISE_MISSED,
        CaseEventKind.BAND_RAISED,
        CaseEventKind.DEADLINE_MISSED,
        CaseEventKind.CASE_ESCALATED,
        CaseEventKind.BAND_RAISED,  # it moved to the lead pod, and so got a time for the warning
    ]


def test_stored_case_is_looked_at_twice_where_the_rulebook_says_so_now() -> None:
    life = stored_before(claimed(), LOOKED_AT)
    life.send(a_decision(T1 + MINUTE, Outcome.UPHELD, cited=["x-1"]))
    assert life.case().state is CaseState.SECOND_REVIEW
    life.send(a_claim(T1 + MINUTE, actor="r-2", version=3))
    life.send(a_confirmation(T1 + MINUTE))
    assert life.case_count() == 0


def test_stored_case_gets_its_standard_when_it_is_triaged_again() -> None:
    life = stored_before(opened(), PACKAGED_RULEBOOK)
    assert life.case().standard == ""
    life.send(an_amendment(action=Action.PAYOUT_HOLD, evidence=[some_evidence("x-1"), some_evidence("x-2")]))
    assert life.case().standard == "money"
    life.send(an_appeal(at=T1 + HOUR, appeal_id="a-2"))
    [published] = life.on_pods().values()
    assert published.standard[0].met
