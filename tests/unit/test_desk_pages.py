"""The desk's pages over the real decision logic: what a person sees, does, and is told."""

import re

import pytest

from desk.writer import now_ms
from schemas.records import (
    CaseClaimed,
    CaseReferred,
    CaseReleased,
    DecisionConfirmed,
    DecisionProposed,
    DecisionReturned,
    EvidenceRequested,
)
from schemas.vocabulary import Action, CaseState, EvidenceKind, EvidenceSupplier, Outcome
from tests.unit.builders import an_effect, an_enforcement, euros
from tests.unit.desk_house import ANYBODY, TWO_PEOPLE, House

IP = "recourse-pod-intellectual-property"
SPECIALIST = f"recourse-specialist,{IP}"
SECOND = f"recourse-second-reviewer,{IP}"
EVIL = "<script>alert('x')</script>\"><img src=x onerror=alert(1)>"


@pytest.fixture
def house(tmp_path) -> House:
    return House(tmp_path, rulebook=ANYBODY)


@pytest.fixture
def strict(tmp_path) -> House:
    """Where severe decisions need a second person."""
    return House(tmp_path, rulebook=TWO_PEOPLE)


# --- the queue ----------------------------------------------------------------------------------------------------


def test_the_queue_shows_cases_most_urgent_first_with_their_reasons(house):
    cases = [house.appeal(n) for n in (3, 1, 2)]
    page = house.visit().get("/pods/intellectual-property")
    found = re.findall(r'class="open" href="/cases/([^"]+)"', page)
    assert found == [cases[1], cases[2], cases[0]]
    assert 'aria-label="Severity' in page
    assert "Suspension · counterfeit" in page


def test_a_page_has_fifty_and_names_the_rest(house):
    for number in range(1, 121):
        house.appeal(number)
    anna = house.visit()
    assert "Cases 1 to 50 of 120" in anna.get("/pods/intellectual-property")
    assert "Cases 101 to 120 of 120" in anna.get("/pods/intellectual-property?page=3")
    assert anna.get("/pods/intellectual-property?page=9999999").count('class="open"') == 0
    assert "Cases 1 to 50" in anna.get("/pods/intellectual-property?page=nonsense&show=nonsense")


def test_an_empty_queue_and_one_that_is_being_read_say_so(house):
    anna = house.visit()
    assert "Nothing is to be taken." in anna.get("/pods/legal")
    house.queues["legal"].whole.clear()
    assert "The queue is being read." in anna.get("/pods/legal")


def test_a_broker_that_does_not_answer_is_told_on_every_page(house):
    house.pulse.lost_at = now_ms() / 1_000
    anna = house.visit()
    for path in ("/pods/general", "/second", "/board", "/remedies", "/audit"):
        assert "Kafka has not answered since" in anna.get(path), path


def test_claim_next_takes_the_most_urgent_and_goes_there(house):
    first, _ = house.appeal(1), house.appeal(2)
    page = house.visit().post("/pods/intellectual-property/next")
    assert "The case is yours." in page
    assert house.case(first).claim.reviewer == "anna"


def test_claim_next_goes_on_to_the_case_after_one_that_was_lost(house):
    lost, other = house.appeal(1), house.appeal(2)
    anna = house.visit()
    anna.get("/pods/intellectual-property")
    case = house.case(lost)
    # Ben's claim is folded, and has not reached Anna's queue.
    emissions = house.life_of("u-1").send(_claim_of(case, "ben"), at=now_ms())
    queue = house.queues["intellectual-property"]
    waited = queue.wait_for

    def late(case_id, version, timeout_s):
        house.publish(emissions)
        return waited(case_id, version, timeout_s)

    queue.wait_for = late
    anna.post("/pods/intellectual-property/next")
    assert house.case(lost).claim.reviewer == "ben"
    assert house.case(other).claim.reviewer == "anna"


