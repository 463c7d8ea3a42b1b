"""Settings, signing keys and space keys as the server keeps them."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from chat.domain.refusals import ClientIdReused, InvalidValue, LimitReached, NotFound, VersionConflict
from chat.domain.signing_keys import MAX_KEY_COUNT
from chat.sync.document import SettingsDocument
from chat.sync.sealing import SealedSettings, SettingsSeal
from tests.support.chat_domain import into_spaces
from tests.support.statement_counts import counted
from workers import BridgeSettings, SigningKey, open_bridges

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.chat_domain import ChatBench


class Device:
    """A device of Ann's, with her key."""

    def __init__(self, bench: ChatBench, seal: SettingsSeal) -> None:
        self.bench = bench
        self.seal = seal

    async def register(self) -> None:
        await self.bench.chat.signing_keys.register(
            self.bench.ann,
            self.bench.client_id(),
            algorithm=self.seal.algorithm,
            public_key=b64encode(self.seal.public_key).decode(),
        )

    async def sealed(self, version: int, **values: Any) -> SealedSettings:
        document = SettingsDocument().with_changes({f"preferences.{n}": v for n, v in values.items()}, 1)
        return await self.seal.sealed(document, version)

    async def save(self, base: int, client_id: str | None = None, **values: Any) -> dict[str, Any]:
        return await self.bench.chat.settings.save(
            self.bench.ann,
            client_id or self.bench.client_id(),
            await self.sealed(base + 1, **values),
            base_version=base,
        )


@pytest.fixture(params=["ed448", "ed25519"])
async def device(bench: ChatBench, request: pytest.FixtureRequest) -> AsyncIterator[Device]:
    async with open_bridges(BridgeSettings(kind="inline")) as bridges:
        with SettingsSeal(bridges.crypto, str(bench.ann), SigningKey.generate(request.param)) as seal:
            device = Device(bench, seal)
            await device.register()
            yield device


async def test_what_was_saved_comes_back_and_only_the_users_key_opens_it(device: Device) -> None:
    await device.save(0, theme="dark")
    current = await device.bench.chat.settings.current(device.bench.ann)
    found = await device.seal.opened(msgspec.convert(current, SealedSettings))
    assert found.preferences == {"theme": "dark"}
    assert "dark" not in str(current)


async def test_who_comes_second_is_given_what_is_there(device: Device) -> None:
    await device.save(0, theme="dark")
    with pytest.raises(VersionConflict) as caught:
        await device.save(0, theme="blue")
    assert caught.value.details["current"]["version"] == 1
    assert (await device.save(1, theme="blue"))["version"] == 2


async def test_the_same_save_again_is_answered_and_not_done_again(device: Device) -> None:
    first = await device.save(0, "save-1", theme="dark")
    again = await device.save(0, "save-1", theme="dark")
    assert again == {**first, "duplicate": True}
    with pytest.raises(ClientIdReused):
        await device.save(1, "save-1", theme="dark")


async def test_a_save_is_told_to_the_users_other_devices(device: Device) -> None:
    await device.save(0, theme="dark")
    events = await device.bench.events(device.bench.ann)
    assert [(each["kind"], each["body"]) for each in events][-2:] == [
        ("signing_keys.changed", None),
        ("settings.saved", {"version": 1}),
    ]


@pytest.mark.parametrize("field", ["ciphertext", "signature"])
async def test_settings_that_the_key_has_not_signed_are_not_stored(device: Device, field: str) -> None:
    sealed = await device.sealed(1, theme="dark")
    forged = msgspec.structs.replace(sealed, **{field: b64encode(b"something else").decode()})
    with pytest.raises(InvalidValue) as caught:
        await device.bench.chat.settings.save(device.bench.ann, "c", forged, base_version=0)
    assert caught.value.details["field"] == "signature"
    assert await device.bench.chat.settings.current(device.bench.ann) is None


async def test_an_older_version_or_another_account_can_not_be_passed_off(device: Device) -> None:
    bench, sealed = device.bench, await device.sealed(1, theme="dark")
    await bench.chat.signing_keys.register(
        bench.bob, "k", algorithm=device.seal.algorithm, public_key=sealed.public_key
    )
    with pytest.raises(InvalidValue, match="signature"):
        await bench.chat.settings.save(bench.bob, "c", sealed, base_version=0)
    await device.save(0, theme="dark")
    later = msgspec.structs.replace(sealed, version=2)
    with pytest.raises(InvalidValue, match="signature"):
        await bench.chat.settings.save(bench.ann, "c", later, base_version=1)
    with pytest.raises(InvalidValue, match="follows the base"):
        await bench.chat.settings.save(bench.ann, "c", later, base_version=0)


