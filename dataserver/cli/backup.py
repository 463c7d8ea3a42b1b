"""`dataserver backup NAME`: a copy of a database, while it is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from dataserver.cli.output import is_terminal, write_json
from dataserver.cli.running import folder_options, quiet_surroundings, run_to_end, say, say_waiting
from dataserver.cli.steps import shown
from dataserver.commands import BackUp
from dataserver.door import done, open_door
from dataserver.folder import CHAT_FILE


@click.command(name="backup")
@click.argument("database", metavar="NAME")
@click.option(
    "--to",
    "target",
    type=click.Path(path_type=Path),
    help="A new file; else one in the data folder's backups.",
)
@click.option(
    "--keep",
    "keep_count",
    type=click.IntRange(1, 10_000),
    help="How many backups of NAME stay in the data folder, this one among them; all by default.",
)
@folder_options
def command(
    *, database: str, target: Path | None, keep_count: int | None, data_dir: Path | None, config: Path | None
) -> None:
    """Copy the database NAME, as it is now, to one file that is checked and on the disk when this ends.

    `chat.db` (users, messages) and `server.db` (tokens) are the server's own.
    """
    if target is not None and keep_count is not None:
        raise click.UsageError("--keep is for the backups in the data folder; it does not go with --to")
    around = quiet_surroundings(config, {"server.data_dir": data_dir})
    wanted = BackUp(
        database=database,
        target="" if target is None else str(target.absolute()),
        keep_count=keep_count or 0,
    )
    made: list[dict[str, Any]] = []

    async def main() -> None:
        async with open_door(
            around.folder,
            around.settings.storage,
            command="backup",
            waiting=say_waiting,
            with_chat=database == CHAT_FILE,
        ) as door:
            with shown(f"copying {database}") as show:
                made.append(await done(door, wanted, on_step=show))

    run_to_end(main)
    if not is_terminal():
        write_json(made[0])
    for gone in made[0]["removed"]:
        say(f"removed {gone}")
    say(f"{made[0]['name']}: {made[0]['size_bytes']:,} bytes in {made[0]['seconds']:.1f} s")