def _claim_of(case, actor):
    return CaseClaimed(
        event_id=f"by-{actor}",
        user_id=case.user_id,
        case_id=case.case_id,
        actor=actor,
        expected_version=case.version,
        occurred_at=now_ms(),
    )


def test_claim_next_leaves_a_case_that_somebody_is_reaching_for_to_them(house):
    first, other = house.appeal(1), house.appeal(2)
    anna, next_one, as_ben = house.visit("anna"), "/pods/intellectual-property/next", {"x-forwarded-user": "ben"}
    bens = anna.client.get("/pods/legal", headers=as_ben).text.split('data-token="')[1].split('"')[0]
    anna.get("/pods/intellectual-property")
    claimed = house.writer.write

    def meanwhile(event):
        house.writer.write = claimed
        assert anna.client.post(next_one, data={"token": bens}, headers=as_ben).status_code == 200
        return claimed(event)

    house.writer.write = meanwhile
    anna.post(next_one)
    assert house.case(first).claim.reviewer == "anna"
    assert house.case(other).claim.reviewer == "ben"


def test_claim_next_on_an_empty_queue_says_that_nothing_is_left(house):
    assert "Nothing is left for you to take." in house.visit().post("/pods/legal/next")


# --- a case -------------------------------------------------------------------------------------------------------


def test_the_one_who_was_slower_is_told_who_has_the_case(house):
    case_id = house.appeal(1)
    anna, ben = house.visit("anna"), house.visit("ben")
    anna.get(f"/cases/{case_id}")
    ben.get(f"/cases/{case_id}")
    ben.post(f"/cases/{case_id}/claim")
    assert "ben was quicker: the case is theirs." in anna.post(f"/cases/{case_id}/claim")
    assert house.case(case_id).claim.reviewer == "ben"


def test_a_decision_goes_from_claim_to_confirmed_reversal(house):
    case_id = house.appeal(1)
    anna = house.visit()
    anna.get(f"/cases/{case_id}")
    anna.post(f"/cases/{case_id}/claim")
    page = anna.post(f"/cases/{case_id}/decide", outcome="overturned", reasons="They showed the licence.")
    assert "Decided: Overturned" in page
    assert "The systems have not all confirmed it yet" in page
    house.confirm_reversals("u-1")
    assert "Reversal confirmed by every system" in anna.get(f"/cases/{case_id}")
    proposed = house.writer.written[-1]
    assert isinstance(proposed, DecisionProposed)
    assert house.texts.read(proposed.reasons_ref).text == "They showed the licence."
    assert "licence" not in proposed.reasons_ref


def test_a_decision_that_does_not_cite_its_standard_is_never_written(house):
    case_id = house.takedown(1)
    anna = house.visit()
    anna.get(f"/cases/{case_id}")
    anna.post(f"/cases/{case_id}/claim")
    form = {"outcome": "upheld", "reasons": "It was a copy."}
    shown = anna.client.post(f"/cases/{case_id}/preview", data={"token": anna.token, **anna.seen(), **form}).text
    assert 'id="lacks-nothing"' not in shown
    assert "It must cite 1 more of: court order or notice, from the enforcing side" in " ".join(shown.split())
    anna.get(f"/cases/{case_id}")
    anna.post(f"/cases/{case_id}/decide", 422, **form)
    assert not any(isinstance(each, DecisionProposed) for each in house.writer.written)
    anna.get(f"/cases/{case_id}")
    assert "Decided: Upheld" in anna.post(f"/cases/{case_id}/decide", **form, cited="x-1")


