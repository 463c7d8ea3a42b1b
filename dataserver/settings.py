"""The settings of one run, read once: flags before environment before file before defaults.

Nothing else in the project reads the environment. A name that nobody knows is refused wherever it stands, since a
limit with a slip of the pen in its name is a limit that is not there; so is a value that makes no sense, with what
is allowed. `Settings.sources` keeps where each value came from, for the log at start and for `doctor`.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chat import AccountSettings, ChatSettings
from dataserver.key_places import key_sources
from dataserver.limits import HttpLimits
from dataserver.server_settings import LogSettings, ServerSettings
from dataserver.setting_table import SECTIONS, SETTINGS, Setting
from dataserver.setting_values import Refused, expanded
from dataserver.socket.limits import SocketLimits
from storage import StorageSettings
from workers import KeySourceRefused

CONFIG_VARIABLE = "DATASERVER_CONFIG"
"""The environment's name for the TOML file, as `--config` is the flag."""

_OURS = ("DATASERVER_", "SQLITE_WORKER", "SQLITE_MAX_QUEUE", "USE_SQLITE", "USE_CHAT")
_NOT_SETTINGS = frozenset({CONFIG_VARIABLE, "DATASERVER_TOKEN", "DATASERVER_URL"})
"""Names of ours that are no settings: where the file is, and what clients of the server use."""
_MAX_FILE_BYTES = 1 << 20


class SettingsError(Exception):
    """A setting is unknown or not allowed; the text says which, where it stands and what is allowed."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything one run may be told, one part a layer."""

    server: ServerSettings
    storage: StorageSettings
    http: HttpLimits
    accounts: AccountSettings
    chat: ChatSettings
    """Of a program that sends messages: `open_messages(transport, path, settings.chat)`."""
    sockets: SocketLimits
    logs: LogSettings
    sources: Mapping[str, str]
    """`section.name` -> where it came from (`--port`, a variable's name, the file's path); defaults are not in it."""


def load(
    *, flags: Mapping[str, object], environment: MutableMapping[str, str], file: Path | None = None
) -> Settings:
    """Return the settings of this run.

    Args:
        flags: `section.name` -> what the command line gave; `None` counts as not given.
        environment: All variables of the process; those that hold keys of databases are taken out.
        file: The TOML file of `--config`; without one, that of `DATASERVER_CONFIG`, if any.

    Raises:
        SettingsError: A name is unknown, a value is not allowed, or the file cannot be read.
    """
    if file is None and environment.get(CONFIG_VARIABLE):
        try:
            file = expanded(environment[CONFIG_VARIABLE])
        except Refused as error:
            raise SettingsError(
                f"{CONFIG_VARIABLE} is {environment[CONFIG_VARIABLE]!r}; allowed is {error}"
            ) from error
    given: dict[str, tuple[object, str]] = {}
    if file is not None:
        given.update(_from_file(_read_toml(file), str(file)))
    given.update(_from_environment(environment))
    for setting in SETTINGS:
        if flags.get(setting.key) is not None:
            given[setting.key] = (flags[setting.key], setting.flag or setting.key)
    values: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
    for setting in SETTINGS:
        if setting.key in given:
            values[setting.section][setting.name] = _checked(setting, *given[setting.key])
    try:
        storage_values = values["storage"]
        storage_values["keys"] = key_sources(storage_values.get("keys", {}), environment)
    except KeySourceRefused as refused:
        raise SettingsError(f"storage.keys: {refused}") from refused
    try:
        return Settings(
            server=ServerSettings(**values["server"]),
            storage=StorageSettings(**storage_values),
            http=HttpLimits(**values["http"]),
            accounts=AccountSettings(**values["accounts"]),
            chat=ChatSettings(**values["chat"]),
            sockets=SocketLimits(**values["sockets"]),
            logs=LogSettings(**values["logs"]),
            sources={key: source for key, (_, source) in given.items()},
        )
    except ValueError as error:
        raise SettingsError(f"settings that do not go together: {error}") from error


def _checked(setting: Setting, raw: object, source: str) -> object:
    try:
        return setting.kind.read(raw)
    except Refused as refused:
        raise SettingsError(f"{source}: {setting.key} is {raw!r}; allowed is {refused}") from refused


def _read_toml(file: Path) -> dict[str, object]:
    try:
        with file.open("rb") as stream:
            content = stream.read(_MAX_FILE_BYTES + 1)
        if len(content) > _MAX_FILE_BYTES:
            raise SettingsError(f"{file} is larger than {_MAX_FILE_BYTES} bytes: is it the settings file?")
        return tomllib.loads(content.decode())
    except OSError as error:
        raise SettingsError(f"the settings file {file} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise SettingsError(f"the settings file {file} is not TOML: {error}") from error


def _from_file(content: Mapping[str, object], file: str) -> dict[str, tuple[object, str]]:
    known = {setting.key for setting in SETTINGS}
    given: dict[str, tuple[object, str]] = {}
    for section, table in content.items():
        if not isinstance(table, dict):
            raise SettingsError(_unknown(file, section, known))
        for name, raw in table.items():
            key = f"{section}.{name}"
            if key not in known:
                raise SettingsError(_unknown(file, key, known))
            given[key] = (raw, file)
    return given


def _from_environment(environment: Mapping[str, str]) -> dict[str, tuple[object, str]]:
    by_variable = {setting.environment: setting for setting in SETTINGS}
    given: dict[str, tuple[object, str]] = {}
    for variable, raw in environment.items():
        if variable in by_variable:
            if raw:  # an empty variable is how compose files say "not set"
                given[by_variable[variable].key] = (raw, variable)
        elif variable.startswith(_OURS) and variable not in _NOT_SETTINGS:
            raise SettingsError(_unknown("the environment", variable, by_variable))
    return given


def _unknown(where: str, name: str, known: Iterable[str]) -> str:
    allowed = sorted(known)
    near = difflib.get_close_matches(name, allowed, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    return f"{where}: {name} is not a setting.{hint} Allowed are {', '.join(allowed)}."
