"""A broker that goes away and comes back: what people see meanwhile, and that the desk goes on by itself."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.town import EVERYTHING, a_town

pytestmark = pytest.mark.long
RETURN_MS = 90_000
"""Clients wait longer from try to try the longer a broker is gone."""


def test_a_broker_that_goes_away_is_told_and_one_that_comes_back_too(
    kafka_server, redis_url, tmp_path, browser: Browser
):
    server = kafka_server()
    with a_town(server.bootstrap, redis_url, tmp_path) as town:
        headers = {"x-forwarded-user": "anna", "x-forwarded-groups": EVERYTHING}
        page = browser.new_context(base_url=town.address, extra_http_headers=headers).new_page()
        case_id = town.appeal()
        page.goto("/pods/general?show=all")
        expect(page.locator(f'a.open[href="/cases/{case_id}"]')).to_be_visible()
        server.kill()
        expect(page.get_by_text("Kafka does not answer. This is the queue as of")).to_be_visible(timeout=RETURN_MS)
        page.get_by_role("button", name="Claim the next case").click()
        expect(page.get_by_text("Kafka did not take it.")).to_be_visible(timeout=RETURN_MS)
        expect(page.get_by_text("Kafka has not answered since")).to_be_visible()
        server.start()
        page.goto("/pods/general?show=all")
        expect(page.get_by_text("Kafka does not answer.")).to_have_count(0, timeout=RETURN_MS)
        later = town.appeal()
        expect(page.locator(f'a.open[href="/cases/{later}"]')).to_be_visible(timeout=RETURN_MS)
        page.locator(f'a.open[href="/cases/{later}"]').click()
        page.locator("#claim").click()
        expect(page.get_by_text("The case is yours.")).to_be_visible(timeout=RETURN_MS)
        page.context.close()
