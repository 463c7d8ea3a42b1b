"""What the command line may ask of a data folder, as messages, and the one place that carries them out.

A running server gets them through its Unix socket (`control.py`), a folder without one has them carried out in the
command's own process (`door.py`): the same code either way, so an answer cannot depend on whether a server runs.
Errors that are the caller's or the data's become `CommandFailed`, with the name of what happened.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, assert_never

import msgspec

from dataserver.auth import Role, TokenStore
from dataserver.refusals import Refusal
from storage import DatabaseExists, Databases, StorageError

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
    | DescribeTables
    | ListDatabases
    | CreateToken
    | ListTokens
    | RevokeToken
)
Command = Query | Deed


class Chunk(msgspec.Struct, frozen=True, tag_field="is", tag="chunk"):
    """A piece of a text that follows in pieces."""

    data: bytes


class Done(msgspec.Struct, frozen=True, tag_field="is", tag="done"):
    """The last reply: the command is carried out, and what it wrote is on disk."""

    value: Any = None


Reply = Chunk | Done


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
        else:
            yield Done(await _done(command, house))
    except (StorageError, Refusal) as error:
        raise CommandFailed(type(error).__name__, str(error)) from error


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
        case _:
            assert_never(command)


async def _ensure(databases: Databases, name: str) -> bool:
    if name in databases.names():
        return False
    try:
        await databases.create(name)
    except DatabaseExists:
        return False
    return True
