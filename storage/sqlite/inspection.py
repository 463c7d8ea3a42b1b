"""What SQLite makes of a caller's text, before it is run: one statement that only reads, its columns, its parameters.

The text is prepared alone and never stepped. Only what stood this test is put inside other SQL (`json_results`), so a
text can't close the parenthesis around it: it would not have been a statement by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import apsw

from storage.errors import NotAllowed, NotReadOnly, ParameterMismatch, SqlError
from storage.sqlite.connection import MAX_SQL_BYTES
from storage.sqlite.errors import translation
from storage.sqlite.json_results import Column, Origin
from storage.sqlite.statements import is_blank

if TYPE_CHECKING:
    from storage.sqlite.schema import Schema
    from storage.sqlite.untrusted import ReadAuthorizer

_TABLES_WITH_MARKED_TEXT = frozenset({"json_each", "json_tree", "jsonb_each", "jsonb_tree"})
"""Their texts may count as JSON where they are used."""


NO_VALUES: Any = apsw._null_bindings  # type: ignore[attr-defined]  # noqa: SLF001 - as apsw.ext.query_info does
"""Parameters for a statement that is prepared and not run."""
_BLANKS = " \t\n\f\r"
"""SQLite's; to it others are letters."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement that only reads."""

    sql: str
    """Its text without what ends it."""
    columns: tuple[Column, ...]
    parameter_names: tuple[str | None, ...]
    is_select: bool
    """It may stand where a table does; PRAGMA and EXPLAIN may not."""


def inspected(sql: str, connection: apsw.Connection, authorizer: ReadAuthorizer, schema: Schema) -> Statement:
    """Return what `sql` is.

    A text that SQLite refuses is looked at once more if the schema has changed: that an index is there already, for
    one, it says by the schema that it read last.

    Raises:
        SqlError: SQLite does not understand it, or it is not one statement.
        NotReadOnly: It writes.
        NotAllowed: It does what callers may not do.
    """
    try:
        found = _found(sql, connection, authorizer)
    except SqlError:
        if not schema.read_anew():
            raise
        found = _found(sql, connection, authorizer)
    return _judged(found, authorizer, schema)


def _found(sql: str, connection: apsw.Connection, authorizer: ReadAuthorizer) -> _Found:
    found: list[_Found] = []

    def look(cursor: apsw.Cursor, text: str, _: apsw.Bindings | None) -> bool:
        found.append(
            _Found(
                text=text,  # with the semicolons and comments before the statement
                rest=sql[len(text) :],
                is_empty=not cursor.has_vdbe,
                is_readonly=cursor.is_readonly,
                is_explain=cursor.is_explain != 0,
                columns=cursor.description_full,
                parameter_names=cursor.bindings_names,
            )
        )
        return False

    authorizer.reset()
    cursor = connection.cursor()
    cursor.exec_trace = look
    try:
        cursor.execute(sql, NO_VALUES, can_cache=False)  # from the cache, the authorizer would not be asked
    except apsw.ExecTraceAbort:
        pass
    except apsw.TooBigError as error:
        raise SqlError(f"the statement is longer than {MAX_SQL_BYTES} bytes") from error
    except apsw.Error as error:
        if authorizer.refused is not None:  # SQLite says AUTH or ERROR, depending on what it asked about
            raise NotAllowed(authorizer.refused) from error
        raise translation(error) or error from error
    except ValueError as error:  # a NUL, or half of a surrogate pair
        raise SqlError("the statement holds a character that SQL can't hold") from error
    finally:
        cursor.close(True)
    return found[0]


@dataclass(frozen=True, slots=True)
class _Found:
    text: str
    rest: str
    is_empty: bool
    is_readonly: bool
    is_explain: bool
    columns: tuple[tuple[str, str | None, str | None, str | None, str | None], ...]
    parameter_names: tuple[str | None, ...]


def _judged(found: _Found, authorizer: ReadAuthorizer, schema: Schema) -> Statement:
    if found.is_empty:
        raise SqlError("there is no statement in the text", offset=0)
    if not is_blank(found.rest):
        raise SqlError("there is more than one statement in the text", offset=len(found.text.encode()))
    if not (found.is_readonly or found.is_explain):  # SQLite calls EXPLAIN what the statement behind it is
        raise NotReadOnly("the statement writes, and this is for reading")
    text = found.text.lstrip(_BLANKS + ";").rstrip(_BLANKS)
    if len(text.encode()) > MAX_SQL_BYTES:
        raise SqlError(f"the statement is longer than {MAX_SQL_BYTES} bytes")
    is_simple = authorizer.select_count == 1 and _TABLES_WITH_MARKED_TEXT.isdisjoint(authorizer.tables)
    columns = []
    for name, _, database, table, origin in found.columns:
        if not is_simple or table is None or origin is None:
            columns.append(Column(name, Origin.COMPUTED))
        elif database == "main" and origin in schema.blob_free_columns(table):
            columns.append(Column(name, Origin.PROVEN))
        else:
            columns.append(Column(name, Origin.STORED))
    return Statement(
        sql=text.removesuffix(";"),
        columns=tuple(columns),
        parameter_names=found.parameter_names,
        is_select=authorizer.select_count > 0 and not found.is_explain,
    )


def mismatch(
    statement: Statement, given: list[object] | dict[str, object], cause: Exception
) -> ParameterMismatch:
    """Return in our words why SQLite did not take the parameters `given`."""
    names = statement.parameter_names
    if isinstance(cause, KeyError):
        return ParameterMismatch(f"no value is given for the parameter {cause.args[0]!r}")
    if isinstance(given, dict) and None in names:
        return ParameterMismatch("the statement's parameters have no names, but a mapping is given")
    if isinstance(cause, apsw.BindingsError):
        return ParameterMismatch(f"the statement has {len(names)} parameters, and {len(given)} are given")
    if isinstance(cause, OverflowError):
        return ParameterMismatch("an integer has more than 64 bits")
    if isinstance(cause, UnicodeError):
        return ParameterMismatch("a text holds half of a surrogate pair")
    return ParameterMismatch("a parameter is of a type that SQLite does not store")
