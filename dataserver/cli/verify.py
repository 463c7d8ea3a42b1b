"""`dataserver verify NAME|FILE`: whether a database is sound."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec

from dataserver.cli.output import is_terminal, write_json, write_table
from dataserver.cli.running import (
    folder_options,
    quiet_surroundings,
    run_to_end,
    say,
    say_waiting,
    stop_with,
)
from dataserver.cli.steps import shown
from dataserver.commands import Step, Verify
from dataserver.door import done, open_door
from dataserver.folder import CHAT_FILE
from storage import verify

_UNSOUND = 1


@click.command(name="verify")
@click.argument("what", metavar="NAME|FILE")
@folder_options
def command(*, what: str, data_dir: Path | None, config: Path | None) -> None:
    """Check all of a database of the data folder, `chat.db`, `server.db`, a backup by its name, or any SQLite file.

    Integrity, foreign keys, numbers of rows.

    Exit code 1 when it is not sound. Others may write it meanwhile; the check is of one moment.
    """
    around = quiet_surroundings(config, {"server.data_dir": data_dir})
    path = around.folder.copy(what) if around.folder.names_file(what) else None
    found: list[dict[str, Any]] = []

    async def main() -> None:
        with shown(f"checking {what}") as show:
            if path is not None:

                def tell(done_count: int, total_count: int | None, _note: str) -> None:
                    show(Step(done_count, total_count))

                found.append(msgspec.to_builtins(await verify(path, around.settings.storage, tell)))
                return
            async with open_door(
                around.folder,
                around.settings.storage,
                command="verify",
                waiting=say_waiting,
                with_chat=what == CHAT_FILE,
            ) as door:
                found.append(await done(door, Verify(database=what), on_step=show))

    run_to_end(main)
    (verdict,) = found
    if is_terminal():
        write_table([{"table": name, "rows": count} for name, count in verdict["table_counts"].items()])
    else:
        write_json(verdict)
    for complaint in verdict["complaints"]:
        say(complaint)
    if not verdict["is_sound"]:
        say(f"{what} is not sound; restore it from a backup")
        stop_with(_UNSOUND)
    say(f"{what} is sound")
