"""The options of `serve` and `demo`, and how a server that starts greets the person who started it."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import anyio
import click

from dataserver.cli.running import failing_in_words, folder_options, say
from dataserver.commands import House
from dataserver.lifecycle import Greeting, StoppedHard, run_server
from dataserver.settings import Settings

_Command = TypeVar("_Command", bound=Callable[..., Any])


def server_options(command: _Command) -> _Command:
    """Give a command the flags of a server."""
    for option in (
        folder_options,
        click.option(
            "--server", type=click.Choice(["uvicorn", "h2corn"]), help="Which ASGI server speaks HTTP."
        ),
        click.option(
            "--workers",
            type=click.Choice(["process", "thread", "off"]),
            help="Where SQLite runs; off is on the event loop, for an emergency.",
        ),
        click.option("--port", type=int, help="The port to listen on; 0 takes a free one."),
        click.option("--host", help="Where to listen."),
    ):
        command = option(command)
    return command


def server_flags(
    *, host: str | None, port: int | None, data_dir: Path | None, workers: str | None, server: str | None
) -> dict[str, object]:
    """Return what the flags set."""
    flags: dict[str, object] = {
        "server.host": host,
        "server.port": port,
        "server.data_dir": data_dir,
        "server.server": server,
    }
    if workers is not None:
        flags["storage.use_workers"] = workers != "off"
        flags["storage.kind"] = None if workers == "off" else workers
    return flags


def run_until_stopped(
    settings: Settings,
    *foreseen: type[Exception],
    command: str,
    greet: Callable[[Greeting], None],
    prepare: Callable[[House], Awaitable[None]] | None = None,
) -> None:
    """Serve until a signal comes; foreseen failures end in one line and exit code 1.

    Raises:
        click.ClickException: It could not start, or was stopped hard.
    """

    async def main() -> None:
        await run_server(settings, command=command, greet=greet, prepare=prepare)

    with failing_in_words(StoppedHard, OSError, *foreseen):
        anyio.run(main, backend_options={"use_uvloop": sys.platform != "win32"})


def show_first_token(greeting: Greeting) -> None:
    """Print the token of the very first start: alone on stdout, with words about it on stderr."""
    if greeting.first_token is None:
        return
    say("first start: the admin token follows on stdout. It is shown once and kept nowhere in the clear.")
    click.echo(greeting.first_token.token)
