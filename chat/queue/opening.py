"""Opens a queue's file, one process at a time.

Processes that open a new file at the same moment would make it and migrate it twice. So whoever opens holds a lock on a
file beside it; the kernel takes it away from one that dies.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from chat.queue.tables import Tables
from chat.statement_texts import load
from storage import StorageBusy, StorageError, StorageSettings
from storage import open as open_storage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from chat.queue.settings import QueueSettings

PATIENCE_S = 60.0
"""How long to wait for another process that opens the same file, and perhaps brings it to a newer form."""
_LOCK_SUFFIX = "-open"
_LOOK_AGAIN_S = 0.02
_MIGRATIONS = "chat.queue.migrations"


@asynccontextmanager
async def open_tables(path: Path, settings: QueueSettings) -> AsyncIterator[Tables]:
    """Open the queue's file `path`, making it if it is not there.

    SQLite runs in one thread beside the event loop for reads, and in one for writes.

    Raises:
        WrongKey, EncryptionUnavailable: The key does not fit the file, or this build of apsw can't encrypt.
        StorageError: It can't be opened; `StorageBusy` where another process does not come to an end with that.
    """
    statements = await anyio.to_thread.run_sync(load, "chat.queue.statements")
    storage_settings = StorageSettings(
        kind="thread",
        worker_count=1,
        max_queue_size=10_000,
        plans_by_values=False,  # the same few statements run all the time: a turn takes a third of the time
        secure_delete=settings.secure_delete,
        busy_timeout_s=settings.busy_timeout_s,
        write_timeout_s=max(30.0, 2 * settings.busy_timeout_s),
        keys={} if settings.key is None else {path.name: settings.key},
    )
    opening = open_storage(path, storage_settings, migrations=_MIGRATIONS)
    async with _alone(f"{path}{_LOCK_SUFFIX}"):
        database = await opening.__aenter__()
    failure: BaseException | None = None
    try:
        yield Tables(database, statements)
    except BaseException as error:
        failure = error
        raise
    finally:
        await opening.__aexit__(type(failure) if failure else None, failure, None)


@asynccontextmanager
async def _alone(lock_path: str) -> AsyncIterator[None]:
    """Be the only one who opens the queue.

    Raises:
        StorageBusy: Another process has been opening it for `PATIENCE_S`; it may be stopped. Open it again later.
        StorageError: There can be no file beside the queue's, as where its folder is not there.
    """
    descriptor = await anyio.to_thread.run_sync(_lock_file, lock_path)
    try:
        with anyio.move_on_after(PATIENCE_S) as limit:
            while not _is_locked(descriptor):  # noqa: ASYNC110 - only the kernel knows when it is free
                await anyio.sleep(_LOOK_AGAIN_S)
        if limit.cancelled_caught:
            raise StorageBusy("another process is opening the queue")
        yield
    finally:
        os.close(descriptor)


def _lock_file(lock_path: str) -> int:
    try:
        return os.open(lock_path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StorageError(f"the queue can't be opened: {error.strerror}") from error
    except ValueError as error:  # a NUL
        raise StorageError(
            "the queue can't be opened: its path has a character that none may have"
        ) from error


def _is_locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
