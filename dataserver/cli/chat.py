"""`dataserver chat login|rooms|send|backlog|tail`: a small terminal client of a chat, here or elsewhere.

Its store is a folder of its own and belongs to one user, so what was read is there without a connection, and what was
sent is kept until the server has it.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import click
import msgspec

from chat import ChatError, ChatMessage, Client, ClientSettings, MessageChanged
from dataserver.cli.output import is_terminal, write_json, write_table
from dataserver.cli.running import folder_options, quiet_surroundings, run_to_end, say

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_MOST_MESSAGES_COUNT = 500
_LIVE = ClientSettings()
_NOT_LIVE = ClientSettings(is_live=False)


@dataclass(frozen=True)
class _Place:
    url: str
    store: Path

    @asynccontextmanager
    async def client(self, settings: ClientSettings = _NOT_LIVE) -> AsyncIterator[Client]:
        async with Client(self.url, store=self.store, settings=settings) as client:
            yield client


@click.group(name="chat")
@click.option("--url", default="http://127.0.0.1:8000", show_default=True, help="The server's address.")
@click.option(
    "--store",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("~/.dataserver-chat"),
    show_default=True,
    help="The folder for what is read and sent; of one user.",
)
@folder_options
@click.pass_context
def command(
    context: click.Context, *, url: str, store: Path, data_dir: Path | None, config: Path | None
) -> None:
    """Read and write a chat in the terminal."""
    context.obj = _Place(url, store)
    quiet_surroundings(config, {"server.data_dir": data_dir}, level="error")


@command.command()
@click.argument("name")
@click.option("--register", "is_new", is_flag=True, help="Make the account first.")
@click.pass_obj
def login(place: _Place, *, name: str, is_new: bool) -> None:
    """Log in as NAME; the password is asked for, or is the first line of a pipe."""
    password = (
        click.prompt("password", hide_input=True, err=True)
        if sys.stdin.isatty()
        else sys.stdin.readline().rstrip("\n")
    )

    async def main(client: Client) -> None:
        act = client.register if is_new else client.login
        await act(name, password, device="terminal")
        say(f"logged in as {name}")

    _with(place, main)


@command.command()
@click.pass_obj
def rooms(place: _Place) -> None:
    """List the rooms, as the server has them now or else as they were heard of last."""

    async def main(client: Client) -> None:
        with contextlib.suppress(ChatError):  # without a connection what is here has to do
            await client.refresh_rooms()
        found = [
            {"id": each.id, "space": each.space, "name": each.name, "topic": each.topic}
            for each in await client.rooms()
        ]
        if is_terminal():
            write_table(found, columns=["id", "space", "name", "topic"])
        else:
            write_json(found)

    _with(place, main)


@command.command()
@click.argument("room")
@click.argument("words", nargs=-1)
@click.option("--wait", "wait_s", type=float, default=10.0, show_default=True, help="Seconds for the server.")
@click.pass_obj
def send(place: _Place, *, room: str, words: tuple[str, ...], wait_s: float) -> None:
    """Send a message to ROOM: the words, or each line of a pipe; it is kept until the server has it."""

    async def main(client: Client) -> None:
        lines = [" ".join(words)] if words else [line.rstrip("\n") for line in sys.stdin]
        receipts = [client.send(room, line) for line in lines if line]
        for receipt in receipts:
            await receipt.durable()
        with anyio.move_on_after(wait_s) as limit:
            for receipt in receipts:
                write_json(await receipt.sent())
        if limit.cancelled_caught:
            say("no answer yet: what was not sent is kept, and goes out when this is run again")

    _with(place, main)


@command.command()
@click.argument("room")
@click.option("--limit", type=click.IntRange(1, _MOST_MESSAGES_COUNT), default=50, show_default=True)
@click.pass_obj
def backlog(place: _Place, *, room: str, limit: int) -> None:
    """Show the last messages of ROOM."""

    async def main(client: Client) -> None:
        with contextlib.suppress(ChatError):  # without a connection what is here has to do
            await client.backlog(room, limit=limit)
        for message in await client.messages(room, limit=limit):
            _show(message)

    _with(place, main)


@command.command()
@click.argument("room")
@click.option("--count", type=click.IntRange(min=1), help="End after so many messages.")
@click.pass_obj
def tail(place: _Place, *, room: str, count: int | None) -> None:
    """Show messages of ROOM as they come, until Ctrl-C."""

    async def main(client: Client) -> None:
        shown_count = 0
        async for event in client.events():
            if (
                isinstance(event, MessageChanged)
                and event.room_id == room
                and event.kind == "message.created"
            ):
                _show(event.message)
                shown_count += 1
                if shown_count == count:
                    return

    with contextlib.suppress(KeyboardInterrupt):
        _with(place, main, _LIVE)


def _with(
    place: _Place, act: Callable[[Client], Awaitable[None]], settings: ClientSettings = _NOT_LIVE
) -> None:
    async def main() -> None:
        async with place.client(settings) as client:
            await act(client)

    run_to_end(main, ChatError)


def _show(message: ChatMessage) -> None:
    if not is_terminal():
        write_json(msgspec.to_builtins(message))
        return
    mark = " ..." if message.state == "pending" else ""
    content = "(deleted)" if message.content is None else message.content
    click.echo(f"{message.seq or '-':>6}  {message.sender_name or message.sender}: {content}{mark}")
