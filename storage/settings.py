"""How storage is sized and bounded; who reads the environment is up above."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from storage.file_keys import FileKeys

if TYPE_CHECKING:
    from workers import KeySource

MIB = 1024 * 1024


def _core_count() -> int:
    return max(2, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 2)


@dataclass(frozen=True, kw_only=True, slots=True)
class StorageSettings:
    """The numbers of the storage layer; every queue, wait and result has one.

    Raises:
        ValueError: A number makes no sense; the message names it and what is allowed.
    """

    use_workers: bool = True
    """False runs SQL on the event loop: same answers, no isolation (`USE_SQLITE_WORKERS`)."""
    kind: Literal["process", "thread"] = "process"
    """What workers are made of (`SQLITE_WORKER_KIND`)."""
    worker_count: int = field(default_factory=_core_count)
    """Readers (`SQLITE_WORKER_COUNT`); the default is one a core, at least 2."""
    writer_count: int = 1
    """Writers; a database is written by one of them at a time."""
    max_queue_size: int = 1_000
    """How many calls may wait for readers, and as many for writers (`SQLITE_MAX_QUEUE_SIZE`)."""
    max_queued_writes: int = 500
    """How many writes that nobody waits for (`ack="queued"`) may wait; a part of `max_queue_size`."""
    max_queued_bytes: int = 8 * MIB
    """Once they hold as much, no more are taken."""
    maintenance_count: int = 1
    """Readers, and writers, for maintenance alone (exports, building indexes), started when there is some; and how many
    backups and checks run at once."""
    weights: Mapping[str, float] = field(default_factory=dict)
    """How large a share of the readers a database has while others wait, by its name; 1 where none is given."""
    query_timeout_s: float = 30.0
    """The deadline of a read that names none: waiting and running together."""
    write_timeout_s: float = 30.0
    """The deadline of a write that names none; one that has begun is not taken back."""
    slow_query_s: float = 0.25
    """A read or write that takes as long in its worker is kept and logged, with its plan."""
    tracing: bool = False
    """Spans of reads and writes for OpenTelemetry; needs the extra `otel`, and a process that sets up where they go."""
    transaction_lease_s: float = 0.25
    """How long a transaction that is held open may keep other writes waiting before one of them ends it."""
    busy_timeout_s: float = 2.0
    """How long to wait for a lock that another process holds."""
    max_result_bytes: int = 64 * MIB
    """The largest answer held in one piece, and the largest value in a row; a stream may be of any size."""
    max_query_steps: int = 20_000_000_000
    """Steps of SQLite's machine that one read, or one piece of a stream, may take; some 50 to 200 million a second."""
    max_query_rows: int = 1_000_000
    """The most rows that a read returns as Python values; JSON is bounded by its bytes alone."""
    worker_heap_bytes: int = 512 * MIB
    """What SQLite may allocate in one worker process, sorting included; threads have no such bound."""
    max_open_connections: int = 64
    """Open databases a worker; the one unused for longest is closed for another."""
    statement_cache_count: int = 128
    """Prepared statements a connection; 512 is what apsw allows."""
    cache_bytes: int = 8 * MIB
    """Page cache a connection."""
    max_open_streams: int = 8
    """Streams a worker; the next one is told to come again."""
    stream_idle_s: float = 30.0
    """A stream that nobody asks for this long is closed: it holds the write-ahead log."""
    reader_age_s: float = 600.0
    """How long any read may hold one state of a database, streams and snapshots too: it holds the write-ahead log."""
    max_wal_bytes: int = 256 * MIB
    """The bound of a write-ahead log: reads that hold it back are ended, and at the bound writers wait for that. One
    transaction that is larger passes it, and so does the time that a backup takes."""
    stream_chunk_bytes: int = 128 * 1024
    """About how much of a stream comes in one piece."""
    plans_by_values: bool = True
    """SQLite may plan by the values of parameters: `LIKE ?` can use an index, but then, and in many joins, a statement
    is planned anew whenever a value changes. False where the same few statements run all the time."""
    secure_delete: bool = False
    """What is deleted or replaced is overwritten with zeros, not only forgotten; the write-ahead log holds it until that
    is emptied."""
    keys: Mapping[str, KeySource] = field(default_factory=dict)
    """Which databases are encrypted, and where their keys come from: by the name of a database in a folder (`*` for those
    without one of their own), by that of the file (`chat.db`) for one that is opened alone."""
    file_keys: FileKeys = field(default_factory=FileKeys, repr=False)
    """The keys themselves, filled in when storage is opened."""
    json_big_integers: Literal["number", "string"] = "number"
    """How integers beyond 2**53 are written in JSON: exact digits, or the digits as a string for JavaScript."""

    def __post_init__(self) -> None:
        if self.kind not in {"process", "thread"}:
            raise ValueError(f"kind is {self.kind!r}; allowed are process, thread")
        if self.json_big_integers not in {"number", "string"}:
            raise ValueError(f"json_big_integers is {self.json_big_integers!r}; allowed are number, string")
        for name, least, most in _WHOLE_NUMBERS:
            value = getattr(self, name)
            if not isinstance(value, int) or not least <= value <= most:
                raise ValueError(f"{name} is {value!r}; a whole number from {least} to {most} is allowed")
        for name, weight in self.weights.items():
            if not 0 < weight < float("inf"):
                raise ValueError(f"the weight of {name!r} is {weight!r}; a finite number above 0 is allowed")
        for name in _SECONDS:
            value = getattr(self, name)
            if not 0 < value < float("inf"):
                raise ValueError(f"{name} is {value!r}; a finite number of seconds above 0 is allowed")

    def service_options(self) -> dict[str, Any]:
        """Return what the services inside workers have to know, as MessagePack carries it."""
        return {
            "busy_timeout_s": float(self.busy_timeout_s),
            "max_result_bytes": self.max_result_bytes,
            "max_query_steps": self.max_query_steps,
            "max_query_rows": self.max_query_rows,
            "heap_limit_bytes": self.worker_heap_bytes if self.use_workers and self.kind == "process" else 0,
            "max_open_connections": self.max_open_connections,
            "statement_cache_count": self.statement_cache_count,
            "cache_bytes": self.cache_bytes,
            "max_open_streams": self.max_open_streams,
            "stream_idle_s": float(self.stream_idle_s),
            "reader_age_s": float(self.reader_age_s),
            "max_wal_bytes": self.max_wal_bytes,
            "stream_chunk_bytes": self.stream_chunk_bytes,
            "plans_by_values": self.plans_by_values,
            "secure_delete": self.secure_delete,
            "json_big_integers": self.json_big_integers,
            "keys": self.file_keys,
        }


_SECONDS = (
    "query_timeout_s",
    "write_timeout_s",
    "slow_query_s",
    "transaction_lease_s",
    "busy_timeout_s",
    "stream_idle_s",
    "reader_age_s",
)
_WHOLE_NUMBERS = (
    ("worker_count", 1, 64),
    ("writer_count", 1, 16),
    ("max_queue_size", 1, 1_000_000),
    ("max_queued_writes", 1, 1_000_000),
    ("max_queued_bytes", 1024, 1024 * MIB),
    ("maintenance_count", 1, 16),
    ("max_result_bytes", 1024, 1_000 * MIB),
    ("max_query_steps", 1_000_000, 10**15),
    ("max_query_rows", 1, 1_000_000_000),
    ("worker_heap_bytes", 64 * MIB, 1024 * 1024 * MIB),
    ("max_open_connections", 1, 10_000),
    ("statement_cache_count", 0, 512),
    ("cache_bytes", 0, 1024 * MIB),
    ("max_open_streams", 1, 1_000),
    ("max_wal_bytes", MIB, 1024 * 1024 * MIB),
    ("stream_chunk_bytes", 1024, 16 * MIB),
)
