"""A database file that nobody else may have open while another one takes its place."""

from __future__ import annotations

from contextlib import closing
from urllib.parse import quote

import apsw

from storage.errors import StorageBusy
from storage.file_keys import Key
from storage.sqlite import files
from storage.sqlite.connection import prepare_library
from storage.sqlite.encryption import OpensWithout, unlock
from storage.sqlite.errors import translated

UNREADABLE = (
    apsw.CantOpenError,
    apsw.CorruptError,
    apsw.FormatError,
    apsw.NotADBError,
    apsw.ReadOnlyError,
    apsw.SQLError,
)
"""What SQLite says of a file that is damaged, encrypted with another key, or not there: of its log nothing can be kept."""


def take_place(path: str, by: str, key: Key | None) -> None:
    """Put the file `by` in the place of the file `path`, whose key is `key`, if there is one.

    When this returns, it is on the disk under that name. What lies in the log of the old file is put into it first, so that
    whoever kills this leaves all that it held; an unreadable file is given up as it is.

    Raises:
        StorageBusy: Somebody has `path` open; nothing was changed.
        DatabaseNotFound, StorageError: As `files.replace`.
    """
    with translated():
        prepare_library()
        _empty_log(path, key)
    files.replace(path, by)


def opened_alone(path: str, key: Key | None) -> apsw.Connection:
    """Open a file that is there, for reading and writing.

    Raises:
        apsw.Error: It can't be opened, or is no database.
    """
    connection = apsw.Connection(
        f"file:{quote(path)}", flags=apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_URI
    )
    try:
        unlock(connection, key)
        connection.pragma("schema_version")
    except BaseException:
        connection.close()
        raise
    return connection


def take_alone(connection: apsw.Connection) -> None:
    """Put what lies in the log into the file; that can be done only while nobody else has it open.

    Raises:
        StorageBusy: Somebody has.
    """
    try:
        connection.pragma("journal_mode", "delete")
    except apsw.BusyError as error:
        raise StorageBusy("the database is in use; stop whoever has it open") from error


def _empty_log(path: str, key: Key | None) -> None:
    try:
        with closing(_opened_somehow(path, key)) as connection:
            take_alone(connection)
    except UNREADABLE:
        return


def _opened_somehow(path: str, key: Key | None) -> apsw.Connection:
    try:
        return opened_alone(path, key)
    except OpensWithout:
        return opened_alone(path, None)
