"""What a user sends arrives once and in order, whatever happens to the network, the server or the tab."""

from __future__ import annotations

import contextlib
import re
import time

import pytest
from playwright.sync_api import Page, Route, expect

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


def test_what_is_sent_offline_survives_a_reload_and_arrives_once_and_in_order(stage: Stage) -> None:
    anna, carl = stage.user("anna"), stage.user("carl")
    room = stage.room(anna, carl)
    page, other = stage.page(anna, room), stage.page(carl, room)
    until_kept(page)
    page.context.set_offline(True)
    contents = [f"offline {number}" for number in range(5)]
    for each in contents:
        write(page, each)
    expect(page.locator("status-line")).to_have_text(re.compile("You're offline - 5 actions queued"))
    expect(page.locator("message-row.sending")).to_have_count(5)
    page.reload()
    expect(page.locator("message-row.sending")).to_have_count(5)
    assert shown(page)[-5:] == contents
    assert anna.contents(room) == []
    page.context.set_offline(False)
    until_sent(page)
    assert anna.contents(room) == contents
    expect(other.locator("message-row .body")).to_have_text(contents)
    expect(page.locator("message-row .body")).to_have_text(contents)
    expect(page.locator("status-line")).to_be_hidden()


def test_a_server_killed_between_request_and_answer_has_one_message(frail_stage: Stage) -> None:
    anna = frail_stage.user("anna")
    room = frail_stage.room(anna)
    page = frail_stage.page(anna, room)

    def swallow(route: Route) -> None:
        route.fetch()  # the server has stored it
        stack.enter_context(frail_stage.killed())
        route.abort("connectionreset")

    with contextlib.ExitStack() as stack:
        page.route("**/messages", swallow, times=1)
        write(page, "once")
        expect(page.locator("status-line.offline")).to_be_visible()
    until_sent(page)
    write(page, "and then")
    until_sent(page)
    assert shown(page) == ["once", "and then"]
    anna.client.base_url = frail_stage.url
    assert anna.contents(room) == ["once", "and then"]


def test_ten_quick_clicks_send_one_message(stage: Stage) -> None:
    anna = stage.user("anna")
    room = stage.room(anna)
    page = stage.page(anna, room)
    page.locator("message-composer textarea").fill("only once")
    page.get_by_role("button", name="Send", exact=True).click(click_count=10, delay=5)
    until_sent(page)
    assert shown(page) == ["only once"]
    assert anna.contents(room) == ["only once"]


def test_a_hundred_quick_messages_all_arrive_in_their_order(stage: Stage) -> None:
    anna = stage.user("anna")
    room = stage.room(anna)
    page = stage.page(anna, room)
    contents = [f"quick {number}" for number in range(100)]
    for each in contents:
        write(page, each)
    until_sent(page)
    assert anna.contents(room) == contents
    rows = page.evaluate("document.querySelector('room-view').rows.map((row) => row.message.content)")
    assert rows == contents


def test_another_tab_goes_on_when_the_one_that_delivers_is_closed(stage: Stage) -> None:
    anna = stage.user("anna")
    room = stage.room(anna)
    first = stage.page(anna, room)
    second = stage.again(first.context)
    requests = held(first, "**/messages")  # the tab that delivers waits for its answers
    contents = [f"message {number}" for number in range(20)]
    for each in contents:
        write(first, each)
    until(second, "document.querySelectorAll('message-row.sending').length === 20")
    until_held(first, requests)
    first.close(run_before_unload=False)
    until_sent(second)
    assert anna.contents(room) == contents
    assert shown(second) == contents


def test_a_message_that_failed_says_why_and_is_sent_by_retry(stage: Stage) -> None:
    anna = stage.user("anna")
    room = stage.room(anna)
    page = stage.page(anna, room)
    refusal = '{"error": {"code": "invalid_value", "class": "permanent", "message": "not on a Monday"}}'

    def refuse(route: Route) -> None:
        if route.request.method == "POST":
            route.fulfill(status=400, body=refusal, content_type="application/json")
        else:
            route.fallback()

    stage.complaints_allowed("400 (")
    page.route("**/messages", refuse)
    write(page, "refused")
    write(page, "refused too")
    failed = page.locator("message-row.failed")
    expect(failed).to_have_count(2)
    expect(failed.first.locator(".state span")).to_have_text("Failed to send: not on a Monday")
    page.unroute("**/messages")
    failed.first.get_by_role("button", name="Retry").click()
    expect(failed).to_have_count(1)
    failed.first.get_by_role("button", name="Delete").click()
    expect(failed).to_have_count(0)
    until_sent(page)
    assert anna.contents(room) == ["refused"]
    assert shown(page) == ["refused"]


