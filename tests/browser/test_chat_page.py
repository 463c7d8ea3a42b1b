"""The chat page as people use it: by mouse, by keyboard, on narrow screens, in long rooms; and what it must never do."""

from __future__ import annotations

import os
import statistics
from contextlib import closing
from pathlib import Path

import apsw
import httpx2
import pytest
from playwright.sync_api import Page, Route, expect
from websockets.sync.client import connect

from dataserver import web
from tests.browser.stage import PASSWORD, Stage, User, shown, until, until_kept, until_sent, write
from tests.support.command_line import RunningServer

MOST_BYTES = 150_000
XSS = (
    "<img src=x onerror=window.broken=1>",
    "<script>window.broken=1</script>",
    "javascript:window.broken=1",
    'https://example.org/" onmouseover="window.broken=1',
    "http://javascript:window.broken=1//",
    "'\"><svg/onload=window.broken=1>",
    "{{constructor.constructor('window.broken=1')()}}",
)


def test_an_account_is_made_and_a_space_and_a_first_message_sent_by_keyboard_alone(stage: Stage) -> None:
    page = stage.context().new_page()
    page.goto("/")
    keys = page.keyboard
    page.locator("sign-in input").first.wait_for()
    name = f"keys-{os.getpid()}"
    keys.type(name)
    keys.press("Tab")
    keys.type(PASSWORD)
    keys.press("Tab")
    keys.press("Tab")
    keys.press("Enter")  # to making an account
    expect(page.get_by_role("heading", name="Make an account")).to_be_visible()
    keys.press("Shift+Tab")
    keys.press("Shift+Tab")
    keys.press("Enter")
    page.locator("side-bar").wait_for()
    _tab_to(page, "New space")
    keys.press("Enter")
    page.locator("dialog input").first.wait_for()
    keys.type("Mine")
    keys.press("Enter")
    box = page.locator("message-composer textarea")
    expect(box).to_be_focused()
    keys.type("typed")
    keys.press("Shift+Enter")
    keys.type("in two lines")
    keys.press("Enter")
    until_sent(page)
    assert shown(page) == ["typed\nin two lines"]
    keys.press("ArrowUp")
    keys.press("End")
    keys.press("Control+A")
    keys.type("better")
    keys.press("Enter")
    until_sent(page)
    expect(page.locator("message-row .body")).to_have_text("better (edited)")
    page.locator(".scroller").focus()
    keys.press("ArrowUp")
    expect(page.locator("message-row")).to_be_focused()
    keys.press("+")
    page.locator("dialog").wait_for()
    keys.press("Enter")
    expect(page.locator("message-row .reactions")).to_contain_text("1")
    keys.press("Control+k")
    expect(page.get_by_label("Search messages")).to_be_focused()
    keys.type("better")
    expect(page.locator("side-panel .hit")).to_have_count(1)
    keys.press("Escape")
    expect(page.locator("side-panel")).to_be_hidden()


def _tab_to(page: Page, name: str) -> None:
    for _ in range(40):
        if page.evaluate("document.activeElement.textContent") == name:
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{name} is not reached by Tab")


