"""Rows written one by one: JSON values as SQL values, and the statements that insert, change and delete a row."""

from __future__ import annotations

import base64
import binascii
import math
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from dataserver.refusals import InvalidBody
from dataserver.rows.columns import MAX_INTEGER, MIN_INTEGER, Column, Value, find, quoted
from dataserver.rows.pages import Statement
from storage import Earlier

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dataserver.rows.keys import Key

_BLOB_NAME = "$base64"
_EARLIER_NAME = "$earlier"


class _Reference(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A value that an earlier statement gave."""

    statement: Annotated[int, msgspec.Meta(ge=0)] = msgspec.field(name=_EARLIER_NAME)
    column: str | None = None
    row: Annotated[int, msgspec.Meta(ge=0)] = 0


def sql_value(value: Any, where: str) -> Value:
    """Return a JSON value as SQL binds it: true and false are 1 and 0, `{"$base64": TEXT}` is a BLOB.

    Raises:
        InvalidBody: It is a list, another object, or a number that no column can hold; `where` names it.
    """
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int) and not MIN_INTEGER <= value <= MAX_INTEGER:
        raise InvalidBody(
            f"{where} is {value}; whole numbers from {MIN_INTEGER} to {MAX_INTEGER} are allowed"
        )
    if isinstance(value, dict) and value.keys() == {_BLOB_NAME} and isinstance(value[_BLOB_NAME], str):
        try:
            return base64.b64decode(value[_BLOB_NAME], validate=True)
        except (binascii.Error, ValueError) as error:
            raise InvalidBody(f"{where} is no base64 text") from error
    if value is None or isinstance(value, int | float | str):
        return value
    raise InvalidBody(
        f"{where} is a JSON {'list' if isinstance(value, list) else 'object'}; "
        f'send it as text, or bytes as {{"{_BLOB_NAME}": TEXT}}'
    )


def json_from_sql(value: Value) -> Any:
    """Return an SQL value as JSON has it: bytes under their name, null for an infinity."""
    if isinstance(value, bytes):
        return {_BLOB_NAME: base64.b64encode(value).decode()}
    return None if isinstance(value, float) and math.isinf(value) else value


def sql_params(params: Sequence[Any] | Mapping[str, Any]) -> list[Value] | dict[str, Value]:
    """Return the parameters of a statement, by place or by name, as SQL binds them."""
    if isinstance(params, dict):
        return {name: sql_value(value, f"the parameter {name!r}") for name, value in params.items()}
    return [sql_value(value, f"parameter {place}") for place, value in enumerate(params, start=1)]


def batch_params(params: Sequence[Any] | Mapping[str, Any]) -> list[Any] | dict[str, Any]:
    """Return the parameters of one statement of several; `{"$earlier": n}` is what statement `n` of them gave.

    That is the rowid it inserted, or with `"column"` (and `"row"`, from 0) a value that it returned.

    Raises:
        InvalidBody: As `sql_value`, or a reference has another form.
    """
    if isinstance(params, dict):
        return {name: _batch_value(value, f"the parameter {name!r}") for name, value in params.items()}
    return [_batch_value(value, f"parameter {place}") for place, value in enumerate(params, start=1)]


def _batch_value(value: Any, where: str) -> Any:
    if not isinstance(value, dict) or _EARLIER_NAME not in value:
        return sql_value(value, where)
    try:
        reference = msgspec.convert(value, _Reference)
    except msgspec.ValidationError as error:
        raise InvalidBody(f"{where} is no reference to an earlier statement: {error}") from error
    return Earlier(reference.statement, reference.column, reference.row)


def insert(table: str, columns: dict[str, Column], row: Mapping[str, Any]) -> Statement:
    """Return the statement that inserts `row`; columns it does not name get their defaults."""
    if not row:
        return Statement(f"INSERT INTO {quoted(table)} DEFAULT VALUES")
    names = ", ".join(find(columns, name).sql for name in row)
    marks = ", ".join("?" * len(row))
    sql = f"INSERT INTO {quoted(table)} ({names}) VALUES ({marks})"  # noqa: S608 - names are quoted, values bound
    return Statement(sql, _values(row))


def update(
    table: str, columns: dict[str, Column], key: Key, values: tuple[Value, ...], row: Mapping[str, Any]
) -> Statement:
    """Return the statement that sets the columns that `row` names, in the row with this key.

    Raises:
        InvalidBody: It names none.
    """
    if not row:
        raise InvalidBody("the body names no column to change")
    changes = ", ".join(f"{find(columns, name).sql} = ?" for name in row)
    sql = f"UPDATE {quoted(table)} SET {changes} WHERE {key.where}"  # noqa: S608 - names are quoted, values bound
    return Statement(sql, (*_values(row), *values))


def delete(table: str, key: Key, values: tuple[Value, ...]) -> Statement:
    """Return the statement that deletes the row with this key."""
    return Statement(f"DELETE FROM {quoted(table)} WHERE {key.where}", values)  # noqa: S608 - as above


def point_sql(table: str, key: Key) -> str:
    """Return the SQL that reads the row with a key, a question mark for each of the key's columns."""
    extra = "" if key.shown else "".join(f"{column.sql}, " for column in key.columns)
    return f"SELECT {extra}* FROM {quoted(table)} WHERE {key.where}"  # noqa: S608 - names are quoted, values bound


def _values(row: Mapping[str, Any]) -> tuple[Value, ...]:
    return tuple(sql_value(value, f"the column {name!r}") for name, value in row.items())
