"""The chat's tables as the domain asks them: by the names of statements, never by SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from storage import Database, Written

MIGRATIONS = "chat.domain.migrations"
STATEMENTS = "chat.domain.statements"

Step = tuple[str, "Sequence[Any]"]
"""A statement's name, and its parameters by their numbers; one may be `Earlier(n, column)`."""


class Tables:
    """Runs named statements on the chat's database."""

    def __init__(self, database: Database, statements: Mapping[str, str]) -> None:
        self._database = database
        self._statements = statements
        self.on_written: Callable[[], None] = _nothing
        """Called after each write, whether it was committed or not."""

    @property
    def database(self) -> Database:
        """The database, for whoever runs the server; the domain asks by the names of statements."""
        return self._database

    async def one(self, name: str, *params: Any) -> tuple[Any, ...] | None:
        """Return the first row of a statement that reads.

        Raises:
            StorageError: As `Database.query`.
        """
        return await self._database.query_one(self._statements[name], params)

    async def all(self, name: str, *params: Any) -> list[tuple[Any, ...]]:
        """Return the rows of a statement that reads.

        Raises:
            StorageError: As `Database.query`.
        """
        return await self._database.query(self._statements[name], params)

    async def text(self, name: str, *params: Any) -> bytes:
        """Return the one JSON text that a statement makes.

        Raises:
            StorageError: As `Database.query`.
        """
        row = await self._database.query_one(self._statements[name], params)
        return b"null" if row is None else row[0].encode()

    async def write(self, name: str, *params: Any) -> Written:
        """Run one statement that writes; it is on disk when this returns.

        Raises:
            StorageError: As `Database.execute`.
        """
        try:
            return await self._database.execute(self._statements[name], params)
        finally:
            self.on_written()

    async def write_all(self, steps: Sequence[Step]) -> list[Written]:
        """Run statements that write, all or none; they are on disk when this returns.

        Raises:
            NothingEarlier: One needs a row of an earlier one that gave none; nothing was kept.
            StorageError: As `Database.execute_batch`.
        """
        try:
            return await self._database.execute_batch(
                [(self._statements[name], params) for name, params in steps]
            )
        finally:
            self.on_written()


def _nothing() -> None:
    """Nobody wants to know."""
