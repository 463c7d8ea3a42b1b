"""The user's own panel: profile and picture, password, devices, settings on several devices."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
from playwright.sync_api import Locator, Page, expect

from chat import Client, SyncClient
from tests.browser.stage import PASSWORD, Stage, User, until, until_kept, until_seen, until_sent
from tests.browser.test_spaces import PICTURE
from workers import Secret, SigningKey


def _panel(page: Page) -> Locator:
    page.get_by_role("button", name="Profile of").click()
    panel = page.locator("side-panel")
    expect(panel.get_by_label("Display name")).to_be_visible()
    return panel


def test_a_profile_is_changed_and_its_picture_is_shown_to_others_and_kept_for_offline(
    stage: Stage, tmp_path: Path
) -> None:
    anna, carl = stage.user("anna", display_name="Anna Berg"), stage.user("carl")
    room = stage.room(anna, carl)
    anna.post(f"/v1/rooms/{room}/messages", content="hello")
    page, other = stage.page(anna, room), stage.page(carl, room)
    expect(other.locator("message-row .avatar")).to_have_text("AB")
    until_kept(other)
    panel = _panel(page)
    panel.get_by_label("Display name").fill("Anna Maria")
    panel.get_by_label("About you").fill("here and there")
    panel.get_by_role("button", name="Save").click()
    until_sent(page)
    me = anna.client.get("/v1/me").json()
    assert (me["display_name"], me["fields"]["about"]) == ("Anna Maria", "here and there")
    files = {"a.svg": b"<svg/>", "large.gif": b"GIF89a" + bytes(600_000), "red.png": PICTURE}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    choose = panel.get_by_label("Picture")
    choose.set_input_files(tmp_path / "a.svg")
    expect(panel.get_by_role("alert").first).to_have_text("A picture is a PNG, JPEG, GIF or WebP.")
    choose.set_input_files(tmp_path / "large.gif")
    expect(panel.get_by_role("alert").first).to_contain_text("at most 512 kB are allowed")
    choose.set_input_files(tmp_path / "red.png")
    expect(panel.locator(".picture img")).to_be_visible()
    expect(page.locator("message-row .avatar img")).to_be_visible()
    other.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(other.locator("message-row .avatar img")).to_be_visible()
    expect(other.locator("message-row .author")).to_have_text("Anna Maria")
    other.get_by_role("button", name="Members", exact=True).click()
    expect(other.locator(".members .avatar img")).to_be_visible()
    until(other, "document.querySelector('.members .avatar img').naturalWidth === 8")
    until_seen(other, room, 1)
    other.context.set_offline(True)
    other.reload()
    expect(other.locator("message-row .avatar img")).to_be_visible()
    other.context.set_offline(False)
    panel.get_by_role("button", name="Take the picture away").click()
    expect(page.locator("message-row .avatar")).to_have_text("AM")


def test_a_picture_that_is_too_large_is_made_smaller(stage: Stage) -> None:
    anna = stage.user("anna")
    page = stage.page(anna, stage.room(anna))
    panel = _panel(page)
    drawn = page.evaluate(
        """async () => { const canvas = Object.assign(document.createElement('canvas'), { width: 700, height: 500 });
        const drawn = canvas.getContext('2d').createImageData(700, 500);
        for (let at = 0; at < drawn.data.length; at += 65536) crypto.getRandomValues(drawn.data.subarray(at, at + 65536));
        canvas.getContext('2d').putImageData(drawn, 0, 0);
        return canvas.toDataURL('image/png').split(',')[1]; }"""
    )
    data = base64.b64decode(drawn)
    assert len(data) > 600_000
    panel.get_by_label("Picture").set_input_files(
        {"name": "noise.png", "mimeType": "image/png", "buffer": data}
    )
    expect(panel.locator(".picture img")).to_be_visible()
    stored = anna.client.get("/v1/me/avatar")
    assert stored.headers["content-type"] == "image/webp"
    assert len(stored.content) <= 524_288


def test_the_password_is_changed_and_other_devices_are_signed_out(stage: Stage) -> None:
    anna = stage.user("anna")
    page = stage.page(anna, stage.room(anna))
    panel = _panel(page)
    expect(panel.locator(".devices li")).to_have_count(2)
    panel.get_by_label("Present password").fill("something else entirely")
    panel.get_by_label("New password").fill("another long password")
    panel.get_by_role("button", name="Change the password").click()
    expect(panel).to_contain_text("The present password is another one.")
    panel.get_by_label("Present password").fill(PASSWORD)
    panel.get_by_role("button", name="Change the password").click()
    expect(panel).to_contain_text("The password was changed.")
    expect(panel.locator(".devices li")).to_have_count(1)
    assert anna.client.get("/v1/me").status_code == 401
    body = {"name": anna.name, "password": "another long password", "device": "test"}
    assert httpx2.post(f"{stage.url}/v1/auth/login", json=body).status_code == 200


def test_one_device_is_signed_out_from_another(stage: Stage) -> None:
    anna = stage.user("anna")
    room = stage.room(anna)
    page, other = stage.page(anna, room), stage.page(anna, room)
    panel = _panel(page)
    listed = panel.locator(".devices li")
    expect(listed).to_have_count(3)
    expect(listed.filter(has_text="this one")).to_have_count(1)
    panel.get_by_role("button", name="Sign out test").click()
    expect(listed).to_have_count(2)
    assert anna.client.get("/v1/me").status_code == 401
    panel.get_by_role("button", name="Sign out browser").click()
    expect(listed).to_have_count(1)
    expect(other.get_by_text("Your session has ended. Sign in again")).to_be_visible()
    assert page.locator("sign-in").is_hidden()


def test_colours_are_chosen_and_stay(stage: Stage) -> None:
    anna = stage.user("anna")
    page = stage.page(anna, stage.room(anna))
    back = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(back) == "rgb(255, 255, 255)"
    _panel(page).get_by_label("Colours").select_option("dark")
    assert page.evaluate(back) == "rgb(22, 24, 28)"
    page.reload()
    page.locator("room-view").wait_for()
    assert page.evaluate(back) == "rgb(22, 24, 28)"


@contextmanager
def _python(stage: Stage, user: User, seed: bytes, store: Path) -> Iterator[SyncClient]:
    """Yield a Python client of the user that has the same key."""
    with Secret(seed) as secret:
        key = SigningKey("ed25519", secret)
    with SyncClient(stage.url, store=store) as client:
        client.login(user.name, PASSWORD, device="python")

        async def allow() -> None:
            receipt = client._client.settings.allow_sync(key)
            if receipt is not None:
                await receipt.sent()

        client.run(allow)
        yield client


def _change(client: SyncClient, values: dict[str, Any]) -> None:
    inner: Client = client._client

    async def change() -> None:
        receipt = await inner.settings.set(values)
        assert receipt is not None
        await receipt.sent()

    client.run(change)


def _share(page: Page, key: str) -> None:
    panel = _panel(page)
    panel.get_by_role("button", name="I have a key").click()
    page.locator("dialog").get_by_label("Your key").fill(key)
    page.keyboard.press("Enter")
    expect(panel).to_contain_text("Your settings are the same on all devices")
    until_sent(page)
    page.get_by_role("button", name="Close").click()


def test_settings_are_shared_by_two_pages_and_a_python_client_and_the_server_cannot_read_them(
    stage: Stage, tmp_path: Path
) -> None:
    anna = stage.user("anna")
    room = stage.room(anna)
    anna.post(f"/v1/rooms/{room}/messages", content="to be found again")
    space = anna.client.get("/v1/spaces").json()["spaces"][0]["id"]
    stage.complaints_allowed("412 (")
    page = stage.page(anna, room)
    page.locator("message-row").hover()
    page.locator("message-row").get_by_role("button", name="Bookmark").click()
    assert anna.client.get("/v1/me/settings").status_code == 404  # nothing leaves the device before it may
    panel = _panel(page)
    panel.get_by_role("button", name="Make a key").click()
    key = panel.locator(".sync .told").inner_text()
    until_sent(page)
    stored = anna.client.get("/v1/me/settings").json()
    assert (stored["version"], stored["algorithm"]) == (1, "ed25519")
    assert room.encode() not in base64.b64decode(stored["ciphertext"])
    with _python(stage, anna, base64.b64decode(key), tmp_path / "store") as client:
        inner = client._client
        _until(page, lambda: len(inner.settings.document.bookmarks) == 1)
        folders = [{"id": "f", "name": "From Python", "spaces": [space]}]
        _change(client, {"folders": folders, "preferences.theme": "dark"})
        expect(page.locator("summary")).to_contain_text("From Python")
        expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        second = stage.page(anna, room)
        _share(second, key)
        expect(second.locator("summary")).to_contain_text("From Python")
        second.get_by_role("button", name="Bookmarks", exact=True).click()
        expect(second.locator("side-panel .hit")).to_contain_text("to be found again")
        second.get_by_role("button", name="New folder").click()
        second.locator("dialog").get_by_label("Name of the folder").fill("From a page")
        second.keyboard.press("Enter")
        expect(page.locator("summary")).to_have_count(2)
        _until(page, lambda: [each.name for each in inner.settings.document.folders][1:] == ["From a page"])


def _until(page: Page, is_so: Any) -> None:
    for _ in range(300):
        if is_so():
            return
        page.wait_for_timeout(50)
    assert is_so()


def test_of_what_two_devices_changed_offline_the_later_counts_and_the_other_is_kept_and_told(
    stage: Stage,
) -> None:
    anna = stage.user("anna")
    room = stage.room(anna)
    stage.complaints_allowed("412 (")
    first = stage.page(anna, room)
    until_kept(first)
    panel = _panel(first)
    panel.get_by_role("button", name="Make a key").click()
    key = panel.locator(".sync .told").inner_text()
    until_sent(first)
    first.get_by_role("button", name="Close").click()
    second = stage.page(anna, room)
    _share(second, key)
    first.context.set_offline(True)
    _panel(first).get_by_label("Colours").select_option("dark")
    expect(first.locator("status-line")).to_contain_text("1 action queued")
    _panel(second).get_by_label("Colours").select_option("light")
    _until(
        second, lambda: anna.client.get("/v1/me/settings").json()["version"] == 2
    )  # before the first is back
    until_sent(second)
    first.reload()
    expect(first.locator("html")).to_have_attribute("data-theme", "dark")
    first.context.set_offline(False)
    expect(first.locator("toast-area")).to_contain_text("Changed on another device too: Preference.")
    until_sent(first)
    for each in (first, second):
        expect(each.locator("html")).to_have_attribute("data-theme", "light")
    lost = _panel(first).locator(".lost li")
    expect(lost).to_contain_text('here: "dark"')
    lost.get_by_role("button", name="Take this one").click()
    until_sent(first)
    for each in (first, second):
        expect(each.locator("html")).to_have_attribute("data-theme", "dark")
    expect(lost).to_have_count(0)
    stored = anna.client.get("/v1/me/settings").json()["version"]
    first.get_by_role("button", name="Keep them on this device only").click()
    expect(first.get_by_role("button", name="Make a key")).to_be_visible()
    first.get_by_label("Colours").select_option("system")
    until_sent(first)
    assert anna.client.get("/v1/me/settings").json()["version"] == stored


def test_settings_sealed_with_another_key_are_not_used_and_the_user_is_told(stage: Stage) -> None:
    anna = stage.user("anna")
    room = stage.room(anna)
    stage.complaints_allowed("412 (")
    first, second = stage.page(anna, room), stage.page(anna, room)
    _panel(first).get_by_role("button", name="Make a key").click()
    until_sent(first)
    panel = _panel(second)
    panel.get_by_role("button", name="I have a key").click()
    second.locator("dialog").get_by_label("Your key").fill("too short")
    second.keyboard.press("Enter")
    expect(panel).to_contain_text("This is no key.")
    panel.get_by_role("button", name="Make a key").click()
    expect(second.locator("toast-area")).to_contain_text("were not sealed with this key")
    expect(second.locator("status-line")).to_contain_text("1 failed")