def test_what_waits_when_the_session_ends_goes_on_after_signing_in_again(stage: Stage) -> None:
    anna = stage.user("anna")
    room = stage.room(anna)
    page = stage.page(anna, room)
    devices = anna.client.get("/v1/auth/devices").json()["devices"]
    for each in devices:
        if not each["is_this"]:
            anna.client.delete(f"/v1/auth/devices/{each['id']}").raise_for_status()
    expect(page.get_by_text("Your session has ended. Sign in again")).to_be_visible()
    page.evaluate("document.querySelector('room-view').submit('kept meanwhile', null)")
    page.get_by_label("Password").fill("wrong password here")
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_text("Name and password do not belong together.")).to_be_visible()
    page.get_by_label("Password").fill("a long enough password")
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.locator("sign-in")).to_be_hidden()
    until_sent(page)
    assert anna.contents(room) == ["kept meanwhile"]


def test_the_element_of_a_message_stays_the_same_when_the_answer_comes(stage: Stage) -> None:
    anna = stage.user("anna")
    room = stage.room(anna)
    page = stage.page(anna, room)
    requests = held(page, "**/messages")
    write(page, "mine")
    page.locator("message-row.sending").wait_for()
    page.evaluate("document.querySelector('message-row').marked = true")
    until_held(page, requests)
    requests[0].continue_()
    until_sent(page)
    assert page.evaluate("document.querySelector('message-row.sent').marked") is True
    assert page.locator("message-row").count() == 1


@pytest.mark.parametrize("action", ["edit", "delete", "react", "pin", "unpin"])
def test_an_action_done_offline_is_seen_once_by_others_after_a_reload(stage: Stage, action: str) -> None:
    anna, carl = stage.user("anna"), stage.user("carl")
    room = stage.room(anna, carl)
    message = anna.post(f"/v1/rooms/{room}/messages", content="first version")["id"]
    if action == "unpin":
        pinned = anna.client.put(f"/v1/rooms/{room}/pins/{message}", json={"client_id": f"pin-{message}"})
        pinned.raise_for_status()
    before = len(anna.client.get(f"/v1/rooms/{room}/events").json()["events"])
    page, other = stage.page(anna, room), stage.page(carl, room)
    until_kept(page)
    until_seen(page, room, 1)
    page.context.set_offline(True)
    _do(page, action)
    until(page, "document.querySelector('chat-app').store.actions().then((all) => all.length === 1)")
    page.reload()
    page.locator("message-row").wait_for()
    _see(page, action)
    page.context.set_offline(False)
    until_sent(page)
    _see(page, action)
    _see(other, action)
    (stored,) = anna.messages(room)
    told = {
        "edit": stored["content"] == "changed",
        "delete": stored["content"] is None,
        "react": [each["emoji"] for each in stored["reactions"]] == ["👍"],
        "pin": stored["is_pinned"],
        "unpin": not stored["is_pinned"],
    }
    assert told[action]
    events = anna.client.get(f"/v1/rooms/{room}/events").json()["events"]
    assert len(events) == before + 1


def _do(page: Page, action: str) -> None:
    row = page.locator("message-row")
    row.hover()
    if action == "edit":
        row.get_by_role("button", name="Edit").click()
        write(page, "changed")
    elif action == "delete":
        row.get_by_role("button", name="Delete").click()
        page.locator("dialog").get_by_role("button", name="Delete").click()
    elif action == "react":
        row.get_by_role("button", name="React").click()
        page.locator("dialog").get_by_role("button", name="👍").click()
    else:
        row.get_by_role("button", name=action.title(), exact=True).click()


def _see(page: Page, action: str) -> None:
    row = page.locator("message-row")
    if action == "unpin":
        expect(row.locator(".pinned")).to_have_count(0)
        return
    words = {"edit": "changed", "delete": "This message was deleted.", "react": "👍 1", "pin": "Pinned"}
    expect(row).to_contain_text(words[action])


def test_a_session_that_has_run_out_is_renewed_without_a_word(stage: Stage) -> None:
    anna = stage.user("anna")
    room = stage.room(anna)
    page = stage.page(anna, room)
    cookies = page.context.cookies()
    assert all(each["httpOnly"] and each["sameSite"] == "Strict" for each in cookies)
    assert len(cookies) == 2
    page.context.clear_cookies(name="dataserver_access")
    write(page, "still here")
    until_sent(page)
    assert anna.contents(room) == ["still here"]
    assert page.locator("sign-in").is_hidden()


