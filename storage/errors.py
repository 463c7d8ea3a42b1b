"""What can go wrong in storage; each error reaches the caller as itself from any kind of worker.

    StorageError                 the root
    ├── DatabaseNotFound         no database of that name
    ├── DatabaseExists           a database of that name is there already
    ├── InvalidDatabaseName      the name breaks the rule for names
    ├── SqlError                 SQLite does not understand the text; `offset` says where
    ├── NotReadOnly              a statement that writes came where only reading is allowed
    ├── NotAllowed               transaction control, ATTACH, VACUUM or PRAGMA from a caller
    ├── ParameterMismatch        the parameters don't fit the statement
    │   └── NothingEarlier       an earlier statement of the batch inserted or returned no row
    ├── RowMismatch              a row does not fit the type asked for by `into`
    ├── ConstraintViolated       a rule of the schema refused the write; `kind` says which
    ├── StorageSaturated         too many wait; nothing was queued; `retry_after_s`
    ├── StorageBusy              somebody else holds the lock for too long
    ├── StorageFull              no space on the disk
    ├── StorageUnavailable       the worker is gone; nothing was done
    ├── WriteOutcomeUnknown      the worker died after it began to write
    ├── TransactionLost          the transaction is gone; nothing of it was written
    ├── TableNotSearchable       no search index can be made for it
    ├── TableNotFollowed         changes of the table are not logged
    ├── HistoryLost              what followed the cursor is not in the log; `cursor` is its end
    ├── QueryTimedOut            the read passed its deadline
    ├── ReadTooOld               the read held one state for too long and was ended; the text says why
    ├── QueryTooCostly           the read took more steps than it may
    ├── WriteTimedOut            the write passed its deadline; nothing was written
    ├── ResultTooLarge           the answer passes its limit in bytes
    ├── DatabaseCorrupt          the file is damaged or no database
    ├── WrongKey                 the key does not fit the file
    ├── EncryptionUnavailable    a key can't be had, or this build of apsw can't encrypt
    ├── UnsupportedSqlite        the SQLite library is too old to be trusted with a pool
    ├── MigrationFailed          a migration broke; the ones before it stay
    └── StorageClosed            the storage is closed

Messages name what the caller sent, never a path or another user's data.
"""

from __future__ import annotations

from workers import PortableError


class StorageError(PortableError):
    """The root; as itself: the disk or SQLite failed in a way nobody can mend by asking again; read the log."""


class DatabaseNotFound(StorageError):
    """There is no database of that name; create it first."""


class DatabaseExists(StorageError):
    """A database of that name is there already; use it, or drop it first."""


class InvalidDatabaseName(StorageError):
    """The name breaks the rule; use 1 to 63 of a-z, 0-9, _ and -, beginning with a letter or digit."""


class SqlError(StorageError):
    """SQLite does not understand the text; mend it at `offset`, a place in its UTF-8 bytes (None if unknown)."""

    def __init__(self, message: str, *, offset: int | None = None) -> None:
        super().__init__(message, offset=offset)
        self.offset = offset


class NotReadOnly(StorageError):
    """The statement writes, and this way is for reading; send it to `execute`."""


class NotAllowed(StorageError):
    """Callers may not control transactions, ATTACH, VACUUM or use this PRAGMA; leave it out."""


class ParameterMismatch(StorageError):
    """The parameters don't fit the statement in number, name or type; mend the call."""


class NothingEarlier(ParameterMismatch):
    """A statement of the batch refers to a row that an earlier one did not insert or return; nothing was kept."""


class RowMismatch(StorageError):
    """A row does not fit the type given as `into`; mend the type or the columns of the query."""


class ConstraintViolated(StorageError):
    """A rule of the schema refused the write and nothing of the request was kept; `kind` names the rule.

    `kind` is one of unique, primary_key, foreign_key, not_null, check, trigger, datatype, other.
    """

    def __init__(self, message: str, *, kind: str = "other") -> None:
        super().__init__(message, kind=kind)
        self.kind = kind


class StorageSaturated(StorageError):
    """Too many calls wait and this one was not queued; call again after `retry_after_s` seconds."""

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        super().__init__(message, retry_after_s=retry_after_s)
        self.retry_after_s = retry_after_s


class StorageBusy(StorageError):
    """Another process holds the file's lock for too long; nothing was done, call again."""


class StorageFull(StorageError):
    """The disk is full and nothing of the request was kept; make space."""


class StorageUnavailable(StorageError):
    """The worker is gone or can't start, and nothing was done; call again."""


class WriteOutcomeUnknown(StorageError):
    """The worker died after the write had begun; look it up before repeating it."""


class TransactionLost(StorageError):
    """The transaction or snapshot is gone and nothing was written; begin it again, and be quicker."""


class TableNotSearchable(StorageError):
    """No search index can be made: there is no such table or column, or it has no INTEGER PRIMARY KEY; the text says."""


class TableNotFollowed(StorageError):
    """Changes of the table are not logged, or can't be; follow it first (`Database.follow_tables`)."""


class HistoryLost(StorageError):
    """What came after the cursor is not in the log; take a snapshot, and follow from `cursor`, the log's end now."""

    def __init__(self, message: str, *, cursor: str) -> None:
        super().__init__(message, cursor=cursor)
        self.cursor = cursor


class QueryTimedOut(StorageError):
    """The read passed its deadline and was stopped; ask for less or give it longer."""


class ReadTooOld(StorageError):
    """The read held one state of the database for so long that it was ended; begin again, and ask for less at once."""


class QueryTooCostly(StorageError):
    """The read took more than `limit_steps` steps of SQLite's machine; ask for less, or for what an index finds."""

    def __init__(self, message: str, *, limit_steps: int) -> None:
        super().__init__(message, limit_steps=limit_steps)
        self.limit_steps = limit_steps


class WriteTimedOut(StorageError):
    """The write passed its deadline and nothing was written; call again when there is less load."""


class ResultTooLarge(StorageError):
    """The answer, or one value in it, passes `limit_bytes`; ask for fewer rows, or stream them."""

    def __init__(self, message: str, *, limit_bytes: int | None = None) -> None:
        super().__init__(message, limit_bytes=limit_bytes)
        self.limit_bytes = limit_bytes


class DatabaseCorrupt(StorageError):
    """The file is damaged or is no SQLite database; restore it from a backup."""


class WrongKey(StorageError):
    """The key does not fit the file: it is another one, or there is nothing encrypted; give the right one."""


class EncryptionUnavailable(StorageError):
    """A key can't be had from where it should come from, or this build of apsw can't encrypt; the text says which."""


class UnsupportedSqlite(StorageError):
    """The SQLite library has a known bug that corrupts files under a pool; install a newer apsw."""


class MigrationFailed(StorageError):
    """A migration broke and left no trace, the ones before it stay; mend the file of `version` and open again."""

    def __init__(self, message: str, *, version: int | None = None) -> None:
        super().__init__(message, version=version)
        self.version = version


class StorageClosed(StorageError):
    """The storage is closed or closing and the call did not run; open it again."""
