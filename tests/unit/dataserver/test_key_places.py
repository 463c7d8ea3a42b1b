"""Where keys are kept, in words."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from dataserver.key_places import KeyPlace, KeyPlaces, key_sources
from dataserver.setting_values import Refused
from dataserver.settings import SettingsError, load
from workers import Hardening, KeySourceRefused

RAW = bytes(range(32))


def test_places_are_read_from_a_text_or_a_table() -> None:
    text = "shop=file:/run/a.key, chat.db=env:CHAT_KEY,*=keyring:data/me"
    table = {"shop": "file:/run/a.key", "chat.db": "env:CHAT_KEY", "*": "keyring:data/me"}
    expected = {
        "shop": KeyPlace("file", "/run/a.key"),
        "chat.db": KeyPlace("env", "CHAT_KEY"),
        "*": KeyPlace("keyring", "data/me"),
    }
    assert KeyPlaces().read(text) == KeyPlaces().read(table) == expected
    assert KeyPlace.read("file:x.key") == KeyPlace("file", str(Path("x.key").absolute()))
    assert KeyPlaces().allowed


@pytest.mark.parametrize("text", ["shop", "shop=", "shop=secret", "shop=env:", "shop=keyring:service", 7])
def test_what_is_no_place_is_refused_and_a_key_itself_is_none(text: object) -> None:
    with pytest.raises(Refused, match="file:PATH"):
        KeyPlaces().read(text)


def test_a_variable_with_a_key_is_taken_out_of_the_environment_and_serves_several_databases() -> None:
    environment = {
        "DATASERVER_KEYS": "shop=env:DATA_KEY,chat.db=env:DATA_KEY",
        "DATA_KEY": base64.b64encode(RAW).decode(),
        "HOME": "/",
    }
    settings = load(flags={}, environment=environment)
    assert "DATA_KEY" not in environment
    assert set(settings.storage.keys) == {"shop", "chat.db"}
    for source in settings.storage.keys.values():
        with source.key(Hardening(salt=bytes(16))) as key:
            assert bytes(key.buffer) == RAW
    assert RAW.hex() not in repr(settings)


def test_a_variable_that_is_not_there_is_told() -> None:
    with pytest.raises(SettingsError, match="no variable DATA_KEY"):
        load(flags={}, environment={"DATASERVER_KEYS": "shop=env:DATA_KEY"})
    with pytest.raises(KeySourceRefused):
        key_sources({"shop": KeyPlace("env", "DATA_KEY")}, {"DATA_KEY": "no key"})
