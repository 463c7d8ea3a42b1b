"""What the command line asks about logs from elsewhere, as messages, and the one place that carries them out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, assert_never

import msgspec

from chat import LogLine
from dataserver.refusals import RouteNotFound

if TYPE_CHECKING:
    from chat import Chat


class OpenLog(msgspec.Struct, frozen=True, kw_only=True, tag_field="do", tag="open_log"):
    """Make the space that a log goes into, unless it is there; `Done` holds its id."""

    source: str
    space: str
    owner: str | None = None
    is_open: bool = False


class StoreLog(msgspec.Struct, frozen=True, kw_only=True, tag_field="do", tag="store_log"):
    """Add lines that are not there yet; `Done` holds `stored_count` and `known_count`."""

    source: str
    lines: list[LogLine]


LogCommand = OpenLog | StoreLog


async def log_command_done(command: LogCommand, chat: Chat | None) -> Any:
    """Carry it out, and return what it answers.

    Raises:
        ChatRefusal: As `chat.log_imports`.
        RouteNotFound: There is no chat here.
    """
    if chat is None:
        raise RouteNotFound("there is no chat here")
    match command:
        case OpenLog():
            space_id = await chat.log_imports.open(
                command.source, name=command.space, owner=command.owner, is_open=command.is_open
            )
            return str(space_id)
        case StoreLog():
            return msgspec.to_builtins(await chat.log_imports.store(command.source, command.lines))
        case _:
            assert_never(command)
