"""Spaces on the chat page: groups of channels, settings, emoji and stickers, folders' unread counts, who is muted."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.stage import Stage, User, until, until_kept, until_sent, write

PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAEklEQVR4nGP4z8CAFWEXHbQSACj/P8Fu7N9hAAAAAElFTkSuQmCC"
)
"""A red PNG of 8 by 8."""


def space_of(user: User) -> str:
    """Return the id of the user's first space."""
    found: str = user.client.get("/v1/spaces").json()["spaces"][0]["id"]
    return found


def _rooms(owner: User, room: str, *names: str) -> list[str]:
    space = space_of(owner)
    return [room, *(owner.post(f"/v1/spaces/{space}/rooms", name=each)["id"] for each in names)]


def _stored(owner: User) -> list[tuple[str, list[str]]]:
    """Return the groups' names with their channels', all in their order, as the server has them."""
    space = space_of(owner)
    groups = owner.client.get(f"/v1/spaces/{space}/groups").json()["groups"]
    rooms = owner.client.get(f"/v1/spaces/{space}/rooms").json()["rooms"]
    by_id = {None: "", **{each["id"]: each["name"] for each in groups}}
    found: dict[str, list[str]] = {name: [] for name in by_id.values()}
    for each in sorted(rooms, key=lambda room: room["place"]):
        found[by_id[each["group"]]].append(each["name"])
    return list(found.items())


def _until_stored(page: Page, owner: User, wanted: dict[str, list[str]]) -> None:
    for _ in range(300):
        if _stored(owner) == list(wanted.items()):
            return
        page.wait_for_timeout(50)
    assert _stored(owner) == list(wanted.items())


def _group(page: Page, name: str) -> Locator:
    return page.locator("section.group").filter(has=page.get_by_role("heading", name=name, exact=True))


def test_channels_stand_in_groups_that_are_made_renamed_and_taken_away(stage: Stage) -> None:
    anna, carl = stage.user("anna"), stage.user("carl")
    room = stage.room(anna, carl)
    _rooms(anna, room, "plans")
    page, other = stage.page(anna, room), stage.page(carl, room)
    page.get_by_role("button", name="New group in").click()
    page.locator("dialog").get_by_label("Name").fill("Work")
    page.keyboard.press("Enter")
    expect(_group(page, "Work")).to_be_visible()
    page.locator(".room", has_text="plans").drag_to(page.locator(".group-head", has_text="Work"))
    expect(_group(page, "Work").locator(".room")).to_have_text(["# plans"])
    expect(_group(other, "Work").locator(".room")).to_have_text(["# plans"])
    assert other.get_by_role("button", name="New group in").count() == 0
    _until_stored(page, anna, {"": ["general"], "Work": ["plans"]})
    page.get_by_role("button", name="Change the group Work").click()
    page.locator("dialog").get_by_label("Name").fill("Projects")
    page.keyboard.press("Enter")
    expect(_group(other, "Projects").locator(".room")).to_have_text(["# plans"])
    page.get_by_role("button", name="Change the group Projects").click()
    page.locator("dialog").get_by_label("Take the group away").check()
    page.locator("dialog").get_by_role("button", name="Save").click()
    for each in (page, other):
        expect(each.locator("section.group")).to_have_count(0)
        expect(each.locator(".room")).to_have_text(["# general", "# plans"])


def test_a_channel_is_renamed_and_archived_and_taken_back(stage: Stage) -> None:
    anna, carl = stage.user("anna"), stage.user("carl")
    room = stage.room(anna, carl)
    page, other = stage.page(anna, room), stage.page(carl, room)
    expect(other.get_by_role("button", name="Change the channel")).to_have_count(0)
    for archived, label in ((True, "# plans"), (False, "# plans")):
        page.get_by_role("button", name="Change the channel").click()
        dialog = page.locator("dialog")
        dialog.get_by_label("Name").fill("plans")
        dialog.get_by_label("Topic").fill("what is next")
        dialog.get_by_label("Archived").set_checked(archived)
        dialog.get_by_role("button", name="Save").click()
        expect(other.locator("room-view h2")).to_have_text("plans")
        expect(other.locator(".room")).to_have_count(0 if archived else 1)
        topic = "This channel is archived." if archived else "what is next"
        expect(other.locator(".topic")).to_have_text(topic)
        if archived:
            page.get_by_role("button", name="Settings of").click()
            page.locator("side-panel").get_by_role("button", name=label).click()


