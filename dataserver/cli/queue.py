"""`dataserver queue FILE stats|list|show|retry|cancel|tail|export`: look into an action queue's file, and lend a hand.

The file may be in use. To look at it only reads it; `retry` and `cancel` take part like any process that has the queue
open, but deliver nothing: that is left to whoever has the handlers.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import click
import msgspec

from chat import ChatError, ListedAction, QueueReader, State
from dataserver.cli.output import is_terminal, write_json, write_table
from dataserver.cli.queue_changes import cancel, retry
from dataserver.cli.queue_files import QueueFile
from dataserver.cli.queue_live import tail
from dataserver.cli.running import folder_options, quiet_surroundings, run_to_end, say

_PAGE_COUNT = 1_000
_COLUMNS = ["place", "state", "type", "lane", "client_id", "attempts", "wait_ms", "failure"]


@click.group(name="queue")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@folder_options
@click.pass_context
def command(context: click.Context, *, file: Path, data_dir: Path | None, config: Path | None) -> None:
    """Look into the action queue in FILE, and try actions again or take them back; it may be in use.

    An encrypted one is opened with the key that `storage.keys` gives for the name of FILE, as
    DATASERVER_KEYS=outbox.db=file:PATH.
    """
    around = quiet_surroundings(config, {"server.data_dir": data_dir})
    context.obj = QueueFile(file, around.settings.storage.keys.get(file.name))


def _filters(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that say which actions it is about."""
    for option in (
        click.option("--account", help="Only actions of this account."),
        click.option(
            "--due",
            "due_within_s",
            type=click.FloatRange(min=0),
            metavar="SECONDS",
            help="Only those that may be delivered within so many seconds; 0 is now.",
        ),
        click.option("--key", "lane", metavar="LANE", help="Only actions of this lane, as messages//room1."),
        click.option("--type", "type_name", metavar="TYPE", help="Only actions of this type."),
        click.option(
            "--status",
            "state",
            type=click.Choice([state.value for state in State]),
            help="Only actions in this state.",
        ),
    ):
        command = option(command)
    return command


@command.command()
@click.pass_obj
def stats(file: QueueFile) -> None:
    """Count the actions, all and by type."""

    async def main(reader: QueueReader) -> None:
        everything, types = await reader.statistics(), await reader.statistics_by_type()
        if not is_terminal():
            write_json({"all": everything, "types": types})
            return
        rows = [("all", everything), *types.items()]
        write_table([{"type": name, **msgspec.structs.asdict(counted)} for name, counted in rows])

    _look(file, main)


@command.command(name="list")
@_filters
@click.option("--after", type=int, default=0, help="Begin after the action of this place.")
@click.option("--limit", type=click.IntRange(1, _PAGE_COUNT), default=100, show_default=True)
@click.pass_obj
def list_some(file: QueueFile, /, *, after: int, limit: int, **wanted: Any) -> None:
    """List actions in the order they came."""

    async def main(reader: QueueReader) -> None:
        found = await reader.some(**_wanted(wanted), after=after, count=limit)
        if not is_terminal():
            write_json(found)
            return
        write_table([_row(action) for action in found], columns=_COLUMNS)
        if len(found) == limit:
            say(f"the first {limit}; --after {found[-1].place} goes on")

    _look(file, main)


@command.command()
@click.argument("client_id", metavar="ID")
@click.pass_obj
def show(file: QueueFile, client_id: str) -> None:
    """Show the action ID (its client id) with its payload, and say why it is where it is."""

    async def main(reader: QueueReader) -> None:
        action, why = await reader.find(client_id), await reader.explain(client_id)
        if not is_terminal():
            write_json({"action": action, "why": why})
            return
        facts = msgspec.structs.asdict(action)
        if action.sealed_with is not None:
            facts["payload"] = f"sealed with the key {action.sealed_with}"
        write_table([{"what": name, "is": msgspec.to_builtins(value)} for name, value in facts.items()])
        say(why.text)

    _look(file, main)


@command.command()
@_filters
@click.pass_obj
def export(file: QueueFile, /, **wanted: Any) -> None:
    """Write actions with their payloads as JSON lines; payloads that are sealed stay so."""

    async def main(reader: QueueReader) -> None:
        out, encode = sys.stdout.buffer, msgspec.json.Encoder().encode
        async for page in _pages(reader, _wanted(wanted)):
            out.write(b"".join(encode(action) + b"\n" for action in page))
        out.flush()

    _look(file, main)


async def _pages(reader: QueueReader, wanted: dict[str, Any]) -> AsyncIterator[list[ListedAction]]:
    after = 0
    while True:
        page = await reader.some(**wanted, after=after, count=_PAGE_COUNT)
        if not page:
            return
        yield page
        after = page[-1].place


def _look(file: QueueFile, main: Callable[[QueueReader], Awaitable[None]]) -> None:
    async def opened() -> None:
        async with file.read() as reader:
            await main(reader)

    run_to_end(opened, ChatError)


def _wanted(options: dict[str, Any]) -> dict[str, Any]:
    state = options["state"]
    return {**options, "state": None if state is None else State(state)}


def _row(action: ListedAction) -> dict[str, object]:
    text = action.failure.text if action.failure else None
    return {**msgspec.structs.asdict(action), "failure": text}


for _each in (retry, cancel, tail):
    command.add_command(_each)
