"""What the sub-commands share: the options of every command, the settings they make, and how a failure ends.

Failures that were foreseen end in one line on stderr and exit code 1, wrong use in exit code 2; what was not foreseen
is a bug and keeps its traceback.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeVar

import anyio
import click

from dataserver import logs
from dataserver.commands import CommandFailed
from dataserver.control import ControlError
from dataserver.folder import DataFolder, FolderError, FolderInUse
from dataserver.settings import Settings, SettingsError, load
from storage import StorageError
from workers import WorkersError

_Command = TypeVar("_Command", bound=Callable[..., Any])
_FORESEEN = (CommandFailed, ControlError, FolderError, StorageError, WorkersError)


def folder_options(command: _Command) -> _Command:
    """Give a command `--data-dir` and `--config`."""
    command = click.option("--config", type=click.Path(path_type=Path), help="A TOML file with settings.")(
        command
    )
    return click.option("--data-dir", type=click.Path(path_type=Path), help="The data folder.")(command)


@dataclass(frozen=True)
class Surroundings:
    """What a command runs in."""

    settings: Settings
    folder: DataFolder


def surroundings(config: Path | None, flags: Mapping[str, object]) -> Surroundings:
    """Read the settings, once, and set up the logs.

    Raises:
        click.UsageError: A setting is wrong; exit code 2.
    """
    try:
        settings = load(flags=flags, environment=os.environ, file=config)
    except SettingsError as error:
        raise click.UsageError(str(error)) from error
    logs.configure(settings.logs)
    return Surroundings(settings, DataFolder(settings.server.data_dir))


def quiet_surroundings(
    config: Path | None, flags: Mapping[str, object], *, level: Literal["warning", "error"] = "warning"
) -> Surroundings:
    """Do the same for a command that ends soon: little is logged, unless the settings name a level."""
    around = surroundings(config, flags)
    if "logs.level" not in around.settings.sources:
        logs.configure(replace(around.settings.logs, level=level))
    return around


@contextmanager
def failing_in_words(*foreseen: type[Exception]) -> Iterator[None]:
    """Let foreseen failures end in one line and exit code 1.

    Raises:
        click.ClickException: It failed.
    """
    expected: tuple[type[Exception], ...] = (*_FORESEEN, *foreseen)
    try:
        yield
    except expected as error:
        raise click.ClickException(str(error)) from error


def run_to_end(main: Callable[[], Awaitable[None]], *foreseen: type[Exception]) -> None:
    """Run an async command; its foreseen failures end as in `failing_in_words`."""
    with failing_in_words(*foreseen):
        anyio.run(main)


def say(line: str) -> None:
    """Tell the person at the terminal something that is no data."""
    click.echo(line, err=True)


def say_waiting(taken: FolderInUse) -> None:
    """Tell why nothing happens yet."""
    say(f"waiting: {taken}")


def stop_with(code: int) -> NoReturn:
    """Leave with an exit code."""
    raise click.exceptions.Exit(code)