@pytest.mark.parametrize(
    ("form", "lack"),
    [
        ({}, "Choose an outcome."),
        ({"outcome": "overturned"}, "Give reasons."),
        ({"outcome": "overturned", "reasons": "   "}, "Give reasons."),
        ({"outcome": "dismissed", "reasons": "x"}, "Say why it is not judged."),
        ({"outcome": "modified", "reasons": "x"}, "Say what is left of the enforcement."),
        ({"outcome": "upheld_ground_changed", "reasons": "x"}, "Name the rule that it stands on."),
        ({"outcome": "remanded", "reasons": "x"}, "Say what must be looked at again."),
        ({"outcome": "withdrawn", "reasons": "x"}, "Choose an outcome."),
        (
            {"outcome": "modified", "reasons": "x", "lesser_action": "warning", "lesser_amount": "NaN"},
            "This is no amount.",
        ),
    ],
)
def test_what_a_decision_lacks_is_told_and_it_cannot_be_sent(house, form, lack):
    case_id = house.appeal(1)
    anna = house.visit()
    anna.get(f"/cases/{case_id}")
    anna.post(f"/cases/{case_id}/claim")
    sent = {"token": anna.token, **anna.seen(), **form}
    shown = anna.client.post(f"/cases/{case_id}/preview", data=sent).text
    assert lack in shown
    assert 'id="lacks-nothing"' not in shown
    assert anna.client.post(f"/cases/{case_id}/decide", data=sent).status_code == 422


def test_each_outcome_can_be_decided(house):
    forms = {
        "upheld": {},
        "overturned": {},
        "modified": {"lesser_action": "warning", "lesser_strikes": "0"},
        "upheld_ground_changed": {"substituted_policy": "trademark"},
        "remanded": {"guidance": "look at the licence"},
        "dismissed": {"dismissal": "abusive"},
    }
    for number, (outcome, more) in enumerate(forms.items(), 1):
        case_id = house.appeal(number)
        anna = house.visit()
        anna.get(f"/cases/{case_id}")
        anna.post(f"/cases/{case_id}/claim")
        anna.post(f"/cases/{case_id}/decide", outcome=outcome, reasons="because", **more)
        assert house.case(case_id) is None, outcome
        assert house.life_of(f"u-{number}").lines()[-1].outcome in (None, Outcome(outcome))


def test_the_preview_names_what_is_undone_and_what_goes_on_restricting(house):
    effects = [an_effect(), an_effect(kind="payout_status", effect_id="ef-2", amount=euros("12.50"))]
    case_id = house.appeal(1, effects=effects)
    other = an_enforcement(user_id="u-1", enforcement_id="e-other", action=Action.BAN, policy="fraud")
    house.send(other)
    anna = house.visit()
    anna.get(f"/cases/{case_id}")
    anna.post(f"/cases/{case_id}/claim")
    sent = {"token": anna.token, **anna.seen(), "outcome": "overturned", "reasons": "x"}
    shown = " ".join(anna.client.post(f"/cases/{case_id}/preview", data=sent).text.split())
    assert "<strong>Restore</strong> account" in shown
    assert "<strong>Release</strong> payout" in shown
    assert "12.50 EUR" in shown
    assert "stays restricted by: Ban (fraud)" in re.sub("<[^>]+>", "", shown)
    assert "case.decided.overturned" in shown
    assert 'id="lacks-nothing"' in shown, "or the button would never be enabled"


def test_asking_for_evidence_lets_the_case_wait(house):
    case_id = house.appeal(1)
    anna = house.visit()
    anna.get(f"/cases/{case_id}")
    anna.post(f"/cases/{case_id}/claim")
    page = anna.post(f"/cases/{case_id}/evidence", kinds=["licence", "notice"], supplier="appellant", note="Please.")
    assert "Evidence is asked for; the case waits." in page
    asked = house.writer.written[-1]
    assert isinstance(asked, EvidenceRequested)
    assert asked.kinds == [EvidenceKind.LICENCE, EvidenceKind.NOTICE]
    assert asked.supplier is EvidenceSupplier.APPELLANT
    assert house.case(case_id).state is CaseState.AWAITING_EVIDENCE
    assert "The case goes on." in anna.post(f"/cases/{case_id}/resume")


