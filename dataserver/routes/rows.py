"""`/v1/databases/{db}/tables/{table}/rows`: rows one by one, under their keys."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

import msgspec

import storage
from dataserver.answers import JSON, Answer, AnyAnswer, json_answer
from dataserver.exchange import Exchange
from dataserver.refusals import (
    InvalidBody,
    InvalidParameter,
    RowNotFound,
    RowsReadOnly,
    TableNotFound,
    UnknownColumn,
)
from dataserver.route import Parameter, Route
from dataserver.routes.execute import WRITE_REFUSALS, batch_answer, queued_answer, written_answer
from dataserver.routes.query import TIMEOUT
from dataserver.rows.keys import Key, key_values
from dataserver.rows.writes import delete, insert, update
from dataserver.schemas import Table
from dataserver.wire import WrittenAnswer

_ROW: Final = msgspec.json.Decoder(dict[str, Any])
_ROWS: Final = msgspec.json.Decoder(dict[str, Any] | list[dict[str, Any]])


async def get_row(exchange: Exchange) -> AnyAnswer:
    """Answer one row."""
    return await exchange.with_table(lambda table: _row(exchange, table))


async def post_rows(exchange: Exchange) -> AnyAnswer:
    """Insert a row, or several of which all or none are kept."""
    sent = await exchange.json(_ROWS)
    return await exchange.with_table(lambda table: _insert(exchange, table, sent))


async def patch_row(exchange: Exchange) -> AnyAnswer:
    """Change the columns that the body names."""
    sent = await exchange.json(_ROW)

    async def change(table: Table) -> AnyAnswer:
        key = writable_key(table)
        values = key_values(key, exchange.raw_path["key"])
        statement = update(table.info.name, table.columns, key, values, sent)
        return await _one_row(exchange, statement.sql, statement.params)

    return await exchange.with_table(change)


async def delete_row(exchange: Exchange) -> AnyAnswer:
    """Delete one row."""

    async def remove(table: Table) -> AnyAnswer:
        key = writable_key(table)
        statement = delete(table.info.name, key, key_values(key, exchange.raw_path["key"]))
        return await _one_row(exchange, statement.sql, statement.params)

    return await exchange.with_table(remove)


async def _row(exchange: Exchange, table: Table) -> AnyAnswer:
    key = addressed_key(table)
    values = key_values(key, exchange.raw_path["key"])
    database = exchange.services.databases.get(exchange.path["db"])
    rows = await database.query_json(table.point_sql, values, timeout_s=exchange.timeout_s)
    return row_answer(rows, table, exchange.raw_path["key"])


def row_answer(rows: bytes, table: Table, address: bytes) -> Answer:
    """Return the one row of a JSON list as an answer.

    Raises:
        RowNotFound: The list is empty.
    """
    if len(rows) <= len(b"[]"):
        raise RowNotFound(f"the table {table.info.name!r} has no row {address.decode(errors='replace')!r}")
    return Answer(rows[1:-1], 200, JSON)


async def _insert(exchange: Exchange, table: Table, sent: dict[str, Any] | list[dict[str, Any]]) -> AnyAnswer:
    if table.info.kind != "table":
        raise _read_only(table)
    database = exchange.services.databases.get(exchange.path["db"])
    name = table.info.name
    is_queued = _is_queued(exchange)
    if isinstance(sent, dict):
        statement = insert(name, table.columns, sent)
        if is_queued:
            await database.execute(
                statement.sql, statement.params, timeout_s=exchange.timeout_s, ack="queued"
            )
            return queued_answer()
        done = await database.execute(statement.sql, statement.params, timeout_s=exchange.timeout_s)
        address = _address_of(table.key, sent, done.last_insert_rowid)
        location = () if address is None else ((b"location", exchange.scope["raw_path"] + b"/" + address),)
        return json_answer(written_answer(done), status=201, headers=location)
    most = exchange.services.limits.max_statement_count
    if not 1 <= len(sent) <= most:
        raise InvalidBody(f"there are {len(sent)} rows; 1 to {most} are allowed")
    statements = [insert(name, table.columns, row) for row in sent]
    pairs = [(statement.sql, statement.params) for statement in statements]
    if is_queued:
        await database.execute_batch(pairs, timeout_s=exchange.timeout_s, ack="queued")
        return queued_answer()
    results = await database.execute_batch(pairs, timeout_s=exchange.timeout_s)
    return json_answer(batch_answer(results), status=201)


def _address_of(key: Key | None, sent: dict[str, Any], rowid: int | None) -> bytes | None:
    """Return the last part of a new row's address, if what was sent tells it."""
    if key is None:
        return None
    if len(key.columns) == 1 and key.columns[0].affinity == "integer" and key.columns[0].name not in sent:
        return None if rowid is None else b"%d" % rowid
    values = [sent.get(column.name) for column in key.columns]
    if any(not isinstance(value, int | str) or isinstance(value, bool) for value in values):
        return None
    return ",".join(quote(str(value), safe="") for value in values).encode()


