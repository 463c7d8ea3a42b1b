"""One statement asked in every way: plain apsw on one file, this project's ways on another with the same statements.

Plain apsw has the switches of a connection of ours (texts in single quotes only, foreign keys, no trust in the schema).
What callers may not do here (transactions, ATTACH, most pragmas, several statements in one text) is sent to neither.
"""

from __future__ import annotations

import base64
import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import apsw
import apsw.ext

from storage import NotAllowed, NotReadOnly, StorageError
from storage.sqlite.json_results import unique_names

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from storage import Database

    Http = Callable[[dict[str, Any]], Awaitable[tuple[int, bytes]]]

_SWITCHES = {
    apsw.SQLITE_DBCONFIG_DEFENSIVE: 1,
    apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA: 0,
    apsw.SQLITE_DBCONFIG_DQS_DDL: 0,
    apsw.SQLITE_DBCONFIG_DQS_DML: 0,
    apsw.SQLITE_DBCONFIG_ENABLE_FKEY: 1,
}
_SEVERAL = "more than one statement"


@dataclass
class Tally:
    """What was compared."""

    answered_count: int = 0
    failed_count: int = 0
    """Statements that fail in every way."""
    refused_count: int = 0
    """Statements that callers may not send here."""
    reordered_count: int = 0
    """Answers of the same rows in another order, of statements that don't say the order."""
    differences: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Told:
    names: tuple[str, ...]
    rows: list[tuple[Any, ...]]


class Ways:
    """All ways to run a statement; `http` posts a body to `/query` and returns status and answer."""

    def __init__(self, db: Database, plain: apsw.Connection, http: Http | None = None) -> None:
        self._db = db
        self._plain = plain
        self._http = http
        self._is_ordered = True
        self.tally = Tally()
        for switch, value in _SWITCHES.items():
            plain.config(switch, value)

    async def run(self, sql: str, where: str = "", *, is_ordered: bool = True) -> None:
        """Run `sql` in every way, and note in the tally how they differ, if they do."""
        self._is_ordered = is_ordered
        try:
            rows = await self._db.query(sql)
        except NotReadOnly:
            await self._write(sql, where)
        except NotAllowed:
            self.tally.refused_count += 1
        except StorageError as error:
            if _SEVERAL in str(error):
                self.tally.refused_count += 1
            else:
                await self._compare(sql, where, error)
        else:
            await self._compare(sql, where, rows)

    async def _write(self, sql: str, where: str) -> None:
        ours: list[tuple[Any, ...]] | StorageError
        try:
            ours = (await self._db.execute(sql)).rows
        except NotAllowed:
            self.tally.refused_count += 1
            return
        except StorageError as error:
            ours = error
        self._judge(sql, where, "execute", ours, self._in_plain(sql))

    async def _compare(self, sql: str, where: str, rows: list[tuple[Any, ...]] | StorageError) -> None:
        plain = self._in_plain(sql)
        if not self._judge(sql, where, "query", rows, plain) or isinstance(plain, Exception):
            return
        arrays = [[_in_json(value) for value in row] for row in plain.rows]
        names = unique_names(plain.names)
        objects = [dict(zip(names, row, strict=True)) for row in arrays]
        for shape, expected in (("arrays", arrays), ("objects", objects)):
            told = json.loads(await self._db.query_json(sql, shape=shape))  # type: ignore[arg-type]  # one of two
            self._require_equal(sql, where, f"query_json, {shape}", told, expected)
            if self._http is not None:
                status, body = await self._http({"sql": sql, "shape": shape})
                answer = json.loads(body)
                whole = {"columns": list(names), "rows": expected}
                self._require_equal(sql, where, f"HTTP, {shape}, status {status}", answer, whole)

    def _judge(self, sql: str, where: str, way: str, ours: Any, plain: _Told | Exception) -> bool:
        """Compare outcomes; return whether both are answers."""
        if isinstance(ours, Exception) or isinstance(plain, Exception):
            if isinstance(ours, Exception) and isinstance(plain, Exception):
                self.tally.failed_count += 1
            else:
                self._differ(sql, where, way, ours, plain)
            return False
        self.tally.answered_count += 1
        self._require_equal(sql, where, way, [tuple(row) for row in ours], plain.rows)
        return True

    def _require_equal(self, sql: str, where: str, way: str, ours: Any, expected: Any) -> None:
        if _exact(ours) == _exact(expected):
            return
        if not self._is_ordered and _is_reordered(ours, expected):
            self.tally.reordered_count += 1
        else:
            self._differ(sql, where, way, ours, expected)

    def _differ(self, sql: str, where: str, way: str, ours: Any, expected: Any) -> None:
        self.tally.differences.append(
            f"{where}: {way}: {sql[:500]!r}\n  ours  {ours!r:.300}\n  plain {expected!r:.300}"
        )

    def _in_plain(self, sql: str) -> _Told | Exception:
        try:
            with self._plain:  # a savepoint: what fails leaves nothing
                told = self._told(sql)
        except (apsw.Error, UnicodeDecodeError) as error:
            return error
        return told

    def _told(self, sql: str) -> _Told:
        names: list[str] = []

        def look(cursor: apsw.Cursor, _sql: str, _bindings: Any) -> bool:
            names[:] = names or [
                column[0] for column in cursor.get_description()
            ]  # of the first, were there two
            return True

        cursor = self._plain.cursor()
        cursor.exec_trace = look
        try:
            rows = cursor.execute(sql).fetchall()
        except UnicodeDecodeError:
            cursor.close(True)
            rows = self._as_bytes(sql, len(names))
        return _Told(tuple(names), rows)

    def _as_bytes(self, sql: str, width: int) -> list[tuple[Any, ...]]:
        """Return the rows of a query whose texts are not UTF-8, mended as Python mends them."""
        columns = ", ".join(f"c{place}" for place in range(width))
        cells = ", ".join(f"typeof(c{n}) = 'text', CASE typeof(c{n}) WHEN 'text' THEN CAST(c{n} AS BLOB) ELSE c{n} END" for n in range(width))  # fmt: skip
        wrapped = f"WITH whole({columns}) AS (SELECT * FROM ({sql.rstrip().rstrip(';')}\n) LIMIT -1) SELECT {cells} FROM whole"  # noqa: S608
        return [
            tuple(
                value.decode("utf-8", "replace") if is_text else value
                for is_text, value in zip(row[::2], row[1::2], strict=True)
            )
            for row in self._plain.execute(wrapped)
        ]


def _in_json(value: Any) -> Any:
    """Return a value as JSON has to tell it."""
    if isinstance(value, bytes):
        return {"$base64": base64.b64encode(value).decode()}
    if isinstance(value, float):
        return value + 0.0 if math.isfinite(value) else None
    return value


def _is_reordered(ours: Any, expected: Any) -> bool:
    """Return whether `ours`, rows or the body of an answer, differs by the order of its rows alone."""
    if isinstance(ours, dict):
        return ours.get("columns") == expected["columns"] and _is_reordered(
            ours.get("rows"), expected["rows"]
        )
    return isinstance(ours, list) and _sorted(ours) == _sorted(expected)


def _sorted(rows: list[Any]) -> list[str]:
    return sorted(repr(_exact(row)) for row in rows)


def _exact(value: Any) -> Any:
    """Return `value` so that 1, 1.0 and True differ, and -0.0 and 0.0 too."""
    if isinstance(value, list | tuple):
        return [_exact(each) for each in value]
    if isinstance(value, dict):
        return [(name, _exact(each)) for name, each in value.items()]
    return type(value).__name__, repr(value)