def test_hand_back_hold_and_refer_do_what_they_say(house):
    case_id = house.appeal(1)
    anna = house.visit()
    anna.get(f"/cases/{case_id}")
    anna.post(f"/cases/{case_id}/claim")
    assert "The case is handed back." in anna.post(f"/cases/{case_id}/release")
    assert isinstance(house.writer.written[-1], CaseReleased)
    anna.get(f"/cases/{case_id}")
    anna.post(f"/cases/{case_id}/claim")
    assert "The case is handed on." in anna.post(f"/cases/{case_id}/refer", to_pod="legal", reason="legal")
    assert house.case(case_id).pod == "legal"
    anna.get(f"/cases/{case_id}")
    anna.post(f"/cases/{case_id}/claim")
    assert "The case waits." in anna.post(f"/cases/{case_id}/hold", reason="investigation", until="2027-03-01T10:00")
    assert house.case(case_id).state is CaseState.ON_HOLD


def test_a_claim_is_renewed_by_its_holder_alone(house):
    case_id = house.appeal(1)
    anna, ben = house.visit("anna"), house.visit("ben")
    anna.get(f"/cases/{case_id}")
    anna.post(f"/cases/{case_id}/claim")
    version = house.case(case_id).version
    anna.post(f"/cases/{case_id}/renew", 204)
    assert house.case(case_id).version == version + 1
    ben.get("/")
    ben.post(f"/cases/{case_id}/renew", 409)


def test_a_renewal_meanwhile_does_not_make_a_decision_stale(house):
    case_id = house.appeal(1)
    anna = house.visit()
    anna.get(f"/cases/{case_id}")
    anna.post(f"/cases/{case_id}/claim")
    seen = anna.seen()
    anna.client.post(f"/cases/{case_id}/renew", data={"token": anna.token})
    assert str(house.case(case_id).version) != seen["version"]
    assert "Decided" in anna.post(f"/cases/{case_id}/decide", outcome="overturned", reasons="x")


def test_what_has_changed_meanwhile_makes_a_decision_stale(house):
    case_id = house.appeal(1)
    anna = house.visit()
    anna.get(f"/cases/{case_id}")
    anna.post(f"/cases/{case_id}/claim")
    house.send(
        an_enforcement(now_ms(), user_id="u-1", version=2, enforcement_id="e-1", policy="counterfeit", strikes=1)
    )
    anna.post(f"/cases/{case_id}/decide", outcome="overturned", reasons="x")
    assert "the case has changed since you saw it" in anna.page
    assert house.case(case_id) is not None


def test_an_engine_that_does_not_answer_is_told_apart_from_a_refusal(house):
    case_id = house.appeal(1)
    anna = house.visit()
    anna.get(f"/cases/{case_id}")
    house.writer.stopped = True
    assert "The engine has not answered." in anna.post(f"/cases/{case_id}/claim", 504)


def test_a_statement_is_shown_as_text_and_one_that_was_altered_is_not_shown(house, tmp_path):
    case_id = house.appeal(1, texts=f"I did nothing. {EVIL}")
    anna = house.visit()
    page = anna.get(f"/cases/{case_id}")
    assert "I did nothing." in page
    assert "<script>alert" not in page
    assert "<img" not in page
    next((tmp_path / "texts").iterdir()).write_text("I did it.")
    page = anna.get(f"/cases/{case_id}")
    assert "I did it." not in page
    assert "The text is not the one that was referred to" in page


# --- second reviews -----------------------------------------------------------------------------------------------


def a_proposal(house: House, number: int = 1) -> str:
    """Anna has proposed to overturn a ban."""
    case_id = house.appeal(number, action=Action.BAN)
    anna = house.visit("anna")
    anna.get(f"/cases/{case_id}")
    anna.post(f"/cases/{case_id}/claim")
    page = anna.post(f"/cases/{case_id}/decide", outcome="overturned", reasons="The photo is theirs.")
    assert "a second person looks at it" in page
    return case_id


