"""What a writing worker runs: all calls that have arrived, in as few transactions as their company allows.

Methods and their parameters (a path is that of the database's file):

- `execute` `[path, sql, params]` -> `[changes, last_insert_rowid]`, or `[changes, last_insert_rowid, columns, rows]`
- `execute_batch` `[path, [[sql, params], ...]]` -> a list of such; all or nothing
- `function` `[path, "module:function", args]` -> what it returns; all or nothing
- `transaction_...`: see `storage.sqlite.interactive`
- `create` `[path]` or `[path, may_exist]` -> whether the file is new
- `replace` `[path, by]`: the file `by` in its place, be it damaged; refused while readers hold the log
- `drop` `[path]`; readers have to close it before
- `migrate` `[path, [[source, number, name, sql], ...]]` -> how many were applied
- `follow`, `unfollow`, `keep_changes`: see `storage.sqlite.changes`
- `checkpoint` `[path]` -> whether the write-ahead log is empty now
- `statistics` `[path]` -> pages in the log, and checkpoints by mode and outcome
- `logs` `[""]` -> the same for each path that is open here
- `close_database` `[path]`; it is opened again when needed

What changes more than rows, what has more than `LONE_STATEMENTS_COUNT` statements and what took too many steps before
runs in a transaction of its own. Databases of one batch are served one after the other.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import apsw

from storage.errors import DatabaseExists, StorageBusy, WriteTimedOut
from storage.migrations import Migration
from storage.sqlite import files
from storage.sqlite.batches import ALONE, sections
from storage.sqlite.changes import Following
from storage.sqlite.checkpoints import MAX_WAL_BYTES, Governor
from storage.sqlite.connection import ConnectionSettings, prepare_library, refuse_event_loop
from storage.sqlite.connection_cache import ConnectionCache
from storage.sqlite.group_commit import EXECUTE, FUNCTION, SHARING, settle, texts
from storage.sqlite.interactive import Interactive
from storage.sqlite.lone_files import UNREADABLE
from storage.sqlite.migrator import migrate
from storage.sqlite.statements import HeavyTexts, changes_rows_only
from storage.sqlite.writer_connection import WriterConnection, write_failure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from workers import Call

APPLICATION_ID = 0x64537276
"""`dSrv`: what `file` and `PRAGMA application_id` say of a database that we made."""
TRANSACTION_STATEMENTS_COUNT = 2_000
"""The most statements in one transaction of several callers; about 10 ms."""
LONE_STATEMENTS_COUNT = 500
"""A request of more has no company."""
_BESIDE_TRANSACTIONS = frozenset(
    {"statistics", "logs"}
    | {
        f"transaction_{step}"
        for step in ("execute", "function", "mark", "keep", "undo", "commit", "roll_back")
    }
)
"""What does not end the transaction that is open on the file."""


class WriterService:
    """Writes databases, one batch at a time; keeps their connections."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._settings = ConnectionSettings.from_options(options)
        refuse_event_loop(self._settings)
        prepare_library(heap_limit_bytes=options.get("heap_limit_bytes", 0))
        self._files: ConnectionCache[WriterConnection] = ConnectionCache(
            options.get("max_open_connections", 64), self._opened
        )
        self._max_wal_bytes: int = options.get("max_wal_bytes", MAX_WAL_BYTES)
        self._heavy = HeavyTexts()
        self._current: WriterConnection | None = None
        self._written: list[WriterConnection] = []
        self._interactive = Interactive(self._file_in_use)
        self._methods: dict[str, Callable[[Call], Any]] = {
            **self._interactive.methods,
            **Following(self._file_in_use).methods,
            "transaction_commit": self._commit_transaction,
            "create": self._create,
            "replace": self._replace,
            "drop": self._drop,
            "migrate": self._migrate,
            "checkpoint": self._checkpoint,
            "statistics": self._statistics,
            "logs": self._logs,
            "close_database": self._close_database,
        }

    def run_batch(self, calls: Sequence[Call]) -> list[Any]:
        """See `workers.BatchService`; what is returned as written is on the disk."""
        outcomes: list[Any] = [None] * len(calls)
        requests = ((call.params[0], self._weight(call)) for call in calls)
        for section in sections(requests, limit=TRANSACTION_STATEMENTS_COUNT):
            members = [calls[place] for place in section.members]
            for place, outcome in zip(section.members, self._settled(section.path, members), strict=True):
                outcomes[place] = outcome
        return outcomes

    def tend(self) -> None:
        """See `workers.BatchService`; checkpoints the files that were written, where that is due."""
        written, self._written = self._written, []
        for file in written:
            file.tend()

    def interrupt(self) -> None:
        """See `workers.BatchService`; a request that has company is let run to its end."""
        current = self._current
        if current is not None:
            current.interrupt()

    def close(self) -> None:
        """See `workers.BatchService`; leaves no log behind where nobody else has the file open."""
        self._files.close()

    def _weight(self, call: Call) -> int:
        if call.method == EXECUTE:
            return 1 if self._may_have_company(call.params[1]) else ALONE
        if call.method == FUNCTION:
            return ALONE if call.params[1] in self._heavy else 1
        if call.method not in SHARING:
            return ALONE
        statements = texts(call)
        if len(statements) > LONE_STATEMENTS_COUNT or not all(map(self._may_have_company, statements)):
            return ALONE
        return max(1, len(statements))

    def _may_have_company(self, sql: str) -> bool:
        return sql not in self._heavy and changes_rows_only(sql)

    def _settled(self, path: str, calls: Sequence[Call]) -> list[Any]:
        if calls[0].method not in SHARING:
            return [self._maintained(call) for call in calls]
        self._interactive.end(path)
        try:
            file = self._files.get(path)
        except apsw.Error as error:
            return [write_failure(error) for _ in calls]
        self._current = file
        outcomes = settle(file, calls, self._heavy)
        self._current = None
        self._written.append(file)
        return outcomes

    def _maintained(self, call: Call) -> Any:
        if 0.0 < call.deadline <= time.monotonic():
            return WriteTimedOut("the deadline passed before it began; nothing was done")
        if call.method not in _BESIDE_TRANSACTIONS:
            self._interactive.end(call.params[0])
        try:
            return self._methods[call.method](call)
        except Exception as error:  # noqa: BLE001 - the failure of one call is its own outcome, not its batch's
            return write_failure(error)
        finally:
            self._current = None

    def _commit_transaction(self, call: Call) -> None:
        self._written.append(self._interactive.commit(call))

    def _create(self, call: Call) -> bool:
        path, may_exist = (*call.params, False)[:2]
        try:
            files.make_empty(path)
        except DatabaseExists:
            if not may_exist:
                raise
            return False
        try:
            self._files.get(path).run_own(f"PRAGMA application_id = {APPLICATION_ID}")
        except BaseException:
            self._files.discard(path)
            files.remove(path)
            raise
        return True

    def _drop(self, call: Call) -> None:
        (path,) = call.params
        self._files.discard(path)
        files.remove(path)

    def _replace(self, call: Call) -> None:
        path, by = call.params
        self._files.discard(path)  # a connection that met damage would say no more than that
        try:
            is_whole = self._files.get(path).checkpoint()
        except UNREADABLE:
            is_whole = True  # as far as it can be
        if not is_whole:
            raise StorageBusy("the database is being read; try again when long reads have ended")
        self._files.discard(path)
        files.replace(path, by)

    def _migrate(self, call: Call) -> int:
        path, migrations = call.params
        file = self._file_in_use(path)
        return migrate(file, [Migration(*each) for each in migrations], deadline=call.deadline)

    def _checkpoint(self, call: Call) -> bool:
        (path,) = call.params
        return self._files.get(path).checkpoint()

    def _statistics(self, call: Call) -> dict[str, int]:
        (path,) = call.params
        return self._files.get(path).governor.statistics()

    def _logs(self, _call: Call) -> dict[str, dict[str, int]]:
        return {path: file.governor.statistics() for path, file in self._files.items()}

    def _close_database(self, call: Call) -> None:
        (path,) = call.params
        self._files.discard(path)

    def _file_in_use(self, path: str) -> WriterConnection:
        """Return the file at `path`, on which the call that runs can be interrupted from now on."""
        self._current = file = self._files.get(path)
        return file

    def _opened(self, path: str) -> WriterConnection:
        busy_timeout_ms = int(self._settings.busy_timeout_s * 1000)
        # inline, on the event loop, nothing waits for readers: they are on the same thread
        governor = Governor(
            busy_timeout_ms, may_wait=not self._settings.allow_on_loop, max_bytes=self._max_wal_bytes
        )
        return WriterConnection(
            path, self._settings, governor=governor, max_result_bytes=self._settings.max_value_bytes
        )
