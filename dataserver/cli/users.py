"""`dataserver user create|list|disable|enable|password|role`."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from dataserver.cli.errands import carried_out
from dataserver.cli.output import is_terminal, write_json, write_table
from dataserver.cli.running import folder_options, say
from dataserver.user_commands import AllowUser, CreateUser, ListUsers, SetPassword, SetRole

if TYPE_CHECKING:
    from dataserver.auth import Role
    from dataserver.user_commands import UserCommand

_COLUMNS = [
    "id",
    "name",
    "display_name",
    "server_role",
    "device_count",
    "seen_at_ms",
    "created_at_ms",
    "disabled_at_ms",
]
_MADE_UP_BYTES = 15
_MAX_LINE_CHARACTERS = 4_096
_from_stdin = click.option(
    "--password-stdin", is_flag=True, help="Read the password from a line of stdin instead of making one up."
)


@click.group(name="user")
def command() -> None:
    """Make, list, disable and help users of the chat; it counts at once, for a running server too."""


@command.command()
@click.argument("name")
@click.option("--display-name", default="", help="How the user is shown; the name unless it is given.")
@click.option(
    "--role",
    type=click.Choice(["read", "write", "admin"]),
    help="What the user may do with databases and the server; nothing unless it is given.",
)
@_from_stdin
@folder_options
def create(
    *,
    name: str,
    display_name: str,
    role: Role | None,
    password_stdin: bool,
    data_dir: Path | None,
    config: Path | None,
) -> None:
    """Make the user NAME, and print the password alone on stdout if it was made up."""
    password = _password(password_stdin)
    wanted = CreateUser(name=name, password=password, display_name=display_name, role=role)
    made = _done(wanted, data_dir, config)
    _tell_password(password, password_stdin)
    say(f"user {made['name']} has the id {made['id']}")


@command.command(name="list")
@folder_options
def list_all(*, data_dir: Path | None, config: Path | None) -> None:
    """List the users by their names."""
    users: list[dict[str, Any]] = []
    while page := _done(ListUsers(after=users[-1]["name"] if users else ""), data_dir, config):
        users += page
    if is_terminal():
        write_table(users, columns=_COLUMNS)
    else:
        write_json(users)


@command.command()
@click.argument("name")
@folder_options
def disable(*, name: str, data_dir: Path | None, config: Path | None) -> None:
    """Let the user NAME in no more; all their sessions end."""
    _done(AllowUser(name=name, is_allowed=False), data_dir, config)
    say(f"user {name} is disabled")


@command.command()
@click.argument("name")
@folder_options
def enable(*, name: str, data_dir: Path | None, config: Path | None) -> None:
    """Let the user NAME in again."""
    _done(AllowUser(name=name, is_allowed=True), data_dir, config)
    say(f"user {name} may log in")


@command.command()
@click.argument("name")
@_from_stdin
@folder_options
def password(*, name: str, password_stdin: bool, data_dir: Path | None, config: Path | None) -> None:
    """Give the user NAME another password; all their sessions end."""
    new = _password(password_stdin)
    _done(SetPassword(name=name, password=new), data_dir, config)
    _tell_password(new, password_stdin)
    say(f"user {name} has another password")


@command.command()
@click.argument("name")
@click.argument("role", type=click.Choice(["read", "write", "admin", "none"]))
@folder_options
def role(*, name: str, role: str, data_dir: Path | None, config: Path | None) -> None:
    """Say what the user NAME may do with databases and the server: ROLE, or none."""
    given = None if role == "none" else cast("Role", role)
    _done(SetRole(name=name, role=given), data_dir, config)
    say(f"user {name} has the role {role}")


def _done(wanted: UserCommand, data_dir: Path | None, config: Path | None) -> Any:
    return carried_out(wanted, command="user", data_dir=data_dir, config=config, with_chat=True)


def _password(is_given: bool) -> str:
    if not is_given:
        return secrets.token_urlsafe(_MADE_UP_BYTES)
    return sys.stdin.readline(_MAX_LINE_CHARACTERS).rstrip("\r\n")


def _tell_password(text: str, is_given: bool) -> None:
    if not is_given:
        click.echo(text)
