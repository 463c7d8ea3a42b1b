"""`dataserver restore NAME FILE`: a database out of a backup."""

from __future__ import annotations

from pathlib import Path

import anyio
import click

from chat import restore_chat
from dataserver.cli.running import (
    Surroundings,
    folder_options,
    quiet_surroundings,
    run_to_end,
    say,
    say_waiting,
)
from dataserver.commands import Restore
from dataserver.door import done, open_door
from dataserver.folder import CHAT_FILE, hold
from storage import restore


@click.command(name="restore")
@click.argument("database", metavar="NAME")
@click.argument("backup", metavar="FILE")
@click.option("--replace", "replaces", is_flag=True, help="What NAME holds now may be lost.")
@folder_options
def command(
    *, database: str, backup: str, replaces: bool, data_dir: Path | None, config: Path | None
) -> None:
    """Make the database NAME out of FILE: a path, or the name of a backup in the data folder.

    With a server on the folder, it goes on; what reads or writes NAME meanwhile ends with the old database, begins with
    the new one, or is told to ask again. FILE is checked before anything is changed; NAME may be damaged. Stopped in the
    middle, even by force, NAME is the old database or the new one.

    The database has the key that the settings give it. FILE may be in the clear, have that key, or one that
    `storage.keys` gives for the name of FILE.

    `chat.db` and `server.db` are restored while no server runs. Users and tokens are as they were when the backup was
    made: who was removed since then is let in again.
    """
    around = quiet_surroundings(config, {"server.data_dir": data_dir})
    source = around.folder.copy(backup)
    wanted = Restore(database=database, source=str(source), replaces=replaces)
    own = around.folder.own_files.get(database)

    async def main() -> None:
        if own is not None:
            size_bytes = await _restore_own(around, own, source, replaces=replaces)
            say(f"{database} has {size_bytes:,} bytes")
            return
        async with open_door(
            around.folder, around.settings.storage, command="restore", waiting=say_waiting
        ) as door:
            size_bytes = await done(door, wanted)
            say(f"{database} has {size_bytes:,} bytes")

    run_to_end(main)


async def _restore_own(around: Surroundings, own: Path, source: Path, *, replaces: bool) -> int:
    with hold(around.folder, command="restore"):
        if not replaces and await anyio.Path(own).exists():
            raise click.ClickException(f"{own.name} is there already; --replace gives it up")
        restored = restore_chat if own.name == CHAT_FILE else restore
        return await restored(source, own, around.settings.storage)
