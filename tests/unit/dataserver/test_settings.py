"""Where a setting may come from, which source wins, and what is refused."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataserver.setting_table import SECTIONS, SETTINGS
from dataserver.setting_values import Folder, OneOf, Refused, Seconds, Shares, Switch, Text, Whole
from dataserver.settings import Settings, SettingsError, load

INTERNAL = {
    "storage.file_keys",
    "storage.statement_cache_count",
    "storage.max_open_streams",
    "storage.stream_idle_s",
    "storage.stream_chunk_bytes",
    "storage.plans_by_values",
    "storage.secure_delete",
    "storage.transaction_lease_s",
    "accounts.max_devices_per_user",
    "accounts.max_session_count",
    "accounts.password_cost",
    "chat.queue",
}
"""Fields of the layers that nobody has had a reason to change; they are not in the table on purpose."""


def load_with(
    *,
    flags: dict[str, object] | None = None,
    environment: dict[str, str] | None = None,
    file: Path | None = None,
) -> Settings:
    return load(flags=flags or {}, environment=environment or {}, file=file)


@pytest.fixture
def toml(tmp_path: Path) -> Any:
    def write(text: str) -> Path:
        file = tmp_path / "settings.toml"
        file.write_text(text)
        return file

    return write


def test_without_any_source_the_layers_own_defaults_hold() -> None:
    settings = load_with()
    assert settings.sources == {}
    for section, defaults in SECTIONS.items():
        assert getattr(settings, section) == defaults


def test_a_flag_wins_over_the_environment_and_that_over_the_file(toml: Any) -> None:
    file = toml("[server]\nport = 1\nhost = 'file'\ndrain_s = 3\n")
    settings = load_with(
        flags={"server.port": 3, "server.host": None},
        environment={"DATASERVER_PORT": "2", "DATASERVER_HOST": "environment"},
        file=file,
    )
    assert (settings.server.port, settings.server.host, settings.server.drain_s) == (3, "environment", 3.0)
    assert settings.sources == {
        "server.port": "--port",
        "server.host": "DATASERVER_HOST",
        "server.drain_s": str(file),
    }


def test_the_environment_names_the_file_unless_a_flag_does(toml: Any) -> None:
    file = toml("[server]\nport = 1\n")
    assert load_with(environment={"DATASERVER_CONFIG": str(file)}).server.port == 1


def test_the_pool_flags_have_the_names_operators_know() -> None:
    storage = load_with(
        environment={
            "USE_SQLITE_WORKERS": "0",
            "SQLITE_WORKER_KIND": "thread",
            "SQLITE_WORKER_COUNT": "3",
            "SQLITE_MAX_QUEUE_SIZE": "7",
        }
    ).storage
    assert (storage.use_workers, storage.kind, storage.worker_count, storage.max_queue_size) == (
        False,
        "thread",
        3,
        7,
    )


def test_an_empty_variable_counts_as_not_set() -> None:
    assert load_with(environment={"SQLITE_WORKER_COUNT": ""}).sources == {}


@pytest.mark.parametrize(
    "environment",
    [
        {"SQLITE_WORKER_COUNTS": "3"},
        {"DATASERVER_PROT": "1"},
        {"USE_SQLITE_WORKER": "0"},
        {"SQLITE_MAX_QUEUE": "9"},
    ],
    ids=lambda environment: next(iter(environment)),
)
def test_a_slip_in_a_variables_name_is_refused_with_the_right_one(environment: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="Did you mean"):
        load_with(environment=environment)


def test_variables_of_others_and_those_of_clients_are_let_be() -> None:
    load_with(environment={"SQLITE_TMPDIR": "x", "PATH": "x", "DATASERVER_TOKEN": "x", "DATASERVER_URL": "x"})


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[server]\nprot = 1\n", r"server\.prot is not a setting\. Did you mean server\.port"),
        ("[sever]\nport = 1\n", r"sever\.port is not a setting"),
        ("port = 1\n", "port is not a setting"),
        ("[server]\nport = '1x'\n", r"server\.port is '1x'; allowed is a whole number from 0 to 65535"),
        ("[server]\nport = true\n", r"server\.port is True"),
        ("[storage]\nkind = 'fibre'\n", "allowed is one of process, thread"),
        ("[server\n", "is not TOML"),
        ("a = '\udcff'\n", "is not TOML"),
    ],
)
def test_a_file_with_a_mistake_is_refused_with_what_is_allowed(
    tmp_path: Path, text: str, complaint: str
) -> None:
    file = tmp_path / "settings.toml"
    file.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(SettingsError, match=complaint):
        load_with(file=file)


def test_a_missing_or_huge_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        load_with(file=tmp_path / "none.toml")
    huge = tmp_path / "huge.toml"
    huge.write_bytes(b"#" * (2 << 20))
    with pytest.raises(SettingsError, match="larger than"):
        load_with(file=huge)


def test_settings_that_do_not_go_together_are_refused() -> None:
    environment = {"DATASERVER_DEFAULT_PAGE_COUNT": "100", "DATASERVER_MAX_PAGE_COUNT": "10"}
    with pytest.raises(SettingsError, match="default_page_count"):
        load_with(environment=environment)


def test_every_field_of_every_layer_is_in_the_table_or_internal_on_purpose() -> None:
    offered = {setting.key for setting in SETTINGS}
    there = {
        f"{section}.{field.name}"
        for section, defaults in SECTIONS.items()
        for field in fields(defaults)  # type: ignore[arg-type]  # each is a dataclass
    }
    assert offered | INTERNAL == there
    assert not offered & INTERNAL


def test_the_table_names_each_thing_once_and_allows_its_own_defaults() -> None:
    variables = [setting.environment for setting in SETTINGS]
    assert len(set(variables)) == len(variables)
    for setting in SETTINGS:
        assert setting.help
        assert setting.kind.allowed
        assert setting.kind.read(setting.default) == setting.default


@given(st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.integers())))
def test_whatever_comes_a_kind_returns_its_own_type_or_refuses_in_words(raw: object) -> None:
    for kind, returned in (
        (Whole(0, 10), int),
        (Seconds(10.0), float),
        (Switch(), bool),
        (OneOf(("a", "b")), str),
        (Text("a text"), str),
        (Folder(), Path),
    ):
        try:
            value = kind.read(raw)
        except Refused:
            continue
        assert isinstance(value, returned)
        assert kind.allowed


def test_a_home_that_nobody_has_is_refused_in_words() -> None:
    with pytest.raises(Refused, match="nobody of the name"):
        Folder().read("~0/data")
    with pytest.raises(SettingsError, match="nobody of the name"):
        load(flags={}, environment={"DATASERVER_CONFIG": "~0/server.toml"})


@pytest.mark.parametrize(
    ("word", "on"), [("1", True), ("true", True), ("ON", True), ("0", False), ("off", False), ("No", False)]
)
def test_a_switch_knows_the_usual_words(word: str, on: bool) -> None:
    assert Switch().read(word) is on


@pytest.mark.parametrize(("given", "uses_queue"), [({}, True), ({"USE_CHAT_QUEUE": "0"}, False)])
def test_one_variable_sends_chat_messages_without_the_queue(given: dict[str, str], uses_queue: bool) -> None:
    assert load_with(environment=given).chat.use_queue is uses_queue


def test_a_slip_in_the_chats_flag_is_refused() -> None:
    with pytest.raises(SettingsError, match="USE_CHAT_QUEUE"):
        load_with(environment={"USE_CHAT_QUEUES": "0"})


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("shop=4, logs=0.5", {"shop": 4.0, "logs": 0.5}),
        ({"shop": 4}, {"shop": 4.0}),
        ("", {}),
        ("shop", None),
        ("shop=0", None),
        ("shop=x", None),
        ("=3", None),
        ({"shop": "inf"}, None),
        (5, None),
    ],
)
def test_shares_are_numbers_above_zero_by_name(given: object, read: dict[str, float] | None) -> None:
    if read is not None:
        assert Shares().read(given) == read
    else:
        with pytest.raises(Refused, match="such as shop=4"):
            Shares().read(given)
