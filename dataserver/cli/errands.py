"""How a command that asks for one thing has it done: by the server of the folder, or here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dataserver.cli.running import quiet_surroundings, run_to_end, say_waiting
from dataserver.door import done, open_door

if TYPE_CHECKING:
    from pathlib import Path

    from dataserver.commands import Command


def carried_out(
    wanted: Command, *, command: str, data_dir: Path | None, config: Path | None, with_chat: bool = False
) -> Any:
    """Return what was answered; `command` is what others are told who wait for the folder meanwhile.

    Raises:
        click.ClickException: It failed.
    """
    around = quiet_surroundings(config, {"server.data_dir": data_dir})
    answers: list[Any] = []

    async def main() -> None:
        async with open_door(
            around.folder,
            around.settings.storage,
            command=command,
            waiting=say_waiting,
            with_chat=with_chat,
        ) as door:
            answers.append(await done(door, wanted))

    run_to_end(main)
    return answers[0]
