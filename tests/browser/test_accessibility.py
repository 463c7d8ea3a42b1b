"""No serious finding of axe in any main state of the chat page, light and dark, wide and narrow."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.stage import Stage, until_sent, write


def _check(page: Page, state: str) -> None:
    found = Axe().run(page).response["violations"]
    serious = [
        (state, each["id"], [node["html"][:150] for node in each["nodes"]])
        for each in found
        if each["impact"] in {"serious", "critical"}
    ]
    assert not serious, serious


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_state_of_the_page_has_a_serious_finding(stage: Stage, scheme: str) -> None:
    anna, carl = stage.user("anna"), stage.user("carl")
    room = stage.room(anna, carl)
    carl.post(f"/v1/rooms/{room}/messages", content=f"hello <@{anna.id}>, see https://example.org/")
    message = carl.post(f"/v1/rooms/{room}/messages", content="to be edited")["id"]
    edit = {"client_id": f"edit-{message}", "content": "otherwise"}
    carl.client.patch(f"/v1/rooms/{room}/messages/{message}", json=edit).raise_for_status()
    anna.post(f"/v1/spaces/{anna.client.get('/v1/spaces').json()['spaces'][0]['id']}/groups", name="Work")
    asked = stage.context(color_scheme=scheme).new_page()
    asked.goto("/")
    asked.locator("sign-in input").first.wait_for()
    _check(asked, "sign in")
    page = stage.page(anna, room, color_scheme=scheme)
    expect(page.locator("section.group")).to_have_count(1)
    write(page, "an answer")
    until_sent(page)
    _check(page, "room")
    for name in ("Search", "Pins", "Bookmarks", "Members", "Pending"):
        page.get_by_role("button", name=name, exact=True).click()
        _check(page, name)
    for opener in ("New space", "New group in", "Join a space", "New folder"):
        page.get_by_role("button", name=opener).click()
        page.locator("dialog").wait_for()
        _check(page, opener)
        page.keyboard.press("Escape")
        expect(page.locator("dialog")).to_have_count(0)
    for opener in ("Profile of", "Settings of"):
        page.get_by_role("button", name=opener).click()
        page.locator("side-panel section").first.wait_for()
        _check(page, opener)
    page.get_by_role("button", name="(edited)").click()
    page.locator("dialog .versions").wait_for()
    _check(page, "history")
    page.keyboard.press("Escape")
    page.locator("message-row").first.hover()
    page.locator("message-row").first.get_by_role("button", name="React").click()
    _check(page, "emoji")
    page.keyboard.press("Escape")
    page.context.set_offline(True)
    write(page, "waits")
    page.locator("status-line.offline").wait_for()
    _check(page, "offline")
    page.context.set_offline(False)
    until_sent(page)
    page.set_viewport_size({"width": 380, "height": 700})
    page.wait_for_timeout(300)
    _check(page, "narrow")
    page.get_by_role("button", name="Menu").click()
    page.wait_for_timeout(300)
    _check(page, "narrow menu")