def test_nothing_that_a_user_wrote_is_ever_run_or_taken_for_html(stage: Stage) -> None:
    evil = stage.user("evil", display_name=XSS[0])
    anna = stage.user("anna")
    space = evil.post("/v1/spaces", name=XSS[5], description=XSS[1], is_open=True)["id"]
    room = evil.post(f"/v1/spaces/{space}/rooms", name=XSS[1], topic=XSS[0])["id"]
    anna.post(f"/v1/spaces/{space}/join")
    message = [evil.post(f"/v1/rooms/{room}/messages", content=each)["id"] for each in XSS][-1]
    evil.client.put(f"/v1/rooms/{room}/messages/{message}/reactions/%3Cb%3E", json={"client_id": "evil"})
    evil.client.put(f"/v1/rooms/{room}/pins/{message}", json={"client_id": "evil-pin"}).raise_for_status()
    evil.post(f"/v1/spaces/{space}/groups", name=XSS[5])
    pictures = [{"name": each[:60], "image": each} for each in XSS]
    roles = dict.fromkeys(("owner", "member"), XSS[0])
    fields = {"role_names": roles, "emoji": pictures, "stickers": pictures}
    evil.client.patch(
        f"/v1/spaces/{space}", json={"client_id": f"evil-space-{space}", "fields": fields}
    ).raise_for_status()
    evil.client.patch(
        "/v1/me/profile", json={"client_id": f"evil-{evil.id}", "fields": {"about": XSS[0]}}
    ).raise_for_status()
    httpx2.post(
        f"{stage.url}/v1/auth/login", json={"name": evil.name, "password": PASSWORD, "device": XSS[0]}
    ).raise_for_status()
    own = stage.page(evil, room)
    for opener in ("Profile of", "Settings of '", "Members", "Bookmarks"):
        own.get_by_role("button", name=opener).first.click()
        own.locator("side-panel .content > *").first.wait_for()
    assert own.evaluate("window.broken") is None
    assert own.locator("side-panel img, side-panel script, side-panel svg, side-bar img").count() == 0
    page = stage.page(anna, room)
    expect(page.locator("message-row")).to_have_count(len(XSS))
    for panel in ("Pins", "Members", "Search", "Pending"):
        page.get_by_role("button", name=panel, exact=True).click()
    page.get_by_role("button", name="Search", exact=True).click()
    page.get_by_label("Search messages").fill("window")
    page.locator("side-panel .hit").first.wait_for()
    assert shown(page) == list(XSS)
    assert page.evaluate("window.broken") is None
    assert page.locator("message-row img, message-row script, message-row svg, side-bar img").count() == 0
    for address in page.locator("message-row a").evaluate_all("links => links.map((link) => link.href)"):
        assert address.startswith(("https://example.org/", "http://"))
        assert "onmouseover" not in address