def test_a_browser_without_space_keeps_the_draft_and_says_so(stage: Stage) -> None:
    anna = stage.user("anna")
    room = stage.room(anna)
    page = stage.page(anna, room)
    page.evaluate(
        """() => { const app = document.querySelector('chat-app');
        app.store.add = () => Promise.reject(new DOMException('full', 'QuotaExceededError')); }"""
    )
    write(page, "not lost")
    box = page.locator("message-composer textarea")
    expect(box).to_have_value("not lost")
    expect(page.locator("message-composer .problem")).to_contain_text("no space left")
    expect(page.locator("message-row")).to_have_count(0)
    page.reload()
    expect(box).to_have_value("not lost")
    box.press("Enter")
    until_sent(page)
    assert anna.contents(room) == ["not lost"]


def test_an_outbox_that_is_full_takes_no_more_and_keeps_the_draft(stage: Stage) -> None:
    anna = stage.user("anna")
    room = stage.room(anna)
    page = stage.page(anna, room)
    page.context.set_offline(True)
    page.evaluate(
        """() => { const { outbox, view } = document.querySelector('chat-app');
        for (let n = outbox.waiting().length; n < 1000; n += 1) outbox.enqueue('send-message', { room_id: view.roomId, content: `n${n}` }); }"""
    )
    write(page, "one too many")
    expect(page.locator("message-composer textarea")).to_have_value("one too many")
    expect(page.locator("message-composer .problem")).to_contain_text("Too much is waiting")
    expect(page.locator("status-line")).to_contain_text("1000 actions queued")


def test_an_action_that_a_crashed_tab_had_under_way_is_asked_about_and_not_done_twice(stage: Stage) -> None:
    anna = stage.user("anna")
    room = stage.room(anna)
    page = stage.page(anna, room)

    def swallow(route: Route) -> None:
        route.fetch()  # stored, and the tab is gone before it hears of it

    page.route("**/messages", swallow, times=1)
    write(page, "once")
    deadline = 0
    while anna.contents(room) != ["once"]:
        deadline += 1
        assert deadline < 200
        page.wait_for_timeout(20)
    context = page.context
    page.close(run_before_unload=False)
    again = stage.again(context)
    until_sent(again)
    assert anna.contents(room) == ["once"]
    assert shown(again) == ["once"]


def test_a_server_that_asks_for_time_is_given_it(stage: Stage) -> None:
    anna = stage.user("anna")
    room = stage.room(anna)
    page = stage.page(anna, room)
    stage.complaints_allowed("503 (")
    times: list[float] = []
    busy = '{"error": {"code": "queue_full", "class": "rate", "message": "later", "retry_after_ms": 900}}'

    def answer(route: Route) -> None:
        times.append(time.monotonic())
        if len(times) == 1:
            route.fulfill(status=503, body=busy, content_type="application/json")
        else:
            route.fallback()

    page.route("**/messages", answer)
    write(page, "patient")
    write(page, "behind it")
    until_sent(page)
    assert anna.contents(room) == ["patient", "behind it"]
    assert len(times) >= 3


def test_a_message_that_is_taken_back_while_it_waits_does_not_hold_up_the_one_behind_it(stage: Stage) -> None:
    anna = stage.user("anna")
    room = stage.room(anna)
    page = stage.page(anna, room)
    stage.complaints_allowed("503 (")
    stage.complaints_allowed("409 (")
    busy = '{"error": {"code": "queue_full", "class": "rate", "message": "later", "retry_after_ms": 60000}}'

    def refuse(route: Route) -> None:
        route.fulfill(status=503, body=busy, content_type="application/json")

    page.route("**/messages", refuse, times=1)
    write(page, "taken back")
    page.get_by_role("button", name="Pending", exact=True).click()
    expect(page.locator(".actions li.retry_wait")).to_have_count(1)
    write(page, "goes on")
    page.locator(".actions li.retry_wait").get_by_role("button", name="Cancel").click()
    until_sent(page)
    assert anna.contents(room) == ["goes on"]
    assert shown(page) == ["goes on"]


def test_every_tab_shows_the_same_and_a_failure_in_one_is_seen_in_all(stage: Stage) -> None:
    anna = stage.user("anna")
    room = stage.room(anna)
    first = stage.page(anna, room)
    second = stage.again(first.context)
    first.context.set_offline(True)
    write(second, "from the second")
    write(first, "from the first")
    for each in (first, second):
        expect(each.locator("message-row.sending .body")).to_have_text(["from the second", "from the first"])
        expect(each.locator("status-line")).to_contain_text("2 actions queued")
    second.get_by_role("button", name="Pending", exact=True).click()
    second.locator(".actions li").first.get_by_role("button", name="Cancel").click()
    expect(first.locator("message-row.sending .body")).to_have_text(["from the first"])
    first.context.set_offline(False)
    for each in (first, second):
        until_sent(each)
        assert shown(each) == ["from the first"]
    assert anna.contents(room) == ["from the first"]


