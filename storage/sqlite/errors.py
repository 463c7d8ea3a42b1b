"""The border at which SQLite's errors become storage's, keeping their cause.

Errors in `OUR_BUGS` mean that this package misused apsw. They pass untouched, so that a worker logs them with their
traceback and the caller learns no more than that something failed.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import apsw

from storage.errors import (
    ConstraintViolated,
    DatabaseCorrupt,
    DatabaseNotFound,
    EncryptionUnavailable,
    NotAllowed,
    NotReadOnly,
    ParameterMismatch,
    QueryTimedOut,
    ResultTooLarge,
    SqlError,
    StorageBusy,
    StorageError,
    StorageFull,
    WrongKey,
)
from storage.sqlite.encryption import INSTALLING, CannotEncrypt, DoesNotOpen, OpensWithout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_CONSTRAINT_KINDS = {
    apsw.SQLITE_CONSTRAINT_UNIQUE: "unique",
    apsw.SQLITE_CONSTRAINT_PRIMARYKEY: "primary_key",
    apsw.SQLITE_CONSTRAINT_ROWID: "primary_key",
    apsw.SQLITE_CONSTRAINT_FOREIGNKEY: "foreign_key",
    apsw.SQLITE_CONSTRAINT_NOTNULL: "not_null",
    apsw.SQLITE_CONSTRAINT_CHECK: "check",
    apsw.SQLITE_CONSTRAINT_TRIGGER: "trigger",
    apsw.SQLITE_CONSTRAINT_DATATYPE: "datatype",
}


def _sql_error(error: apsw.Error) -> StorageError:
    offset = getattr(error, "error_offset", -1)
    return SqlError(str(error), offset=offset if offset >= 0 else None)


def _constraint(error: apsw.Error) -> StorageError:
    return ConstraintViolated(
        str(error), kind=_CONSTRAINT_KINDS.get(getattr(error, "extendedresult", 0), "other")
    )


def _saying(kind: type[StorageError], message: str) -> Callable[[apsw.Error], StorageError]:
    return lambda _: kind(message)


FROM_SQLITE: dict[type[apsw.Error], Callable[[apsw.Error], StorageError]] = {
    apsw.AbortError: _saying(QueryTimedOut, "the statement was stopped"),
    apsw.AuthError: _saying(NotAllowed, "the statement does something that callers may not do"),
    apsw.BindingsError: lambda error: ParameterMismatch(str(error)),
    apsw.BusyError: _saying(StorageBusy, "the database is locked by another process"),
    apsw.CantOpenError: _saying(DatabaseNotFound, "the database can't be opened"),
    apsw.ConstraintError: _constraint,
    apsw.CorruptError: _saying(DatabaseCorrupt, "the database is damaged"),
    apsw.Error: _saying(StorageError, "SQLite failed"),
    apsw.FormatError: _saying(DatabaseCorrupt, "the database has a format that SQLite does not know"),
    apsw.FullError: _saying(StorageFull, "the disk is full"),
    apsw.IOError: _saying(StorageError, "the disk failed"),
    apsw.InterruptError: _saying(QueryTimedOut, "the statement was stopped"),
    apsw.LockedError: _saying(StorageBusy, "the table is locked by another statement"),
    apsw.MismatchError: lambda error: ConstraintViolated(str(error), kind="datatype"),
    apsw.NoMemError: _saying(ResultTooLarge, "the answer needs more memory than it may"),
    apsw.NotADBError: _saying(
        DatabaseCorrupt, "the file is no SQLite database, or it is encrypted and no key is given for it"
    ),
    apsw.PermissionsError: _saying(StorageError, "the server may not open the database's file"),
    apsw.ProtocolError: _saying(StorageBusy, "the database's locks are contended"),
    apsw.RangeError: lambda error: ParameterMismatch(str(error)),
    apsw.ReadOnlyError: _saying(NotReadOnly, "the statement writes, and this is for reading"),
    apsw.SQLError: _sql_error,
    apsw.SchemaChangeError: _saying(StorageBusy, "the schema changed meanwhile"),
    CannotEncrypt: _saying(
        EncryptionUnavailable,
        f"the database is to be encrypted, and this build of apsw can't do that; {INSTALLING}",
    ),
    DoesNotOpen: _saying(WrongKey, "the key is another one, or the file is no database; nothing was changed"),
    OpensWithout: _saying(
        WrongKey, "a key is given, and the file is not encrypted; `dataserver rekey` encrypts it"
    ),
    apsw.TooBigError: _saying(ResultTooLarge, "the answer, or a value in it, is too large"),
}
"""What becomes of each error of SQLite."""

OUR_BUGS: frozenset[type[apsw.Error]] = frozenset(
    {
        apsw.ConnectionClosedError,
        apsw.ConnectionNotClosedError,
        apsw.CursorClosedError,
        apsw.EmptyError,
        apsw.ExecTraceAbort,
        apsw.ExecutionCompleteError,
        apsw.ExtensionLoadingError,
        apsw.ForkingViolationError,
        apsw.IncompleteExecutionError,
        apsw.InternalError,
        apsw.InvalidContextError,
        apsw.MisuseError,
        apsw.NoFTS5Error,
        apsw.NoLFSError,
        apsw.NotFoundError,
        apsw.ThreadingViolationError,
        apsw.VFSFileClosedError,
        apsw.VFSNotImplementedError,
    }
)
"""What only a mistake of this package can raise."""


def translation(error: apsw.Error) -> StorageError | None:
    """Return what the caller is told instead of `error`, None if it is a bug of ours."""
    make = FROM_SQLITE.get(type(error))
    return None if make is None else make(error)


@contextmanager
def translated() -> Iterator[None]:
    """Turn SQLite's errors into storage's, keeping the cause; about a microsecond, so not for the hottest path."""
    try:
        yield
    except apsw.Error as error:
        ours = translation(error)
        if ours is None:
            raise
        raise ours from error
