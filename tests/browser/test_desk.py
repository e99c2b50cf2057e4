"""The desk in a browser, on a real Kafka, Redis and engine: from queue to confirmed reversal, and what goes wrong."""

from __future__ import annotations

import time

from playwright.sync_api import Page, expect

from desk.writer import now_ms
from schemas.records import Detector, Target
from schemas.vocabulary import Action, Category, EvidenceKind, TargetKind
from tests.browser.town import Town, told
from tests.unit.builders import an_amendment, an_effect, some_evidence

IP = "recourse-pod-intellectual-property"
SPECIALIST = "recourse-specialist,recourse-pod-general"
SECOND = "recourse-second-reviewer,recourse-pod-general,recourse-pod-accounts"
EVIL = "<script>window.struck=1</script>\"'><img src=x onerror=window.struck=1> {{7*7}} ${7*7}"


def row(page: Page, case_id: str):
    return page.locator(f'a.open[href="/cases/{case_id}"]')


def claimed(page: Page, case_id: str) -> None:
    """Open a case and take it."""
    page.goto(f"/cases/{case_id}")
    page.locator("#claim").click()
    expect(page.get_by_text("The case is yours.")).to_be_visible()


def wait_for_case(page: Page, case_id: str, pod: str = "general") -> None:
    """Until the pod's page shows the case, by itself."""
    page.goto(f"/pods/{pod}?show=all")
    expect(row(page, case_id)).to_be_visible()


def test_a_case_comes_by_itself_is_taken_by_key_decided_confirmed_and_reversed(town: Town, window):
    """The whole way, without a mouse where one person works alone."""
    anna = window("anna", "recourse-specialist,recourse-pod-accounts")
    anna.goto("/pods/accounts")
    expect(anna.get_by_text("Nothing is to be taken.")).to_be_visible()
    ban = {"action": Action.BAN, "policy": "fraud", "target": Target(kind=TargetKind.ACCOUNT, id="seller-9")}
    sent = time.monotonic()
    case_id = town.appeal("The photo is mine.", **ban, effects=[an_effect(system="accounts", effect_id="ef-ban")])
    expect(row(anna, case_id)).to_be_visible()
    print(f"from appeal to row: {1_000 * (time.monotonic() - sent):.0f} ms")
    anna.keyboard.press("n")
    expect(anna.get_by_text("You hold it")).to_be_visible()
    expect(anna.get_by_text("The photo is mine.")).to_be_visible()
    send = anna.get_by_role("button", name="Send the decision")
    expect(send).to_be_disabled()
    anna.keyboard.press("d")
    anna.keyboard.press("ArrowDown")
    anna.keyboard.press("ArrowUp")
    anna.get_by_role("radio", name="Overturned").focus()
    anna.keyboard.press("Space")
    expect(anna.get_by_text("Give reasons.")).to_be_visible()
    anna.locator("#reasons").focus()
    anna.keyboard.type("The seller has shown the original file.")
    expect(send).to_be_enabled()
    expect(anna.locator("#preview").get_by_text("Restore")).to_be_visible()
    expect(anna.locator("#preview").get_by_text("case.decided.overturned")).to_be_visible()
    send.focus()
    anna.keyboard.press("Enter")
    expect(anna.get_by_text("a second person looks at it")).to_be_visible()

    ben = window("ben", SECOND)
    ben.goto("/second")
    row(ben, case_id).click()
    expect(ben.get_by_text("The seller has shown the original file.")).to_be_visible()
    ben.keyboard.press("c")
    ben.get_by_role("button", name="Confirm").click()
    expect(ben.get_by_role("heading", name="Decided: Overturned")).to_be_visible()
    expect(ben.get_by_text("Reversal confirmed by every system")).to_be_visible()
    # Anna has not touched her page: it hears of it by itself.
    expect(anna.get_by_text("Reversal confirmed by every system")).to_be_visible()


