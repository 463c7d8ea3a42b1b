"""What the command line may ask of a data folder, as messages, and the one place that carries them out.

A running server gets them through its Unix socket (`control.py`), a folder without one has them carried out in the
command's own process (`door.py`): the same code either way, so an answer cannot depend on whether a server runs.
Errors that are the caller's or the data's become `CommandFailed`, with the name of what happened.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import anyio
import msgspec

from chat import ChatRefusal
from dataserver.auth import Role, TokenStore
from dataserver.folder import CHAT_FILE, SERVER_FILE
from dataserver.log_commands import LogCommand, OpenLog, StoreLog, log_command_done
from dataserver.refusals import Refusal
from dataserver.user_commands import UserCommand, user_command_done
from storage import BackupFolder, BackupMade, Database, DatabaseExists, Databases, StorageError
from workers import SystemClock

if TYPE_CHECKING:
    from chat import Chat

RowFormat = Literal["json", "ndjson", "csv"]


class Query(msgspec.Struct, frozen=True, kw_only=True, tag_field="do", tag="query"):
    """Read; the rows come as `Chunk`s of one text."""

    database: str
    sql: str
    params: list[Any] = []
    format: RowFormat = "json"
    timeout_s: float | None = None


class Write(msgspec.Struct, frozen=True, kw_only=True, tag_field="do", tag="write"):
    """Run statements, all or none; `Done` holds how many rows they changed together."""

    database: str
    statements: list[tuple[str, list[Any]]]


class EnsureDatabase(msgspec.Struct, frozen=True, kw_only=True, tag_field="do", tag="ensure_database"):
    """Make a database unless there is one of that name; `Done` says whether it was made."""

    database: str


class CopyDatabase(msgspec.Struct, frozen=True, kw_only=True, tag_field="do", tag="copy_database"):
    """Make a database out of an SQLite file; `Done` holds its bytes."""

    database: str
    source: str
    """An absolute path, which the server's user must be able to read."""


class BackUp(msgspec.Struct, frozen=True, kw_only=True, tag_field="do", tag="back_up"):
    """Copy a database as it is now; `Step`s tell how far it is, `Done` holds a `MadeBackup`."""

    database: str
    target: str = ""
    """An absolute path of a new file, which the server's user must be able to make; else into the folder of backups."""
    keep_count: int = 0
    """How many backups of this database stay in the folder of backups; 0 for all."""


class Restore(msgspec.Struct, frozen=True, kw_only=True, tag_field="do", tag="restore"):
    """Make a database out of a backup; `Done` holds its bytes."""

    database: str
    source: str
    """An absolute path, which the server's user must be able to read."""
    replaces: bool = False
    """What the database holds now, if there is one, may be lost."""


class Verify(msgspec.Struct, frozen=True, kw_only=True, tag_field="do", tag="verify"):
    """Check a whole database; `Step`s tell how far it is, `Done` holds a `storage.Verified`."""

    database: str


class DescribeTables(msgspec.Struct, frozen=True, kw_only=True, tag_field="do", tag="describe_tables"):
    """List a database's tables; `Done` holds name -> {column -> declared type}."""

    database: str


class ListDatabases(msgspec.Struct, frozen=True, kw_only=True, tag_field="do", tag="list_databases"):
    """List the databases; `Done` holds their names."""


class CreateToken(msgspec.Struct, frozen=True, kw_only=True, tag_field="do", tag="create_token"):
    """Make a token; `Done` holds it."""

    name: str
    role: Role


class ListTokens(msgspec.Struct, frozen=True, kw_only=True, tag_field="do", tag="list_tokens"):
    """List the tokens, without their texts."""


class RevokeToken(msgspec.Struct, frozen=True, kw_only=True, tag_field="do", tag="revoke_token"):
    """Make a token worthless."""

    id: str


Deed = (
    Write
    | EnsureDatabase
    | CopyDatabase
    | Restore
    | DescribeTables
    | ListDatabases
    | CreateToken
    | ListTokens
    | RevokeToken
    | UserCommand
    | LogCommand
)
Work = BackUp | Verify
"""What takes long and tells how far it is."""
Command = Query | Work | Deed


class Chunk(msgspec.Struct, frozen=True, tag_field="is", tag="chunk"):
    """A piece of a text that follows in pieces."""

    data: bytes


class Step(msgspec.Struct, frozen=True, tag_field="is", tag="step"):
    """How far the command is; not all steps are told."""

    done_count: int
    total_count: int | None


class Done(msgspec.Struct, frozen=True, tag_field="is", tag="done"):
    """The last reply: the command is carried out, and what it wrote is on disk."""

    value: Any = None


Reply = Chunk | Step | Done


