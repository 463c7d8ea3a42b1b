"""The root command: it knows the names of the others and imports one when it is called."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

import click
from typing_extensions import override

_COMMANDS = {
    "serve": ("serve", "Serve the databases of a data folder over HTTP."),
    "demo": ("demo", "Fill an empty data folder with real tables and serve it."),
    "import": ("import_files", "Bring SQLite, JSON lines, CSV files or chat logs in."),
    "backup": ("backup", "Copy a database while it is written."),
    "restore": ("restore", "Make a database out of a backup."),
    "verify": ("verify", "Check a database: integrity, foreign keys, numbers of rows."),
    "rekey": ("rekey", "Encrypt a database, give it another key, or decrypt it."),
    "query": ("query", "Run one SELECT: a table on a terminal, JSON when piped."),
    "queue": ("queue", "Look into an action queue's file; try actions again or take them back."),
    "chat": ("chat", "Read and write a chat in the terminal."),
    "token": ("tokens", "Make, list and revoke access tokens."),
    "user": ("users", "Make, list, disable and help users of the chat."),
    "doctor": ("doctor", "Look at this machine and this folder, and say what to change."),
}


class _LazyGroup(click.Group):
    """A group whose commands lie in modules that are imported when they are needed."""

    @override
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    @override
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        with _rich_left_out():
            command: click.Command = import_module(f"dataserver.cli.{_COMMANDS[cmd_name][0]}").command
        return command

    @override
    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in _COMMANDS.items()])


@contextmanager
def _rich_left_out() -> Iterator[None]:
    """Let `structlog` be imported as if there were no `rich`: its tracebacks are not used, and it takes 90 of 330 ms (2026-11)."""
    is_wanted = "rich" in sys.modules
    if not is_wanted:
        sys.modules["rich"] = None  # type: ignore[assignment] # the mark of what cannot be imported
    try:
        yield
    finally:
        if not is_wanted:
            del sys.modules["rich"]


def _print_version(context: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415 - 30 ms that `--help` need not wait for

        click.echo(version("dataserver"))
        context.exit()


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Print the version.",
)
def root() -> None:
    """A SQLite data server. Data goes to stdout, progress and logs to stderr; exit codes are 0, 1 (failed), 2 (wrong use)."""