def test_two_windows_reach_for_one_case_and_one_of_them_is_told_who_has_it(town: Town, window):
    case_id = town.appeal()
    anna, ben = window("anna", SPECIALIST), window("ben", SPECIALIST)
    for page in (anna, ben):
        wait_for_case(page, case_id)
        page.goto(f"/cases/{case_id}")
        expect(page.locator("#claim")).to_be_visible()
    # Both clicks are on their way before either is answered.
    town.stop_engine()
    for page in (anna, ben):
        page.evaluate("document.getElementById('claim').click()")
    town.go_on()
    texts = []
    for page in (anna, ben):
        banner = page.locator(".banner:not(#cut)")
        expect(banner).to_be_visible()
        texts.append(told(banner.inner_text()))
    print(f"anna: {texts[0]}\nben: {texts[1]}")
    assert sorted(texts) in (
        ["The case is yours.", "anna was quicker: the case is theirs."],
        ["The case is yours.", "ben was quicker: the case is theirs."],
    )


def test_a_decision_on_what_has_changed_meanwhile_is_refused_and_the_page_says_so(town: Town, window):
    issued = town.strike()
    case_id = town.appeal_against(issued, "It is mine.")
    anna = window("anna", SPECIALIST)
    wait_for_case(anna, case_id)
    claimed(anna, case_id)
    anna.get_by_role("radio", name="Overturned").check()
    anna.locator("#reasons").fill("Before it was changed.")
    amended = an_amendment(
        now_ms(), user_id=issued.user_id, enforcement_id=issued.enforcement_id, policy=issued.policy,
        action=issued.action, category=issued.category, target=issued.target, effects=issued.effects, strikes=2,
    )  # fmt: skip
    town.send("enforcement.events", issued.user_id, amended)
    expect(anna.get_by_text("The case has changed since you began to write.")).to_be_visible()
    expect(anna.locator("#reasons")).to_have_value("Before it was changed.")
    anna.get_by_role("button", name="Send the decision").click()
    expect(anna.locator(".banner.bad").get_by_text("the case has changed since you saw it")).to_be_visible()


def test_an_engine_that_stands_still_is_told_and_what_was_done_counts_once_it_goes_on(town: Town, window):
    case_id = town.appeal()
    anna = window("anna", SPECIALIST)
    wait_for_case(anna, case_id)
    anna.goto(f"/cases/{case_id}")
    town.stop_engine()
    try:
        anna.locator("#claim").click()
        expect(anna.get_by_text("The engine has not answered.")).to_be_visible()
        expect(anna.get_by_text("It counts as soon as the engine reads it.")).to_be_visible()
    finally:
        town.go_on()
    anna.goto(f"/cases/{case_id}")
    expect(anna.get_by_text("You hold it")).to_be_visible()


def test_evidence_is_asked_for_by_key_and_a_decision_waits_for_its_standard(town: Town, window):
    takedown = {
        "policy": "copyright",
        "category": Category.STATEMENT_CATEGORY_INTELLECTUAL_PROPERTY_INFRINGEMENTS,
        "evidence": [some_evidence("x-notice", EvidenceKind.NOTICE)],
    }
    case_id = town.appeal(**takedown)
    anna = window("anna", f"recourse-specialist,{IP}")
    wait_for_case(anna, case_id, "intellectual-property")
    claimed(anna, case_id)
    anna.get_by_role("radio", name="Upheld it stands", exact=True).check()
    anna.locator("#reasons").fill("It is a copy.")
    expect(anna.get_by_text("It must cite 1 more of:")).to_be_visible()
    expect(anna.get_by_role("button", name="Send the decision")).to_be_disabled()
    button = anna.locator("#send").element_handle()
    anna.get_by_role("checkbox", name="notice x-notice").check()
    expect(anna.get_by_role("button", name="Send the decision")).to_be_enabled()
    assert button.is_enabled(), "it is still the same button: one that came anew would be gone under the pointer"
    anna.locator("h1").click()
    anna.keyboard.press("e")
    anna.locator("#ask").get_by_label("licence").check()
    anna.locator("#ask-note").fill("Please show us the licence.")
    anna.get_by_role("button", name="Ask", exact=True).click()
    expect(anna.get_by_text("Evidence is asked for; the case waits.")).to_be_visible()
    expect(anna.locator(".case-head").get_by_text("waits for evidence")).to_be_visible()


