"""How a command reaches a data folder: through the socket of the server that owns it, or by owning it meanwhile."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

import anyio
from anyio.streams.buffered import BufferedByteReceiveStream

from dataserver.auth import MIGRATIONS, TokenStore
from dataserver.commands import Chunk, Command, CommandFailed, Done, House, Reply, Step, perform
from dataserver.control import ControlError, framed, reachable, receive_reply
from dataserver.folder import DataFolder, FolderInUse, hold
from storage import BackupFolder, StorageSettings, open_databases
from storage import open as open_database
from workers import SystemClock

if TYPE_CHECKING:
    from chat import AccountSettings

_PATIENCE_S = 10.0
"""How long a command waits for another one on the same folder, or for a server that starts or stops."""
_TRY_AGAIN_S = 0.1


class Door(Protocol):
    """Where commands are handed in."""

    def perform(self, command: Command) -> AsyncGenerator[Reply]:
        """Yield what `command` answers; `Done` comes last. Close it (`aclosing`) to stop it.

        Raises:
            CommandFailed: It could not be done.
            ControlError: The server went away; what was written is not known.
        """


async def done(door: Door, command: Command, *, on_step: Callable[[Step], None] = lambda _: None) -> Any:
    """Carry out a command that answers with one value, and return that; `on_step` is told how far it is."""
    async with aclosing(door.perform(command)) as replies:
        async for reply in replies:
            if isinstance(reply, Done):
                return reply.value
            if isinstance(reply, Step):
                on_step(reply)
    raise ControlError("the command ended without an answer")


async def chunks(door: Door, command: Command) -> AsyncGenerator[bytes]:
    """Carry out a command that answers with a text, and yield its pieces."""
    async with aclosing(door.perform(command)) as replies:
        async for reply in replies:
            if isinstance(reply, Chunk):
                yield reply.data


@asynccontextmanager
async def open_house(
    folder: DataFolder,
    settings: StorageSettings,
    *,
    with_chat: bool = False,
    accounts: AccountSettings | None = None,
) -> AsyncIterator[House]:
    """Open the databases and the tokens of a folder that this process holds, and the chat if it is asked for."""
    async with AsyncExitStack() as stack:
        databases = await stack.enter_async_context(open_databases(folder.databases, settings))
        tokens = await stack.enter_async_context(
            open_database(folder.server_database, own_settings(settings), migrations=MIGRATIONS)
        )
        chat = None
        if with_chat:
            from chat import open_chat  # noqa: PLC0415 - 100 ms that commands without a chat need not wait for

            chat = await stack.enter_async_context(
                open_chat(folder.chat_database, settings, accounts=accounts)
            )
        yield House(
            databases, await TokenStore.open(tokens, clock=SystemClock()), BackupFolder(folder.backups), chat
        )


def own_settings(settings: StorageSettings) -> StorageSettings:
    """Return the settings of the server's own small database: threads, for tokens are read from memory."""
    return replace(settings, kind="thread", worker_count=1, writer_count=1)


@asynccontextmanager
async def open_door(
    folder: DataFolder,
    settings: StorageSettings,
    *,
    command: str,
    waiting: Callable[[FolderInUse], None] = lambda _: None,
    with_chat: bool = False,
) -> AsyncIterator[Door]:
    """Reach `folder` either way; `waiting` is told once if somebody else has to finish first.

    Raises:
        FolderInUse: Somebody else owns it and takes no commands, for `_PATIENCE_S`.
        FolderError: It cannot be used.
    """
    async with AsyncExitStack() as stack:
        yield await _reached(stack, folder, settings, command, waiting, with_chat=with_chat)


async def _reached(
    stack: AsyncExitStack,
    folder: DataFolder,
    settings: StorageSettings,
    command: str,
    waiting: Callable[[FolderInUse], None],
    *,
    with_chat: bool,
) -> Door:
    deadline = anyio.current_time() + _PATIENCE_S
    told = False
    while True:
        try:
            stack.enter_context(hold(folder, command=command))
        except FolderInUse as taken:
            door = await _knocked(stack, folder)
            if door is not None:
                return door
            if anyio.current_time() > deadline:
                raise
            if not told:
                waiting(taken)
                told = True
            await anyio.sleep(_TRY_AGAIN_S)
        else:
            alone = replace(
                settings, kind="thread", worker_count=1
            )  # quick to start, and nobody else is here
            return DirectDoor(await stack.enter_async_context(open_house(folder, alone, with_chat=with_chat)))


async def _knocked(stack: AsyncExitStack, folder: DataFolder) -> Door | None:
    try:
        with reachable(folder.socket) as name:
            stream = await anyio.connect_unix(name)
    except OSError:
        return None  # no server, or one that does not listen yet or any more
    return _Remote(await stack.enter_async_context(stream))


class DirectDoor:
    """The folder is this process's own."""

    def __init__(self, house: House) -> None:
        self._house = house

    def perform(self, command: Command) -> AsyncGenerator[Reply]:
        """Carry it out here."""
        return perform(command, self._house)


class _Remote:
    """A server owns the folder."""

    def __init__(self, stream: anyio.abc.SocketStream) -> None:
        self._stream = stream
        self._buffered = BufferedByteReceiveStream(stream)

    async def perform(self, command: Command) -> AsyncGenerator[Reply]:
        """Send it, and yield what comes back; stopping half-way, or a failure of the connection, ends it."""
        try:
            await self._stream.send(framed(command))
        except (anyio.BrokenResourceError, anyio.ClosedResourceError) as error:
            raise ControlError("the server went away before it was asked") from error
        finished = False
        try:
            while not finished:
                try:
                    reply = await receive_reply(self._buffered)
                except CommandFailed:
                    finished = True
                    raise
                finished = isinstance(reply, Done)
                yield reply
        finally:
            if not finished:  # what is still under way would be taken for the next answer
                await anyio.aclose_forcefully(self._stream)
