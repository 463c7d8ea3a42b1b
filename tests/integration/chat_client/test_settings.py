"""The user's settings on several devices, and the keys of spaces."""

from __future__ import annotations

import hashlib
import os
import signal
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import msgspec
import pytest

from chat import ActionFailed, SettingsConflict, TargetGone, UserChanged
from chat.sync.derivation import settings_key
from tests.support.chat_client import NOWHERE, PASSWORD, QUICK, House, the_next
from tests.support.loops import ASYNCIO, on
from tests.support.scripted_socket import listening
from tests.support.waiting import until
from workers import BridgeSettings, SigningKey
from workers.body import Body
from workers.keys.handover import HandedSecret
from workers.pool import Pool

if TYPE_CHECKING:
    from anyio.abc import SocketStream

    from chat import Client
    from workers.keys.secrets import Secret

LIMIT_S = 30.0

anyio_backend = on(
    ASYNCIO
)  # the queue and the client's connections are tried on both: `../chat`, `test_live.py`


@pytest.fixture
def key() -> SigningKey:
    """The user's own key, which each of their devices has."""
    return SigningKey.generate()


@pytest.fixture
def user(house: House) -> str:
    """A user whom no other test knows: settings are one document a user."""
    name = f"settings-{house.room}"
    house.names[name] = name
    issued = house.ann_http.post("/v1/auth/register", json={"name": name, "password": PASSWORD})
    issued.raise_for_status()
    return name


async def saved(client: Client, values: dict[str, Any]) -> Any:
    """Change settings, and return what became of it at the server."""
    receipt = await client.settings.set(values)
    assert receipt is not None
    with anyio.fail_after(LIMIT_S):
        return await receipt.sent()


async def test_settings_stay_on_the_device_until_the_user_allows_more(
    house: House, user: str, key: SigningKey
) -> None:
    async with house.logged_in(user) as client:
        assert await client.settings.set({"preferences.theme": "dark"}) is None
        with pytest.raises(TargetGone):
            await client.call("GET", "/v1/me/settings")
    async with house.client(user) as client:
        assert client.settings.document.preferences == {"theme": "dark"}
        receipt = client.settings.allow_sync(key)
        assert receipt is not None
        with anyio.fail_after(LIMIT_S):
            assert (await receipt.sent())["version"] == 1
        stored = await client.call("GET", "/v1/me/settings")
        assert "dark" not in str(stored)


async def test_what_one_device_saves_the_other_has(house: House, user: str, key: SigningKey) -> None:
    async with house.logged_in(user, "desk") as desk, house.logged_in(user, "phone") as phone:
        await until(lambda: desk.is_connected and phone.is_connected)
        for device in (desk, phone):
            device.settings.allow_sync(key)
        await until(lambda: phone.user_id in phone._cache.positions)
        await saved(desk, {"preferences.theme": "dark", "bookmarks.5": {"room": "1"}})
        await until(lambda: phone.settings.document.preferences == {"theme": "dark"})
        assert phone.settings.document.bookmarks["5"].room == "1"


async def test_of_changes_on_two_devices_none_is_lost_without_a_word(
    house: House, user: str, key: SigningKey
) -> None:
    not_live = replace(QUICK, is_live=False)
    async with (
        house.logged_in(user, "desk", settings=not_live) as desk,
        house.logged_in(user, "phone", settings=not_live) as phone,
    ):
        heard = phone.events()
        for device in (desk, phone):
            device.settings.allow_sync(key)
        await saved(desk, {"preferences.theme": "dark", "preferences.size": 3})
        answer = await saved(phone, {"preferences.theme": "blue", "preferences.font": "serif"})
        assert (answer["version"], len(answer["conflicts"])) == (2, 1)
        conflict = (await the_next(heard, SettingsConflict)).conflict
        assert (conflict.name, conflict.kept, conflict.lost) == ("preferences.theme", "blue", "dark")
        await saved(desk, {"preferences.more": True})
        for device in (desk, phone):
            preferences = device.settings.document.preferences
            assert {"theme": "blue", "font": "serif", "size": 3}.items() <= preferences.items()


async def test_settings_of_another_key_are_not_used_and_not_overwritten(
    house: House, user: str, key: SigningKey
) -> None:
    async with house.logged_in(user, "desk") as desk, house.logged_in(user, "phone") as phone:
        desk.settings.allow_sync(key)
        await saved(desk, {"preferences.theme": "dark"})
        phone.settings.allow_sync(SigningKey.generate())
        receipt = await phone.settings.set({"preferences.theme": "blue"})
        assert receipt is not None
        with anyio.fail_after(LIMIT_S), pytest.raises(ActionFailed) as caught:
            await receipt.sent()
        assert caught.value.failure is not None
        assert caught.value.failure.code == "settings_unreadable"
        assert (await phone.call("GET", "/v1/me/settings"))["version"] == 1
        assert phone.settings.document.preferences == {"theme": "blue"}