def test_a_case_whose_page_is_closed_goes_back(town: Town, window):
    case_id = town.appeal()
    anna, ben = window("anna", SPECIALIST), window("ben", SPECIALIST)
    wait_for_case(anna, case_id)
    claimed(anna, case_id)
    anna.reload()
    expect(anna.get_by_text("You hold it")).to_be_visible()
    ben.goto(f"/cases/{case_id}")
    expect(ben.get_by_text("anna holds it")).to_be_visible()
    anna.goto("/pods/general")
    expect(ben.locator("#claim")).to_be_visible()


def test_what_people_and_systems_write_stays_text_in_every_place(town: Town, window):
    """Texts of appellants and reviewers, and every field of a record that a page shows."""
    evil = EVIL[:200]
    case_id = town.appeal(
        f"statement {EVIL}",
        action=Action.BAN,
        policy=evil,
        policy_version=evil,
        target=Target(kind=TargetKind.ACCOUNT, id=evil),
        detector=Detector(name=evil, version=evil[:20]),
        statement_of_reasons_id=evil,
        facts_ref=evil,
        evidence=[some_evidence(evil, EvidenceKind.NOTICE)],
        effects=[an_effect(system=evil, effect_id=evil)],
    )
    pods = "recourse-pod-accounts"
    anna, ben = (
        window("anna", f"recourse-specialist,{pods}"),
        window(evil[:60].strip(), f"recourse-second-reviewer,{pods}"),
    )
    wait_for_case(anna, case_id, "accounts")
    claimed(anna, case_id)
    anna.get_by_role("radio", name="Overturned").check()
    anna.locator("#reasons").fill(f"reasons {EVIL}")
    expect(anna.locator("#preview").get_by_text("case.decided.overturned")).to_be_visible()
    anna.get_by_role("button", name="Send the decision").click()
    expect(anna.get_by_text("a second person looks at it")).to_be_visible()
    ben.goto("/second")
    ben.goto(f"/cases/{case_id}")
    expect(ben.get_by_text(f"reasons {EVIL}")).to_be_visible()
    ben.locator("#claim").click()
    ben.locator("#return-guidance").fill(f"guidance {EVIL}")
    ben.get_by_role("button", name="Return").click()
    expect(ben.get_by_text(f"guidance {EVIL}")).to_be_visible()
    aud = window("aud", "recourse-auditor")
    aud.goto("/audit")
    aud.locator("#id").fill(EVIL[:200])
    aud.get_by_role("button", name="Look").click()
    expect(aud.get_by_text("has no such case or appeal")).to_be_visible()
    aud.goto(f"/audit/{case_id}")
    lena = window("lena", "recourse-lead")
    for path in ("/board", "/pods/accounts?show=all", "/second"):
        lena.goto(path)
    for page in (anna, ben, aud, lena):
        page.wait_for_load_state("load")
        assert page.evaluate("window.struck") is None
        assert page.locator("img").count() == 0
        assert page.locator("main script").count() == 0


def test_roles_are_refused_in_words(town: Town, window):
    aud = window("aud", "recourse-auditor")
    aud.goto("/board")
    expect(aud.get_by_text("Your groups give you no role that may do this.")).to_be_visible()
    expect(aud.get_by_role("link", name="Board")).to_have_count(0)
    nobody = window("nobody", "staff")
    nobody.goto("/")
    expect(nobody.get_by_text("This is not yours to do.")).to_be_visible()