def test_channels_and_groups_are_moved_by_keyboard_alone(stage: Stage) -> None:
    anna = stage.user("anna")
    room = stage.room(anna)
    _rooms(anna, room, "one", "two")
    space = space_of(anna)
    for name in ("First", "Second"):
        anna.post(f"/v1/spaces/{space}/groups", name=name)
    page = stage.page(anna, room)
    expect(page.locator("section.group")).to_have_count(2)
    for name, keys, told in (
        ("two", "Alt+ArrowUp", "two: place 2"),
        ("two", "Alt+Shift+ArrowDown", "two is in First now"),
        ("one", "Alt+Shift+ArrowDown", "one is in First now"),
        ("one", "Alt+ArrowUp", "one: place 1"),
    ):
        page.locator(".room", has_text=name).focus()
        page.keyboard.press(keys)
        expect(page.locator("side-bar [role=status]")).to_have_text(told)
        expect(page.locator(".room", has_text=name)).to_be_focused()
    expect(_group(page, "First").locator(".room")).to_have_text(["# one", "# two"])
    page.locator(".group-head", has_text="First").focus()
    page.keyboard.press("Alt+ArrowDown")
    expect(page.locator(".group-head h4")).to_have_text(["Second", "First"])
    _until_stored(page, anna, {"": ["general"], "Second": [], "First": ["one", "two"]})
    page.reload()
    expect(page.locator(".group-head h4")).to_have_text(["Second", "First"])
    expect(_group(page, "First").locator(".room")).to_have_text(["# one", "# two"])


def test_a_move_that_is_refused_is_undone_and_says_why(stage: Stage) -> None:
    anna = stage.user("anna")
    room = stage.room(anna)
    group = anna.post(f"/v1/spaces/{space_of(anna)}/groups", name="Work")["id"]
    page = stage.page(anna, room)
    expect(_group(page, "Work")).to_be_visible()
    stage.complaints_allowed("400 (")
    refusal = '{"error": {"code": "invalid_value", "class": "permanent", "message": "not today"}}'
    page.route(
        f"**/v1/rooms/{room}",
        lambda route: route.fulfill(status=400, body=refusal, content_type="application/json"),
    )
    page.locator(".room", has_text="general").focus()
    page.keyboard.press("Alt+Shift+ArrowDown")
    expect(page.locator("toast-area")).to_contain_text("not today")
    expect(_group(page, "Work").locator(".room")).to_have_count(0)
    assert group


def test_a_closed_folder_says_how_much_is_unread_in_it(stage: Stage) -> None:
    anna, carl = stage.user("anna"), stage.user("carl")
    room = stage.room(carl, anna)
    mine = stage.room(anna)
    page = stage.page(anna, mine)
    page.get_by_role("button", name="New folder").click()
    page.locator("dialog").get_by_label("Name of the folder").fill("Away")
    page.keyboard.press("Enter")
    page.locator(".space-head", has_text=f"Space of {carl.name}").drag_to(page.locator("summary"))
    expect(page.locator("details .space-item")).to_have_count(1)
    for content in ("one", "two"):
        carl.post(f"/v1/rooms/{room}/messages", content=content)
    expect(page.locator(f"[data-room='{room}'] .unread")).to_have_text("2")
    expect(page.locator("summary .unread")).to_be_hidden()
    page.locator("summary").click()
    expect(page.locator("summary .unread")).to_be_visible()
    expect(page.locator("summary .unread")).to_have_text("2")


