"""`dataserver token create|list|revoke`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from dataserver.auth import Role
from dataserver.cli.errands import carried_out
from dataserver.cli.output import is_terminal, write_json, write_table
from dataserver.cli.running import folder_options, say
from dataserver.commands import Command, CreateToken, ListTokens, RevokeToken


@click.group(name="token")
def command() -> None:
    """Make, list and revoke access tokens; what is made or revoked counts at once, a running server's too."""


@command.command()
@click.option(
    "--role", type=click.Choice(["read", "write", "admin"]), required=True, help="What its bearer may do."
)
@click.option("--name", default="", help="A word to know it by, for `token list`.")
@folder_options
def create(*, role: Role, name: str, data_dir: Path | None, config: Path | None) -> None:
    """Make a token and print it alone on stdout; it cannot be shown again."""
    issued = _done(CreateToken(name=name, role=role), data_dir, config)
    click.echo(issued["token"])
    say(f"token {issued['id']} with role {role}; keep it: it cannot be shown again")


@command.command(name="list")
@folder_options
def list_all(*, data_dir: Path | None, config: Path | None) -> None:
    """List the tokens, without their texts."""
    tokens = _done(ListTokens(), data_dir, config)
    if is_terminal():
        write_table(tokens, columns=["id", "name", "role", "created_at_ms", "revoked_at_ms"])
    else:
        write_json(tokens)


@command.command()
@click.argument("token_id", metavar="ID")
@folder_options
def revoke(*, token_id: str, data_dir: Path | None, config: Path | None) -> None:
    """Make the token with this ID (see `token list`) worthless."""
    revoked = _done(RevokeToken(id=token_id), data_dir, config)
    if not is_terminal():
        write_json(revoked)
    say(f"token {revoked['id']} is revoked")


def _done(wanted: Command, data_dir: Path | None, config: Path | None) -> Any:
    return carried_out(wanted, command="token", data_dir=data_dir, config=config)
