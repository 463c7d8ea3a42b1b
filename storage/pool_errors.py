"""The border at which a pool's errors become storage's, keeping their cause."""

from __future__ import annotations

from storage.errors import (
    ParameterMismatch,
    QueryTimedOut,
    StorageClosed,
    StorageError,
    StorageSaturated,
    StorageUnavailable,
    WriteOutcomeUnknown,
    WriteTimedOut,
)
from workers import (
    PoolClosed,
    PoolSaturated,
    ServiceUnavailable,
    TaskCancelled,
    TaskTimedOut,
    WorkerDied,
    WorkersError,
)

UNENCODABLE = (TypeError, ValueError, OverflowError)
"""What a pool raises for parameters that don't fit into a message."""


def failed_read(error: WorkersError) -> StorageError:
    """Return what the caller of a read is told: a read has no effect, so all but a timeout may be repeated."""
    if isinstance(error, TaskTimedOut):
        return QueryTimedOut("the read passed its deadline")
    return _failed(error)


def failed_write(error: WorkersError) -> StorageError:
    """Return what the caller of a write is told, above all whether it may have been written."""
    if isinstance(error, (TaskTimedOut, WorkerDied)) and error.begun:
        return WriteOutcomeUnknown("the write had begun when its worker was lost; look it up")
    if isinstance(error, TaskTimedOut):
        return WriteTimedOut("the write passed its deadline before it began")
    return _failed(error)


def refused_parameters(error: Exception) -> ParameterMismatch:
    """Return what the caller is told of parameters that can't be sent to a worker."""
    if isinstance(error, OverflowError):
        return ParameterMismatch("an integer has more than 64 bits")
    if isinstance(error, UnicodeError):
        return ParameterMismatch("a text holds half of a surrogate pair")
    return ParameterMismatch("a parameter is of a type that SQLite does not store")


def _failed(error: WorkersError) -> StorageError:
    if isinstance(error, PoolSaturated):
        return StorageSaturated("too many calls wait", retry_after_s=error.retry_after_s)
    if isinstance(error, PoolClosed):
        return StorageClosed("the storage is closed")
    if isinstance(error, (WorkerDied, ServiceUnavailable, TaskCancelled)):
        return StorageUnavailable("the worker is gone, and nothing was done")
    return StorageError(str(error))
