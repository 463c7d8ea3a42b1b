"""Settings as they leave the device: only the user's own key opens them, and nobody can change them unseen."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha512

import msgspec
import pytest
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from chat.sync.derivation import SETTINGS_LABEL, settings_key
from chat.sync.document import SettingsDocument
from chat.sync.sealing import SealedSettings, SettingsForged, SettingsSeal, signed_bytes
from workers import BridgeSettings, KeyNotUsable, SigningKey, open_bridges

DARK = SettingsDocument().with_changes({"preferences.theme": "dark"}, 1)


@pytest.mark.parametrize("algorithm", ["ed448", "ed25519"])
def test_the_key_is_made_of_the_private_key_under_the_label(algorithm: str) -> None:
    key = SigningKey.generate(algorithm)  # type: ignore[arg-type]  # a parameter's text
    with key.exported() as private, settings_key(key) as found:
        root = sha512(bytes(private.buffer)).digest()[:32]
        expected = HKDF(SHA512(), 32, salt=None, info=SETTINGS_LABEL).derive(root)
        assert bytes(found.buffer) == expected


async def sealed(key: SigningKey, account: str = "1", version: int = 1) -> SealedSettings:
    async with open_bridges(BridgeSettings(kind="inline")) as bridges:
        with SettingsSeal(bridges.crypto, account, key) as seal:
            return await seal.sealed(DARK, version)


async def opened(key: SigningKey, settings: SealedSettings, account: str = "1") -> SettingsDocument:
    async with open_bridges(BridgeSettings(kind="inline")) as bridges:
        with SettingsSeal(bridges.crypto, account, key) as seal:
            return await seal.opened(settings)


async def test_every_device_with_the_key_opens_what_one_has_sealed() -> None:
    key = SigningKey.generate()
    with key.exported() as private:
        same_key = SigningKey("ed448", private)
    assert await opened(same_key, await sealed(key)) == DARK


async def test_what_is_sealed_twice_is_never_the_same() -> None:
    key = SigningKey.generate()
    assert (await sealed(key)).ciphertext != (await sealed(key)).ciphertext


@pytest.mark.parametrize("field", ["ciphertext", "signature", "version", "account", "key"])
async def test_what_was_changed_on_the_way_is_not_used(field: str) -> None:
    key = SigningKey.generate()
    settings = await sealed(key)
    account = "2" if field == "account" else "1"
    if field == "version":
        settings = msgspec.structs.replace(settings, version=2)
    elif field in {"ciphertext", "signature"}:
        settings = msgspec.structs.replace(settings, **{field: b64encode(b"x" * 120).decode()})
    with pytest.raises(SettingsForged):
        await opened(SigningKey.generate() if field == "key" else key, settings, account)


async def test_what_is_no_base64_is_not_used() -> None:
    key = SigningKey.generate()
    settings = msgspec.structs.replace(await sealed(key), ciphertext="no base64!")
    with pytest.raises(SettingsForged):
        await opened(key, settings)


async def test_after_the_end_nothing_is_sealed_any_more() -> None:
    async with open_bridges(BridgeSettings(kind="inline")) as bridges:
        with SettingsSeal(bridges.crypto, "1", SigningKey.generate()) as seal:
            pass
        with pytest.raises(KeyNotUsable):
            await seal.sealed(DARK, 1)


def test_what_is_signed_can_not_be_read_in_two_ways() -> None:
    texts = {signed_bytes("1", 23, b"x"), signed_bytes("12", 3, b"x"), signed_bytes("1", 2, b"3x")}
    assert len(texts) == 3
