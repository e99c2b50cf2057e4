"""Every page with something on it: for people who cannot see it or use no mouse, at 200 %, in the dark; as pictures."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

import desk
from desk.writer import now_ms
from schemas import records as r
from schemas import vocabulary as v
from tests import npm
from tests.browser.town import Town
from tests.unit.builders import DAY, HOUR, a_profile, an_effect, an_enforcement, euros, some_evidence

HERE = Path(__file__).parent
KINDS = (
    ("spam", v.Action.CONTENT_REMOVAL),
    ("prohibited-goods", v.Action.REDUCED_DISCOVERABILITY),
    ("nudity", v.Action.CONTENT_REMOVAL),
    ("late-shipping", v.Action.FEATURE_RESTRICTION),
    ("spam", v.Action.WARNING),
)
PLACES = (("en", "IE"), ("de", "DE"), ("fr", "FR"), ("de", "AT"), ("en", "DE"))
DETECTOR = r.Detector(name="fake-finder", version="7")
_BAD = ("serious", "critical")
EVERY_RULE = "['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']"
CONTRAST = "{type: 'rule', values: ['color-contrast']}"
"""All that the dark may change."""


@pytest.fixture(scope="module")
def axe() -> str:
    return (npm.installed(HERE) / "node_modules" / "axe-core" / "axe.min.js").read_text()


@pytest.fixture(scope="module")
def scene(town: Town) -> dict[str, str]:
    """Cases of several kinds, figures of the insights, an alert; what the pages are about."""
    for number in range(13):
        policy, action = KINDS[number % len(KINDS)]
        language, region = PLACES[number % len(PLACES)]
        issued = town.strike(policy=policy, action=action, issued_at=r.Millis(now_ms() - (2 + 5 * number) * HOUR))
        profile = a_profile(
            now_ms(), user_id=issued.user_id, language=language, region=region, reach=10 ** (1 + number % 6)
        )
        town.send("enforcement.events", issued.user_id, profile)
        flags = [v.AppealFlag.PERSONAL_SAFETY] if number == 4 else []
        submitted = r.Millis(now_ms() - (1 + 4 * number) * HOUR)
        text = "I sold my own camera; the photos show its number."
        town.appeal_against(issued, text, language=language, flags=flags, submitted_at=submitted)
    struck = town.strike(
        policy="copyright",
        category=v.Category.STATEMENT_CATEGORY_INTELLECTUAL_PROPERTY_INFRINGEMENTS,
        evidence=[some_evidence("x-notice", v.EvidenceKind.NOTICE), some_evidence("x-shot")],
        facts_ref=town.texts.keep("Notice of 3 March, by the label, against one listing."),
        detector=DETECTOR,
        strikes=1,
    )
    town.send("enforcement.events", struck.user_id, another(struck.user_id))
    text = "The song is mine: I wrote it in 2019, and the notice names another one of the same title."
    takedown = town.appeal_against(struck, text)
    ban = town.appeal(
        "You have mistaken me for somebody else.",
        policy="fraud",
        action=v.Action.BAN,
        target=r.Target(kind=v.TargetKind.ACCOUNT, id="seller-9"),
        effects=[
            an_effect(system="accounts", effect_id="ef-account"),
            an_effect(v.EffectKind.PAYOUT_STATUS, system="payments", effect_id="ef-payout", amount=euros("1249.50")),
        ],
        amount=euros("1249.50"),
        detector=DETECTOR,
    )
    insights(town)
    return {"takedown": takedown, "ban": ban}


def another(user: str) -> r.EnforcementIssued:
    """Something else that stands against the user."""
    return an_enforcement(
        now_ms() - 2 * DAY, user_id=user, enforcement_id=f"other-{user}", policy="late-shipping",
        action=v.Action.FEATURE_RESTRICTION, target=r.Target(kind=v.TargetKind.ACCOUNT, id=user),
        effects=[an_effect(v.EffectKind.FEATURE_STATUS)], strikes=1,
    )  # fmt: skip


def insights(town: Town) -> None:
    """What the insights would tell."""
    now = r.Millis(now_ms())
    for pod, arriving, decided, wait in (("general", 41.0, 38.5, 5_400), ("accounts", 12.0, 14.0, 1_800)):
        load = r.PodLoad(
            pod=pod, open=12, claimed=2, waiting=1, overdue=0, arriving_per_hour=arriving, decided_per_hour=decided,
            expected_wait_s=wait, window_s=3_600, observed_at=now, overflowing=pod == "general",
        )  # fmt: skip
        town.send("pod.load", pod, load)
    rates = [("spam", 340, 0.31), ("fraud", 120, 0.18), ("copyright", 64, 0.52), ("nudity", 23, 0.44)]
    for policy, count, mean in rates:
        town.send("insights.overturn-rates", f"p-{policy}", a_rate(policy, count, mean, v.Dimension.POLICY, None, now))
    for version, count, mean in (("6", 410, 0.22), ("7", 57, 0.71)):
        detector = r.Detector(name="fake-finder", version=version)
        rate = a_rate(None, count, mean, v.Dimension.DETECTOR_VERSION, detector, now)
        town.send("insights.overturn-rates", f"d-{version}", rate)
    for policy, count, mean in (("spam", 60, 0.93), ("fraud", 25, 0.8)):
        agreed = r.ReviewAgreement(
            agreement_id=policy, dimension=v.Dimension.POLICY, value=policy, sample=v.ReviewSample.ALL, window_s=86_400,
            window_end=now, compared=count, agreed=round(count * mean), mean=mean, low=mean - 0.1,
            high=min(1.0, mean + 0.05), computed_at=now,
        )  # fmt: skip
        town.send("insights.quality", policy, agreed)
    alert = r.MisfireSuspected(
        alert_id="alert-1", kind=v.MisfireKind.OVERTURN_RATE, detector=DETECTOR, policy=None, raised_at=now,
        baseline_of=v.MisfireBaseline.PREDECESSOR, predecessor="6", baseline=0.22, rate=0.71, n=57, hits=40,
        statistic=9.1, threshold=6.0, since=r.Millis(now - DAY), until=now,
        issued_from=r.Millis(now - DAY), issued_until=r.Millis(now + HOUR),
    )  # fmt: skip
    town.send("misfire.alerts", "fake-finder 7", alert)


def a_rate(policy, count, mean, dimension, detector, now) -> r.OverturnRate:
    return r.OverturnRate(
        rate_id=f"{policy}-{detector}", dimension=dimension, value=policy, policy=policy, detector=detector,
        window_s=2_419_200, window_end=now, decided=count, overturned=round(count * mean), mean=mean,
        low=max(0.0, mean - 0.09), high=min(1.0, mean + 0.09), prior_overturned=4, prior_upheld=6, computed_at=now,
    )  # fmt: skip


def violations(page: Page, axe: str, only: str) -> list[str]:
    """What axe finds; the whole of it, or one rule."""
    if page.evaluate("typeof window.axe") == "undefined":
        page.evaluate(axe)
    found = page.evaluate(f"axe.run(document, {{runOnly: {only}, resultTypes: ['violations']}})")
    return [
        f"{page.url}: {one['id']} ({one['impact']}): {json.dumps([node['html'] for node in one['nodes'][:3]])}"
        for one in found["violations"]
        if one["impact"] in _BAD
    ]


class Album:
    """Looks at pages, and keeps their pictures if somebody wants them."""

    def __init__(self, axe: str, folder: Path | None) -> None:
        self.axe, self.folder = axe, folder
        self.found: list[str] = []
        self.pages = 0

    def look(self, page: Page, name: str) -> None:
        for scheme, rules in (("light", EVERY_RULE), ("dark", CONTRAST)):
            page.emulate_media(color_scheme=scheme)
            self.found += [f"{scheme} {each}" for each in violations(page, self.axe, rules)]
            self.pages += 1
        page.emulate_media(color_scheme="dark" if name == "case-dark" else "light")
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
            page.screenshot(path=self.folder / f"{name}.png", full_page=True)


@pytest.fixture
def album(axe, pictures) -> Iterator[Album]:
    album = Album(axe, pictures)
    yield album
    print(f"axe: {len(album.found)} serious or critical violations in {album.pages} views")
    assert not album.found, "\n".join(album.found)


def test_no_page_of_a_specialist_shuts_anybody_out(window, scene, album):
    anna = window("anna")
    anna.goto("/pods/general?show=all")
    expect(anna.locator("a.open").first).to_be_visible()
    album.look(anna, "queue")
    anna.goto("/pods/legal")
    album.look(anna, "empty")
    anna.goto("/pods/intellectual-property?show=all")
    anna.locator(f'a.open[href="/cases/{scene["takedown"]}"]').click()
    anna.locator("#claim").click()
    expect(anna.get_by_text("You hold it")).to_be_visible()
    expect(anna.get_by_text("Feature restriction")).to_be_visible()
    anna.get_by_role("radio", name="Upheld it stands", exact=True).check()
    anna.locator("#reasons").fill("The notice names this very song.")
    expect(anna.get_by_text("It must cite 1 more of:")).to_be_visible()
    anna.locator("#ask summary").click()
    album.look(anna, "case")
    album.look(anna, "case-dark")


def test_no_page_of_two_reviewers_shuts_anybody_out(window, scene, album):
    anna = window("anna")
    anna.goto(f"/cases/{scene['ban']}")
    anna.locator("#claim").click()
    anna.get_by_role("radio", name="Overturned").check()
    anna.locator("#reasons").fill("The account was mistaken for another of the same name.")
    expect(anna.locator("#preview").get_by_text("Restore")).to_be_visible()
    album.look(anna, "preview")
    anna.get_by_role("button", name="Send the decision").click()
    expect(anna.get_by_text("a second person looks at it")).to_be_visible()
    ben = window("ben")
    ben.goto("/second")
    album.look(ben, "second")
    ben.goto(f"/cases/{scene['ban']}")
    ben.locator("#claim").click()
    expect(ben.get_by_role("button", name="Confirm")).to_be_visible()
    album.look(ben, "second-case")
    ben.get_by_role("button", name="Confirm").click()
    expect(ben.get_by_text("Reversal confirmed by every system")).to_be_visible()
    album.look(ben, "closed")


def test_no_page_of_a_lead_shuts_anybody_out_and_a_remedy_needs_two_others(window, scene, album):
    lena = window("lena", "recourse-lead")
    lena.goto("/board")
    expect(lena.get_by_text("Detectors that misfire")).to_be_visible()
    album.look(lena, "board")
    lena.goto("/remedies")
    lena.get_by_label("Reason").fill("Version 7 takes cameras for weapons.")
    album.look(lena, "remedies")
    lena.get_by_role("button", name="Propose a remedy").click()
    expect(lena.get_by_text("The remedy is proposed; the dry run counts.")).to_be_visible()
    expect(lena.locator(".head").get_by_text("waits for approval")).to_be_visible()
    expect(lena.get_by_text("You proposed it; others must approve it.")).to_be_visible()
    for name in ("lars", "lou"):
        other = window(name, "recourse-lead")
        other.goto(lena.url)
        expect(other.get_by_role("button", name="Approve")).to_be_visible()
        if name == "lars":
            album.look(other, "remedy")
        other.get_by_role("button", name="Approve").click()
        expect(other.get_by_text("You have approved it.")).to_be_visible()
    expect(lena.locator(".head").get_by_text("done")).to_be_visible()


def test_no_page_of_an_auditor_shuts_anybody_out(window, scene, album):
    aud = window("aud", "recourse-auditor", locale="de-DE")
    aud.goto("/audit")
    aud.locator("#id").fill(scene["takedown"])
    album.look(aud, "audit")
    aud.get_by_role("button", name="Ansehen").click()
    expect(aud.get_by_text("sind, wie sie geschrieben wurden")).to_be_visible()
    album.look(aud, "life")
    aud.goto("/no-such-page")
    album.look(aud, "error")


def test_pages_fit_a_small_window_as_they_do_at_two_hundred_per_cent(town: Town, window, scene):
    """A window of 1280 by 1024 at 200 % is one of 640 by 512: nothing but tables may need to be scrolled sideways."""
    anna = window("anna")
    anna.set_viewport_size({"width": 640, "height": 512})
    for path in ("/pods/general?show=all", f"/cases/{scene['takedown']}", "/second", "/board", "/remedies", "/audit"):
        anna.goto(path)
        wide = anna.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{path} is {wide} pixels too wide"


def test_htmx_is_the_one_that_its_package_has():
    ours = Path(desk.__file__).parent / "static" / "htmx.min.js"
    theirs = npm.installed(HERE) / "node_modules" / "htmx.org" / "dist" / "htmx.min.js"
    assert ours.read_bytes() == theirs.read_bytes()