def test_settings_of_a_space_are_changed_and_seen_by_its_members(stage: Stage) -> None:
    anna, carl = stage.user("anna"), stage.user("carl")
    room = stage.room(anna, carl)
    page, other = stage.page(anna, room), stage.page(carl, room)
    page.get_by_role("button", name="Settings of").click()
    panel = page.locator("side-panel")
    panel.get_by_label("Name").first.fill("Renamed")
    panel.get_by_label("What Member is called here").fill("Guest")
    panel.get_by_role("button", name="Save").click()
    expect(page.locator("toast-area")).to_contain_text("Space settings saved")
    expect(other.locator(".space-head h3")).to_have_text("Renamed")
    other.get_by_role("button", name="Members", exact=True).click()
    expect(other.locator(".members")).to_contain_text("Guest")
    panel.get_by_label("Whoever knows its id may join").uncheck()
    dora = stage.user("dora")
    space = space_of(anna)
    until(page, f"fetch('/v1/spaces/{space}').then((found) => found.json()).then((found) => !found.is_open)")
    assert dora.client.post(f"/v1/spaces/{space}/join", json={"client_id": "dora"}).status_code in {403, 404}
    panel.get_by_role("button", name="Make an invite").click()
    secret = page.locator("dialog .told").inner_text().rpartition(" ")[2]
    dora.post(f"/v1/invites/{secret}/join")
    page.locator("dialog").get_by_role("button", name="Close").click()
    other.get_by_role("button", name="Settings of").click()
    assert other.locator("side-panel").get_by_label("Name").count() == 0
    other.get_by_role("button", name="Leave the space").click()
    other.locator("dialog").get_by_role("button", name="Leave the space").click()
    expect(other.locator("side-bar .room")).to_have_count(0)


@pytest.mark.parametrize("kind", ["emoji", "stickers"])
def test_a_space_has_emoji_and_stickers_of_its_own(stage: Stage, tmp_path: Path, kind: str) -> None:
    anna, carl = stage.user("anna"), stage.user("carl")
    room = stage.room(anna, carl)
    (tmp_path / "red.png").write_bytes(PICTURE)
    (tmp_path / "none.png").write_text("<svg onload='window.broken=1'>")
    page, other = stage.page(anna, room), stage.page(carl, room)
    page.get_by_role("button", name="Settings of").click()
    part = page.locator(f"side-panel section.{kind}")
    part.get_by_label("Name").fill("red")
    part.get_by_label("Picture").set_input_files(tmp_path / "none.png")
    part.get_by_role("button", name="Add").click()
    expect(part.get_by_role("alert")).to_contain_text("no picture")
    part.get_by_label("Picture").set_input_files(tmp_path / "red.png")
    part.get_by_role("button", name="Add").click()
    expect(part.locator("li img")).to_have_count(1)
    until_sent(page)
    write(page, "see :red: and :blue:")
    for each in (page, other):
        expect(each.locator(".body img.emoji")).to_have_attribute("alt", ":red:")
        expect(each.locator(".body")).to_contain_text("and :blue:")
    other.locator("message-row").hover()
    other.locator("message-row").get_by_role("button", name="React").click()
    chosen = other.locator("dialog").get_by_role("button", name=":red:")
    if kind == "emoji":
        chosen.click()
        expect(page.locator(".reactions img.emoji")).to_be_visible()
    else:
        assert chosen.count() == 0
    part.get_by_role("button", name="Remove red").click()
    expect(other.locator(".body img")).to_have_count(0)
    expect(other.locator(".body")).to_have_text("see :red: and :blue:")
    assert page.evaluate("window.broken") is None