async def test_a_save_succeeds_though_its_worker_is_killed(
    house: House, user: str, key: SigningKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_a_process = replace(QUICK, is_live=False, crypto=BridgeSettings(kind="process", worker_count=1))
    async with house.logged_in(user, settings=in_a_process) as client:
        client.settings.allow_sync(key)
        await saved(client, {"preferences.theme": "dark"})
        killed: list[int] = []
        former = HandedSecret.__init__

        def kill_first(self: HandedSecret, secret: Secret) -> None:
            former(self, secret)
            if not killed:
                killed.extend(worker_pids(client))
                for pid in killed:
                    os.kill(pid, signal.SIGKILL)

        monkeypatch.setattr(HandedSecret, "__init__", kill_first)
        assert (await saved(client, {"preferences.theme": "blue"}))["version"] == 2
        assert killed


def worker_pids(client: Client) -> list[int]:
    """Return the processes in which the client's settings are encrypted."""
    pool: Any = client.settings._bridges.crypto._pools["process"]
    return [slot.worker._process.pid for slot in pool._dispatcher.slots if slot.worker is not None]


async def test_no_worker_sees_the_private_key_or_what_is_made_of_it_twice(
    house: House, user: str, key: SigningKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bytes] = []
    handed: list[Secret] = []
    request = Pool.request
    init = HandedSecret.__init__

    async def look(self: Pool, method: str, params: Any, result: Any, **how: Any) -> Any:
        seen.append(msgspec.msgpack.encode(params))
        seen.extend(
            bytes(buffer.mapped()) if isinstance(buffer, Body) else bytes(buffer)
            for buffer in how.get("buffers", ())
        )
        return await request(self, method, params, result, **how)

    def note(self: HandedSecret, secret: Secret) -> None:
        init(self, secret)
        handed.append(secret)

    monkeypatch.setattr(Pool, "request", look)
    monkeypatch.setattr(HandedSecret, "__init__", note)
    in_a_process = replace(QUICK, is_live=False, crypto=BridgeSettings(kind="process", worker_count=1))
    async with house.logged_in(user, settings=in_a_process) as client:
        client.settings.allow_sync(key)
        await saved(client, {"preferences.theme": "dark"})
    with key.exported() as private, settings_key(key) as derived:
        root = hashlib.sha512(private.buffer).digest()[:32]
        for secret in (bytes(private.buffer), root, bytes(derived.buffer)):
            assert not any(secret in data for data in seen)
    assert handed
    assert all(secret.is_wiped for secret in handed)
    assert any(b"dark" in data for data in seen)
    assert client.settings._seal is None


async def test_space_keys_are_sent_when_they_changed_and_read_when_they_are_needed(house: House) -> None:
    async with house.logged_in("ann", "desk") as desk, house.logged_in("ann", "phone") as phone:
        with anyio.fail_after(LIMIT_S):
            assert await desk.keys.sync() is None
            await desk.keys.change(house.space, "key one")
            receipt = await desk.keys.sync()
            assert receipt is not None
            await receipt.sent()
            assert await desk.keys.sync() is None
            assert await phone.keys.get(house.space) == "key one"
            await until(lambda: phone.user_id in phone._cache.positions)
            heard = phone.events()
            await desk.keys.change(house.space, "key two")
            second = await desk.keys.sync()
            assert second is not None
            await second.sent()
            await the_next(heard, UserChanged, lambda event: event.what.kind == "space_keys.changed")
            assert await phone.keys.get(house.space) == "key two"


async def test_a_key_is_had_without_a_connection_and_what_was_changed_here_is_not_overwritten(
    house: House,
) -> None:
    async with house.logged_in("ann", "desk") as desk:
        await desk.keys.change(house.space, "mine")
        other = {"client_id": f"k-{house.room}", "keys": {house.space: "theirs"}}
        (
            await anyio.to_thread.run_sync(lambda: house.ann_http.put("/v1/me/space-keys", json=other))
        ).raise_for_status()
        assert await desk.keys.get(house.space) == "mine"
    async with house.client("ann", "desk", url=NOWHERE) as desk:
        assert await desk.keys.get(house.space) == "mine"
        assert await desk.keys.get("404") is None


async def test_no_call_of_the_application_waits_for_a_server_that_does_not_answer(
    house: House, user: str, key: SigningKey
) -> None:
    asked: list[bytes] = []

    async def never_answers(stream: SocketStream) -> None:
        async with stream:
            asked.append(await stream.receive())
            await anyio.sleep_forever()

    async with house.logged_in(user):
        pass
    impatient = replace(QUICK, queue=replace(QUICK.queue, stop_grace_s=0.01))
    async with (
        listening(never_answers) as url,
        house.client(
            user, url=url.replace("ws:", "http:").removesuffix("/v1/ws"), settings=impatient
        ) as client,
    ):
        with anyio.fail_after(LIMIT_S):
            client.settings.allow_sync(key)
            saving = await client.settings.set({"preferences.theme": "dark"})
            await client.keys.change(house.space, "key")
            syncing = await client.keys.sync()
            sending = client.send(house.room, "hello")
            for receipt in (saving, syncing, sending):
                assert receipt is not None
                await receipt.durable()
            assert [each.content for each in await client.messages(house.room)] == ["hello"]
            assert client.settings.document.preferences == {"theme": "dark"}
            await until(lambda: len(asked) >= 3)
            await client.settings.set({"preferences.theme": "blue"})
            assert client.settings.document.preferences == {"theme": "blue"}
