"""`dataserver restore NAME FILE`: a database out of a backup."""

from __future__ import annotations

from pathlib import Path

import click

from dataserver.cli.running import folder_options, quiet_surroundings, run_to_end, say, say_waiting
from dataserver.commands import Restore
from dataserver.door import done, open_door


@click.command(name="restore")
@click.argument("database", metavar="NAME")
@click.argument("backup", metavar="FILE")
@click.option("--replace", "replaces", is_flag=True, help="What NAME holds now may be lost.")
@folder_options
def command(
    *, database: str, backup: str, replaces: bool, data_dir: Path | None, config: Path | None
) -> None:
    """Make the database NAME out of FILE: a path, or the name of a backup in the data folder.

    With a server on the folder, it goes on; what reads or writes NAME meanwhile ends with the old database or begins
    with the new one. FILE is checked before anything is changed.
    """
    around = quiet_surroundings(config, {"server.data_dir": data_dir})
    in_folder = around.folder.backups / backup
    source = in_folder if "/" not in backup and in_folder.is_file() else Path(backup).absolute()
    wanted = Restore(database=database, source=str(source), replaces=replaces)

    async def main() -> None:
        async with open_door(
            around.folder, around.settings.storage, command="restore", waiting=say_waiting
        ) as door:
            size_bytes = await done(door, wanted)
            say(f"{database} has {size_bytes:,} bytes")

    run_to_end(main)
