"""One open database as a worker reads it: rows for Python, JSON for a socket, streams of any size.

A read is one `execute` of cached SQL; whatever it needs to know of the text was found out before (`plans`). When the
schema changes, SQLite prepares the statement anew by itself, the authorizer notices, and the read runs again with a
new plan: the columns may be others.

Rows for Python are packed one by one into MessagePack as they are stepped, so a worker holds no more than one row
beside the bytes, and the caller's side unpacks them straight into what it asked for.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, cast

import apsw
import msgspec

from storage.errors import ResultTooLarge, SqlError
from storage.sqlite.connection import open_reader
from storage.sqlite.errors import translated, translation
from storage.sqlite.inspection import mismatch
from storage.sqlite.json_results import BLOB_FUNCTION
from storage.sqlite.plans import Plans
from storage.sqlite.row_encoding import base64_of, row_encoder, valid_utf8
from storage.sqlite.schema import Schema
from storage.sqlite.untrusted import ReadAuthorizer
from workers import Body

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from storage.sqlite.connection import ConnectionSettings, Deadline
    from storage.sqlite.json_results import Format, JsonRules, Shape
    from storage.sqlite.plans import Form, Plan

BODY_BYTES = 32 * 1024
"""A larger answer leaves as a body, a smaller one inside the reply."""
BLOCK_BYTES = 256 * 1024
"""Packed rows come in blocks of about this size, each behind its length in four bytes."""
MAX_REPLANS_COUNT = 4
"""How often a read runs again because the schema changed under it."""

_ARRAY_HEADER_BYTES = 5
_ARRAY32 = 0xDD

_pack_into = msgspec.msgpack.Encoder().encode_into

Params = list[Any] | dict[str, Any]


class Reader:
    """A connection that only reads, with all that is kept for it."""

    def __init__(
        self, path: str, generation: int, settings: ConnectionSettings, deadline: Deadline, rules: JsonRules
    ) -> None:
        """Open `path`.

        Raises:
            StorageError: It is not there, or is no database.
        """
        self.generation = generation
        """Which of the databases that had this path one after the other."""
        with translated():
            self.connection = open_reader(path, settings, deadline)
            try:
                authorizer = ReadAuthorizer()
                self.connection.authorizer = authorizer
                self.connection.create_scalar_function(
                    BLOB_FUNCTION, cast("Any", base64_of), 1, deterministic=True
                )
                self._schema = Schema(self.connection, authorizer)
            except BaseException:
                self.connection.close(True)
                raise
        self._authorizer = authorizer
        self._rules = rules
        self._max_rows = settings.max_query_rows
        self._plans = Plans(self.connection, authorizer, self._schema, rules)
        self._cursor = self.connection.cursor()

    def close(self) -> None:
        """Close the connection and whatever runs on it."""
        self.connection.close(True)

    def hold_state(self) -> None:
        """See the database as it is now until this is closed.

        Raises:
            StorageError: It can't be read.
        """
        with translated(), self._schema.as_ours():
            self.connection.execute("BEGIN")
            self.connection.execute(
                "SELECT count(*) FROM sqlite_schema"
            ).fetchall()  # BEGIN alone holds nothing yet

    def json(self, sql: str, params: Params, shape: Shape, envelope: bool, max_bytes: int) -> bytes | Body:
        """Return all rows of `sql` as a JSON array, or with `envelope` as `{"columns": ..., "rows": ...}`.

        Raises:
            StorageError: See the members of its tree that a read can raise.
        """
        plans = self._plans
        guarded: Plan | None = None  # a long text's plan is not kept
        for _ in range(MAX_REPLANS_COUNT):
            plan = guarded or plans.get((sql, shape)) or plans.made(sql, shape)
            guarded = None
            try:
                if plan.sql is None:
                    answer = self._encoded(plan, params, max_bytes)
                else:
                    answer = self._cursor.execute(plan.sql, params).get or b""
            except Exception as error:
                if self._is_of_another_schema(error):
                    continue
                raise self.failure(error, plan, params) from error
            if self._authorizer.prepared and plans.are_stale():
                continue
            if not answer.isascii():
                answer = valid_utf8(answer)
            if b"+" in answer and b"e+999" in answer and plans.guard_infinity(plan):
                guarded = plan
                continue
            if len(answer) > max_bytes:
                raise ResultTooLarge(f"the answer has more than {max_bytes} bytes", limit_bytes=max_bytes)
            head, tail = (plan.envelope, b"]}") if envelope else (b"[", b"]")
            return head + answer + tail if len(answer) < BODY_BYTES else Body((head, answer, tail))
        raise SqlError("the schema changes faster than it can be read")

    def rows(self, sql: str, params: Params, as_maps: bool, max_count: int, max_bytes: int) -> bytes | Body:
        """Return the rows of `sql` packed: one array of arrays (or maps by column), or a body of such blocks.

        With a `max_count` above 0 no more than so many are stepped.

        Raises:
            StorageError: See the members of its tree that a read can raise.
        """
        form: Form = "rows"
        for _ in range(MAX_REPLANS_COUNT):
            plan = self._plans.get((sql, form)) or self._plans.made(sql, form)
            if plan.sql is None:
                if self._plans.are_outdated():
                    continue
                raise SqlError("a text in the rows is not UTF-8, and the statement can't tell its bytes")
            try:
                blocks = self._packed(plan, params, as_maps, max_count, max_bytes)
            except UnicodeDecodeError:
                self._reset()
                form = "bytes"
                continue
            except Exception as error:
                if self._is_of_another_schema(error):
                    continue
                raise self.failure(error, plan, params) from error
            if self._plans.are_stale():
                continue
            if len(blocks) == 1 and len(blocks[0]) < BODY_BYTES:
                return bytes(blocks[0])
            return Body([part for block in blocks for part in (len(block).to_bytes(4, "big"), bytes(block))])
        raise SqlError("the schema changes faster than it can be read")

    def stepped(self, sql: str, params: Params) -> int:
        """Step through the rows of `sql`, make nothing of them, and return how many they are.

        Raises:
            StorageError: See the members of its tree that a read can raise.
        """
        for _ in range(MAX_REPLANS_COUNT):
            plan = self._plans.made(sql, "rows")
            try:
                return sum(1 for _ in self._cursor.execute(plan.statement.sql, params))
            except Exception as error:
                if self._is_of_another_schema(error):
                    continue
                raise self.failure(error, plan, params) from error
        raise SqlError("the schema changes faster than it can be read")

    def texts(self, sql: str, params: Params, form: Format) -> tuple[Plan, bytes | None, Iterator[bytes]]:
        """Return the plan for `sql`, a text for its first row if it has one, and an iterator over those of the others.

        The iterator reads as it is asked, the state that the first row is of, and raises what `failure` explains; until
        it ends, the connection holds that state.

        Raises:
            StorageError: See the members of its tree that a read can raise.
        """
        row_form: Form = "csv" if form == "csv" else "objects by row"
        for _ in range(MAX_REPLANS_COUNT):
            plan = self._plans.made(sql, row_form)
            self._plans.guard_infinity(plan)
            try:
                texts = self._texts(plan, params)
                first = next(texts, None)
            except Exception as error:
                if self._is_of_another_schema(error):
                    continue
                raise self.failure(error, plan, params) from error
            if not self._plans.are_stale():
                return plan, first, texts
            self._reset()
        raise SqlError("the schema changes faster than it can be read")

    def tables_read(self, sql: str) -> list[str]:
        """Return what `sql` reads, in small letters: tables, those under its views, and the views.

        Raises:
            StorageError: It is no statement that may be read.
        """
        self._plans.are_outdated()
        self._plans.made(sql, "rows")  # the authorizer is asked anew
        return sorted(self._authorizer.tables)

    def tables(self) -> list[list[Any]]:
        """Return what the database holds; see `Schema.tables`."""
        with translated():
            return self._schema.tables()

    def failure(self, error: Exception, plan: Plan, params: Params) -> Exception:
        """Return what the caller is told of `error`; the connection is free again."""
        self._reset()
        if isinstance(error, UnicodeDecodeError):
            return SqlError("a text in the rows is not UTF-8, and the statement can't tell its bytes")
        if isinstance(error, (apsw.BindingsError, KeyError, TypeError, OverflowError, UnicodeEncodeError)):
            return mismatch(plan.statement, params, error)
        if isinstance(error, apsw.SQLError):
            return SqlError(str(error))  # an offset would be one in our wrapping
        if isinstance(error, apsw.Error):
            return translation(error) or error
        return error

    def _is_of_another_schema(self, error: Exception) -> bool:
        """Return whether `error` may come of a plan that is not of today's schema: then it is worth another one."""
        if not isinstance(error, (apsw.SQLError, apsw.SchemaChangeError, ValueError)):
            return False
        self._reset()
        return self._plans.are_outdated()

    def _reset(self) -> None:
        self._cursor.close(True)
        self._cursor = self.connection.cursor()

    def _packed(
        self, plan: Plan, params: Params, as_maps: bool, max_count: int, max_bytes: int
    ) -> list[bytearray]:
        rows: Iterator[Sequence[Any]] = iter(self._cursor.execute(plan.sql or "", params))
        if plan.form == "bytes":
            rows = map(_decoded, rows)
        if max_count:
            rows = islice(rows, max_count)
        names = plan.names
        blocks: list[bytearray] = []
        total_bytes = total_count = 0
        block, count = bytearray(_ARRAY_HEADER_BYTES), 0
        for row in rows:
            _pack_into(dict(zip(names, row, strict=True)) if as_maps else row, block, -1)
            count += 1
            if len(block) > BLOCK_BYTES:
                total_bytes += len(block)
                total_count += count
                self._require_within(total_bytes, max_bytes, total_count)
                blocks.append(_headed(block, count))
                block, count = bytearray(_ARRAY_HEADER_BYTES), 0
        if max_count:
            self._reset()  # the statement may not be at its end
        self._require_within(total_bytes + len(block), max_bytes, total_count + count)
        blocks.append(_headed(block, count))
        return blocks

    def _require_within(self, size_bytes: int, max_bytes: int, rows_count: int) -> None:
        """Refuse an answer of rows that is too large.

        Raises:
            ResultTooLarge: It is.
        """
        if size_bytes > max_bytes:
            raise ResultTooLarge(f"the answer has more than {max_bytes} bytes", limit_bytes=max_bytes)
        if 0 < self._max_rows < rows_count:
            raise ResultTooLarge(f"the answer has more than {self._max_rows} rows")

    def _encoded(self, plan: Plan, params: Params, max_bytes: int) -> bytes:
        """Return the rows of what SQLite can't write itself, as it would write them."""
        shape: Shape = "arrays" if plan.form == "arrays" else "objects"
        encode: Callable[[Sequence[Any]], bytes] = row_encoder(plan.names, shape, plan.rules, self._real)
        answer = bytearray()
        for row in self._cursor.execute(plan.statement.sql, params):
            answer += encode(row)
            answer += b","
            if len(answer) > max_bytes:
                break
        if len(answer) > max_bytes:
            self._reset()
            raise ResultTooLarge(f"the answer has more than {max_bytes} bytes", limit_bytes=max_bytes)
        return bytes(answer[:-1])

    def _texts(self, plan: Plan, params: Params) -> Iterator[bytes]:
        rows = self._cursor.execute(plan.sql or plan.statement.sql, params)
        if plan.sql is None:
            shape: Shape | Literal["csv"] = "csv" if plan.form == "csv" else "objects"
            return map(row_encoder(plan.names, shape, plan.rules, self._real), rows)
        return (text for (text,) in rows)

    def _real(self, value: float) -> str:
        text: str = self.connection.execute("SELECT json_quote(?)", (value,)).get
        return text


def _headed(block: bytearray, count: int) -> bytearray:
    block[0] = _ARRAY32
    block[1:_ARRAY_HEADER_BYTES] = count.to_bytes(4, "big")
    return block


def _decoded(row: Sequence[Any]) -> list[Any]:
    """Return a row of `text_as_bytes` with its texts again as text."""
    return [
        value.decode("utf-8", "replace") if is_text else value
        for is_text, value in zip(row[::2], row[1::2], strict=True)
    ]
