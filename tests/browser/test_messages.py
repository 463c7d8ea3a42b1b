"""What is done with messages on the chat page, how it looks for whom, and what the page says meanwhile."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.stage import (
    Stage,
    held,
    shown,
    until,
    until_held,
    until_kept,
    until_seen,
    until_sent,
    write,
)


def test_what_a_message_said_before_is_shown_with_who_and_when(stage: Stage) -> None:
    anna, carl = stage.user("anna"), stage.user("carl")
    room = stage.room(anna, carl)
    message = anna.post(f"/v1/rooms/{room}/messages", content="the <b>first</b> text")["id"]
    for number, content in enumerate(("the second text", "the third text")):
        anna.client.patch(
            f"/v1/rooms/{room}/messages/{message}",
            json={"client_id": f"e{message}-{number}", "content": content},
        ).raise_for_status()
    page = stage.page(carl, room)
    expect(page.locator("message-row .body")).to_have_text("the third text (edited)")
    page.get_by_role("button", name="(edited)").focus()
    page.keyboard.press("Enter")
    versions = page.locator("dialog .versions li")
    expect(versions.locator(".body")).to_have_text(
        ["the <b>first</b> text", "the second text", "the third text"]
    )
    expect(versions.locator("time")).to_have_count(3)
    for each in versions.all():
        expect(each.locator(".from")).to_contain_text(anna.name.title())
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_have_count(0)


def _page_of_60_lines(stage: Stage) -> Page:
    """Return a page with a room that is longer than it."""
    anna = stage.user("anna")
    room = stage.room(anna)
    for number in range(60):
        anna.post(f"/v1/rooms/{room}/messages", content=f"line {number}")
    page = stage.page(anna, room)
    expect(page.locator("message-row").last).to_contain_text("line 59")
    return page


def test_a_bookmark_leads_back_to_its_message_and_can_be_taken_away(stage: Stage) -> None:
    page = _page_of_60_lines(stage)
    page.locator(".scroller").focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    expect(page.locator("message-row:focus")).to_contain_text("line 58")
    page.keyboard.press("b")
    page.get_by_role("button", name="Bookmarks", exact=True).click()
    hits = page.locator("side-panel .hit")
    expect(hits).to_have_text(["line 58"])
    page.evaluate("document.querySelector('.scroller').scrollTop = 0")
    expect(page.locator("message-row", has_text="line 58")).to_have_count(0)
    hits.first.click()
    expect(page.locator("message-row:focus")).to_contain_text("line 58")
    until(
        page, "document.querySelector('chat-app').store.seen('bookmarks').then((kept) => kept.length === 1)"
    )
    page.reload()
    page.locator("message-row", has_text="line 58").hover()
    page.locator("message-row", has_text="line 58").get_by_role("button", name="Unbookmark").click()
    page.get_by_role("button", name="Bookmarks", exact=True).click()
    expect(hits).to_have_count(0)
    expect(page.locator("side-panel")).to_contain_text("Nothing here.")


def test_what_one_sends_is_in_sight_wherever_one_had_scrolled_to(stage: Stage) -> None:
    page = _page_of_60_lines(stage)
    page.locator(".scroller").hover()
    page.mouse.wheel(0, -2_000)
    expect(page.get_by_role("button", name="To the newest")).to_be_visible()
    write(page, "mine")
    expect(page.locator("message-row", has_text="mine")).to_be_in_viewport()
    expect(page.get_by_role("button", name="To the newest")).to_be_hidden()
    until_sent(page)
    expect(page.locator("message-row", has_text="mine")).to_be_in_viewport()


def test_what_is_on_its_way_is_counted_until_it_is_there(stage: Stage) -> None:
    anna = stage.user("anna")
    room = stage.room(anna)
    page = stage.page(anna, room)
    requests = held(page, "**/messages", times=1)
    write(page, "one")
    write(page, "two")
    expect(page.locator("message-row.sending .state")).to_have_text(["Sending…", "Sending…"])
    expect(page.locator("status-line")).to_contain_text("Syncing (2 pending)")
    until_held(page, requests)
    requests[0].continue_()
    until_sent(page)
    expect(page.locator("status-line")).to_be_hidden()
    expect(page.locator("message-row .state")).to_have_count(0)


def test_what_fails_is_undone_and_only_what_is_to_be_told_is_told(stage: Stage) -> None:
    anna = stage.user("anna")
    room = stage.room(anna)
    anna.post(f"/v1/rooms/{room}/messages", content="said")
    page = stage.page(anna, room)
    stage.complaints_allowed("404 (")
    refusal = '{"error": {"code": "not_permitted", "class": "permanent", "message": "not today"}}'
    for address in ("**/reactions/**", "**/pins/**", f"**/v1/rooms/{room}/messages/*"):
        page.route(
            address, lambda route: route.fulfill(status=404, body=refusal, content_type="application/json")
        )
    row = page.locator("message-row")
    row.hover()
    row.get_by_role("button", name="React").click()
    page.locator("dialog").get_by_role("button", name="👍").click()
    until(page, "document.querySelector('chat-app').outbox.waiting().length === 0")
    expect(row.locator(".reactions")).to_have_count(0)
    expect(page.locator(".toast")).to_have_count(0)
    row.hover()
    row.get_by_role("button", name="Pin", exact=True).click()
    expect(page.locator(".toast")).to_have_text(re.compile("Failed to pin message: not today"))
    expect(row.locator(".pinned")).to_have_count(0)
    row.hover()
    row.get_by_role("button", name="Edit", exact=True).click()
    write(page, "otherwise")
    expect(page.locator(".toast").last).to_have_text(re.compile("Failed to edit message: not today"))
    expect(row.locator(".body")).to_have_text("said")


def test_a_new_message_of_others_is_told_to_screen_readers(stage: Stage) -> None:
    anna, carl = stage.user("anna"), stage.user("carl")
    room = stage.room(anna, carl)
    page = stage.page(anna, room)
    expect(page.locator("message-list .empty")).to_have_text("Nothing has been said here yet.")
    carl.post(f"/v1/rooms/{room}/messages", content="good morning")
    heard = page.get_by_role("log")
    expect(heard).to_have_attribute("aria-live", "polite")
    expect(heard).to_have_text(f"New message from {carl.name.title()}: good morning")
    expect(page.get_by_role("listitem", name=f"{carl.name.title()}: good morning")).to_be_visible()


def test_panels_and_dialogs_are_worked_by_keyboard_alone_and_give_the_focus_back(stage: Stage) -> None:
    anna = stage.user("anna")
    page = stage.page(anna, stage.room(anna))
    keys = page.keyboard
    for name in ("Pins", "Bookmarks", "Members", "Pending", "Search"):
        opener = page.get_by_role("button", name=name, exact=True)
        opener.focus()
        keys.press("Enter")
        expect(page.locator("side-panel")).to_have_attribute("aria-label", name)
        until(page, "document.querySelector('side-panel').contains(document.activeElement)")
        keys.press("Escape")
        expect(page.locator("side-panel")).to_be_hidden()
        expect(opener).to_be_focused()
    for name, label in (("Settings of", "Space"), ("Profile of", "You")):
        opener = page.get_by_role("button", name=name)
        opener.focus()
        keys.press("Enter")
        expect(page.locator("side-panel")).to_have_attribute("aria-label", label)
        expect(page.locator("side-panel input").first).to_be_visible()
        keys.press("Escape")
        expect(opener).to_be_focused()


def test_a_channel_is_made_and_messages_are_pinned_answered_and_deleted_by_keyboard_alone(
    stage: Stage,
) -> None:
    anna = stage.user("anna")
    page = stage.page(anna, stage.room(anna))
    keys = page.keyboard
    page.get_by_role("button", name="New channel in").focus()
    keys.press("Enter")
    expect(page.get_by_label("Name", exact=True)).to_be_focused()
    keys.type("plans")
    keys.press("Tab")
    keys.type("what is next")
    keys.press("Enter")
    expect(page.locator("room-view .topic")).to_have_text("what is next")
    expect(page.locator("message-composer textarea")).to_be_focused()
    keys.type("typed")
    keys.press("Enter")
    until_sent(page)
    page.locator(".scroller").focus()
    keys.press("ArrowUp")
    keys.press("p")
    expect(page.locator("message-row .pinned")).to_be_visible()
    keys.press("r")
    keys.type("an answer")
    keys.press("Enter")
    expect(page.locator("message-row .answered")).to_contain_text("typed")
    until_sent(page)
    page.locator(".scroller").focus()
    keys.press("ArrowUp")
    keys.press("Delete")
    dialog = page.locator("dialog")
    expect(dialog).to_be_visible()
    keys.press("Escape")
    expect(dialog).to_have_count(0)
    keys.press("Delete")
    expect(dialog).to_be_visible()
    keys.press("Tab")
    keys.press("Enter")
    expect(page.locator("message-row").last).to_contain_text("This message was deleted.")
    until_sent(page)


def test_whoever_wants_less_motion_gets_none(stage: Stage) -> None:
    anna = stage.user("anna")
    room = stage.room(anna)
    moving = "getComputedStyle(document.querySelector('side-bar')).transitionDuration"
    for motion, seconds in (("no-preference", "0.15s, 0.15s"), ("reduce", "0s")):
        page = stage.page(anna, room, reduced_motion=motion, viewport={"width": 1000, "height": 700})
        page.set_viewport_size({"width": 380, "height": 700})
        assert page.evaluate(moving) == seconds


def test_from_right_to_left_everything_stands_on_the_other_side(stage: Stage) -> None:
    anna = stage.user("anna")
    room = stage.room(anna)
    anna.post(f"/v1/rooms/{room}/messages", content="مرحبا بالعالم")
    anna.post(f"/v1/rooms/{room}/messages", content="and in English")
    page = stage.page(anna, room)
    bodies = page.locator("message-row .body")
    expect(bodies).to_have_count(2)
    ways = bodies.evaluate_all("all => all.map((each) => getComputedStyle(each).direction)")
    assert ways == ["rtl", "ltr"]  # each by what it says
    for direction in ("ltr", "rtl"):
        page.evaluate("(way) => { document.documentElement.dir = way; }", direction)
        page.get_by_role("button", name="Members", exact=True).click()
        expect(page.locator("side-panel")).to_be_visible()
        side, main, panel, face, author = (
            _left(page, each) for each in ("side-bar", "main", "side-panel", "message-row .avatar", ".author")
        )
        placed = [side < main < panel, face < author]
        assert placed == [direction == "ltr"] * 2
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.get_by_role("button", name="Close").click()


def _left(page: Page, selector: str) -> float:
    box = page.locator(selector).first.bounding_box()
    assert box is not None
    return box["x"]


@pytest.mark.parametrize("width", [320, 380])
def test_a_narrow_screen_shows_one_thing_at_a_time_and_all_of_it(stage: Stage, width: int) -> None:
    anna = stage.user(
        "anna", display_name="Anna with a name that is longer than any screen is wide, as some are"
    )
    room = stage.room(anna)
    space = anna.client.get("/v1/spaces").json()["spaces"][0]["id"]
    other = anna.post(
        f"/v1/spaces/{space}/rooms", name="a-channel-whose-name-does-not-want-to-end-on-any-line"
    )["id"]
    page = stage.page(anna, room)
    page.set_viewport_size({"width": width, "height": 640})
    expect(page.locator("side-bar")).to_be_hidden()
    page.get_by_role("button", name="Menu").click()
    expect(page.locator("side-bar")).to_be_visible()
    page.locator(f"[data-room='{other}']").click()
    expect(page.locator("side-bar")).to_be_hidden()
    write(page, "word " * 60 + "x" * 300)
    until_sent(page)
    for name in ("Search", "Members"):
        page.get_by_role("button", name=name, exact=True).click()
        expect(page.locator("side-panel")).to_be_in_viewport(ratio=0.99)
        page.get_by_role("button", name="Close").click()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate(
        "[...document.querySelectorAll('message-row, room-view > header *, message-composer *')]"
        ".every((each) => each.getBoundingClientRect().right <= innerWidth + 1)"
    )


def test_what_is_fetched_later_is_there_without_a_connection_too(stage: Stage) -> None:
    anna = stage.user("anna")
    room = stage.room(anna)
    anna.post(f"/v1/rooms/{room}/messages", content="said")
    page = stage.page(anna, room)
    until_kept(page)
    until_seen(page, room, 1)
    page.context.set_offline(True)
    page.reload()
    page.locator("message-row").hover()
    page.locator("message-row").get_by_role("button", name="React").click()
    page.locator("dialog").get_by_role("button", name="🎉").click()
    expect(page.locator(".reactions")).to_contain_text("🎉 1")
    page.get_by_role("button", name="Profile of").click()
    panel = page.locator("side-panel")
    panel.get_by_label("Display name").fill("Anna Offline")
    panel.get_by_role("button", name="Save").click()
    page.get_by_role("button", name="Pending", exact=True).click()
    expect(page.locator(".actions li")).to_have_count(2)
    page.context.set_offline(False)
    until_sent(page)
    assert anna.client.get("/v1/me").json()["display_name"] == "Anna Offline"


def test_a_part_that_can_not_be_fetched_says_so_and_comes_when_it_can(stage: Stage) -> None:
    anna = stage.user("anna")
    room = stage.room(anna)
    stage.complaints_allowed("Service Worker registration blocked")
    context = stage.context(service_workers="block")
    context.route("**/web/later/**", lambda route: route.abort())
    page = stage.page(anna, room, context=context)
    page.get_by_role("button", name="Members", exact=True).click()
    expect(page.locator("toast-area")).to_contain_text("This part of the page is not here")
    write(page, "and yet")
    until_sent(page)
    context.unroute("**/web/later/**")
    page.get_by_role("button", name="Members", exact=True).click()
    expect(page.locator(".members li")).to_have_count(1)
    assert shown(page) == ["and yet"]


def test_what_is_searched_for_are_words_unless_it_is_syntax(stage: Stage) -> None:
    anna = stage.user("anna")
    room = stage.room(anna)
    for content in ("it's at 12:30 in C++", "tomorrow at noon", 'she said "yes'):
        anna.post(f"/v1/rooms/{room}/messages", content=content)
    page = stage.page(anna, room)
    page.get_by_role("button", name="Search", exact=True).click()
    hits = page.locator("side-panel .hit")
    asked = page.get_by_label("Search messages")
    for query, found in (
        ("12:30", ["it's at 12:30 in C++"]),
        ("it's C++", ["it's at 12:30 in C++"]),
        ("noon OR yes", ['she said "yes', "tomorrow at noon"]),
        ("tomo*", ["tomorrow at noon"]),
    ):
        asked.fill(query)
        expect(hits).to_have_count(len(found))
        assert sorted(hits.all_inner_texts()) == found
    stage.complaints_allowed("400 (")
    asked.fill('said "yes')
    expect(hits).to_have_text(['she said "yes'])