async def _one_row(exchange: Exchange, sql: str, params: tuple[Any, ...]) -> AnyAnswer:
    database = exchange.services.databases.get(exchange.path["db"])
    if _is_queued(exchange):
        await database.execute(sql, params, timeout_s=exchange.timeout_s, ack="queued")
        return queued_answer()
    done = await database.execute(sql, params, timeout_s=exchange.timeout_s)
    if done.changes == 0:
        raise RowNotFound(f"the table {exchange.path['table']!r} has no row {exchange.path['key']!r}")
    return json_answer(WrittenAnswer(ack=done.ack, changes=done.changes, last_insert_rowid=None))


def _is_queued(exchange: Exchange) -> bool:
    """Return whether the client does not wait for the disk.

    Raises:
        InvalidParameter: `ack` is nothing that there is.
    """
    ack = exchange.parameter(ACK.name)
    if ack not in {None, "durable", "queued"}:
        raise InvalidParameter(f"{ACK.name} is {ack!r}; allowed are durable and queued")
    return ack == "queued"


def addressed_key(table: Table) -> Key:
    """Return the table's key.

    Raises:
        InvalidParameter: Its rows have none, so they have no addresses.
    """
    if table.key is None:
        raise InvalidParameter(f"the rows of {table.info.name!r} have no key; filter a page of them instead")
    return table.key


def writable_key(table: Table) -> Key:
    """Return the key of a table whose rows may be written.

    Raises:
        RowsReadOnly: It is a view.
    """
    if table.info.kind != "table":
        raise _read_only(table)
    return addressed_key(table)


def _read_only(table: Table) -> RowsReadOnly:
    return RowsReadOnly(f"{table.info.name!r} is a view; write to the tables under it")


ACK: Final = Parameter(
    name="ack",
    one_of=("durable", "queued"),
    says=(
        "`queued` answers 202 as soon as the write waits: a crash loses it, and an error, or a row that is not there, is"
        " told to nobody. `durable`, the default, answers once it is on disk."
    ),
)

_PATH = "/v1/databases/{db}/tables/{table}/rows"
_READ = (
    storage.DatabaseNotFound,
    TableNotFound,
    storage.QueryTimedOut,
    storage.StorageSaturated,
    InvalidParameter,
)
_WRITE = (*WRITE_REFUSALS, TableNotFound, RowsReadOnly, InvalidBody, InvalidParameter, UnknownColumn)

ROW_LABEL: Final = f"GET {_PATH}/{{key}}"

ROUTES = (
    Route(
        method="POST",
        path=_PATH,
        role="write",
        handle=post_rows,
        says="Insert a row (an object), or several (a list) of which all or none are kept.",
        reads=dict[str, Any] | list[dict[str, Any]],
        answers=WrittenAnswer,
        status=201,
        also=(202,),
        parameters=(ACK, TIMEOUT),
        refuses=_WRITE,
    ),
    Route(
        method="GET",
        path=f"{_PATH}/{{key}}",
        role="read",
        handle=get_row,
        says="Read one row by its key; the values of a key of several columns are parted by commas.",
        answers=dict[str, Any],
        parameters=(TIMEOUT,),
        refuses=(*_READ, RowNotFound),
    ),
    Route(
        method="PATCH",
        path=f"{_PATH}/{{key}}",
        role="write",
        handle=patch_row,
        says="Change the columns that the body names, in one row.",
        reads=dict[str, Any],
        answers=WrittenAnswer,
        also=(202,),
        parameters=(ACK, TIMEOUT),
        refuses=(*_WRITE, RowNotFound),
    ),
    Route(
        method="DELETE",
        path=f"{_PATH}/{{key}}",
        role="write",
        handle=delete_row,
        says="Delete one row.",
        answers=WrittenAnswer,
        also=(202,),
        parameters=(ACK, TIMEOUT),
        refuses=(*_WRITE, RowNotFound),
    ),
)