async def test_a_key_that_is_not_registered_is_not_accepted(device: Device) -> None:
    bench = device.bench
    keys = msgspec.json.decode(await bench.chat.signing_keys.list(bench.ann))["keys"]
    await bench.chat.signing_keys.unregister(bench.ann, "u", int(keys[0]["id"]))
    with pytest.raises(NotFound):
        await device.save(0, theme="dark")


async def test_a_signing_key_is_registered_once_and_as_what_it_is(bench: ChatBench) -> None:
    keys, public = bench.chat.signing_keys, b64encode(bytes(57)).decode()
    for client_id in ("a", "b"):
        await keys.register(bench.ann, client_id, algorithm="ed448", public_key=public)
    assert len(msgspec.json.decode(await keys.list(bench.ann))["keys"]) == 1
    for algorithm, text in (("ed25519", public), ("ed448", "no base64!"), ("rsa", public)):
        with pytest.raises(InvalidValue):
            await keys.register(bench.ann, bench.client_id(), algorithm=algorithm, public_key=text)


async def test_a_user_has_a_bounded_number_of_signing_keys(bench: ChatBench) -> None:
    register = bench.chat.signing_keys.register
    publics = [b64encode(bytes([number]) * 32).decode() for number in range(MAX_KEY_COUNT + 1)]
    for public in publics[:-1]:
        await register(bench.ann, bench.client_id(), algorithm="ed25519", public_key=public)
    with pytest.raises(LimitReached):
        await register(bench.ann, bench.client_id(), algorithm="ed25519", public_key=publics[-1])


async def keys_of(bench: ChatBench, user_id: int, since: int = 0) -> dict[str, tuple[int, str]]:
    page = msgspec.json.decode(await bench.chat.space_keys.changed_since(user_id, since))
    return {each["space"]: (each["version"], each["blob"]) for each in page["keys"]}


async def test_a_device_asks_for_the_keys_above_the_version_it_has_seen(bench: ChatBench) -> None:
    one, two, three = await into_spaces(bench, bench.ann, 3)
    put = bench.chat.space_keys.put
    await put(bench.ann, "p1", {one: "k1", two: "k2"})
    seen = max(version for version, _ in (await keys_of(bench, bench.ann)).values())
    await put(bench.ann, "p2", {one: "k1", two: "k2b", three: "k3"})
    changed = await keys_of(bench, bench.ann, seen)
    assert {space: blob for space, (_, blob) in changed.items()} == {two: "k2b", three: "k3"}


async def test_keys_of_spaces_that_the_user_has_left_are_left_out(bench: ChatBench) -> None:
    (one,) = await into_spaces(bench, bench.ann, 1)
    await bench.chat.space_keys.put(bench.ann, "p", {one: "k", "999999": "x"})
    assert list(await keys_of(bench, bench.ann)) == [one]
    with pytest.raises(NotFound):
        await bench.chat.space_keys.put(bench.eve, "p", {one: "k"})
    assert await keys_of(bench, bench.eve) == {}


@pytest.mark.parametrize("keys", [{"x": "k"}, {"1": "k" * 8_193}, {str(n): "k" for n in range(1, 2_002)}])
async def test_keys_past_a_bound_are_refused(bench: ChatBench, keys: dict[str, str]) -> None:
    with pytest.raises(InvalidValue):
        await bench.chat.space_keys.put(bench.ann, "p", keys)


async def test_saves_run_the_same_statements_with_one_space_and_with_a_thousand(
    bench: ChatBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[list[str]] = []
    have: list[str] = []
    async with open_bridges(BridgeSettings(kind="inline")) as bridges:
        with SettingsSeal(bridges.crypto, str(bench.ann), SigningKey.generate()) as seal:
            device = Device(bench, seal)
            await device.register()
            for version, count in enumerate((1, 50, 1_000)):
                have += await into_spaces(bench, bench.ann, count - len(have))
                with counted(monkeypatch) as statements:
                    await device.save(version, count=count)
                    await bench.chat.space_keys.put(
                        bench.ann, bench.client_id(), dict.fromkeys(have, f"k{count}")
                    )
                    await bench.chat.space_keys.changed_since(bench.ann, 0)
                ran.append(sorted(statements))
    assert ran[0] == ran[1] == ran[2]
    assert len(ran[0]) == 8


async def test_a_profile_does_not_grow_with_the_spaces_of_its_user(
    bench: ChatBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    saves: list[tuple[list[str], int]] = []
    have = 0
    for count in (1, 50, 1_000):
        have += len(await into_spaces(bench, bench.ann, count - have))
        with counted(monkeypatch) as statements:
            client_id = f"profile-{count:04}"
            await bench.chat.profiles.update(bench.ann, client_id, {"mood": f"{count:04}"}, version=None)
            profile = await bench.chat.profiles.get(bench.bob, bench.ann)
        saves.append((sorted(statements), len(profile)))
    assert saves[0] == saves[1] == saves[2]