class CommandFailed(Exception):
    """The command was not carried out; `kind` names what happened, as the layer below calls it."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True)
class House:
    """What commands work on."""

    databases: Databases
    tokens: TokenStore
    backups: BackupFolder
    chat: Chat | None = None
    """There where a server runs, and for commands that are about the chat."""

    def database(self, name: str) -> Database:
        """Return the database that commands call `name`: one of the users, or one of the server's own by its file's name.

        Raises:
            InvalidDatabaseName, DatabaseNotFound: There is none.
        """
        if name == SERVER_FILE:
            return self.tokens.database
        if name == CHAT_FILE and self.chat is not None:
            return self.chat.tables.database
        return self.databases.get(name)


async def perform(command: Command, house: House) -> AsyncGenerator[Reply]:
    """Carry out `command`, yielding what it answers; `Done` comes last.

    Closing the generator stops a read; a write that has begun is finished.

    Raises:
        CommandFailed: It could not be done, for a reason that the caller can be told.
    """
    try:
        if isinstance(command, Query):
            rows = house.databases.get(command.database).stream_json(
                command.sql, command.params, format=command.format, timeout_s=command.timeout_s
            )
            async with aclosing(rows):
                async for chunk in rows:
                    yield Chunk(chunk)
            yield Done()
        elif isinstance(command, Work):
            async with aclosing(_worked(command, house)) as replies:
                async for reply in replies:
                    yield reply
        else:
            yield Done(await _done(command, house))
    except (StorageError, Refusal, ChatRefusal) as error:
        raise CommandFailed(type(error).__name__, str(error)) from error
    except OSError as error:
        raise CommandFailed("FileRefused", f"{error.filename}: {error.strerror}") from error


async def _worked(command: Work, house: House) -> AsyncGenerator[Reply]:
    """Do `command`, telling steps as fast as they are taken and dropping the others."""
    database = house.database(command.database)
    send, receive = anyio.create_memory_object_stream[Step](1)
    values: list[Any] = []
    failures: list[Exception] = []

    def tell(done_count: int, total_count: int | None, _note: str) -> None:
        with suppress(anyio.WouldBlock):
            send.send_nowait(Step(done_count, total_count))

    async def work() -> None:
        with send:
            try:
                if isinstance(command, BackUp):
                    values.append(await backed_up(command, database, house.backups, tell))
                else:
                    values.append(await database.verify(tell))
            except (StorageError, OSError) as error:
                failures.append(error)

    async with anyio.create_task_group() as group:
        group.start_soon(work)
        with receive:
            async for step in receive:
                yield step
    if failures:
        raise failures[0]
    yield Done(msgspec.to_builtins(values[0]))


async def _done(command: Deed, house: House) -> Any:  # noqa: PLR0911 - one return a command
    databases = house.databases
    match command:
        case Write():
            written = await databases.get(command.database).execute_batch(command.statements)
            return sum(each.changes for each in written)
        case EnsureDatabase():
            return await _ensure(databases, command.database)
        case CopyDatabase():
            await databases.copy_in(command.database, Path(command.source))
            return (await databases.describe(command.database)).size_bytes
        case Restore():
            return await restored(command, databases)
        case DescribeTables():
            tables = await databases.get(command.database).tables()
            return {table.name: {column.name: column.type for column in table.columns} for table in tables}
        case ListDatabases():
            return databases.names()
        case CreateToken():
            return msgspec.to_builtins(await house.tokens.create(name=command.name, role=command.role))
        case ListTokens():
            return msgspec.to_builtins(house.tokens.list())
        case RevokeToken():
            return msgspec.to_builtins(await house.tokens.revoke(command.id))
        case OpenLog() | StoreLog():
            return await log_command_done(command, house.chat)
        case _:
            return await user_command_done(command, house.chat)


async def _ensure(databases: Databases, name: str) -> bool:
    if name in databases.names():
        return False
    try:
        await databases.create(name)
    except DatabaseExists:
        return False
    return True


class MadeBackup(msgspec.Struct, frozen=True, kw_only=True):
    """A backup that is on the disk."""

    name: str
    size_bytes: int
    page_count: int
    seconds: float
    removed: list[str]
    """Older backups of the same database, which are gone now."""


async def backed_up(
    command: BackUp,
    database: Database,
    folder: BackupFolder,
    on_progress: Callable[[int, int | None, str], None],
) -> MadeBackup:
    """Copy `database`, and let the oldest of its dated backups go.

    Raises:
        StorageError: It was not copied.
        OSError: The folder of backups can't be made, or an old one not be removed.
    """
    if command.target:
        target = Path(command.target)
        return _told(target, await database.back_up(target, on_progress), [])
    place = await folder.place_for(command.database, SystemClock().now())
    made = await database.back_up(place, on_progress)
    removed = await folder.keep(command.database, command.keep_count) if command.keep_count else []
    return _told(place, made, removed)


def _told(place: Path, made: BackupMade, removed: list[Path]) -> MadeBackup:
    return MadeBackup(
        name=place.name,
        size_bytes=made.size_bytes,
        page_count=made.page_count,
        seconds=made.seconds,
        removed=[gone.name for gone in removed],
    )


async def restored(command: Restore, databases: Databases) -> int:
    """Make or replace a database out of a backup, and return its bytes.

    Raises:
        StorageError: It was not; what is there is as it was.
    """
    source = Path(command.source)
    is_there = command.database in databases.names()
    if is_there and not command.replaces:
        raise DatabaseExists(f"there is a database {command.database!r} already; `--replace` gives it up")
    if is_there:
        await databases.restore(command.database, source)
    else:
        await databases.copy_in(command.database, source)
    return (await databases.describe(command.database)).size_bytes
