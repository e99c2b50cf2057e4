"""Fixtures: one town and one Chromium for all, a window for each person."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser.chromium import chromium
from tests.browser.town import EVERYTHING, Town, a_town

WAIT_MS = 15_000
"""A guard: what is waited for takes a fraction of a second."""


# Of the package, not of the session: a playwright that is there has an event loop running, under all that follows.
@pytest.fixture(scope="package")
def town(kafka: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with a_town(kafka, redis_url, tmp_path_factory.mktemp("town")) as town:
        yield town


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=WAIT_MS)
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium(), args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture
def window(browser: Browser, town: Town) -> Iterator[Callable[..., Page]]:
    """Give a function that opens a window for somebody; whatever goes wrong in it fails the test."""
    opened = []

    def window(name: str = "anna", groups: str = EVERYTHING, **more) -> Page:
        headers = {"x-forwarded-user": name, "x-forwarded-groups": groups}
        context = browser.new_context(
            base_url=town.address,
            extra_http_headers=headers,
            viewport={"width": 1360, "height": 900},
            reduced_motion="reduce",  # a colour on its way to another has a contrast of its own
            **more,
        )
        context.set_default_timeout(WAIT_MS)
        page = context.new_page()
        page.faults = []
        page.on("pageerror", lambda error: page.faults.append(f"error: {error}"))
        page.on("dialog", lambda dialog: (page.faults.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("console", lambda line: page.faults.append(line.text) if "Content Security" in line.text else None)
        opened.append((context, page))
        return page

    yield window
    faults = [fault for _, page in opened for fault in page.faults]
    for context, _ in opened:
        context.close()
    assert not faults


@pytest.fixture(scope="session")
def pictures(request: pytest.FixtureRequest) -> Path | None:
    """Give the folder for pictures; none: nobody wants any."""
    folder = request.config.getoption("--pictures")
    return None if folder is None else Path(folder)
