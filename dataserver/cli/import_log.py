"""`dataserver import chat`: a chat log in, with a bar on stderr and a line for each bad line."""

from __future__ import annotations

import re
from contextlib import ExitStack
from pathlib import Path
from typing import Literal

import click

from dataserver.cli.import_progress import watched
from dataserver.cli.output import is_terminal, write_json
from dataserver.cli.running import folder_options, quiet_surroundings, run_to_end, say, say_waiting
from dataserver.door import open_door
from dataserver.imports.log_storing import LogOrder, LogOutcome, import_log
from dataserver.imports.order import ImportRefused
from dataserver.imports.records import UnreadableFile
from dataserver.imports.survey import BadLine

_MAX_SOURCE_CHARACTERS = 40
_path = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(name="chat")
@click.argument("file", type=_path)
@click.option("--events", type=_path, help="A file of who came, went and changed their name meanwhile.")
@click.option(
    "--source",
    help="The log's name, for ever: run again, it adds only what is new. The file's name unless given.",
)
@click.option("--space", help="What to call the log's space when it is made; the log's name unless given.")
@click.option("--owner", metavar="USER", help="Who owns the space that is made.")
@click.option("--open", "is_open", is_flag=True, help="Let every user who knows the space's id join it.")
@click.option(
    "--on-error",
    type=click.Choice(["skip", "stop"]),
    default="stop",
    show_default=True,
    help="What to do at a bad line; each is reported with its number.",
)
@folder_options
def command(
    *,
    file: Path,
    events: Path | None,
    source: str | None,
    space: str | None,
    owner: str | None,
    is_open: bool,
    on_error: Literal["skip", "stop"],
    data_dir: Path | None,
    config: Path | None,
) -> None:
    """Bring the chat log FILE, one JSON object a line (.gz too), into rooms of a space of its own.

    Texts, order, times and answers are kept; the authors become users whom nobody can log in as. Killed, it goes on when
    run again.
    """
    name = source or source_of(file)
    order = LogOrder(
        path=file.absolute(),
        source=name,
        space=space or name,
        owner=owner,
        is_open=is_open,
        events=None if events is None else events.absolute(),
        on_error=on_error,
    )
    around = quiet_surroundings(config, {"server.data_dir": data_dir})

    async def main() -> None:
        with ExitStack() as stack:
            async with open_door(
                around.folder,
                around.settings.storage,
                command="import",
                waiting=say_waiting,
                with_chat=True,
            ) as door:
                watch = stack.enter_context(watched(file.name))
                outcome = await import_log(door, order, watch)
        _report(order, outcome)

    run_to_end(main, ImportRefused, BadLine, UnreadableFile)


def source_of(file: Path) -> str:
    """Return what a log is called that has no other name than its file's."""
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", file.name.partition(".")[0]).strip("-")
    return plain[:_MAX_SOURCE_CHARACTERS] or "log"


def _report(order: LogOrder, outcome: LogOutcome) -> None:
    known = f", {outcome.known_count:,} were there already" if outcome.known_count else ""
    skipped = f", {outcome.skipped_count:,} bad lines skipped" if outcome.skipped_count else ""
    say(
        f"{outcome.stored_count:,} lines of {order.path.name} are in the space {outcome.space_id}{known}{skipped}"
    )
    if not is_terminal():
        write_json(
            {
                "space": outcome.space_id,
                "source": order.source,
                "stored": outcome.stored_count,
                "known": outcome.known_count,
                "skipped": outcome.skipped_count,
            }
        )
