"""How a database is opened: pragmas, limits, a deadline, and never on an event loop by accident.

Decisions (2026-11, 2 cores):

- SQLite before 3.51.3 is refused: two connections that write and checkpoint at once can corrupt a WAL there, and a
  pool is just that.
- MEMSTATUS goes off before the first connection: it is one mutex around every malloc, 1.3 to 1.5 times the time on
  threads. A process with a single worker thread may keep it on, which is what makes `hard_heap_limit` work there.
- mmap stays off: an I/O error, or a file that shrinks, is a signal instead of an error.
- LIMIT_LENGTH is kept low: one long opcode (`randomblob(9e8)`) is stopped neither by an interrupt nor by the progress
  handler, and `group_concat` never builds more than the limit.
- The deadline is looked at by a progress handler that is installed once. A point read never reaches its first call;
  with 20,000 steps between calls a scan spends under 0.1 % there. Where a second thread interrupts (thread and process
  workers), it is only the safety net, and is called more rarely: in a thread each call waits for the interpreter lock.
"""

from __future__ import annotations

import os
import stat
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import apsw

from storage.errors import DatabaseNotFound, UnsupportedSqlite
from storage.file_keys import FileKeys
from storage.sqlite.encryption import unlock

if TYPE_CHECKING:
    from collections.abc import Callable

OLDEST_SQLITE = (3, 51, 3)

PROGRESS_STEPS_ALONE = 20_000
"""Between two looks at the deadline where nobody else interrupts; about half a millisecond of SQLite's work."""
PROGRESS_STEPS_GUARDED = 1_000_000
MAX_SQL_BYTES = 1_000_000
"""The longest text of a statement that a caller may send."""
_WRAPPING_BYTES = 500_000

_LIMITS = {
    apsw.SQLITE_LIMIT_SQL_LENGTH: MAX_SQL_BYTES + _WRAPPING_BYTES,
    apsw.SQLITE_LIMIT_EXPR_DEPTH: 500,
    apsw.SQLITE_LIMIT_COMPOUND_SELECT: 500,
    apsw.SQLITE_LIMIT_VDBE_OP: 1_000_000,
    apsw.SQLITE_LIMIT_ATTACHED: 0,
    apsw.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 1_000,
    apsw.SQLITE_LIMIT_TRIGGER_DEPTH: 100,
    apsw.SQLITE_LIMIT_WORKER_THREADS: 0,
}

_library_lock = threading.Lock()
_library_state: dict[str, bool] = {}


@dataclass(frozen=True, kw_only=True, slots=True)
class ConnectionSettings:
    """How every connection of a service is opened."""

    busy_timeout_s: float = 2.0
    max_value_bytes: int = 64 * 1024 * 1024
    """LIMIT_LENGTH: no value, row or JSON answer may be larger."""
    cache_bytes: int = 8 * 1024 * 1024
    statement_cache_count: int = 128
    plans_by_values: bool = True
    secure_delete: bool = False
    progress_steps: int = PROGRESS_STEPS_GUARDED
    max_query_steps: int = 0
    """Steps of SQLite's machine that one read may take, to a call of the progress handler; 0 for any number."""
    max_query_rows: int = 0
    """Rows that one read may return as rows, 0 for any number; of JSON the bytes are counted."""
    allow_on_loop: bool = False
    """Only the inline pool may say so (`worker_kind` in the options of a service)."""
    keys: FileKeys = field(default_factory=FileKeys)

    @classmethod
    def from_options(cls, options: dict[str, Any]) -> ConnectionSettings:
        """Return what `StorageSettings.service_options` says; a key that is missing has its default."""
        on_loop = options.get("worker_kind") == "inline"
        return cls(
            busy_timeout_s=options.get("busy_timeout_s", 2.0),
            max_value_bytes=options.get(
                "max_result_bytes", cls.__dataclass_fields__["max_value_bytes"].default
            ),
            cache_bytes=options.get("cache_bytes", 8 * 1024 * 1024),
            statement_cache_count=options.get("statement_cache_count", 128),
            plans_by_values=options.get("plans_by_values", True),
            secure_delete=options.get("secure_delete", False),
            progress_steps=PROGRESS_STEPS_ALONE if on_loop else PROGRESS_STEPS_GUARDED,
            max_query_steps=options.get("max_query_steps", 0),
            max_query_rows=options.get("max_query_rows", 0),
            allow_on_loop=on_loop,
            keys=FileKeys.from_options(options),
        )


class OnEventLoop(RuntimeError):
    """SQL was about to run on an event loop's thread; a bug of the caller, send it to a worker."""


class Deadline:
    """What a connection's progress handler looks at: `at` in seconds of `time.monotonic`, 0.0 for none."""

    __slots__ = ("at", "calls_count", "max_calls_count", "stopped")

    def __init__(self, max_calls_count: int = sys.maxsize) -> None:
        self.at = 0.0
        self.stopped = False
        self.calls_count = 0
        """How often it was called since this was last set to 0."""
        self.max_calls_count = max_calls_count

    @property
    def is_overstepped(self) -> bool:
        """Whether what runs has taken more steps than it may."""
        return self.calls_count > self.max_calls_count

    def __call__(self) -> bool:
        """Return whether the statement is to be stopped."""
        self.calls_count += 1
        return (
            self.stopped
            or self.calls_count > self.max_calls_count
            or (self.at != 0.0 and time.monotonic() > self.at)
        )


