"""SQLite behind an async face: a pool of readers, one writer a file with group commit, JSON made by SQLite.

The names below are loaded when first used (PEP 562): a worker process imports neither an event loop nor a logger.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from storage.backups import BackupFolder as BackupFolder
    from storage.backups import back_up as back_up
    from storage.backups import verify as verify
    from storage.changes import Change as Change
    from storage.changes import ChangeFeed as ChangeFeed
    from storage.changes import Cursor as Cursor
    from storage.changes import change_cursor as change_cursor
    from storage.changes import followed_tables as followed_tables
    from storage.database import Database as Database
    from storage.databases import DatabaseInfo as DatabaseInfo
    from storage.databases import Databases as Databases
    from storage.earlier import Earlier as Earlier
    from storage.errors import ConstraintViolated as ConstraintViolated
    from storage.errors import DatabaseCorrupt as DatabaseCorrupt
    from storage.errors import DatabaseExists as DatabaseExists
    from storage.errors import DatabaseNotFound as DatabaseNotFound
    from storage.errors import EncryptionUnavailable as EncryptionUnavailable
    from storage.errors import HistoryLost as HistoryLost
    from storage.errors import InvalidDatabaseName as InvalidDatabaseName
    from storage.errors import MigrationFailed as MigrationFailed
    from storage.errors import NotAllowed as NotAllowed
    from storage.errors import NothingEarlier as NothingEarlier
    from storage.errors import NotReadOnly as NotReadOnly
    from storage.errors import ParameterMismatch as ParameterMismatch
    from storage.errors import QueryTimedOut as QueryTimedOut
    from storage.errors import QueryTooCostly as QueryTooCostly
    from storage.errors import ReadTooOld as ReadTooOld
    from storage.errors import ResultTooLarge as ResultTooLarge
    from storage.errors import RowMismatch as RowMismatch
    from storage.errors import SqlError as SqlError
    from storage.errors import StorageBusy as StorageBusy
    from storage.errors import StorageClosed as StorageClosed
    from storage.errors import StorageError as StorageError
    from storage.errors import StorageFull as StorageFull
    from storage.errors import StorageSaturated as StorageSaturated
    from storage.errors import StorageUnavailable as StorageUnavailable
    from storage.errors import TableNotFollowed as TableNotFollowed
    from storage.errors import TableNotSearchable as TableNotSearchable
    from storage.errors import TransactionLost as TransactionLost
    from storage.errors import UnsupportedSqlite as UnsupportedSqlite
    from storage.errors import WriteOutcomeUnknown as WriteOutcomeUnknown
    from storage.errors import WriteTimedOut as WriteTimedOut
    from storage.errors import WrongKey as WrongKey
    from storage.full_text import search_table as search_table
    from storage.live_queries import LiveQuery as LiveQuery
    from storage.log_governor import LogStatistics as LogStatistics
    from storage.nonce_blocks import NonceBlocks as NonceBlocks
    from storage.opening import open as open  # noqa: A004 - it reads as storage.open, like io.open
    from storage.opening import open_databases as open_databases
    from storage.queries import Queries as Queries
    from storage.query_costs import QueryCost as QueryCost
    from storage.query_plans import QueryPlan as QueryPlan
    from storage.queued_writes import Ack as Ack
    from storage.queued_writes import Queued as Queued
    from storage.queued_writes import QueuedStatistics as QueuedStatistics
    from storage.rekeying import rekey as rekey
    from storage.reports import LogFacts as LogFacts
    from storage.reports import StorageReport as StorageReport
    from storage.restoring import restore as restore
    from storage.search_indexes import drop_search_index as drop_search_index
    from storage.search_indexes import make_search_index as make_search_index
    from storage.settings import StorageSettings as StorageSettings
    from storage.slow_queries import SlowQuery as SlowQuery
    from storage.snapshots import Snapshot as Snapshot
    from storage.sqlite.backups import BackupMade as BackupMade
    from storage.sqlite.backups import Verified as Verified
    from storage.sqlite.facts import LibraryFacts as LibraryFacts
    from storage.sqlite.facts import library_facts as library_facts
    from storage.sqlite.functions import WriteTransaction as WriteTransaction
    from storage.sqlite.rekeying import Rekeyed as Rekeyed
    from storage.statistics import StorageStatistics as StorageStatistics
    from storage.tables import ColumnInfo as ColumnInfo
    from storage.tables import TableInfo as TableInfo
    from storage.transactions import Transaction as Transaction
    from storage.written import Written as Written

_HOME = {
    "Ack": "queued_writes",
    "BackupFolder": "backups",
    "BackupMade": "sqlite.backups",
    "Change": "changes",
    "ChangeFeed": "changes",
    "ColumnInfo": "tables",
    "ConstraintViolated": "errors",
    "Cursor": "changes",
    "Database": "database",
    "DatabaseCorrupt": "errors",
    "DatabaseExists": "errors",
    "DatabaseInfo": "databases",
    "DatabaseNotFound": "errors",
    "Databases": "databases",
    "Earlier": "earlier",
    "EncryptionUnavailable": "errors",
    "HistoryLost": "errors",
    "InvalidDatabaseName": "errors",
    "LibraryFacts": "sqlite.facts",
    "LiveQuery": "live_queries",
    "LogFacts": "reports",
    "LogStatistics": "log_governor",
    "MigrationFailed": "errors",
    "NonceBlocks": "nonce_blocks",
    "NotAllowed": "errors",
    "NotReadOnly": "errors",
    "NothingEarlier": "errors",
    "ParameterMismatch": "errors",
    "Queries": "queries",
    "QueryCost": "query_costs",
    "QueryPlan": "query_plans",
    "QueryTimedOut": "errors",
    "QueryTooCostly": "errors",
    "Queued": "queued_writes",
    "QueuedStatistics": "queued_writes",
    "ReadTooOld": "errors",
    "ResultTooLarge": "errors",
    "Rekeyed": "sqlite.rekeying",
    "RowMismatch": "errors",
    "SlowQuery": "slow_queries",
    "Snapshot": "snapshots",
    "SqlError": "errors",
    "StorageBusy": "errors",
    "StorageClosed": "errors",
    "StorageError": "errors",
    "StorageFull": "errors",
    "StorageReport": "reports",
    "StorageSaturated": "errors",
    "StorageSettings": "settings",
    "StorageStatistics": "statistics",
    "StorageUnavailable": "errors",
    "TableInfo": "tables",
    "TableNotFollowed": "errors",
    "TableNotSearchable": "errors",
    "Transaction": "transactions",
    "TransactionLost": "errors",
    "UnsupportedSqlite": "errors",
    "Verified": "sqlite.backups",
    "WriteOutcomeUnknown": "errors",
    "WriteTimedOut": "errors",
    "WriteTransaction": "sqlite.functions",
    "Written": "written",
    "WrongKey": "errors",
    "back_up": "backups",
    "change_cursor": "changes",
    "drop_search_index": "search_indexes",
    "followed_tables": "changes",
    "library_facts": "sqlite.facts",
    "make_search_index": "search_indexes",
    "open": "opening",
    "open_databases": "opening",
    "rekey": "rekeying",
    "restore": "restoring",
    "search_table": "full_text",
    "verify": "backups",
}

__all__ = sorted(_HOME)  # noqa: PLE0605 - one list, of names and homes


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'storage' has no attribute {name!r}")
    value = getattr(import_module(f"storage.{_HOME[name]}"), name)
    globals()[name] = value
    return value