def test_the_page_is_sent_with_a_policy_that_forbids_what_it_does_not_need(stage: Stage) -> None:
    for path in ("/", "/service_worker.js", "/web/page/app.js", "/web/chat.css"):
        headers = httpx2.get(stage.url + path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        kept = httpx2.get(stage.url + path, headers={"if-none-match": headers["etag"]})
        assert (kept.status_code, kept.content) == (304, b"")
    assert httpx2.get(stage.url + "/web/page/%2e%2e/__init__.py").status_code == 401
    assert httpx2.get(stage.url + "/web/__init__.py").status_code == 404


def test_a_cookie_changes_nothing_for_another_site(stage: Stage) -> None:
    anna = stage.user("anna")
    room = stage.room(anna)
    page = stage.page(anna, room)
    jar = {each["name"]: each["value"] for each in page.context.cookies()}
    cookie = {"cookie": "; ".join(f"{name}={value}" for name, value in jar.items())}
    body = {"client_id": "forged", "content": "forged"}
    path = f"{stage.url}/v1/rooms/{room}/messages"
    assert httpx2.post(path, json=body, headers=cookie).status_code == 401
    assert httpx2.post(path, json=body, headers=cookie | {"x-chat-page": "1"}).status_code == 201
    assert "ok" in str(page.evaluate(_ASK_BY_SOCKET))
    assert _closed_by(stage.url, cookie | {"origin": "https://elsewhere.example"})


_ASK_BY_SOCKET = """new Promise((then) => {
  const socket = new WebSocket(`ws://${location.host}/v1/ws`);
  socket.onmessage = (event) => then(event.data);
  socket.onclose = (event) => then(event.code);
  socket.onopen = () => socket.send('{"id": 1, "op": "ping"}');
})"""


def _closed_by(url: str, headers: dict[str, str]) -> bool:
    """Tell whether a socket of another site is nobody's: its first command is refused."""
    with connect(url.replace("http", "ws") + "/v1/ws", additional_headers=headers) as socket:
        socket.send('{"id": 1, "op": "ping"}')
        return "unauthenticated" in str(socket.recv(timeout=5))


def test_what_a_first_load_fetches_weighs_little_and_all_else_comes_when_the_page_is_idle(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    anna = stage.user("anna")
    page = stage.page(anna, stage.room(anna))
    until_kept(page)
    idle_ms = page.evaluate("performance.getEntriesByName('later')[0].startTime")
    entries = page.evaluate(
        "performance.getEntriesByType('resource').map((each) => [each.name, each.startTime])"
    )
    began = {each: began_ms for each, began_ms in reversed(entries) if "/web/" in each}
    sizes = {each: len(httpx2.get(each).content) for each in began}
    first = {each: size for each, size in sizes.items() if began[each] < idle_ms}
    first |= {each: len(httpx2.get(each).content) for each in (stage.url, f"{stage.url}/service_worker.js")}
    later = {each: size for each, size in sizes.items() if began[each] >= idle_ms}
    assert len(first) > 20
    assert not [each for each in first if "/web/later/" in each]
    assert all("/web/later/" in each for each in later)
    assert sum(first.values()) <= MOST_BYTES, first
    folder = {each.name for each in (Path(web.__file__).parent / "later").iterdir()}
    assert {each.rpartition("/")[2] for each in later} == folder
    with capsys.disabled():
        said = f"{sum(first.values()):,} bytes, and {sum(later.values()):,} more when the page is idle"
        print(f"\na first load, up to an open room: {said}")  # noqa: T201 - the figure


def test_a_room_of_a_hundred_thousand_messages_scrolls(frail_stage: Stage) -> None:
    anna = frail_stage.user("anna")
    room, count = frail_stage.room(anna), 100_000
    with frail_stage.killed():
        _fill(frail_stage.server, room, anna.id, count)
    page = frail_stage.page(anna, room)
    expect(page.locator("message-row").last).to_contain_text(f"line {count}")
    for part in (0.5, 0.01, 0.9):
        page.evaluate(
            "(part) => { const s = document.querySelector('.scroller'); s.scrollTop = s.scrollHeight * part; }",
            part,
        )
        page.mouse.move(600, 300)
        _until_rows(page, part * count, count)
        assert page.locator("message-row").count() < 120
        page.mouse.wheel(0, 3_000)
        page.mouse.wheel(0, -1_500)
        _until_rows(page, part * count, count)
    page.get_by_role("button", name="To the newest").click()
    expect(page.locator("message-row").last).to_contain_text(f"line {count}")


def _until_rows(page: Page, near: float, count: int) -> None:
    """Wait until there are rows in sight without a hole, near a place of the room."""
    until(
        page,
        """(() => { const box = document.querySelector('.scroller').getBoundingClientRect();
        const rows = [...document.querySelectorAll('message-row')].map((row) => row.getBoundingClientRect());
        return rows.length > 0 && rows[0].top <= box.top + 5 && rows.at(-1).bottom >= box.bottom - 5; })()""",
    )
    first = int(shown(page)[0].split()[1])
    assert abs(first - near) < count * 0.05, (first, near)


def _fill(server: RunningServer, room: str, sender: str, count: int) -> None:
    """Put messages into a room of a server that does not run."""
    with closing(apsw.Connection(str(server.data_dir / "chat.db"))) as database:
        database.execute(
            """WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
            INSERT INTO message (room_id, seq, sender_id, client_id, payload_hash, content, created_at_ms)
            SELECT ?2, i, ?3, 'filled-' || i, x'00', 'line ' || i || substr(' and more of it, in two lines'
                || char(10) || 'or three', 1, 40 * (i % 7 = 0)), 1700000000000 + 1000 * i FROM n""",
            (count, int(room), int(sender)),
        )


def test_what_is_sent_is_on_the_screen_before_enter_returns(
    frail_stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    anna = frail_stage.user("anna")
    room = frail_stage.room(anna)
    with frail_stage.killed():
        _fill(frail_stage.server, room, anna.id, 1_000)
    page = frail_stage.page(anna, room)
    page.locator("message-row").first.wait_for()
    until(
        page,
        f"""(async () => {{ const {{ model }} = document.querySelector('chat-app');
        await model.loadMore('{room}', true);
        return model.logOf('{room}').messages.length === 1000; }})()""",
    )
    times_ms = page.evaluate(
        """async () => { const box = document.querySelector('message-composer textarea'); const times = [];
        for (let n = 0; n < 30; n += 1) {
          box.value = `timed ${n}`;
          const began = performance.now();
          box.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', bubbles: true }));
          const rows = document.querySelectorAll('message-row');
          if (!rows[rows.length - 1].textContent.includes(`timed ${n}`)) throw new Error('it is not there');
          document.body.getBoundingClientRect();
          times.push(performance.now() - began);
          await new Promise((then) => setTimeout(then, 30));
        }
        return times; }"""
    )
    until_sent(page)
    with capsys.disabled():
        said = f"median {statistics.median(times_ms):.1f} ms, most {max(times_ms):.1f} ms"
        print(f"\nfrom Enter to the laid-out message, 1,000 loaded: {said}")  # noqa: T201 - the figure


def test_the_first_paint_is_measured(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    times_ms = []
    for _ in range(5):
        context = stage.context()
        page = context.new_page()
        page.goto("/")
        page.locator("sign-in input").first.wait_for()
        times_ms.append(page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime"))
        page.close()
    with capsys.disabled():
        print(f"\nfirst paint without a cache: median {statistics.median(times_ms):.0f} ms")  # noqa: T201 - the figure


def test_what_is_unread_is_counted_and_is_read_on_all_devices(stage: Stage) -> None:
    anna, carl = stage.user("anna"), stage.user("carl")
    room = stage.room(anna, carl)
    space = anna.client.get("/v1/spaces").json()["spaces"][0]["id"]
    other = anna.post(f"/v1/spaces/{space}/rooms", name="other")["id"]
    first, second = stage.page(anna, room), stage.page(anna, room)
    for content in ("one", "two", "three"):
        carl.post(f"/v1/rooms/{other}/messages", content=content)
    for page in (first, second):
        expect(page.locator(f"[data-room='{other}'] .unread")).to_have_text("3")
        expect(page).to_have_title("(3) Chat")
    first.locator(f"[data-room='{other}']").click()
    for page in (first, second):
        expect(page.locator(".unread")).to_have_count(0)
        expect(page).to_have_title("Chat")
    second.reload()
    expect(second.locator(f"[data-room='{other}']")).to_be_visible()
    expect(second.locator(".unread")).to_have_count(0)


def test_two_people_talk_reply_mention_and_see_who_types(stage: Stage) -> None:
    anna, carl = stage.user("anna"), stage.user("carl")
    room = stage.room(anna, carl)
    hers, his = stage.page(anna, room), stage.page(carl, room)
    write(hers, "a question")
    row = his.locator("message-row").first
    expect(row).to_contain_text("a question")
    row.hover()
    row.get_by_role("button", name="Reply").click()
    box = his.locator("message-composer textarea")
    until(his, "document.querySelector('room-view').members.length === 2")
    box.press_sequentially(f"for @{anna.name[:3]}")
    expect(hers.locator(".typing")).to_contain_text("typing")
    box.press("Enter")  # takes the offered name
    box.press_sequentially("an answer")
    box.press("Enter")
    answer = hers.locator("message-row.to-me")
    expect(answer).to_contain_text(f"for @{anna.name.title()} an answer")
    expect(answer.locator(".answered")).to_contain_text("a question")
    until_sent(his)


def test_moderators_mute_and_remove_and_members_cannot(stage: Stage) -> None:
    anna, carl = stage.user("anna"), stage.user("carl")
    room = stage.room(anna, carl)
    hers, his = stage.page(anna, room), stage.page(carl, room)
    stage.complaints_allowed("403 (")
    stage.complaints_allowed("404 (")
    for page in (hers, his):
        page.get_by_role("button", name="Members", exact=True).click()
        expect(page.locator(".members li")).to_have_count(2)
    assert his.locator(".members").get_by_role("button", name="Mute").count() == 0
    hers.locator(".members").get_by_role("button", name="Mute").click()
    expect(hers.locator("toast-area")).to_contain_text("User muted")
    write(his, "may I?")
    expect(his.locator("message-row.failed .state")).to_contain_text("muted")
    hers.locator(".members").get_by_role("button", name="Unmute").click()
    expect(hers.locator("toast-area")).to_contain_text("User unmuted")
    his.locator("message-row.failed").get_by_role("button", name="Retry").click()
    expect(his.locator("message-row.failed")).to_have_count(0)
    until_sent(his)
    assert anna.contents(room) == ["may I?"]
    hers.locator(".members").get_by_role("button", name="Remove").click()
    hers.locator("dialog").get_by_role("button", name="Remove").click()
    expect(hers.locator(".members li")).to_have_count(1)
    expect(his.locator("side-bar .room")).to_have_count(0)


def test_a_failed_space_setting_is_rolled_back_and_says_why(stage: Stage) -> None:
    anna = stage.user("anna")
    room = stage.room(anna)
    page = stage.page(anna, room)
    stage.complaints_allowed("403 (")
    refusal = '{"error": {"code": "not_permitted", "class": "permanent", "message": "not today"}}'

    def refuse(route: Route) -> None:
        if route.request.method == "PATCH":
            route.fulfill(status=403, body=refusal, content_type="application/json")
        else:
            route.fallback()

    page.route("**/v1/spaces/*", refuse)
    page.get_by_role("button", name="Settings of").click()
    panel = page.locator("side-panel")
    expect(panel.get_by_label("Name").first).to_have_value(f"Space of {anna.name}")
    panel.get_by_label("Name").first.fill("Mine")
    panel.get_by_role("button", name="Save").click()
    expect(page.locator("toast-area")).to_contain_text("Failed to save space settings: not today")
    expect(page.locator("side-bar h3").first).to_have_text(f"Space of {anna.name}")
    page.get_by_role("button", name="Pending", exact=True).click()
    page.locator(".actions").get_by_role("button", name="Cancel").click()
    expect(page.locator(".actions li")).to_have_count(0)


def test_spaces_are_moved_into_folders_by_keyboard_and_by_mouse_and_stay_there(stage: Stage) -> None:
    anna = stage.user("anna")
    for name in ("One", "Two", "Three"):
        anna.post("/v1/spaces", name=name)
    page = stage.page(anna)
    page.get_by_role("button", name="New folder").click()
    page.locator("dialog").get_by_label("Name of the folder").fill("Work")
    page.keyboard.press("Enter")
    page.locator("[data-focus^='space:']", has_text="Two").focus()
    page.keyboard.press("Alt+Shift+ArrowUp")
    expect(page.locator("details .space-item h3")).to_have_text(["Two"])
    page.locator(".space-head", has_text="Three").drag_to(page.locator("summary"))
    expect(page.locator("details .space-item h3")).to_have_text(["Two", "Three"])
    page.locator("[data-focus^='space:']", has_text="Three").focus()
    page.keyboard.press("Alt+ArrowUp")
    expect(page.locator("details .space-item h3")).to_have_text(["Three", "Two"])
    until(
        page,
        """document.querySelector('chat-app').store.seen('order').then((kept) =>
        JSON.stringify(kept.folders) === JSON.stringify(document.querySelector('chat-app').order.folders))""",
    )
    page.reload()
    expect(page.locator("details .space-item h3")).to_have_text(["Three", "Two"])


FOLDER = Path(os.environ.get("SCREENSHOTS", ".screenshots"))


def _told(stage: Stage) -> tuple[User, User, str]:
    """Return two users and their room, in which something was said."""
    anna, carl = (
        stage.user("anna"),
        stage.user("carl", display_name="Carl Friedrich von Weizsäcker-Hohenlohe"),
    )
    room = stage.room(anna, carl)
    long = f"See https://example.org/agenda, <@{anna.id}>. " + "And a line that goes on and on, " * 8
    contents = ("Good morning!", "Shall we meet at ten?\nOr later?\nTell me.", "مرحبا بالعالم", long)
    *_, message = [carl.post(f"/v1/rooms/{room}/messages", content=each)["id"] for each in contents]
    for name, emoji in ((anna, "👍"), (carl, "👍"), (anna, "🎉")):
        name.client.put(
            f"/v1/rooms/{room}/messages/{message}/reactions/{emoji}",
            json={"client_id": f"{name.id}-{message}-{emoji == '🎉'}"},
        ).raise_for_status()
    carl.client.patch(
        f"/v1/rooms/{room}/messages/{message}",
        json={"client_id": f"edit-{message}", "content": "See the agenda."},
    ).raise_for_status()
    return anna, carl, room


def test_the_main_states_are_pictured(stage: Stage) -> None:
    anna, _, room = _told(stage)
    asked = stage.context().new_page()
    asked.goto("/")
    asked.locator("sign-in input").first.wait_for()
    asked.screenshot(path=FOLDER / "sign-in.png")
    empty = stage.page(stage.user("new"))
    empty.screenshot(path=FOLDER / "no-space.png")
    page = stage.page(anna, room)
    write(page, "At ten is fine")
    until_sent(page)
    page.get_by_role("button", name="Members", exact=True).click()
    expect(page.locator(".members li")).to_have_count(2)
    page.screenshot(path=FOLDER / "room.png")
    page.emulate_media(color_scheme="dark")
    page.context.set_offline(True)
    write(page, "This one waits")
    page.locator("status-line.offline").wait_for()
    page.get_by_role("button", name="Pending", exact=True).click()
    page.locator(".actions li").wait_for()
    page.screenshot(path=FOLDER / "offline-dark.png")
    page.get_by_role("button", name="Close").click()
    page.set_viewport_size({"width": 380, "height": 700})
    page.wait_for_timeout(300)
    page.screenshot(path=FOLDER / "narrow.png")
    page.get_by_role("button", name="Menu").click()
    page.wait_for_timeout(300)
    page.screenshot(path=FOLDER / "narrow-menu.png")
    page.evaluate("document.documentElement.dir = 'rtl'")
    page.set_viewport_size({"width": 1000, "height": 700})
    page.screenshot(path=FOLDER / "right-to-left.png")
    page.context.set_offline(False)
    until_sent(page)


def test_panels_and_dialogs_are_pictured(stage: Stage) -> None:
    anna, _, room = _told(stage)
    space = anna.client.get("/v1/spaces").json()["spaces"][0]["id"]
    for name in ("Projects", "A group with a name that is far too long for the side bar"):
        group = anna.post(f"/v1/spaces/{space}/groups", name=name)["id"]
        for channel in ("plans", "a-channel-whose-name-does-not-want-to-end-on-any-line"):
            anna.post(f"/v1/spaces/{space}/rooms", name=f"{channel}-{group}", group=group)
    anna.post("/v1/spaces", name="A space whose name is much longer than the side bar is wide")
    page = stage.page(anna, room)
    expect(page.locator("section.group")).to_have_count(2)
    for name, opener in (("account", "Profile of"), ("space", f"Settings of Space of {anna.name}")):
        page.get_by_role("button", name=opener).click()
        expect(page.locator("side-panel section h3").first).to_be_visible()
        page.screenshot(path=FOLDER / f"{name}.png")
        page.locator("side-panel .content").evaluate("(box) => { box.scrollTop = box.scrollHeight; }")
        page.screenshot(path=FOLDER / f"{name}-end.png")
    page.emulate_media(color_scheme="dark")
    page.get_by_role("button", name="Search", exact=True).click()
    page.get_by_label("Search messages").fill("meet")
    page.locator(".hit").wait_for()
    page.screenshot(path=FOLDER / "search-dark.png")
    page.get_by_role("button", name="(edited)").click()
    page.locator("dialog .versions li").nth(1).wait_for()
    page.screenshot(path=FOLDER / "history-dark.png")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Close").click()
    stage.complaints_allowed("400 (")
    refusal = '{"error": {"code": "invalid_value", "class": "permanent", "message": "not on a Monday"}}'
    page.route(
        "**/messages",
        lambda route: route.fulfill(status=400, body=refusal, content_type="application/json"),
    )
    write(page, "refused")
    page.locator("message-row.failed").wait_for()
    page.locator("message-row").first.hover()
    page.screenshot(path=FOLDER / "failed-dark.png")
    page.locator("message-row").first.get_by_role("button", name="React").click()
    page.locator("dialog").wait_for()
    page.screenshot(path=FOLDER / "emoji-dark.png")