def test_moderators_see_who_is_muted_by_whom_and_those_who_have_left_too(stage: Stage) -> None:
    anna, carl, dora = stage.user("anna"), stage.user("carl"), stage.user("dora")
    room = stage.room(anna, carl, dora)
    space = space_of(anna)
    for muted_user in (carl, dora):
        anna.client.put(
            f"/v1/spaces/{space}/members/{muted_user.id}/mute",
            json={"client_id": f"mute-{muted_user.id}"},
        ).raise_for_status()
    dora.post(f"/v1/spaces/{space}/leave")
    page, other = stage.page(anna, room), stage.page(carl, room)
    for each in (page, other):
        each.get_by_role("button", name="Members", exact=True).click()
        expect(each.locator(".members li")).to_have_count(2)
    listed = page.locator(".muted li")
    expect(listed).to_have_count(2)
    expect(listed.filter(has_text=dora.name)).to_contain_text(f"by {anna.name.title()}")
    expect(other.locator(".muted")).to_have_count(0)
    listed.filter(has_text=dora.name).get_by_role("button", name="Unmute").click()
    expect(listed).to_have_count(1)
    until_sent(page)
    muted = anna.client.get(f"/v1/spaces/{space}/muted").json()["muted"]
    assert [each["user"] for each in muted] == [carl.id]


def _give_role(owner: User, space: str, user: User, role: str) -> None:
    body = {"client_id": f"{role}-{user.id}", "role": role}
    owner.client.patch(f"/v1/spaces/{space}/members/{user.id}", json=body).raise_for_status()


def _change_space(user: User, space: str, **fields: Any) -> None:
    body = {"client_id": f"space-{space}-{uuid4()}", "fields": fields}
    user.client.patch(f"/v1/spaces/{space}", json=body).raise_for_status()


@pytest.mark.parametrize("is_mine_later", [False, True])
def test_of_settings_that_two_changed_the_later_change_counts_and_the_other_is_told(
    stage: Stage, is_mine_later: bool
) -> None:
    anna, carl = stage.user("anna"), stage.user("carl")
    room = stage.room(anna, carl)
    space = space_of(anna)
    _give_role(anna, space, carl, "admin")
    page = stage.page(anna, room)
    until_kept(page)
    stage.complaints_allowed("412 (")
    page.get_by_role("button", name="Settings of").click()
    panel = page.locator("side-panel")
    panel.get_by_label("What Member is called here").wait_for()
    page.context.set_offline(True)
    if is_mine_later:
        _change_space(carl, space, name="Theirs")
    panel.get_by_label("Name").first.fill("Mine")
    panel.get_by_label("Description").fill("warm")
    panel.get_by_role("button", name="Save").click()
    expect(page.locator(".space-head h3")).to_have_text("Mine")
    if not is_mine_later:
        _change_space(carl, space, name="Theirs")
    page.context.set_offline(False)
    kept, told = ("Mine", 'theirs was "Theirs"') if is_mine_later else ("Theirs", 'yours was "Mine"')
    expect(page.locator("toast-area")).to_contain_text(told)
    expect(page.locator("toast-area")).not_to_contain_text("saved")
    until_sent(page)
    expect(page.locator(".space-head h3")).to_have_text(kept)
    found = anna.client.get(f"/v1/spaces/{space}").json()["settings"]
    assert (found["name"], found["description"]) == (kept, "warm")
    if not is_mine_later:  # who saves what was lost once more means it
        panel.get_by_role("button", name="Save").click()
        expect(page.locator("toast-area")).to_contain_text("Space settings saved")
        assert anna.client.get(f"/v1/spaces/{space}").json()["settings"]["name"] == "Mine"


def test_names_of_roles_that_are_given_one_after_the_other_offline_are_all_kept(stage: Stage) -> None:
    anna = stage.user("anna")
    room = stage.room(anna)
    page = stage.page(anna, room)
    until_kept(page)
    page.get_by_role("button", name="Settings of").click()
    panel = page.locator("side-panel")
    panel.get_by_label("What Member is called here").wait_for()
    page.context.set_offline(True)
    for role in ("Owner", "Member"):
        panel.get_by_label(f"What {role} is called here").fill(f"{role}s")
        panel.get_by_role("button", name="Save").click()
    page.get_by_role("button", name="Members", exact=True).click()
    expect(page.locator(".members")).to_contain_text("Owners")
    page.context.set_offline(False)
    until_sent(page)
    found = anna.client.get(f"/v1/spaces/{space_of(anna)}").json()["settings"]
    assert found["role_names"] == {"owner": "Owners", "member": "Members"}