def test_a_proposed_decision_is_confirmed_by_somebody_else(strict):
    case_id = a_proposal(strict)
    anna, ben = strict.visit("anna"), strict.visit("ben", SECOND)
    assert "Not for you, as you took part: 1" in anna.get("/second")
    assert "For you to look at: 1" in ben.get("/second")
    page = ben.get(f"/cases/{case_id}")
    assert "The photo is theirs." in page
    ben.post(f"/cases/{case_id}/claim")
    assert "Decided: Overturned" in ben.post(f"/cases/{case_id}/confirm", reasons="Agreed.")
    assert isinstance(strict.writer.written[-1], DecisionConfirmed)


def test_whoever_proposed_is_refused_by_the_engine_even_if_they_try(strict):
    case_id = a_proposal(strict)
    anna = strict.visit("anna")
    page = anna.get(f"/cases/{case_id}")
    assert 'id="claim"' not in page
    assert "You may not judge this case" in page
    assert "It does not count: you may not judge this case" in anna.post(f"/cases/{case_id}/claim")


def test_a_proposed_decision_is_returned_with_guidance(strict):
    case_id = a_proposal(strict)
    ben = strict.visit("ben", SECOND)
    ben.get(f"/cases/{case_id}")
    ben.post(f"/cases/{case_id}/claim")
    ben.post(f"/cases/{case_id}/return", 422, guidance=" ")
    ben.get(f"/cases/{case_id}")
    ben.post(f"/cases/{case_id}/return", guidance="Look at the date of the photo.")
    assert isinstance(strict.writer.written[-1], DecisionReturned)
    assert "Look at the date of the photo." in strict.visit("anna").get(f"/cases/{case_id}")


# --- the lead, the auditor ----------------------------------------------------------------------------------------


def test_a_lead_moves_a_case_to_another_pod(house):
    case_id = house.appeal(1)
    lena = house.visit("lena", "recourse-lead")
    assert f"/cases/{case_id}/move" in lena.get("/board")
    page = lena.post(f"/cases/{case_id}/move", to_pod="legal", reason="workload", version="1")
    assert "The case is moved." in page
    assert isinstance(house.writer.written[-1], CaseReferred)
    assert house.case(case_id).pod == "legal"


def test_an_auditor_finds_a_case_by_the_id_of_its_appeal_and_sees_its_chain(house):
    case_id = house.appeal(1)
    aud = house.visit("aud", "recourse-auditor")
    aud.get("/audit")
    page = aud.post("/audit", id="a-1")
    assert f"<code>{case_id}</code>" in page
    assert "lines of this user are as they were written" in page
    assert f"recourse case replay {case_id}" in page
    exported = aud.client.get(f"/audit/{case_id}/lines.jsonl")
    assert exported.headers["content-disposition"] == f'attachment; filename="case-{case_id}.jsonl"'
    assert exported.text.count("\n") == len(house.life_of("u-1").lines())


def test_what_is_asked_of_the_audit_and_not_known_is_not_put_into_an_address(house):
    aud = house.visit("aud", "recourse-auditor")
    aud.get("/audit")
    answer = aud.client.post("/audit", data={"token": aud.token, "id": f"my secret {EVIL}"})
    assert answer.status_code == 404
    assert "secret" not in str(answer.url)
    assert "<script>alert" not in answer.text


def test_both_languages_have_every_page(house):
    case_id = house.appeal(1)
    for language, word in (("de", "Warteschlangen"), ("en", "Queues")):
        anna = house.visit(**{"accept-language": language})
        for path in ("/pods/general", f"/cases/{case_id}", "/second", "/board", "/remedies", "/audit"):
            assert word in anna.get(path), (language, path)
    anna.post("/language", language="de", back="/board")
    assert 'lang="de"' in anna.page
    anna.post("/language", language="de", back="//elsewhere.example")
    assert "elsewhere" not in str(anna.page)