def test_what_is_done_to_spaces_members_and_the_profile_offline_is_done_once_after_a_reload(
    stage: Stage,
) -> None:
    anna, carl, dora, emil = (stage.user(name) for name in ("anna", "carl", "dora", "emil"))
    room = stage.room(anna, carl, dora, emil)
    anna.post(f"/v1/rooms/{room}/messages", content="said")
    open_space = dora.post("/v1/spaces", name="Open to all", is_open=True)["id"]
    left = dora.post("/v1/spaces", name="To be left", is_open=True)["id"]
    anna.post(f"/v1/spaces/{left}/join")
    space = next(
        each["id"] for each in anna.client.get("/v1/spaces").json()["spaces"] if each["role"] == "owner"
    )
    anna.client.put(f"/v1/spaces/{space}/members/{emil.id}/mute", json={"client_id": f"mute-{emil.id}"})
    page, other = stage.page(anna, room), stage.page(carl, room)
    until_kept(page)
    for each in (page, other):
        each.get_by_role("button", name="Members", exact=True).click()
        expect(each.locator(".members li")).to_have_count(4)
    before = anna.client.get(f"/v1/rooms/{space}/events").json()["events"][-1]["seq"]
    until_seen(page, room, 1)
    page.context.set_offline(True)
    act = "(said) => document.querySelector('chat-app').act(...said)"
    for type_, payload in (
        ("update-profile", {"fields": {"display_name": "Anna B."}}),
        ("update-space", {"space_id": space, "fields": {"name": "Renamed"}, "base_version": 1}),
        ("mute-user", {"space_id": space, "user_id": carl.id, "was": False}),
        ("unmute-user", {"space_id": space, "user_id": emil.id, "was": True}),
        ("kick-user", {"space_id": space, "user_id": dora.id}),
        ("join-space", {"space_id": open_space, "was": False}),
        ("leave-space", {"space_id": left, "was": True}),
    ):
        page.evaluate(act, [type_, payload])
    expect(page.locator("status-line")).to_contain_text("7 actions queued")
    until(page, "document.querySelector('chat-app').store.actions().then((all) => all.length === 7)")
    page.reload()
    expect(page.locator("status-line")).to_contain_text("7 actions queued")
    expect(page.locator("side-bar")).to_contain_text("Renamed")
    expect(page.locator("side-bar")).not_to_contain_text("To be left")
    page.context.set_offline(False)
    until_sent(page)
    expect(page.locator("side-bar")).to_contain_text("Open to all")
    for each in (page, other):  # on a second client too
        expect(each.locator("side-bar")).to_contain_text("Renamed")
    expect(other.locator(".members li")).to_have_count(3)
    expect(other.locator(".members li", has_text=carl.name)).to_contain_text("muted")
    expect(other.locator(".members li", has_text=emil.name)).not_to_contain_text("muted")
    assert anna.client.get("/v1/me").json()["display_name"] == "Anna B."
    events = anna.client.get(f"/v1/rooms/{space}/events?after_seq={before}").json()["events"]
    kinds = ["member.kicked", "member.muted", "member.unmuted", "space.updated"]
    assert sorted(each["kind"] for each in events) == kinds
    names = {each["name"] for each in anna.client.get("/v1/spaces").json()["spaces"]}
    assert names == {"Renamed", "Open to all"}


def test_what_was_sent_is_kept_even_if_the_page_is_reloaded_that_moment(stage: Stage) -> None:
    anna = stage.user("anna")
    room = stage.room(anna)
    page = stage.page(anna, room)
    page.route(
        "**/messages", lambda route: route.abort() if route.request.method == "POST" else route.fallback()
    )
    with page.expect_navigation():
        page.evaluate(
            "document.querySelector('room-view').submit('at the last moment', null); location.reload()"
        )
    page.unroute_all()
    page.locator("message-row").wait_for()
    until_sent(page)
    assert shown(page) == ["at the last moment"]
    assert anna.contents(room) == ["at the last moment"]


def test_a_lane_that_is_broken_by_a_bug_asks_the_server_and_goes_on(stage: Stage) -> None:
    anna = stage.user("anna")
    room = stage.room(anna)
    page = stage.page(anna, room)
    stage.complaints_allowed("a lane stopped")
    page.evaluate(
        """() => { const { drain } = document.querySelector('chat-app').outbox;
        const { settle } = drain;
        drain.settle = () => { drain.settle = settle; throw new Error('a bug'); }; }"""
    )
    write(page, "once")
    until_sent(page)
    assert anna.contents(room) == ["once"]
    assert shown(page) == ["once"]


def test_a_page_that_could_not_fetch_a_part_of_it_at_first_is_kept_for_offline_all_the_same(
    stage: Stage,
) -> None:
    anna = stage.user("anna")
    room = stage.room(anna)
    context = stage.context()
    context.route("**/web/later/groups.js", lambda route: route.abort("connectionreset"), times=1)
    page = stage.page(anna, room, context)
    until_kept(page)
