"""A writer driven directly, without a pool: what a test writes, and what is in the file afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import apsw

from storage.sqlite.writer import WriterService
from workers import Call

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class WriterBench:
    """One writing service over databases in a folder; `shop` is there from the start."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.folder = folder
        self.service = WriterService(options)
        self._seq = 0
        self.run(self.call("create"))

    def path(self, name: str = "shop") -> str:
        return str(self.folder / f"{name}.db")

    def call(self, method: str, *params: Any, name: str = "shop", deadline: float = 0.0) -> Call:
        self._seq += 1
        return Call(self._seq, method, [self.path(name), *params], deadline)

    def write(self, sql: str, params: Any = (), *, name: str = "shop", deadline: float = 0.0) -> Call:
        return self.call("execute", sql, params, name=name, deadline=deadline)

    def write_all(
        self, *statements: str | tuple[str, Any], name: str = "shop", deadline: float = 0.0
    ) -> Call:
        pairs = [(each, ()) if isinstance(each, str) else each for each in statements]
        return self.call("execute_batch", pairs, name=name, deadline=deadline)

    def run(self, *calls: Call) -> list[Any]:
        """Run `calls` as one batch, as they came together."""
        outcomes = self.service.run_batch(calls)
        self.service.tend()
        return outcomes

    def done(self, *calls: Call) -> list[Any]:
        """Run `calls` as one batch that is expected to succeed."""
        outcomes = self.run(*calls)
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome
        return outcomes

    def schema(self, *statements: str, name: str = "shop") -> None:
        self.done(self.write_all(*statements, name=name))

    def rows(self, sql: str, params: Sequence[Any] = (), *, name: str = "shop") -> list[Any]:
        """Read with another connection, which sees only what is committed."""
        connection = apsw.Connection(self.path(name), flags=apsw.SQLITE_OPEN_READONLY, vfs="unix")
        try:
            rows = connection.execute(sql, params).fetchall()
        finally:
            connection.close()
        return [row[0] if len(row) == 1 else row for row in rows]

    def own(self, sql: str) -> Any:
        """Run a statement on the writer's connection that no caller may run, and return its first value."""
        rows = self.service._files.get(self.path()).run_own(sql)
        return rows[0][0] if rows else None

    def connection(self, name: str = "shop") -> apsw.Connection:
        """The writer's own connection, to look at or to spoil."""
        return self.service._files.get(self.path(name)).connection

    def close(self) -> None:
        self.service.close()


def told(outcomes: Sequence[Any]) -> list[Any]:
    """Return `outcomes` with errors as the names of their classes, for comparing."""
    return [type(each).__name__ if isinstance(each, Exception) else each for each in outcomes]