def require_supported(version: str = "") -> None:
    """Refuse a SQLite library that may corrupt files under a pool; `version` is that of the loaded one by default.

    Raises:
        UnsupportedSqlite: It is older than 3.51.3.
    """
    found = version or apsw.sqlite_lib_version()
    if tuple(int(part) for part in found.split(".")) < OLDEST_SQLITE:
        oldest = ".".join(map(str, OLDEST_SQLITE))
        raise UnsupportedSqlite(
            f"SQLite {found} can corrupt a database under a pool; {oldest} or newer is needed"
        )


def prepare_library(*, heap_limit_bytes: int = 0) -> None:
    """Set what must be set before the process's first connection; later calls do nothing.

    With `heap_limit_bytes` SQLite's memory in this process has that bound, and allocations are counted for it;
    without, counting is off, which is quicker with several threads.

    Raises:
        UnsupportedSqlite: The library is too old.
    """
    require_supported()
    with _library_lock:
        if _library_state.get("prepared"):
            return
        _library_state["prepared"] = True
        if heap_limit_bytes:
            apsw.hard_heap_limit(heap_limit_bytes)
        elif not apsw.connections():
            apsw.shutdown()
            apsw.config(apsw.SQLITE_CONFIG_MEMSTATUS, False)
            apsw.initialize()


def runs_event_loop() -> bool:
    """Return whether an event loop of asyncio (uvloop too) or trio runs on this thread; imports neither."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is not None and asyncio._get_running_loop() is not None:  # noqa: SLF001 - the one public way raises
        return True
    trio = sys.modules.get("trio")
    return trio is not None and bool(trio.lowlevel.in_trio_run())


def refuse_event_loop(settings: ConnectionSettings) -> None:
    """Raise if an event loop runs on this thread and `settings` don't allow it.

    Raises:
        OnEventLoop: One does.
    """
    if not settings.allow_on_loop and runs_event_loop():
        raise OnEventLoop("SQL must not run on an event loop's thread")


def open_reader(path: str, settings: ConnectionSettings, deadline: Deadline) -> apsw.Connection:
    """Return a connection to the existing file `path` that can't write.

    Raises:
        OnEventLoop: An event loop runs on this thread.
        DatabaseNotFound: `path` is a folder's, a pipe's or a device's, or can be nobody's.
        apsw.Error: It can't be opened, or is no database.
    """
    connection = _opened(path, apsw.SQLITE_OPEN_READONLY, settings, deadline)
    try:
        connection.pragma("query_only", True)
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)  # the log is the writer's
    except BaseException:
        connection.close()
        raise
    return connection


def open_writer(
    path: str, settings: ConnectionSettings, deadline: Callable[[], bool], *, create: bool
) -> apsw.Connection:
    """Return a connection to `path` in WAL mode whose commits are on the disk when they return.

    Checkpoints are the caller's: they are never made by a commit.

    Raises:
        OnEventLoop: An event loop runs on this thread.
        DatabaseNotFound: `path` is a folder's, a pipe's or a device's, or can be nobody's.
        apsw.Error: It can't be opened, or is no database.
    """
    flags = apsw.SQLITE_OPEN_READWRITE | (apsw.SQLITE_OPEN_CREATE if create else 0)
    connection = _opened(path, flags, settings, deadline)
    try:
        connection.pragma("journal_mode", "wal")
        connection.pragma("synchronous", "full")
        connection.pragma("secure_delete", settings.secure_delete)
        connection.wal_autocheckpoint(0)
        connection.transaction_mode = "IMMEDIATE"
    except BaseException:
        connection.close()
        raise
    return connection


def _refuse_other_than_files(path: str) -> None:
    """Raise if `path` can't be a file's: to open a pipe may take for ever, and a device may do anything.

    Raises:
        DatabaseNotFound: It can't.
    """
    try:
        path.encode()
        mode = os.stat(path).st_mode  # noqa: PTH116 - a Path costs more than the question
    except OSError:  # SQLite says what it makes of that
        return
    except ValueError as error:  # a NUL, or half of a surrogate pair
        raise DatabaseNotFound("the path of the database has a character that none may have") from error
    if not stat.S_ISREG(mode):
        raise DatabaseNotFound("what is at the path of the database is no file")


def _opened(
    path: str, flags: int, settings: ConnectionSettings, deadline: Callable[[], bool]
) -> apsw.Connection:
    refuse_event_loop(settings)
    _refuse_other_than_files(path)
    connection = apsw.Connection(path, flags=flags, statementcachesize=settings.statement_cache_count)
    try:
        connection.set_busy_timeout(int(settings.busy_timeout_s * 1000))
        unlock(connection, settings.keys.of(path))
        for limit, value in _LIMITS.items():
            connection.limit(limit, value)
        connection.limit(apsw.SQLITE_LIMIT_LENGTH, settings.max_value_bytes)
        for switch, value in (
            (apsw.SQLITE_DBCONFIG_DEFENSIVE, 1),
            (apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0),
            (apsw.SQLITE_DBCONFIG_DQS_DDL, 0),
            (apsw.SQLITE_DBCONFIG_DQS_DML, 0),
            (apsw.SQLITE_DBCONFIG_ENABLE_FKEY, 1),
            (apsw.SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0),
            (apsw.SQLITE_DBCONFIG_ENABLE_QPSG, not settings.plans_by_values),
        ):
            connection.config(switch, value)
        connection.pragma("mmap_size", 0)
        connection.pragma("temp_store", "memory")
        connection.pragma("cache_size", -(settings.cache_bytes // 1024))
        connection.set_progress_handler(deadline, settings.progress_steps)
    except BaseException:
        connection.close()
        raise
    return connection