def test_an_emoji_that_the_server_refuses_is_taken_back_with_a_reason(stage: Stage, tmp_path: Path) -> None:
    anna, carl = stage.user("anna"), stage.user("carl")
    room = stage.room(anna, carl)
    space = space_of(anna)
    _give_role(anna, space, carl, "admin")
    (tmp_path / "red.png").write_bytes(PICTURE)
    page = stage.page(carl, room)
    until_kept(page)
    stage.complaints_allowed("403 (")
    page.get_by_role("button", name="Settings of").click()
    part = page.locator("side-panel section.emoji")
    part.wait_for()
    page.context.set_offline(True)
    part.get_by_label("Name").fill("red")
    part.get_by_label("Picture").set_input_files(tmp_path / "red.png")
    part.get_by_role("button", name="Add").click()
    expect(part.locator("li img")).to_have_count(1)
    write(page, "see :red:")
    expect(page.locator(".body img.emoji")).to_have_count(1)
    _give_role(anna, space, carl, "member")
    page.context.set_offline(False)
    expect(page.locator("toast-area")).to_contain_text("Failed to save space settings")
    expect(page.locator(".body img")).to_have_count(0)
    expect(part.locator("li")).to_have_count(0)


def test_emoji_and_stickers_are_chosen_from_a_list_and_stand_where_the_cursor_was(stage: Stage) -> None:
    anna = stage.user("anna")
    room = stage.room(anna)
    image = f"data:image/png;base64,{base64.b64encode(PICTURE).decode()}"
    _change_space(
        anna,
        space_of(anna),
        emoji=[{"name": "red", "image": image}],
        stickers=[
            {"name": "wave", "image": image},
            {"name": "foreign", "image": "https://example.org/x.png"},
        ],
    )
    page = stage.page(anna, room)
    box = page.locator("message-composer textarea")
    box.fill("see")
    for chosen, value in ((":wave:", "see :wave:"), (":red:", "see :wave: :red:")):
        page.get_by_role("button", name="Emoji and stickers").click()
        assert page.locator("dialog").get_by_role("button", name=":foreign:").count() == 0
        page.locator("dialog").get_by_role("button", name=chosen).click()
        expect(box).to_have_value(value)
        expect(box).to_be_focused()
    page.get_by_role("button", name="Emoji and stickers").click()
    page.locator("dialog").wait_for()
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_have_count(0)
    expect(box).to_have_value("see :wave: :red:")
    box.press("Enter")
    expect(page.locator(".body img.emoji")).to_have_count(2)
    until_sent(page)
    assert anna.contents(room) == ["see :wave: :red:"]


def test_a_button_pressed_twice_before_its_question_is_there_asks_once(stage: Stage) -> None:
    page = stage.page(stage.user("anna"))
    page.get_by_role("button", name="New space").evaluate("(button) => { button.click(); button.click(); }")
    page.locator("dialog").first.wait_for()
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_have_count(0)


@pytest.mark.parametrize("opener", ["Settings of", "Members"])
def test_a_panel_about_a_space_that_is_gone_closes(stage: Stage, opener: str) -> None:
    anna, carl = stage.user("anna"), stage.user("carl")
    room = stage.room(anna, carl)
    stage.complaints_allowed("404 (")  # of what the panel asks about a space that ends meanwhile
    page = stage.page(carl, room)
    page.get_by_role("button", name=opener).click()
    expect(page.locator("side-panel")).to_be_visible()
    anna.client.delete(f"/v1/spaces/{space_of(anna)}?client_id=gone").raise_for_status()
    expect(page.locator("side-bar .room")).to_have_count(0)
    expect(page.locator("side-panel")).to_be_hidden()
